"""The first requests of a host that knows nothing go out while what verifies their answers is imported."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer
from tuf.ngclient import UpdaterConfig

from sealdex import Client, NotFoundError, PluginId, UnavailableError
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.queries import RegistryQueries
from sealdex.transport import TooLargeError, Transport
from sealdex.transport.begun import Begun
from sealdex.trust import first_round
from sealdex.trust.metadata_bundle import MAX_BUNDLE_BYTES

SLACK = PluginId("acme", "slack")
FIRST = ["metadata/2.root.json", "metadata/recent.bundle", "metadata/timestamp.json"]


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    made.plugin("acme/slack")
    made.release("acme/slack", "1.0.0")
    made.publish()
    return made


@pytest.fixture
def server(registry: PluginRegistry) -> Iterator[TreeServer]:
    with TreeServer(registry.files) as running:
        yield running


@pytest.fixture
def config(registry: PluginRegistry, server: TreeServer, tmp_path: Path) -> Config:
    (tmp_path / "root.json").write_bytes(registry.root)
    sections = {"public": RegistrySection(url=server.url, root="root.json")}
    document = ConfigDocument(registries=sections, download=DownloadSection(retry=0))
    return Config(tmp_path / "config.toml", tmp_path / "store", document)


def wait_for(server: TreeServer, requests: list[str]) -> None:
    until = time.monotonic() + 60
    while sorted(server.requests) != requests and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(server.requests) == requests


def test_the_first_requests_are_made_once_and_before_anything_is_verified(config: Config, server: TreeServer) -> None:
    queries = RegistryQueries(config)
    queries.begin_asking([SLACK])
    queries.begin_asking([SLACK])
    wait_for(server, FIRST)
    assert queries.documents([SLACK])[SLACK] is not None
    assert [server.requests.count(each) for each in FIRST] == [1, 1, 1]


def test_nothing_is_begun_for_a_registry_that_this_host_knows_or_that_is_not_asked(
    config: Config, server: TreeServer
) -> None:
    RegistryQueries(config, offline=True).begin_asking([SLACK])
    no_such = replace(config, document=ConfigDocument(registries={}))
    RegistryQueries(no_such).begin_asking([SLACK])
    assert server.requests == []
    RegistryQueries(config).documents([SLACK])
    server.requests.clear()
    RegistryQueries(config).begin_asking([SLACK])
    time.sleep(0.05)
    assert server.requests == []


@pytest.mark.parametrize("root", [b"", b"[]", b'{"signed":{"version":"1"}}'])
def test_a_root_that_is_not_one_begins_nothing(config: Config, server: TreeServer, root: bytes) -> None:
    (config.path.parent / "root.json").write_bytes(root)
    RegistryQueries(config).begin_asking([SLACK])
    assert server.requests == []


def test_an_answer_older_than_what_another_process_has_kept_is_not_taken(
    config: Config, registry: PluginRegistry, server: TreeServer
) -> None:
    """Two processes share a store, and a publish comes between their requests: neither is told of a rollback."""
    early = RegistryQueries(config)
    early.begin_asking([SLACK])
    wait_for(server, FIRST)
    registry.release("acme/slack", "1.1.0")
    registry.publish()
    assert len((RegistryQueries(config).documents([SLACK])[SLACK] or pytest.fail("nothing")).releases) == 2
    found = early.documents([SLACK])[SLACK]
    assert found is not None
    assert {release.version for release in found.releases} == {"1.0.0", "1.1.0"}


def test_what_fails_before_it_is_waited_for_fails_as_it_would_have_later(config: Config, server: TreeServer) -> None:
    server.instead = {"metadata/timestamp.json": 403}
    with pytest.raises(UnavailableError, match="403"):
        Client(config).info("acme/slack")
    server.instead = {"metadata/recent.bundle": 500}
    assert Client(config).info("acme/slack").document.id == SLACK
    with pytest.raises(NotFoundError):
        Client(config).info("acme/none")


def test_the_limits_are_those_of_the_refresh() -> None:
    said = UpdaterConfig()
    assert said.timestamp_max_length == first_round.TIMESTAMP_BYTES
    assert said.root_max_length == first_round.ROOT_BYTES
    assert first_round.BUNDLE_BYTES == MAX_BUNDLE_BYTES


def test_a_begun_read_is_taken_by_one_reader_and_held_to_its_limit(server: TreeServer) -> None:
    url = f"{server.url}/metadata/timestamp.json"
    with Transport() as transport:
        transport.begin(url, max_bytes=16384)
        assert transport.has_begun(url)
        data = transport.read(url, max_bytes=16384, begun=True).data
        assert not transport.has_begun(url)
        transport.begin(url, max_bytes=16384)
        with pytest.raises(TooLargeError):
            transport.read(url, max_bytes=len(data) - 1, begun=True)
        assert transport.read(url, max_bytes=16384, begun=True).data == data
    assert server.requests == ["metadata/timestamp.json"] * 3


def test_whoever_waits_for_begun_work_gets_its_error() -> None:
    def work(_: object) -> None:
        raise LookupError("this")

    with pytest.raises(LookupError, match="this"):
        Begun(work, "work").result()
