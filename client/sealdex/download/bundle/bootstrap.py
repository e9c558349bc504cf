"""The program of a bundle that has the client: ``python3 bundle.pyz install --root FILE``. The standard library alone.

Compiled modules can't be imported out of a zip, so the wheels that fit this host are unpacked below the user's cache,
once for each build and Python; another process that does so at the same time is harmless. ``install`` is
``sealdex bundle install`` of this file; all other words are those of ``sealdex``.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import runpy
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

AS_MODULE = "--run-module"
HEAD = "sealdex-bundle.json"


def main() -> None:
    """Run the command line; with ``--run-module NAME`` first, a module of ours, as supervisors of services are."""
    major, minor = sys.version_info[:2]
    if (major, minor) < (3, 10):
        sys.exit(f"error: the client needs Python 3.10 or newer, and this is {major}.{minor}")
    file = Path(sys.argv[0]).resolve()
    with zipfile.ZipFile(file) as archive:
        folder = str(unpacked(archive, json.loads(archive.read(HEAD))["client"]))
    # another installation of this host must not answer for what is carried here, and what the host sets isn't asked
    sys.path[:] = [folder, *(path for path in sys.path if path != str(file) and path != sys.argv[0])]
    sys.modules["__main__"].__dict__["SEALDEX_ONE_FILE"] = str(file)
    if sys.argv[1:2] == [AS_MODULE]:
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=False)
        return
    if sys.argv[1:2] == ["install"]:
        sys.argv[1:2] = ["bundle", "install", str(file)]
    command = importlib.import_module("sealdex.cli.main")  # found there only now
    sys.exit(getattr(command, "program", command.main)())  # version 0.1.0, which may be carried, has no `program`


def unpacked(archive: zipfile.ZipFile, client: dict[str, Any]) -> Path:
    """Return the folder that holds the client; made if it isn't there."""
    import wheel_tags  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  # beside this in the zip

    host = wheel_tags.this_host()
    if f"{host.python[0]}.{host.python[1]} {host.platform}" not in client["runs_on"]:
        sys.exit(f"error: the client in this bundle runs on Python {', '.join(client['runs_on'])}; this is {host}")
    folder = cache() / f"{client['build']}-{host.abi or sys.implementation.cache_tag}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{client['build'][:12]}-", dir=folder.parent))
    try:
        for wheel in chosen(client["wheels"], host, wheel_tags):
            data = archive.read(f"client/{wheel['file']}")
            if hashlib.sha256(data).hexdigest() != wheel["sha256"]:
                sys.exit(f"error: {wheel['file']} in this bundle is damaged: copy it again, and check its SHA-256")
            with zipfile.ZipFile(io.BytesIO(data)) as content:
                content.extractall(temporary / "site")
        try:
            (temporary / "site").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def chosen(wheels: list[dict[str, Any]], host: Any, tags: Any) -> list[dict[str, Any]]:
    """Return the wheel of each project that this host needs, the one that is closest to it."""
    best: dict[str, tuple[Any, dict[str, Any]]] = {}
    needed = set()
    for wheel in wheels:
        if f"{host.python[0]}.{host.python[1]} {host.platform}" not in wheel["hosts"]:
            continue
        name = tags.parse_wheel_name(wheel["file"])
        needed.add(name.project)
        rank = tags.rank(name, host)
        if rank is not None and (name.project not in best or rank > best[name.project][0]):
            best[name.project] = (rank, wheel)
    if lacking := sorted(needed - set(best)):
        libc = f" with glibc {host.glibc[0]}.{host.glibc[1]}" if host.glibc else ""
        sys.exit(f"error: no wheel of {', '.join(lacking)} in this bundle runs here: {host}{libc}")
    return [wheel for _, wheel in best.values()]


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
