"""Decides whether an expired published state may be re-signed without a person checking it. Pure.

Someone with write access to the store can restore an old state, wait until nothing newer is remembered, and let a
scheduled job re-sign it; yanked releases would be served again, under new signatures. So a job re-signs only if it
can show that the published state is what a publish of this source tree left: the machine remembers having seen it, and
every index document that the tree compiles to is the published one. Expired offline roles are left to people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from tuf.api.metadata import Metadata, Root

from registry_builder.baseline.last_seen import Seen
from registry_builder.baseline.state import PublishedState
from registry_builder.signing.metadata import TargetPin, claim_role
from registry_builder.signing.offline_metadata import Trust

_SHOWN = 5


def expired_roles(state: PublishedState, trust: Trust, now: datetime) -> dict[str, datetime]:
    """Return the roles of a published state that have expired, and when; all bins must be loaded."""
    root: Metadata[Root] = Metadata.from_bytes(trust.roots[state.root_version])
    expiries = {
        "root": min(root.signed.expires, trust.root.expires),
        "targets": min(state.targets.expires, trust.targets_role.expires),
        **{claim_role(namespace): claim.expires for namespace, claim in state.claims.items()},
        "packages": state.packages.expires,
        **{name: role.expires for name, role in state.bins.items()},
        "catalog": state.catalog.expires,
        "snapshot": state.snapshot.expires,
        "timestamp": state.timestamp.expires,
    }
    return {role: expires for role, expires in expiries.items() if expires <= now}


def reasons_against_recovery(
    state: PublishedState,
    trust: Trust,
    seen: Seen | None,
    compiled: Mapping[str, TargetPin],
    now: datetime,
) -> list[str]:
    """Yield why an expired state may not be re-signed without a person; nothing if it may.

    Args:
        state: the published state, verified except for its expiry, with all bins.
        trust: the source tree's offline metadata.
        seen: what this machine last saw published.
        compiled: target path to its pin, of every index document that the source tree compiles to on its own.
        now: the time against which expiry is checked.
    """
    return [*_offline(state, trust, now), *_unremembered(state, seen), *_differing(state, compiled)]


def _offline(state: PublishedState, trust: Trust, now: datetime) -> Iterator[str]:
    offline = ["root", "targets", *map(claim_role, state.claims)]
    for role, expires in expired_roles(state, trust, now).items():
        if role in offline:
            yield f"{role} expired on {expires:%Y-%m-%d}, and is signed offline"


def _unremembered(state: PublishedState, seen: Seen | None) -> Iterator[str]:
    if seen is None:
        yield "this machine doesn't remember what it last saw published"
    elif (seen.root_version, seen.timestamp_version) > (state.root_version, state.timestamp.version):
        yield (
            f"this machine saw version {seen.timestamp_version} of timestamp.json (root {seen.root_version}), but "
            f"version {state.timestamp.version} (root {state.root_version}) is published"
        )


def _differing(state: PublishedState, compiled: Mapping[str, TargetPin]) -> Iterator[str]:
    published = dict(state.pins())
    names = [_plugin(target) for target, pin in sorted(compiled.items()) if published.get(target) != pin]
    if names:
        yield f"the source tree compiles to a different state than published for {_some(names)}"
    if lacking := [_plugin(target) for target in sorted(published) if target not in compiled]:
        yield f"the source tree lacks published documents of {_some(lacking)}"


def _plugin(target: str) -> str:
    return target.removeprefix("index/").removesuffix(".json")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


__all__ = ["expired_roles", "reasons_against_recovery"]
