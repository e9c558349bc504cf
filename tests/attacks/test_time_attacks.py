"""Attacks on time: frozen, rolled back, forged and fast-forwarded states, with and without ``max_staleness``.

The client's clock is an argument here; tests/client/cli/test_across_the_gap.py has the real one.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.trust_scene import SLACK
from support.tuf_repository import TufRepository, signed_bytes

from sealdex.errors import VerificationError
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, TrustState
from sealdex.trust.signed_time import SIGNED_AT_FIELD, signed_at_text

START = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
LIMIT = 90 * DAY


class Site:
    """A mirror in a folder, and a host that reads it at any time."""

    def __init__(self, folder: Path) -> None:
        self.repository = TufRepository()
        self.repository.add(SLACK, "1.0.0")
        self.mirror = folder / "mirror"
        self.trust = folder / "trust"
        for role in self.repository.roles.values():
            role.expires = START + 60 * DAY
        self.repository.root.expires = START + 60 * DAY
        self.repository.files["metadata/1.root.json"] = signed_bytes(
            self.repository.root, self.repository.signers("root")
        )

    def publish(self, signed_at: datetime | None, *, expires: datetime | None = None) -> None:
        repository = self.repository
        for role in (repository.timestamp, repository.snapshot):
            role.unrecognized_fields.pop(SIGNED_AT_FIELD, None)
            if signed_at is not None:
                role.unrecognized_fields[SIGNED_AT_FIELD] = signed_at_text(signed_at)
        repository.timestamp.expires = expires or (signed_at or START) + 7 * DAY
        repository.snapshot.expires = (signed_at or START) + 30 * DAY
        repository.touch("packages")
        repository.publish()
        self.carry(repository.files)

    def carry(self, files: dict[str, bytes]) -> None:
        for key, data in files.items():
            path = self.mirror / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def registry(self, now: datetime, limit: timedelta | None = LIMIT) -> TrustedRegistry:
        return TrustedRegistry(
            "site",
            self.mirror.as_uri(),
            self.repository.pinned_root,
            self.trust,
            Transport(),
            max_staleness=limit,
            clock=lambda: now,
        )

    def read(self, now: datetime, limit: timedelta | None = LIMIT) -> TrustState:
        registry = self.registry(now, limit)
        state = registry.refresh()
        assert registry.index(SLACK) is not None
        return state

    def refused(self, now: datetime, words: str, limit: timedelta | None = LIMIT) -> VerificationError:
        with pytest.raises(VerificationError, match=words) as caught:
            self.read(now, limit)
        return caught.value


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_state_is_used_up_to_the_limit_and_says_its_age(site: Site) -> None:
    """Withholds everything new. Gains the time up to max_staleness, and every run says how old it is."""
    site.publish(START)
    assert site.read(START + DAY).age_note is None
    state = site.read(START + 40 * DAY)
    assert state.expired == ["timestamp", "snapshot"]
    assert state.age_note == (
        "registry 'site': its timestamp, snapshot metadata has expired, and is used as of 2030-01-01 at 12:00 UTC, "
        "40 days ago (max_staleness 90 days)"
    )
    site.read(START + LIMIT)
    error = site.refused(START + LIMIT + timedelta(hours=1), "signed on 2030-01-01 .* 90 days ago, and max_staleness")
    assert "max_staleness of [registries.site]" in str(error.hint)
    site.refused(START + 8 * DAY, "timestamp metadata expired", limit=None)
    assert site.read(START + 40 * DAY).expired, "nothing is lost by having been refused"


def test_a_limit_shorter_than_the_expiry_counts(site: Site) -> None:
    site.publish(START)
    site.refused(START + 3 * DAY, "max_staleness allows 2 days", limit=2 * DAY)
    site.read(START + 2 * DAY, limit=2 * DAY)


def test_an_upstream_root_that_is_never_renewed(site: Site) -> None:
    """The registry is abandoned: its root expires. A mirror of it goes on up to the limit, and not without one."""
    site.publish(START)
    site.read(START)
    assert "root" in site.read(START + 80 * DAY).expired
    site.refused(START + 91 * DAY, "max_staleness allows 90 days")
    error = site.refused(START + 80 * DAY, "the root metadata expired on 2030-03-02", limit=None)
    assert "sign a new root" in str(error.hint)
    assert "max_staleness" in str(error.hint)


def test_what_was_signed_after_its_root_expired_is_refused(site: Site) -> None:
    """Holds the online keys, not root's. Signs on after the root is over; max_staleness doesn't help."""
    site.publish(START + 61 * DAY)
    site.refused(START + 62 * DAY, "the root metadata expired")


def test_a_rollback_within_the_limit_is_refused(site: Site) -> None:
    """Holds the medium. Puts an older state there, which max_staleness would allow by its age."""
    site.publish(START)
    old = dict(site.repository.files)
    site.publish(START + 5 * DAY)
    site.read(START + 6 * DAY)
    site.carry(old)
    site.refused(START + 6 * DAY, "rolled back")
    site.refused(START + 85 * DAY, "rolled back")


def test_a_revoked_key_stays_revoked(site: Site) -> None:
    """Holds a timestamp key that a later root revoked. Its signatures are refused, however young they say they are."""
    site.publish(START)
    site.read(START)
    stolen = site.repository.keys["timestamp"]
    site.repository.rotate_root("timestamp")
    site.publish(START + 2 * DAY)
    site.read(START + 3 * DAY)
    site.repository.keys["timestamp"] = stolen
    site.publish(START + 4 * DAY)
    site.refused(START + 20 * DAY, "is not signed by enough")


def test_a_time_in_the_future_is_bounded_by_what_it_leads_to(site: Site) -> None:
    """Holds the timestamp key. States a time when root is over, to look young for longer: not taken, nothing kept."""
    site.publish(START)
    site.read(START + DAY)
    before = (site.trust / "metadata/timestamp.json").read_bytes()
    site.publish(START + 70 * DAY, expires=START + 900 * DAY)
    site.refused(START + 2 * DAY, "the root metadata expired")
    assert (site.trust / "metadata/timestamp.json").read_bytes() == before
    site.publish(START + 70 * DAY, expires=START + 60 * DAY)
    site.refused(START + 2 * DAY, "after it expired")


def test_a_time_before_its_predecessor_is_refused(site: Site) -> None:
    """Holds the timestamp key. Dates a newer version back."""
    site.publish(START + 5 * DAY)
    site.read(START + 6 * DAY)
    site.publish(START)
    error = site.refused(START + 6 * DAY, "signed on 2030-01-01 .* predecessor on 2030-01-06")
    assert "registry reset-clock site" in str(error.hint)


def test_a_fast_forward_is_undone_by_new_keys_or_by_reset_clock(site: Site) -> None:
    """Holds the timestamp key, or has a wrong clock. States a time far ahead: until then, true ones look older."""
    site.publish(START)
    site.publish(START + 50 * DAY)
    site.read(START + DAY)
    site.publish(START + 2 * DAY)
    site.refused(START + 2 * DAY, "predecessor on 2030-02-20")
    registry = site.registry(START + 2 * DAY)
    assert registry.reset_clock() == (2, START + 50 * DAY)
    assert site.read(START + 2 * DAY).timestamp_version == 3
    site.publish(START + DAY)
    site.refused(START + 2 * DAY, "predecessor on 2030-01-03")


def test_a_forged_time_is_disbelieved_of_one_timestamp_alone(site: Site) -> None:
    """Holds the timestamp key. After `registry reset-clock`, states the same time in a newer version: it counts."""
    site.publish(START + 50 * DAY)
    site.read(START + DAY)
    site.registry(START + DAY).reset_clock()
    site.publish(START + 50 * DAY)
    site.read(START + DAY)
    site.publish(START + 2 * DAY)
    site.refused(START + 2 * DAY, "predecessor on 2030-02-20")


def test_a_disbelieved_timestamp_has_no_time_that_max_staleness_could_count_from(site: Site) -> None:
    """Holds the timestamp key. After `registry reset-clock`, has the forged timestamp used beyond its expiry."""
    site.publish(START + 50 * DAY)
    site.read(START + DAY)
    site.registry(START + DAY).reset_clock()
    site.read(START + 56 * DAY)
    site.refused(START + 58 * DAY, "timestamp metadata expired")


def test_another_timestamp_of_the_disbelieved_version_is_believed(site: Site) -> None:
    """Held the timestamp key, until a new root; versions begin again. Dates back what comes after the true one."""
    site.publish(START + 50 * DAY)
    site.read(START + DAY)
    assert site.registry(START + DAY).reset_clock() == (1, START + 50 * DAY)
    site.repository.rotate_root("timestamp")
    site.repository.timestamp.version = 0
    site.publish(START + 2 * DAY)
    assert site.read(START + 2 * DAY).timestamp_version == 1
    site.publish(START + DAY)
    site.refused(START + 2 * DAY, "predecessor on 2030-01-03")


def test_a_fast_forward_is_forgotten_with_its_key(site: Site) -> None:
    site.publish(START + 50 * DAY)
    site.read(START + DAY)
    site.repository.rotate_root("timestamp")
    site.publish(START + 2 * DAY)
    assert site.read(START + 2 * DAY).timestamp_version == 2


@pytest.mark.parametrize(
    "wrong", [datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2099, 1, 1, tzinfo=timezone.utc)]
)
def test_a_wrong_clock_does_no_harm_that_outlives_it(site: Site, wrong: datetime) -> None:
    """A host boots once in 1970 or in 2099. In 1970 the signed floor is the present; in 2099 nothing is installed."""
    site.publish(START)
    site.read(START)
    if wrong < START:
        assert "clock is" in str(site.read(wrong, limit=None).age_note)
        assert site.read(wrong).time is not None
    else:
        site.refused(wrong, "max_staleness allows")
        site.refused(wrong, "expired", limit=None)
    site.publish(START + DAY)
    assert site.read(START + DAY).timestamp_version == 2


def test_a_clock_in_1970_makes_nothing_valid_that_had_expired_when_the_newest_was_signed(site: Site) -> None:
    """Sets the clock back. The floor of time is what was signed, so an expired root stays expired."""
    site.publish(START + 61 * DAY)
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    site.refused(epoch, "the root metadata expired", limit=None)


def test_a_snapshot_from_after_its_timestamp_is_refused(site: Site) -> None:
    site.publish(START)
    repository = site.repository
    repository.snapshot.unrecognized_fields[SIGNED_AT_FIELD] = signed_at_text(START + DAY)
    repository.touch("packages")
    repository.publish()
    site.carry(repository.files)
    site.refused(START + DAY, "after the timestamp that names it")


def test_a_registry_without_the_field_is_dated_by_its_expiry(site: Site) -> None:
    """As 0.1.0 signed it: expires less seven days, said as "at most"."""
    site.publish(None, expires=START + 7 * DAY)
    assert "at most 30 days ago" in str(site.read(START + 30 * DAY).age_note)
    site.refused(START + 91 * DAY, "at most 91 days ago")
    site.refused(START + 8 * DAY, "expired", limit=None)


@pytest.mark.parametrize("value", ["yesterday", 7, "2030-13-01T00:00:00Z", "2030-01-01T00:00:00+02:00"])
def test_a_time_that_is_not_valid_is_refused(site: Site, value: object) -> None:
    site.publish(START)
    site.repository.timestamp.unrecognized_fields[SIGNED_AT_FIELD] = value
    site.repository.publish()
    site.carry(site.repository.files)
    site.refused(START, "timestamp.json fails verification|is not valid|does not match format")
