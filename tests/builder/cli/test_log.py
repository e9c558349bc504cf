"""What ``sealdex-builder -v`` and ``-vv`` say of a publish: state, changes, keys, writes, races and claims."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.builder_cli import call
from support.drill import Drill
from support.log_lines import LogLines
from support.source_trees import Tree

from registry_builder.authoring.lifecycle import yank
from registry_builder.ceremony.steps import Wanted
from registry_builder.publication.publish import retry_races
from registry_builder.storage import LostRaceError
from sealdex.model.ids import PluginId


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEALDEX_LOG", "SEALDEX_LOG_FILE", "SEALDEX_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)


def logged(root: Path, capsys: pytest.CaptureFixture[str], *args: str) -> LogLines:
    capsys.readouterr()
    assert call(root, *args, "--json") == 0
    shown = capsys.readouterr()
    json.loads(shown.out)  # stdout stays the one document
    return LogLines.of(shown.err)


def stored_in(tree: Tree, uri: str) -> None:
    file = tree.root / "registry.toml"
    text = file.read_text()
    [line] = [line for line in text.splitlines() if line.startswith("storage")]
    file.write_text(text.replace(line, f'storage = "{uri}"'))


def test_a_publish_says_what_it_goes_on_from_and_why_each_role_is_signed(
    tree: Tree, storage_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_in(tree, storage_uri)
    first = logged(tree.root, capsys, "publish", "-vv")
    assert first.one("source.tree")["plugins"] == 2
    assert first.one("publication.first")["realm"] == "public"
    assert {(each["plugin"], each["version"]) for each in first.of_event("publication.release")} == {
        ("acme/slack", "1.0.0"),
        ("acme/mail", "0.1.0"),
    }
    signed = {each["role"]: each for each in first.of_event("signing.role")}
    assert signed["snapshot"]["keys"] == [f"online ({signed['snapshot']['key_ids'][0][:8]})"]
    assert {each["key"] for each in first.of_event("signing.key")} >= {"online", "packages"}
    puts = {each["key"]: each for each in first.of_event("storage.put")}
    swap = puts["metadata/timestamp.json"]
    assert (swap["condition"], swap["result"]) == ("nothing is there", "written")
    assert puts["metadata/1.snapshot.json"]["bytes"] > 0
    committed = first.one("publication.committed")
    assert (committed["version"], committed["snapshot"], committed["level"]) == (1, 1, "info")
    assert first.one("publication.pages")["count"] > 0

    again = logged(tree.root, capsys, "publish", "-v")
    assert again.one("publication.state")["timestamp"] == 1
    assert again.one("publication.unchanged")
    assert again.of_event("publication.committed") == again.of_event("storage.put") == []

    yank(tree.root, PluginId("acme", "mail"), "0.1.0", by="kai", why="broken")
    change = logged(tree.root, capsys, "publish", "-v")
    assert change.one("publication.change")["plugin"] == "acme/mail"
    assert change.one("publication.sign", role="snapshot")["reason"] == "changed"


def test_validate_says_what_lint_looked_at(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    lint = logged(tree.root, capsys, "validate", "-v").one("source.lint")
    assert (lint["plugins"], lint["seconds"] >= 0) == (2, True)


def test_a_lost_race_is_told_with_the_next_attempt(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "registry_builder")
    lost = iter([LostRaceError("metadata/timestamp.json", "here")])

    def attempt() -> str:
        for error in lost:
            raise error
        return "done"

    assert retry_races(attempt) == ("done", 2)
    [record] = [each for each in caplog.records if vars(each).get("event") == "publication.lost_race"]
    assert vars(record)["attempt"] == 2


def test_a_claimed_namespace_that_waits_is_told(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    drill = Drill(tree)
    drill.publish()
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    drill.take_away("team-1")
    log = logged(tree.root, capsys, "publish", "-v")
    waiting = log.of_event("publication.waiting", namespace="acme")
    assert waiting
    assert "team-1" in waiting[0]["reason"]
