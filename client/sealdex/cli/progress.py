"""A progress line on a terminal: label, share, amount and rate, redrawn in place; silent without a stream."""

from __future__ import annotations

import os
import time

from sealdex.text import cut, width_of

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_REDRAW_SECONDS = 0.1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def in_bytes(size: int) -> str:
    """Format a number of bytes for people: ``512 B``, ``1.5 MiB``."""
    amount = float(size)
    for unit in _UNITS:
        if round(amount, 1) < 1024 or unit == _UNITS[-1]:  # 1023.96 GiB would be shown as 1024.0
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable: the last unit takes everything")


def columns_of(terminal: TextIO) -> int:
    """Return the width of a terminal; 80 if it has none or reports 0, as pseudo-terminals may."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _rate(bytes_per_second: float, left: int) -> str:
    """Format a rate and the time that ``left`` bytes take at it: ``  3.1 MiB/s  0:42 left``."""
    shown = f"  {in_bytes(int(bytes_per_second))}/s"
    if left <= 0 or bytes_per_second < 1:
        return shown
    minutes, seconds = divmod(int(left / bytes_per_second) + 1, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{shown}  {f'{hours}:{minutes:02d}' if hours else minutes}:{seconds:02d} left"


class Progress:
    """One line that is redrawn at most ten times a second and cleared at the end.

    Use as a context manager. `update` may be called from any thread: a redraw is one write.

    Args:
        label: what is being done, without control characters.
        stream: a terminal, or None to stay silent.
        say: translates what is added to the label.
    """

    def __init__(self, label: str, stream: TextIO | None, say: Callable[[str], str] = str) -> None:
        self.label = label
        self._stream = stream
        self._say = say
        self._started = time.monotonic()
        self._drawn_at = float("-inf")
        self._drawn_width = 0
        self._retries = 0
        self._first: int | None = None

    @property
    def visible(self) -> bool:
        """Whether the line is shown."""
        return self._stream is not None

    def __enter__(self) -> Progress:  # noqa: PYI034  # Self needs Python 3.11, and nothing derives from this
        self._draw("")
        return self

    def __exit__(self, *_: object) -> None:
        self._wipe()

    def update(self, done: int, total: int | None = None) -> None:
        """Show that ``done`` of ``total`` bytes have arrived; both count from the start of the file."""
        if self._stream is None:
            return
        now = time.monotonic()
        if self._first is None or done < self._first:
            # bytes from an earlier run must not count for the rate, and a transfer that starts over has none
            self._first, self._started = done, now
        if now - self._drawn_at < _REDRAW_SECONDS and done != total:
            return
        seconds = now - self._started
        rate = _rate((done - self._first) / seconds, (total or done) - done) if seconds > 0.5 else ""
        share = f"{done * 100 // total:3d}%  " if total else ""
        amount = f"{in_bytes(done)} / {in_bytes(total)}" if total else in_bytes(done)
        self._draw(f"  {share}{amount}{rate}")

    def step(self, text: str) -> None:
        """Show a text that says what is being done now."""
        self._draw(f"  {text}")

    def retried(self, host: str, reason: str) -> None:
        """Count one more failed attempt and show it."""
        self._retries += 1
        self._draw(f"  {host}: {reason}, retrying")

    def _draw(self, text: str) -> None:
        if self._stream is None:
            return
        again = f"  ({self._say(f'retry {self._retries}')})" if self._retries else ""
        shown = cut(f"{self.label}{self._say(text)}{again}", columns_of(self._stream) - 1)
        self._drawn_at = time.monotonic()
        self._put(shown)

    def _put(self, shown: str) -> None:
        if self._stream is not None:
            # overwrite the rest of the old line with spaces: works on every terminal, escape sequences don't
            self._stream.write("\r" + shown + " " * (self._drawn_width - width_of(shown)))
            self._stream.flush()
            self._drawn_width = width_of(shown)

    def _wipe(self) -> None:
        if self._stream is not None and self._drawn_width:
            self._put("")
            self._stream.write("\r")
            self._stream.flush()
