"""What is known of a service across processes.

    <store>/run/<namespace>/<name>/
        lock         held by the supervisor for as long as it lives, however it dies
        state.json   what it last said; written anew and renamed
        log, log.1   what the service printed, and the part before that

Whether a service is supervised is told by the lock, never by a process id alone.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sealdex.runtime.process_group import process_identity
from sealdex.store.layout import Store

STARTING, RUNNING, WAITING, STOPPED, FAILED, DIED = "starting", "running", "waiting", "stopped", "failed", "died"
OVER = frozenset({STOPPED, FAILED, DIED})
MAX_LOG_BYTES = 10 * 2**20
_LOCK_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How a service is.

    Attributes:
        plugin, version: which release.
        state: ``starting``; ``running`` (it passed its health check); ``waiting`` before it is started again;
            ``stopped``, ``failed``; ``died``: the supervisor was killed.
        supervisor, pid: process ids of who watches and of the service, which leads its process group.
        identity: tells the service's process from a later one of the same id.
        port, health_url: where it listens, what is asked.
        restarts: how often it was started again.
        since: UTC time of the last change.
        exit_code: of its last end; negative: the signal.
        error: why it failed.
        log: the file it prints to.
    """

    plugin: str
    version: str
    state: str
    supervisor: int
    pid: int | None = None
    identity: str | None = None
    port: int | None = None
    health_url: str | None = None
    restarts: int = 0
    since: str = ""
    exit_code: int | None = None
    error: str | None = None
    log: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


class ServiceFolder:
    """The folder of one service."""

    def __init__(self, store: Store, plugin: tuple[str, str]) -> None:
        self.path = Path(store.run_folder(plugin))
        self.log_path = self.path / "log"

    def lock(self) -> FileLock:
        """Return the supervisor's lock, not acquired; the folder is made."""
        self.path.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path / "lock")

    def is_supervised(self) -> bool:
        """Say whether a supervisor lives."""
        if not (self.path / "lock").exists():
            return False
        lock = self.lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def acquire(self) -> FileLock | None:
        """Become the supervisor; None when there is one.

        Who only looks holds the lock for an instant, which is waited for.
        """
        lock = self.lock()
        try:
            lock.acquire(timeout=_LOCK_PATIENCE_S)
        except Timeout:
            return None
        return lock

    def read(self, *, has_lock: bool = False) -> ServiceState | None:
        """Return what is known; ``died`` where the supervisor is gone without having said so.

        Args:
            has_lock: the caller is the new supervisor, so the one that wrote is gone.
        """
        try:
            values = json.loads((self.path / "state.json").read_text(encoding="utf-8"))
            known = ServiceState(**{f.name: values[f.name] for f in fields(ServiceState) if f.name in values})
        except (OSError, ValueError, TypeError):
            return None
        if known.state not in OVER and (has_lock or not self.is_supervised()):
            return replace(known, state=DIED, error=known.error or "its supervisor was killed")
        return known

    def write(self, state: ServiceState) -> None:
        """Replace what is known."""
        made = self.path / f".state.{os.getpid()}"
        made.write_text(json.dumps(state.as_dict(), indent=2) + "\n", encoding="utf-8")
        made.replace(self.path / "state.json")

    def last_lines(self, count: int) -> list[str]:
        """Return the end of the log."""
        lines: list[str] = []
        for path in (self.log_path.with_name("log.1"), self.log_path):
            with suppress(FileNotFoundError):
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        return lines[-count:] if count else []

    def follow(self, poll_s: float = 0.2) -> Iterator[str]:
        """Yield what is printed from now on, until the service is over."""
        position, number = 0, None
        with suppress(FileNotFoundError):
            position, number = self.log_path.stat().st_size, self.log_path.stat().st_ino
        held = ""
        while True:
            is_over = not self.is_supervised()
            with suppress(FileNotFoundError), self.log_path.open(encoding="utf-8", errors="replace") as file:
                now = os.fstat(file.fileno())
                if now.st_ino != number or now.st_size < position:
                    position, number = 0, now.st_ino
                file.seek(position)
                *lines, held = (held + file.read()).split("\n")
                position = file.tell()
                yield from lines
            if is_over:
                return
            time.sleep(poll_s)


def is_left_behind(state: ServiceState) -> bool:
    """Say whether a service goes on without a supervisor."""
    return (
        state.state == DIED
        and state.pid is not None
        and state.identity is not None
        and process_identity(state.pid) == state.identity
    )


class LogFile:
    """Appends lines with their time; keeps one old file of at most ``max_bytes``. Safe for threads."""

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def write(self, line: str) -> None:
        """Append one line."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._lock:
            if self._file.tell() > self._max_bytes:
                self._file.close()
                self._path.replace(self._path.with_name("log.1"))
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(f"{now} {line}\n")
            self._file.flush()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
