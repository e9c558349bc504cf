"""A release in an A/B test, as this builder publishes it: 0.1.0 goes on with what it had, and reads the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builder_cli import call
from support.released import Released
from support.source_trees import Tree

from sealdex.cli.main import main as sealdex


def test_who_knows_no_tests_gets_the_release_without_one(
    v0_1_0: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("KEYS", "STORE", "CONFIG"):
        monkeypatch.setenv(f"SEALDEX_{variable}", str(tmp_path / variable.lower()))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    tree = Tree.make(tmp_path / "source")
    tree.plugin("acme/slack", readme="# slack\n")
    tree.release("acme/slack", "1.0.0")
    tree.release("acme/slack", "2.0.0", ab={"experiment": "words", "selector": {"match_labels": {"ring": "early"}}})
    assert call(tree.root, "publish") == 0
    address, root = (tmp_path / "published/public").as_uri(), tree.root / "trust/public/1.root.json"
    v0_1_0.run("sealdex", "registry", "add", "acme", address, "--root", root, cwd=tmp_path)
    config = tmp_path / "config"
    config.write_text(config.read_text() + '\n[environment.labels]\nring = "early"\n')
    v0_1_0.run("sealdex", "install", "acme/slack", cwd=tmp_path)
    assert v0_1_0.run("sealdex", "path", "acme/slack", cwd=tmp_path).stdout.strip().endswith("/1.0.0")
    v0_1_0.run("sealdex", "install", "acme/slack@2.0.0", cwd=tmp_path)
    assert sealdex(["use", "acme/slack", "1.0.0"]) == 0
    assert sealdex(["update"]) == 0
    capsys.readouterr()
    assert sealdex(["path", "acme/slack"]) == 0
    assert capsys.readouterr().out.strip().endswith("/2.0.0")
