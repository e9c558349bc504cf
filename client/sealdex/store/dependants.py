"""Which installed plugins depend on which, and what a change would break.

Only plugins in use count, and disabled ones have no needs. A plugin's needs are in the manifest that was kept when it
was installed. A need for something that was never in the store is ignored: container images are never installed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from sealdex.errors import InstallError, SealdexError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version
from sealdex.store.change import Facts, Member
from sealdex.store.database import DISABLED, State
from sealdex.store.installations import Installation, current, find_installation, installations
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest
from sealdex.store.tombstones import kept_record


class Need(Struct, frozen=True):
    """The dependency of one version of a plugin on another plugin."""

    plugin: PluginId
    version: str
    on: PluginId
    range: str

    def is_met_by(self, version: str | None) -> bool:
        """Return whether a version of the other plugin satisfies it; None: no version."""
        return version is not None and parse_range(self.range).contains(
            parse_version(version), include_prereleases=True
        )

    def __str__(self) -> str:
        return f"{self.plugin} {self.version} needs {self.on} {self.range}"


class Broken(NamedTuple):
    """A need that isn't met: ``found`` is the version in use, or None."""

    need: Need
    found: str | None

    def __str__(self) -> str:
        return f"{self.need}, " + (f"{self.found} is in use" if self.found is not None else "which is not installed")

    @property
    def fix(self) -> str:
        """The command that fixes it, if such a version exists."""
        return f"sealdex install '{self.need.on}@{self.need.range}'"


OnBroken = Callable[[Sequence[Broken]], None]
"""Called with what a change breaks if it is made anyway."""


class BreaksDependantsError(InstallError):
    """A change would leave installed plugins without something they need; ``broken`` has each."""

    code = "breaks-dependants"

    def __init__(self, broken: Sequence[Broken], chains: Mapping[PluginId, Sequence[PluginId]], hint: str) -> None:
        self.broken = tuple(broken)
        lines = []
        for each in broken:
            above = chains.get(each.need.plugin, ())
            found = f"it would be {each.found}" if each.found is not None else "it would be gone"
            through = f" ({' -> '.join(map(str, [*above, each.need.plugin, each.need.on]))})" if above else ""
            lines.append(f"{each.need}{through}: {found}")
        super().__init__(
            "\n  ".join(["installed plugins depend on it:", *lines]),
            subject=", ".join(dict.fromkeys(str(each.need.on) for each in broken)),
            untouched="nothing was changed",
            hint=hint,
            details={
                "broken": [
                    {
                        "plugin": str(each.need.plugin),
                        "version": each.need.version,
                        "needs": str(each.need.on),
                        "range": each.need.range,
                        "found": each.found,
                    }
                    for each in self.broken
                ]
            },
        )


def in_use(store: Store) -> dict[PluginId, Installation]:
    """Return the installation in use of each plugin, by name."""
    found = {plugin: current(store, plugin) for plugin in sorted({PluginId(*i.id) for i in installations(store)})}
    return {plugin: installation for plugin, installation in found.items() if installation is not None}


def needs_of(installation: Installation | None) -> list[Need]:
    """Return the needs of an installation; empty if its manifest wasn't kept or can't be trusted."""
    if installation is None:
        return []
    try:
        manifest = installed_manifest(installation)
        wanted = {parse_plugin_id(name): str(parse_range(text)) for name, text in manifest.dependencies.items()}
    except (SealdexError, ValueError):  # `sealdex verify` and `doctor` report what is wrong with it
        return []
    return [Need(PluginId(*installation.id), installation.version, on, text) for on, text in wanted.items()]


def needs(store: Store) -> list[Need]:
    """Return the needs of all plugins that are in use and enabled."""
    rows = State(store).plugins()
    return [
        need
        for plugin, installation in in_use(store).items()
        if plugin not in rows or rows[plugin].status != DISABLED
        for need in needs_of(installation)
    ]


def broken_now(store: Store) -> list[Broken]:
    """Return the needs that aren't met, except for plugins that were never in the store."""
    versions = {plugin: installation.version for plugin, installation in in_use(store).items()}
    return list(_broken(needs(store), versions, State(store).known_plugins()))


def dependants_of(store: Store, plugins: Collection[PluginId]) -> dict[PluginId, Need]:
    """Return everything that depends on these plugins, directly or not, each with the need that causes it."""
    known = needs(store)
    found: dict[PluginId, Need] = {}
    going = list(plugins)
    while going:
        on = going.pop()
        for need in known:
            if need.on == on and need.plugin not in found and need.plugin not in plugins:
                found[need.plugin] = need
                going.append(need.plugin)
    return found


def newly_broken(store: Store, members: Sequence[Member], consistent: Collection[PluginId] = ()) -> list[Broken]:
    """Return the needs that won't be met after a change, but are met now or are new.

    Args:
        store: the store.
        members: the change.
        consistent: plugins whose own needs were already taken into account when the releases were chosen.
    """
    if all((m.before.version, m.before.enabled) == (m.after.version, m.after.enabled) for m in members):
        return []
    rows = State(store).plugins()
    installed = in_use(store)
    before = {
        plugin: Facts(installation.version, enabled=plugin not in rows or rows[plugin].status != DISABLED)
        for plugin, installation in installed.items()
    }
    after = {**before, **{member.plugin: member.after for member in members}}
    known = State(store).known_plugins() | set(installed)
    wanted: list[Need] = []
    for plugin, facts in after.items():
        if facts.version is None or not facts.enabled or plugin in consistent:
            continue
        installation = installed.get(plugin)
        if installation is None or installation.version != facts.version:
            installation = find_installation(store, plugin, facts.version)
            installation = installation or kept_record(store, plugin, facts.version)
        wanted += needs_of(installation)
    was_broken = {
        each.need
        for each in _broken(wanted, {p: f.version for p, f in before.items() if f.version is not None}, known)
        if (was := before.get(each.need.plugin)) is not None and was.enabled and was.version == each.need.version
    }
    found = _broken(wanted, {p: f.version for p, f in after.items() if f.version is not None}, known)
    return [each for each in found if each.need not in was_broken]


def refuse(store: Store, broken: Sequence[Broken], hint: str) -> None:
    """Raise an error if a change would break anything.

    Raises:
        BreaksDependantsError: `broken` isn't empty.
    """
    if not broken:
        return
    known = needs(store)
    raise BreaksDependantsError(broken, {each.need.plugin: _above(known, each.need.plugin) for each in broken}, hint)


def _above(known: Collection[Need], plugin: PluginId) -> list[PluginId]:
    """Return the chain of dependants of a plugin, from the top: one of perhaps several."""
    chain: list[PluginId] = []
    lowest = plugin
    while True:
        higher = next((n.plugin for n in known if n.on == lowest and n.plugin not in {plugin, *chain}), None)
        if higher is None:
            return chain
        chain.insert(0, higher)
        lowest = higher


def _broken(wanted: Iterable[Need], versions: Mapping[PluginId, str], known: Collection[PluginId]) -> Iterator[Broken]:
    for need in wanted:
        found = versions.get(need.on)
        if not need.is_met_by(found) and (found is not None or need.on in known):
            yield Broken(need, found)
