#!/bin/sh
# Makes .venv with both distributions and what `make demo` (argument: demo), `make test` (test), `make bench` (bench) or
# `make pins` (pins) need. Python packages are those of pins/, by digest. PINS=newest takes the newest of everything
# instead, and PINS=lowest the oldest that pyproject.toml claims to work with, each into an environment of its own.
# Runs again only what changed. Installs Debian packages only as root; otherwise says which line would.
set -eu
cd "$(dirname "$0")/.."
what=${1:-demo}
pins=${PINS:-pinned}

say() { printf 'setup: %s\n' "$*" >&2; }

case $pins in
    pinned) venv=.venv ;;
    newest | lowest) venv=.venv-$pins ;;
    *) say "PINS is pinned, newest or lowest, not '$pins'"; exit 2 ;;
esac

# refreshed: Debian's lists are today's, once a run. A new machine has those of the day its image was made: what they say
# may be gone, or so old that what we have pinned doesn't work with it.
lists=old
refreshed() {
    [ "$lists" = old ] || return 0
    lists=new
    apt-get update -qq >/dev/null 2>&1 || say "the package lists can't be read anew; what is installed may be old"
}

# apt PACKAGE...: install quietly when we may, else say how.
apt() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $*"
        refreshed
        # whoever else installs just now is waited for
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 "$@" >/dev/null
    else
        say "missing: $*. Install with: sudo apt-get install $*"
        return 1
    fi
}

# unpacked PROGRAM: the program of Debian's package of the same name, beside the environment's own.
unpacked() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    say "unpacking $1"
    place=$(mktemp -d)
    refreshed
    (cd "$place" && apt-get download -qq "$1" >/dev/null 2>&1 &&
        dpkg-deb -x "$1"_*.deb . && cp "usr/bin/$1" "$OLDPWD/$venv/bin/$1") || { rm -rf "$place"; return 1; }
    rm -rf "$place"
}

# pip ENVIRONMENT ARGUMENT...: install into it, over a network that may be slow.
pip() {
    environment=$1
    shift
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --retries 10 --timeout 60 "$@"
}

# stale STAMP CONTENT: is what the stamp stands for still to be done? Every stamp says for which files it was done.
stale() { [ "$(cat "$1" 2>/dev/null || true)" != "$2" ]; }

# extra NAME GROUP: an environment in the large one, for programs that want other versions than ours.
extra() {
    stale "$venv/$1/.setup" "$wanted" || return 0
    say "installing $1 ($venv/$1)"
    rm -rf "${venv:?}/$1"
    "$venv/bin/python" -m venv "$venv/$1" || return 1
    case $pins in
        pinned) pip "$venv/$1" --only-binary :all: --require-hashes -r "pins/$2.txt" ;;
        *) pip "$venv/$1" --upgrade pip && pip "$venv/$1" --group "$2" ;;
    esac || return 1
    printf '%s' "$wanted" >"$venv/$1/.setup"
}

# new_firefox: is there a Firefox that the tests can drive?
oldest_firefox=$(sed -n "s/^OLDEST_FIREFOX = //p" tests/support/browser.py)
new_firefox() {
    for name in firefox-esr firefox; do
        command -v "$name" >/dev/null || continue
        major=$("$name" --version 2>/dev/null | sed -n 's/.*Firefox \([0-9]*\).*/\1/p')
        [ "${major:-0}" -lt "$oldest_firefox" ] || return 0
        return 1
    done
    return 1
}

# What the resolver finds for the lowest versions that we claim; tools that only test may be newer.
lowest() {
    extra uv pins || return 1
    "$venv/uv/bin/uv" pip compile --quiet --resolution lowest-direct --python "$venv/bin/python" --no-emit-package sealdex \
        --all-extras pyproject.toml client/pyproject.toml --output-file "$venv/lowest.txt" || return 1
    pip "$venv" -r "$venv/lowest.txt" || return 1
    pip "$venv" --constraint "$venv/lowest.txt" --group build --group test
}

python=
for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    apt python3 && python=python3
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        { say "Python 3.10 or later is needed; name one with PYTHON=/path/to/python3"; exit 1; }
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "making $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 ||
        { rm -rf "$venv"; apt python3-venv && "$python" -m venv "$venv"; } ||
        { say "can't make a virtual environment: the venv module is missing"; exit 1; }
fi

