"""Finds outdated plugins, and updates installed plugins without a project."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sealdex.client import Client
from sealdex.errors import NotFoundError
from sealdex.install.transaction import finish_killed, pins
from sealdex.lockfile.staleness import Difference
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.plugin import MovedTo
from sealdex.model.precedence import version_sort_key
from sealdex.resolve import Keeping, NothingFitsError, Policy, Request, Resolution
from sealdex.resolve.explain import describe
from sealdex.store.database import State
from sealdex.store.dependants import Need, broken_now, needs
from sealdex.store.installations import Installation, current, installations
from sealdex.store.layout import Store
from sealdex.store.yanked import format_mark, yanked_releases


@dataclass(frozen=True, slots=True)
class Outdated:
    """A plugin in use with a newer release; ``newest`` fits this host; ``pinned``: it is not updated."""

    plugin: PluginId
    version: str
    newest: str
    pinned: bool
    yanked: bool


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update changed, or would change, and which requested plugins are not updated, with the reason.

    ``yanked`` has the versions that were in use before and had been yanked: plugin, version, by whom and why.
    ``moved`` says of plugins that moved where their later releases are; nothing is ever installed from there by it.
    """

    differences: tuple[Difference, ...]
    kept: Mapping[PluginId, str]
    yanked: tuple[tuple[PluginId, str, str], ...] = ()
    moved: Mapping[PluginId, MovedTo] = field(default_factory=dict)


def outdated(client: Client, policy: Policy | None = None) -> list[Outdated]:
    """Return the plugins in use with a newer release that fits this host, by name; unsigned ones have no registry.

    Raises:
        VerificationError, UnavailableError: as `Client.documents`.
    """
    store = Store(client.config.store)
    held, in_use = pins(store), _in_use(store)
    documents = client.documents(list(in_use))
    found = []
    for plugin, installation in in_use.items():
        document = documents[plugin]
        if document is None:
            continue
        try:
            newest = client.resolve(Request(plugin), policy=policy).requested[0].release.version
        except NotFoundError:  # none of its releases fits, or a dependency is missing
            continue
        if version_sort_key(newest) > version_sort_key(installation.version):
            release = document.release(installation.version)
            is_yanked = release is not None and release.yanked is not None
            found.append(Outdated(plugin, installation.version, newest, plugin in held, is_yanked))
    return found


def yanked_in_use(store: Store) -> list[tuple[PluginId, str, str]]:
    """Return the plugins in use whose version is known to be yanked: version, and why."""
    known = yanked_releases(store)
    return [
        (plugin, installation.version, format_mark(mark))
        for plugin, installation in _in_use(store).items()
        if (mark := known.get((*plugin, installation.version))) is not None
    ]


