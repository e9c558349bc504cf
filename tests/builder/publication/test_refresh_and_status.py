"""Time passes: what is due is signed anew, what can't be is said, and status tells until when all holds."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.source_trees import Tree
from support.stock_client import StockClient
from tuf.api.metadata import Metadata, Root

from registry_builder.baseline.state import ExpiredStateError
from registry_builder.maintenance.status import RealmStatus, RoleStatus, realm_status
from registry_builder.publication.context import Publisher
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.publication.refresh import RefreshResult, refresh_realm
from registry_builder.signing.metadata import utc_now
from registry_builder.storage.folder import FolderStorage
from sealdex.errors import ConfigError, NotFoundError

START = utc_now()


def publisher_at(tree: Tree, days: float, *, allow_expired: bool = False) -> Publisher:
    def clock() -> datetime:
        return START + timedelta(days=days)

    return open_publisher(tree.load(), "public", clock=clock, allow_expired=allow_expired)


def refresh_at(tree: Tree, days: float, *, allow_expired: bool = False, dry_run: bool = False) -> RefreshResult:
    return refresh_realm(publisher_at(tree, days, allow_expired=allow_expired), dry_run=dry_run)


def status_at(tree: Tree, days: float) -> RealmStatus:
    return realm_status(publisher_at(tree, days, allow_expired=True))


def role(status: RealmStatus, name: str) -> RoleStatus:
    return next(each for each in status.roles if each.role == name)


@pytest.fixture
def live(tree: Tree) -> Tree:
    publish_realm(publisher_at(tree, 0))
    return tree


def versions(tree: Tree) -> dict[str, int]:
    """Return the newest version of each role among the published files."""
    newest: dict[str, int] = {}
    for path in (tree.root.parent / "published/public/metadata").glob("[0-9]*.json"):
        number, name, _ = path.name.split(".")
        newest[name] = max(newest.get(name, 0), int(number))
    return newest


def test_nothing_is_due_on_the_first_day(live: Tree) -> None:
    result = refresh_at(live, 1)
    assert not result.committed
    assert result.is_complete
    assert result.requests["PUT"] == 0


def test_the_timestamp_alone_is_refreshed_within_its_window(live: Tree) -> None:
    result = refresh_at(live, 4.5)
    assert dict(result.plan.reasons) == {"timestamp": "within its signing window"}
    assert result.requests["PUT"] == 2  # timestamp and bundle
    assert result.versions == {"timestamp": 2, "snapshot": 1, "targets": 1}
    assert not refresh_at(live, 4.6).committed


def test_bins_and_their_like_are_refreshed_together_and_clients_follow(live: Tree) -> None:
    for days in range(4, 61, 4):
        refresh_at(live, days)
    found = versions(live)
    assert {found[name] for name in found if name.startswith("bin-")} == {2}
    assert (found["packages"], found["catalog"], found["snapshot"]) == (2, 2, 2)
    root = (live.root / "trust/public/1.root.json").read_bytes()
    client = StockClient(FolderStorage(live.root.parent / "published/public"), root)
    assert client.versions("acme/slack") == ["1.0.0"]
    assert client.catalog() == {"acme/slack": "1.0.0", "acme/mail": "0.1.0"}


@pytest.mark.every_bin
def test_a_publish_also_signs_what_is_due_among_what_it_reads(live: Tree) -> None:
    for days in range(4, 60, 4):
        refresh_at(live, days)
    live.release("acme/slack", "1.1.0")
    result = publish_realm(publisher_at(live, 61))
    assert set(result.plan.reasons.values()) == {"changed", "within its signing window"}
    assert len(result.plan.bins) == 64


def test_an_expired_registry_is_revived_only_when_asked(live: Tree) -> None:
    live.release("acme/slack", "1.1.0")
    for attempt in (lambda: refresh_at(live, 30), lambda: publish_realm(publisher_at(live, 30))):
        with pytest.raises(ExpiredStateError, match="expired"):
            attempt()
    assert refresh_at(live, 30, allow_expired=True).committed
    assert publish_realm(publisher_at(live, 31)).committed


def test_a_dry_run_says_what_is_due_and_writes_nothing(live: Tree) -> None:
    before = versions(live)
    result = refresh_at(live, 4.5, dry_run=True)
    assert dict(result.plan.reasons) == {"timestamp": "within its signing window"}
    assert not result.committed
    assert versions(live) == before


def test_nothing_published_is_not_found(tree: Tree) -> None:
    with pytest.raises(NotFoundError, match="nothing is published"):
        refresh_at(tree, 1)


def keep_alive(tree: Tree, days: int) -> None:
    """Refresh the online roles at a later day, without the keys of root and targets."""
    keys = tree.root.parent / "keys"
    for name in ("root-1", "targets-1"):
        (keys / f"{name}.pem").rename(keys / f"{name}.away")
    refresh_at(tree, days, allow_expired=True)
    for name in ("root-1", "targets-1"):
        (keys / f"{name}.away").rename(keys / f"{name}.pem")


def test_root_and_targets_are_renewed_where_their_keys_are(live: Tree, tmp_path: Path) -> None:
    keep_alive(live, 306)
    old = (live.root / "trust/public/1.root.json").read_bytes()
    result = refresh_at(live, 307)
    assert [(each.role, each.written is not None) for each in result.offline] == [("root", True), ("targets", True)]
    assert result.versions["targets"] == 2
    root: Metadata[Root] = Metadata.from_bytes((live.root / "trust/public/2.root.json").read_bytes())
    assert root.signed.keys == Metadata[Root].from_bytes(old).signed.keys
    # a client that was shipped with root 1 follows
    client = StockClient(FolderStorage(live.root.parent / "published/public"), old, tmp_path / "client")
    assert client.versions("acme/slack") == ["1.0.0"]
    assert (tmp_path / "client/root_history/2.root.json").exists()
    assert not refresh_at(live, 308).committed


def test_offline_roles_that_cannot_be_signed_here_are_reported_and_the_rest_goes_on(live: Tree) -> None:
    keep_alive(live, 306)
    (live.root.parent / "keys/root-2.pem").unlink()
    result = refresh_at(live, 307)
    assert not result.is_complete
    by_role = {each.role: each for each in result.offline}
    assert by_role["root"].written is None
    assert "root-2" in by_role["root"].reason
    assert by_role["targets"].written is not None
    assert result.committed


def test_an_online_key_that_is_missing_stops_the_refresh_before_anything_is_written(live: Tree) -> None:
    (live.root.parent / "keys/online.pem").unlink()
    before = versions(live)
    with pytest.raises(ConfigError, match="online"):
        refresh_at(live, 5)
    assert versions(live) == before


@pytest.mark.every_bin
def test_status_tells_versions_expiries_keys_and_fingerprints(live: Tree) -> None:
    status = status_at(live, 0)
    assert not status.needs_signing
    assert status.plugins == 2
    assert status.published_root == 1
    digest = hashlib.sha256((live.root / "trust/public/1.root.json").read_bytes()).hexdigest()
    assert status.first_root == status.newest_root == (1, digest)
    assert (role(status, "root").threshold, len(role(status, "root").keys)) == (2, 2)
    assert role(status, "bins").count == 64
    assert role(status, "timestamp").expires == START + timedelta(days=7)
    assert all(each.can_sign for each in status.roles)
    assert any("this machine alone" in note for note in status.notes)


@pytest.mark.parametrize(("days", "due"), [(3.9, set()), (4.1, {"timestamp"}), (400, {"root", "targets", "packages"})])
def test_status_says_what_is_within_its_window_even_when_all_has_expired(
    live: Tree, days: float, due: set[str]
) -> None:
    status = status_at(live, days)
    found = {each.role for each in status.roles if each.due}
    assert found >= due
    assert status.needs_signing == bool(due)
    if days < 30:
        assert found == due


def test_status_names_the_keys_that_are_elsewhere(live: Tree) -> None:
    (live.root.parent / "keys/root-2.pem").unlink()
    status = status_at(live, 0)
    assert not role(status, "root").can_sign
    assert [(key.name, key.here) for key in role(status, "root").keys] == [("root-1", True), ("root-2", False)]
    assert role(status, "targets").can_sign


def test_status_before_the_first_publish_speaks_of_the_offline_roles(tree: Tree) -> None:
    status = status_at(tree, 0)
    assert not status.is_published
    assert [each.version for each in status.roles] == [1, 1, None, None, None, None]
    assert not status.needs_signing


def test_root_1_is_not_the_newest_for_ever(live: Tree) -> None:
    keep_alive(live, 306)
    refresh_at(live, 307)
    status = status_at(live, 308)
    assert (status.first_root[0], status.newest_root[0], status.published_root) == (1, 2, 2)


@pytest.mark.every_bin
@pytest.mark.parametrize("names", [["spare"], ["packages", "spare"]])
def test_a_new_key_of_bins_signs_every_bin_anew(live: Tree, names: list[str]) -> None:
    # bins are delegated to by packages, which is signed online: this needs no ceremony
    from registry_builder.signing.key_registration import create_key, register_keys  # noqa: PLC0415  # used by this test alone
    from registry_builder.source.config import read_config  # noqa: PLC0415  # used by this test alone

    section, _ = create_key(live.root, read_config(live.root), "spare", passphrase=None)
    register_keys(live.root, {"spare": section}, {"packages": names})
    result = publish_realm(publisher_at(live, 1))
    assert len(result.plan.bins) == 64
    assert set(result.plan.reasons.values()) == {"its keys changed", "changed"}
    root = (live.root / "trust/public/1.root.json").read_bytes()
    client = StockClient(FolderStorage(live.root.parent / "published/public"), root)
    assert client.versions("acme/slack") == ["1.0.0"]
    assert not publish_realm(publisher_at(live, 1)).committed
