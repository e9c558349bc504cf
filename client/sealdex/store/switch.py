"""Switches, pins, enables and disables installed plugins: each call is one change, which a rollback undoes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from sealdex.errors import NotFoundError, UsageError
from sealdex.model.ids import PluginId
from sealdex.store.activation import instead_of
from sealdex.store.change import Facts
from sealdex.store.database import ENABLED, State
from sealdex.store.dependants import OnBroken
from sealdex.store.layout import Store
from sealdex.store.transaction import change_facts


@dataclass(frozen=True, slots=True)
class Switched:
    """What a change of switches did.

    Attributes:
        change: its number in the history; None if nothing was different.
        plugins: what held for each plugin before, and what holds now.
    """

    change: int | None
    plugins: dict[PluginId, tuple[Facts, Facts]]


def use_version(
    store: Store, plugin: PluginId, version: str | None, pin: bool | None, on_broken: OnBroken | None = None
) -> Switched:
    """Switch a plugin to an installed version, and pin or unpin it.

    Args:
        store: the store.
        plugin: which.
        version: the version; None: the one in use.
        pin: pin it to that version (True), unpin it (False), or leave that as it is.
        on_broken: told what it breaks, and then it is done all the same; None: it is refused.

    Raises:
        UsageError: neither a version nor a pin, or it is pinned to another version.
        NotFoundError: it, or that version, isn't installed.
        BreaksDependantsError: another plugin would lose something it needs, or it does itself; nothing was changed.
        InstallError: as every change of the store.
    """
    if version is None and pin is None:
        raise UsageError(
            f"no version of {plugin} was given",
            untouched="nothing was changed",
            hint=f"sealdex use {plugin} VERSION; to see the installed versions: sealdex list",
        )

    def wish(facts: Facts) -> Facts:
        wanted = version or facts.version
        if wanted is None:
            raise _not_in_use(store, plugin)
        if facts.pin is not None and pin is None and wanted != facts.pin:
            raise UsageError(
                f"{plugin} is pinned to {facts.pin}",
                untouched="nothing was changed",
                hint=f"to pin that version instead: sealdex use {plugin} {wanted} --pin (or --unpin to remove the pin)",
            )
        held = facts.pin if pin is None else wanted if pin else None
        return replace(facts, version=wanted, pin=held)

    word = "" if pin is None else " --pin" if pin else " --unpin"
    command = f"use {plugin}" + (f" {version}" if version else "") + word
    return Switched(*change_facts(store, command, {plugin: wish}, on_broken=on_broken))


def set_enabled(
    store: Store, plugins: Sequence[PluginId], *, enabled: bool, on_broken: OnBroken | None = None
) -> Switched:
    """Allow hosts to load plugins, or stop them from doing so; enabling clears a status of error too.

    Raises:
        as `use_version`.
    """

    def wish_for(plugin: PluginId) -> Callable[[Facts], Facts]:
        def wish(facts: Facts) -> Facts:
            if facts.version is None:
                raise _not_in_use(store, plugin)
            return replace(facts, enabled=enabled)

        return wish

    command = f"{'enable' if enabled else 'disable'} {' '.join(map(str, plugins))}"
    wishes = {plugin: wish_for(plugin) for plugin in plugins}
    done = Switched(*change_facts(store, command, wishes, on_broken=on_broken))
    if enabled:
        for plugin in plugins:
            State(store).note(plugin, ENABLED)
    return done


def _not_in_use(store: Store, plugin: PluginId) -> NotFoundError:
    return NotFoundError(
        f"{plugin} is not installed{instead_of(store, plugin)}",
        subject=str(plugin),
        untouched="nothing was changed",
        hint=f"to see what is installed: sealdex list; to install it: sealdex install {plugin}",
    )
