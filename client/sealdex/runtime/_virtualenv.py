"""A virtual environment of a release's own, from the ``requirements.txt`` of its package; only ever on request.

    <store>/envs/<namespace>/<name>/<version>/<digest>/    digest: of requirements.txt and the interpreter's version
    <store>/envs/<namespace>/<name>/<version>/<digest>.lock

An environment holds absolute paths, so it is made in its place, and a file written last says that it is whole. What pip
may install from is pip's configuration; requirements with ``--hash`` are checked by pip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from sealdex.errors import InstallError
from sealdex.store.installations import Installation
from sealdex.store.layout import Store

REQUIREMENTS = "requirements.txt"
_WHOLE = ".sealdex-whole"


def python_environment(store: Store, installation: Installation, on_line: Callable[[str], None] | None = None) -> Path:
    """Return the environment of an installation, made if it isn't there.

    Args:
        store: where.
        installation: whose ``requirements.txt``.
        on_line: told what pip prints.

    Raises:
        InstallError: there is no ``requirements.txt``, or making it failed; nothing half-made is kept.
    """
    name = f"{installation.namespace}/{installation.name} {installation.version}"
    requirements = Path(installation.path, REQUIREMENTS)
    try:
        wanted = requirements.read_bytes()
    except OSError as error:
        raise InstallError(
            f"{name} has no {REQUIREMENTS} to make an environment from",
            subject=str(requirements),
            untouched="nothing was made",
            hint="start it without --with-env",
        ) from error
    key = hashlib.sha256(b"%s\0%s" % (sys.version.encode(), wanted)).hexdigest()[:16]
    folder = Path(store.environment_folder(installation.id, installation.version), key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{key}.lock")):
        if not (folder / _WHOLE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _run([sys.executable, "-m", "venv", str(folder)], installation.path, name, on_line)
                python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
                command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", REQUIREMENTS]
                _run(command, installation.path, name, on_line)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _WHOLE).touch()
    return folder


def _run(command: list[str], folder: str, name: str, on_line: Callable[[str], None] | None) -> None:
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        lines: list[str] = []
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if on_line is not None:
                on_line(line.rstrip())
    if process.returncode:
        raise InstallError(
            f"making the environment of {name} failed:\n" + "\n".join(lines[-10:]),
            subject=name,
            untouched="the half-made environment was removed; the installation is as it was",
            hint="check what pip may install from (pip config list)",
        )
