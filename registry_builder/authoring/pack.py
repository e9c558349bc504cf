"""Packs a folder into a zip reproducibly: same input, same bytes.

Names are sorted, times are the earliest that zip can express, modes are normalised to 0644 and 0755, and no extra field
is written. (Deflate uses the default level of the zlib at hand: another zlib may compress differently,
but the content is the same.) Entries follow the rules of `sealdex.archive.entries`, so they unpack everywhere.

What isn't packed: see `registry_builder.authoring._ignore_rules`. Empty folders are left out, as in git.
Secrets are refused. Files are opened by the gate, so a link that is put there meanwhile isn't followed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from registry_builder.authoring._ignore_rules import DEFAULT_IGNORES, IGNORE_FILE, IgnoreRules
from registry_builder.source.allowed_secrets import Verdicts
from registry_builder.source.archive_check import name_warnings
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.secrets.scan import SecretSearch
from registry_builder.source.text import POINTER_PROBLEM, is_lfs_pointer
from sealdex import disk
from sealdex.archive.entries import RECEIPT_FOLDER, TreeRules, path_problem, symlink_problem
from sealdex.archive.windows_names import windows_problem
from sealdex.errors import ConfigError, UsageError

CHECKSUM_NAME = "checksum.sha256"
_FIRST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_CHUNK_BYTES = 1 << 20
_POINTER_BYTES = 4096  # pointers of Git LFS are shorter


@dataclass(frozen=True)
class PackedFile:
    """One future entry: ``content`` is a file's path, or bytes that packing adds, or the target of a link."""

    name: str
    mode: int
    content: Path | bytes
    is_link: bool = False


@dataclass(frozen=True)
class Packed:
    """An archive that was written.

    Attributes:
        path: the zip.
        size, sha256: bytes and digest.
        files: names of its entries, in order.
        warnings: what works only on some hosts, and which secrets were allowed.
        left_out: files, and folders with a trailing slash, that an ignore file excludes.
        left_out_by: the name of the ignore files that decided.
    """

    path: Path
    size: int
    sha256: str
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    left_out_by: str = IGNORE_FILE


