# Sourced: a root of Debian or Ubuntu with nothing in it but what is named, and commands in it. Needs root and debootstrap.

# bare_root SUITE ROOT COMPONENTS PACKAGES: make it, if it isn't there; MIRROR names another mirror.
bare_root() {
    [ ! -e "$2/made" ] || return 0
    rm -rf --one-file-system "$2"
    mkdir -p "$(dirname "$2")"
    script=/usr/share/debootstrap/scripts/$1
    if [ ! -e "$script" ]; then  # an older debootstrap, to which this suite is no different from the one before
        case $1 in jammy | noble) script=$(dirname "$script")/gutsy ;; *) script=$(dirname "$script")/sid ;; esac
    fi
    debootstrap --variant=minbase --components="$3" --include="$4" "$1" "$2" "${MIRROR:-}" "$script" >"$2.log" 2>&1 ||
        { tail "$2.log" >&2; return 1; }
    touch "$2/made"
}

# enter_root ROOT: give it the network as this machine has it (its resolver, its proxy, the certificates that it trusts),
# and devices of its own. leave_root ROOT has to follow, whatever happens.
enter_root() {
    leave_root "$1" # a run that was killed
    cp --dereference /etc/resolv.conf "$1/etc/resolv.conf"
    [ -e "$1/etc/hosts" ] || printf '127.0.0.1 localhost\n::1 localhost\n' >"$1/etc/hosts" # an installer writes it
    for certificate in /usr/local/share/ca-certificates/*.crt; do
        [ ! -e "$certificate" ] || cp "$certificate" "$1/usr/local/share/ca-certificates/"
    done
    chroot "$1" update-ca-certificates >/dev/null 2>&1
    mount -t proc proc "$1/proc"
    mount -t sysfs -o ro sysfs "$1/sys"
    mount -t tmpfs -o mode=755 tmpfs "$1/dev"
    mkdir "$1/dev/pts" "$1/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$1/dev/pts"
    mount -t tmpfs tmpfs "$1/dev/shm"
    mknod -m 666 "$1/dev/null" c 1 3
    mknod -m 666 "$1/dev/zero" c 1 5
    mknod -m 666 "$1/dev/full" c 1 7
    mknod -m 666 "$1/dev/random" c 1 8
    mknod -m 666 "$1/dev/urandom" c 1 9
    mknod -m 666 "$1/dev/tty" c 5 0
    ln -s pts/ptmx "$1/dev/ptmx"
    ln -s /proc/self/fd "$1/dev/fd"
    ln -s /proc/self/fd/0 "$1/dev/stdin"
    ln -s /proc/self/fd/1 "$1/dev/stdout"
    ln -s /proc/self/fd/2 "$1/dev/stderr"
}

leave_root() { for place in dev/pts dev/shm dev proc sys; do umount "$1/$place" 2>/dev/null || true; done; }

# in_root ROOT SCRIPT [NAME=VALUE...]: run it with nothing of this machine's environment but the way out.
in_root() {
    where=$1 script=$2
    shift 2
    chroot "$where" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@" \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} ${no_proxy:+no_proxy="$no_proxy"} \
        ${PIP_CERT:+PIP_CERT="$PIP_CERT"} ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"} \
        sh -ec "$script" </dev/null
}