def update_installed(
    client: Client,
    named: Collection[PluginId] = (),
    *,
    policy: Policy | None = None,
    dry_run: bool = False,
    cascade: bool = False,
    force: bool = False,
) -> Updated:
    """Update plugins in use to the newest releases that fit this host and each other.

    None is downgraded, unless another plugin in use can't work with its present version.

    Args:
        client: for the store and the registries.
        named: only these and their dependencies; all if empty.
        policy: channel, pre-releases, yanked releases.
        dry_run: change nothing.
        cascade: as `Client.install`.
        force: as `Client.install`.

    Raises:
        NotFoundError: a named plugin is not in use.
        NoMatchError, VerificationError, UnavailableError, InstallError: as `Client.install`; nothing was changed.
    """
    store = Store(client.config.store)
    finish_killed(store)
    in_use, held = _in_use(store), pins(store)
    since = State(store).pinned_since() if held else {}
    for plugin in named:
        if plugin not in in_use:
            raise NotFoundError(
                f"{plugin} is not installed from a registry and in use",
                subject=str(plugin),
                untouched="nothing was changed",
                hint=f"to see what is installed: sealdex list; to install it: sealdex install {plugin}",
            )
    kept: dict[PluginId, str] = {}
    requests: list[Request] = []
    moved = moved_plugins(client, [plugin for plugin in in_use if not named or plugin in named])
    told = tuple(each for each in yanked_in_use(store) if not named or each[0] in named)
    yanked = {plugin: why for plugin, _, why in told}
    for plugin, installation in in_use.items():
        if named and plugin not in named:
            continue
        if plugin in held:
            when = f" since {since[plugin]}" if plugin in since else ""
            kept[plugin] = f"pinned to {held[plugin]}{when}; sealdex use {plugin} --unpin"
            continue
        newer = Request(plugin, f">={installation.version}", is_floor=True)
        try:
            client.resolve(newer, policy=policy, keeping=Keeping(pinned=held, pinned_since=since))
        except NothingFitsError as error:
            kept[plugin] = _why_nothing_fits(plugin, error)
            if plugin in yanked:
                older = f"sealdex install '{plugin}@<{installation.version}'"
                kept[plugin] = f"it was {yanked[plugin]}, but {kept[plugin]}; {older}"
        else:
            requests.append(newer)
    if not requests:
        return Updated((), kept, told, moved)
    keeping = Keeping(pinned=held, pinned_since=since)
    try:
        resolution = client.resolve_beside(requests, keeping, policy, cascade=cascade, free=force)
    except NothingFitsError:
        unusable = {each.need.on for each in broken_now(store)}
        if not unusable:
            raise
        requests = [Request(r.plugin, is_floor=True) if r.plugin in unusable else r for r in requests]
        resolution = client.resolve_beside(requests, keeping, policy, cascade=cascade, free=force)
    before = {choice.plugin: current(store, choice.plugin) for choice in resolution}
    found = tuple(
        Difference(choice.plugin, was.version if was is not None else None, choice.release.version)
        for choice in resolution
        if (was := before[choice.plugin]) is None or was.version != choice.release.version
    )
    kept.update(_held_back(resolution, [] if force else needs(store)))
    if found and not dry_run:
        command = f"update {' '.join(map(str, named))}".rstrip()
        client.install_choices(resolution.choices, client.queries.trust, command=command, force=force)
    return Updated(found, kept, told, moved)


def moved_plugins(client: Client, plugins: Sequence[PluginId]) -> dict[PluginId, MovedTo]:
    """Return where those of some plugins are that moved, as their registries say; what isn't known is left out.

    Raises:
        VerificationError, UnavailableError: as `Client.documents`.
    """
    documents = client.documents(list(plugins))
    return {p: each.moved_to for p, each in documents.items() if each is not None and each.moved_to is not None}


def _why_nothing_fits(plugin: PluginId, error: NothingFitsError) -> str:
    others = [explanation for explanation in error.explanations if explanation.plugin != plugin]
    if not others:
        return f"no newer release fits this host; sealdex info {plugin}"
    return "; ".join(line.strip() for explanation in others for line in describe(explanation)[:3])


def _held_back(resolution: Resolution, installed: Sequence[Need]) -> dict[PluginId, str]:
    """Say of the requested plugins of which there is a newer release that others can't work with, who those are."""
    chosen = {choice.plugin: choice for choice in resolution}
    known = [
        *(
            Need(choice.plugin, choice.release.version, parse_plugin_id(name), wanted)
            for choice in resolution
            for name, wanted in choice.release.dependencies.items()
        ),
        *(need for need in installed if need.plugin not in chosen),
    ]
    found: dict[PluginId, str] = {}
    for choice in resolution.requested:
        # a release that needs a flag or another host isn't held back by other plugins
        newer = [passed for passed in choice.newer if {reason.kind for reason in passed.reasons} <= {"range"}]
        holding = [
            need for need in known if newer and need.on == choice.plugin and not need.is_met_by(newer[0].version)
        ]
        if holding:
            found[choice.plugin] = f"{newer[0].version} is newer, but {', '.join(map(str, holding))}"
    return found


def _in_use(store: Store) -> dict[PluginId, Installation]:
    """Return the signed installations in use, by name."""
    plugins = {PluginId(*installation.id) for installation in installations(store)}
    found = ((plugin, current(store, plugin)) for plugin in sorted(plugins))
    return {plugin: i for plugin, i in found if i is not None and i.signed_by is not None}