# One stamp a purpose: the files that say what is installed; what is newest is asked for once a day.
# What an editable install says of its version is written when it is made.
wanted=$({ cat pyproject.toml client/pyproject.toml scripts/setup.sh pins/*.txt; grep __version__ client/sealdex/__init__.py; } | cksum)
[ "$pins" != newest ] || wanted="$wanted $(date +%F)"

if [ "$what" = pins ]; then
    extra uv pins
    exit
fi

case $what in demo) packages=builder ;; *) packages=test ;; esac
stamp=$venv/.setup-$packages
if stale "$stamp" "$wanted" && { [ $packages = test ] || stale "$venv/.setup-test" "$wanted"; }; then
    say "installing Python packages ($venv)"
    case $pins in
        pinned)
            pip "$venv" --only-binary :all: --require-hashes -r pins/build.txt
            pip "$venv" --only-binary :all: --require-hashes -r "pins/$packages.txt"
            ;;
        newest)
            groups="--group build"
            [ $packages = builder ] || groups="$groups --group dev"
            pip "$venv" --upgrade pip
            # shellcheck disable=SC2086  # one word an argument
            pip "$venv" --upgrade --upgrade-strategy eager -e client -e . $groups
            ;;
        lowest)
            pip "$venv" --upgrade pip
            lowest
            ;;
    esac
    # both come from here, built by the hatchling that was just installed
    pip "$venv" --no-deps --no-build-isolation -e client -e .
    missing=$("$venv/bin/python" -m pip check --disable-pip-version-check) ||
        { say "$missing"; say "that isn't what pyproject.toml asks for; after a change of it run: make pins"; exit 1; }
    printf '%s' "$wanted" >"$stamp"
fi

if [ "$what" != demo ]; then
    command -v node >/dev/null && command -v npm >/dev/null || apt nodejs npm ||
        say "without node and npm the tests with tuf-js are skipped (in CI they fail)"
    command -v unzip >/dev/null || apt unzip || true
    command -v faketime >/dev/null || apt faketime || true
    command -v xz >/dev/null || apt xz-utils || true
    command -v bzip2 >/dev/null || apt bzip2 || true
    command -v zsh >/dev/null && command -v fish >/dev/null || apt zsh fish ||
        say "without zsh and fish the tests of their completion are skipped (in CI they fail)"
    command -v njs >/dev/null || apt njs ||
        say "without njs the functions of CloudFront aren't run in its kind of engine, and skipped (in CI they fail)"
    command -v rubocop >/dev/null || apt rubocop ||
        say "without rubocop the Homebrew formula isn't looked at (in CI it has to be)"
    command -v dpkg-parsechangelog >/dev/null || apt dpkg-dev ||
        say "without dpkg-dev the Debian package isn't looked at (in CI it has to be)"
    # Debian keeps nginx where ordinary users don't look
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null || apt nginx-light || true
    # unpacked, not installed: the package would start a registry for the whole network; the tests run their own
    command -v docker-registry >/dev/null || [ -x "$venv/bin/docker-registry" ] || unpacked docker-registry ||
        say "without docker-registry the tests of container registries are skipped (in CI they fail)"
    command -v softhsm2-util >/dev/null && command -v pkcs11-tool >/dev/null || apt softhsm2 opensc ||
        say "without softhsm2 and opensc the tests of PKCS#11 keys are skipped (in CI they fail)"
    # an emulation of AWS in an environment of its own: it wants another botocore than ours
    extra ministack kms || say "without ministack the tests of AWS KMS keys are skipped (in CI they fail)"
    # what a registry's workflows install is installed by a test, without a network
    if stale "$venv/wheels/.setup" "$wanted"; then
        rm -rf "$venv/wheels"
        "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --retries 10 --timeout 60 \
            --only-binary :all: --require-hashes -r pins/builder.txt --dest "$venv/wheels"
        printf '%s' "$wanted" >"$venv/wheels/.setup"
    fi
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
        apt chromium || say "without chromium the tests of the browse site are skipped (in CI they fail)"
    new_firefox || apt firefox-esr ||
        say "without a Firefox from $oldest_firefox on the tests of the browse site in it are skipped (in CI they fail)"
    # the node that playwright brings along is linked with it
    find /lib /usr/lib /usr/lib64 -maxdepth 2 -name 'libatomic.so.1' 2>/dev/null | grep -q . || apt libatomic1 ||
        say "without libatomic1 playwright doesn't start, and the tests of the browse site fail"
fi
if [ "$what" = bench ]; then
    # the client with its own packages alone, as users have it
    extra client-alone client || say "without the client's own environment first-second and agents can't be measured"
    # the peers; Debian keeps nginx where ordinary users don't look
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null || apt nginx-light
    command -v curl >/dev/null || apt curl
    command -v unzip >/dev/null || apt unzip
    command -v createrepo_c >/dev/null || apt createrepo-c
    command -v apt-ftparchive >/dev/null || apt apt-utils
    command -v zsync >/dev/null || apt zsync
    command -v wrk >/dev/null || apt wrk
fi
