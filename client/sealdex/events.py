"""Callbacks for long operations: a class whose methods do nothing; override those of interest.

An observer only looks on: what one of its methods raises is logged, and the operation goes on (`guarded`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sealdex.log import Log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sealdex.errors import SealdexError
    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice
    from sealdex.store.dependants import Broken
    from sealdex.transport import RetryNotice
    from sealdex.transport.stop import Stop


_log = Log("sealdex.events")


class Progress(Protocol):
    """What `Observer.downloading` may return; shows a transfer.

    ``start`` and ``finish`` are called once, ``advance`` from any thread, one call at a time.
    """

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
        """Return what shows this download, a `Progress`; or None, which is what this method does."""
        return None

    def unpacking(self, choice: Choice, done_bytes: int, total_bytes: int) -> None:
        """Receive how many bytes of a release are unpacked."""

    def downloaded(self, choice: Choice, seconds: float, *, is_well: bool) -> None:
        """Receive the end of a download, successful or not; a cached file takes no time."""

    def installed(self, choice: Choice, action: str) -> None:
        """Receive a release that is now in the store; ``action`` is ``unpack``, ``repair`` or ``keep``."""

    def unpacked(self, choice: Choice, seconds: float) -> None:
        """Receive a release that was put in place, and what that took without its download; not one that was kept."""

    def loaded(self, plugin: PluginId, version: str, seconds: float, *, is_well: bool) -> None:
        """Receive a plugin that was loaded or initialized in this process, or failed to."""

    def breaking(self, broken: Sequence[Broken]) -> None:
        """Receive what a forced change breaks."""

    def crashed(self, plugin: PluginId, version: str) -> None:
        """Receive a plugin that exited unexpectedly while it was running."""


_STOPS = frozenset({"waiting", "retrying", "resolving", "planning", "downloading", "unpacking"})
"""What is told before anything is switched to: an operation can end there without loss."""


def guarded(observer: Observer | None, stop: Stop | None = None) -> Observer:
    """Return an observer that passes everything on, and that no operation fails by.

    Args:
        observer: what is told.
        stop: asked before and after each call that can end an operation without loss; what it raises ends it.
    """
    return observer if isinstance(observer, _Guarded) else _Guarded(observer or Observer(), stop)


class _Guarded(Observer):
    """Passes every call on to another observer; the first exception of each of its methods is logged."""

    def __init__(self, observer: Observer, stop: Stop | None = None) -> None:
        self.observed = observer
        self._stop = stop
        self._failed: set[str] = set()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name == "observed":
            return super().__getattribute__(name)
        return lambda *args, **options: self._call(self.observed, name, *args, **options)

    def _call(self, of: object, name: str, *args: Any, **options: Any) -> Any:
        stop = self._stop if name in _STOPS else None
        if stop is not None:
            stop.check()
        try:
            found = getattr(of, name)(*args, **options)
        except Exception as error:  # noqa: BLE001  # whatever an observer does wrong, the operation isn't its business
            if name not in self._failed:
                self._failed.add(name)
                _log.info(
                    "events.failed",
                    "{method} of an observer raised {reason}; the operation goes on",
                    method=f"{type(of).__qualname__}.{name}",
                    reason=f"{type(error).__name__}: {error}",
                )
            return None
        if stop is not None:
            stop.check()  # what is told may be who cancels
        return _GuardedProgress(self, found) if name == "downloading" and found is not None else found


class _GuardedProgress:
    """The progress of one download, as `_Guarded` passes it on."""

    def __init__(self, guard: _Guarded, progress: Progress) -> None:
        self._guard = guard
        self._progress = progress

    def start(self, total: int | None) -> None:
        self._guard._call(self._progress, "start", total)  # noqa: SLF001  # of the same module

    def advance(self, n: int) -> None:
        self._guard._call(self._progress, "advance", n)  # noqa: SLF001  # as above

    def finish(self) -> None:
        self._guard._call(self._progress, "finish")  # noqa: SLF001  # as above


def unguarded(observer: Observer) -> Observer:
    """Return the observer that was given to `guarded`."""
    return observer.observed if isinstance(observer, _Guarded) else observer
