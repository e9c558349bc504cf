#!/bin/sh
# Writes pins/: every package that anything here installs, by version and digest, for every supported Python and system.
# Keeps the versions that are pinned and adds what is missing; UPGRADE=all takes the newest of everything, UPGRADE=NAME
# of one package. With the argument `node` only the lock files of node. Called by `make pins`. See pins/README.md.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/uv/bin/uv}

case ${UPGRADE:-} in
    "") upgrade= ;;
    all) upgrade=--upgrade ;;
    *) upgrade="--upgrade-package=$UPGRADE" ;;
esac

# compile FILE ARGUMENT...: no address of an index is written, and ours are installed from this tree.
compile() {
    file=$1
    shift
    # shellcheck disable=SC2086  # without an upgrade there is no argument
    "$uv" pip compile --quiet --universal --python-version 3.10 --generate-hashes --custom-compile-command "make pins" \
        --no-emit-index-url --no-emit-find-links --no-emit-package sealdex $upgrade --output-file "pins/$file.txt" "$@"
}

if [ "${1:-all}" = all ]; then
    # The largest set first: the others take what it took.
    compile test pyproject.toml client/pyproject.toml --all-extras --group dev
    compile builder-sigstore pyproject.toml client/pyproject.toml --extra sigstore --constraints pins/test.txt
    compile builder pyproject.toml client/pyproject.toml --constraints pins/test.txt
    compile client client/pyproject.toml --constraints pins/test.txt
    compile build --group build --constraints pins/test.txt
    compile pins --group pins --constraints pins/test.txt
    compile kms --group kms
    compile fuzz --group fuzz
    compile frozen --group frozen
fi

if command -v npm >/dev/null; then
    for folder in tests/interop/node tests/browser/node tests/builder/authoring/github/node tests/protos/node \
        benchmarks/node; do
        command=install
        [ "${UPGRADE:-}" != all ] || command=update
        (cd "$folder" && npm "$command" --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
            --no-audit --no-fund --loglevel=error >/dev/null)
    done
else
    echo "pins: npm is missing, so the lock files of node are left as they are" >&2
fi
