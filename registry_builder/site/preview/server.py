"""A local web server for a published folder, with the headers that a bucket behind a CDN would send.

It is for checking a registry before publishing, for tests and for the demo: one process, plain HTTP, no access
control. What it serves is exactly the published tree: no listing, no hidden file, nothing outside the folder, and
``404.html`` as the 404 response to browsers only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

import uvicorn

from registry_builder.site.preview._http_response import Answer, FileFacts, answer_for, refusal
from registry_builder.site.static_api.keys import REWRITES
from registry_builder.site.static_api.rewrites import answered, read_table
from registry_builder.storage.protocol import check_key
from sealdex.errors import NotFoundError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    _Receive = Callable[[], Awaitable[dict[str, Any]]]
    _Send = Callable[[dict[str, Any]], Awaitable[None]]

_NOT_FOUND_PAGE = "404.html"
_FOR_CLIENTS = ("metadata/", "targets/", "plugins/")
_CHUNK_BYTES = 256 << 10
_BACKLOG = 2048
_SHUTDOWN_TIMEOUT_S = 2  # for running downloads; after that they are cut off


class PublishedTree:
    """The ASGI application: GET and HEAD of the files below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._rewrites: tuple[tuple[int, int, int], dict[str, str]] = ((0, 0, 0), {})

    async def __call__(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        """Handle one request."""
        answer, file = self._decide(scope)
        with file or contextlib.nullcontext():
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": [(name.encode(), value.encode()) for name, value in answer.headers.items()],
                }
            )
            if file is not None and answer.length:
                await _send_file(file, answer, receive, send)
            else:
                await send({"type": "http.response.body", "body": b""})

    def _decide(self, scope: dict[str, Any]) -> tuple[Answer, BinaryIO | None]:
        if scope["method"] not in {"GET", "HEAD"}:
            return refusal(405, {"allow": "GET, HEAD"}), None
        path: str = scope["path"]  # percent signs are decoded, so what is checked here is what is opened
        if (found := answered(path, self._table() if path.startswith("/storage/") else {})) is not None:
            if found.location is not None:
                return refusal(302, {"location": found.location}), None
            path = f"/{found.key}"
        key = path.removeprefix("/")
        if not key or key.endswith("/"):
            key += "index.html"
        request = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        file = self._open(key)
        if file is None:
            if self._is_page(f"{key}/index.html"):
                return refusal(301, {"location": quote(f"/{key}/")}), None  # otherwise the page's relative links break
            return self._missing(scope["method"], request, key)
        facts = os.fstat(file.fileno())
        etag = f'"{facts.st_mtime_ns:x}-{facts.st_ino:x}-{facts.st_size:x}"'
        return (
            answer_for(scope["method"], request, FileFacts(key, facts.st_size, etag, int(facts.st_mtime))),
            file,
        )

    def _missing(self, method: str, request: dict[str, str], key: str) -> tuple[Answer, BinaryIO | None]:
        """Return 404, for browsers with the 404 page; for the files that clients read, without a page for anyone."""
        for_people = "text/html" in request.get("accept", "") and not key.startswith(_FOR_CLIENTS)
        page = self._open(_NOT_FOUND_PAGE) if for_people else None
        if page is None:
            return refusal(404), None
        size = os.fstat(page.fileno()).st_size
        headers = {"content-type": "text/html; charset=utf-8", "content-length": str(size)}
        return replace(refusal(404, headers), length=0 if method == "HEAD" else size), page

    def _table(self) -> dict[str, str]:
        """Return where the addresses of the Model Hub lead, as last published."""
        file = self._open(REWRITES)
        if file is None:
            return {}
        with file:
            stamp = os.fstat(file.fileno())
            version = (stamp.st_mtime_ns, stamp.st_ino, stamp.st_size)
            if self._rewrites[0] != version:
                data = b"".join(iter(lambda: file.read(_CHUNK_BYTES), b""))  # it is unbuffered, and reads are short
                self._rewrites = (version, read_table(data))
        return self._rewrites[1]

    def _is_page(self, key: str) -> bool:
        file = self._open(key)
        if file is None:
            return False
        file.close()
        return True

    def _open(self, key: str) -> BinaryIO | None:
        """Open the regular file ``key``, following symbolic links, if the target is below the root."""
        try:
            path = os.path.realpath(f"{self._root}/{check_key(key)}")
            if os.path.commonpath([path, self._root]) != self._root:
                return None
            # Without O_NONBLOCK a named pipe would block the server until somebody writes to it.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except (UsageError, OSError, ValueError):
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return os.fdopen(descriptor, "rb", buffering=0)


async def _send_file(file: BinaryIO, answer: Answer, receive: _Receive, send: _Send) -> None:
    """Send the response's bytes; the file stays the one that was opened, even if it is replaced meanwhile."""
    file.seek(answer.start)
    left = answer.length
    gone = asyncio.ensure_future(_disconnected(receive)) if left > _CHUNK_BYTES else None
    try:
        while left and not (gone and gone.done()):
            chunk = file.read(min(_CHUNK_BYTES, left))
            if not chunk:
                raise EOFError(f"{file.name} became shorter while it was served")  # uvicorn cuts the connection
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
            await asyncio.sleep(0)  # sending to a reader that is gone never waits, and others have their turn
    finally:
        if gone is not None:
            gone.cancel()


async def _disconnected(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def serve(root: Path, *, host: str = "127.0.0.1", port: int = 0, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve the published folder ``root`` until Ctrl-C or SIGTERM, then return. For the main thread.

    ``port`` 0 takes a free one; ``on_ready`` gets the base URL (no slash at its end) once requests are accepted.

    Raises:
        NotFoundError: ``root`` is not a folder.
        UnavailableError: the address is in use or isn't this host's.

    """
    server, listener = _prepare(root, host, port)
    if on_ready is not None:
        on_ready(_base_url(listener))
    # uvicorn ends cleanly on both signals and then raises them again for the previous handlers; there are
    # none, so that the caller continues and chooses the exit code.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def running_server(root: Path, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve ``root`` in a thread inside this block; the value is the base URL (no slash at its end).

    On leaving, open connections are closed too. Raises what `serve` does.
    """
    server, listener = _prepare(root, host, port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sealdex-serve", daemon=True)
    thread.start()
    try:
        yield _base_url(listener)
    finally:
        server.should_exit = True
        thread.join()


def _prepare(root: Path, host: str, port: int) -> tuple[uvicorn.Server, socket.socket]:
    if not root.is_dir():
        raise NotFoundError(
            f"folder {root} does not exist", subject=str(root), hint="publish first: sealdex-builder publish"
        )
    config = uvicorn.Config(
        PublishedTree(root),
        interface="asgi3",
        loop="asyncio",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
    )
    return uvicorn.Server(config), _listen(host, port)


def _listen(host: str, port: int) -> socket.socket:
    """Listen already here, so that a client with the URL can connect even before the server's loop runs."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Not socket.create_server: it leaves the protocol open, and asyncio then doesn't set TCP_NODELAY, without which
    # each small response waits for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on other systems the option would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UnavailableError(
            f"can't listen on {host} port {port}: {getattr(error, 'strerror', None) or error}",
            subject=f"{host}:{port}",
            hint="choose another --port; 0 takes a free one",
        ) from error
    return listener


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
