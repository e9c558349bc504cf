"""Compares what ``state.db`` says was done to a store with what lies in its folders."""

from __future__ import annotations

from pathlib import Path

from sealdex.model.ids import PluginId
from sealdex.store.change import Facts
from sealdex.store.database import State
from sealdex.store.installations import current_version_named, installations, look_over
from sealdex.store.layout import Store
from sealdex.store.transaction import facts_of
from sealdex.store.verify import verify_installation


def disagreements(store: Store) -> list[str]:
    """Return every way in which a store at rest is not what its history, done again in order, leads to.

    What is unfinished, damaged or left over is a disagreement as well.
    """
    state = State(store)
    wrong = [f"change {change.id} ({change.command}) is {change.phase}" for change in state.unfinished()]
    expected: set[tuple[PluginId, str]] = set()
    facts: dict[PluginId, Facts] = {}
    for change in reversed(state.history()):
        for member in change.members:
            if member.before != (known := facts.get(member.plugin, Facts())):
                wrong.append(f"change {change.id} found {member.plugin} {member.before}, left as {known}")
            expected |= {(member.plugin, version) for version in member.adds}
            expected -= {(member.plugin, version) for version in member.removes}
            facts[member.plugin] = member.after
    found = installations(store)
    there = {(PluginId(*i.id), i.version) for i in found}
    wrong += [f"{plugin} {version} is lost" for plugin, version in expected - there]
    wrong += [f"nobody installed {plugin} {version}" for plugin, version in there - expected]
    for plugin in {plugin for plugin, _ in there} | set(facts):
        if (known := facts.get(plugin, Facts())) != (now := facts_of(store, plugin)):
            wrong.append(f"{plugin} is {now}, and should be {known}")
        if (named := current_version_named(store, plugin)) != known.version:
            wrong.append(f"{plugin} names {named}, and should name {known.version}")
    wrong += [f"{i.name} {i.version}: {finding}" for i in found for finding in verify_installation(i)]
    wrong += [f"{each.path} is no installation" for each in look_over(store)[1]]
    return wrong + [f"{name} is left over" for name in left_over(store)]


def left_over(store: Store) -> list[str]:
    """Return what lies in the staging folder."""
    staging = Path(store.staging_folder)
    return sorted(path.name for path in staging.iterdir() if path.name != "guard") if staging.is_dir() else []
