"""A plugin's README as it is published: opened by the gate, without a byte order mark, its lines ended by LF.

So a checkout with Windows' line ends publishes what any other does. What is published already in another form, by an
earlier version of this program, stays as it is: the pin says which form that was.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from registry_builder.source.files import MAX_MANIFEST_BYTES
from registry_builder.source.gate import Gate
from registry_builder.source.text import with_plain_lines
from registry_builder.source.tree import SourcePlugin
from sealdex.model.index import FilePin


@dataclass(frozen=True)
class Readme:
    """A README: its bytes in the file, and those that are published."""

    raw: bytes
    plain: bytes

    def pin(self, published: FilePin | None = None) -> FilePin:
        """Return size and digest of what is to be published; those of ``published`` where the file is still that."""
        if published is not None and self.raw is not self.plain and _pin(self.raw) == published:
            return published
        return _pin(self.plain)

    def bytes_of(self, sha256: str) -> bytes:
        """Return the form that has a digest, or the one that is published where none has it."""
        return self.raw if self.raw is not self.plain and _pin(self.raw).sha256 == sha256 else self.plain


def _pin(data: bytes) -> FilePin:
    return FilePin(len(data), hashlib.sha256(data).hexdigest())


def read_readme(plugin: SourcePlugin) -> Readme | None:
    """Read a plugin's README; None when it has none.

    A link that stays in the tree but leaves the plugin's folder is followed: it was once accepted, and
    `registry_builder.source.lint.tree` refuses it in what isn't published yet.

    Raises:
        UnreadableError: it can't be read.
    """
    if plugin.readme is None:
        return None
    gate = Gate(plugin.root, on_stray=lambda _path, _why: None)
    raw = gate.read(plugin.readme, MAX_MANIFEST_BYTES)
    return Readme(raw, with_plain_lines(raw))


__all__ = ["Readme", "read_readme"]
