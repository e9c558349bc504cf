"""Process plugins: programs in their own process group, called by JSON-RPC, with stderr as their log.

Messages are limited in both directions. A plugin that writes anything other than messages, or one that is too long, is
terminated, since its later output can't be trusted. If it exits unexpectedly, the calls that wait for it fail.
"""

from __future__ import annotations

import logging
import os
import selectors
import shlex
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import IO, Any

from sealdex.model.ids import PluginId
from sealdex.runtime._protocol import (
    MAX_MESSAGE_BYTES,
    METHOD_NOT_FOUND,
    PROTOCOL,
    Notice,
    ProtocolError,
    Response,
    read,
    refusal,
    request,
)
from sealdex.runtime.errors import MethodNotFoundError, PluginError, PluginTimeoutError
from sealdex.runtime.plugin import Fault, PluginContext, plugin_logger
from sealdex.runtime.process._group import ProcessGroup, pump
from sealdex.store.installations import Installation
from sealdex.store.manifests import installed_manifest

CALL_TIMEOUT_S = 60.0
SHUTDOWN_TIMEOUT_S = 2.0
GRACE_S = 5.0
_LONGEST_SELECT_S = 3600.0  # the system counts milliseconds in an int
_LAST_LINES = 5


def process_command(installation: Installation, entry_point: str) -> list[str]:
    """Return the argument list of an entry point: a program of the package, or one of the host, with arguments.

    Raises:
        PluginError: it names no program, or one that doesn't exist.
    """
    name = f"{installation.namespace}/{installation.name} {installation.version}"
    try:
        words = shlex.split(entry_point)
    except ValueError as error:
        raise PluginError(f"the entry point of {name} can't be read: {error}", subject=name) from None
    if not words:
        raise PluginError(f"{name} has no entry point", subject=name)
    own = installation.path / words[0]
    if "/" in words[0] or own.is_file():
        if not own.is_file():
            raise PluginError(f"the entry point of {name}, {words[0]}, is not in the package", subject=name)
        return [str(own), *words[1:]]
    found = shutil.which(words[0])
    if found is None:
        raise PluginError(
            f"{name} needs the program '{words[0]}', which is not on this host",
            subject=name,
            hint=f"install {words[0]}, or add it to PATH",
        )
    return [found, *words[1:]]


