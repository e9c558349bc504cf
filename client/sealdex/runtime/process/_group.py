"""Runs a program in its own process group, and terminates the whole group: SIGTERM, then SIGKILL.

The leader isn't reaped until its group was signaled for the last time: until then its id can't be reused, so no other
process is ever hit. Children that outlive the leader are terminated too.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from sealdex.runtime.process._marked import marked
from sealdex.runtime.process.signals import put_off, started

_POLL_S = 0.01
_HURRY_POLL_S = 0.1
_LOOK_S = 0.05
_KILLED_WITHIN_S = 5.0
HAS_GROUPS = hasattr(os, "killpg")
_CAN_PEEK = hasattr(os, "waitid")  # macOS has it from Python 3.13


class ProcessGroup:
    """A running program and all processes it starts.

    Args:
        command: program and arguments; no shell.
        folder: where it runs.
        env: its whole environment.
        stdin, stdout, stderr, pass_fds: as for `subprocess.Popen`.

    Raises:
        OSError: there is no such program, or it can't be started, also because what the system is given isn't possible:
            a NUL character in an argument, an ``=`` in the name of a variable.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._reaping = threading.Lock()
        with put_off():
            try:
                self.process = subprocess.Popen(
                    list(command),
                    cwd=folder,
                    env=dict(env),
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    bufsize=0,
                    start_new_session=HAS_GROUPS,
                    pass_fds=pass_fds if HAS_GROUPS else (),
                )
            except ValueError as error:  # of what an author or a caller wrote, which nobody has checked for this system
                raise OSError(errno.EINVAL, str(error)) from error
            started.add(self)

    @property
    def pid(self) -> int:
        """Id of the leader, and of the group."""
        return self.process.pid

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the leader to exit and terminate what it left behind; return its exit code, or None on timeout.

        A negative code is the number of the signal that ended it.
        """
        if timeout_s is None and _CAN_PEEK and sys.platform != "win32":
            with suppress(ChildProcessError):  # another thread has already done it
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            return self._finish()
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.has_ended:
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)
        return self._finish()

    def stop(self, grace_s: float, is_hurried: Callable[[], bool] = lambda: False) -> int:
        """Send SIGTERM, wait up to ``grace_s`` or until hurried, send SIGKILL. Return the leader's exit code."""
        with self._reaping:
            if self.process.returncode is None:
                self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while (left := deadline - time.monotonic()) > 0 and not is_hurried():
            code = self.wait(min(left, _HURRY_POLL_S))
            if code is not None:
                return code
        return self._finish()

    def kill(self) -> None:
        """Send SIGKILL to the group, and wait for nothing; may be called in a signal handler."""
        if self.process.returncode is None:
            self._signal(signal.SIGKILL if HAS_GROUPS else signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        """Whether the leader has exited; its group may still run."""
        if self.process.returncode is not None:
            return True
        if not _CAN_PEEK or sys.platform == "win32":
            return self.process.poll() is not None
        with self._reaping:
            if self.process.returncode is not None:
                return True
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _finish(self) -> int:
        with self._reaping:
            if self.process.returncode is None:
                self._signal(signal.SIGKILL if HAS_GROUPS else signal.SIGTERM)
            code = self.process.wait()
            started.discard(self)
            return code

    def _signal(self, number: int) -> None:
        if sys.platform == "win32":
            self.process.terminate()
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self.pid, number)


def process_identity(pid: int) -> str | None:
    """Return what distinguishes a process from a later one with the same id (its start time), or None if it is gone.

    A zombie counts as gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        if fields[0] in {"Z", "X"}:
            return None
        return f"{fields[19]}{_boot()}"  # in ticks since the host booted
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except OSError:
        return None
    # the time as ps prints it depends on language and time zone: of one process, whoever asks wants one answer
    settled = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], env=settled, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


@functools.lru_cache(maxsize=1)
def _boot() -> str:
    """Return an id of this boot of the host; empty if there is none."""
    try:
        return "@" + Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def is_group_left(pid: int, identity: str, variable: str) -> bool:
    """Return whether any process of a group started by another process still runs.

    Args:
        pid: id of its leader, and so of the group. While a process of the group lives, that id isn't reused.
        identity: of the leader, see `process_identity`.
        variable: ``NAME=VALUE`` in the environment of the group, which identifies it when the leader is gone (Linux).
    """
    now = process_identity(pid)
    return now == identity or (now is None and any(marked(variable, group=pid)))


def end_group(pid: int, identity: str, variable: str, grace_s: float) -> bool:
    """Terminate a group started by another process, if it is still the same one; see `is_group_left`.

    Returns:
        Whether it is gone. It stays where the system doesn't let this user end it, or can't end it now.
    """
    if sys.platform == "win32":
        return True
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, max(grace_s, _KILLED_WITHIN_S))):
        if not is_group_left(pid, identity, variable):
            return True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        deadline = time.monotonic() + patience_s
        while is_group_left(pid, identity, variable) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
    return not is_group_left(pid, identity, variable)


def pump(stream: IO[bytes], line: Callable[[str], None], *, max_line_bytes: int = 64 * 1024) -> None:
    """Read a stream to its end and pass on each line as text; long lines come in pieces.

    After a line that can't be passed on, the rest is read and dropped: a program whose output nobody reads would wait
    for ever. What was raised is raised at the end.
    """
    failure: Exception | None = None

    def tell(data: bytes) -> None:
        nonlocal failure
        if failure is None:
            try:
                line(_text(data))
            except Exception as error:  # noqa: BLE001  # whatever becomes of the listener, the program goes on
                failure = error

    held = b""
    while chunk := stream.read(65536):
        *lines, held = (held + chunk).split(b"\n")
        for each in lines:
            tell(each)
        while len(held) >= max_line_bytes:
            tell(held[:max_line_bytes])
            held = held[max_line_bytes:]
    if held:
        tell(held)
    if failure is not None:
        raise failure


def _text(data: bytes) -> str:
    return data.rstrip(b"\r").decode("utf-8", "replace")
