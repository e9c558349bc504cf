"""Publishing: what lands, how little is written, what is refused, and that realms are apart."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from support.fault_server import FaultServer
from support.source_trees import Tree, ids
from support.stock_client import StockClient

from registry_builder.publication.checks import InvalidReleasesError
from registry_builder.publication.context import Publisher
from registry_builder.publication.publish import PublishResult, ReleaseChangedError, open_publisher, publish_realm
from registry_builder.signing.key_registration import create_key
from registry_builder.signing.metadata import bin_name, bin_names
from registry_builder.source.config import read_config
from registry_builder.source.realms import check_realm
from registry_builder.storage import Storage, open_storage
from registry_builder.storage.folder import FolderStorage
from registry_builder.storage.protocol import FileChangedError
from sealdex.errors import ConfigError, NotFoundError, SealdexError
from sealdex.model.decode import read_wire
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.model.release import PublishedManifest
from sealdex.trust.metadata_bundle import Bundle


def publisher_of(
    tree: Tree, *only: str, realm: str = "public", storage: Storage | None = None, min_bits: int = 0
) -> Publisher:
    return open_publisher(tree.load(*only), realm, storage=storage, min_bits=min_bits)


def run(
    tree: Tree, *only: str, realm: str = "public", storage: Storage | None = None, min_bits: int = 0
) -> PublishResult:
    return publish_realm(publisher_of(tree, *only, realm=realm, storage=storage, min_bits=min_bits))


def client(tree: Tree, realm: str = "public", storage: Storage | None = None) -> StockClient:
    place = storage or FolderStorage(tree.root.parent / "published" / realm)
    return StockClient(place, (tree.root / "trust" / realm / "1.root.json").read_bytes())


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".sealdex-tmp" not in path.parts
    }


def test_a_memory_that_cannot_be_written_does_not_undo_a_publish(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk or in a home that is read-only: it is past the commit point."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    result = run(tree)
    assert (result.committed, bool(result.pages)) == (True, True)
    (warning,) = result.warnings
    assert "set XDG_STATE_HOME" in warning
    assert run(tree).warnings == [warning]


def test_a_stock_client_reads_what_was_published(tree: Tree) -> None:
    result = run(tree)
    assert result.committed
    assert result.warnings == []
    document = client(tree).index("acme/slack")
    assert document is not None
    (entry,) = document.releases
    published = tree.root.parent / "published" / "public"
    folder = published / "plugins/acme/slack/1.0.0"
    manifest = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == entry.manifest.sha256
    assert read_wire(manifest, PublishedManifest, newest_format=1, what="x").namespace == "acme"
    artifact = (folder / entry.artifacts[0].file).read_bytes()
    assert hashlib.sha256(artifact).hexdigest() == entry.artifacts[0].sha256
    assert document.readme is not None
    assert (published / f"plugins/acme/slack/readme/{document.readme.sha256}.md").read_bytes() == b"# Slack\n"
    assert client(tree).catalog() == {"acme/slack": "1.0.0", "acme/mail": "0.1.0"}
    assert client(tree).index("acme/nothing") is None


def test_the_bundle_repeats_the_current_metadata_under_exact_names(tree: Tree) -> None:
    run(tree)
    tree.release("acme/slack", "1.1.0")
    run(tree)
    metadata = tree.root.parent / "published/public/metadata"
    bundle = Bundle((metadata / "recent.bundle").read_bytes())
    for name in ("1.root.json", "2.snapshot.json", "1.targets.json", "1.packages.json"):
        assert bundle.member(name, 100_000) == (metadata / name).read_bytes()
    assert bundle.member("1.snapshot.json", 100_000) is None


def test_publishing_again_writes_nothing(tree: Tree) -> None:
    run(tree)
    before = files(tree.root.parent / "published")
    result = run(tree)
    assert not result.committed
    assert result.plan.is_empty
    assert result.requests["PUT"] == 0
    assert result.bytes_put == 0
    assert files(tree.root.parent / "published") == before


def test_a_dry_run_says_what_publish_writes_and_writes_nothing(tree: Tree) -> None:
    planned = publish_realm(publisher_of(tree), dry_run=True)
    assert planned.requests["PUT"] == 0
    assert not (tree.root.parent / "published").exists()
    done = run(tree)
    assert [(k, [u.key for u in us]) for k, us in planned.plan.uploads] == [
        (k, [u.key for u in us]) for k, us in done.plan.uploads
    ]
    written = files(tree.root.parent / "published/public")
    assert {u.key for _, us in planned.plan.uploads for u in us} <= set(written)
    # every file is accounted for: those of the plan, each signed role, the offline roles, bundle, pages and assets
    named = sum(len(us) for _, us in planned.plan.uploads) + len(planned.plan.reasons) + len(planned.plan.roots)
    assets = sum(key.startswith("assets/") for key in written)
    assert len(written) == named + 1 + 1 + len(done.pages) + assets


@pytest.mark.parametrize("bits", [6, 8])
def test_one_release_costs_what_changed_whatever_the_number_of_bins(tree: Tree, bits: int) -> None:
    run(tree, min_bits=bits)
    tree.release("acme/slack", "1.1.0")
    result = run(tree, "acme/slack")
    # artifact, manifest, index document, shard, bin, catalog, snapshot, timestamp, bundle; the pages of plugin and
    # release, the badge with the version
    assert result.requests["PUT"] == 12
    assert result.pages == ["acme/slack/index.html", "acme/slack/version.svg", "acme/slack/1.1.0/index.html"]
    # root, next root, timestamp, snapshot, targets, packages, catalog, bin, index document, shard; for the pages what
    # they show, the index document once more, dependents
    assert result.requests["GET"] == 13
    assert result.plan.bits == bits
    assert client(tree).versions("acme/slack") == ["1.1.0", "1.0.0"]
    assert client(tree).versions("acme/mail") == ["0.1.0"]
    assert client(tree).catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.1.0"}


def test_only_leaves_the_home_page_alone_and_a_full_publish_catches_up(tree: Tree) -> None:
    run(tree)
    page = tree.root.parent / "published/public/index.html"
    before = page.read_bytes()
    tree.release("acme/slack", "1.1.0")
    assert run(tree, "acme/slack").committed
    assert page.read_bytes() == before
    assert not run(tree).committed
    assert b"1.1.0" in page.read_bytes()


def test_the_first_publish_may_be_of_one_plugin(tree: Tree) -> None:
    run(tree, "acme/slack")
    assert client(tree).catalog() == {"acme/slack": "1.0.0"}
    run(tree)
    assert client(tree).catalog() == {"acme/slack": "1.0.0", "acme/mail": "0.1.0"}


def test_more_bins_move_every_plugin_and_no_client_that_saw_fewer_is_turned_away(tree: Tree, tmp_path: Path) -> None:
    for number in range(30):
        tree.plugin(f"acme/plugin-{number}")
        tree.release(f"acme/plugin-{number}", "1.0.0")
    run(tree)
    root = (tree.root / "trust/public/1.root.json").read_bytes()
    storage = FolderStorage(tree.root.parent / "published/public")
    seen = tmp_path / "client"
    assert StockClient(storage, root, seen).versions("acme/plugin-7") == ["1.0.0"]
    for bits in (8, 10):
        result = run(tree, min_bits=bits)
        assert result.plan.bits == bits
        assert len(result.plan.bins) == 1 << bits
        again = StockClient(storage, root, seen)
        assert [again.versions(f"acme/plugin-{n}") for n in range(30)] == [["1.0.0"]] * 30
        assert len(again.catalog()) == 32
        # the rule of TUF that a snapshot drops no name: bins of 64 and of 1,024 have different ones
        snapshot = json.loads((seen / "snapshot.json").read_bytes())
        assert {f"{name}.json" for name in bin_names(6)} <= set(snapshot["signed"]["meta"])
    assert f"{bin_name(10, 0)}.json" in snapshot["signed"]["meta"]
    assert not run(tree).committed


def test_what_left_the_source_tree_stays_published_and_is_named(tree: Tree) -> None:
    tree.release("acme/slack", "1.1.0")
    run(tree)
    (tree.root / "plugins/acme/slack/releases/1.0.0.json").unlink()
    for path in sorted((tree.root / "plugins/acme/mail").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tree.root / "plugins/acme/mail").rmdir()
    tree.release("acme/slack", "1.2.0")
    result = run(tree)
    assert result.plan.carried == (PluginId("acme", "mail"),)
    assert result.plan.kept == ((PluginId("acme", "slack"), "1.0.0"),)
    assert client(tree).versions("acme/slack") == ["1.2.0", "1.1.0", "1.0.0"]
    assert client(tree).catalog() == {"acme/slack": "1.2.0", "acme/mail": "0.1.0"}
    assert b"acme/mail" in (tree.root.parent / "published/public/index.html").read_bytes()


def test_a_changed_published_release_is_refused_with_both_digests_and_nothing_written(tree: Tree) -> None:
    # Attack: who can merge to the source tree swaps the artifact of a release that is installed everywhere.
    run(tree)
    before = files(tree.root.parent / "published")
    manifest = before["public/plugins/acme/slack/1.0.0/manifest.json"]
    tree.release("acme/slack", "1.0.0", data=b"other bytes")
    with pytest.raises(ReleaseChangedError) as caught:
        run(tree)
    assert hashlib.sha256(manifest).hexdigest() in caught.value.message
    assert "acme/slack 1.0.0" in caught.value.message
    assert files(tree.root.parent / "published") == before


def test_a_manifest_that_is_only_written_differently_is_no_change(tree: Tree) -> None:
    run(tree)
    before = files(tree.root.parent / "published")
    path = tree.root / "plugins/acme/slack/releases/1.0.0.json"
    values = json.loads(path.read_bytes())
    path.write_text(json.dumps(dict(reversed(values.items())), indent=4))
    assert not run(tree).committed
    assert files(tree.root.parent / "published") == before


def test_an_index_that_another_version_of_this_program_wrote_is_accused_of_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spaced(document: object) -> bytes:
        return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=1)

    with monkeypatch.context() as other:
        other.setattr("registry_builder.compile.manifest.encode_json", spaced)
        other.setattr("registry_builder.compile.index.encode_json", spaced)
        run(tree)
    before = files(tree.root.parent / "published")
    result = run(tree)
    assert not result.committed
    assert result.plan.violations == ()
    tree.release("acme/slack", "1.1.0")
    run(tree)
    document = client(tree).index("acme/slack")
    assert document is not None
    manifest = before["public/plugins/acme/slack/1.0.0/manifest.json"]
    assert document.releases[1].manifest.sha256 == hashlib.sha256(manifest).hexdigest()


def test_an_artifact_that_changed_after_release_is_not_published(tree: Tree) -> None:
    # Attack: the artifact is swapped between release and publish; the manifest states what was released.
    path = tree.root / "plugins/acme/slack/dist/slack-1.0.0.bin"
    path.write_bytes(path.read_bytes().replace(b"slack", b"SLACK"))
    with pytest.raises(InvalidReleasesError, match="sha256"):
        run(tree)
    assert not (tree.root.parent / "published").exists()
    # and when nobody looks before: the upload itself does
    with pytest.raises(FileChangedError):
        publish_realm(open_publisher(tree.load(), "public", validate=False))
    published = files(tree.root.parent / "published")
    assert not [name for name in published if "slack-1.0.0" in name or "timestamp" in name]


def test_a_tree_with_an_unreadable_release_is_not_published_without_it(tree: Tree) -> None:
    run(tree)
    (tree.root / "plugins/acme/slack/releases/1.1.0.json").write_text("{")
    with pytest.raises(SealdexError, match="source tree has errors"):
        run(tree)


def test_status_changes_rewrite_the_index_document_and_no_release_file(tree: Tree) -> None:
    run(tree)
    tree.status(
        "acme/slack", {"action": "yank", "version": "1.0.0", "at": "2026-11-22T00:00:00Z", "by": "ann", "why": "x"}
    )
    result = run(tree)
    assert result.plan.manifests == ()
    assert result.plan.artifacts == ()
    document = client(tree).index("acme/slack")
    assert document is not None
    assert document.releases[0].yanked is not None
    assert client(tree).catalog()["acme/slack"] is None


def test_an_unknown_plugin_or_realm_is_not_found(tree: Tree) -> None:
    with pytest.raises(NotFoundError):
        publish_realm(publisher_of(tree), only=ids("acme/none"))
    with pytest.raises(NotFoundError, match="realms are public"):
        run(tree, realm="team")


def test_no_key_no_write(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "keys" / "online.pem").unlink()
    with pytest.raises(ConfigError, match="online"):
        run(tree)
    assert not (tree.root.parent / "published").exists()


# --- addresses --------------------------------------------------------------------------------------------------------


def url_release(tree: Tree, version: str, urls: dict[str, str], data: bytes) -> None:
    artifacts = [
        {
            "source": url,
            "sha256": hashlib.sha256(data).hexdigest(),
            "selector": {"match_labels": {"os": os_name}},
        }
        for os_name, url in urls.items()
    ]
    tree.plugin("acme/remote")
    path = tree.root / f"plugins/acme/remote/releases/{version}.json"
    path.write_text(json.dumps({"version": version, "artifacts": artifacts}))


def remote(tree: Tree) -> IndexDocument:
    document = client(tree).index("acme/remote")
    assert document is not None
    return document


def test_an_address_stays_an_address(tree: Tree) -> None:
    url_release(tree, "1.0.0", {"linux": "https://example.com/tool.zip"}, b"bytes")
    run(tree)
    (artifact,) = remote(tree).releases[0].artifacts
    assert (artifact.url, artifact.size) == ("https://example.com/tool.zip", None)


def test_ingested_artifacts_are_copied_pinned_with_their_size_and_fetched_once(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path / "source", registry="ingest = true")
    data = b"remote bytes"
    with FaultServer() as server:
        urls = {name: server.put(f"/{name}/tool.zip", data) for name in ("linux", "mac")}
        url_release(tree, "1.0.0", urls, data)
        result = run(tree)
        assert result.committed
        assert result.attempts == 1
    (first, second) = remote(tree).releases[0].artifacts
    assert (first.url, first.size, first.file) == (None, len(data), "tool.zip")
    assert second.file == first.file
    stored = tmp_path / "published/public/plugins/acme/remote/1.0.0/tool.zip"
    assert stored.read_bytes() == data
    assert not run(tree).committed  # the server is gone, and nobody asks for it


def test_an_address_that_serves_other_bytes_is_not_ingested(tmp_path: Path) -> None:
    # Attack: who runs the download server swaps the file.
    tree = Tree.make(tmp_path / "source", registry="ingest = true")
    with FaultServer() as server:
        url_release(tree, "1.0.0", {"linux": server.put("/tool.zip", b"evil")}, b"good")
        with pytest.raises(SealdexError) as caught:
            run(tree)
    assert caught.value.exit_code == 4
    published = tmp_path / "published"
    assert not published.exists() or not [n for n in files(published) if not n.endswith(".lock")]


# --- realms -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_realms(tmp_path: Path) -> Tree:
    tree = Tree.make(tmp_path / "source", realms=("public", "team"))
    tree.plugin("acme/open", readme="# Open\n")
    tree.release("acme/open", "1.0.0")
    tree.plugin("zebra/falcon", readme="# Falcon\n", realm="team", keywords=["peregrine"])
    tree.release("zebra/falcon", "1.0.0", dependencies={"acme/open": "*"})
    return tree


def test_private_names_are_nowhere_in_another_realms_tree(two_realms: Tree) -> None:
    # Attack: a reader of the public realm greps all of it for what the team makes.
    for realm in ("team", "public"):
        run(two_realms, realm=realm)
    public = files(two_realms.root.parent / "published/public")
    assert b"acme" in b"".join(public.values())
    for name, data in public.items():
        for secret in (b"zebra", b"falcon", b"Falcon", b"peregrine", b"team"):
            assert secret not in data, name
            assert secret not in name.encode()
    assert client(two_realms, "team").catalog() == {"zebra/falcon": "1.0.0"}
    assert client(two_realms, "public").catalog() == {"acme/open": "1.0.0"}


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("how", ["dependency", "successor"])
def test_a_public_plugin_may_not_name_a_private_one(two_realms: Tree, partial: bool, how: str) -> None:
    # Attack by accident: the name of a private plugin stands in a public manifest or status.
    two_realms.plugin("acme/leaky")
    if how == "dependency":
        two_realms.release("acme/leaky", "1.0.0", dependencies={"zebra/falcon": "*"})
    else:
        two_realms.release("acme/leaky", "1.0.0")
        deprecated = {"action": "deprecate", "at": "2026-11-22T00:00:00Z", "by": "ann", "use": "zebra/falcon"}
        two_realms.status("acme/leaky", deprecated)
    with pytest.raises(SealdexError, match="may not know"):
        run(two_realms, *(["acme/leaky"] if partial else []))
    assert not (two_realms.root.parent / "published").exists()


@pytest.mark.parametrize(
    ("public", "team", "said"),
    [
        ("folder:../published/public", "folder:../published/public/", "the same storage"),
        ("folder:../published", "folder:../published/private/team", "inside the other"),
        ("s3://plugins/all", "s3://plugins/all?encode=gzip&region=eu-central-1", "the same storage"),
        ("s3://plugins/all/team", "s3://plugins", "inside the other"),
    ],
)
def test_two_realms_in_one_storage_are_refused(two_realms: Tree, public: str, team: str, said: str) -> None:
    """Readers of the outer realm could read the inner one, its names included; nothing is written to either."""
    config = two_realms.root / "registry.toml"
    text = config.read_text()
    text = text.replace("folder:../published/public", public).replace("folder:../published/team", team)
    config.write_text(text)
    with pytest.raises(ConfigError, match=said):
        run(two_realms)
    with pytest.raises(ConfigError, match=said):
        run(two_realms, realm="team")
    assert not (two_realms.root.parent / "published").exists()


@pytest.mark.parametrize(
    ("public", "team"),
    [
        ("s3://plugins/team", "s3://plugins/team-a"),
        ("s3://plugins", "s3://plugins?endpoint_url=http://127.0.0.1:1"),
        ("folder:../a/../published", "folder:../a/published"),
    ],
)
def test_a_storage_beside_another_is_not_in_it(two_realms: Tree, public: str, team: str) -> None:
    config = two_realms.root / "registry.toml"
    text = config.read_text()
    text = text.replace("folder:../published/public", public).replace("folder:../published/team", team)
    config.write_text(text)
    check_realm(read_config(two_realms.root), "public")
    check_realm(read_config(two_realms.root), "team")


def test_one_realms_metadata_is_not_taken_for_anothers(two_realms: Tree) -> None:
    # Attack: who can write to the public bucket serves the team's metadata there, all of it validly signed.
    run(two_realms, realm="team")
    team = two_realms.root.parent / "published/team"
    team.rename(two_realms.root.parent / "published/public")
    root = (two_realms.root / "trust/public/1.root.json").read_bytes()
    (two_realms.root.parent / "published/public/metadata/1.root.json").write_bytes(root)
    before = files(two_realms.root.parent / "published")
    with pytest.raises(SealdexError) as caught:
        run(two_realms)
    assert caught.value.exit_code == 4
    assert "team" in caught.value.message
    assert files(two_realms.root.parent / "published") == before


# --- S3 ---------------------------------------------------------------------------------------------------------------


def test_the_same_on_s3(tree: Tree, s3_uri: str, tmp_path: Path) -> None:
    storage = open_storage(s3_uri, base=tmp_path)
    run(tree, storage=storage)
    tree.release("acme/slack", "1.1.0")
    result = run(tree, "acme/slack", storage=open_storage(s3_uri, base=tmp_path))
    # the same as in a folder, beside two that must be refused; before each of four pages a look whether it is there
    # already (one badge is)
    assert result.requests == {"PUT": 12 + 2, "GET": 13, "HEAD": 4}
    reader = client(tree, storage=open_storage(s3_uri, base=tmp_path))
    assert reader.versions("acme/slack") == ["1.1.0", "1.0.0"]
    assert reader.catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.1.0"}
    assert not run(tree, storage=open_storage(s3_uri, base=tmp_path)).committed


def test_a_key_that_no_role_trusts_changes_nothing(tree: Tree) -> None:
    run(tree)
    create_key(tree.root, read_config(tree.root), "spare", passphrase=None)
    assert not run(tree).committed
