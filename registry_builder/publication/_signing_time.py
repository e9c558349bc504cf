"""When a publish says that it signed: by this machine's clock, and never before what is published. Pure.

Clients refuse a timestamp that was signed before the one that they have (`sealdex.trust.signed_time`). Machines that
publish the same registry have clocks that differ by seconds, so a publish takes over the later of the two times; a
clock that is behind by more than an hour is wrong, here or on the machine that signed last, and a person has to look.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Timestamp

from registry_builder.baseline.documents import NOTHING_WRITTEN
from registry_builder.baseline.state import PublishedState
from sealdex.errors import SealdexError
from sealdex.trust.signed_time import signed_at_of

MOST_SKEW = timedelta(hours=1)


def signing_time(state: PublishedState | None, root: Root, now: datetime) -> datetime:
    """Return the time that ``timestamp`` and ``snapshot`` state.

    Args:
        state: what is published.
        root: the newest root; what its keys didn't sign, clients forget with the keys.
        now: this machine's time.

    Raises:
        SealdexError: what is published says that it was signed more than an hour after ``now``.
    """
    if state is None:
        return now
    both = (_stated(state.timestamp.data, root, Timestamp), _stated(state.snapshot.data, root, Snapshot))
    latest = max([now, *(when for when in both if when is not None)])
    if latest - now > MOST_SKEW:
        raise SealdexError(
            f"what is published says that it was signed on {latest:%Y-%m-%d at %H:%M} UTC, and this machine's clock "
            f"says {now:%Y-%m-%d %H:%M}",
            subject="timestamp",
            untouched=NOTHING_WRITTEN,
            hint="set this machine's clock; if it is right, a wrong clock signed what is published: replace the keys "
            "of timestamp and snapshot (sealdex-builder ceremony --help), and clients continue with the new ones",
        )
    return latest


def _stated(data: bytes, root: Root, role: type[Timestamp | Snapshot]) -> datetime | None:
    if not data:  # a recovery knows the version that it has to exceed, and no document
        return None
    metadata: Metadata[Any] = Metadata.from_bytes(data)
    signed: Signed = metadata.signed
    if not isinstance(signed, role):
        return None
    try:
        root.verify_delegate(signed.type, metadata.signed_bytes, metadata.signatures)
        return signed_at_of(signed.unrecognized_fields)
    except (RepositoryError, ValueError):
        return None


__all__ = ["MOST_SKEW", "signing_time"]
