"""Shards by name in what is published: signed by ``catalog``, few of them changed, none by a publish of one plugin."""

from __future__ import annotations

import json

import pytest
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.compile import catalog_names
from registry_builder.maintenance.audit import audit_realm
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.storage.folder import FolderStorage
from sealdex.model.catalog import names_first


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_names, "MANY", 1)
    monkeypatch.setattr(catalog_names, "ENTRIES", 1)


def run(tree: Tree, *only: str) -> PublishResult:
    return publish_realm(open_publisher(tree.load(*only), "public"))


def targets(tree: Tree) -> dict[str, str]:
    """What ``catalog`` signs: target to digest."""
    folder = tree.root.parent / "published/public/metadata"
    newest = max(folder.glob("*.catalog.json"), key=lambda path: int(path.name.partition(".")[0]))
    signed = json.loads(newest.read_bytes())["signed"]["targets"]
    return {target: file["hashes"]["sha256"] for target, file in signed.items()}


def searched(tree: Tree) -> dict[str, str]:
    file = json.loads((tree.root.parent / "published/public/search/catalogue.json").read_bytes())
    return file.get("names", {})  # type: ignore[no-any-return]


def test_a_release_changes_two_targets_of_the_catalog_and_by_name_one(tree: Tree) -> None:
    run(tree)
    first = targets(tree)
    assert {names_first(target) for target in first} - {None} == {"0", "s"}
    tree.release("acme/slack", "1.1.0")
    run(tree)
    second = targets(tree)
    changed = {target for target in second if second[target] != first.get(target)}
    assert len(changed) == 2
    assert "catalog/names-s.json" in changed
    assert second.keys() == first.keys()
    assert searched(tree)["s"].endswith(f"{second['catalog/names-s.json']}.names-s.json")

    tree.release("acme/slack", "1.2.0")
    assert run(tree, "acme/slack").requests["PUT"] == 12
    third = targets(tree)
    assert {names_first(target) for target in third if third[target] != second[target]} == {None}
    run(tree)  # of all: names and pages catch up
    assert targets(tree)["catalog/names-s.json"] != second["catalog/names-s.json"]
    assert not run(tree).committed


def test_they_are_kept_when_plugins_are_fewer_and_audited(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tree)
    monkeypatch.setattr(catalog_names, "MANY", 100)
    tree.release("acme/slack", "1.1.0")
    run(tree)
    assert searched(tree).keys() == {"0", "s"}
    assert audit_realm(open_publisher(tree.load(), "public")).problems == ()
    path = next((tree.root.parent / "published/public/targets/catalog").glob("*.names-s.json"))
    kept = targets(tree)["catalog/names-s.json"]
    path = path.with_name(f"{kept}.names-s.json")
    path.write_bytes(path.read_bytes().replace(b"slack", b"snack"))
    found = audit_realm(open_publisher(tree.load(), "public")).problems
    assert [key for key, _ in found] == [f"targets/catalog/{kept}.names-s.json"]


def test_a_stock_client_reads_the_rows_beside_them(tree: Tree) -> None:
    run(tree)
    place = FolderStorage(tree.root.parent / "published/public")
    client = StockClient(place, (tree.root / "trust/public/1.root.json").read_bytes())
    assert client.catalog() == {"acme/slack": "1.0.0", "acme/mail": "0.1.0"}
