"""Compiled templates, kept as long as the process runs: compiling costs more than rendering a small site.

What is kept goes by name, place and every byte of the source, which is read and checked each time: a template that
changed is compiled again, and one that the gate refuses is never looked up.
"""

from __future__ import annotations

import hashlib
from types import CodeType

from jinja2.bccache import Bucket, BytecodeCache

_MOST = 256  # a preview that runs for days sees many versions of what is edited
_compiled: dict[tuple[str, str], CodeType] = {}


class CompiledTemplates(BytecodeCache):
    """Jinja's cache of compiled templates; all environments that have one must be set up alike."""

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """See `jinja2.BytecodeCache.get_cache_key`."""
        return f"{name}\n{filename or ''}"

    def get_source_checksum(self, source: str) -> str:
        """See `jinja2.BytecodeCache.get_source_checksum`; theirs is SHA-1."""
        return hashlib.sha256(source.encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """See `jinja2.BytecodeCache.load_bytecode`."""
        bucket.code = _compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """See `jinja2.BytecodeCache.dump_bytecode`."""
        if bucket.code is None:
            return
        if len(_compiled) >= _MOST:
            _compiled.clear()
        _compiled[bucket.key, bucket.checksum] = bucket.code
