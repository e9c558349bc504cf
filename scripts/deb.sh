#!/bin/sh
# Makes the Debian package of the client in a clean Debian, has lintian look at it, and tries it in another: `make deb`.
#
#     sudo scripts/deb.sh [source]     default: all of it; source: the source package alone, which needs no root
#
# After scripts/dist.py build. Packages of others are those of pins/client.txt, by SHA-256. Needs root, debootstrap and dpkg-dev;
# WORK names a folder for the roots (build/deb), MAINTAINER who is named in the package, OUT where the files go (dist/deb).
# The root for building stays there, so a second run is faster; FRESH=1 recreates it.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
suite=trixie
work=${WORK:-$here/build/deb}
out=${OUT:-$here/dist/deb}
python=${PYTHON:-$here/.venv/bin/python}
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$here/client/sealdex/__init__.py")
maintainer=${MAINTAINER:-Sealdex maintainers <maintainers@sealdex.invalid>}
SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct)
export SOURCE_DATE_EPOCH

say() { printf 'deb: %s\n' "$*" >&2; }

# what must be: a program, and where it comes from
for tool in dpkg-source:dpkg-dev tar:tar unzip:unzip; do
    command -v "${tool%%:*}" >/dev/null || { say "${tool%%:*} is missing: apt-get install ${tool##*:}"; exit 1; }
done

# --- the source package -------------------------------------------------------------------------------------------------
sdist=$here/dist/sealdex-$version.tar.gz
[ -e "$sdist" ] || { say "$sdist is missing: make dist DIST=build"; exit 1; }
rm -rf "$work/source"
mkdir -p "$work/source" "$work/downloads" "$out"
rm -f "$out"/sealdex_* "$out/lintian.txt" # of an earlier run; OUT may be any folder
tree=$work/source/sealdex-$version
"$python" "$here/scripts/deb_vendor.py" "$work/downloads" "$work/source/vendor"
cp "$sdist" "$work/source/sealdex_$version.orig.tar.gz"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work/source" -c vendor |
    gzip -9n >"$work/source/sealdex_$version.orig-vendor.tar.gz"
tar -xzf "$sdist" -C "$work/source"
mv "$work/source/vendor" "$tree/vendor"
cp -r "$here/packaging/debian" "$tree/debian"
rm "$tree/debian/README.md"
mkdir "$tree/debian/systemd"
cp "$here/packaging/systemd/"*.service "$here/packaging/systemd/"*.timer "$tree/debian/systemd/"
"$python" "$here/scripts/write_share.py" --man "$tree/debian/man"
rm "$tree/debian/man/"sealdex-builder*
"$python" - "$tree/debian" "$maintainer" <<'EOF'
import pathlib, sys
for name in ("control", "changelog"):
    path = pathlib.Path(sys.argv[1], name)
    path.write_text(path.read_text(encoding="utf-8").replace("@MAINTAINER@", sys.argv[2]), encoding="utf-8")
EOF
(cd "$work/source" && dpkg-source --build "sealdex-$version" >"$work/source.log" 2>&1) || { cat "$work/source.log" >&2; exit 1; }
cp "$work/source/"sealdex_* "$out/"
[ "${1:-all}" != source ] || { say "made $out/sealdex_$version-1.dsc"; exit 0; }

# --- built in a clean root ----------------------------------------------------------------------------------------------
. "$here/scripts/bare_root.sh"
command -v debootstrap >/dev/null || { say "debootstrap is missing: apt-get install debootstrap"; exit 1; }
[ "$(id -u)" = 0 ] || { say "a clean root needs root: sudo make deb"; exit 1; }
[ -z "${FRESH:-}" ] || rm -rf --one-file-system "$work/clean" "$work/build"
bare_root "$suite" "$work/clean" main ca-certificates
root=
trap '[ -z "$root" ] || leave_root "$root"' EXIT
trap 'exit 130' HUP INT TERM # a shell that a signal ends runs no EXIT
if [ ! -e "$work/build/made" ]; then
    rm -rf --one-file-system "$work/build"
    cp -a "$work/clean" "$work/build"
fi
root=$work/build
enter_root "$root"
rm -rf "$root/src"
mkdir "$root/src"
cp "$out/"sealdex_* "$root/src/"
say "building sealdex $version for $suite"
in_root "$root" 'export DEBIAN_FRONTEND=noninteractive
    cd /src && apt-get update -qq && apt-get install -y -qq --no-install-recommends dpkg-dev lintian >/dev/null
    dpkg-source --extract *.dsc source >/dev/null
    apt-get build-dep -y -qq --no-install-recommends ./source >/dev/null
    cd source && dpkg-buildpackage --unsigned-source --unsigned-changes >../build.log 2>&1 || { tail -40 ../build.log; exit 1; }
    cd .. && lintian --fail-on error,warning --show-overrides --tag-display-limit 0 *.changes' \
    SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" >"$out/lintian.txt" 2>&1 || { cat "$out/lintian.txt" >&2; exit 1; }
grep '^[A-Z]: ' "$out/lintian.txt" >&2 || say "lintian finds nothing"
cp "$root/src/"*.deb "$root/src/"*.buildinfo "$root/src/"*.changes "$out/"
leave_root "$root"

# --- tried in another, which has nothing of the build -------------------------------------------------------------------
"$python" "$here/scripts/try_installed.py" "$work/registry"
leave_root "$work/try" # a run that was killed
rm -rf --one-file-system "$work/try"
cp -a "$work/clean" "$work/try"
root=$work/try
enter_root "$root"
mkdir "$root/deb"
cp "$out/"sealdex_*.deb "$root/deb/"
cp -r "$work/registry" "$root/registry"
cp "$tree/debian/tests/smoke" "$root/smoke"
say "installing it in a clean $suite, and from a registry in a folder with it"
in_root "$root" 'export DEBIAN_FRONTEND=noninteractive
    rm -f /etc/dpkg/dpkg.cfg.d/*nodoc* && apt-get update -qq
    apt-get install -y -qq --no-install-recommends man-db bash-completion zsh fish /deb/sealdex_*.deb >/dev/null
    /smoke
    sh /registry/try.sh
    apt-get purge -y -qq sealdex >/dev/null
    if command -v sealdex || [ -e /usr/lib/sealdex ] || dpkg --audit | grep .; then echo "purge left this"; exit 1; fi'
say "$suite: built, checked by lintian, installed, tried and removed: $(ls "$out/"*.deb)"
