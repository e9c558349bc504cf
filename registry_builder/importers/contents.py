"""The bytes of foreign files: read once, hashed as they come, and kept only where they are wanted."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from registry_builder.authoring.pack import UnpackableError, pack
from registry_builder.importers._binaries import HEAD_BYTES
from registry_builder.importers.foreign import GIT, LocalFile, PackedMember, Packing, RemoteFile, SourceError
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import POINTER_PROBLEM, is_lfs_pointer
from sealdex.archive.entries import path_problem
from sealdex.errors import SealdexError
from sealdex.transport import EncodingError, TooLargeError, TransientError, Transport

_CHUNK_BYTES = 1 << 20
_IGNORE_FILE = ".sealdexignore"  # of the folder that is packed: with it, no other ignore file counts


@dataclass(frozen=True)
class Measured:
    """What reading a file told.

    Attributes:
        size, sha256: of all of it.
        digests: the others that were asked for, by algorithm.
        head: its first bytes.
        kept: the copy, if one was wanted.
        members: of an archive that was made: path to SHA-256.
        left_out: files that aren't packed: caches, and what belongs to version control.
    """

    size: int
    sha256: str
    digests: Mapping[str, str] = field(default_factory=dict)
    head: bytes = b""
    kept: Path | None = None
    members: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


class Contents:
    """Reads foreign files.

    Args:
        transport: for those at addresses.
        max_bytes: the maximum size of any of them.
        staging: a folder for copies, on the disk of the source tree.
        allow_files: patterns of files that may hold secrets, for archives that are made.
    """

    def __init__(
        self, transport: Transport, *, max_bytes: int, staging: Path, allow_files: tuple[str, ...] = ()
    ) -> None:
        self._transport = transport
        self._max_bytes = max_bytes
        self._staging = staging
        self._allow_files = allow_files

    def measure(
        self,
        origin: LocalFile | RemoteFile | Packing,
        stated: Mapping[str, str],
        size: int | None = None,
        *,
        keep: bool = False,
        max_bytes: int | None = None,
    ) -> Measured:
        """Read a file, and check what the source states of it.

        Args:
            origin: where it is.
            stated: digests by algorithm.
            size: bytes.
            keep: whether to keep a copy.
            max_bytes: instead of the limit of artifacts.

        Raises:
            SourceError: it can't be read, is too large, is a Git LFS pointer, or isn't what is stated; all of it in one
                message.
            OSError: the copy can't be written.
        """
        if isinstance(origin, Packing):
            return self._packed(origin)
        try:
            return self._read(origin, stated, size, max_bytes or self._max_bytes, keep=keep)
        except UnreadableError as error:
            raise SourceError(f"{origin} {error}") from error
        except _CopyError as error:
            raise error.reason from error  # of this machine, not of the source: nothing more can be imported
        except OSError as error:
            raise SourceError(f"{origin} can't be read: {error.strerror or error}") from error
        except SealdexError as error:
            raise SourceError(f"{error.message}{f'; {error.hint}' if error.hint else ''}") from error

    def _read(
        self, origin: LocalFile | RemoteFile, stated: Mapping[str, str], size: int | None, most: int, *, keep: bool
    ) -> Measured:
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *stated} - {GIT}}
        head, length = bytearray(), 0
        target = self._new_file() if keep else None
        with _Copy(target) if target is not None else nullcontext() as copy, self._opened(origin, most) as source:
            git = _git_hash(source.size if size is None else size) if GIT in stated else None
            for chunk in source.chunks:
                length += len(chunk)
                if length > most:
                    raise SourceError(_too_large(origin, most))
                if len(head) < HEAD_BYTES:
                    head += chunk[: HEAD_BYTES - len(head)]
                for each in hashes.values():
                    each.update(chunk)
                if git is not None:
                    git.update(chunk)
                if copy is not None:
                    copy.write(chunk)
        digests = {name: each.hexdigest() for name, each in hashes.items()}
        if git is not None:
            digests[GIT] = git.hexdigest()
        wrong = [
            f"{name} is stated as {stated[name].lower()}, but the file has {digests[name]}"
            for name in sorted(stated)
            if stated[name].lower() != digests[name]
        ]
        if size is not None and size != length:
            wrong.insert(0, f"its size is stated as {size}, but it has {length} bytes")
        if wrong:
            raise SourceError(
                f"{origin}: {'; '.join(wrong)}: restore the file at the source, or correct what it states"
            )
        if is_lfs_pointer(bytes(head)):
            raise SourceError(f"{origin} {POINTER_PROBLEM}")
        sha256 = digests.pop("sha256")
        return Measured(length, sha256, digests, bytes(head), target)

    def head(self, origin: LocalFile | RemoteFile) -> bytes:
        """Return the first bytes of a file."""
        if isinstance(origin, RemoteFile):
            try:
                with self._transport.stream(origin.url, start=0, end=HEAD_BYTES) as stream:
                    head = bytearray()
                    for chunk in stream.chunks():
                        head += chunk
                        if len(head) >= HEAD_BYTES:
                            break
                    return bytes(head[:HEAD_BYTES])
            except (SealdexError, TransientError):
                pass  # without ranges, or of no bytes: as a whole
        return self.measure(origin, {}).head

    def data(self, origin: LocalFile | RemoteFile, most: int, sha256: str | None = None) -> bytes:
        """Return a small file.

        Raises:
            SourceError: as `measure`.
        """
        measured = self.measure(origin, {"sha256": sha256} if sha256 else {}, keep=True, max_bytes=most)
        if measured.kept is None:
            return b""
        data = measured.kept.read_bytes()
        measured.kept.unlink()
        return data

    @contextmanager
    def _opened(self, origin: LocalFile | RemoteFile, most: int) -> Iterator[_Source]:
        if isinstance(origin, RemoteFile):
            yield _Remote(self._transport, origin.url, most)
            return
        file: BinaryIO = origin.path.open("rb") if origin.is_named else Gate(origin.folder).open(origin.path)
        with file:
            size = file.seek(0, 2)
            file.seek(0)
            if size > most:
                raise SourceError(_too_large(origin, most))
            yield _Local(file, size)

    def _packed(self, packing: Packing) -> Measured:
        problems = [f"{path}: {problem}" for path in packing.members if (problem := path_problem(path))]
        problems += [f"{path}: differs from another file only in case" for path in _same_names(packing.members)]
        if problems:
            raise SourceError("; ".join(problems))
        folder = Path(tempfile.mkdtemp(dir=self._staging, prefix="pack-"))
        target, members = self._new_file(), dict[str, str]()
        target.unlink()
        try:
            for path, member in packing.members.items():
                measured = self.measure(member.origin, member.digests, member.size, keep=True)
                problem = None if measured.kept is None else self._placed(measured.kept, folder / path)
                if problem is not None:
                    problems.append(f"{path}: {problem}")
                members[path] = measured.sha256
            if problems:
                raise SourceError("; ".join(problems))
            # ignore files of the source, and of the tree around it, are no rules here
            (folder / _IGNORE_FILE).touch()
            made = pack(
                folder,
                target,
                added=dict(packing.added),
                windows=False,
                checksums=packing.checksums,
                allow_files=self._allow_files,
            )
        except UnpackableError as error:
            raise SourceError("; ".join(error.problems)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for path, content in packing.added.items():
            members[path] = hashlib.sha256(content).hexdigest()
        left_out = tuple(name for name in made.left_out if name != _IGNORE_FILE)
        return Measured(made.size, made.sha256, {}, b"", target, members, left_out)

    def members(self, packing: Packing) -> dict[str, str]:
        """Return the SHA-256 of each file of an archive, without making it."""
        found = {path: self.measure(m.origin, m.digests, m.size).sha256 for path, m in packing.members.items()}
        return {**found, **{path: hashlib.sha256(content).hexdigest() for path, content in packing.added.items()}}

    def _placed(self, kept: Path, target: Path) -> str | None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                return "is a file and a folder at once"
            kept.replace(target)
        except (FileExistsError, NotADirectoryError):
            return "is a file and a folder at once"
        return None

    def _new_file(self) -> Path:
        with _writing(), tempfile.NamedTemporaryFile(dir=self._staging, delete=False) as file:
            return Path(file.name)


class _CopyError(Exception):
    """A copy can't be written; ``reason`` says why."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _CopyError(error) from error


