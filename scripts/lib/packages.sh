# shellcheck shell=bash disable=SC2154 # root, data, target and stage are set by whoever sources this
# The Debian packages a job needs, each with what proves that it is there: a
# program, a file, or a library that pkg-config knows. The proof is asked and not the
# package list, so that another distribution, or a program that a person built,
# serves as well.

# job | package | proof | why
packages='
build | build-essential   | cc              | links the programs
build | pkg-config        | pkg-config      | finds the C libraries
build | libasound2-dev    | lib alsa        | microphones without a sound server
build | libxkbcommon-dev  | lib xkbcommon   | keyboard layouts
build | ca-certificates   | file /etc/ssl/certs/ca-certificates.crt | trust in the servers that are fetched from
build | python3-pip       | pip             | fetches ONNX Runtime and the model
demo  | dbus              | dbus-daemon     | a private session bus
demo  | pulseaudio        | pulseaudio      | a private sound server with a virtual microphone
demo  | pulseaudio-utils  | paplay          | plays the recording to that microphone
demo  | xvfb              | Xvfb            | a screen without a monitor
demo  | xterm             | xterm           | the window that is typed into
demo  | fonts-dejavu-core | file /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf | its letters
demo  | xdotool           | xdotool         | gives that window the focus
demo  | imagemagick       | import          | takes the picture of it
test  | dbus              | dbus-monitor    | watches the bus
test  | x11-xkb-utils     | setxkbmap       | other keyboard layouts
test  | sway              | sway            | a Wayland compositor
test  | foot              | foot            | a terminal in it
test  | wtype             | wtype           | another keyboard there
test  | wl-clipboard      | wl-copy         | another program that copies there
test  | zenity            | zenity          | windows with fields
test  | python3-pyqt6     | file /usr/lib/python3/dist-packages/PyQt6/QtWidgets.abi3.so | fields of Qt
test  | at-spi2-core      | file /usr/libexec/at-spi-bus-launcher | what programs tell of them
test  | ibus              | ibus-daemon     | an input method
test  | ibus-gtk3         | lib-file gtk-3.0/3.0.0/immodules/im-ibus.so | its way to fields of GTK
test  | ibus-unikey       | file /usr/share/ibus/component/unikey.xml | what composes there
test  | fcitx5            | fcitx5          | another input method
test  | fcitx5-frontend-gtk3 | lib-file gtk-3.0/3.0.0/immodules/im-fcitx5.so | its way
test  | fcitx5-unikey     | file /usr/share/fcitx5/inputmethod/unikey.conf | what composes there
test  | debootstrap       | debootstrap     | a Debian with desktops to type on
test  | flac              | flac            | compressed recordings
test  | libasound2-plugins | lib-file alsa-lib/libasound_module_pcm_pulse.so | the way through ALSA to a sound server
machine | qemu-system-x86  | qemu-system-x86_64 | a machine with a kernel of its own
test  | systemd           | systemd-analyze | checks the unit
test  | shellcheck        | shellcheck      | checks the scripts
'

proved() {
    case $1 in
        lib\ *) pkg-config --exists "${1#lib }" 2>/dev/null ;;
        lib-file\ *) compgen -G "/usr/lib/*/${1#lib-file }" >/dev/null ;;
        file\ *) [[ -e ${1#file } ]] ;;
        pip) python3 -m pip --version >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# require_packages yes|no JOB...: installs what is missing for the jobs; with
# "no" only lists it and stops.
require_packages() {
    local install=$1 job package proof why missing=()
    shift
    while IFS='|' read -r job package proof why; do
        job=${job//[[:space:]]/} package=${package//[[:space:]]/}
        read -r proof <<<"$proof"
        [[ $job && " $* " = *" $job "* ]] || continue
        proved "$proof" && continue
        ((${#missing[@]})) || say 'Packages that are missing:'
        printf '   %-18s %s\n' "$package" "${why# }"
        missing+=("$package")
    done <<<"$packages"
    ((${#missing[@]})) || return 0

    # A desktop's own sound system must not be taken away for a demonstration.
    local command=(apt-get install -y --no-install-recommends --no-remove "${missing[@]}")
    [[ $install = yes ]] || fail "--no-install was given. To install them: sudo ${command[*]}"
    command -v apt-get >/dev/null || fail 'there is no apt-get here. Install what the list names with the system'\''s own package manager, then run this again'
    local as_root=(env DEBIAN_FRONTEND=noninteractive)
    if ((EUID)); then
        command -v sudo >/dev/null || fail "this needs root and there is no sudo. As root: ${command[*]}"
        as_root=(sudo "${as_root[@]}")
        # Without a terminal nobody could answer when sudo asks for a password.
        [[ -t 0 ]] || as_root=(sudo -n "${as_root[@]:1}")
    fi
    say "Installing them: ${command[*]}"
    "${as_root[@]}" apt-get update -q </dev/null || fail 'apt-get update failed; its message is above'
    "${as_root[@]}" "${command[@]}" -q </dev/null || fail 'apt-get install failed; its message is above'
}

# Rust is not taken from Debian, whose version is too old.
require_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    local advice='rustup installs it: https://rustup.rs has the one command to run, then run this again'
    command -v cargo >/dev/null || fail "Rust $wanted or newer is needed, and cargo is neither on the PATH nor in ~/.cargo/bin. $advice"
    have=$(rustc --version | cut -d' ' -f2)
    [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n1) = "$wanted" ]] \
        || fail "Rust $wanted or newer is needed, and this is $have. \`rustup update stable\` brings the newest; without rustup: $advice"
}

# Built and not fetched, and kept: three minutes on two cores.
require_cargo_deny() {
    command -v cargo-deny >/dev/null && return
    say 'Building cargo-deny, which checks the licences; this happens once'
    cargo install --locked --quiet --root "$tools" cargo-deny@0.20.2
}
