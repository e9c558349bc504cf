"""A `sealdex-builder` that starts in no time, for tests that run hundreds of its commands and aren't about its start.

    python warm_builder.py ADDRESS

A server imports what the commands do and forks for each. `write` puts a program beside others that hands its arguments,
environment, folder and files to the server and ends as the fork did; when it is killed, so is the fork. Variables of
Python's own change how a program is started, so that with one of them it is started. The clock of
`support.later_clock` is the server's as well.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import marshal
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import NoReturn

_PROGRAM = """\
#!{python} -IS
import _socket, marshal, os, sys

harmless = {harmless!r}
if "TEST_DAYS" in os.environ:
    harmless += ("PYTHONPATH",)
if any(name.startswith("PYTHON") and name not in harmless for name in os.environ):
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
connection.connect({address!r})
umask = os.umask(0)
os.umask(umask)
request = marshal.dumps((sys.argv, dict(os.environ), os.getcwd(), umask))
files = b"".join(file.to_bytes(4, sys.byteorder) for file in (0, 1, 2))
connection.sendmsg([len(request).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
connection.sendall(request)
answer = b""
while more := connection.recv(16):
    answer += more
sys.exit(answer[0] if answer else "sealdex-builder was killed")
"""
_HARMLESS = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
_PRELOADED = (
    "registry_builder.api",
    "registry_builder.authoring.scaffold",
    "registry_builder.ceremony",
    "registry_builder.publication.publish",
    "registry_builder.storage.s3",
)
_REAL = Path(sys.executable).with_name("sealdex-builder")


def write(folder: Path) -> None:
    """Write the program into a folder that comes first in a PATH."""
    program = folder / "sealdex-builder"
    said = {"python": sys.executable, "real": str(_REAL), "harmless": _HARMLESS, "address": _address()}
    program.write_text(_PROGRAM.format(**said), encoding="utf-8")
    program.chmod(0o755)


@cache
def _address() -> str:
    """Start a server that ends with this process; return where it listens."""
    folder = Path(tempfile.mkdtemp(prefix="sealdex-warm-"))
    address = str(folder / "socket")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SEALDEX"))}
    server = subprocess.Popen([sys.executable, __file__, address], stdin=subprocess.PIPE, env=environment)

    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()

    atexit.register(end)
    while not os.path.exists(address) and server.poll() is None:  # noqa: PTH110  # it listens before it imports
        time.sleep(0.01)
    return address


def _serve(address: str) -> None:
    """Fork for each request, until whoever started this is gone."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    listening.listen()
    os.rename(f"{address}.new", address)  # noqa: PTH104  # it listens by now
    _preload()
    gc.freeze()
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if sys.stdin in select.select([listening, sys.stdin], [], [])[0]:
            shutil.rmtree(Path(address).parent)  # here, since whoever started this may have been killed
            return
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _do(connection)
        connection.close()


def _preload() -> None:
    from registry_builder.cli.main import COMMANDS  # noqa: PLC0415  # not in the process of the tests
    from sealdex.trust.key_libraries import put_off  # noqa: PLC0415

    put_off()
    metadata = importlib.import_module("registry_builder.signing.metadata")
    now = metadata.utc_now
    metadata.utc_now = lambda: now() + timedelta(days=int(os.environ.get("TEST_DAYS", "0")))  # type: ignore[attr-defined]
    for name in (*_PRELOADED, *(command.address.partition(":")[0] for command in COMMANDS.values())):
        importlib.import_module(name)


def _do(connection: socket.socket) -> NoReturn:
    """Be the program that was asked for; its exit code goes ahead of its end."""
    from registry_builder.cli.main import main  # noqa: PLC0415

    files = array.array("i")
    head, control, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * files.itemsize), socket.MSG_WAITALL)
    files.frombytes(control[0][2])
    left = int.from_bytes(head, "big")
    request = b""
    while len(request) < left:
        request += connection.recv(left - len(request))
    sys.argv, environment, folder, umask = marshal.loads(request)  # noqa: S302  # of a test
    if sys.platform == "linux":  # what is never sent comes: the program was killed
        fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(connection, fcntl.F_SETFL, os.O_ASYNC)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(number, mode, closefd=False), "utf-8", errors, line_buffering=number == 2)  # noqa: SIM115
        for number, mode, errors in ((0, "rb", "strict"), (1, "wb", "strict"), (2, "wb", "backslashreplace"))
    )
    code: object = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
        connection.sendall(bytes([code]))
        raise
    raise AssertionError("the program exits by itself")


if __name__ == "__main__":
    _serve(sys.argv[1])
