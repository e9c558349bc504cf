"""Writes ``metadata/recent.bundle`` past the commit point of a publish or a refresh. Nothing trusts it."""

from __future__ import annotations

from registry_builder.baseline.state import PublishedState
from registry_builder.publication.commit import Committed
from registry_builder.publication.context import Publisher
from registry_builder.storage import Body, headers_for
from registry_builder.storage.headers import BUNDLE_KEY
from sealdex.trust.metadata_bundle import bundle_bytes


def put_bundle(publisher: Publisher, state: PublishedState | None, committed: Committed | None) -> bool:
    """Write the bundle of the newest state if it isn't there already; return whether it was written.

    Args:
        publisher: where to.
        state: what was published before; None when nothing was.
        committed: what was committed on top of that; None when nothing was.

    Raises:
        UnavailableError: the storage doesn't answer.
    """
    trust = publisher.trust
    files = dict(committed.files) if committed else {}
    versions = committed.versions if committed else {}
    if state is not None:
        kept = {"packages": state.packages, "snapshot": state.snapshot}
        for role, file in kept.items():
            if versions.get(role, file.version) == file.version:
                files[f"{file.version}.{role}.json"] = file.data
    newest = max(trust.targets)
    files[f"{newest}.targets.json"] = trust.targets[newest]
    data = bundle_bytes(files, trust.roots)
    body = Body.of_bytes(data, headers_for(BUNDLE_KEY))
    return publisher.storage.put_mutable(BUNDLE_KEY, body, only_if_changed=committed is None)


__all__ = ["put_bundle"]
