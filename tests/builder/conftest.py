"""Fixtures of the builder's tests: own folders, a tree with two plugins, storages."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from support.s3_proxy import S3Proxy
from support.s3_registry import S3Registry
from support.source_trees import Tree

from registry_builder.signing import metadata
from registry_builder.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.s3_server import S3Server

    from registry_builder.storage import Storage


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and memory in folders of the test's own."""
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("SEALDEX_KEY_PASSPHRASE", "SEALDEX_KEY_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def few_bins(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 bins in place of 64, which takes a tenth off these tests' time; a test marked ``every_bin`` has all."""
    if request.node.get_closest_marker("every_bin") is None:
        (limit, _), *more = metadata._BITS
        monkeypatch.setattr(metadata, "_BITS", ((limit, 4), *more))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A source tree with two plugins, nothing published yet."""
    made = Tree.make(tmp_path / "source")
    made.plugin("acme/slack", readme="# Slack\n")
    made.release("acme/slack", "1.0.0")
    made.plugin("acme/mail")
    made.release("acme/mail", "0.1.0")
    return made


@pytest.fixture
def s3_uri(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The storage address of an empty prefix; credentials are in the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_bucket}/{secrets.token_hex(4)}?endpoint_url={s3_server.endpoint}&region=us-east-1"


@pytest.fixture
def s3_registry(
    tree: Tree, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Registry]:
    """A registry in S3 behind a proxy, nothing published yet; credentials are in the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with S3Proxy(s3_server) as proxy:
        yield S3Registry(tree, s3_server, s3_bucket, proxy)


@pytest.fixture
def s3_published(s3_registry: S3Registry) -> S3Registry:
    """The same, published; the tree has a release more."""
    s3_registry.publish(direct=True)
    s3_registry.tree.release("acme/slack", "1.1.0")
    return s3_registry


@pytest.fixture(params=["folder", "s3"])
def storage_uri(request: pytest.FixtureRequest) -> str:
    """The address of an empty storage, once of each kind."""
    if request.param == "folder":
        return "folder:published"
    uri: str = request.getfixturevalue("s3_uri")
    return uri


@pytest.fixture
def open_again(storage_uri: str, tmp_path: Path) -> Callable[[], Storage]:
    """Open the test's storage as another publisher would."""
    return lambda: open_storage(storage_uri, base=tmp_path)


@pytest.fixture
def storage(open_again: Callable[[], Storage]) -> Storage:
    return open_again()
