"""A claimed namespace's release without its team's signature waits, and that is seen wherever people look."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.drill import Drill
from support.source_trees import Tree

from registry_builder.authoring.lifecycle import yank
from registry_builder.ceremony.steps import Wanted
from registry_builder.publication.claim_signing import sign_claim
from sealdex.model.ids import PluginId

WAITS = {
    "namespace": "acme",
    "plugins": ["acme/slack"],
    "missing": ["team-1"],
    "threshold": 1,
    "reason": "changed",
}


@pytest.fixture
def claimed(tree: Tree) -> Drill:
    """Namespace acme is its team's, whose key is elsewhere; other/tool is nobody's; acme/slack 1.1.0 isn't signed."""
    drill = Drill(tree)
    drill.tree.plugin("other/tool")
    drill.tree.release("other/tool", "1.0.0")
    drill.publish()
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    sign_claim(drill.publisher(), "acme")
    drill.take_away("team-1")
    drill.publish()
    drill.tree.release("acme/slack", "1.1.0")
    return drill


def test_validate_says_it(claimed: Drill, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    told = document(claimed.root, capsys, "validate", "--summary", summary)
    assert told["waiting"] == [WAITS]
    warned = [p for p in told["problems"] if p["file"] == "plugins/acme/slack"]
    assert [p["severity"] for p in warned] == ["warning"]
    assert "namespace sign acme" in warned[0]["message"]
    assert "⏳ **Not published: `acme/slack` waits for 1 signature(s) of `team-1`" in summary.read_text()
    # and of the namespace's other plugins nothing, nor of a part of the tree that doesn't wait
    assert document(claimed.root, capsys, "validate", "acme/mail")["waiting"] == []
    assert document(claimed.root, capsys, "validate", "acme/slack")["waiting"] == [WAITS]
    assert document(claimed.root, capsys, "validate", "--offline")["waiting"] == []


def test_diff_says_it(claimed: Drill, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    (realm,) = document(claimed.root, capsys, "diff", "--summary", summary)["realms"]
    assert realm["waiting"] == [WAITS]
    assert "⏳" in summary.read_text()
    assert "is up to date except for that." in summary.read_text()


def test_a_publish_of_all_fails_after_the_rest_was_published(
    claimed: Drill, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed.tree.release("other/tool", "1.1.0")
    summary = tmp_path / "summary.md"
    # the ceremony of the drill was in a year's time, and these commands have the clock of this machine
    monkeypatch.setattr("registry_builder.publication._signing_time.MOST_SKEW", timedelta(days=400))
    (realm,) = document(claimed.root, capsys, "publish", "--require-all", "--summary", summary, code=1)["realms"]
    assert realm["committed"]
    assert realm["waiting"] == [WAITS]
    assert "⏳" in summary.read_text()
    assert claimed.seen("other/tool", day=0) == {"1.1.0"}
    assert claimed.seen(day=0) == {"1.0.0"}
    assert call(claimed.root, "publish") == 0
    assert call(claimed.root, "publish", "--require-all") == 1
    said = capsys.readouterr().err
    assert "not everything is published: acme/slack waits for 1 signature(s) of team-1" in said
    assert "namespace sign acme" in said
    # the same run is green once the team has signed
    claimed.bring_back("team-1")
    sign_claim(claimed.publisher(0), "acme")
    claimed.take_away("team-1")
    assert document(claimed.root, capsys, "validate")["waiting"] == []
    assert call(claimed.root, "publish", "--require-all") == 0
    assert claimed.seen(day=0) == {"1.1.0"}


def test_validate_says_what_an_older_checkout_lacks(claimed: Drill, capsys: pytest.CaptureFixture[str]) -> None:
    older = Path(shutil.copytree(claimed.root, claimed.root.parent / "older"))
    yank(claimed.root, PluginId("other", "tool"), "1.0.0", why="leaks", by="kim")
    claimed.publish()
    told = document(older, capsys, "validate")
    (warned,) = [p for p in told["problems"] if p["file"] == "plugins/other/tool/status.json"]
    assert warned["severity"] == "warning"
    assert "yank 1.0.0 by kim" in warned["message"]
    assert "git pull" in warned["message"]
