"""Tools from npm that tests run: installed by `npm ci` into a folder with a lock file, once, whoever comes first."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from support.components import program


def installed(folder: Path) -> Path:
    """Return ``folder/node_modules``, complete; without node or npm see `components.missing`."""
    program("node", "install node 20")
    npm = program("npm", "install npm")
    modules = folder / "node_modules"
    with FileLock(folder / "node_modules.lock"):
        # npm writes this file last, so an installation that was interrupted is done again
        if not (modules / ".package-lock.json").exists():
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.fail(f"npm ci failed:\n{done.stderr}")
    return modules
