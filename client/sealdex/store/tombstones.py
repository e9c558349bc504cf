"""What is kept of a version that was taken out, so that a rollback can put it back: its receipt and its manifest."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from sealdex.store.installations import Installation, installation_in
from sealdex.store.layout import MANIFEST_NAME, RECEIPT_FOLDER, RECEIPT_NAME, Store


def keep_record(store: Store, plugin: tuple[str, str], version: str) -> None:
    """Keep the record of a version that is going; where that can't be, a rollback can't put it back, and no more.

    A few kilobytes, one record a version: taken out again, the newer one counts.
    """
    source = Path(store.version_folder(plugin, version), RECEIPT_FOLDER)
    folder = Path(store.removed_folder(plugin, version), RECEIPT_FOLDER)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECEIPT_NAME).unlink(missing_ok=True)  # of an earlier time: without a receipt there is no record
        (folder / MANIFEST_NAME).unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # an earlier sealdex kept none
            _copy(source / MANIFEST_NAME, folder)
        _copy(source / RECEIPT_NAME, folder)


def _copy(file: Path, folder: Path) -> None:
    draft = folder / f".{file.name}.{os.getpid()}"
    shutil.copyfile(file, draft)
    draft.replace(folder / file.name)


def kept_record(store: Store, plugin: tuple[str, str], version: str) -> Installation | None:
    """Return what is known of a version that was taken out; its path is that of the record."""
    return installation_in(store.removed_folder(plugin, version), plugin, version)
