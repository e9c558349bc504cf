"""The peers: the programs, their versions, and the packages they index."""

from __future__ import annotations

import os
import platform
import random
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.debfile import write_deb
from benchmarks.harness import Command
from benchmarks.rpmfile import write_rpm

# Both indexers are asked for the least that a client needs, which is also the fastest they go: no SQLite copy, SHA-256
# alone of the four digests. Neither signs what it writes; publishing here does, and is not given credit for it.
CREATEREPO = ("createrepo_c", "--quiet", "--no-database")
FTPARCHIVE = (
    "apt-ftparchive",
    *(option for digest in ("MD5", "SHA1", "SHA512") for option in ("-o", f"APT::FTPArchive::{digest}=0")),
)

DEBIAN_PACKAGES = {
    "createrepo_c": "createrepo-c",
    "apt-ftparchive": "apt-utils",
    "nginx": "nginx-light",
    "curl": "curl",
    "unzip": "unzip",
    "sha256sum": "coreutils",
    "zsync": "zsync",
    "zsyncmake": "zsync",
    "wrk": "wrk",
    "rclone": "rclone",
}

_VERSION_ARGUMENTS = {
    "createrepo_c": "--version",
    "apt-ftparchive": "--version",
    "nginx": "-v",
    "curl": "--version",
    "unzip": "-v",
    "sha256sum": "--version",
    "zsync": "-V",
    "wrk": "-v",
    "uv": "--version",
    "rclone": "--version",
}


class PeerMissingError(RuntimeError):
    """A peer isn't installed; the message says how it is."""


def need(*programs: str) -> None:
    """Make sure that programs are there.

    Raises:
        PeerMissingError: one isn't.
    """
    missing = [program for program in programs if find(program) is None]
    if missing:
        packages = [DEBIAN_PACKAGES[program] for program in missing if program in DEBIAN_PACKAGES]
        command = f"sudo apt-get install {' '.join(packages)}" if packages else "scripts/setup.sh test"
        raise PeerMissingError(f"missing: {', '.join(missing)}. Install with: {command}")


def find(program: str) -> str | None:
    """Return where a program is: beside this Python, on the path, or where Debian keeps nginx."""
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")
    return shutil.which(program, path=os.pathsep.join(folders))


def versions() -> str:
    """Return the versions of the peers that are installed, in one line."""
    found = []
    for program, argument in _VERSION_ARGUMENTS.items():
        path = find(program)
        if path is not None:
            done = subprocess.run([path, argument], capture_output=True, text=True, check=False)
            found.append(f"{program} {_version_in(done.stdout or done.stderr)}")
    return ", ".join(found)


def machine() -> str:
    """Return what the figures were measured on, in one line."""
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return f"{cores} cores, {system}, Python {platform.python_version()}"


def _version_in(output: str) -> str:
    words = output.replace("/", " ").replace("(", " ").split()
    bare = (word.strip(",").removeprefix("v") for word in words)
    return next((word for word in bare if word[:1].isdigit()), "of unknown version")


SMALL_BYTES = 1_000


def write_packages(folder: Path, count: int, *, kind: str, content_bytes: int = SMALL_BYTES) -> None:
    """Write ``count`` distinct packages (``rpm`` or ``deb``) of one file and two dependencies each."""
    folder.mkdir(parents=True)
    for number in range(count):
        write_package(folder, number, count, kind=kind, content_bytes=content_bytes)


def write_package(
    folder: Path, number: int, count: int, *, kind: str, content_bytes: int = SMALL_BYTES, version: str | None = None
) -> None:
    """Write package ``number`` of ``count``, with a file that doesn't compress; the same arguments, the same bytes."""
    content = random.Random(number).randbytes(content_bytes)
    requires = [f"package-{number * factor % count:06d}" for factor in (3, 7)]
    write = {"rpm": write_rpm, "deb": write_deb}[kind]
    write(folder, f"package-{number:06d}", version or f"1.{number % 7}.0", content, requires)


def createrepo(folder: Path, *, update: bool = False, listed: bool = False) -> Command:
    """Index a folder of .rpm files into its ``repodata/``; with ``update``, on top of what is there.

    createrepo_c finds the packages itself, in a time that grows with the square of their number; told their names
    (``listed``), it doesn't look. Writing the list isn't part of what is measured.
    """
    options = ["--update"] if update else []
    if listed:
        names = folder.with_suffix(".list")
        names.write_text("".join(f"{name}\n" for name in sorted(path.name for path in folder.glob("*.rpm"))))
        options += ["--pkglist", str(names)]
    return Command([*CREATEREPO, *options, str(folder)], folder.parent)


def ftparchive(folder: Path, *, cache: Path | None = None) -> Command:
    """Index a folder of .deb files into a file ``Packages`` beside it; with ``cache``, a database of what it knows."""
    options = ["--db", str(cache)] if cache else []
    script = 'out=$1; shift; exec "$@" >"$out"'
    output = str(folder.parent / "Packages")
    return Command(["sh", "-c", script, "sh", output, *FTPARCHIVE, *options, "packages", folder.name], folder.parent)


def indexed(folder: Path, *, kind: str) -> int:
    """Return how many packages the index of a folder names: that a peer did its work is checked, not assumed."""
    if kind == "deb":
        with (folder.parent / "Packages").open() as packages:
            return sum(line.startswith("Package: ") for line in packages)
    head = (folder / "repodata" / "repomd.xml").read_text()
    if "primary" not in head:
        return 0
    listed = subprocess.run(
        ["sh", "-c", "gzip -dc repodata/*-primary.xml.gz | grep -c '<package type='"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(listed.stdout)
