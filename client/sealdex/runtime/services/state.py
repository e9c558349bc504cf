"""The state of a service, shared between processes.

    <store>/run/<namespace>/<name>/
        lock         held by the supervisor as long as it lives
        state.json   its last state; replaced by renaming
        grace        how long it may take to stop, if `stop` said so
        log, log.1   the output of the service (sealdex.runtime.services._log)

The lock says whether a service is supervised, never a process id alone. Its environment variables are never written to
a file.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from sealdex import disk
from sealdex.model.foreign_json import json_values
from sealdex.runtime.process._group import is_group_left
from sealdex.runtime.services._log import follow, last_lines
from sealdex.store.layout import Store

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # and so is every use of it

ServicePhase = Literal["starting", "running", "waiting", "stopped", "failed", "died"]
ServiceHealth = Literal["healthy", "unhealthy"]
OVER: frozenset[str] = frozenset({"stopped", "failed", "died"})
_LOCK_PATIENCE_S = 5.0
_GRACE_S = 10.0
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("plugin", "version", "state", "since", "log"), (str,)),
    **dict.fromkeys(
        ("supervisor_identity", "identity", "health", "health_url", "started_at", "error"), (str, type(None))
    ),
    **dict.fromkeys(("pid", "port", "exit_code"), (int, type(None))),
    **dict.fromkeys(("supervisor", "restarts"), (int,)),
    "follows": (bool,),
    "grace": (int, float),
}
"""Limits of a state file, which another process, perhaps of another version, has written."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The state of a service.

    Attributes:
        plugin, version: the release.
        state: ``starting``; ``running`` (it passed its health check); ``waiting`` before a restart; ``stopped``,
            ``failed``; ``died``: the supervisor was killed.
        supervisor, pid: process ids of the supervisor and of the service, which leads its process group.
        supervisor_identity, identity: distinguish these from later processes with the same id.
        health: ``healthy`` or ``unhealthy``, the result of its last health check; None if it has none.
        port, health_url: its port, and the address of its health check.
        follows: it switches to another version when `current` names one.
        restarts: how often it was restarted.
        since: UTC time of the last change.
        started_at: UTC time of its last start; None while it doesn't run.
        grace: seconds between SIGTERM and SIGKILL.
        exit_code: of its last run; negative: the signal.
        error: why it failed, or why it didn't switch to another version.
        log: the file with its output.
    """

    plugin: str
    version: str
    state: str
    supervisor: int
    supervisor_identity: str | None = None
    pid: int | None = None
    identity: str | None = None
    health: str | None = None
    port: int | None = None
    health_url: str | None = None
    follows: bool = False
    restarts: int = 0
    since: str = ""
    started_at: str | None = None
    grace: float = _GRACE_S
    exit_code: int | None = None
    error: str | None = None
    log: str = ""

    @property
    def is_left_behind(self) -> bool:
        """Whether it, or a process that it started, still runs without a supervisor."""
        return (
            self.state == "died"
            and self.pid is not None
            and self.identity is not None
            and is_group_left(self.pid, self.identity, self.variable)
        )

    @property
    def variable(self) -> str:
        """The variable in the environment of all its processes."""
        return f"SEALDEX_PLUGIN={self.plugin}"

    def uptime_s(self, now: datetime) -> int | None:
        """Return how many seconds it has been running; None if it isn't."""
        if self.started_at is None or self.state in OVER:
            return None
        return max(0, int((now - _time(self.started_at)).total_seconds()))

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, and the derived ``uptime_seconds`` and ``left_behind``."""
        return {
            **asdict(self),
            "uptime_seconds": self.uptime_s(datetime.now(timezone.utc)),
            "left_behind": self.is_left_behind,
        }


class ServiceFolder:
    """The folder of one service."""

    def __init__(self, store: Store, plugin: tuple[str, str]) -> None:
        self.path = Path(store.run_folder(plugin))
        self.log_path = self.path / "log"

    def make(self) -> None:
        """Create the folder, readable by its user only: a service may print anything."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)

    def is_supervised(self) -> bool:
        """Return whether a supervisor is alive."""
        if fcntl is None:  # Windows, which has no services
            return False
        try:
            descriptor = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)  # also where nothing can be written
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def acquire(self) -> FileLock | None:
        """Become the supervisor; None if there already is one.

        Readers hold the lock only for an instant, which is waited for.
        """
        self.make()
        lock = FileLock(self.path / "lock")
        try:
            lock.acquire(timeout=_LOCK_PATIENCE_S)
        except Timeout:
            return None
        return lock

    def read(self, *, has_lock: bool = False) -> ServiceState | None:
        """Return the state; ``died`` if the supervisor is gone without having recorded an end.

        Args:
            has_lock: the caller is the new supervisor, so the previous one is gone.
        """
        known = self._read()
        if known is None or known.state in OVER or (not has_lock and self.is_supervised()):
            return known
        known = self._read()  # it may have written its last state between the two checks
        if known is None or known.state in OVER:
            return known
        return replace(known, state="died", error=known.error or "its supervisor was killed")

    def write(self, state: ServiceState) -> None:
        """Replace the state.

        Raises:
            OSError: it can't be written.
        """
        made = self.path / f".state.{os.getpid()}"
        made.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
        disk.replace(made, self.path / "state.json")

    def ask_grace(self, seconds: float) -> None:
        """Tell the supervisor how long the service may take to stop."""
        (self.path / "grace").write_text(repr(seconds), encoding="ascii")

    def take_grace(self) -> float | None:
        """Return the last request, once."""
        path = self.path / "grace"
        try:
            seconds = float(path.read_text(encoding="ascii"))
            path.unlink()
        except (OSError, ValueError):
            return None
        return seconds

    def last_lines(self, count: int) -> list[str]:
        """Return the end of the log."""
        return last_lines(self.log_path, count)

    def follow(self, count: int = 0, poll_s: float = 0.2) -> Iterator[str]:
        """Yield the last lines and then new ones, until the service ends."""
        return follow(self.log_path, count, lambda: not self.is_supervised(), poll_s)

    def _read(self) -> ServiceState | None:
        try:
            values = json_values((self.path / "state.json").read_text(encoding="utf-8"))
            found = {f.name: values[f.name] for f in fields(ServiceState) if f.name in values}
            if any(type(value) not in _KINDS[name] for name, value in found.items()):
                return None
            state = ServiceState(**found)
            if state.started_at is not None:
                _time(state.started_at)
            if not math.isfinite(state.grace):  # as an earlier version took and wrote it; JSON has no such number
                state = replace(state, grace=_GRACE_S)
        except (OSError, ValueError, TypeError, OverflowError):
            return None
        return state


def _time(text: str) -> datetime:
    """Parse a time written by `now_utc`; raises ValueError for anything that isn't a time in UTC."""
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if time.tzinfo is None:
        raise ValueError("it has no time zone")
    return time


def now_utc() -> str:
    """Return the current time as used in states: ``2026-11-21T12:00:00Z``."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def remember(folder: ServiceFolder, state: ServiceState) -> bool:
    """Write a state; False if that fails: a full disk must not stop a running service."""
    with suppress(OSError):
        folder.write(state)
        return True
    return False
