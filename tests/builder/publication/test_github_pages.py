"""A realm on GitHub Pages: each publish begins with what is live, and what clients would refuse is not deployed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.fake_time import sleep_in_no_time
from support.pages_site import PagesFiles
from support.source_trees import Tree
from support.stock_client import StockClient
from support.tree_server import TreeServer

from registry_builder.baseline.state import ExpiredStateError, RolledBackError
from registry_builder.ceremony.steps import Wanted, finish_ceremony, sign_ceremony, start_ceremony
from registry_builder.publication import github_pages, pages_deployment
from registry_builder.publication.context import Publisher
from registry_builder.publication.github_pages import NotDeployableError
from registry_builder.publication.pages_deployment import check_deployment, remember_deployment
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.publication.refresh import refresh_realm
from registry_builder.signing.key_registration import create_key, register_keys
from registry_builder.signing.metadata import utc_now
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config
from registry_builder.storage.folder import FolderStorage
from registry_builder.storage.http import UrlStorage
from sealdex.errors import ConfigError, SealdexError, UnavailableError, UsageError, VerificationError

START = utc_now()
TIMESTAMP = "metadata/timestamp.json"


@dataclass
class Live:
    """A source tree, what is live, and the server that answers for it."""

    tree: Tree
    files: PagesFiles
    server: TreeServer

    @property
    def folder(self) -> Path:
        return self.tree.root / "published"

    def publisher(self, days: float = 0) -> Publisher:
        def clock() -> datetime:
            return START + timedelta(days=days)

        return open_publisher(self.tree.load(), "public", clock=clock)

    def publish(self, days: float = 0, *, first_publish: bool = False) -> PublishResult:
        """Publish on a runner with an empty disk."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return publish_realm(self.publisher(days), first_publish=first_publish)

    def deploy(self, days: float = 0, *, first_publish: bool = False) -> None:
        check_deployment(self.publisher(days), first_publish=first_publish)
        self.files.deploy(self.folder)
        remember_deployment(self.publisher(days))

    def forget(self) -> None:
        memory = self.publisher().memory
        assert memory is not None
        memory.path.unlink()

    def client(self, folder: Path | None = None) -> StockClient:
        root = (self.tree.root / "trust/public/1.root.json").read_bytes()
        return StockClient(UrlStorage(self.server.url), root, folder)


@pytest.fixture
def live(tree: Tree) -> Iterator[Live]:
    """Nothing is live yet."""
    files = PagesFiles({})
    with TreeServer(files) as server:
        config = tree.root / "registry.toml"
        text = config.read_text(encoding="utf-8")
        place = f'storage = "pages:published"\nurl = "{server.url}/"'
        config.write_text(text.replace('storage = "folder:../published/public"', place), encoding="utf-8")
        yield Live(tree, files, server)


@pytest.fixture
def deployed(live: Live) -> Live:
    live.publish(first_publish=True)
    live.deploy(first_publish=True)
    return live


def test_deployed_again_from_empty_runners_with_a_client_following(deployed: Live, tmp_path: Path) -> None:
    client = tmp_path / "client"
    assert deployed.client(client).versions("acme/slack") == ["1.0.0"]
    first = dict(deployed.files.site)
    for days, version in ((1, "1.1.0"), (2, "1.2.0")):
        deployed.tree.release("acme/slack", version)
        assert deployed.publish(days).committed
        deployed.deploy(days)
        assert version in deployed.client(client).versions("acme/slack")
    # all that a reader with a cached timestamp of before asks for is there, with the same bytes
    signed = {key for key in first if key.startswith(("metadata/", "targets/", "plugins/"))}
    mutable = {TIMESTAMP, "metadata/recent.bundle"}
    assert {key for key in signed - mutable if deployed.files.site.get(key) != first[key]} == set()
    assert "index.html" in deployed.files.site
    deployed.files.stale[TIMESTAMP] = first[TIMESTAMP]
    assert deployed.client().versions("acme/slack") == ["1.0.0"]


def test_a_refresh_keeps_the_pages_even_of_a_tree_that_can_not_be_published(deployed: Live) -> None:
    before = set(deployed.files.site)
    (deployed.tree.root / "plugins/acme/slack/plugin.json").write_text("{", encoding="utf-8")
    shutil.rmtree(deployed.folder)
    assert refresh_realm(deployed.publisher(5), online_only=True).committed
    deployed.deploy(5)
    lost = {key for key in before - set(deployed.files.site) if not key.startswith("metadata/")}
    assert lost == set()
    assert deployed.client().versions("acme/slack") == ["1.0.0"]


def test_what_expired_is_refreshed_as_anywhere_else(deployed: Live) -> None:
    shutil.rmtree(deployed.folder)
    with pytest.raises(ExpiredStateError):
        refresh_realm(deployed.publisher(20), online_only=True)
    shutil.rmtree(deployed.folder)
    assert refresh_realm(deployed.publisher(20), online_only=True, recover_expired=True).committed
    deployed.deploy(20)
    deployed.forget()
    shutil.rmtree(deployed.folder)
    with pytest.raises(ExpiredStateError, match="doesn't remember"):
        refresh_realm(deployed.publisher(40), online_only=True, recover_expired=True)


