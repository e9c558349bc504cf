"""Credential helpers: programs that print a token; the protocol is told in docs/private.md.

A helper is asked with one JSON object on its stdin and answers on its stdout. It runs without a shell, in the folder of
config.toml, so that nothing of the folder that a command happens to be run in is used. Its stdout is never shown or
logged; its stderr is what it says to people.
"""

from __future__ import annotations

import os
import queue
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, NoReturn

import msgspec
from msgspec.structs import replace

from sealdex import disk
from sealdex.config._expiry import shown_time
from sealdex.config._grants import basic, bearer, cookies, signed_query
from sealdex.config._secret_places import MAX_SECRET_BYTES, unreadable
from sealdex.log import Log, hide, shown_value
from sealdex.model.decode import DocumentError, decode_as
from sealdex.transport.types import Grant

_log = Log("sealdex.config")

DEFAULT_SECONDS = 60.0
PROTOCOL = 1
_MAX_SAID_LINES = 20
_EITHER = "neither a token on one line nor a JSON object with a token, a user and password, cookies or a query"


class _Answer(msgspec.Struct):
    token: str | None = None
    user: str | None = None
    password: str | None = None
    cookies: dict[str, str] | None = None
    query: str | None = None
    expires: datetime | None = None
    error: str | None = None


class Helper:
    """One helper, for one address.

    Args:
        owner: whose credentials it has, for messages: ``registry 'team'``, an address.
        registry: the registry's name, or None.
        address: what requests have to be below.
        command: the program and its arguments; a relative path is relative to ``folder``.
        folder: of config.toml.
        seconds: how long it may take.
        say: told what it says on stderr, line by line, where that isn't a terminal.
    """

    def __init__(
        self,
        owner: str,
        registry: str | None,
        address: str,
        command: Sequence[str],
        folder: Path,
        seconds: float,
        say: Callable[[str], None] | None,
    ) -> None:
        self._owner = owner
        self._asked = {"version": PROTOCOL, "registry": registry, "address": address}
        self._command = command
        self._folder = folder
        self._seconds = seconds
        self._say = say
        self.shown = f"the helper {Path(command[0]).name}"

    def __call__(self, *, refused: bool) -> Grant:
        """Ask it.

        Args:
            refused: a server refused what it said before.

        Raises:
            CredentialsError: it can't be run, failed, took too long, or said something else.
        """
        answer, said = self._run(msgspec.json.encode({**self._asked, "refused": refused}))
        try:
            grant = self._grant(answer.strip())
        finally:
            self._tell(said)  # when what it gave is known as a secret
        _log.info(
            "config.helper",
            "{helper} gave credentials for {owner}, which expire {when}",
            helper=self.shown,
            owner=self._owner,
            when=shown_time(grant.expires) if grant.expires is not None else "at a time that it doesn't say",
        )
        return grant

    def _grant(self, answer: bytes) -> Grant:
        if not answer.startswith(b"{"):
            try:
                token = answer.decode("ascii")
            except UnicodeDecodeError:
                self._fail(f"printed {_EITHER}")
            if not token or any(c.isspace() for c in token):
                self._fail("printed nothing" if not token else f"printed {_EITHER}")
            hide(token)
            return self._current(bearer(self._owner, token, self.shown))
        try:
            said = decode_as(answer, _Answer)
        except (msgspec.DecodeError, DocumentError):
            # from None: the message may quote a part of it
            self._fail(f"printed {_EITHER}")
        if said.error is not None:
            raise unreadable(self._owner, f"{self.shown} says: {shown_value(said.error)}")
        grant = self._read(said)
        if said.expires is not None:
            if said.expires.tzinfo is None:
                self._fail("says when they expire without a time zone: write 2030-01-31T12:00:00Z")
            grant = replace(grant, expires=said.expires.timestamp())
        return self._current(grant)

    def _read(self, said: _Answer) -> Grant:
        given = [said.token, said.password, said.cookies, said.query]
        if sum(each is not None for each in given) != 1 or (said.user is None) != (said.password is None):
            self._fail(f"printed {_EITHER}")
        if said.token is not None:
            hide(said.token)
            return bearer(self._owner, said.token, self.shown)
        if said.cookies is not None:
            return cookies(self._owner, said.cookies, self.shown)
        if said.query is not None:
            return signed_query(self._owner, said.query, self.shown)
        hide(said.password)
        return basic(said.user or "", said.password or "")

    def _current(self, grant: Grant) -> Grant:
        now = time.time()
        if grant.expires is not None and grant.expires <= now:
            raise unreadable(
                self._owner,
                f"{self.shown} gave some that expired at {shown_time(grant.expires)}; "
                f"this host's clock says {shown_time(now)}",
                "log in again with that program, or set the clock",
                problem="expired",
            )
        return grant

    def _run(self, asked: bytes) -> tuple[bytes, bytes]:
        program = self._program()
        is_terminal = _is_terminal()
        try:
            process = subprocess.Popen(
                [program, *self._command[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if is_terminal else subprocess.PIPE,
                cwd=self._folder if self._folder.is_dir() else self._folder.anchor or os.sep,
                start_new_session=not is_terminal,  # on a terminal it may ask its user something
            )
        except OSError as error:
            self._fail(f"can't be run: {error.strerror}")
        try:
            said, finished = _talk(process, asked, self._seconds)
        finally:
            _end(process)
        if not finished or process.returncode != 0:
            self._tell(said.get("stderr", b""))
        if not finished:
            self._fail(f"printed more than {MAX_SECRET_BYTES} bytes" if _is_long(said) else self._late())
        if process.returncode != 0:
            how = f"exit code {process.returncode}" if process.returncode > 0 else _signal_name(-process.returncode)
            self._fail(f"ended with {how}")
        return said.get("stdout", b""), said.get("stderr", b"")

    def _late(self) -> str:
        return f"didn't answer within {self._seconds:g} s (timeout of auth)"

    def _program(self) -> str:
        named = self._command[0]
        if is_path(named, on_windows=disk.ON_WINDOWS):
            found = str(self._folder / named)
        elif (on_path := shutil.which(named)) is not None:
            found = os.path.abspath(on_path)  # noqa: PTH100  # a relative folder in PATH is relative to where it was found
        else:
            self._fail("is not there, or not executable: no folder of PATH has it")
        if disk.ON_WINDOWS and would_be_commands(found, self._command[1:]):
            self._fail("is a script of cmd.exe, which would take a part of its arguments for commands")
        return found

    def _tell(self, said: bytes) -> None:
        for line in said.decode(errors="replace").splitlines()[-_MAX_SAID_LINES:]:
            if not line.strip():
                continue
            shown = shown_value(line)
            _log.info("config.helper_said", "{helper} says: {line}", helper=self.shown, line=shown)
            if self._say is not None:
                self._say(f"{self.shown} says: {shown}")

    def _fail(self, why: str) -> NoReturn:
        raise unreadable(self._owner, f"{self.shown} {why}", f"try {self.shown} by hand")


def is_path(named: str, *, on_windows: bool) -> bool:
    """Say whether a program is named by its path, and not searched for in PATH. Pure."""
    return any(mark in named for mark in ("\\/:" if on_windows else "/"))


def would_be_commands(program: str, arguments: Sequence[str]) -> bool:
    """Say whether Windows would have cmd.exe run a program, with arguments in which it reads more than words. Pure.

    Which, since no quotation is safe from it. Windows leaves blanks and full stops at the end of a name away.
    """
    is_script = program.lower().rstrip(" .").endswith((".bat", ".cmd"))
    return is_script and any(mark in each for each in arguments for mark in '&|<>^%!"()\r\n')


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False


def _is_long(said: Mapping[str, bytes]) -> bool:
    return any(len(each) > MAX_SECRET_BYTES for each in said.values())


def _talk(process: subprocess.Popen[bytes], asked: bytes, seconds: float) -> tuple[dict[str, bytes], bool]:
    """Write to a process and read what it says; return that, and whether it ended by itself within bounds.

    What it started may keep a pipe open when it has ended.
    """
    end = time.monotonic() + seconds
    said: dict[str, bytes] = {}
    streams = {name: each for name in ("stdout", "stderr") if (each := getattr(process, name)) is not None}
    assert process.stdin is not None  # noqa: S101  # a pipe
    with suppress(OSError):  # it needn't read, and may have ended
        process.stdin.write(asked)
        process.stdin.close()
    is_last = False
    with closing(_Threads(streams) if disk.ON_WINDOWS else _Selector(streams)) as ears:
        while streams:
            left = end - time.monotonic()
            if left <= 0:
                return said, False
            heard = ears.hear(min(left, 0.1))
            if not heard and is_last:
                break
            is_last = not heard and process.poll() is not None  # once more, for what it said just before
            for name, data in heard:
                if not data:
                    streams.pop(name, None)
                said[name] = said.get(name, b"") + data
            if _is_long(said):
                return said, False
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return said, False
    return said, True


class _Selector:
    """Reads several pipes as their bytes come."""

    def __init__(self, streams: Mapping[str, IO[bytes]]) -> None:
        self._selector = selectors.DefaultSelector()
        for name, stream in streams.items():
            self._selector.register(stream, selectors.EVENT_READ, name)

    def hear(self, seconds: float) -> list[tuple[str, bytes]]:
        """Return what came of which pipe within so many seconds; of one that ended, nothing."""
        heard = []
        for key, _ in self._selector.select(seconds):
            heard.append((key.data, os.read(key.fd, MAX_SECRET_BYTES)))
            if not heard[-1][1]:
                self._selector.unregister(key.fileobj)
        return heard

    def close(self) -> None:
        self._selector.close()


class _Threads:
    """The same where no more than one pipe can be waited for: on Windows."""

    def __init__(self, streams: Mapping[str, IO[bytes]]) -> None:
        self._heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        for name, stream in streams.items():
            threading.Thread(target=self._read, args=(name, os.dup(stream.fileno())), daemon=True).start()

    def hear(self, seconds: float) -> list[tuple[str, bytes]]:
        """As `_Selector.hear`."""
        with suppress(queue.Empty):
            return [self._heard.get(timeout=seconds)]
        return []

    def close(self) -> None:
        """Nothing to do: each thread ends with its pipe, of which it has a descriptor of its own."""

    def _read(self, name: str, descriptor: int) -> None:
        data = b"."
        while data:
            try:
                data = os.read(descriptor, MAX_SECRET_BYTES)
            except OSError:
                data = b""
            self._heard.put((name, data))
        os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg") and os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
