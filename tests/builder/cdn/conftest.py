"""Fixtures of the CDN's tests: a tree published to the S3 server, and nginx before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.caching_cdn import caching_cdn
from support.s3_server import S3Server
from support.source_trees import Tree


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Tree.make(tmp_path / "source")
    made.plugin("acme/slack", readme="# Slack\n")
    made.release("acme/slack", "1.0.0")
    return made


@pytest.fixture
def cdn(tmp_path: Path, s3_server: S3Server, s3_uri: str) -> Iterator[str]:
    """The address of the published tree as the CDN gives it."""
    with caching_cdn(s3_server.endpoint, tmp_path / "cdn") as address:
        yield f"{address}/{s3_uri.removeprefix('s3://').partition('?')[0]}"
