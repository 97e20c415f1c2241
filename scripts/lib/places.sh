# shellcheck shell=bash disable=SC2034 # for whoever sources this
# Where things are, and the two ways to speak. Sourced with the repository's root
# in $root.

# The XDG specification has a relative path ignored.
[[ ${XDG_DATA_HOME:-} = /* ]] || export XDG_DATA_HOME=${HOME:?it says where the model is kept}/.local/share
data=$XDG_DATA_HOME/swictation
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target = /* ]] || target=$PWD/$target

# rustup puts cargo here and may not have changed the PATH of this shell yet.
if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
    PATH=$HOME/.cargo/bin:$PATH
fi

# Programs for developers that setup builds.
[[ ${XDG_CACHE_HOME:-} = /* ]] || XDG_CACHE_HOME=$HOME/.cache
tools=$XDG_CACHE_HOME/swictation/tools
PATH=$PATH:$tools/bin

# ONNX Runtime writes a device id into the home unless it is told not to.
export ORT_DISABLE_TELEMETRY=1

say() { printf '== %s\n' "$*"; }

fail() {
    printf '%s: %s\n' "scripts/${0##*/}" "$1" >&2
    exit "${2:-1}"
}