class UnpackableError(ConfigError):
    """The folder contains what can't be packed; ``problems`` lists all of it."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        super().__init__(
            "can't be packed: " + "; ".join(problems),
            subject=str(folder),
            untouched="no archive was written",
            hint=f"remove them, or exclude them with a line in {IGNORE_FILE}; "
            "if only Windows refuses the names, restrict the archive to other hosts: --for os=linux",
        )
        self.problems = tuple(problems)


def list_files(
    folder: Path, *, windows: bool = True, rules: IgnoreRules | None = None, left_out: list[str] | None = None
) -> list[PackedFile]:
    """Return the files of a folder that are packed, sorted by name.

    Args:
        folder: the folder to pack.
        windows: whether it may be installed on Windows, so that names which Windows can't hold are refused.
        rules: what isn't packed; the folder's own rules by default.
        left_out: a list to which the names are added that an ignore file excludes.

    Raises:
        UsageError: it is not a folder.
        UnpackableError: links that leave the folder, devices, unsafe names; all are listed.
    """
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a folder", untouched="no archive was written")
    found: list[PackedFile] = []
    problems: list[str] = []
    _collect(folder, "", rules or IgnoreRules(folder), found, problems, left_out if left_out is not None else [])
    found.sort(key=lambda file: file.name.encode(errors="surrogateescape"))
    names = TreeRules()
    for file in found:
        problem = path_problem(file.name) or (windows_problem(file.name) if windows else None)
        problem = problem or names.add(file.name, "symlink" if file.is_link else "file")
        if problem is None and file.name.split("/", 1)[0].casefold() == RECEIPT_FOLDER:
            problem = f"is in {RECEIPT_FOLDER}/, which is reserved for Sealdex"
        if problem:
            problems.append(f"{file.name!a} {problem}")
    if problems:
        raise UnpackableError(folder, problems)
    return found


def _collect(
    folder: Path,
    prefix: str,
    rules: IgnoreRules,
    found: list[PackedFile],
    problems: list[str],
    left_out: list[str],
    *,
    only_tracked: bool = False,
) -> None:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            name = prefix + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            ignored = rules.leaves_out(name, is_folder=is_folder) or (only_tracked and not rules.is_tracked(name))
            if ignored and not (is_folder and rules.holds_tracked(name)):
                if not rules.is_default(name, is_folder=is_folder):
                    left_out.append(f"{name}/" if is_folder else name)
            elif is_folder:
                only = ignored or only_tracked
                _collect(Path(entry.path), f"{name}/", rules, found, problems, left_out, only_tracked=only)
            elif entry.is_symlink():
                _add_link(Path(entry.path), name, found, problems)
            elif entry.is_file():
                mode = 0o755 if entry.stat().st_mode & stat.S_IXUSR else 0o644
                found.append(PackedFile(name, mode, Path(entry.path)))
            else:
                problems.append(f"{name!a} is not a file, folder or link")


def _add_link(path: Path, name: str, found: list[PackedFile], problems: list[str]) -> None:
    target = os.readlink(path).replace(os.sep, "/")  # noqa: PTH115  # Path.readlink would normalise what is stored
    if problem := symlink_problem(name, target):
        problems.append(f"{name!a} {problem}")
    elif not path.exists():
        problems.append(f"{name!a} is a link to {target!a}, which doesn't exist")
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
    allow_files: Collection[str] = (),
    place: str = "",
) -> Packed:
    """Write a folder's files to a zip, which gets its name only when it is complete.

    Args:
        folder: the folder to pack.
        target: the zip; an existing file is replaced.
        added: further entries by name; they replace a file of the folder with the same name.
        accept: called with the archive and its SHA-256 before it gets its name; may raise to refuse it.
        checksums: whether to add ``checksum.sha256``, one line per file in the format of ``sha256sum -c``.
        windows: whether it may be installed on Windows.
        allow_files: patterns of files that may hold secrets, because they are meant to be public.
        place: where the archive will be in the source tree, so that patterns with it apply; empty for nowhere.

    Raises:
        UsageError: it is not a folder.
        UnpackableError: it contains what can't be packed.
    """
    extra = dict(added or {})
    replaced = {*extra, CHECKSUM_NAME} if checksums else set(extra)
    rules, left_out, gate = IgnoreRules(folder), list[str](), Gate(folder, allow_names=lambda _path: True)
    listed = list_files(folder, windows=windows, rules=rules, left_out=left_out)
    files = [file for file in listed if file.name not in replaced]
    allowed = _check_contents(folder, gate, files, Verdicts(allow_files), place)
    files += (PackedFile(name, 0o644, content) for name, content in extra.items())
    files.sort(key=lambda file: file.name.encode())
    stated: dict[str, str] = {}
    if checksums:
        stated = _checksums(gate, files)
        lines = "".join(f"{digest}  {name}\n" for name, digest in stated.items()).encode()
        files.append(PackedFile(CHECKSUM_NAME, 0o644, lines))
        files.sort(key=lambda file: file.name.encode())
    if not files:
        raise UnpackableError(folder, ["it contains no files"])
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in files:
                    _write(archive, gate, file, stated.get(file.name))
            size, sha256 = stream.seek(0, os.SEEK_END), _digest_of(stream)
        if accept is not None:
            accept(Path(part), sha256)
        Path(part).chmod(0o644)
        disk.replace(part, target)
    except UnreadableError as error:
        Path(part).unlink(missing_ok=True)
        raise UnpackableError(folder, [f"a file that changed meanwhile {error}"]) from error
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    kinds = [(file.name, "symlink" if file.is_link else "file") for file in files]
    warnings = name_warnings(kinds, windows=windows)
    return Packed(
        target,
        size,
        sha256,
        tuple(file.name for file in files),
        (*warnings, *allowed),
        tuple(left_out),
        rules.file_name,
    )


def _check_contents(
    folder: Path, gate: Gate, files: Sequence[PackedFile], verdicts: Verdicts, archive: str
) -> list[str]:
    """Refuse secrets and Git LFS pointers; return the warnings for secrets that are allowed, and for what isn't known.

    Raises:
        UnpackableError: there are some; all are listed.
    """
    problems: list[str] = []
    search = SecretSearch()
    for file in files:
        if isinstance(file.content, bytes):
            continue
        try:
            with gate.open(file.content) as stream:
                is_pointer = is_lfs_pointer(stream.read(_POINTER_BYTES))
                stream.seek(0)
                for found in search.of_file(file.name, stream):
                    verdicts.add(file.name, found, archive=archive)
        except UnreadableError as error:
            problems.append(f"{file.name!a} {error}")
            continue
        if is_pointer:
            problems.append(f"{file.name!a} {POINTER_PROBLEM}")
    problems += verdicts.refused
    if problems:
        raise UnpackableError(folder, problems)
    return [*verdicts.permitted, *verdicts.unsearched]


def _checksums(gate: Gate, files: list[PackedFile]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for file in files:
        if file.is_link:
            continue  # its target has a line of its own
        if isinstance(file.content, bytes):
            digest = hashlib.sha256(file.content).hexdigest()
        else:
            with gate.open(file.content) as stream:
                digest = _digest_of(stream)
        digests[file.name] = digest
    return digests


def _digest_of(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _write(archive: zipfile.ZipFile, gate: Gate, file: PackedFile, stated: str | None) -> None:
    """Write a file; of one whose SHA-256 is ``stated`` already, in checksum.sha256, it is compared."""
    entry = zipfile.ZipInfo(file.name, date_time=_FIRST_ZIP_TIME)
    entry.create_system = _UNIX
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = ((stat.S_IFLNK if file.is_link else stat.S_IFREG) | file.mode) << 16
    if isinstance(file.content, bytes):
        if file.is_link:
            entry.compress_type = zipfile.ZIP_STORED  # readers expect a link's target uncompressed
        archive.writestr(entry, file.content)
        return
    with gate.open(file.content) as source:
        entry.file_size = os.fstat(source.fileno()).st_size  # decides whether zip64 is used before the first byte
        digest = hashlib.sha256()
        with archive.open(entry, "w") as sink:
            while chunk := source.read(_CHUNK_BYTES):
                sink.write(chunk)
                digest.update(chunk)
        if stated is not None and digest.hexdigest() != stated:
            raise UnpackableError(file.content.parent, [f"{file.name!a} changed while it was packed"])


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
