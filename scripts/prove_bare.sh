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

. "$here/scripts/bare_root.sh"
mkdir -p "$work"
[ -z "${FRESH:-}" ] || rm -rf --one-file-system "$root"
MIRROR=$mirror bare_root "$suite" "$root" "$components" ca-certificates,make,git,python3,python3-venv
trap 'leave_root "$root"' EXIT
trap 'exit 130' HUP INT TERM # a shell that a signal ends runs no EXIT
enter_root "$root"
rm -rf "$root/root/sealdex"
git clone --quiet --no-local --depth 1 "file://$here" "$root/root/sealdex"

for command in "$@"; do
    echo "prove_bare: $suite: $command"
    in_root "$root" "cd /root/sealdex && $command" CI="$ci"
done
echo "prove_bare: $suite: all of it passed"
