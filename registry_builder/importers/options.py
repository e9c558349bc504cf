"""What a user asks of an import; the same for every system. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_builder.importers.version_map import VersionMap


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the user asked for.

    Attributes:
        namespace: of plugins for which the source states none.
        names: the file of names; by default ``imports/<system>.toml``.
        ingest: whether bytes are copied into the tree; None: only those whose address doesn't last.
        versions: what versions become that aren't semantic.
        selector, tags: of artifacts that the source says nothing of.
        license: of plugins that the source says nothing of.
        by: who imports; git's name by default. Only events need it.
        dry_run: decide, and read and write nothing.
    """

    namespace: str
    names: Path | None = None
    ingest: bool | None = None
    versions: VersionMap = field(default_factory=VersionMap)
    selector: Mapping[str, Any] | None = None
    tags: tuple[str, ...] = ()
    license: str | None = None
    by: str | None = None
    dry_run: bool = False


__all__ = ["ImportOptions"]
