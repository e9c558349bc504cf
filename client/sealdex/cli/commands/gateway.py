"""The ``gateway`` command: the old systems' interfaces on this host, answered from verified documents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from sealdex.runtime.gateway.serving import Addresses

_OFF = "off"
_TOKEN = "SEALDEX_GATEWAY_TOKEN"  # noqa: S105  # the name of a variable
_MAX_TOKEN_BYTES = 4096


@click.command(
    epilog=examples(
        "sealdex gateway",
        "sealdex gateway --http 127.0.0.1:8080 --grpc 127.0.0.1:50051",
        "sealdex gateway --http 127.0.0.1:8080 --grpc off --allow-changes --token-file /etc/sealdex/gateway.token",
    )
)
@click.option("--http", metavar="ADDRESS", help="Where the REST routes are: unix:PATH, 127.0.0.1:PORT or off.")
@click.option("--grpc", metavar="ADDRESS", help="Where the gRPC services are: unix:PATH, 127.0.0.1:PORT or off.")
@click.option("--allow-changes", is_flag=True, help="Let who has the token install and remove plugins over loopback.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"The file with the token, at least 16 characters (${_TOKEN}).",
)
@click.option(
    "--message-bytes",
    type=click.IntRange(1 << 10, 1 << 30),
    default=4 << 20,
    show_default=True,
    help="How many bytes of a plugin a gRPC message has room for; larger ones are answered by their address.",
)
@client_command
def gateway(
    context: Context,
    http: str | None,
    grpc: str | None,
    allow_changes: bool,
    token_file: Path | None,
    message_bytes: int,
) -> None:
    """Answer clients of older plugin systems on this host, until Ctrl-C: an Arcade engine's REST routes, and gRPC.

    Everything is answered by this host's verified client. By default it listens on two Unix sockets in
    $XDG_RUNTIME_DIR/sealdex, which only their owner can open. Over loopback the host is only read, unless
    --allow-changes and a token say otherwise. Needs sealdex[gateway].
    """
    from sealdex.runtime.gateway import serving  # noqa: PLC0415  # an extra
    from sealdex.runtime.gateway.host import Host  # noqa: PLC0415  # the client, which other commands don't wait for

    token = _token(token_file, allow_changes=allow_changes)
    wanted = _addresses(http, grpc)
    out = context.out

    def ready(found: Addresses) -> None:
        for name, address in (("REST", found.http), ("gRPC", found.grpc)):
            if address is not None:
                out.line(f"{name} on {address}")
        out.result({"http": str(found.http or ""), "grpc": str(found.grpc or ""), "changes": token is not None})
        out.flush()

    with context.client("serving") as client:
        serving.serve_gateway(Host(client), wanted, ready, token=token, message_bytes=message_bytes)


def _token(file: Path | None, *, allow_changes: bool) -> str | None:
    from sealdex.runtime.gateway.guard import MIN_TOKEN_LENGTH  # noqa: PLC0415  # with the command

    if not allow_changes:
        if file is not None:
            raise UsageError("--token-file is for --allow-changes", hint="sealdex gateway --help")
        return None
    if file is not None:
        with file.open("rb") as opened:
            text = opened.read(_MAX_TOKEN_BYTES).decode(errors="replace").strip()
    else:
        text = os.environ.get(_TOKEN, "").strip()
    if len(text) < MIN_TOKEN_LENGTH or not text.isascii() or not text.isprintable():
        raise UsageError(
            f"--allow-changes needs a token of at least {MIN_TOKEN_LENGTH} printable characters",
            hint=f"write one with: openssl rand -hex 32 > FILE, and give it with --token-file FILE or ${_TOKEN}",
        )
    return text


def _addresses(http: str | None, grpc: str | None) -> Addresses:
    from sealdex.runtime.gateway.listening import parse_address  # noqa: PLC0415  # with the command
    from sealdex.runtime.gateway.serving import Addresses  # noqa: PLC0415  # an extra

    if http == _OFF and grpc == _OFF:
        raise UsageError("both --http and --grpc are off: then there is nothing to serve")
    folder = _runtime_folder() if http is None or grpc is None else None
    return Addresses(
        None if http == _OFF else parse_address(http or f"unix:{folder}/gateway.sock"),
        None if grpc == _OFF else parse_address(grpc or f"unix:{folder}/gateway-grpc.sock"),
    )


def _runtime_folder() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR")
    if not given:
        raise UsageError(
            "$XDG_RUNTIME_DIR is not set, so there is no folder for the sockets",
            hint="give the addresses: --http unix:PATH --grpc unix:PATH",
        )
    folder = Path(given) / "sealdex"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


__all__ = ["gateway"]
