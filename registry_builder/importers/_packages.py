"""Packages of other systems on this machine: zips and folders, read by the rules that installing holds them to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from registry_builder.importers.foreign import LocalFile, PackedMember, SourceError
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.archive.entries import ArchiveEntry, entry_problems, refuse_if
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.zip import list_zip, zip_content
from sealdex.errors import SealdexError

MAX_MANIFEST_BYTES = 1024 * 1024
_MAX_FILES = 100_000
_CACHES = frozenset({"__pycache__", ".git", ".hg", ".svn", ".venv", ".DS_Store", "Thumbs.db", "desktop.ini"})


class ZipPackage:
    """A zip, opened; a context manager.

    Raises:
        SourceError: it isn't a zip that clients accept.
    """

    def __init__(self, file: LocalFile) -> None:
        self._shown = file.path.name
        try:
            opened = file.path.open("rb") if file.is_named else Gate(file.folder).open(file.path)
            self._archive = ArchiveFile(file.path, name=file.path.name, file=opened)
        except UnreadableError as error:
            raise SourceError(str(error)) from error
        except OSError as error:
            raise SourceError(f"can't be read: {error.strerror or error}") from error
        self._opened = opened
        try:
            listing = list_zip(self._archive, UnpackLimits())
            size = self._archive.size
            problems = [*listing.problems, *entry_problems(listing.entries, UnpackLimits(), size)]
            refuse_if(self._archive.name, problems)
        except SealdexError as error:
            opened.close()
            raise SourceError(error.message) from error
        self.entries: dict[str, ArchiveEntry] = {entry.path: entry for entry in listing.entries}

    def __enter__(self) -> ZipPackage:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.__exit__(None, None, None)
        self._opened.close()

    def is_file(self, path: str) -> bool:
        """Return whether there is a regular file at a path."""
        entry = self.entries.get(path)
        return entry is not None and entry.kind == "file"

    def read(self, path: str, most: int = MAX_MANIFEST_BYTES) -> bytes | None:
        """Return a file's content; None if there is none.

        Raises:
            SourceError: it is too large or damaged.
        """
        entry = self.entries.get(path)
        if entry is None or entry.kind != "file":
            return None
        if entry.size > most:
            raise SourceError(f"{path}: has {entry.size} bytes, but at most {most} are read")
        return b"".join(self.pieces(path))

    def head(self, path: str, most: int) -> bytes:
        """Return the first bytes of a file."""
        head = bytearray()
        for piece in self.pieces(path):
            head += piece
            if len(head) >= most:
                break
        return bytes(head[:most])

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        try:
            yield from zip_content(self._archive, self.entries[path])
        except SealdexError as error:
            raise SourceError(f"{path}: {error.message}") from error


def files_below(folder: Path, *, root: Path | None = None) -> dict[str, PackedMember]:
    """Return the files of a folder by path; caches and version control are left out.

    Args:
        folder: the folder.
        root: links out of it aren't followed; ``folder`` by default.

    Raises:
        SourceError: some can't be read; all of them are named.
    """
    home = root or folder
    gate, found, problems = Gate(home), dict[str, PackedMember](), list[str]()
    waiting = [(folder, "")]
    while waiting:
        current, prefix = waiting.pop()
        try:
            entries = gate.entries(current, lambda path, why: problems.append(f"{path} {why}"))
        except UnreadableError as error:
            problems.append(f"{current} {error}")
            continue
        for entry in entries:
            if entry.name in _CACHES or entry.name.endswith(".pyc"):
                continue
            path = Path(entry.path)
            if entry.is_folder:
                waiting.append((path, f"{prefix}{entry.name}/"))
            else:
                found[f"{prefix}{entry.name}"] = PackedMember(LocalFile(home, path))
        if len(found) > _MAX_FILES:
            problems.append(f"{folder} has more than {_MAX_FILES} files")
            break
    if problems:
        raise SourceError("; ".join(problems))
    return dict(sorted(found.items()))


def head_of(file: LocalFile, most: int) -> bytes:
    """Return the first bytes of a file on this machine.

    Raises:
        SourceError: it can't be read.
    """
    try:
        with Gate(file.folder).open(file.path) as stream:
            return stream.read(most)
    except UnreadableError as error:
        raise SourceError(f"{file.path} {error}") from error
    except OSError as error:
        raise SourceError(f"{file.path} can't be read: {error.strerror or error}") from error


__all__ = ["MAX_MANIFEST_BYTES", "ZipPackage", "files_below", "head_of"]