class ProcessPlugin:
    """One running program. Other attributes are the program's methods: ``plugin.send("hello")``.

    Args:
        installation: what to start.
        config: sent with ``initialize``.
        timeout_s: for starting and ``initialize``.
        call_timeout_s: for each call; a call that takes longer fails, but the program keeps running.
        env: variables for the program, beside those of this process.
        on_end: called with the reason when the program exits unexpectedly, before the calls that wait for it fail.

    Raises:
        PluginError: it can't be started.
    """

    kind = "process"

    def __init__(
        self,
        installation: Installation,
        config: dict[str, Any],
        timeout_s: float | None,
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
        env: Mapping[str, str] | None = None,
        on_end: Callable[[ProcessPlugin, str], None] | None = None,
    ) -> None:
        self._plugin = PluginId(*installation.id)
        self._name = f"{self._plugin} {installation.version}"
        self._version = installation.version
        self._folder = os.fspath(installation)
        self._config = config
        self._timeout_s = timeout_s
        self._call_timeout_s = call_timeout_s
        self._on_end = on_end
        self._log = plugin_logger(self._plugin)
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._next_number = 1
        self._fault: Fault | None = None
        self._is_ending = False
        self._is_closing = False
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        command = process_command(installation, installed_manifest(installation).entry_point or "")
        try:
            self._group = ProcessGroup(
                command,
                folder=installation.path,
                env={
                    **os.environ,
                    **(env or {}),
                    "SEALDEX_PLUGIN": str(self._plugin),
                    "SEALDEX_VERSION": installation.version,
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise PluginError(
                f"{self._name} can't be started: {error.strerror}: {command[0]}", subject=self._name
            ) from None
        process = self._group.process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("unreachable: all three are pipes")
        self._stdin: IO[bytes] = process.stdin
        os.set_blocking(self._stdin.fileno(), False)
        self._stderr_thread = self._thread("log", pump, process.stderr, self._logged)
        self._reader = self._thread("reader", self._read, process.stdout)

    @property
    def target(self) -> ProcessPlugin:
        """Itself."""
        return self

    @property
    def fault(self) -> Fault | None:
        """Why it exited unexpectedly; None while it runs."""
        return self._fault

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *params, **named: self.call(method, params, named)

    def init(self, context: PluginContext) -> None:
        """Send ``initialize`` and wait for an answer with the same protocol version.

        Raises:
            PluginError: it refused, exited, or uses another protocol; PluginTimeoutError: it didn't answer in time.
        """
        answer = self._request(
            "initialize",
            {
                "protocol": PROTOCOL,
                "plugin": str(self._plugin),
                "version": self._version,
                "folder": self._folder,
                "config": context.config,
            },
            self._timeout_s,
        )
        if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL:
            raise PluginError(
                f'{self._name} answered initialize without "protocol": {PROTOCOL}', subject=self._name
            )  # fmt: skip

    def call(
        self,
        method: str,
        params: tuple[Any, ...] = (),
        named: dict[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Call a method with positional or named parameters and return its result.

        Raises:
            PluginError: it answered with an error, exited, or broke the protocol; PluginTimeoutError: no answer in
                time.
            TypeError: both kinds of parameters were given; JSON-RPC allows one or the other.
        """
        if params and named:
            raise TypeError("a process plugin takes positional or named parameters, not both")
        return self._request(
            method, list(params) or dict(named or {}), self._call_timeout_s if timeout_s is None else timeout_s
        )

    def close(self) -> None:
        """Send ``shutdown``, close its stdin, and terminate its process group if it doesn't exit."""
        if self._fault is None:
            with suppress(PluginError):
                self._is_closing = True
                self._request("shutdown", None, SHUTDOWN_TIMEOUT_S)
        self._is_closing = True
        with suppress(OSError):
            self._stdin.close()
        if self._group.wait(SHUTDOWN_TIMEOUT_S) is None:
            self._group.stop(GRACE_S)
        self._reader.join(GRACE_S)
        self._stderr_thread.join(GRACE_S)

    def _request(self, method: str, params: Any, timeout_s: float | None) -> Any:
        answer: Future[Any] = Future()
        with self._lock:
            self._require_running()
            number = self._next_number
            self._next_number += 1
            self._waiting[number] = answer
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            try:
                self._write(request(number, method, params), deadline)
            except (ValueError, TypeError, ProtocolError) as error:
                raise PluginError(f"{method} can't be sent to {self._name}: {error}", subject=self._name) from None
            left = None if deadline is None else min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
            return answer.result(left)
        except (FutureTimeoutError, TimeoutError):
            raise PluginTimeoutError(
                f"{self._name} did not answer {method} within {timeout_s:g} s", subject=self._name
            ) from None
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _write(self, data: bytes, deadline: float | None) -> None:
        """Write a complete message; a program that doesn't read must not block its host."""
        left = memoryview(data)
        with self._writing, selectors.DefaultSelector() as selector:
            try:
                selector.register(self._stdin, selectors.EVENT_WRITE)
                while left:
                    wait = None if deadline is None else min(deadline - time.monotonic(), _LONGEST_SELECT_S)
                    if wait is not None and wait <= 0:
                        if len(left) < len(data):  # a partial message was written: no other can follow
                            self._broken("it does not read its input")
                        raise TimeoutError  # caught below to distinguish it from other OSErrors
                    if selector.select(wait):
                        left = left[os.write(self._stdin.fileno(), left) :]
            except (OSError, ValueError) as error:
                if isinstance(error, TimeoutError):
                    raise
                self._group.wait(GRACE_S)
                self._reader.join(GRACE_S)
                self._require_running()
                raise PluginError(f"{self._name} closed its input", subject=self._name) from None

    def _read(self, stdout: IO[bytes]) -> None:
        """Read messages until the end of the output; runs in its own thread."""
        held = b""
        try:
            while chunk := stdout.read(65536):
                *lines, held = (held + chunk).split(b"\n")
                if max(map(len, (*lines, held))) > MAX_MESSAGE_BYTES:
                    self._broken(f"it wrote a message longer than {MAX_MESSAGE_BYTES} bytes")
                    return
                for line in lines:
                    if line.strip():
                        self._take(read(line))
        except ProtocolError as error:
            self._broken(str(error))
            return
        except Exception as error:  # noqa: BLE001  # whatever it wrote: without a reader every call would wait in vain
            self._broken(f"it wrote a message that can't be used ({type(error).__name__}: {error})")
            return
        code = self._group.wait(SHUTDOWN_TIMEOUT_S)
        if code is None:
            self._broken("it closed its output")
        else:
            self._stderr_thread.join(SHUTDOWN_TIMEOUT_S)
            ended = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            self._ended(f"it ended {ended}" + (f": {' | '.join(self._last_lines)}" if self._last_lines else ""))

    def _take(self, message: Response | Notice) -> None:
        if isinstance(message, Notice):
            if message.method == "log" and isinstance(message.params, dict):
                level = logging.getLevelName(str(message.params.get("level", "info")).upper())
                self._log.log(
                    level if isinstance(level, int) else logging.INFO, "%s", message.params.get("message", "")
                )
            elif message.id is not None:
                with suppress(PluginError, OSError):
                    self._write(
                        refusal(message.id, METHOD_NOT_FOUND, "a plugin can't ask its host"), time.monotonic() + GRACE_S
                    )
            return
        with self._lock:
            answer = self._waiting.pop(message.id, None)
        if answer is None:
            return  # the answer to a call that timed out
        if message.error is None:
            answer.set_result(message.result)
        else:
            kind = MethodNotFoundError if message.code == METHOD_NOT_FOUND else PluginError
            answer.set_exception(kind(f"{self._name} answered with an error: {message.error}", subject=self._name))

    def _broken(self, why: str) -> None:
        self._ended(f"{why}, so it was terminated")
        self._group.stop(0)

    def _ended(self, why: str) -> None:
        with self._lock:
            if self._is_ending:
                return
            self._is_ending = True
        # first, so that callers told of the failure find the new status and may restart it
        if self._on_end is not None and not self._is_closing:
            self._on_end(self, why)
        with self._lock:
            self._fault = Fault(why, time.monotonic())
            waiting, self._waiting = list(self._waiting.values()), {}
        for answer in waiting:
            answer.set_exception(PluginError(f"{self._name} failed: {why}", subject=self._name))

    def _require_running(self) -> None:
        if self._fault is not None:
            raise PluginError(f"{self._name} is not running: {self._fault.why}", subject=self._name)

    def _logged(self, line: str) -> None:
        self._last_lines.append(line[:500])
        self._log.info("%s", line)

    def _thread(self, what: str, run: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=run, args=args, name=f"{what} of {self._name}", daemon=True)
        thread.start()
        return thread
