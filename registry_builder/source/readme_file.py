"""A plugin's README as it is published: opened by the gate, without a byte order mark, with LF line ends.

So a checkout with Windows line ends publishes the same bytes as any other. A README that an earlier version of
this program published in another form stays as it is: the pin tells which form it was.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from registry_builder.source.documents import MAX_MANIFEST_BYTES
from registry_builder.source.safe_open import Gate
from registry_builder.source.text import with_plain_lines
from registry_builder.source.tree import SourcePlugin
from sealdex.model.index import FilePin


@dataclass(frozen=True)
class Readme:
    """A README: its bytes in the file, and its bytes as published."""

    raw: bytes
    plain: bytes

    def pin(self, published: FilePin | None = None) -> FilePin:
        """Return size and digest of what is published; those of ``published`` if the file still matches it."""
        if published is not None and self.raw is not self.plain and _pin(self.raw) == published:
            return published
        return _pin(self.plain)

    def bytes_of(self, sha256: str) -> bytes:
        """Return the form that has a digest, or the published form if neither has it."""
        return self.raw if self.raw is not self.plain and _pin(self.raw).sha256 == sha256 else self.plain


def _pin(data: bytes) -> FilePin:
    return FilePin(len(data), hashlib.sha256(data).hexdigest())


def read_readme(plugin: SourcePlugin, language: str | None = None) -> Readme | None:
    """Read a plugin's README, or that in another language; None if it has none.

    A link that stays in the tree but leaves the plugin's folder is followed: earlier versions accepted it, and
    `registry_builder.source.lint.tree` refuses it for plugins that aren't published yet.

    Raises:
        UnreadableError: it can't be read.
    """
    path = plugin.readme if language is None else plugin.readme_i18n.get(language)
    if path is None:
        return None
    gate = Gate(plugin.root, on_stray=lambda _path, _why: None)
    raw = gate.read(path, MAX_MANIFEST_BYTES)
    return Readme(raw, with_plain_lines(raw))


__all__ = ["Readme", "read_readme"]
