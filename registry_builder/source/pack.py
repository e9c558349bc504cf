"""Packing a folder into a zip reproducibly: same input, same bytes.

Names are sorted, times fixed to the first that zip can express, modes normalised to 0644 and 0755, and no extra field
is written. (Deflate is zlib's default level, by the zlib of the Python at hand: another zlib may pack differently,
never unpack differently.) Entries keep the rules of `sealdex.archive.entries`, so they can be unpacked everywhere.

What isn't packed: `DEFAULT_IGNORES`, then what the folder's ``.sealdexignore`` says, in the syntax of ``.gitignore``;
its ``!pattern`` takes something back in. Empty folders are left out, as git leaves them out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pathspec

from registry_builder.source.archives import name_warnings
from sealdex.archive.entries import FILE, RECEIPT_FOLDER, SYMLINK, TreeRules, path_problem, symlink_problem
from sealdex.archive.windows_names import windows_problem
from sealdex.errors import ConfigError, UsageError

CHECKSUM_NAME = "checksum.sha256"
IGNORE_FILE = ".sealdexignore"
DEFAULT_IGNORES = (
    ".git/", ".hg/", ".svn/", ".gitignore", ".gitattributes", IGNORE_FILE,
    "__pycache__/", "*.pyc", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".venv/",
    ".DS_Store", "Thumbs.db", "desktop.ini", "*~", ".*.swp",
)  # fmt: skip
_FIRST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PackedFile:
    """One entry to be: ``content`` is a file's path, or bytes that packing adds, or what a link points to."""

    name: str
    mode: int
    content: Path | bytes
    is_link: bool = False


