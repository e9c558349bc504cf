#!/bin/sh
# Builds the images of packaging/docker with buildah, which needs no daemon, and tries them: `make images`.
#
#     sudo scripts/images.sh           the base is a Debian 13 with Python that is made here, by debootstrap
#     BASE=python@sha256:… scripts/images.sh      or one that buildah pulls
#
# After scripts/dist.py build. WORK names a folder for images and roots (build/images).
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
work=${WORK:-$here/build/images}
python=${PYTHON:-$here/.venv/bin/python}
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"

say() { printf 'images: %s\n' "$*" >&2; }

command -v buildah >/dev/null || { say "buildah is missing: apt-get install buildah"; exit 1; }
mkdir -p "$work"
b() {
    what=$1
    shift
    buildah --root "$work/storage" --runroot "$work/run" "$what" "$@"
}

if [ -z "${BASE:-}" ]; then
    [ "$(id -u)" = 0 ] || { say "without BASE one is made by debootstrap, which needs root"; exit 1; }
    . "$here/scripts/bare_root.sh"
    say "making a base of Debian 13"
    bare_root trixie "$work/base" main ca-certificates,python3,python3-venv,python-is-python3
    container=$(b from scratch)
    b copy --quiet "$container" "$work/base" / >/dev/null
    b commit --quiet "$container" sealdex-base >/dev/null
    b rm "$container" >/dev/null
    BASE=localhost/sealdex-base
fi

# certificates of the way out, for the build alone
for image in client builder; do
    say "building $image"
    b build --quiet --build-arg "BASE=$BASE" --volume /etc/ssl/certs:/etc/ssl/certs:ro --tag "sealdex-$image" \
        --file "$here/packaging/docker/$image.Dockerfile" "$here" >"$work/$image.log" 2>&1 || { tail -30 "$work/$image.log" >&2; exit 1; }
    about=$(b inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' "sealdex-$image")
    case "$image $about" in
        "client 10001:10001 [sealdex]" | "builder 10001:10001 [sealdex-builder]") ;;
        *) say "$image would run as: $about"; exit 1 ;;
    esac
done

"$python" "$here/scripts/try_installed.py" "$work/registry"
chmod -R a+rX "$work/registry"
container=$(b from sealdex-client)
b run --volume "$work/registry:/registry:ro" "$container" -- sh -ec '
    [ "$(id -u):$(id -g)" = 10001:10001 ]
    if python -m pip --version 2>/dev/null; then echo "it has pip"; exit 1; fi
    if touch /opt/sealdex/x 2>/dev/null; then echo "its user may write to the program"; exit 1; fi
    sealdex --version
    sh /registry/try.sh'
b rm "$container" >/dev/null
container=$(b from sealdex-builder)
b run "$container" -- sh -ec '
    [ "$(id -u):$(id -g)" = 10001:10001 ]
    sealdex-builder --version
    cd "$(mktemp -d)"
    export SEALDEX_KEYS=$PWD/keys
    sealdex-builder init registry --dev-keys >/dev/null 2>&1
    sealdex-builder --tree registry new notify acme/slack >/dev/null
    sealdex-builder --tree registry pack acme/slack >/dev/null
    sealdex-builder --tree registry release acme/slack >/dev/null
    sealdex-builder --tree registry publish
    sealdex-builder --tree registry verify-published'
b rm "$container" >/dev/null
b images
say "both images were built on $BASE, run as 10001 and were tried"
