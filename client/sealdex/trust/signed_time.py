"""When signed metadata says it was signed, and as of when it may be used. Pure: the clock is an argument.

TUF metadata states when it expires, not when it was made. The builder writes ``x-sealdex-signed-at`` into the
``timestamp`` and ``snapshot`` that it signs (decisions 0003 and 0045); other clients ignore it. Three rules follow:

    floor       the newest signed-at that was verified; the present is never before it, whatever this host's clock says
    age         from signed-at to the present; ``max_staleness`` limits it
    as of       with ``max_staleness`` the chain is judged as of signed-at, without it as of the present

Nothing is taken from the local clock and kept, so a wrong clock does no harm that outlives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from msgspec import Struct

from sealdex.lazy import regex

SIGNED_AT_FIELD = "x-sealdex-signed-at"

USUAL_PERIOD = timedelta(days=7)
"""For how long ``timestamp`` is signed unless registry.toml says otherwise: the age of metadata without signed-at."""

_TIME = regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def signed_at_text(when: datetime) -> str:
    """Return the value of the field: UTC, whole seconds, such as ``2026-11-28T12:00:00Z``."""
    return when.astimezone(timezone.utc).strftime(_FORMAT)


def signed_at_of(fields: Mapping[str, Any]) -> datetime | None:
    """Return when metadata was signed, from the fields that TUF doesn't know; None if it doesn't say.

    Raises:
        ValueError: the field is there, but isn't such a time.
    """
    value = fields.get(SIGNED_AT_FIELD)
    if value is None:
        return None
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError(f"{SIGNED_AT_FIELD} is not a valid time")
    return datetime.strptime(value, _FORMAT).replace(tzinfo=timezone.utc)


class Judgement(Struct, frozen=True):
    """As of when a timestamp and everything below it is judged.

    Attributes:
        present: this host's time: its clock, or the floor where that is later.
        as_of: the time against which expiries are checked.
        signed_at: when the timestamp was signed; without the field, when it was at the latest by the usual period.
        is_stated: whether ``signed_at`` is the signed field.
        clock_behind: by how much this host's clock is behind the floor; zero if it isn't.
        limit: ``max_staleness``, or None.
    """

    present: datetime
    as_of: datetime
    signed_at: datetime
    is_stated: bool
    clock_behind: timedelta
    limit: timedelta | None

    @property
    def age(self) -> timedelta:
        """From signing to the present; at most this where signing isn't stated."""
        return max(self.present - self.signed_at, timedelta(0))

    @property
    def is_over_limit(self) -> bool:
        """Whether ``max_staleness`` forbids the use; an estimate alone doesn't, while nothing has expired."""
        return self.limit is not None and self.age > self.limit


def judge(
    clock: datetime,
    *,
    signed_at: datetime | None,
    expires: datetime,
    floor: datetime | None,
    limit: timedelta | None,
) -> Judgement:
    """Decide as of when a timestamp is judged.

    Args:
        clock: this host's time.
        signed_at: what the timestamp states, if it does.
        expires: when it expires.
        floor: the newest signed-at that was verified before, if any.
        limit: ``max_staleness``.
    """
    present = max(filter(None, (clock, floor, signed_at)))
    is_stated = signed_at is not None
    assumed = signed_at if signed_at is not None else expires - USUAL_PERIOD
    as_of = present
    if limit is not None and (is_stated or present >= expires):
        as_of = min(present, assumed)
    return Judgement(
        present=present,
        as_of=as_of,
        signed_at=assumed,
        is_stated=is_stated,
        clock_behind=max(present - clock, timedelta(0)),
        limit=limit,
    )


def age_text(age: timedelta) -> str:
    """Return an age for people, such as ``12 days`` or ``5 hours``."""
    hours = int(age.total_seconds() // 3600)
    if hours >= 48:  # two days
        return f"{hours // 24} days"
    return f"{hours} hours" if hours != 1 else "1 hour"
