"""Both distributions as a release has them, built once in a run; and environments that have pip from here."""

from __future__ import annotations

import runpy
import shutil
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.made_once import made_once
from support.places import REPOSITORY

if TYPE_CHECKING:
    import pytest

DIST: dict[str, Any] = runpy.run_path(str(REPOSITORY / "scripts" / "dist.py"))


def built_release(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that `make dist` makes: sdists, wheels and SHA256SUMS, each built twice and compared."""
    return made_once(factory, "dist", lambda folder: DIST["build"](folder / "out")) / "out"


def environment_with_pip(folder: Path) -> None:
    """Make what ``python -m venv`` makes, with the pip of this environment: ``ensurepip`` takes four seconds."""
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for found in Path(sysconfig.get_path("purelib")).glob("pip*"):
        if found.name == "pip" or found.suffix == ".dist-info":
            shutil.copytree(found, packages / found.name)
    program = folder / "bin" / "pip"
    program.write_text(f"#!{folder}/bin/python\nfrom pip._internal.cli.main import main\nraise SystemExit(main())\n")
    program.chmod(0o755)
