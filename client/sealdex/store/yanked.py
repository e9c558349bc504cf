"""Records which installed releases were yanked, whenever signed documents are read, for commands that stay offline.

``yanked.json`` in the store is only advice and quick to read, for ``list``. It is rewritten only when something
changes. An older sealdex doesn't know the file and leaves it alone.
"""

from __future__ import annotations

import os
import time

from sealdex.disk import replace
from sealdex.model.foreign_json import json_values
from sealdex.store.installations import installed_versions

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from collections.abc import Mapping

    from sealdex.model.ids import PluginId
    from sealdex.model.index import IndexDocument
    from sealdex.store.layout import Store

    Yank = dict[str, str | None]
    """``by``, ``why`` and ``at`` as signed by the registry, and ``seen``, when this host learned of it."""

_FORMAT = 1
_FIELDS = ("by", "why", "at", "seen")


def yanked_releases(store: Store) -> dict[tuple[str, str, str], Yank]:
    """Return the recorded yanks by namespace, name and version; some may no longer be installed."""
    found = {}
    for name, versions in _read(store).items():
        namespace, _, short = name.partition("/")
        found.update({(namespace, short, version): mark for version, mark in versions.items()})
    return found


def format_mark(mark: Yank) -> str:
    """Return a text that says who yanked a release, and why."""
    return f"yanked by {mark['by']}" + (f": {mark['why']}" if mark["why"] else "")


def note_yanked(store: Store, documents: Mapping[PluginId, IndexDocument | None]) -> None:
    """Record what signed documents say about installed releases; write errors are ignored."""
    known = _read(store)
    noted = dict(known)
    for plugin, document in documents.items():
        installed = installed_versions(store, plugin) if document is not None else []
        if document is None or not installed:
            continue
        marks: dict[str, Yank] = {}
        for installation in installed:
            release = document.release(installation.version)
            # only of the same release: a local archive may have the same version number
            if release is None or release.yanked is None or release.manifest.sha256 != installation.manifest_sha256:
                continue
            mark = release.yanked
            before = known.get(str(plugin), {}).get(installation.version)
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            seen = before["seen"] if before is not None else now
            marks[installation.version] = {"by": mark.by, "why": mark.why, "at": mark.at, "seen": seen}
        noted.pop(str(plugin), None)
        if marks:
            noted[str(plugin)] = marks
    if noted != known:
        _write(store, noted)


def _read(store: Store) -> dict[str, dict[str, Yank]]:
    try:
        with open(store.yanked_file, "rb") as file:  # noqa: PTH123  # see layout
            values = json_values(file.read())
        plugins = values["yanked"] if values["format"] == _FORMAT else {}
        return {
            str(name): {str(version): {field: _text(mark[field]) for field in _FIELDS} for version, mark in of.items()}
            for name, of in plugins.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _write(store: Store, noted: dict[str, dict[str, Yank]]) -> None:
    import json  # noqa: PLC0415  # only who writes it

    draft = f"{store.yanked_file}.{os.getpid()}"
    try:
        with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123  # see layout
            json.dump({"format": _FORMAT, "yanked": noted}, file, indent=1, sort_keys=True)
        replace(draft, store.yanked_file)
    except OSError:  # a full disk, or somebody else's store: the command continues
        try:
            os.unlink(draft)  # noqa: PTH108  # see layout
        except OSError:
            return
