"""Compares an installation with the list of files written when it was unpacked.

This finds accidents: a failing disk, a deleted or edited file. An attacker who can write to the store could change the
list too; the receipt's artifact digest, pinned by the signed index, protects against that.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from sealdex import disk
from sealdex.archive.tree_writer import UnpackedFile
from sealdex.model.decode import decode_as
from sealdex.store.hashing import hash_of_regular
from sealdex.store.installations import Damaged, Installation, files_list_path, find_installation
from sealdex.store.layout import MANIFEST_NAME, RECEIPT_FOLDER, RECEIPT_NAME, Store

_HAS_MODES = not disk.ON_WINDOWS

FindingKind = Literal["missing", "changed", "mode", "extra"]


class Finding(NamedTuple):
    """One difference: ``kind`` is ``missing``, ``changed``, ``mode`` or ``extra`` (not part of the plugin).

    ``path`` is relative to the installation's folder.
    """

    path: Path
    kind: FindingKind
    detail: str

    def __str__(self) -> str:
        return f"{self.path.as_posix()!a} {self.detail}"


def verify_installation(installation: Installation, *, quick: bool = False) -> list[Finding]:
    """Return all differences between an installation and its list of files; empty if there are none.

    Args:
        installation: read from its receipt.
        quick: compare kinds, sizes and modes only, without reading the files.
    """
    folder = installation.path
    data = _read_bytes(Path(files_list_path(installation)))
    if data is None:
        return [Finding(Path(RECEIPT_FOLDER, "files.json"), "missing", "is missing, so the files can't be compared")]
    if hashlib.sha256(data).hexdigest() != installation.files_sha256:
        return [Finding(Path(RECEIPT_FOLDER, "files.json"), "changed", "is not the one written at installation")]
    try:
        files = read_files_list(data)
    except msgspec.DecodeError:
        return [Finding(Path(RECEIPT_FOLDER, "files.json"), "changed", "is not a list of files")]
    return [*_manifest_differs(installation), *compare_tree(folder, files, quick=quick)]


def _manifest_differs(installation: Installation) -> Iterator[Finding]:
    path = installation.path / RECEIPT_FOLDER / MANIFEST_NAME
    # earlier versions kept none
    if os.path.lexists(path) and hash_of_regular(path) != installation.manifest_sha256:
        yield Finding(Path(RECEIPT_FOLDER, MANIFEST_NAME), "changed", "is not the one of the release")


def unreadable_finding(damaged: Damaged) -> Finding:
    """Return the finding for something that can't be read as an installation at all."""
    kind: FindingKind = "changed" if os.path.lexists(Path(damaged.path, RECEIPT_FOLDER, RECEIPT_NAME)) else "missing"
    return Finding(Path(RECEIPT_FOLDER, RECEIPT_NAME), kind, f"can't be read: {damaged.path} {damaged.why}")


def verify_standing(
    store: Store, installation: Installation, *, quick: bool = False
) -> tuple[Installation, list[Finding]] | None:
    """As `verify_installation`, but a removal or replacement by another process meanwhile isn't damage.

    Returns:
        The installation that is there now, and its differences; None if there no longer is one.
    """
    found: Installation | None = installation
    while found is not None:
        with suppress(FileNotFoundError):
            findings = verify_installation(found, quick=quick) if disk.ON_WINDOWS else _while_it_stands(found, quick)
            if findings is not None:
                return found, findings
        found = find_installation(store, found.id, found.version)
    return None


def _while_it_stands(installation: Installation, quick: bool) -> list[Finding] | None:
    # A version is removed by renaming its folder. While that is open here, no other folder can have its inode number.
    folder = os.open(installation, os.O_RDONLY)
    try:
        findings = verify_installation(installation, quick=quick)
        stands = not findings or os.path.samestat(os.fstat(folder), os.stat(installation))  # noqa: PTH116  # as fstat
        return findings if stands else None
    finally:
        os.close(folder)


def write_files_list(files: Iterable[UnpackedFile]) -> bytes:
    """Return the list of files as stored: JSON."""
    return msgspec.json.encode(list(files)) + b"\n"


def read_files_list(data: bytes) -> list[UnpackedFile]:
    """Decode what `write_files_list` made.

    Raises:
        msgspec.ValidationError: it has another form.
    """
    return decode_as(data, list[UnpackedFile])


def compare_tree(folder: Path, files: Iterable[UnpackedFile], *, quick: bool) -> Iterator[Finding]:
    """Yield the differences between a folder and its list; its receipt folder and empty folders don't count."""
    found = {path: info for path, info in _walk(folder) if path.split("/", 1)[0] != RECEIPT_FOLDER}
    for file in files:
        info = found.pop(file.path, None)
        if info is None:
            yield Finding(Path(file.path), "missing", "is missing")
        else:
            yield from _differences(folder / file.path, file, info, quick=quick)
    for path in sorted(found):
        yield Finding(Path(path), "extra", "was not installed with the plugin")


def _differences(place: Path, file: UnpackedFile, info: os.stat_result, *, quick: bool) -> Iterator[Finding]:
    if file.target is not None:
        if not stat.S_ISLNK(info.st_mode):
            yield Finding(Path(file.path), "changed", "is no longer a link")
        elif (target := os.readlink(place)) != file.target:  # noqa: PTH115  # Path would rewrite a/./b
            yield Finding(Path(file.path), "changed", f"is a link to {target!a}, not to {file.target!a}")
        return
    if not stat.S_ISREG(info.st_mode):
        yield Finding(Path(file.path), "changed", "is no longer a file")
    elif info.st_size != file.size:
        yield Finding(Path(file.path), "changed", f"has {info.st_size} bytes, not {file.size}")
    elif not quick and hash_of_regular(place) != file.sha256:
        yield Finding(Path(file.path), "changed", "has other content")
    elif _HAS_MODES and not _is_mode_of(mode := stat.S_IMODE(info.st_mode), file.mode):
        yield Finding(Path(file.path), "mode", f"has mode {mode:04o}, not {file.mode:04o}")


def _is_mode_of(mode: int, stated: int) -> bool:
    """Return whether a mode is the listed one; missing write permissions don't count."""
    writing = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    return mode & ~writing == stated & ~writing and not mode & writing & ~stated


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    pending = [""]
    while pending:
        above = pending.pop()
        try:
            with os.scandir(folder / above) as entries:
                for entry in entries:
                    path = f"{above}/{entry.name}" if above else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                    else:
                        yield path, entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # the folder itself, or one that is removed meanwhile: its files are reported as missing


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def worse_than_extra(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that mean damage: an extra file may have been written by the plugin itself."""
    return [finding for finding in findings if finding.kind != "extra"]


__all__ = [
    "Finding",
    "compare_tree",
    "read_files_list",
    "unreadable_finding",
    "verify_installation",
    "verify_standing",
    "worse_than_extra",
    "write_files_list",
]
