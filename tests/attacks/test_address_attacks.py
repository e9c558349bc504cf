"""Attacks by who holds one of several addresses of a registry: rolled back, expired, wrong, silent.

An address can lie, and it can be first; the others are as they should be, unless the test says so. The clock is an
argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.tree_server import Held, TreeServer
from support.trust_scene import OTHER, SLACK, hasty_transport
from support.tuf_repository import TufRepository, signed_bytes

from sealdex.errors import SealdexError, UnavailableError, VerificationError
from sealdex.transport import Addresses, Transport, TransportSettings
from sealdex.trust import TrustedRegistry
from sealdex.trust.signed_time import SIGNED_AT_FIELD, signed_at_text

START = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
TIMESTAMP = "metadata/timestamp.json"

Tree = Mapping[str, bytes]


def garbled(data: bytes) -> bytes:
    """The same length, one byte in the middle changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


class Net:
    """A registry whose states lie at several addresses, and a host that has them all in its configuration."""

    def __init__(self, folder: Path) -> None:
        self.repository = TufRepository()
        self.folder = folder
        self.left: list[tuple[str, SealdexError]] = []

    def state(self, version: str, signed_at: datetime) -> Tree:
        """Publish a version, for seven days."""
        repository = self.repository
        repository.add(SLACK, version)
        for role in (repository.timestamp, repository.snapshot):
            role.unrecognized_fields[SIGNED_AT_FIELD] = signed_at_text(signed_at)
            role.expires = signed_at + 7 * DAY
        for signed in (repository.root, *repository.roles.values()):
            signed.expires = START + 300 * DAY
        repository.files["metadata/1.root.json"] = signed_bytes(repository.root, repository.signers("root"))
        repository.touch(*repository.roles)
        repository.publish()
        return dict(repository.files)

    def at(self, name: str, files: Tree) -> str:
        """Put a tree to an address, in the place of what is there."""
        for key, data in files.items():
            path = self.folder / name / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return f"{(self.folder / name).as_uri()}/"

    def registry(self, *urls: str, now: datetime = START, limit: timedelta | None = None) -> TrustedRegistry:
        self.left.clear()
        return TrustedRegistry(
            "public",
            Addresses(urls, lambda url, error: self.left.append((Path(url).name, error))),
            self.repository.pinned_root,
            self.folder / "trust",
            hasty_transport(),
            max_staleness=limit,
            clock=lambda: now,
        )

    def newest(self, *urls: str, now: datetime = START, limit: timedelta | None = None) -> str:
        document = self.registry(*urls, now=now, limit=limit).index(SLACK)
        assert document is not None
        return document.releases[0].version


@pytest.fixture
def net(tmp_path: Path) -> Net:
    return Net(tmp_path)


def test_attack_an_older_state_at_the_first_address_gains_nothing(net: Net) -> None:
    """Holds the first address, with an older state that hasn't expired. The host has seen the newer one."""
    old = net.at("first", net.state("1.0.0", START))
    new = net.at("second", net.state("2.0.0", START + DAY))
    for addresses in ((old, new), (new, old)):
        assert net.newest(new, now=START + DAY) == "2.0.0"
        assert net.newest(*addresses, now=START + DAY) == "2.0.0"
    assert net.newest(old, new, now=START + DAY) == "2.0.0"
    assert [(name, type(error)) for name, error in net.left] == [("first", VerificationError)]
    assert "rolled back" in net.left[0][1].message


def test_attack_the_same_older_state_everywhere_is_refused(net: Net) -> None:
    """Holds all addresses."""
    tree = net.state("1.0.0", START)
    net.at("first", tree)
    old, also = net.at("first", tree), net.at("second", tree)
    new = net.at("third", net.state("2.0.0", START + DAY))
    assert net.newest(new, now=START + DAY) == "2.0.0"
    with pytest.raises(VerificationError, match="none of the 2 addresses") as caught:
        net.newest(old, also, now=START + DAY)
    assert caught.value.message.count("rolled back") == 2
    assert net.newest(new, now=START + DAY) == "2.0.0"


def test_attack_an_expired_state_at_the_first_address_is_left(net: Net) -> None:
    """Holds the first address and stops renewing it. A host that has seen nothing yet takes the second's."""
    old = net.at("first", net.state("1.0.0", START))
    new = net.at("second", net.state("2.0.0", START + 9 * DAY))
    now = START + 10 * DAY
    for limit in (90 * DAY, None):  # the older one would be good enough, were it alone
        assert net.newest(old, new, now=now, limit=limit) == "2.0.0"


def test_an_expired_state_counts_within_the_limit_only_where_no_other_is_left(net: Net) -> None:
    tree = net.state("1.0.0", START)
    first, second = net.at("first", tree), net.at("second", tree)
    now = START + 10 * DAY
    registry = net.registry(first, second, now=now, limit=90 * DAY)
    assert registry.refresh().expired
    assert registry.addresses.chosen == first
    with pytest.raises(VerificationError, match="max_staleness allows 9 days"):
        net.newest(first, second, now=now, limit=9 * DAY)
    with pytest.raises(VerificationError, match="expired"):
        net.newest(first, second, now=now)


