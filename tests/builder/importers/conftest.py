"""Fixtures of the importers' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.import_scene import ImportScene
from support.tree_server import TreeServer


@pytest.fixture
def scene(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> ImportScene:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Kim")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "kim@example.org")
    return ImportScene(tmp_path / "registry", capsys)


@pytest.fixture
def server() -> Iterator[TreeServer]:
    with TreeServer({}) as running:
        yield running
