"""Files of releases for use outside the store: in the cache, or copied out of it.

A copy's name appears only when the file is complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sealdex.disk import open_regular, replace
from sealdex.download.fetcher import ArtifactFetcher
from sealdex.download.locations import image_reference
from sealdex.errors import MAKE_ROOM, InstallError, VerificationError, is_disk_full
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry
from sealdex.resolve import Choice
from sealdex.results import Fetched, Trust
from sealdex.store.cache import ContentCache
from sealdex.store.hashing import hash_of


def export_artifacts(
    fetcher: ArtifactFetcher,
    cache: ContentCache,
    choices: Sequence[Choice],
    trust_of: Callable[[PluginId], Trust],
    folder: Path | None,
) -> list[Fetched]:
    """Download the artifacts of releases, verified, and copy them into a folder; None: only into the cache.

    Raises:
        VerificationError, UnavailableError, InstallError: as `ArtifactFetcher.archives` and `copy_verified`.
    """
    archives = fetcher.archives(choices)
    fetched: list[Fetched] = []
    for choice in choices:
        trust = trust_of(choice.plugin)
        if choice.artifact is None:
            continue
        if choice.artifact.format == "oci":
            image = image_reference(choice.plugin, choice.release.version, choice.artifact)
            fetched.append(Fetched(choice, trust, image=image))
            continue
        path = archives[choice.artifact.sha256]
        if folder is None:
            _keep(cache, choice.artifact)
        else:
            path = copy_verified(path, folder, choice.artifact)
        fetched.append(Fetched(choice, trust, path, address=fetcher.address_of(choice)))
    return fetched


def _keep(cache: ContentCache, artifact: ArtifactEntry) -> None:
    try:
        cache.keep(artifact.sha256)
    except OSError as error:
        raise InstallError(
            f"{artifact.file} can't be written to the disk: {error.strerror or error}",
            subject=str(cache.root),
            untouched="nothing was installed",
            hint=MAKE_ROOM if is_disk_full(error) else "check the disk of the cache: sealdex doctor",
        ) from error


@contextmanager
def held_files(
    fetcher: ArtifactFetcher, cache: ContentCache, choices: Sequence[Choice]
) -> Iterator[list[tuple[Choice, Path | None, Path]]]:
    """Yield the paths of artifact and manifest of releases in the cache, and hold them; see `sealdex.client.Client`."""
    with cache.holding():
        archives = fetcher.archives(choices)
        found = []
        for choice in choices:
            manifest = fetcher.manifest_file(choice.plugin, choice.release)
            found.append((choice, archives.get(choice.artifact.sha256) if choice.artifact else None, manifest))
        yield found


def copy_verified(source: Path, folder: Path, artifact: ArtifactEntry) -> Path:
    """Copy a file from the cache under the artifact's name, hashing it; the name appears only when it is complete.

    Raises:
        VerificationError: the bytes are not the pinned ones.
        InstallError: another file has that name.
    """
    target = folder / artifact.file
    _make(folder)
    if target.exists():
        _require_known(target, artifact.sha256)
        return target
    handle, temporary = tempfile.mkstemp(prefix=f".{artifact.file}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as writer, source.open("rb") as reader:
            shutil.copyfileobj(reader, writer, 1 << 20)
        _require_same(Path(temporary), artifact, source)
        Path(temporary).chmod(0o644)
        replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def write_new(data: bytes, folder: Path, name: str, sha256: str) -> Path:
    """Write a verified file into a folder; the name appears only when it is complete.

    Raises:
        InstallError: another file has that name.
    """
    target = folder / name
    _make(folder)
    if target.exists():
        _require_known(target, sha256)
        return target
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as writer:
            writer.write(data)
        Path(temporary).chmod(0o644)
        replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def _require_known(target: Path, sha256: str) -> None:
    if not target.is_file() or _sha256_of(target) != sha256:
        raise InstallError(
            f"there is already another file named {target.name}",
            subject=str(target),
            untouched="it was not changed; the download is in the cache",
            hint="move it away, or use another folder: --to DIR",
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InstallError(
            f"{folder} is not a folder", subject=str(folder), untouched="nothing was written", hint="name a folder"
        ) from error


def _require_same(copy: Path, artifact: ArtifactEntry, source: Path) -> None:
    if _sha256_of(copy) != artifact.sha256:
        raise VerificationError(
            f"{artifact.file} changed in the cache while it was copied",
            subject=str(source),
            untouched="the copy was deleted",
            hint="run the command again: the cached file is checked and downloaded again",
        )


def _sha256_of(path: Path) -> str:
    with open_regular(path) as file:
        return hash_of(file)
