"""What a change of the store is, as values: what holds for each plugin before and after it. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from sealdex.model.ids import PluginId

Phase = Literal["preparing", "committed", "done", "undone"]


class Facts(Struct, frozen=True):
    """What a change can alter about a plugin: the version in use (None: none), its pin, whether it may be loaded."""

    version: str | None = None
    pin: str | None = None
    enabled: bool = True


class Member(Struct, frozen=True):
    """The effect of a change on one plugin.

    Attributes:
        plugin: the plugin.
        before, after: its facts before and after the change.
        unpacks: the version that is added to the store.
        removes: versions that are removed.
        restores: versions that are restored, and so added to the store too.
    """

    plugin: PluginId
    before: Facts
    after: Facts
    unpacks: str | None = None
    removes: tuple[str, ...] = ()
    restores: tuple[str, ...] = ()

    @property
    def adds(self) -> tuple[str, ...]:
        """The versions that are added to the store."""
        return self.restores if self.unpacks is None else (self.unpacks, *self.restores)

    @property
    def changes_something(self) -> bool:
        """Whether there is anything to do or to record."""
        return self.before != self.after or bool(self.adds) or bool(self.removes)


class Change(Struct, frozen=True):
    """One change, made by one command; fields as in the table of `sealdex.store.database`."""

    id: int
    at: str
    command: str
    phase: Phase
    undoes: int | None
    members: tuple[Member, ...]
    by: str | None = None

    @property
    def is_aside(self) -> bool:
        """Whether it only added versions that are not in use, as jobs do."""
        adds_only = all(m.before == m.after and m.unpacks and not m.removes for m in self.members)
        return self.undoes is None and bool(self.members) and adds_only
