"""Another process removes, replaces or evicts just between a look at something and its use.

Races that `test_many_processes` may or may not meet, each played at its worst moment in one process.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import FaultServer, Status
from support.installing import PLUGIN, make_release
from support.plugin_registry import PluginRegistry, sha256
from support.store_truth import left_over

import sealdex.download.delta
import sealdex.download.download
import sealdex.install.batch
import sealdex.store.cache
from sealdex import Client, NotFoundError, PluginId, UnavailableError
from sealdex.config.config import Config, ConfigDocument, RegistrySection
from sealdex.download.delta import from_pieces
from sealdex.download.download import download
from sealdex.download.fetcher import ArtifactFetcher
from sealdex.install.install import install, needs_archive
from sealdex.install.transaction import deploy
from sealdex.model.plugin import Attachment
from sealdex.store import verify
from sealdex.store.activation import remove
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import tidy, verify_files
from sealdex.store.cache_policy import CacheLimits
from sealdex.store.installations import Installation
from sealdex.store.layout import Store
from sealdex.store.verify import Finding, verify_installation, verify_standing

REPORT = b'{"score": 1}'
LARGE = {f"data/{number}": bytes([number]) * 1000 + b"%d" % number * 90_000 for number in range(4)}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def client(tmp_path: Path, server: FaultServer) -> Iterator[Client]:
    registry = PluginRegistry()
    attached = Attachment("report.json", "report", len(REPORT), sha256(REPORT))
    for version in ("1.0.0", "2.0.0"):
        files = {**LARGE, "VERSION": version.encode() * 9000}
        registry.release("acme/base", version, files, file_list=True)
        registry.release(
            "acme/app", version, dependencies={"acme/base": f"={version}"}, attachments=(attached,), caveats="Mind it"
        )
    registry.publish()
    for name, data in registry.files.items():
        server.put(f"/{name}", data)
        if name.endswith("acme/app/2.0.0/manifest.json"):
            server.put(f"/{name.rpartition('/')[0]}/report.json", REPORT)
    (tmp_path / "root").write_bytes(registry.root)
    document = ConfigDocument(registries={"public": RegistrySection(url=server.url("/"), root="root")})
    with Client(Config(tmp_path / "config.toml", tmp_path / "store", document)) as made:
        yield made


def make_room(client: Client) -> None:
    """What another process's `cache gc --max-bytes 0` does."""
    tidy(ContentCache(Path(Store(client.config.store).cache_folder)), CacheLimits(0))


# --- what was going to be kept ---------------------------------------------------------------------------------------


