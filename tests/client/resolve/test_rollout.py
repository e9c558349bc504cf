"""Staged rollouts: who is in stays in, who is out is told so, and a flag or an exact version gets it all the same."""

from __future__ import annotations

import secrets
from pathlib import Path

from support.commands import Run
from support.plugin_registry import PluginRegistry

from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, ReleaseEntry
from sealdex.resolve import reached
from sealdex.store.host_id import host_id
from sealdex.store.layout import Store

SLACK = PluginId("acme", "slack")
HOSTS = [f"{number:032x}" for number in range(4000)]


def release(rollout: int, version: str = "1.0.0") -> ReleaseEntry:
    return ReleaseEntry(version, FilePin(1, "0" * 64), rollout=rollout)


def test_the_share_is_kept_and_grows_without_losing_anybody() -> None:
    before: set[str] = set()
    for share in (0, 1, 25, 50, 99, 100):
        hosts = {host for host in HOSTS if reached(host, SLACK, release(share))}
        assert before <= hosts
        assert abs(len(hosts) / len(HOSTS) - share / 100) < 0.03
        before = hosts
    assert len(before) == len(HOSTS)


def test_another_release_reaches_others_first() -> None:
    first = {host for host in HOSTS if reached(host, SLACK, release(25))}
    second = {host for host in HOSTS if reached(host, SLACK, release(25, "1.0.1"))}
    assert 0 < len(first & second) < len(first) * 0.5


def test_who_is_out_is_told_and_can_get_in(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    registry.release("acme/mail", "2.0.0", rollout=0)
    registry.publish()
    shown = run("info", "acme/mail")
    assert "2.0.0 (0% of hosts)  stable" in shown.out
    assert "1.0.0                stable" in shown.out
    installed = run("install", "acme/mail")
    assert "installed acme/mail 1.0.0" in installed.out
    assert "acme/mail 2.0.0 is newer but was not chosen: rolled out to 0% of hosts" in installed.err
    refused = run("install", "acme/mail@>=2")
    assert (refused.code, "--ignore-rollout would choose 2.0.0" in refused.err) == (3, True)
    assert run("list", "--outdated", "--json").document["outdated"] == []
    assert "installed acme/mail 2.0.0 (was 1.0.0)" in run("install", "acme/mail", "--ignore-rollout").out
    run("rollback")
    assert "installed acme/mail 2.0.0" in run("install", "acme/mail@2.0.0").out


def test_the_host_id_is_made_once_and_survives_a_power_cut(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = host_id(store)
    assert host_id(store) == made
    assert [path.name for path in Path(store.root).iterdir()] == ["host-id"]
    Path(store.host_id_file).write_bytes(b"")
    again = host_id(store)
    assert (len(again), host_id(store)) == (32, again)


def test_a_store_that_cannot_be_written_has_an_id_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert len(host_id(Store(tmp_path / "file" / "store"))) == len(secrets.token_hex(16))
