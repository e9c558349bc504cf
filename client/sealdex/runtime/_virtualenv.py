"""A virtual environment for one release, from the ``requirements.txt`` of its package; only on request.

    <store>/envs/<namespace>/<name>/<version>/<digest>/    digest: of requirements.txt and the interpreter's version
    <store>/envs/<namespace>/<name>/<version>/<digest>.lock

An environment contains absolute paths, so it is created in place, and a file written last marks it as complete. pip's
own configuration decides where it installs from; pip checks requirements with ``--hash``.
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
    """Return the environment of an installation, creating it if necessary.

    Args:
        store: the store.
        installation: the installation with the ``requirements.txt``.
        on_line: called with each line that pip prints.

    Raises:
        InstallError: there is no ``requirements.txt``, or creating it failed; nothing incomplete is kept.
    """
    name = f"{installation.namespace}/{installation.name} {installation.version}"
    requirements = installation.path / REQUIREMENTS
    try:
        wanted = requirements.read_bytes()
    except OSError as error:
        raise InstallError(
            f"{name} has no {REQUIREMENTS} to create an environment from",
            subject=str(requirements),
            untouched="nothing was created",
            hint="start it without --with-env",
        ) from error
    key = hashlib.sha256(b"%s\0%s" % (sys.version.encode(), wanted)).hexdigest()[:16]
    folder = Path(store.environment_folder(installation.id, installation.version), key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{key}.lock")):
        if not (folder / _WHOLE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _run([sys.executable, "-m", "venv", str(folder)], os.fspath(installation), name, on_line)
                python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
                command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", REQUIREMENTS]
                _run(command, os.fspath(installation), name, on_line)
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
            f"creating the environment of {name} failed:\n" + "\n".join(lines[-10:]),
            subject=name,
            untouched="the incomplete environment was removed; the installation was not changed",
            hint="check where pip installs from (pip config list)",
        )
