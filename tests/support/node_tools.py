"""Tools from npm that tests run: installed by `npm ci` into a folder with a lock file, once, whoever comes first."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from support.components import missing, program

OLDEST_NODE = 18  # Debian 12 has it; Ubuntu 22.04 has 12, which reads none of the tools


def node() -> str:
    """Return the path of a node that is new enough, or see `components.missing`."""
    found = program("node", f"install node {OLDEST_NODE} or later")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"v(\d+)\.", said)
    if version is None or int(version[1]) < OLDEST_NODE:
        missing("a newer node", f"install node {OLDEST_NODE} or later; {found} is {said.strip()}")
    return found


def installed(folder: Path) -> Path:
    """Return ``folder/node_modules``, as the lock file has it; without node or npm see `components.missing`."""
    node()
    npm = program("npm", "install npm")
    modules = folder / "node_modules"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = modules / ".lock-digest"
    with FileLock(folder / "node_modules.lock"):
        # written last, so an installation that was interrupted, or of another lock file, is done again
        if not stamp.exists() or stamp.read_text() != wanted:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.fail(f"npm ci failed:\n{done.stderr}")
            modules.mkdir(exist_ok=True)
            stamp.write_text(wanted)
    return modules


__all__ = ["installed", "node"]