def test_the_first_publish_is_said_by_hand_and_once(live: Live) -> None:
    with pytest.raises(NotDeployableError, match="nothing to publish on top of") as caught:
        live.publish()
    assert "--first-publish" in (caught.value.hint or "")
    assert not live.folder.exists()
    live.publish(first_publish=True)
    with pytest.raises(NotDeployableError, match="nothing to publish on top of"):
        check_deployment(live.publisher())
    live.deploy(first_publish=True)
    live.forget()
    with pytest.raises(NotDeployableError, match="this isn't the first"):
        live.publish(first_publish=True)


def test_a_site_that_was_switched_off_is_not_begun_anew(deployed: Live) -> None:
    deployed.files.site.clear()
    for first_publish in (False, True):
        with pytest.raises(RolledBackError, match="is gone"):
            deployed.publish(first_publish=first_publish)


@pytest.mark.parametrize("missing", ["plugins/acme/slack/1.0.0/slack-1.0.0.bin", "metadata/1.snapshot.json"])
def test_the_old_tree_can_not_be_had_whole(deployed: Live, missing: str) -> None:
    del deployed.files.site[missing]
    deployed.tree.release("acme/slack", "1.1.0")
    with pytest.raises(SealdexError):
        deployed.publish(1)
    assert not (deployed.folder / TIMESTAMP).exists()


def test_attack_what_is_served_in_an_artifacts_place_is_not_deployed_again(deployed: Live) -> None:
    deployed.files.site["plugins/acme/slack/1.0.0/slack-1.0.0.bin"] = b"another"
    with pytest.raises(VerificationError, match="from what was signed"):
        deployed.publish(1)
    assert not (deployed.folder / TIMESTAMP).exists()


