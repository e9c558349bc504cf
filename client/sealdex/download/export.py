"""Copying a verified artifact out of the cache: the name appears when the whole file stands under it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sealdex.errors import InstallError, VerificationError
from sealdex.model.index import ArtifactEntry
from sealdex.store.hashing import hash_of


def copy_verified(source: Path, folder: Path, artifact: ArtifactEntry) -> Path:
    """Copy a file from the cache under the artifact's name, hashing what is written; the name appears when it is whole.

    Raises:
        VerificationError: the bytes are not the pinned ones.
        InstallError: another file of that name is there.
    """
    target = folder / artifact.file
    folder.mkdir(parents=True, exist_ok=True)
    if target.exists():
        if _sha256_of(target) == artifact.sha256:
            return target
        raise InstallError(
            f"there is another file of the name {artifact.file}",
            subject=str(target),
            untouched="it was left as it is; the download is in the cache",
            hint="move it away, or name another folder with --to DIR",
        )
    handle, temporary = tempfile.mkstemp(prefix=f".{artifact.file}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as writer, source.open("rb") as reader:
            shutil.copyfileobj(reader, writer, 1 << 20)
        _require_same(Path(temporary), artifact, source)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def _require_same(copy: Path, artifact: ArtifactEntry, source: Path) -> None:
    if _sha256_of(copy) != artifact.sha256:
        raise VerificationError(
            f"{artifact.file} changed in the cache while it was copied",
            subject=str(source),
            untouched="the copy was deleted",
            hint="run the command again: the cached file is checked and downloaded anew",
        )


def _sha256_of(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hash_of(file)
