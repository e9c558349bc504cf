"""The host's random id, kept in the store: it decides which staged rollouts reach this host; never sent anywhere."""

from __future__ import annotations

import os
from pathlib import Path

from sealdex.disk import replace
from sealdex.lazy import regex
from sealdex.store.layout import Store

_ID = regex(r"[0-9a-f]{32}")


def host_id(store: Store) -> str:
    """Return the id, created at the first call; if the store can't be written, one for this run only.

    If several processes make the first call at the same time, all get the same id.
    """
    path = Path(store.host_id_file)
    try:
        if (found := _read(path)) is not None:
            return found
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
        try:
            draft.write_text(os.urandom(16).hex() + "\n", encoding="utf-8")
            try:
                # a link fails if the name is taken; a rename would replace the id that others have read
                os.link(draft, path)
            except FileExistsError:
                if _read(path) is None:  # the file exists without a valid id: a power cut may have emptied it
                    replace(draft, path)
            except OSError:  # a file system without hard links
                replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        return _read(path) or os.urandom(16).hex()
    except OSError:
        return os.urandom(16).hex()


def known_host_id(store: Store) -> str | None:
    """Return the id if there is one yet; nothing is created.

    Raises:
        OSError: it can't be read.
    """
    return _read(Path(store.host_id_file))


def _read(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    return text if _ID.fullmatch(text) else None
