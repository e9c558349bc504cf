"""What changed since the pages were written: the metadata of that time still exists, so nothing else is stored.

Consistent snapshots make the published tree its own journal: the snapshot of any version names the bins of that time,
and those name the index documents. So pages left behind (by a publish that died past its commit point, by one of
single plugins, by another machine) are updated by reading only the differences.
What is read here only decides which pages are checked; their contents come from the verified state.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Snapshot, Targets
from tuf.api.serialization import DeserializationError

from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.baseline.state import PublishedState
from registry_builder.signing.metadata import TargetPin, bin_names
from registry_builder.site.page_context import CLAIM_PREFIX
from registry_builder.storage import ObjectMissingError, Storage
from sealdex.model.ids import PluginId
from sealdex.model.index import plugin_of_target


def changed_since(storage: Storage, state: PublishedState, snapshot: int) -> Mapping[PluginId, TargetPin | None] | None:
    """Return the plugins whose index document has changed since an older snapshot, with its pin of that time.

    Args:
        storage: where the realm is published.
        state: the current state, with all bins loaded.
        snapshot: version of the older snapshot.

    Returns:
        Plugin to pin, None if it wasn't published then; None for all if that time can't be read any more.
    """
    if snapshot == state.snapshot.version:
        return {}
    try:
        then = Metadata[Snapshot].from_bytes(_read(storage, f"metadata/{snapshot}.snapshot.json")).signed
        if any(_version(then, name) != version for name, version in state.versions.items() if _is_claim(name)):
            return None  # whose plugins are in no bin
        changed: dict[PluginId, TargetPin | None] = {}
        for name in bin_names(state.bits):
            version = then.meta[f"{name}.json"].version
            if version != state.versions[name]:
                old = Metadata[Targets].from_bytes(_read(storage, f"metadata/{version}.{name}.json")).signed
                pins = {path: TargetPin(file.length, file.hashes["sha256"]) for path, file in old.targets.items()}
                now = state.bins[name].pins
                changed |= {plugin_of_target(path): pins.get(path) for path in now if pins.get(path) != now[path]}
    except (ObjectMissingError, DeserializationError, RepositoryError, AttributeError, KeyError, ValueError):
        return None
    return changed


def _is_claim(role: str) -> bool:
    return role.startswith(CLAIM_PREFIX)


def _version(snapshot: Snapshot, role: str) -> int | None:
    meta = snapshot.meta.get(f"{role}.json")
    return meta.version if meta is not None else None


def _read(storage: Storage, key: str) -> bytes:
    return storage.get(key, max_bytes=MAX_METADATA_BYTES).data
