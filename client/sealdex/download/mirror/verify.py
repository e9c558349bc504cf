"""Proves a mirror complete and intact, from the root alone; and removes what is not selected any more."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.create import Watch, held
from sealdex.download.mirror.plan import Found, Target, plan_files
from sealdex.download.mirror.record import REACHED_BEFORE_NAME, REACHED_NAME, MirrorRecord, read_record
from sealdex.download.mirror.selection import LockedRelease
from sealdex.download.mirror.transfer import each_of
from sealdex.errors import InstallError, UsageError
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import release_folder
from sealdex.store.hashing import hash_of_regular
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, TrustState

_TREES = ("metadata", "targets", "plugins")
_MUCH = 5
"""A prune that removes more than one file in so many asks to be confirmed."""


@dataclass
class Verified:
    """What was found.

    Attributes:
        state: what the mirror's metadata says, verified from the root.
        record: what the mirror says of itself.
        files, bytes: that are as signed.
        missing, wrong: keys of files that aren't there, or aren't what was signed.
        extra: how many files no document of this state leads to; ``mirror prune`` removes them.
    """

    state: TrustState
    record: MirrorRecord
    files: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    extra: int = 0

    @property
    def is_intact(self) -> bool:
        """Whether everything of the selection is there as signed."""
        return not self.missing and not self.wrong


def verify(folder: Path, root: bytes, transport: Transport, watch: Watch) -> Verified:
    """Verify the metadata of a mirror from a root, and hash every file of its selection, on all processors.

    Raises:
        NotFoundError: the folder isn't a mirror.
        VerificationError: its metadata, or a signed document, isn't what the root leads to.
        UnavailableError: metadata or a signed document is missing.
    """
    record = read_record(folder)
    with tempfile.TemporaryDirectory() as trust:
        registry = TrustedRegistry("mirror", folder.resolve().as_uri(), root, Path(trust), transport)
        found = Verified(registry.refresh(), record)
        known: set[str] = set()
        check = _Check(folder, found, watch.moved)
        failed = each_of(_files(registry, record, known), check, os.cpu_count() or 1)
        if failed:
            raise failed[0][1]
        known |= {f"metadata/{name}" for name, _ in registry.metadata_files()}
        known |= {f"metadata/{path.name}" for path in (folder / "metadata").glob("*.root.json")}
    found.missing.sort()
    found.wrong.sort()
    found.extra = sum(1 for key in _keys(folder) if key not in known)
    return found


@dataclass
class Pruned:
    """What a prune removed, or would remove.

    Attributes:
        files, bytes: of it.
        kept: files that stay.
        removed: whether they were removed.
    """

    files: int
    bytes: int
    kept: int
    removed: bool


def prune(folder: Path, keep: Iterable[LockedRelease], watch: Watch, *, dry_run: bool, confirmed: bool) -> Pruned:
    """Remove files that neither the present nor the previous state of a mirror leads to, nor a lock.

    Args:
        folder: the mirror.
        keep: releases that stay in any case.
        watch: told of waits.
        dry_run: remove nothing.
        confirmed: remove more than a fifth of all files as well.

    Raises:
        NotFoundError: the folder isn't a mirror that was completed once.
        UsageError: more than a fifth would go, and it isn't confirmed.
        InstallError: a file can't be removed, or a tree of the mirror is a link.
    """
    read_record(folder)
    with held(folder, watch) as own:
        kept = _listed(own / REACHED_NAME) | _listed(own / REACHED_BEFORE_NAME)
        folders = tuple(f"{release_folder(parse_plugin_id(each.plugin), each.version)}/" for each in keep)
        linked = [tree for tree in _TREES if (folder / tree).is_symlink()]
        if linked:
            raise InstallError(
                f"{', '.join(linked)} of {folder} is a link: nothing is removed from where it leads",
                subject=str(folder),
                untouched="nothing was removed",
                hint="remove what isn't needed there yourself, or make the mirror in a folder without links",
            )
        going = [key for key in _keys(folder) if key not in kept and not (folders and key.startswith(folders))]
        size = sum((folder / key).lstat().st_size for key in going)
        total = sum(1 for _ in _keys(folder))
        if going and len(going) * _MUCH > total and not (dry_run or confirmed):
            raise UsageError(
                f"{len(going)} of {total} files would be removed, which is more than a fifth",
                subject=str(folder),
                untouched="nothing was removed",
                hint="look at: sealdex mirror prune DEST --dry-run; then, if that is meant: --yes",
            )
        if not dry_run:
            for key in going:
                _remove(folder, key)
        return Pruned(len(going), size, total - len(going), removed=not dry_run)


class _Check:
    """Compares one file with its pin."""

    def __init__(self, folder: Path, found: Verified, on_bytes: Callable[[int], None]) -> None:
        self._folder = folder
        self._found = found
        self._on_bytes = on_bytes

    def __call__(self, file: MirrorFile) -> None:
        path = self._folder / file.key
        if not path.is_file() or path.is_symlink():
            self._found.missing.append(file.key)
            return
        size = path.stat().st_size
        if (file.size is not None and size != file.size) or hash_of_regular(path) != file.sha256:
            self._found.wrong.append(file.key)
            return
        self._found.files += 1
        self._found.bytes += size
        self._on_bytes(size)


def _files(registry: TrustedRegistry, record: MirrorRecord, known: set[str]) -> Iterator[MirrorFile]:
    for each in plan_files(registry, record.selection, Found()):
        known.add(each[0])
        if not isinstance(each, Target):
            yield each


def _keys(folder: Path) -> Iterator[str]:
    """Yield the key of every file of the published tree; what a link leads to is somebody else's."""
    for tree in _TREES:
        if (folder / tree).is_symlink():
            continue
        for parent, _, names in os.walk(folder / tree):
            at = Path(parent).relative_to(folder).as_posix()
            yield from (f"{at}/{name}" for name in names)


def _listed(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return set()


def _remove(folder: Path, key: str) -> None:
    path = folder / key
    try:
        path.unlink()
        for parent in path.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
    except OSError as error:
        raise InstallError(
            f"{path} can't be removed: {error.strerror}", subject=str(path), untouched="some files were removed already"
        ) from error


__all__ = ["Pruned", "Verified", "prune", "verify"]
