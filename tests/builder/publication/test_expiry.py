"""A registry that expired: status says so, and a scheduled job revives it only where it can be shown to be the newest.

The attacker can write to the store: an old state, validly signed, is put back and has expired. Signed afresh it would
serve again what was yanked since. Each condition that stands against that is tested with all others met.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.baseline.last_seen import Seen
from registry_builder.baseline.state import ExpiredStateError
from registry_builder.cli.markdown import status_markdown
from registry_builder.maintenance.status import realm_status
from registry_builder.publication._expiry import expired_roles, reasons_against_recovery
from registry_builder.publication.context import Publisher
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.publication.refresh import RefreshResult, refresh_realm
from registry_builder.signing.metadata import bin_names, utc_now
from registry_builder.storage.folder import FolderStorage
from sealdex.errors import VerificationError

START = utc_now()
HOLIDAYS = 20.0  # days: timestamp has expired for 13


def publisher_at(tree: Tree, days: float, *, allow_expired: bool = False) -> Publisher:
    def clock() -> datetime:
        return START + timedelta(days=days)

    return open_publisher(tree.load(), "public", clock=clock, allow_expired=allow_expired)


def recover_at(tree: Tree, days: float) -> RefreshResult:
    return refresh_realm(publisher_at(tree, days), online_only=True, recover_expired=True)


def published(tree: Tree) -> Path:
    return tree.root.parent / "published/public"


def content(tree: Tree) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in published(tree).rglob("*") if path.is_file()}


@pytest.fixture
def live(tree: Tree) -> Tree:
    publish_realm(publisher_at(tree, 0))
    return tree


def test_status_says_since_when_and_what_helps(live: Tree) -> None:
    status = realm_status(publisher_at(live, HOLIDAYS, allow_expired=True))
    when = {role.role: role.when for role in status.roles}
    assert when["timestamp"] == "expired"
    assert when["snapshot"] == ""
    assert [role.role for role in status.expired] == ["timestamp"]
    assert status.needs_signing
    since = START + timedelta(days=7)
    assert f"timestamp on {since:%Y-%m-%d}" in status.expired_text
    assert "refresh --recover-expired" in status.expired_text
    assert "refresh --allow-expired" in status.expired_text
    markdown = status_markdown([status])
    assert "**expired**" in markdown
    assert "signing window" not in markdown

    within = realm_status(publisher_at(live, 5, allow_expired=True))
    assert {role.role: role.when for role in within.roles}["timestamp"] == "within its signing window"
    assert (within.expired, within.expired_text) == ((), "")


def test_status_sends_the_holders_of_offline_keys_to_what_they_can_do(live: Tree) -> None:
    said = realm_status(publisher_at(live, 400, allow_expired=True)).expired_text
    assert "sealdex-builder ceremony start NAME --due" in said
    assert "--allow-expired" not in said


def test_the_command_says_it_too(
    live: Tree, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = START + timedelta(days=HOLIDAYS)
    defaults = open_publisher.__kwdefaults__  # what commands read
    assert defaults is not None
    monkeypatch.setitem(defaults, "clock", lambda: later)
    told = document(live.root, capsys, "status", code=1)
    assert told["realms"][0]["expired"]
    assert [role["role"] for role in told["realms"][0]["roles"] if role["expired"]] == ["timestamp"]
    for command in ("refresh", "publish"):
        assert call(live.root, command) == 4
        assert "refresh --recover-expired" in capsys.readouterr().err
    assert call(live.root, "refresh", "--online", "--recover-expired", "--allow-expired") == 2
    summary = live.root.parent / "summary.md"
    live.release("acme/slack", "1.1.0")
    assert call(live.root, "refresh", "--online", "--recover-expired", "--summary", summary) == 4
    assert "acme/slack" in summary.read_text(encoding="utf-8")
    assert "allow" in summary.read_text(encoding="utf-8")
    (live.root / "plugins/acme/slack/releases/1.1.0.json").unlink()
    assert call(live.root, "refresh", "--online", "--recover-expired") == 0
    assert call(live.root, "status") == 0


def test_a_job_revives_what_only_was_not_refreshed(live: Tree) -> None:
    result = recover_at(live, HOLIDAYS)
    assert result.committed
    assert dict(result.plan.reasons) == {"timestamp": "expired"}
    assert recover_at(live, 100).committed  # bins, packages, catalog and snapshot have expired too
    assert not recover_at(live, 100).committed
    root = (live.root / "trust/public/1.root.json").read_bytes()
    client = StockClient(FolderStorage(published(live)), root)
    assert client.versions("acme/slack") == ["1.0.0"]


def test_what_has_not_expired_needs_no_proof(live: Tree) -> None:
    shutil.rmtree(publisher_at(live, 0).memory.path.parent)  # type: ignore[union-attr]  # it has one
    live.release("acme/slack", "1.1.0")
    assert recover_at(live, 5).committed


def refused(tree: Tree, days: float, match: str) -> None:
    before = content(tree)
    with pytest.raises(ExpiredStateError, match=match) as caught:
        recover_at(tree, days)
    assert "refresh --allow-expired" in (caught.value.hint or "")
    assert content(tree) == before


def test_attack_an_old_state_is_put_back_where_nothing_is_remembered(live: Tree, tmp_path: Path) -> None:
    """Whoever can write to the store puts back what it held before a refresh; no index document changed between."""
    old = tmp_path / "old"
    shutil.copytree(published(live), old)
    refresh_realm(publisher_at(live, 5), online_only=True)
    shutil.rmtree(published(live))
    shutil.copytree(old, published(live))
    memory = publisher_at(live, 0).memory
    assert memory is not None
    memory.path.unlink()
    refused(live, HOLIDAYS, "doesn't remember")


def test_attack_an_old_state_is_put_back_and_the_newer_is_remembered(live: Tree, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(published(live), old)
    refresh_realm(publisher_at(live, 5), online_only=True)
    shutil.rmtree(published(live))
    shutil.copytree(old, published(live))
    before = content(live)
    with pytest.raises(VerificationError, match="timestamp"):
        recover_at(live, HOLIDAYS)
    assert content(live) == before


def yank(tree: Tree) -> None:
    tree.status(
        "acme/slack",
        {"action": "yank", "version": "1.0.0", "at": "2026-11-22T12:00:00Z", "by": "kim", "why": "it deletes files"},
    )


def test_attack_what_was_before_a_yank_is_put_back(live: Tree, tmp_path: Path) -> None:
    """The memory is of before the yank, which another machine published: it knows nothing newer than what is there."""
    memory = publisher_at(live, 0).memory
    assert memory is not None
    remembered, old = memory.path.read_bytes(), tmp_path / "old"
    shutil.copytree(published(live), old)
    yank(live)
    assert publish_realm(publisher_at(live, 1)).committed
    shutil.rmtree(published(live))
    shutil.copytree(old, published(live))
    memory.path.write_bytes(remembered)
    refused(live, HOLIDAYS, "compiles to a different state than published for acme/slack")


def test_what_the_tree_lacks_can_not_be_compared(live: Tree) -> None:
    shutil.rmtree(live.root / "plugins/acme/mail")
    refused(live, HOLIDAYS, "lacks published documents of acme/mail")


def test_a_release_that_the_tree_lacks_can_not_be_compared(live: Tree) -> None:
    live.release("acme/slack", "1.1.0")
    publish_realm(publisher_at(live, 1))
    (live.root / "plugins/acme/slack/releases/1.1.0.json").unlink()
    refused(live, HOLIDAYS, "a different state than published for acme/slack")


def test_offline_roles_that_expired_are_for_people(live: Tree) -> None:
    for days in range(5, 361, 5):
        refresh_realm(publisher_at(live, days), online_only=True)
    refused(live, 366, r"root expired on .* is signed offline.*targets expired")


# --- each condition by itself -----------------------------------------------------------------------------------------


def spoil_nothing(_: Tree, seen: Seen | None) -> tuple[Seen | None, float]:
    return seen, HOLIDAYS


def spoil_root(_: Tree, seen: Seen | None) -> tuple[Seen | None, float]:
    return seen, 366


def spoil_memory(_: Tree, __: Seen | None) -> tuple[Seen | None, float]:
    return None, HOLIDAYS


def spoil_timestamp(_: Tree, seen: Seen | None) -> tuple[Seen | None, float]:
    assert seen is not None
    return Seen(seen.root_version, seen.timestamp_version + 1, seen.timestamp, seen.snapshot), HOLIDAYS


def spoil_root_version(_: Tree, seen: Seen | None) -> tuple[Seen | None, float]:
    assert seen is not None
    return Seen(seen.root_version + 1, seen.timestamp_version, seen.timestamp, seen.snapshot), HOLIDAYS


@pytest.mark.parametrize(
    ("spoil", "reasons"),
    [
        (spoil_nothing, []),
        (spoil_root, ["root expired", "targets expired"]),
        (spoil_memory, ["this machine doesn't remember"]),
        (spoil_timestamp, ["this machine saw version 2"]),
        (spoil_root_version, ["this machine saw version 1"]),
    ],
)
def test_each_condition_stands_alone(
    live: Tree, spoil: Callable[[Tree, Seen | None], tuple[Seen | None, float]], reasons: list[str]
) -> None:
    publisher = publisher_at(live, 0)
    assert publisher.memory is not None
    with publisher.reader(START) as reader:
        state = reader.open()
        assert state is not None
        reader.load_bins(bin_names(state.bits))
    seen, days = spoil(live, publisher.memory.load())
    now = START + timedelta(days=days)
    found = reasons_against_recovery(state, publisher.trust, seen, dict(state.pins()), now)
    assert len(found) == len(reasons)
    assert all(said.startswith(wanted) for said, wanted in zip(found, reasons, strict=True))
    assert "timestamp" in expired_roles(state, publisher.trust, now)
    other = {target: pin._replace(size=pin.size + 1) for target, pin in state.pins()}
    assert len(reasons_against_recovery(state, publisher.trust, seen, other, now)) == len(reasons) + 1


def test_the_memory_on_disk_is_what_counts(live: Tree) -> None:
    memory = publisher_at(live, 0).memory
    assert memory is not None
    memory.path.write_text(json.dumps({"damaged": True}))
    refused(live, HOLIDAYS, "doesn't remember")
