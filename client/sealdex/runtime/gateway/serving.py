"""Runs a gateway: both servers on their addresses, until it is stopped."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sealdex.errors import ConfigError, UnavailableError
from sealdex.runtime.gateway.host import Host
from sealdex.runtime.gateway.listening import Address, listen, make_room, owner_alone
from sealdex.runtime.process.signals import on_signals

try:
    import grpc
    import uvicorn

    from sealdex.runtime.gateway._grpc_services import MAX_REQUEST_BYTES, add_services
    from sealdex.runtime.gateway._rest import rest_app
except ImportError as error:
    raise ConfigError(
        "a gateway needs grpcio, starlette and uvicorn, which are not installed",
        untouched="nothing was started",
        hint="pip install 'sealdex[gateway]'",
    ) from error

MESSAGE_BYTES = 4 << 20
"""What gRPC clients receive unless they are told otherwise."""
_HEADROOM_BYTES = 64 << 10
_WORKERS = 8
_SHUTDOWN_S = 5.0


@dataclass(frozen=True)
class Addresses:
    """Where a gateway listens; None where it doesn't."""

    http: Address | None
    grpc: Address | None


@contextlib.contextmanager
def running_gateway(
    host: Host, wanted: Addresses, *, token: str | None = None, message_bytes: int = MESSAGE_BYTES
) -> Iterator[Addresses]:
    """Run a gateway in threads while the block runs; yield where it listens, with the ports that were free.

    Args:
        host: what it asks.
        wanted: where it is to listen.
        token: allows changes over loopback; None allows none there.
        message_bytes: how many bytes of a plugin are sent in a message.

    Raises:
        UnavailableError: an address is in use.
    """
    with contextlib.ExitStack() as stack:
        # the sockets first: while they are made, files of this process belong to its owner alone
        at_grpc = stack.enter_context(_grpc(host, wanted.grpc, message_bytes)) if wanted.grpc is not None else None
        at_http = stack.enter_context(_http(host, wanted.http, token)) if wanted.http is not None else None
        yield Addresses(at_http, at_grpc)


def serve_gateway(
    host: Host,
    wanted: Addresses,
    on_ready: Callable[[Addresses], None],
    *,
    token: str | None = None,
    message_bytes: int = MESSAGE_BYTES,
) -> None:
    """Run a gateway until Ctrl-C, SIGTERM or SIGHUP, then return. For the main thread; raises as `running_gateway`."""
    stopped = threading.Event()
    with (
        on_signals(("SIGINT", "SIGTERM", "SIGHUP"), lambda _: stopped.set()),
        running_gateway(host, wanted, token=token, message_bytes=message_bytes) as found,
    ):
        on_ready(found)
        stopped.wait()


@contextlib.contextmanager
def _grpc(host: Host, address: Address, message_bytes: int) -> Iterator[Address]:
    options = [
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_send_message_length", message_bytes + _HEADROOM_BYTES),
        ("grpc.so_reuseport", 0),
    ]
    if address.path is not None:
        make_room(address.path)
    server = grpc.server(ThreadPoolExecutor(_WORKERS, thread_name_prefix="sealdex-grpc"), options=options)
    add_services(server, host, limit=message_bytes)
    try:
        with owner_alone():
            port = server.add_insecure_port(str(address))
            server.start()
    except RuntimeError as error:
        raise UnavailableError(f"can't listen on {address}", subject=str(address), hint="choose another one") from error
    try:
        yield address if address.path is not None else Address(None, address.host, port)
    finally:
        server.stop(_SHUTDOWN_S).wait()
        _remove(address)


@contextlib.contextmanager
def _http(host: Host, address: Address, token: str | None) -> Iterator[Address]:
    with listen(address) as listener:
        port = None if address.is_unix else int(listener.getsockname()[1])
        config = uvicorn.Config(
            rest_app(host, port=port, token=token),
            interface="asgi3",
            loop="asyncio",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=64,
            timeout_graceful_shutdown=int(_SHUTDOWN_S),
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="sealdex-gateway", daemon=True
        )
        thread.start()
        try:
            yield address if port is None else Address(None, address.host, port)
        finally:
            server.should_exit = True
            thread.join()
            _remove(address)


def _remove(address: Address) -> None:
    if address.path is not None:
        with contextlib.suppress(OSError):
            os.unlink(address.path)  # noqa: PTH108  # a socket


__all__ = ["MESSAGE_BYTES", "Addresses", "running_gateway", "serve_gateway"]
