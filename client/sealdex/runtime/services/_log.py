"""The log of a service: lines with their time, limited in size, and readable while it is written.

log, log.1    the current file and the previous one
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

MAX_LOG_BYTES = 10 * 2**20


class LogFile:
    """Appends lines; keeps one old file of at most ``max_bytes``. Thread-safe.

    A line that can't be written is dropped and counted: a full disk must not block the service, which waits until its
    output is read.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._file: IO[bytes] = path.open("ab", buffering=0)
        self._lost = 0
        self._is_torn = False

    def write(self, line: str) -> None:
        """Append one line."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._lock:
            lost = "1 line" if self._lost == 1 else f"{self._lost} lines"
            told = f"{now} sealdex: {lost} could not be written\n" if self._lost else ""
            data = f"{told}{now} {line}\n".encode(errors="replace")
            try:
                self._turn()
                written = self._file.write(b"\n" + data if self._is_torn else data)
            except (OSError, ValueError):
                self._lost += 1
                return
            whole = len(data) + self._is_torn
            self._is_torn = written != whole  # the disk was full in the middle of it
            self._lost = self._lost + 1 if self._is_torn else 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _turn(self) -> None:
        if self._file.tell() > self._max_bytes:
            with suppress(FileNotFoundError):  # it was replaced before, and there was no room for the next
                self._path.replace(older(self._path))
            following = self._path.open("ab", buffering=0)
            self._file.close()  # only now: without one that is open, no later line could be written
            self._file = following


def older(path: Path) -> Path:
    """Return the path of the file before the last rotation."""
    return path.with_name(f"{path.name}.1")


def last_lines(path: Path, count: int) -> list[str]:
    """Return the end of a log."""
    lines: list[bytes] = []
    for part in (older(path), path):
        with suppress(FileNotFoundError):
            lines += _lines(part.read_bytes())[-count:]
    return [_text(line) for line in lines[-count:]] if count else []


def follow(path: Path, count: int, is_over: Callable[[], bool], poll_s: float = 0.2) -> Iterator[str]:
    """Yield the last lines of a log and then new ones, without a gap, until it ends.

    Args:
        path: the log.
        count: number of last lines.
        is_over: returns whether nothing more will be written.
        poll_s: seconds between checks.
    """
    file = _opened(path)
    try:
        *lines, held = (file.read() if file is not None else b"").split(b"\n")
        before = []
        if len(lines) < count:
            with suppress(FileNotFoundError):
                before = _lines(older(path).read_bytes())
        yield from map(_text, [*before, *lines][-count:] if count else [])
        while True:
            was_over = is_over()  # asked first, so that lines written just before the end are read
            while True:
                if file is not None:
                    *lines, held = (held + file.read()).split(b"\n")
                    yield from map(_text, lines)
                following = _opened(path)
                if following is None or (file is not None and _same(file, following)):
                    if following is not None:
                        following.close()
                    break
                if file is not None:  # the log was rotated: the rest that was written before that
                    *lines, held = (held + file.read()).split(b"\n")
                    yield from map(_text, lines)
                    file.close()
                file = following
            if was_over:
                return
            time.sleep(poll_s)
    finally:
        if file is not None:
            file.close()


def _opened(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _same(one: IO[bytes], other: IO[bytes]) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))


def _lines(data: bytes) -> list[bytes]:
    """Return the lines that `LogFile` wrote; a carriage return that a service printed doesn't begin another."""
    return data.removesuffix(b"\n").split(b"\n") if data else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
