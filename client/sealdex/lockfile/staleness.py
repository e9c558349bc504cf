"""Checks whether a lock is up to date with `sealdex.toml`, and compares two locks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sealdex.lockfile.lock_file import LockDocument, LockedPlugin
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import choose_artifact
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version
from sealdex.resolve import Request


def staleness(
    requests: Mapping[PluginId, Request], lock: LockDocument, environments: tuple[Environment, ...] = ()
) -> list[str]:
    """Return all reasons why a lock is out of date; empty if it is up to date.

    Args:
        requests: the requests of ``sealdex.toml``.
        lock: the lock.
        environments: the environments that all releases must fit.
    """
    locked = lock.by_id
    reasons: list[str] = []
    for plugin, request in requests.items():
        if plugin not in locked:
            reasons.append(f"{request} is requested but not locked")
        elif (was := _wanted(locked[plugin])) != request:
            before = str(was) if was is not None else f"{plugin} as a dependency only"
            reasons.append(f"{_full(request)} is requested but {_full(was) if was is not None else before} is locked")
    reasons += [
        f"{plugin} is locked as requested but no longer is"
        for plugin, block in locked.items()
        if block.wanted is not None and plugin not in requests
    ]
    reached: set[PluginId] = set()
    queue = [plugin for plugin in requests if plugin in locked]
    while queue:
        plugin = queue.pop()
        if plugin in reached:
            continue
        reached.add(plugin)
        for name, wanted in locked[plugin].dependencies.items():
            needed = parse_plugin_id(name)
            if needed not in locked:
                reasons.append(f"{plugin} {locked[plugin].version} needs {needed}, which is not locked")
            elif not parse_range(wanted).contains(parse_version(locked[needed].version), include_prereleases=True):
                reasons.append(
                    f"{plugin} {locked[plugin].version} needs {needed} {wanted}, but {locked[needed].version} is locked"
                )
            else:
                queue.append(needed)
    reasons += [f"{plugin} is locked but nothing needs it" for plugin in locked if plugin not in reached]
    for plugin, block in locked.items():
        for environment in environments:
            artifact, mismatches = choose_artifact(block.release, environment)
            if artifact is None and mismatches:
                reasons.append(f"{plugin} {block.version} doesn't fit: {mismatches[0]}")
    return list(dict.fromkeys(reasons))


def _wanted(locked: LockedPlugin) -> Request | None:
    if locked.wanted is None:
        return None
    return Request(locked.id, locked.wanted, locked.channel, locked.pre)


def _full(request: Request) -> str:
    said = str(request)
    extra = [f"channel {request.channel}"] if request.channel and not said.endswith(f"@{request.channel}") else []
    extra += ["pre-releases"] if request.prereleases else []
    return said + (f" ({', '.join(extra)})" if extra else "")


class Difference(NamedTuple):
    """One plugin that differs between two locks; None: it isn't in that one."""

    plugin: PluginId
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.plugin} {self.after}"
        if self.after is None:
            return f"- {self.plugin} {self.before}"
        if self.before == self.after:
            return f"~ {self.plugin} {self.after} (other pins)"
        return f"~ {self.plugin} {self.before} -> {self.after}"


def differences(before: LockDocument, after: LockDocument) -> list[Difference]:
    """Return added, removed and changed plugins, sorted by name."""
    old, new = before.by_id, after.by_id
    return [
        Difference(plugin, a.version if a else None, b.version if b else None)
        for plugin in sorted({*old, *new})
        if (a := old.get(plugin)) != (b := new.get(plugin))
    ]
