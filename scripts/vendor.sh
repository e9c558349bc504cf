#!/bin/sh
# Brings the JavaScript that the browse site carries into site_templates/vendor/, as npm publishes it. A package whose
# bytes aren't those named here is refused. To take another version: change both lines, run `make vendor`, run the tests.
set -eu
cd "$(dirname "$0")/.."
package=minisearch@7.2.0
integrity=sha512-dqT2XBYUOZOiC5t2HRnwADjhNS2cecp9u+TJRiJ1Qp/f5qjkeT5APcGPjHw+bz89Ms8Jp+cG4AlE+QZ/QnDglg==
into=site_templates/vendor

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack "$package" --silent --pack-destination "$work" >/dev/null
found=sha512-$(openssl dgst -sha512 -binary "$work"/*.tgz | base64 | tr -d '\n')
if [ "$found" != "$integrity" ]; then
    printf 'vendor: %s has the digest %s, expected %s; nothing was changed\n' "$package" "$found" "$integrity" >&2
    exit 1
fi
tar -xzf "$work"/*.tgz -C "$work"
mkdir -p "$into"
# The map that the last line names isn't served; a browser's developer tools would ask for it in vain.
sed '/^\/\/# sourceMappingURL=/d' "$work/package/dist/es/index.js" >"$into/minisearch.js"
cp "$work/package/LICENSE.txt" "$into/minisearch.LICENSE.txt"
printf '%s\n%s\n' "$package" "$integrity" >"$into/minisearch.version.txt"
printf 'vendor: %s is in %s\n' "$package" "$into" >&2
