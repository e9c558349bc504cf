"""Makes one file of the client and all that it needs, for this Python and system: `make onefile`.

    python scripts/onefile.py [--dist dist] [--out dist] [--wheels FOLDER]      after scripts/dist.py build

The same wheels give the same bytes. Packages are those of pins/client.txt, from FOLDER alone where it is given.
"""

from __future__ import annotations

import hashlib
import os
import runpy
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MAIN = Path(__file__).with_name("onefile_main.py")
_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}  # notes of pip, which say where and when it ran


def make(out: Path, client: Path, wheels: Path | None = None) -> Path:
    """Make the file from the client's wheel; return its path.

    Args:
        out: the folder that gets it.
        client: the wheel.
        wheels: a folder with the pinned packages; the index is asked when left out.
    """
    with tempfile.TemporaryDirectory(prefix="sealdex-one-file-") as temporary:
        site = Path(temporary)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        source = ["--no-index", "--find-links", str(wheels)] if wheels else ["--only-binary", ":all:"]
        pins = ["--require-hashes", "-r", str(REPOSITORY / "pins" / "client.txt")]
        subprocess.run([*pip, "--target", temporary, *source, *pins], check=True)
        subprocess.run([*pip, "--target", temporary, "--no-index", "--no-deps", "--upgrade", str(client)], check=True)
        files = {f"site/{path.relative_to(site).as_posix()}": path.read_bytes() for path in kept(site)}
    version = client.name.split("-")[1]
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    target = out / f"sealdex-{version}-{tag}.pyz"
    with target.open("wb") as stream:
        stream.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in [("__main__.py", program(files)), *sorted(files.items())]:
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o100644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
    target.chmod(0o755)
    return target


def kept(site: Path) -> list[Path]:
    """Return the files that are carried."""
    return [
        path
        for path in site.rglob("*")
        if path.is_file()
        and path.name not in _LEFT_OUT
        and path.relative_to(site).parts[0] != "bin"
        and path.suffix != ".pyc"
    ]


def program(files: dict[str, bytes]) -> bytes:
    """Return the `__main__`, told which build it is: the digest of all names and contents."""
    text = MAIN.read_text(encoding="utf-8")
    build = hashlib.sha256(text.encode())
    for name, content in sorted(files.items()):
        build.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    told = {
        "@BUILD@": build.hexdigest(),
        "@PYTHON@": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "@PLATFORM@": f"{sys.platform} {os.uname().machine}" if hasattr(os, "uname") else sys.platform,
    }
    for word, value in told.items():
        text = text.replace(word, value)
    return text.encode()


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("program.py")))["run"](make, __doc__)
