"""Makes a registry in a folder and the commands that try an installed `sealdex` on it: for deb.sh and images.sh.

    python scripts/try_installed.py FOLDER

``sh FOLDER/try.sh`` then installs from it, verifies, is refused a changed file, and runs a service in the background.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TRY = """\
# Tries the `sealdex` of this host on the registry beside this file; ends at the first thing that isn't as it should be.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
export SEALDEX_STORE="$work/store" SEALDEX_CONFIG="$work/config.toml"
sealdex registry add acme "file://$here/public/" --root "$here/1.root.json"
sealdex install acme/slack
sealdex verify
test -f "$(sealdex path acme/slack)/notify.py"
sealdex install acme/echo
sealdex run --detach acme/echo
for try in 1 2 3 4 5 6 7 8 9 10; do
    sealdex ps --json | grep -q '"running"' && break
    sleep 1
done
sealdex ps --json | grep -q '"running"'
sealdex stop acme/echo
chmod -R u+w "$work/store"
echo changed >> "$(sealdex path acme/slack)/notify.py"
if sealdex verify; then echo "a changed file was not noticed" >&2; exit 1; fi
rm -rf "$work"
echo "tried: installed, verified, run, stopped, and a changed file refused"
"""


def main() -> None:
    """Read the command line and do what it says."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    environment = {**os.environ, "SEALDEX_KEYS": str(folder / "keys"), "XDG_STATE_HOME": str(folder / "state")}

    def builder(*words: str) -> None:
        command = [sys.executable, "-m", "registry_builder", *words]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    builder("init", str(source), "--dev-keys")
    for kind, name in (("notify", "slack"), ("service", "echo")):
        builder("--tree", str(source), "new", kind, f"acme/{name}")
        builder("--tree", str(source), "pack", f"acme/{name}")
        builder("--tree", str(source), "release", f"acme/{name}")
    builder("--tree", str(source), "publish")
    shutil.move(source / "published", folder / "public")
    shutil.copyfile(source / "trust/public/1.root.json", folder / "1.root.json")
    for left in ("source", "keys", "state"):
        shutil.rmtree(folder / left, ignore_errors=True)
    (folder / "try.sh").write_text(TRY, encoding="utf-8")


if __name__ == "__main__":
    main()
