"""Brings the packages that the Debian package carries, as pins/client.txt has them: for scripts/deb.sh.

    python scripts/deb_vendor.py DOWNLOADS OUT

What is compiled comes as source, the rest as wheels; each is unpacked to ``OUT/NAME-VERSION``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PINS = Path(__file__).resolve().parent.parent / "pins" / "client.txt"
PURE = ("tuf", "securesystemslib", "click", "filelock")
COMPILED = ("msgspec", "backports-zstd")
PYTHON = "3.13"
"""That of the Debian that the package is made for."""


def pinned(name: str) -> str:
    """Return the requirement of a package with its digests, for `PYTHON`."""
    text = re.sub(r"^\s*#.*\n", "", PINS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = re.findall(rf"^{name}==(?:.*\\\n)*.*\n", text, flags=re.MULTILINE)
    wanted = [each for each in found if "python_full_version < '3.11'" not in each.partition("\n")[0]]
    if len(wanted) != 1:
        sys.exit(f"deb_vendor: {PINS} has {len(wanted)} pins of {name} for Python {PYTHON}")
    return re.sub(r" ;[^\\\n]*", "", wanted[0])


def bring(names: tuple[str, ...], downloads: Path, *how: str) -> list[Path]:
    """Download packages; pip refuses other digests."""
    downloads.mkdir(parents=True, exist_ok=True)
    asked = downloads / "requirements.txt"
    asked.write_text("".join(map(pinned, names)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command = [*pip, *how, "--require-hashes", "-r", str(asked), "--dest", str(downloads)]
    subprocess.run(command, check=True)
    return sorted(path for path in downloads.iterdir() if path != asked)


def main() -> None:
    """Read the command line and do what it says."""
    downloads, out = map(Path, sys.argv[1:])
    shutil.rmtree(downloads, ignore_errors=True)
    for path in bring(PURE, downloads / "pure", "--only-binary", ":all:", "--python-version", PYTHON):
        name, version, _ = path.name.split("-", 2)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(out / f"{name}-{version}")  # noqa: S202  # a wheel by its digest
    for path in bring(COMPILED, downloads / "source", "--no-binary", ":all:"):
        with tarfile.open(path) as archive:
            archive.extractall(out, filter="data")  # likewise, and checked


if __name__ == "__main__":
    main()
