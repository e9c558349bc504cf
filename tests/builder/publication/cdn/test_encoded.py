"""A registry whose documents and pages lie gzipped on S3, read through a cache by clients of other people and ours."""

from __future__ import annotations

import gzip
import json
import urllib.request
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from tuf.ngclient import Updater

from registry_builder.baseline.documents import TamperedError
from registry_builder.maintenance.audit import audit_realm
from registry_builder.publication.context import Publisher
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.storage import Body, headers_for, open_storage
from registry_builder.storage.listing import inventory_of
from registry_builder.storage.s3 import S3Storage
from sealdex.errors import VerificationError
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import index_target
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, all_rows

SLACK = parse_plugin_id("acme/slack")


@pytest.fixture
def encoded_uri(s3_uri: str) -> str:
    return f"{s3_uri}&encode=gzip"


@pytest.fixture
def tree(tree: Tree) -> Tree:
    for number in range(6):  # enough for the index document to be worth encoding
        tree.release("acme/slack", f"1.{number}.0")
    return tree


def opened(tree: Tree, uri: str, *, site: bool = False) -> Publisher:
    return open_publisher(tree.load(), "public", storage=open_storage(uri, base=tree.root), site=site)


def run(tree: Tree, uri: str, *, site: bool = False) -> PublishResult:
    return publish_realm(opened(tree, uri, site=site))


def encodings(tree: Tree, uri: str) -> dict[str, str | None]:
    storage = open_storage(uri, base=tree.root)
    assert isinstance(storage, S3Storage)
    client, bucket, prefix = storage.raw()
    return {
        listed.key: client.head_object(Bucket=bucket, Key=prefix + listed.key).get("ContentEncoding")
        for listed in inventory_of(storage).listed()
    }


def test_what_is_published_encoded_is_read_by_every_client_through_a_cache(
    tree: Tree, encoded_uri: str, cdn: str, tmp_path: Path
) -> None:
    run(tree, encoded_uri, site=True)
    found = encodings(tree, encoded_uri)
    (index,) = [key for key in found if key.endswith(".slack.json")]
    assert {found[index], found["index.html"], found["acme/slack/index.html"]} == {"gzip"}
    assert {value for key, value in found.items() if key.startswith(("metadata/", "plugins/"))} == {None}
    root = (tree.root / "trust/public/1.root.json").read_bytes()
    for visit in range(2):  # from the store, then from the cache
        with Transport() as transport:
            registry = TrustedRegistry("acme", f"{cdn}/", root, tmp_path / f"ours-{visit}", transport)
            ours = registry.index(SLACK)
            assert ours is not None
            assert len(ours.releases) == 6
            assert any(row.id == SLACK for row in all_rows(registry))
        stock = stock_client(cdn, root, tmp_path / f"stock-{visit}")
        info = stock.get_targetinfo(index_target(SLACK))
        assert info is not None
        assert len(json.loads(Path(stock.download_target(info)).read_bytes())["releases"]) == 6
    with urllib.request.urlopen(f"{cdn}/{index}") as answer:  # which asks for no encoding, and S3 doesn't look
        assert (answer.headers["X-Cache"], answer.headers["Content-Encoding"]) == ("HIT", "gzip")
        assert json.loads(gzip.decompress(answer.read()))["name"] == "slack"


def stock_client(cdn: str, root: bytes, folder: Path) -> Updater:
    (folder / "targets").mkdir(parents=True)
    return Updater(
        str(folder / "metadata"),
        f"{cdn}/metadata",
        target_dir=str(folder / "targets"),
        target_base_url=f"{cdn}/targets",
        bootstrap=root,
    )


def test_the_builder_goes_on_from_what_it_encoded(tree: Tree, encoded_uri: str, s3_uri: str) -> None:
    run(tree, encoded_uri, site=True)
    assert not run(tree, encoded_uri, site=True).files
    tree.release("acme/slack", "2.0.0")
    foreseen = publish_realm(opened(tree, encoded_uri, site=True), dry_run=True)
    done = run(tree, encoded_uri, site=True)
    assert [file.key for file in done.files] == [file.key for file in foreseen.files]
    assert done.committed
    found = audit_realm(opened(tree, encoded_uri), artifacts=True)
    assert found.problems == ()
    # without the option what lies there is read all the same, and what comes is plain
    tree.release("acme/slack", "2.1.0")
    assert run(tree, s3_uri).committed
    assert not run(tree, encoded_uri).files
    assert audit_realm(opened(tree, encoded_uri), artifacts=True).problems == ()


def test_a_document_encoded_to_other_bytes_stops_the_publish_and_every_client(
    tree: Tree, encoded_uri: str, cdn: str, tmp_path: Path
) -> None:
    """Attack: whoever can write to the bucket puts another document, or a bomb, packed, in the place of the signed."""
    run(tree, encoded_uri)
    (index,) = [key for key in encodings(tree, encoded_uri) if key.endswith(".slack.json")]
    root = (tree.root / "trust/public/1.root.json").read_bytes()
    storage = open_storage(encoded_uri, base=tree.root)
    original = storage.get(index, max_bytes=1 << 20).data
    tree.release("acme/slack", "2.0.0")
    for number, data in enumerate((original.replace(b"1.3.0", b"6.6.6"), bytes(8 << 20))):
        storage.put_mutable(index, Body.of_bytes(data, headers_for(index)))
        assert encodings(tree, encoded_uri)[index] == "gzip"
        with pytest.raises(TamperedError) as caught:
            run(tree, encoded_uri)
        assert caught.value.key == index
        assert index in dict(audit_realm(opened(tree, encoded_uri)).problems)
        if number:
            break  # the cache has the first by now
        with Transport() as transport:
            registry = TrustedRegistry("acme", f"{cdn}/", root, tmp_path / "ours", transport)
            with pytest.raises(VerificationError):
                registry.index(SLACK)


def test_it_is_configured_in_the_storage_address(
    tree: Tree, encoded_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tree.root / "registry.toml"
    config.write_text(config.read_text().replace("folder:../published/public", encoded_uri))
    assert call(tree.root, "publish", "--no-site") == 0
    assert "gzip" in encodings(tree, encoded_uri).values()
    assert document(tree.root, capsys, "verify-published", "--artifacts")["verified"]
    assert document(tree.root, capsys, "gc")["realms"][0]["removable"] == []
