"""Records of removed versions, so that a rollback can restore them: receipt and manifest."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from sealdex.store.installations import Installation, installation_in
from sealdex.store.layout import MANIFEST_NAME, RECEIPT_FOLDER, RECEIPT_NAME, Store


def keep_record(store: Store, plugin: tuple[str, str], version: str) -> None:
    """Keep the record of a version before it is removed; if that fails, only a rollback can't restore it.

    A few kilobytes, one record per version: if it is removed again, the record is replaced.
    """
    source = Path(store.version_folder(plugin, version), RECEIPT_FOLDER)
    folder = Path(store.removed_folder(plugin, version), RECEIPT_FOLDER)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECEIPT_NAME).unlink(missing_ok=True)  # from an earlier removal: without a receipt there is no record
        (folder / MANIFEST_NAME).unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # an earlier sealdex kept none
            _copy(source / MANIFEST_NAME, folder)
        _copy(source / RECEIPT_NAME, folder)


def _copy(file: Path, folder: Path) -> None:
    draft = folder / f".{file.name}.{os.getpid()}"
    shutil.copyfile(file, draft)
    draft.replace(folder / file.name)


def kept_record(store: Store, plugin: tuple[str, str], version: str) -> Installation | None:
    """Return the record of a removed version; its path is that of the record."""
    return installation_in(store.removed_folder(plugin, version), plugin, version)