class _Copy:
    """The copy of a file, while it is read."""

    def __init__(self, path: Path) -> None:
        with _writing():
            self._file = path.open("wb")

    def __enter__(self) -> _Copy:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def write(self, chunk: bytes) -> None:
        """Write some bytes."""
        with _writing():
            self._file.write(chunk)

    def __exit__(self, *_: object) -> None:
        with _writing():
            self._file.close()


class _Source:
    size: int | None
    chunks: Iterator[bytes]


class _Local(_Source):
    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self.chunks = iter(lambda: file.read(_CHUNK_BYTES), b"")


class _Remote(_Source):
    """A file at an address; goes on where a connection broke, if the server lets it."""

    def __init__(self, transport: Transport, url: str, most: int) -> None:
        self._transport, self._url, self._most = transport, url, most
        self.size: int | None = None
        self.chunks = self._all()
        self._first: bytes | None = next(self.chunks, None)
        if self._first is not None:
            self.chunks = self._with_first(self.chunks)

    def _with_first(self, rest: Iterator[bytes]) -> Iterator[bytes]:
        yield self._first or b""
        yield from rest

    def _all(self) -> Iterator[bytes]:
        attempts, received, etag = self._transport.attempts(self._url), 0, None
        while True:
            try:
                with self._transport.stream(self._url, start=received, if_range=etag, attempts=attempts) as stream:
                    if stream.encoding != "identity":
                        raise EncodingError(self._url, stream.encoding)
                    if received and stream.status != 206:
                        # other bytes may have taken its place: what was hashed so far is worth nothing
                        raise SourceError(f"{self._url} changed while it was read: run the command again")
                    self.size = stream.total_size if stream.total_size is not None else stream.length
                    if (self.size or 0) > self._most:
                        raise TooLargeError(self._url, self._most)
                    etag = stream.etag
                    for chunk in stream.chunks():
                        received += len(chunk)
                        yield chunk
                        attempts.reached(received)
                    return
            except TransientError as error:  # noqa: PERF203  # a retry loop is a try in a loop
                attempts.failed(error)


def _git_hash(size: int | None) -> Any:
    if size is None:
        raise SourceError("size: is missing, and git's digest covers it: state it")
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % size)
    return digest


def _same_names(members: Mapping[str, PackedMember]) -> list[str]:
    seen: dict[str, str] = {}
    return [path for path in members if seen.setdefault(path.casefold(), path) != path]


def _too_large(origin: object, most: int) -> str:
    return f"{origin}: has more than the {most} bytes that one file may have (max_artifact_size in registry.toml)"


__all__ = ["Contents", "Measured"]
