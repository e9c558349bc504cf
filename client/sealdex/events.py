"""Callbacks for long operations: a class whose methods do nothing; override those of interest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sealdex.errors import SealdexError
    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice
    from sealdex.store.dependants import Broken
    from sealdex.transport import RetryNotice


class Progress(Protocol):
    """Shows a transfer. ``start`` and ``finish`` are called once, ``advance`` from any thread, one call at a time."""

    def start(self, total: int | None) -> None:
        """Begin; ``total`` in bytes, if known."""

    def advance(self, n: int) -> None:
        """Count ``n`` more bytes; negative when a transfer starts over."""

    def finish(self) -> None:
        """End, successfully or not."""


class Observer:
    """Receives waits, retries, downloads and unpacking; methods may be called from several threads.

    ``is_well`` tells whether an operation succeeded. It is passed by keyword, so it keeps its name for observers that
    were written for 0.1.0.
    """

    def waiting(self, why: str) -> None:
        """Receive a text while waiting for another process."""

    def aged(self, note: str, report: Mapping[str, object]) -> None:
        """Receive how old a registry's metadata is, for people and for programs, once it has expired."""

    def left(self, registry: str, url: str, error: SealdexError) -> None:
        """Receive why another address of a registry is asked than this one; called from any thread."""

    def skipping(self, registry: str, error: SealdexError) -> None:
        """Receive why a search goes on without a registry: its credentials are missing or don't serve."""

    def passed_over(self, plugin: PluginId, version: str, newer: str, why: str) -> None:
        """Receive a newer signed release that a partial mirror lacks, and the version that is taken instead."""

    def retrying(self, notice: RetryNotice) -> None:
        """Receive a failed request that is retried."""

    def resolving(self, seconds: float, decisions: int) -> None:
        """Receive the duration of a running resolution; called about once a second."""

    def planning(self, choices: Sequence[Choice]) -> None:
        """Receive the releases whose artifacts are going to be downloaded, by delta or whole."""

    def downloading(self, choice: Choice) -> Progress | None:  # noqa: ARG002  # for who overrides it
        """Return the progress object for this download, or None."""
        return None

    def unpacking(self, choice: Choice, done_bytes: int, total_bytes: int) -> None:
        """Receive how many bytes of a release are unpacked."""

    def downloaded(self, choice: Choice, seconds: float, *, is_well: bool) -> None:
        """Receive the end of a download, successful or not; a cached file takes no time."""

    def installed(self, choice: Choice, action: str) -> None:
        """Receive a release that is now in the store; ``action`` is ``unpack``, ``repair`` or ``keep``."""

    def loaded(self, plugin: PluginId, version: str, seconds: float, *, is_well: bool) -> None:
        """Receive a plugin that was loaded or initialized in this process, or failed to."""

    def breaking(self, broken: Sequence[Broken]) -> None:
        """Receive what a forced change breaks."""

    def crashed(self, plugin: PluginId, version: str) -> None:
        """Receive a plugin that exited unexpectedly while it was running."""
