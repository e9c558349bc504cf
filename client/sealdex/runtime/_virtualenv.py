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
from collections import deque
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from sealdex.errors import InstallError
from sealdex.runtime.process._group import ProcessGroup, pump
from sealdex.store.installations import Installation
from sealdex.store.layout import Store

REQUIREMENTS = "requirements.txt"
_WHOLE = ".sealdex-whole"
_LAST_LINES = 10


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
    interpreter, its_version = _interpreter(name)
    key = hashlib.sha256(b"%s\0%s" % (its_version.encode(), wanted)).hexdigest()[:16]
    folder = Path(store.environment_folder(installation.id, installation.version), key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{key}.lock")):
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        # an interpreter that was removed since, which it only links to, is replaced by the present one
        if not ((folder / _WHOLE).exists() and python.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _run([interpreter, "-m", "venv", str(folder)], installation.path, name, on_line)
                command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", REQUIREMENTS]
                _run(command, installation.path, name, on_line)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _WHOLE).touch()
    return folder


def _interpreter(name: str) -> tuple[str, str]:
    """Return the interpreter that makes environments, and what it says of its version: this one, where there is one."""
    if not getattr(sys, "frozen", False):
        return sys.executable, sys.version
    for found in filter(None, map(shutil.which, ("python3", "python"))):
        asked = subprocess.run([found, "-VV"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if asked.returncode == 0:
            return found, asked.stdout.decode(errors="replace")
    raise InstallError(
        f"the environment of {name} needs a Python, which this program doesn't have",
        subject=name,
        untouched="nothing was created",
        hint="install python3 with its module venv (on Debian python3-venv), or start it without --with-env",
    )


def _run(command: list[str], folder: Path, name: str, on_line: Callable[[str], None] | None) -> None:
    lines: deque[str] = deque(maxlen=_LAST_LINES)

    def told(line: str) -> None:
        lines.append(line.rstrip())
        if on_line is not None:
            on_line(line.rstrip())

    group = ProcessGroup(command, folder=folder, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        if group.process.stdout is None:
            raise AssertionError("unreachable: it is a pipe")
        pump(group.process.stdout, told)
        code = group.wait()
    finally:
        group.stop(0)
    if code:
        raise InstallError(
            f"creating the environment of {name} failed:\n" + "\n".join(lines),
            subject=name,
            untouched="the incomplete environment was removed; the installation was not changed",
            hint="check where pip installs from (pip config list)",
        )