def test_an_address_that_does_not_answer_is_no_empty_registry(deployed: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    sleep_in_no_time(monkeypatch, "registry_builder.publication.publish")
    deployed.forget()
    deployed.server.instead[TIMESTAMP] = 403
    # asked for without a query, since the server is told by the whole path
    monkeypatch.setattr(github_pages, "by_url", lambda _: UrlStorage(deployed.server.url))
    with pytest.raises(UnavailableError):
        deployed.publish(1, first_publish=True)


@pytest.mark.parametrize(
    ("days", "match"),
    [
        (
            1,
            r"another deployment has already published metadata/2\.\w+",
        ),  # at the same second: the same timestamp
        (1.5, "version numbers would not rise: timestamp from 2 to 2"),
    ],
)
def test_a_lost_race_is_not_deployed(deployed: Live, tmp_path: Path, days: float, match: str) -> None:
    """Two runs began with the same state; the first has deployed."""
    deployed.tree.release("acme/slack", "1.1.0", data=b"of the slower")
    deployed.publish(1)
    shutil.copytree(deployed.folder, tmp_path / "slower")
    deployed.tree.release("acme/slack", "1.1.0", data=b"of the faster")
    deployed.publish(days)
    deployed.deploy(days)
    shutil.rmtree(deployed.folder)
    shutil.copytree(tmp_path / "slower", deployed.folder)
    with pytest.raises(NotDeployableError, match=match):
        check_deployment(deployed.publisher(days))


def test_a_role_that_would_sink_is_not_deployed(deployed: Live, tmp_path: Path) -> None:
    """The slower run has a timestamp that is higher, of refreshes, over a snapshot that is lower."""
    for days in (5, 9, 13):
        shutil.rmtree(deployed.folder)
        refresh_realm(deployed.publisher(days), online_only=True)
        if days < 13:
            deployed.files.deploy(deployed.folder)
    shutil.copytree(deployed.folder, tmp_path / "slower")
    deployed.forget()
    first = dict(deployed.files.site)
    deployed.tree.release("acme/slack", "1.1.0")
    deployed.publish(10)
    deployed.files.deploy(deployed.folder)
    live_now = json.loads(deployed.files.site[TIMESTAMP])["signed"]["version"]
    assert live_now == json.loads(first[TIMESTAMP])["signed"]["version"] + 1
    shutil.rmtree(deployed.folder)
    shutil.copytree(tmp_path / "slower", deployed.folder)
    with pytest.raises(NotDeployableError, match="snapshot from 2 to 1"):
        check_deployment(deployed.publisher(13))


def test_a_stale_answer_of_the_cdn_is_not_built_upon(deployed: Live) -> None:
    before = dict(deployed.files.site)
    deployed.tree.release("acme/slack", "1.1.0")
    deployed.publish(1)
    deployed.deploy(1)
    deployed.files.stale[TIMESTAMP] = before[TIMESTAMP]
    deployed.tree.release("acme/slack", "1.2.0")
    with pytest.raises(VerificationError, match=r"timestamp\.json in") as caught:
        deployed.publish(2)
    assert "ten minutes" in (caught.value.hint or "")
    # without a memory, it shows when the new files' names turn out to be taken
    deployed.forget()
    deployed.publish(2)
    with pytest.raises(NotDeployableError, match=r"another deployment has already published metadata/2\.\w+"):
        check_deployment(deployed.publisher(2))


def test_nothing_signed_is_said_and_may_be_deployed(deployed: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert not deployed.publish().committed
    found = document(deployed.tree.root, capsys, "pages", "check")
    assert (found["changed"], found["timestamp"], found["live"]) == (False, 1, 1)
    assert call(deployed.tree.root, "pages", "deployed") == 0


def test_a_tree_that_is_too_large_or_damaged_is_not_deployed(deployed: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.tree.release("acme/slack", "1.1.0")
    deployed.publish(1)
    with monkeypatch.context() as patched:
        patched.setattr(pages_deployment, "MAX_BYTES", 1000)
        with pytest.raises(NotDeployableError, match="allows at most 1000"):
            check_deployment(deployed.publisher(1))
    (deployed.folder / "plugins/acme/slack/1.1.0/slack-1.1.0.bin").write_bytes(b"another")
    with pytest.raises(NotDeployableError, match=r"slack-1\.1\.0\.bin"):
        check_deployment(deployed.publisher(1))


def test_a_tree_without_its_pages_is_not_deployed(deployed: Live) -> None:
    deployed.tree.release("acme/slack", "1.1.0")
    shutil.rmtree(deployed.folder)
    publish_realm(replace(deployed.publisher(1), site=False))
    with pytest.raises(NotDeployableError, match="pages of the browse site are missing"):
        check_deployment(deployed.publisher(1))
    (deployed.tree.root / "plugins/acme/mail/plugin.json").write_text("{", encoding="utf-8")
    with pytest.raises(SealdexError, match="has errors"):
        deployed.publish(1)


def test_a_folder_with_another_state_is_left_alone(deployed: Live) -> None:
    deployed.tree.release("acme/slack", "1.1.0")
    publish_realm(deployed.publisher(1))
    deployed.tree.release("acme/slack", "1.2.0")
    with pytest.raises(UsageError, match="another state"):
        publish_realm(deployed.publisher(2))


def test_single_plugins_are_not_published_and_a_dry_run_writes_nothing(deployed: Live) -> None:
    with pytest.raises(UsageError, match="replaces everything"):
        publish_realm(deployed.publisher(), only=list(deployed.tree.load().plugins)[:1])
    deployed.tree.release("acme/slack", "1.1.0")
    shutil.rmtree(deployed.folder)
    assert not publish_realm(deployed.publisher(1), dry_run=True).plan.is_empty
    assert not deployed.folder.exists()


def test_status_reads_what_is_live(deployed: Live, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(deployed.folder)
    found = document(deployed.tree.root, capsys, "status")["realms"][0]
    assert (found["published"], found["storage"]) == (True, deployed.server.url)


def test_registry_toml_needs_the_url(tree: Tree) -> None:
    config = tree.root / "registry.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"folder:../published/public"', '"pages:published"'), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"realms\.public\.url: is missing"):
        read_config(tree.root)


def test_another_realm_is_none_on_pages(tree: Tree) -> None:
    publisher = open_publisher(tree.load(), "public", storage=FolderStorage(tree.root / "x"))
    with pytest.raises(UsageError, match="not published on GitHub Pages"):
        check_deployment(replace(publisher))


def test_after_a_theft_the_site_is_taken_down_and_begun_again(
    deployed: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`recover` compares a store, and here that is a folder: it refuses, and says what docs/publishing.md says."""
    client = tmp_path / "client"
    for day in (1, 2):
        deployed.tree.release("acme/slack", f"1.{day}.0")
        deployed.publish(day)
        deployed.deploy(day)
    assert deployed.client(client).versions("acme/slack")[0] == "1.2.0"
    before = {path: path.read_bytes() for path in deployed.folder.rglob("*") if path.is_file()}
    assert call(deployed.tree.root, "recover", "--apply") == 1
    said = capsys.readouterr().err
    assert "GitHub Pages" in said
    assert "--first-publish" in said
    assert {path: path.read_bytes() for path in deployed.folder.rglob("*") if path.is_file()} == before
    # what it says, done
    root = deployed.tree.root
    section, _ = create_key(root, read_config(root), "fresh", kind="ed25519", passphrase=None)
    register_keys(root, {"fresh": section})
    online = ("packages", "catalog", "snapshot", "timestamp")
    start_ceremony(root, "theft", Wanted(keys=dict.fromkeys(online, ("fresh",))), by="kim")
    sign_ceremony(root, "theft", Keyring(read_config(root), root), by="kim")
    finish_ceremony(root, "theft", by="kim")
    deployed.files.site.clear()
    deployed.forget()
    deployed.publish(3, first_publish=True)
    deployed.deploy(3, first_publish=True)
    assert deployed.client(client).versions("acme/slack")[0] == "1.2.0"
    assert deployed.client().versions("acme/slack")[0] == "1.2.0"
