"""Describes in plain language what new root or targets metadata changes. Pure.

Derived from the metadata itself, never from a plan that came with it: signers read exactly what they sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tuf.api.metadata import Role, Root, Targets

from registry_builder.signing.metadata import CLAIM_PREFIX, delegations_of

NameOf = Callable[[str], str]
"""Gives a key's name for its id."""


def describe_root(old: Root, new: Root, name_of: NameOf) -> list[str]:
    """Return a sentence for each difference of two roots, the most consequential first."""
    lines = list(_role_changes(old.roles, new.roles, name_of))
    return [
        *lines,
        *_same_key_changes(old.keys, new.keys, name_of),
        _lifetime("root", old, new),
        *([] if lines else ["no key and no threshold changes"]),
        *_other_changes(old, new),
    ]


def describe_first(new: Root | Targets, name_of: NameOf) -> list[str]:
    """Return whom version 1 of root or targets trusts: there is nothing that it could be compared with."""
    roles = new.roles if isinstance(new, Root) else delegations_of(new)
    role = "root" if isinstance(new, Root) else "targets"
    lines = [f"it is the FIRST {role} of this realm, whose readers will trust what it says"]
    for name, each in roles.items():
        paths = getattr(each, "paths", None)
        what = f" for {', '.join(paths)}{' alone' if getattr(each, 'terminating', False) else ''}" if paths else ""
        lines.append(f"{_called(name)}: {_signers(each, name_of)}{' sign' if what else ''}{what}")
    if isinstance(new, Targets) and new.targets:
        lines.append(f"it signs {len(new.targets)} file(s) itself")
    if isinstance(new, Root) and not new.consistent_snapshot:
        lines.append("consistent snapshots are switched off: do not sign this")
    return [*lines, f"it expires on {new.expires:%Y-%m-%d}"]


def describe_targets(old: Targets, new: Targets, name_of: NameOf) -> list[str]:
    """Return a sentence for each difference of two top-level targets metadata."""
    before, after = delegations_of(old), delegations_of(new)
    lines = list(_role_changes(before, after, name_of))
    for name, role in after.items():
        paths, earlier = getattr(role, "paths", None), getattr(before.get(name), "paths", None)
        if earlier is not None and paths != earlier:
            lines.append(f"{_called(name)} signs for {', '.join(paths or [])} (before: {', '.join(earlier)})")
    if [*before] != [name for name in after if name in before] and set(before) <= set(after):
        lines.append(f"the order of delegations changes to {', '.join(after)}")
    if old.targets != new.targets:
        lines.append(f"it signs {len(new.targets)} file(s) itself (before: {len(old.targets)})")
    return [
        *lines,
        *_same_key_changes(_keys(old), _keys(new), name_of),
        _lifetime("targets", old, new),
        *([] if lines else ["no delegation changes"]),
        *_other_changes(old, new),
    ]


def _role_changes(before: Mapping[str, Role], after: Mapping[str, Role], name_of: NameOf) -> Iterator[str]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old is None and new is not None:
            paths = getattr(new, "paths", None) or []
            yield (
                f"{_called(name)} is NEW: {_signers(new, name_of)} will sign for {', '.join(paths)}"
                f"{' alone' if getattr(new, 'terminating', False) else ''}"
            )
            continue
        if new is None:
            yield f"{_called(name)} is REMOVED: its keys no longer sign for anything"
            continue
        if old is None:
            continue
        gone = [name_of(keyid) for keyid in old.keyids if keyid not in new.keyids]
        come = [name_of(keyid) for keyid in new.keyids if keyid not in old.keyids]
        if gone:
            yield f"{_called(name)} no longer trusts {', '.join(gone)}"
        if come:
            yield f"{_called(name)} trusts {', '.join(come)} from now on"
        if old.threshold != new.threshold:
            yield f"{_called(name)} needs {new.threshold} signature(s) instead of {old.threshold}"
        if getattr(old, "terminating", None) != getattr(new, "terminating", None):
            yield f"{_called(name)} is {'' if getattr(new, 'terminating', False) else 'NOT '}terminating from now on"


def _same_key_changes(before: Mapping[str, object], after: Mapping[str, object], name_of: NameOf) -> Iterator[str]:
    for keyid in before:
        if keyid in after and before[keyid] != after[keyid]:
            yield f"key {name_of(keyid)} keeps its id but its content CHANGES: do not sign this"


def _other_changes(old: Root | Targets, new: Root | Targets) -> Iterator[str]:
    if old.unrecognized_fields != new.unrecognized_fields:
        yield f"further fields change from {old.unrecognized_fields} to {new.unrecognized_fields}: do not sign this"
    if isinstance(old, Root) and isinstance(new, Root) and old.consistent_snapshot != new.consistent_snapshot:
        yield "consistent snapshots are switched on or off: do not sign this"


def _lifetime(role: str, old: Root | Targets, new: Root | Targets) -> str:
    return (
        f"{role} {new.version} replaces {role} {old.version}, and expires on {new.expires:%Y-%m-%d} "
        f"(before: {old.expires:%Y-%m-%d})"
    )


def _keys(targets: Targets) -> Mapping[str, object]:
    return targets.delegations.keys if targets.delegations is not None else {}


def _called(role: str) -> str:
    return f"namespace {role.removeprefix(CLAIM_PREFIX)}" if role.startswith(CLAIM_PREFIX) else f"role {role}"


def _signers(role: Role, name_of: NameOf) -> str:
    return f"{role.threshold} of {', '.join(map(name_of, role.keyids))}"


__all__ = ["describe_first", "describe_root", "describe_targets"]
