"""Fixtures of the auditing tests: keys and memory in folders of the test's own, a tree, and where it is published."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.source_trees import Tree


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("SEALDEX_KEY_PASSPHRASE", "SEALDEX_KEY_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree.make(tmp_path / "source")
    made.plugin("acme/slack", readme="# Slack\n")
    made.release("acme/slack", "1.0.0")
    made.plugin("acme/mail")
    made.release("acme/mail", "0.1.0")
    return made
