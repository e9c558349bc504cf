#!/bin/sh
# Proves `make demo` and `make test` on a machine that has nothing: a new root of Debian or Ubuntu with make, git,
# python3, python3-venv and certificates alone, and a clone of this repository's HEAD in it.
#
#     sudo scripts/prove_bare.sh bookworm|trixie|jammy|noble [COMMAND...]     default: "make demo" "make test"
#
# Needs root and debootstrap; MIRROR names another mirror, WORK a folder for the roots (build/bare). The root stays there,
# so a second run starts with it as it is; FRESH=1 recreates it. Packages of the system can't be pinned.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:?usage: scripts/prove_bare.sh bookworm|trixie|jammy|noble [COMMAND...]}
shift
[ $# -gt 0 ] || set -- "make demo" "make test"
case $suite in
    bookworm | trixie) mirror=${MIRROR:-} components=main ;;
    jammy | noble) mirror=${MIRROR:-} components=main,universe ;;
    *) echo "prove_bare: $suite is not among bookworm, trixie, jammy and noble" >&2; exit 2 ;;
esac
# Ubuntu has Chromium only as a snap, and 22.04 a node that is too old: the tests that need them say so and are skipped
ci=${CI:-}
case $suite in jammy | noble) ci= ;; esac
work=${WORK:-$here/build/bare}
root=$work/$suite

mkdir -p "$work"
[ -z "${FRESH:-}" ] || rm -rf --one-file-system "$root"
if [ ! -e "$root/made" ]; then
    rm -rf --one-file-system "$root"
    script=/usr/share/debootstrap/scripts/$suite
    if [ ! -e "$script" ]; then  # an older debootstrap, to which this suite is no different from the one before
        case $suite in jammy | noble) script=$(dirname "$script")/gutsy ;; *) script=$(dirname "$script")/sid ;; esac
    fi
    debootstrap --variant=minbase --components="$components" --include=ca-certificates,make,git,python3,python3-venv \
        "$suite" "$root" "$mirror" "$script" >"$work/$suite.log" 2>&1 || { tail "$work/$suite.log" >&2; exit 1; }
    touch "$root/made"
fi

# the network as this machine has it: its resolver, its proxy and the certificates that it trusts
cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
[ -e "$root/etc/hosts" ] || printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts" # an installer writes it
for certificate in /usr/local/share/ca-certificates/*.crt; do
    [ ! -e "$certificate" ] || cp "$certificate" "$root/usr/local/share/ca-certificates/"
done
chroot "$root" update-ca-certificates >/dev/null 2>&1

rm -rf "$root/root/sealdex"
git clone --quiet --no-local --depth 1 "file://$here" "$root/root/sealdex"

ends() { for place in dev/pts dev/shm dev proc sys; do umount "$root/$place" 2>/dev/null || true; done; }
trap ends EXIT
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"

for command in "$@"; do
    echo "prove_bare: $suite: $command"
    # nothing of this machine's environment but the way out
    chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} ${no_proxy:+no_proxy="$no_proxy"} \
        ${PIP_CERT:+PIP_CERT="$PIP_CERT"} ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"} \
        CI="$ci" sh -ec "cd /root/sealdex && $command" </dev/null
done
echo "prove_bare: $suite: all of it passed"
