"""Fixtures of the site's tests: keys and memory in folders of the test's own, a fixed clock, trees to publish."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.site_pages import NOW, Publish
from support.source_trees import Tree, ids, small_tree

from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.storage import Storage


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return small_tree(tmp_path / "source")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "published/public"


@pytest.fixture
def run(tree: Tree) -> Publish:
    """Publish the tree: all of it, or the plugins that are named."""

    def run(*only: str, storage: Storage | None = None) -> PublishResult:
        publisher = open_publisher(tree.load(*only), "public", storage=storage, clock=lambda: NOW, use_memory=False)
        return publish_realm(publisher, only=ids(*only) or None)

    return run