def test_a_limit_shorter_than_the_expiry_counts_at_each_address(net: Net) -> None:
    """The second address is fresher: the first, which hasn't expired, is older than this host allows."""
    old = net.at("first", net.state("1.0.0", START))
    new = net.at("second", net.state("2.0.0", START + 3 * DAY))
    assert net.newest(old, new, now=START + 3 * DAY, limit=2 * DAY) == "2.0.0"


@pytest.mark.parametrize("bad", [b"<html>log in</html>", b"", b"{}", b"x" * 100_000])
def test_attack_no_metadata_at_the_first_address(net: Net, bad: bytes) -> None:
    """A login portal, a wrong folder, too much."""
    tree = net.state("1.0.0", START)
    wrong, right = net.at("first", {**tree, TIMESTAMP: bad}), net.at("second", tree)
    assert net.newest(wrong, right) == "1.0.0"
    assert net.newest(right, wrong) == "1.0.0"
    assert not net.left
    with pytest.raises(VerificationError):
        net.newest(wrong, wrong.replace("first", "nowhere"))


def test_attack_any_one_file_is_wrong_at_the_first_address(net: Net) -> None:
    """Holds the first address: each file in turn is missing, garbled, or another that is signed as well."""
    tree = {key: data for key, data in net.state("1.0.0", START).items() if not key.endswith("recent.bundle")}
    right = net.at("second", tree)
    other = tree["metadata/1.snapshot.json"]
    tried = 0
    for key, data in tree.items():
        if key == "metadata/1.root.json":  # is pinned, and nobody asks for it
            continue
        for number, bad in enumerate((None, garbled(data), other)):
            if bad == data:
                continue
            net.folder = net.folder.parent / f"{tried}-{number}"
            files = {k: v for k, v in tree.items() if k != key} if bad is None else {**tree, key: bad}
            wrong = net.at("first", files)
            assert net.newest(wrong, right) == "1.0.0", (key, number)
            tried += 1
    assert tried > 20


def test_attack_another_registry_at_the_first_address(net: Net, tmp_path: Path) -> None:
    """Holds the first address and keys of their own: a whole registry, signed all through, with a newer root too."""
    theirs = Net(tmp_path / "theirs")
    theirs.state("9.0.0", START)
    theirs.repository.rotate_root()
    theirs.repository.publish()
    wrong = net.at("first", theirs.repository.files)
    right = net.at("second", net.state("1.0.0", START))
    assert net.newest(wrong, right) == "1.0.0"
    kept = b"".join(path.read_bytes() for path in sorted((net.folder / "trust").rglob("*.json")))
    assert b"9.0.0" not in kept


def test_a_revoked_key_stays_revoked_at_every_address(net: Net) -> None:
    """Holds the first address and a stolen, replaced timestamp key; the new root is at the second address alone."""
    old = net.at("first", net.state("1.0.0", START))
    net.repository.rotate_root("timestamp")
    new = net.at("second", net.state("2.0.0", START + DAY))
    assert net.newest(new, now=START + DAY) == "2.0.0"
    assert net.newest(old, new, now=START + DAY) == "2.0.0"
    with pytest.raises(VerificationError):
        net.newest(old, now=START + DAY)


def test_what_none_of_them_has_is_unavailable_and_what_is_wrong_somewhere_is_refused(net: Net) -> None:
    tree = net.state("1.0.0", START)
    key = next(k for k in tree if k.startswith("targets/index/acme/"))
    lacking = {k: v for k, v in tree.items() if k != key}
    first, second = net.at("first", lacking), net.at("second", lacking)
    with pytest.raises(UnavailableError, match="none of the 2 addresses"):
        net.newest(first, second)
    net.at("second", {key: garbled(tree[key])})
    with pytest.raises(VerificationError, match="not the file that was signed"):
        net.newest(first, second)
    net.at("first", {key: tree[key]})
    assert net.newest(first, second) == "1.0.0"


def test_attack_a_first_address_that_hangs_is_waited_for_once(net: Net, tmp_path: Path) -> None:
    """Holds the first address: takes requests and answers none."""
    tree = net.state("1.0.0", START)
    right = net.at("second", tree)
    held = Held()
    with TreeServer(tree) as silent:
        silent.instead = dict.fromkeys([*tree, "metadata/2.root.json"], held)
        settings = TransportSettings(read_timeout=2, retries=0)  # the second one has to answer within it too
        registry = TrustedRegistry(
            "public",
            Addresses([silent.url, right]),
            net.repository.pinned_root,
            tmp_path / "trust",
            Transport(settings),
            clock=lambda: START,
        )
        assert registry.index(SLACK) is not None
        assert registry.index(OTHER) is None
        # a request may arrive when nobody waits for its answer any more, so all there ever were are looked at
        assert set(silent.requests) <= {TIMESTAMP, "metadata/2.root.json", "metadata/recent.bundle"}
        assert len(silent.requests) == len(set(silent.requests))
        held.released.set()
