"""Makes a program of the client for hosts without Python: `make frozen`, with PyInstaller.

    python scripts/frozen.py [--dist dist] [--out dist] [--wheels FOLDER]      after scripts/dist.py build

An environment of its own gets the client's wheel, the packages of pins/client.txt and PyInstaller by pins/frozen.txt.
The program is made twice, with the same bytes. It runs on this processor, with a C library as new as this one.
"""

from __future__ import annotations

import os
import platform
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MAIN = Path(__file__).with_name("frozen_main.py")
EPOCH = "315532800"  # 1980-01-01: PyInstaller writes it where it would write the time
_OF_THIS_INSTALLATION = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")  # pip's: they depend on its folders
_LEFT_OUT = ("tkinter", "test", "unittest", "pydoc", "lib2to3", "setuptools", "pip", "sealdex.testing")


def make(out: Path, client: Path, wheels: Path | None = None) -> Path:
    """Make the program from the client's wheel, twice; return its path.

    Raises:
        RuntimeError: the two differ.
    """
    # each in an environment of its own, since what is written down may be a path of it
    made = [_made(client, wheels) for _ in range(2)]
    if made[0] != made[1]:
        raise RuntimeError("made twice, the program has other bytes")
    version = client.name.split("-")[1]
    ending = ".exe" if sys.platform == "win32" else ""
    target = out / f"sealdex-{version}-{sys.platform}-{platform.machine().lower()}{ending}"
    target.write_bytes(made[0])
    target.chmod(0o755)
    return target


def _made(client: Path, wheels: Path | None) -> bytes:
    with tempfile.TemporaryDirectory(prefix="sealdex-frozen-") as temporary:
        environment = Path(temporary, "environment")
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        source = ["--no-index", "--find-links", str(wheels)] if wheels else ["--only-binary", ":all:"]
        for name in ("client", "frozen"):
            pins = ["--require-hashes", "-r", str(REPOSITORY / "pins" / f"{name}.txt")]
            subprocess.run([*pip, *source, *pins], check=True)
        subprocess.run([*pip, "--no-index", "--no-deps", str(client)], check=True)
        (metadata,) = environment.rglob("sealdex-*.dist-info")
        for name in _OF_THIS_INSTALLATION:
            (metadata / name).unlink(missing_ok=True)
        return _freeze(python, Path(temporary, "work"))


def _freeze(python: Path, work: Path) -> bytes:
    command = [str(python), "-m", "PyInstaller", "--onefile", "--noconfirm", "--clean", "--log-level", "ERROR"]
    folders = ["--distpath", str(work / "dist"), "--workpath", str(work / "build"), "--specpath", str(work)]
    # commands, rooms and their parts are imported by name, when they are first used
    content = ["--collect-submodules", "sealdex", "--collect-data", "sealdex", "--copy-metadata", "sealdex"]
    for name in _LEFT_OUT:
        content += ["--exclude-module", name]
    variables = {**os.environ, "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": EPOCH, "PYINSTALLER_CONFIG_DIR": str(work)}
    variables.pop("PYTHONPATH", None)
    subprocess.run([*command, *folders, *content, "--name", "sealdex", str(MAIN)], check=True, env=variables)
    (made,) = (work / "dist").iterdir()
    return made.read_bytes()


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("program.py")))["run"](make, __doc__)
