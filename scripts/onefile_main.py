"""The `__main__` of the one file: unpacks what it carries once, into the user's cache, and runs `sealdex` from there.

Compiled modules can't be imported out of a zip, so everything is unpacked below the build's own id. Another process
that does so at the same time is harmless: whoever renames first wins.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

BUILD = "@BUILD@"
PYTHON = "@PYTHON@"
PLATFORM = "@PLATFORM@"
AS_MODULE = "--run-module"


def main() -> None:
    """Run the command line; with ``--run-module NAME`` first, a module of ours, as supervisors of services are."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    system = f"{sys.platform} {os.uname().machine}" if hasattr(os, "uname") else sys.platform
    if (here, system) != (PYTHON, PLATFORM):
        sys.exit(f"error: this file is for Python {PYTHON} on {PLATFORM}, and this is Python {here} on {system}")
    file = Path(sys.argv[0]).resolve()
    # another installation of this host must not answer for what is carried here, and what the host sets isn't asked
    sys.path[0] = str(unpacked(file))
    sys.modules["__main__"].__dict__["SEALDEX_ONE_FILE"] = str(file)
    if sys.argv[1:2] == [AS_MODULE]:
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=False)
        return
    from sealdex.cli.main import program  # noqa: PLC0415  # found there only now

    sys.exit(program())


def unpacked(file: Path) -> Path:
    """Return the folder that holds what the file carries; made if it isn't there."""
    folder = cache() / BUILD
    if folder.is_dir():
        return folder
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{BUILD[:12]}-", dir=folder.parent))
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(temporary, [name for name in archive.namelist() if name.startswith("site/")])
        try:
            (temporary / "site").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def cache() -> Path:
    """Return where unpacked files lie: ``SEALDEX_ONE_FILE_CACHE``, else the user's cache folder."""
    named = os.environ.get("SEALDEX_ONE_FILE_CACHE")
    base = (
        Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sealdex-one-file"
    )
    if not base.is_absolute():
        sys.exit(f"error: {base} isn't an absolute path: set SEALDEX_ONE_FILE_CACHE to one")
    return base


if __name__ == "__main__":
    main()
