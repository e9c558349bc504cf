"""Measures how fast the bytes of a request arrive, and ends requests that make no real progress.

A socket's timeout restarts with each byte, so a server that sends one now and then could hold its client forever: in
the status line, in header fields, in endless ``100 Continue``, in chunk extensions, in trailers, in a proxy's answer.
So every wait is measured here and checked before each read of the socket:

* In each no-progress window at least 1 KiB of the file must arrive. Nothing else counts.
* Over a whole request, all attempts together, the file must arrive at no less than the minimum speed, with one window
  of grace. Requests that wait at the same time share the line, and so the minimum.
* Between two KiB of the file at most 4 MiB of other bytes may arrive, against endless header fields at full speed.

Only waiting counts. A busy host, a slow disk and the user's own rate limit don't count against a request.
"""

from __future__ import annotations

import select
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sealdex.errors import SealdexError
from sealdex.transport.types import TransientError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from sealdex.transport.stop import Stop

_SLICE_S = 0.2
"""So long a request that was cancelled may wait on for a server that says nothing."""

MIN_PROGRESS_BYTES = 1024
"""Fewer new bytes of the file than this in a window don't count as progress."""

MAX_OTHER_BYTES = 4 << 20
"""More than a complete head may have, and more than is read of a body at once."""


class TooSlowError(TimeoutError):
    """Passes through the libraries below, which expect an ``OSError``; ``Pace.verdict`` has the reason."""


class Line:
    """Shared by the requests of one transport: how many of them currently wait for bytes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0

    @property
    def share(self) -> float:
        """The share of the line that one waiting request has."""
        return 1 / max(1, self._waiting)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Count one more while the block runs."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1


class _Current(threading.local):
    pace: Pace | None = None


_current = _Current()


def current_pace() -> Pace | None:
    """Return the pace of the request that this thread waits for, or None."""
    return _current.pace


class Pace:
    """The pace of one request over all its attempts; used by one thread at a time.

    Args:
        window_s: seconds of waiting within which there must be progress.
        floor: minimum average bytes per second of a request; 0 for none.
        clock: seconds.
        line: shared by all requests of a transport.
        cancelled: once set, the request ends at its next read.
        stop: asked before each read; what it raises ends the request, and its retries.
    """

    def __init__(
        self,
        window_s: float,
        floor: float,
        clock: Callable[[], float],
        line: Line,
        cancelled: threading.Event | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.stop = stop
        self._window_s = window_s
        self._floor = floor
        self._clock = clock
        self._line = line
        self._cancelled = cancelled
        self._since: float | None = None  # when the wait began that goes on now
        self._spent_s = 0.0  # of waiting, all attempts together, shares counted
        self._body_bytes = 0
        self._stalled_s = 0.0  # of waiting since the last progress
        self._gained_bytes = 0
        self._other_bytes = 0
        self._has_begun = False
        self.verdict: TransientError | None = None
        """Why the request was ended here, if it was."""
        self.is_connecting = False
        """A connection is being made: the bytes read are a proxy's answer, not the server's."""
        self.tunnel_head = b""
        """The first bytes of a proxy's answer to a CONNECT request."""

    def attempt(self, *, from_start: bool = False) -> None:
        """Begin another attempt; ``from_start`` if no earlier bytes are kept."""
        self._stalled_s = 0.0
        self._gained_bytes = self._other_bytes = 0
        self._has_begun = False
        self.verdict = None
        self.tunnel_head = b""
        if from_start:
            self._body_bytes = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Measure the block as a wait for bytes; what reads sockets within finds this pace by ``current_pace``."""
        before, _current.pace = _current.pace, self
        began = self._since = self._clock()
        try:
            with self._line.occupied():
                try:
                    yield
                finally:
                    took_s = self._clock() - began
                    self._stalled_s += took_s
                    self._spent_s += took_s * self._line.share
        finally:
            self._since = None
            _current.pace = before

    def slept(self, seconds: float) -> None:
        """Count a pause between two attempts."""
        self._spent_s += seconds

    def begun(self) -> None:
        """Record that the head of the answer is complete."""
        self._has_begun = True

    def received(self, count: int) -> None:
        """Record bytes from a socket, whatever they are."""
        self._other_bytes += count

    def arrived(self, count: int) -> None:
        """Record bytes of the file."""
        self._body_bytes += count
        self._gained_bytes += count
        if self._gained_bytes >= MIN_PROGRESS_BYTES:
            self._gained_bytes, self._stalled_s, self._other_bytes = 0, 0.0, 0

    def check(self) -> None:
        """Check whether to keep waiting; called before each read of a socket.

        Raises:
            TooSlowError: the request must end; ``verdict`` has the reason.
        """
        open_s = self._clock() - self._since if self._since is not None else 0.0
        self.verdict = self._problem(self._stalled_s + open_s, self._spent_s + open_s * self._line.share)
        if self.verdict is not None:
            raise TooSlowError(self.verdict.reason)

    @property
    def can_be_ended(self) -> bool:
        """Whether somebody else may end the request."""
        return self.stop is not None or self._cancelled is not None

    def wait_for(self, wire: socket.socket, *, to_write: bool = False) -> None:
        """Wait until a socket has something, as long as its timeout allows, and end as soon as the request must.

        Without anybody who could end the request, and where the socket may hold decrypted bytes already, nothing is
        waited for: the call that follows does, by its own timeout.

        Raises:
            TooSlowError: as `check`.
            TimeoutError: nothing came.
        """
        if not self.can_be_ended or (timeout := wire.gettimeout()) is None:
            return
        if (pending := getattr(wire, "pending", None)) is not None and pending():
            return
        end = time.monotonic() + timeout
        while not _is_ready(wire, max(0.0, min(_SLICE_S, end - time.monotonic())), to_write=to_write):
            self.verdict = self._ended()
            if self.verdict is not None:
                raise TooSlowError(self.verdict.reason)
            if time.monotonic() >= end:
                raise TimeoutError("timed out")

    def _ended(self) -> TransientError | None:
        """Return why somebody else has ended the request."""
        if self._cancelled is not None and self._cancelled.is_set():
            return TransientError("it was cancelled", is_final=True)
        if self.stop is not None:
            try:
                self.stop.check()
            except SealdexError as error:  # the libraries below expect an OSError; `Attempts.failed` raises it again
                return TransientError(error.message, is_final=True)
        return None

    def _problem(self, stalled_s: float, spent_s: float) -> TransientError | None:
        if (ended := self._ended()) is not None:
            return ended
        if stalled_s > self._window_s:
            return TransientError(
                f"fewer than {MIN_PROGRESS_BYTES} bytes in {self._window_s:.0f} s"
                if self._has_begun
                else f"no complete head of an answer in {self._window_s:.0f} s"
            )
        if self._other_bytes > MAX_OTHER_BYTES:
            return TransientError("it sends too much data that is not the file")
        if self._floor and spent_s > self._window_s + self._body_bytes / self._floor:
            return TransientError(f"slower than {self._floor:.0f} bytes per second on average", is_final=True)
        return None


def _is_ready(wire: socket.socket, seconds: float, *, to_write: bool) -> bool:
    """Wait for a socket; an error of it counts as ready, since the next call tells it."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(wire, select.POLLOUT if to_write else select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    readers, writers, failed = select.select([] if to_write else [wire], [wire] if to_write else [], [wire], seconds)
    return bool(readers or writers or failed)
