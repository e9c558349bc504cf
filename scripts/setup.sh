#!/bin/sh
# Makes .venv with both distributions and what `make demo` (argument: demo) or `make test` (argument: test) need.
# Runs again only what changed. Installs Debian packages only as root; otherwise says which line would.
set -eu
cd "$(dirname "$0")/.."
what=${1:-demo}

say() { printf 'setup: %s\n' "$*" >&2; }

# apt PACKAGE...: install quietly when we may, else say how.
apt() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $*"
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
    else
        say "missing: $*. Install with: sudo apt-get install $*"
        return 1
    fi
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

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv >/dev/null 2>&1 ||
        { rm -rf .venv; apt python3-venv && "$python" -m venv .venv; } ||
        { say "can't make a virtual environment: the venv module is missing"; exit 1; }
fi

# One stamp a purpose: the files that say what is installed.
stamp=.venv/.setup-$what
wanted=$(cat pyproject.toml client/pyproject.toml scripts/setup.sh | cksum)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    say "installing Python packages (.venv)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    groups=
    [ "$what" = demo ] || groups="--group dev"
    # shellcheck disable=SC2086  # no group is no argument
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e client -e . $groups
    printf '%s' "$wanted" >"$stamp"
fi

if [ "$what" != demo ]; then
    command -v node >/dev/null && command -v npm >/dev/null || apt nodejs npm ||
        say "without node and npm the tests with tuf-js are skipped (in CI they fail)"
    command -v unzip >/dev/null || apt unzip || true
    command -v faketime >/dev/null || apt faketime || true
    # Debian keeps nginx where ordinary users don't look
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null || apt nginx-light || true
    command -v softhsm2-util >/dev/null && command -v pkcs11-tool >/dev/null || apt softhsm2 opensc ||
        say "without softhsm2 and opensc the tests of PKCS#11 keys are skipped (in CI they fail)"
    # an emulation of AWS in an environment of its own: it wants another botocore than ours
    [ -x .venv/ministack/bin/ministack ] || {
        .venv/bin/python -m venv .venv/ministack &&
            .venv/ministack/bin/python -m pip install --quiet --disable-pip-version-check ministack cryptography
    } || say "without ministack the tests of AWS KMS keys are skipped (in CI they fail)"
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
        apt chromium || say "without chromium the tests of the browse site are skipped (in CI they fail)"
fi
if [ "$what" = bench ]; then
    # the peers; Debian keeps nginx where ordinary users don't look
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null || apt nginx-light
    command -v curl >/dev/null || apt curl
    command -v unzip >/dev/null || apt unzip
    command -v createrepo_c >/dev/null || apt createrepo-c
    command -v apt-ftparchive >/dev/null || apt apt-utils
    command -v zsync >/dev/null || apt zsync
    command -v wrk >/dev/null || apt wrk
fi
