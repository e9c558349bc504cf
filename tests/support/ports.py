"""Ports of 127.0.0.1 on which nobody listens, for as long as a test needs that."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def nobody_listens(port: int = 0) -> Iterator[int]:
    """Yield a port where connections are refused: it is bound, so that no other process comes to listen there.

    Args:
        port: a port that was given up just now; 0 for any.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        yield int(held.getsockname()[1])


__all__ = ["nobody_listens"]
