"""Credential helpers: programs that print a token; the protocol is told in docs/private.md.

A helper is asked with one JSON object on its stdin and answers on its stdout. It runs without a shell, in the folder of
config.toml, so that nothing of the folder that a command happens to be run in is used. Its stdout is never shown or
logged; its stderr is what it says to people.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec.structs import replace

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
                cwd=self._folder if self._folder.is_dir() else os.sep,
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
        if os.sep in named:
            return str(self._folder / named)
        found = shutil.which(named)
        if found is None:
            self._fail("is not there, or not executable: no folder of PATH has it")
        return os.path.abspath(found)  # noqa: PTH100  # a relative folder in PATH is relative to where it was found

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


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False


def _is_long(said: Mapping[str, bytes]) -> bool:
    return any(len(each) > MAX_SECRET_BYTES for each in said.values())


def _talk(process: subprocess.Popen[bytes], asked: bytes, seconds: float) -> tuple[dict[str, bytes], bool]:
    """Write to a process and read what it says; return that, and whether it ended by itself within bounds."""
    end = time.monotonic() + seconds
    said: dict[str, bytes] = {}
    assert process.stdin is not None  # noqa: S101  # a pipe
    with suppress(BrokenPipeError):  # it needn't read
        process.stdin.write(asked)
        process.stdin.close()
    with selectors.DefaultSelector() as selector:
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, name)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                return said, False
            events = selector.select(min(left, 0.1))
            if not events and process.poll() is not None:
                break  # something that it started keeps the pipe open
            for key, _ in events:
                data = os.read(key.fd, MAX_SECRET_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                said[key.data] = said.get(key.data, b"") + data
            if _is_long(said):
                return said, False
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return said, False
    return said, True


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:
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
