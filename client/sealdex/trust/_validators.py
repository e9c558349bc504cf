"""What a registry said of the timestamp that is cached here, so that the next request asks for it only if it changed.

``timestamp.validators.json`` beside the metadata has, by address, the entity tag (or the time of change) of the answer
and the SHA-256 of its bytes. It is used only while exactly these bytes are the cached timestamp: what ngclient has
verified and kept. An answer of 304 then means those bytes, which ngclient verifies like any others, their expiry too.
So a server that always answers 304 gains what it gains by sending old bytes: a frozen view until they expire.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from sealdex.disk import replace
from sealdex.model.foreign_json import json_values
from sealdex.transport import Document
from sealdex.transport.http_date import http_date

NAME = "timestamp.validators.json"
_MAX_BYTES = 64 * 1024
_MAX_CHARS = 1024
_MAX_ADDRESSES = 32
_STRONG_AFTER_S = 60.0  # RFC 9110, 8.8.2.2: what changed twice within a second has one Last-Modified


class Validators(Struct, frozen=True):
    """What to ask by; both None: unconditionally."""

    etag: str | None = None
    modified: str | None = None


class ValidatorFile:
    """The file of one registry; whatever is wrong with it, the timestamp is asked for unconditionally.

    Args:
        folder: of the metadata.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def of(self, url: str, cached: bytes | None) -> Validators:
        """Return what to ask an address by.

        Args:
            url: the whole address of the timestamp.
            cached: the bytes of the cached timestamp.
        """
        said = self._read().get(url)
        if cached is None or not isinstance(said, dict) or said.get("sha256") != hashlib.sha256(cached).hexdigest():
            return Validators()
        etag, modified = _header(said.get("etag")), _header(said.get("modified"))
        return Validators(etag, None if etag is not None else modified)

    def note(self, url: str, document: Document) -> None:
        """Record what an address answered with."""
        known = self._read()
        modified = document.modified if document.etag is None and _is_settled(document) else None
        said = {
            "sha256": hashlib.sha256(document.data).hexdigest(),
            "etag": _header(document.etag),
            "modified": _header(modified),
        }
        if known.get(url) == said or (said["etag"] is None and said["modified"] is None and url not in known):
            return
        kept = {**{k: v for k, v in known.items() if k != url}, url: said}
        values = dict(list(kept.items())[-_MAX_ADDRESSES:])
        draft = self._path.with_name(f"{NAME}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(values, indent=1), encoding="utf-8")
            replace(draft, self._path)
        except OSError:  # a store that can't be written: the timestamp is asked for whole
            with suppress(OSError):
                draft.unlink()

    def _read(self) -> dict[str, Any]:
        try:
            with self._path.open("rb") as file:
                values = json_values(file.read(_MAX_BYTES))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}


def _header(value: object) -> str | None:
    """Return a value that may stand in a header, or None."""
    is_fit = isinstance(value, str) and value.isascii() and value.isprintable() and 0 < len(value) <= _MAX_CHARS
    return value if is_fit and isinstance(value, str) else None


def _is_settled(document: Document) -> bool:
    try:
        changed = http_date(document.modified or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return False
    return document.date is not None and document.date - changed >= _STRONG_AFTER_S
