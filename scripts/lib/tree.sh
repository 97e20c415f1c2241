# shellcheck shell=bash disable=SC2154 # target is set by whoever sources this
# A Debian tree with what tests need that a person's machine need not have. It is made once
# and needs root, as entering it does; scripts that need other packages share it.

tree=$XDG_CACHE_HOME/swictation/debian13
# Where a person finds pictures of what was typed.
pictures=$target/pictures

# require_tree PACKAGE...: has these in the tree, and the tree if there is none. They are
# installed without recommendations.
require_tree() {
    # Runs from two checkouts share the tree, and one of them makes it.
    mkdir -p "${tree%/*}"
    install -d -o 1000 "$pictures"
    exec {making}>"$tree.lock"
    flock "$making"
    local package missing=() list=$tree/etc/swictation-packages
    [[ -e $list ]] || make_tree
    for package; do
        grep -qxF -- "$package" "$list" || missing+=("$package")
    done
    if ((${#missing[@]})); then
        inside env DEBIAN_FRONTEND=noninteractive apt-get update -qq
        inside env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
        printf '%s\n' "${missing[@]}" >>"$list"
    fi
    exec {making}>&-
}

make_tree() {
    command -v debootstrap >/dev/null || { say 'needs debootstrap: skipped'; exit; }
    # Where this machine's Debian comes from; on another system, debootstrap knows a place.
    local mirror=()
    if grep -q '^ID=debian' /etc/os-release; then
        mapfile -t mirror < <(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+).*/\2/p' \
            /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    fi
    say "A Debian tree in $tree"
    # What an interrupted run left is no beginning.
    rm -rf --one-file-system -- "$tree"
    debootstrap --variant=minbase trixie "$tree" "${mirror[@]}" >/dev/null
    # Nothing that is installed is started.
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
    chmod +x "$tree/usr/sbin/policy-rc.d"
    inside useradd --create-home --uid 1000 u
    : >"$tree/etc/swictation-packages"
}

# unpack PATTERN PACKAGE...: files of packages without the packages, which would bring much
# along. A pattern is what bash has for files, with a space between two.
unpack() {
    # shellcheck disable=SC2016 # the inner shell's variables
    inside bash -ec 'shopt -s failglob; cd /tmp; pattern=$1; shift
        apt-get -qq -o APT::Sandbox::User=root download "$@"
        for package in *.deb; do dpkg-deb -x "$package" .; done
        cp -r --parents $pattern /' unpack "$@"
}

# inside COMMAND...: in the tree, with mounts and processes of its own, all of which are
# gone when it ends. What was built is at /opt/swictation, and /opt/pictures is $pictures.
inside() {
    # shellcheck disable=SC2016 # the inner shell's variables
    unshare --mount --pid --ipc --fork --kill-child --propagation private bash -c '
        set -e
        tree=$1 built=$2 pictures=$3
        shift 3
        mount -t proc proc "$tree/proc"
        mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
        for device in null zero full random urandom tty; do
            : >"$tree/dev/$device"
            mount --bind "/dev/$device" "$tree/dev/$device"
        done
        mkdir "$tree/dev/pts" "$tree/dev/shm"
        # A terminal needs pseudo-terminals of this tree.
        mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$tree/dev/pts"
        ln -s pts/ptmx "$tree/dev/ptmx"
        ln -s /proc/self/fd "$tree/dev/fd"
        mount -t tmpfs -o mode=1777 tmpfs "$tree/dev/shm"
        mount -t tmpfs -o mode=755 tmpfs "$tree/run"
        mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp"
        # An X server wants a folder for its socket, and GNOME to know that systemd did not
        # start it before it has anything to do with one.
        mkdir -m 1777 "$tree/tmp/.X11-unix"
        mount -t tmpfs -o mode=755 tmpfs "$tree/sys"
        mkdir -p "$tree/sys/fs/cgroup"
        mount -t cgroup2 none "$tree/sys/fs/cgroup"
        if [ -d "$built" ]; then
            mkdir -p "$tree/opt/swictation"
            mount --bind -o ro "$built" "$tree/opt/swictation"
            mkdir -p "$tree/opt/pictures"
            mount --bind "$pictures" "$tree/opt/pictures"
        fi
        exec chroot "$tree" "$@"' inside "$tree" "$target" "$pictures" "$@"
}
