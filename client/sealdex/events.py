"""How a caller follows long work: a class whose methods do nothing, to override what is of interest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice
    from sealdex.store.dependants import Broken
    from sealdex.transport import RetryNotice


class Progress(Protocol):
    """Shows a transfer. ``start`` and ``finish`` come once each, ``advance`` from any thread, one call at a time."""

    def start(self, total: int | None) -> None:
        """Begin; ``total`` in bytes if it is known."""

    def advance(self, n: int) -> None:
        """Count ``n`` more bytes; negative when a transfer starts over."""

    def finish(self) -> None:
        """End, well or not."""


class Observer:
    """Told of waits, retries, downloads and unpacking; methods may be called from several threads."""

    def waiting(self, why: str) -> None:
        """Take note that another process does something that this one has to wait for."""

    def retrying(self, notice: RetryNotice) -> None:
        """Take note that a request failed and is tried again."""

    def resolving(self, seconds: float, decisions: int) -> None:
        """Take note that releases that fit each other have been searched for so long; called about once a second."""

    def planning(self, choices: Sequence[Choice]) -> None:
        """Take note that the artifacts of these are going to be downloaded, as a whole if not by less."""

    def downloading(self, choice: Choice) -> Progress | None:  # noqa: ARG002  # for who overrides it
        """Return what to tell of the bytes of this download, or None."""
        return None

    def unpacking(self, choice: Choice, done_bytes: int, total_bytes: int) -> None:
        """Take note that so much of a release is on the disk."""

    def downloaded(self, choice: Choice, seconds: float, *, is_well: bool) -> None:
        """Take note that a download ended, well or not; a cached file is one that took no time."""

    def installed(self, choice: Choice, action: str) -> None:
        """Take note that a release is in the store; ``action`` is ``unpack``, ``repair`` or ``keep``."""

    def loaded(self, plugin: PluginId, version: str, seconds: float, *, is_well: bool) -> None:
        """Take note that a plugin was loaded or initialised in this process, or failed to."""

    def breaking(self, broken: Sequence[Broken]) -> None:
        """Take note that a change leaves installed plugins without what they need, and is made all the same."""

    def crashed(self, plugin: PluginId, version: str) -> None:
        """Take note that a plugin that served ended by itself."""
