"""A registry at several addresses: who is asked for what, how often, and what is remembered within a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer
from support.trust_scene import SLACK, Scene, hasty_transport, scene_in
from support.tuf_repository import BUNDLE

from sealdex import Client, Observer, UnavailableError, VerificationError
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.errors import SealdexError
from sealdex.model.index import index_target
from sealdex.transport import Addresses, HttpStatusError
from sealdex.trust import TrustedRegistry

TIMESTAMP, NEXT_ROOT = "metadata/timestamp.json", "metadata/2.root.json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


@pytest.fixture
def second(scene: Scene) -> Iterator[TreeServer]:
    with TreeServer(scene.repository.files) as server:
        yield server


def registry_of(scene: Scene, *urls: str) -> TrustedRegistry:
    return TrustedRegistry("public", Addresses(urls), scene.repository.pinned_root, scene.folder, hasty_transport())


def test_a_second_address_costs_nothing_while_the_first_is_right(scene: Scene, second: TreeServer) -> None:
    repository = scene.repository
    scene.server.expect_rounds(
        {TIMESTAMP, NEXT_ROOT, BUNDLE},
        {repository.key(repository.bin_of(SLACK))},
        {repository.target_key(index_target(SLACK))},
    )
    assert registry_of(scene, scene.server.url, second.url).index(SLACK)
    scene.server.expect_rounds({TIMESTAMP, NEXT_ROOT})
    assert registry_of(scene, scene.server.url, second.url).index(SLACK)
    assert scene.server.out_of_turn == []
    assert second.requests == []


def test_an_address_that_does_not_answer_is_asked_once_with_the_usual_retries(scene: Scene, second: TreeServer) -> None:
    second.instead = dict.fromkeys((*scene.repository.files, NEXT_ROOT, "x"), 503)
    registry = registry_of(scene, second.url, scene.server.url)
    assert registry.index(SLACK)
    assert set(second.requests) == {TIMESTAMP, NEXT_ROOT, BUNDLE}
    asked = len(second.requests)
    assert asked > 3, "there were retries"
    scene.repository.add(SLACK, "2.0.0", "1.0.0")
    scene.repository.publish()
    assert registry.index(SLACK)
    assert len(second.requests) == asked
    registry.addresses.revive()
    registry.refresh()
    assert len(second.requests) > asked


def test_a_new_root_is_asked_of_one_address_only(scene: Scene, second: TreeServer) -> None:
    scene.repository.rotate_root()
    scene.repository.publish()
    assert registry_of(scene, scene.server.url, second.url).refresh().root_version == 2
    assert scene.server.requests.count("metadata/3.root.json") == 1
    assert second.requests == []


def test_one_missing_file_comes_from_elsewhere_and_the_rest_from_the_first(scene: Scene, second: TreeServer) -> None:
    missing = scene.repository.target_key(index_target(SLACK))
    with scene.serving({missing: 404}):
        assert registry_of(scene, scene.server.url, second.url).index(SLACK)
    assert second.requests == [missing]


def test_who_is_left_is_said_and_all_that_failed_is_in_the_error() -> None:
    left: list[tuple[str, SealdexError]] = []
    addresses = Addresses(["https://a.example/x", "https://b.example/"], lambda url, error: left.append((url, error)))
    answers = {
        "https://a.example/x/": VerificationError("wrong", hint="h"),
        "https://b.example/": UnavailableError("silent"),
    }

    def work(url: str) -> str:
        raise answers[url]

    with pytest.raises(VerificationError) as caught:
        addresses.fetch(work)
    assert caught.value.message.splitlines()[1:] == ["https://a.example/x/: wrong", "https://b.example/: silent"]
    assert [url for url, _ in left] == ["https://a.example/x/"]
    assert addresses.in_turn() == ["https://a.example/x/"], "b didn't answer, a answers wrongly for one file"
    answers["https://a.example/x/"] = VerificationError("wrong again")
    with pytest.raises(VerificationError, match="silent"):
        addresses.fetch(work)


def test_what_is_missing_everywhere_is_unavailable_and_leaves_no_address_out() -> None:
    addresses = Addresses(["https://a.example/", "https://b.example/", "https://b.example"])
    assert len(addresses.all) == 2

    def work(url: str) -> str:
        raise HttpStatusError(url, 404)

    for _ in range(2):
        with pytest.raises(UnavailableError, match="none of the 2 addresses"):
            addresses.fetch(work)
    assert addresses.in_turn() == list(addresses.all)


def test_a_verdict_on_addresses_that_were_revived_meanwhile() -> None:
    addresses = Addresses(["https://a.example/", "https://b.example/"])
    for url in addresses.all:
        addresses.failed(url, UnavailableError("silent"))
    assert addresses.usable() == []
    addresses.revive()
    assert isinstance(addresses.verdict([]), UnavailableError)


def test_when_none_answers_any_more_nobody_is_asked() -> None:
    addresses = Addresses(["https://a.example/", "https://b.example/"])
    asked: list[str] = []

    def work(url: str) -> str:
        asked.append(url)
        raise UnavailableError(f"{url} is silent")

    for _ in range(3):
        with pytest.raises(UnavailableError, match=r"(?s)a\.example.*b\.example"):
            addresses.fetch(work)
    assert asked == list(addresses.all)


# --- artifacts -------------------------------------------------------------------------------------------------------


class Told(Observer):
    def __init__(self) -> None:
        self.lefts: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    def left(self, registry: str, url: str, error: SealdexError) -> None:
        with self.lock:
            self.lefts.append((registry, f"{url}: {error.message}"))


class Pair:
    """Three plugins at two addresses, and a client that knows both."""

    def __init__(self, folder: Path, registry: PluginRegistry, first: TreeServer, second: TreeServer) -> None:
        self.folder, self.registry, self.first, self.second = folder, registry, first, second
        (folder / "root").write_bytes(registry.root)
        section = RegistrySection(url=first.url, root="root", mirrors=(second.url,))
        download = DownloadSection(retry=1, concurrent=1)
        document = ConfigDocument(registries={"public": section}, download=download)
        self.config = Config(folder / "config.toml", folder / "store", document)
        self.told = Told()

    def install(self, *names: str) -> list[str]:
        with Client(self.config, observer=self.told) as client:
            return [str(each.choice) for each in client.install(*names)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    registry = PluginRegistry()
    for name in "abc":
        registry.release(f"acme/{name}", "1.0.0", {"data": name.encode() * 200_000, "v": b"1"}, file_list=True)
    registry.publish()
    with TreeServer(registry.files) as first, TreeServer(registry.files) as second:
        yield Pair(tmp_path, registry, first, second)


def plugins_asked(server: TreeServer) -> list[str]:
    return [path for path in server.requests if path.startswith("plugins/")]


def test_a_wrong_artifact_comes_from_the_next_address_and_is_told(pair: Pair) -> None:
    key = "plugins/acme/a/1.0.0/a.zip"
    pair.first.instead[key] = bytes(len(pair.registry.files[key]))
    assert pair.install("acme/a", "acme/b") == ["acme/a 1.0.0", "acme/b 1.0.0"]
    assert plugins_asked(pair.second) == [key]
    assert [registry for registry, _ in pair.told.lefts] == ["public"]
    assert "is not what was signed" in pair.told.lefts[0][1]


def test_a_wrong_artifact_everywhere_is_refused_and_nothing_is_kept(pair: Pair) -> None:
    key = "plugins/acme/a/1.0.0/a.zip"
    for server in (pair.first, pair.second):
        server.instead[key] = bytes(len(pair.registry.files[key]))
    with pytest.raises(VerificationError, match="none of the 2 addresses"):
        pair.install("acme/a")
    assert not [p for p in (pair.folder / "store").rglob("*") if p.name.startswith("a.zip") or p.suffix == ".part"]


def test_an_address_that_dies_in_the_middle_is_asked_once_more_and_not_for_each_file(pair: Pair) -> None:
    pair.first.instead = {key: 503 for key in pair.registry.files if key.startswith("plugins/")}
    assert len(pair.install("acme/a", "acme/b", "acme/c")) == 3
    asked = plugins_asked(pair.first)
    # artifact and manifest of the first are asked for at once, each with one retry
    assert len(set(asked)) <= 2
    assert len(asked) <= 4
    assert len(plugins_asked(pair.second)) == 6


def test_manifests_attachments_and_deltas_come_from_the_next_address_too(pair: Pair) -> None:
    assert pair.install("acme/a")
    pair.registry.release("acme/a", "2.0.0", {"data": b"a" * 200_000, "v": b"2"}, file_list=True)
    pair.registry.publish()
    folder = "plugins/acme/a/2.0.0"
    pair.first.instead = {key: 404 for key in pair.registry.files if key.startswith(folder)}
    assert pair.install("acme/a") == ["acme/a 2.0.0"]
    assert f"{folder}/manifest.json" in pair.second.requests
    assert f"{folder}/a.zip.files.json" in pair.second.requests
    with Client(pair.config) as client:
        assert client.manifest("acme/a", "2.0.0").version == "2.0.0"
