"""Which addresses a gateway listens on: Unix sockets that only their owner can open, or loopback. Nothing else."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sealdex.errors import UnavailableError, UsageError

_BACKLOG = 128
_OWNER_ALONE = 0o177
_MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True)
class Address:
    """A Unix socket, or a host and port of loopback; port 0 is any free one."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.path is not None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``unix:PATH`` or ``HOST:PORT``.

    Raises:
        UsageError: it is neither, or another host's address: a gateway isn't a server for others.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise UsageError("'unix:' names no path: write unix:/run/sealdex/gateway.sock")
        return Address(Path(path).absolute())
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UsageError(f"'{text}' is not an address: write unix:PATH or 127.0.0.1:PORT")
    if host != "localhost" and not _is_loopback(host):
        raise UsageError(
            f"a gateway listens on this host alone, and '{host}' is not loopback",
            hint="write 127.0.0.1:PORT or unix:PATH; other hosts run a gateway of their own",
        )
    return Address(None, "127.0.0.1" if host == "localhost" else host, int(port))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def owner_alone() -> Iterator[None]:
    """Let sockets that are made here have mode 0600 from the first moment; no file is made meanwhile."""
    before = os.umask(_OWNER_ALONE)
    try:
        yield
    finally:
        os.umask(before)


def make_room(path: Path) -> None:
    """Remove the socket that a killed gateway left behind.

    Raises:
        UnavailableError: another gateway listens there, the folder doesn't exist, or something else is there.
        UsageError: the path is longer than the system allows for sockets, or another user could put a socket of their
            own in its place.
    """
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise UsageError(
            f"the path of a socket has at most {_MAX_PATH_BYTES} bytes, and {path} has {len(os.fsencode(path))}",
            untouched="nothing was started",
            hint="give a shorter one: --http unix:PATH, --grpc unix:PATH",
        )
    if not path.parent.is_dir():
        raise UnavailableError(f"there is no folder {path.parent} for the socket", subject=str(path))
    _require_own(path.parent)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UnavailableError(f"{path} is there and is not a socket", subject=str(path))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # one that is busy has a full queue, and is there
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
        except OSError as error:  # another user's, which may well be alive
            raise UnavailableError(
                f"{path} can't be tried: {error.strerror}", subject=str(path), hint="stop it, or choose a path"
            ) from error
    raise UnavailableError(f"another program listens on {path}", subject=str(path), hint="stop it, or choose a path")


def _require_own(folder: Path) -> None:
    info = folder.stat()
    is_ours = info.st_uid in {os.geteuid(), 0}
    if is_ours and not (info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX):
        return
    whose = f"has mode {stat.S_IMODE(info.st_mode):04o}" if is_ours else f"belongs to user {info.st_uid}"
    raise UsageError(
        f"the folder of the socket {whose}, so another user could put a socket of their own in its place",
        subject=str(folder),
        untouched="nothing was started",
        hint=f"choose a folder of your own, or: chmod go-w {folder}",
    )


def listen(address: Address) -> socket.socket:
    """Return a listening socket.

    Raises:
        UnavailableError: the address is in use. UsageError: as `make_room`.
    """
    if address.path is not None:
        make_room(address.path)
        listener = socket.socket(socket.AF_UNIX)
        where: str | tuple[str, int] = str(address.path)
    else:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        where = (address.host, address.port)
    try:
        with owner_alone():
            listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UnavailableError(f"can't listen on {address}: {error.strerror}", subject=str(address)) from error
    return listener


__all__ = ["Address", "listen", "make_room", "owner_alone", "parse_address"]
