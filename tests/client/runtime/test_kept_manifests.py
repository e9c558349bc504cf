"""The manifest of an installed release is kept beside its receipt, and believed only as its pin says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry

from sealdex import Client, Installation, InstallError, VerificationError
from sealdex.config.config import Config, ConfigDocument, RegistrySection
from sealdex.store.manifests import installed_manifest


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    made.release("acme/slack", "1.0.0", manifest={"entry_point": "slack:Notifier"})
    made.publish()
    return made


@pytest.fixture
def client(tmp_path: Path, registry: PluginRegistry) -> Iterator[Client]:
    (tmp_path / "root.json").write_bytes(registry.root)
    section = RegistrySection(url=registry.write(tmp_path / "published"), root="root.json")
    document = ConfigDocument(registries={"public": section})
    with Client(Config(tmp_path / "config.toml", tmp_path / "store", document)) as made:
        yield made


def installed(client: Client) -> Installation:
    done = client.install("acme/slack")[0].installation
    assert done is not None
    return done


def test_it_is_kept_and_read_without_a_network(client: Client, tmp_path: Path) -> None:
    installation = installed(client)
    (tmp_path / "published").rename(tmp_path / "gone")
    assert installed_manifest(installation).entry_point == "slack:Notifier"
    assert [check.findings for check in client.verify()] == [()]


def test_attack_a_swapped_manifest_in_the_store_is_refused(client: Client) -> None:
    """Who can write one file of the store makes the entry point another one: nothing of it may run."""
    installation = installed(client)
    path = Path(installation.path, ".sealdex", "manifest.json")
    path.write_bytes(path.read_bytes().replace(b"slack:Notifier", b"evil:Notifier1"))
    with pytest.raises(VerificationError, match="not the one that was installed"):
        installed_manifest(installation)


def test_attack_a_swapped_manifest_in_the_registry_installs_nothing(client: Client, tmp_path: Path) -> None:
    """Who can write to the storage, without keys, makes the entry point another one of the same length."""
    path = tmp_path / "published/plugins/acme/slack/1.0.0/manifest.json"
    path.write_bytes(path.read_bytes().replace(b"slack:Notifier", b"evils:Notifier"))
    with pytest.raises(VerificationError):
        client.install("acme/slack")
    assert client.list() == []
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert not list((tmp_path / "store" / "cache").rglob(f"{digest}*"))


def test_an_installation_without_one_says_how_to_get_it(client: Client) -> None:
    installation = installed(client)
    Path(installation.path, ".sealdex", "manifest.json").unlink()
    with pytest.raises(InstallError) as refused:
        installed_manifest(installation)
    assert "sealdex uninstall acme/slack@1.0.0" in (refused.value.hint or "")
