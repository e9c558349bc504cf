"""The time that a publish states: its clock's, and never before what is published."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest
from support.tuf_repository import TufRepository, new_key, signed_bytes

from registry_builder.baseline.state import PublishedState, RoleFile
from registry_builder.publication._signing_time import MOST_SKEW, signing_time
from sealdex.errors import SealdexError
from sealdex.trust.signed_time import SIGNED_AT_FIELD, signed_at_text

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


def published(repository: TufRepository, signed_at: datetime | None) -> PublishedState:
    files: dict[str, RoleFile] = {}
    for role in ("timestamp", "snapshot"):
        signed = repository.top_roles[role]
        if signed_at is not None:
            signed.unrecognized_fields[SIGNED_AT_FIELD] = signed_at_text(signed_at)
        files[role] = RoleFile(1, signed.expires, signed_bytes(signed, repository.signers(role)))
    rest: Any = None
    return PublishedState(None, 1, files["timestamp"], files["snapshot"], {}, rest, rest, rest, rest, 6, rest)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, NOW),
        (NOW - timedelta(days=3), NOW),
        (NOW + timedelta(seconds=30), NOW + timedelta(seconds=30)),
        (NOW + MOST_SKEW, NOW + MOST_SKEW),
    ],
)
def test_time_never_goes_back(before: datetime | None, expected: datetime) -> None:
    repository = TufRepository()
    assert signing_time(published(repository, before), repository.root, NOW) == expected
    assert signing_time(None, repository.root, NOW) == NOW


def test_a_wrong_clock_stops_the_publish_until_the_keys_are_replaced() -> None:
    repository = TufRepository()
    state = published(repository, NOW + timedelta(days=30_000))
    with pytest.raises(SealdexError, match=r"signed on 2109.* clock says 2026-11-29 12:00") as caught:
        signing_time(state, repository.root, NOW)
    assert "replace the keys" in cast("str", caught.value.hint)
    for role in ("timestamp", "snapshot"):
        repository.root.revoke_key(repository.keys[role][0].public_key.keyid, role)
        repository.root.add_key(new_key().public_key, role)
    assert signing_time(state, repository.root, NOW) == NOW