def test_what_always_goes_before_it_can_be_kept_is_obtained(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others install and uninstall all the time, so that each look finds it and no lock does."""
    client.install("acme/app")
    make_room(client)
    store = Store(client.config.store)
    plugins = [PluginId("acme", "app"), PluginId("acme", "base")]
    kept = {plugin: tmp_path / plugin.name for plugin in plugins}
    for plugin, copy in kept.items():
        shutil.copytree(store.version_folder(plugin, "2.0.0"), copy)
    looks: list[str] = []

    def put_back_and_look(store: Store, request: Any) -> bool:
        shutil.copytree(kept[request.plugin], store.version_folder(request.plugin, "2.0.0"), dirs_exist_ok=True)
        looks.append(request.plugin.name)
        return needs_archive(store, request)

    def take_away_and_deploy(*args: Any, **options: Any) -> Any:
        for plugin in plugins:
            remove(store, plugin, "2.0.0")
        return deploy(*args, **options)

    monkeypatch.setattr(sealdex.install.batch, "needs_archive", put_back_and_look)
    monkeypatch.setattr(sealdex.install.batch, "deploy", take_away_and_deploy)
    assert [(i.choice.plugin.name, i.action) for i in client.install("acme/app")] == [
        ("base", "unpack"),
        ("app", "unpack"),
    ]
    assert looks == ["base", "app"] * 3
    assert all(check.is_whole for check in client.verify())


def test_what_was_put_together_for_an_install_that_fails_goes_at_once(
    client: Client, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.install("acme/app@1.0.0")
    made = []

    def remember(*args: Any, **options: Any) -> Any:
        made.append(from_pieces(*args, **options))  # or else the garbage collector might tidy up
        return made[-1]

    monkeypatch.setattr(sealdex.download.delta, "from_pieces", remember)
    server.always("/plugins/acme/app/2.0.0/app.zip", Status(404))
    with pytest.raises(UnavailableError):
        client.install("acme/app@2.0.0", fallback=False)
    assert [tree is not None for tree in made] == [True]
    assert left_over(Store(client.config.store)) == []


# --- what is being verified ------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[], Installation]:
    """Installs one release; again, after it was removed, it is another folder."""
    archive, request = make_release(tmp_path / "archives", "1.0.0")
    return lambda: install(Store(tmp_path / "store"), request, archive).installation


def during_verify(monkeypatch: pytest.MonkeyPatch, before: Callable[[], Any], after: Callable[[], Any]) -> list[str]:
    """Have others do this before and after the files are first looked at; returns what is looked at, as it happens."""
    looks: list[str] = []

    def watched(installation: Installation, *, quick: bool = False) -> list[Finding]:
        looks.append(installation.version)
        is_first = len(looks) == 1
        if is_first:
            before()
        found = verify_installation(installation, quick=quick)
        if is_first:
            after()
        return found

    monkeypatch.setattr(verify, "verify_installation", watched)
    return looks


def test_what_is_uninstalled_meanwhile_is_not_damaged(
    installed: Callable[[], Installation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, standing = Store(tmp_path / "store"), installed()
    during_verify(monkeypatch, lambda: remove(store, PLUGIN, "1.0.0"), lambda: None)
    assert verify_standing(store, standing) is None


def test_what_takes_its_place_meanwhile_is_looked_at(
    installed: Callable[[], Installation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, standing = Store(tmp_path / "store"), installed()
    looks = during_verify(monkeypatch, lambda: remove(store, PLUGIN, "1.0.0"), installed)
    found = verify_standing(store, standing)
    assert found is not None
    assert found[1] == []
    assert len(looks) == 2


def test_what_stands_there_damaged_is_damaged(installed: Callable[[], Installation], tmp_path: Path) -> None:
    standing = installed()
    (Path(standing.path) / "lib/a").unlink()
    found = verify_standing(Store(tmp_path / "store"), standing)
    assert found is not None
    assert [finding.kind for finding in found[1]] == ["missing"]


# --- what is cached --------------------------------------------------------------------------------------------------


def test_what_is_read_from_the_cache_is_held(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is made just after the file was found, before it is read."""
    find_manifest = ArtifactFetcher.manifest_file

    def then_room(found: Callable[..., Path]) -> Callable[..., Path]:
        def find(*args: Any, **options: Any) -> Path:
            path = found(*args, **options)
            make_room(client)
            return path

        return find

    monkeypatch.setattr(ArtifactFetcher, "manifest_file", then_room(find_manifest))
    monkeypatch.setattr(sealdex.download.download, "download", then_room(download))
    assert client.manifest("acme/app", "2.0.0").caveats == "Mind it"
    assert client.attachment("acme/app", "2.0.0", "report.json") == REPORT


def test_what_is_exported_is_held(client: Client) -> None:
    choices = client.resolve("acme/app").choices
    with client.files_of(choices) as files:
        make_room(client)
        assert all(path is not None and path.exists() for _, archive, manifest in files for path in (archive, manifest))
    make_room(client)
    assert not any(manifest.exists() for _, _, manifest in files)


def test_what_is_evicted_while_the_cache_is_verified_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ContentCache(tmp_path / "cache")
    for data in (b"one", b"two"):
        (tmp_path / "source").write_bytes(data)
        cache.add_file(tmp_path / "source", sha256(data))
    found = verify_files(cache)
    first, is_whole = next(found)
    assert is_whole
    (other,) = {sha256(b"one"), sha256(b"two")} - {first.digest}
    assert cache.evict(other)
    assert list(found) == []

    def gone(path: Path) -> Any:
        raise FileNotFoundError(path)

    # evicted and fetched again: what is there by the time that is looked into was never looked at
    monkeypatch.setattr(sealdex.store.cache, "open_to_read", gone)
    assert list(verify_files(cache)) == []
    assert cache.find(first.digest) is not None


def test_verifying_by_name_what_has_just_gone_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.install("acme/base@1.0.0")
    store = Store(client.config.store)
    during_verify(monkeypatch, lambda: remove(store, PluginId("acme", "base"), "1.0.0"), lambda: None)
    with pytest.raises(NotFoundError, match="is not installed"):
        client.verify("acme/base")
