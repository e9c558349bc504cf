"""Which IP addresses a request may connect to: asked while it connects, when its host's name was resolved for good.

A name may be resolved to another address each time, so what was looked up before says nothing of what is connected to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


class _Current(threading.local):
    check: Callable[[str], None] | None = None


_current = _Current()


@contextmanager
def reaching(check: Callable[[str], None] | None) -> Iterator[None]:
    """Have ``check`` called with the IP address of each connection that this thread makes; it raises to refuse it."""
    before, _current.check = _current.check, check
    try:
        yield
    finally:
        _current.check = before


def check_address(address: str) -> None:
    """Refuse to connect to an IP address, if the request may not."""
    if _current.check is not None:
        _current.check(address)


def check_peer(wire: socket.socket) -> None:
    """Do so for a connection that is made, before anything is sent.

    Raises:
        OSError: it has ended already.
    """
    if _current.check is not None:
        _current.check(str(wire.getpeername()[0]))


__all__ = ["check_address", "check_peer", "reaching"]