@dataclass(frozen=True)
class Packed:
    """The archive that was written.

    Attributes:
        path: the zip.
        size, sha256: bytes and digest.
        files: names of its entries, in order.
        warnings: what works on some hosts alone.
    """

    path: Path
    size: int
    sha256: str
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class UnpackableError(ConfigError):
    """The folder holds what can't be packed; ``problems`` names every place."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        super().__init__(
            "can't be packed: " + "; ".join(problems),
            subject=str(folder),
            untouched="no archive was written",
            hint=f"remove these, or leave them out with a line in {IGNORE_FILE}",
        )
        self.problems = tuple(problems)


def list_files(folder: Path, *, windows: bool = True) -> list[PackedFile]:
    """Return what of a folder is packed, sorted by name.

    Args:
        folder: what is packed.
        windows: whether it may be installed there, so that names which Windows can't hold are refused.

    Raises:
        UsageError: it is no folder.
        UnpackableError: links that leave the folder, devices, names that are unsafe somewhere; all are named.
    """
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is no folder", untouched="no archive was written")
    lines = list(DEFAULT_IGNORES)
    ignore_file = folder / IGNORE_FILE
    if ignore_file.is_file():
        lines += ignore_file.read_text(encoding="utf-8").splitlines()
    ignored = pathspec.GitIgnoreSpec.from_lines(lines)
    found: list[PackedFile] = []
    problems: list[str] = []
    _collect(folder, "", ignored, found, problems)
    found.sort(key=lambda file: file.name.encode(errors="surrogateescape"))
    rules = TreeRules()
    for file in found:
        problem = path_problem(file.name) or (windows_problem(file.name) if windows else None)
        problem = problem or rules.add(file.name, SYMLINK if file.is_link else FILE)
        if problem is None and file.name.split("/", 1)[0].casefold() == RECEIPT_FOLDER:
            problem = f"is in {RECEIPT_FOLDER}/, which is reserved for Sealdex"
        if problem:
            problems.append(f"{file.name!a} {problem}")
    if problems:
        raise UnpackableError(folder, problems)
    return found


def _collect(
    folder: Path, prefix: str, ignored: pathspec.GitIgnoreSpec, found: list[PackedFile], problems: list[str]
) -> None:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            name = prefix + entry.name
            if entry.is_symlink():
                if not ignored.match_file(name):
                    _add_link(Path(entry.path), name, found, problems)
            elif entry.is_dir():
                if not ignored.match_file(name + "/"):
                    _collect(Path(entry.path), name + "/", ignored, found, problems)
            elif ignored.match_file(name):
                continue
            elif entry.is_file():
                mode = 0o755 if entry.stat().st_mode & stat.S_IXUSR else 0o644
                found.append(PackedFile(name, mode, Path(entry.path)))
            else:
                problems.append(f"{name!a} is no file, folder or link")


def _add_link(path: Path, name: str, found: list[PackedFile], problems: list[str]) -> None:
    target = os.readlink(path).replace(os.sep, "/")  # noqa: PTH115  # Path.readlink would normalise what is stored
    if problem := symlink_problem(name, target):
        problems.append(f"{name!a} {problem}")
    elif not path.exists():
        problems.append(f"{name!a} is a link to {target!a}, which isn't there")
    else:
        found.append(PackedFile(name, 0o777, target.encode(), is_link=True))


def pack(
    folder: Path,
    target: Path,
    *,
    added: Mapping[str, bytes] | None = None,
    checksums: bool = False,
    accept: Callable[[Path, str], None] | None = None,
    windows: bool = True,
) -> Packed:
    """Write a folder's files to a zip, which appears under its name only when it is whole.

    Args:
        folder: what is packed.
        target: the zip; an existing one is replaced.
        added: entries beyond the folder's files, by name; they stand for a file of that name.
        accept: called with the archive and its SHA-256 before it gets its name; raises to refuse it.
        checksums: whether to add ``checksum.sha256``, one line a file in the form that ``sha256sum -c`` reads.
        windows: whether it may be installed there.

    Raises:
        UsageError: it is no folder.
        UnpackableError: it holds what can't be packed.
    """
    extra = dict(added or {})
    replaced = {*extra, CHECKSUM_NAME} if checksums else set(extra)
    files = [file for file in list_files(folder, windows=windows) if file.name not in replaced]
    files += (PackedFile(name, 0o644, content) for name, content in extra.items())
    files.sort(key=lambda file: file.name.encode())
    if checksums:
        files.append(PackedFile(CHECKSUM_NAME, 0o644, _checksum_lines(files)))
        files.sort(key=lambda file: file.name.encode())
    if not files:
        raise UnpackableError(folder, ["there is no file in it"])
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in files:
                    _write(archive, file)
            size, sha256 = stream.seek(0, os.SEEK_END), _digest_of(stream)
        if accept is not None:
            accept(Path(part), sha256)
        Path(part).chmod(0o644)
        Path(part).replace(target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    kinds = [(file.name, SYMLINK if file.is_link else FILE) for file in files]
    warnings = name_warnings(kinds, windows=windows)
    return Packed(target, size, sha256, tuple(file.name for file in files), tuple(warnings))


def _checksum_lines(files: list[PackedFile]) -> bytes:
    lines = []
    for file in files:
        if file.is_link:
            continue  # its target has a line of its own
        if isinstance(file.content, bytes):
            digest = hashlib.sha256(file.content).hexdigest()
        else:
            with file.content.open("rb") as stream:
                digest = _digest_of(stream)
        lines.append(f"{digest}  {file.name}\n")
    return "".join(lines).encode()


def _digest_of(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _write(archive: zipfile.ZipFile, file: PackedFile) -> None:
    entry = zipfile.ZipInfo(file.name, date_time=_FIRST_ZIP_TIME)
    entry.create_system = _UNIX
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = ((stat.S_IFLNK if file.is_link else stat.S_IFREG) | file.mode) << 16
    if isinstance(file.content, bytes):
        if file.is_link:
            entry.compress_type = zipfile.ZIP_STORED  # readers expect a link's target as it is
        archive.writestr(entry, file.content)
        return
    with file.content.open("rb") as source:
        entry.file_size = os.fstat(source.fileno()).st_size  # decides about zip64 before the first byte
        with archive.open(entry, "w") as sink:
            shutil.copyfileobj(source, sink, _CHUNK_BYTES)


__all__ = [
    "CHECKSUM_NAME",
    "DEFAULT_IGNORES",
    "IGNORE_FILE",
    "Packed",
    "PackedFile",
    "UnpackableError",
    "list_files",
    "pack",
]
