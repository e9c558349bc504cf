"""Two plugins that change as one set, and the state of a store that holds them as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from support.installing import make_release
from support.store_truth import left_over

from sealdex.install.transaction import Job
from sealdex.model.ids import PluginId
from sealdex.store.database import State
from sealdex.store.installations import current_version_named, installations
from sealdex.store.layout import Store
from sealdex.store.verify import verify_installation

PLUGINS = (PluginId("acme", "app"), PluginId("other", "tool"))


def jobs(folder: Path, version: str, plugins: tuple[PluginId, ...] = PLUGINS, *, pin: bool | None = None) -> list[Job]:
    """Return what installs one version of several plugins; all from the same archive."""
    archive, request = make_release(folder, version, {"bin/tool": b"a" * 300})
    return [Job(replace(request, plugin=plugin), archive, pin) for plugin in plugins]


def state(store: Store) -> dict[str, Any]:
    """Return versions in use, all versions, what is damaged or left over, pins, and the phases of all changes."""
    found = installations(store)
    return {
        "current": [current_version_named(store, plugin) for plugin in PLUGINS],
        "installed": [f"{i.namespace}/{i.name} {i.version}" for i in found],
        "damaged": [str(finding) for i in found for finding in verify_installation(i)],
        "staging": left_over(store),
        "pins": [row.pin for row in State(store).plugins().values()],
        "unfinished": [change.phase for change in State(store).unfinished()],
        "history": [change.command for change in State(store).history()],
    }
