"""``api/v1/``: plain JSON at stable addresses, as its description says, and never other than what is signed."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.builder_cli import document
from support.site_pages import Publish
from support.source_trees import Tree, ids
from support.static_api import ROOT, Documents

from registry_builder.maintenance import audit, gc
from registry_builder.publication.publish import Publisher, PublishResult, open_publisher, publish_realm
from registry_builder.site.held_files import ALL
from registry_builder.site.static_api._plugin_documents import plugin_document
from registry_builder.site.static_api._registry_documents import list_documents
from registry_builder.site.static_api.keys import expected, plugin_key, release_key
from registry_builder.storage import Storage, open_storage
from sealdex.model.catalog import CatalogRow, shard_of
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import IndexDocument

EVENT = {"at": "2026-11-22T12:00:00Z", "by": "ann", "why": "It leaks"}
OTHER = PluginId("b", "c")
ADDRESS = "https://plugins.example/"


def switch(tree: Tree, *, on: bool, url: bool = False) -> None:
    said = tree.root / "registry.toml"
    text = said.read_text().replace("[api]\nenabled = true\n", "").replace("[api]\nenabled = false\n", "")
    if url:
        text = text.replace("[realms.public]\n", f'[realms.public]\nurl = "{ADDRESS}"\n')
    said.write_text(f"{text}[api]\nenabled = {'true' if on else 'false'}\n")


def answers(site: Path) -> dict[str, bytes]:
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in sorted((site / ROOT).rglob("*"))
        if path.is_file()
    }


def later(tree: Tree, days: int) -> Publisher:
    """Open the realm as gc does, so much later than the files of this test were written."""
    now = datetime.now(timezone.utc) + timedelta(days=days)
    return open_publisher(tree.load(), "public", clock=lambda: now, allow_expired=True, use_memory=False)


@pytest.fixture
def run(tree: Tree) -> Publish:
    """Publish the tree by the clock of this machine, as the commands do: all of it, or the plugins that are named."""

    def run(*only: str, storage: Storage | None = None) -> PublishResult:
        publisher = open_publisher(tree.load(*only), "public", storage=storage, use_memory=False)
        return publish_realm(publisher, only=ids(*only) or None)

    return run


@pytest.fixture
def answering(tree: Tree) -> Tree:
    switch(tree, on=True)
    return tree


def test_without_the_switch_there_are_none(tree: Tree, run: Publish, site: Path) -> None:
    run()
    assert not (site / "api").exists()


def test_every_document_is_as_the_description_says(answering: Tree, run: Publish, site: Path) -> None:
    answering.status("team/mail", {"action": "deprecate", "use": "acme/slack", **EVENT})
    answering.release("acme/slack", "1.1.0-rc.1+x", channel="beta", selector={"match_labels": {"os": "linux"}})
    answering.status("acme/slack", {"action": "yank", "version": "1.0.0", **EVENT})
    assert run().warnings == []
    documents = Documents(site)
    for key in set(documents.keys()) - {f"{ROOT}openapi.json"}:
        documents.read(key)
    listed = documents.read(f"{ROOT}plugins/index.json")
    assert {row["id"]: (row["type"], row.get("latest")) for row in listed["plugins"]} == {
        "acme/base": ("notify", "1.0.0"),
        "acme/slack": ("notify", "1.1.0-rc.1+x"),
        "team/mail": ("service", "0.1.0"),
    }
    changes = documents.read(f"{ROOT}changes.json")
    assert [(each["kind"], each["id"], each.get("version")) for each in changes["changes"]] == [
        ("deprecated", "team/mail", None),
        ("yanked", "acme/slack", "1.0.0"),
        ("released", "team/mail", "0.1.0"),
        ("released", "acme/slack", "1.1.0-rc.1+x"),
        ("released", "acme/base", "1.0.0"),
    ]
    assert changes["complete_since"] is None


@pytest.mark.parametrize("url", [False, True])
def test_every_address_leads_to_the_bytes_that_are_signed(
    answering: Tree, run: Publish, site: Path, *, url: bool
) -> None:
    switch(answering, on=True, url=url)
    answering.release("acme/slack", "1.1.0+local", dependencies={"acme/base": "^1.0"})
    run()
    documents = Documents(site)
    listed = f"{ROOT}plugins/index.json"
    for shard in documents.read(listed)["signed"]:
        catalog = documents.file(listed, shard["address"])
        assert hashlib.sha256(catalog.read_bytes()).hexdigest() == shard["sha256"]
        assert catalog.name.endswith(shard["target"].removeprefix("catalog/"))
    for row in documents.read(listed)["plugins"]:
        key = documents.file(listed, row["details"]).relative_to(site).as_posix()
        plugin = documents.read(key)
        index = documents.file(key, plugin["signed"]["address"]).read_bytes()
        assert hashlib.sha256(index).hexdigest() == plugin["signed"]["sha256"]
        pinned = {release["version"]: release for release in json.loads(index)["releases"]}
        assert plugin["versions"] == list(pinned)
        for release in plugin["releases"]:
            signed_release = pinned[release["version"]]
            [artifact], [pin] = release["artifacts"], signed_release["artifacts"]
            data = documents.file(key, artifact["address"]).read_bytes()
            assert (artifact["size"], artifact["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
            assert artifact["sha256"] == pin["sha256"]
            own_key = documents.file(key, release["details"]).relative_to(site).as_posix()
            own = documents.read(own_key)
            assert documents.file(own_key, own["download_url"]).read_bytes() == data
            assert (own["checksum"], own["size"]) == (pin["sha256"], pin["size"])
            manifest = documents.file(own_key, own["manifest"]["address"]).read_bytes()
            assert hashlib.sha256(manifest).hexdigest() == signed_release["manifest"]["sha256"]


def test_a_release_costs_four_documents_more(answering: Tree, run: Publish, site: Path) -> None:
    run()
    answering.release("acme/slack", "1.1.0", dependencies={"acme/base": "^1.0"}, released_at="2026-11-22T12:00:00Z")
    result = run()
    assert sorted(key for key in result.pages if key.startswith("api/")) == [
        "api/v1/changes.json",
        "api/v1/plugins/acme/slack/index.json",
        "api/v1/plugins/acme/slack/releases/1.1.0.json",
        "api/v1/plugins/index.json",
    ]
    assert result.requests["PUT"] == 9 + 8 + 4
    assert run().requests["PUT"] == 0


def test_a_yank_of_the_newest_is_told_in_every_document(answering: Tree, run: Publish, site: Path) -> None:
    answering.release("acme/slack", "1.1.0", released_at="2026-11-22T12:00:00Z")
    run()
    answering.status(
        "acme/slack", {"action": "yank", "version": "1.1.0", "at": "2026-11-23T12:00:00Z", "by": "ann", "why": "坏了"}
    )
    assert sorted(key for key in run().pages if key.startswith("api/")) == [
        "api/v1/changes.json",
        "api/v1/plugins/acme/slack/index.json",
        "api/v1/plugins/acme/slack/releases/1.1.0.json",
        "api/v1/plugins/index.json",
    ]
    documents = Documents(site)
    listed = {row["id"]: row for row in documents.read(f"{ROOT}plugins/index.json")["plugins"]}
    details = documents.read(f"{ROOT}plugins/acme/slack/index.json")
    own = documents.read(f"{ROOT}plugins/acme/slack/releases/1.1.0.json")
    assert listed["acme/slack"]["latest"] == details["latest"] == "1.0.0"
    assert [each.get("yanked", {}).get("why") for each in details["releases"]] == ["坏了", None]
    assert own["yanked"]["why"] == "坏了"
    newest = documents.read(f"{ROOT}changes.json")["changes"][0]
    assert (newest["kind"], newest["id"], newest["version"]) == ("yanked", "acme/slack", "1.1.0")


def test_a_plugin_that_left_the_source_tree_is_still_published_and_told(
    answering: Tree, run: Publish, site: Path
) -> None:
    run()
    before = answers(site)
    shutil.rmtree(answering.root / "plugins/team/mail")
    run()
    assert answers(site) == before
    answering.release("acme/slack", "1.1.0", released_at="2026-11-22T12:00:00Z")
    run()
    assert "team/mail" in [row["id"] for row in Documents(site).read(f"{ROOT}plugins/index.json")["plugins"]]


def test_the_counts_on_s3(answering: Tree, run: Publish, s3_uri: str, tmp_path: Path) -> None:
    """The nine of a release, eight pages, two that prove that the store looks at conditions, and four of api/."""

    def storage() -> Storage:
        return open_storage(s3_uri, base=tmp_path)

    run(storage=storage())
    answering.release("acme/slack", "1.1.0", dependencies={"acme/base": "^1.0"}, released_at="2026-11-22T12:00:00Z")
    assert run(storage=storage()).requests["PUT"] == 9 + 8 + 2 + 4
    answering.release("acme/slack", "1.2.0", dependencies={"acme/base": "^1.0"}, released_at="2026-11-23T12:00:00Z")
    only = run("acme/slack", storage=storage())
    assert only.requests["PUT"] == 12 + 2
    assert not [key for key in only.pages if key.startswith("api/")]
    caught_up = run(storage=storage())
    assert not caught_up.committed
    assert len([key for key in caught_up.pages if key.startswith("api/")]) == 4


def test_what_was_published_by_name_is_caught_up_with(
    answering: Tree, run: Publish, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    answering.release("acme/slack", "1.1.0", released_at="2026-11-22T12:00:00Z")
    answering.plugin("new/thing")
    answering.release("new/thing", "1.0.0")
    for plugin in ("acme/slack", "new/thing"):
        assert not [key for key in run(plugin).pages if key.startswith("api/")]
    assert b"1.1.0" not in (site / f"{ROOT}plugins/acme/slack/index.json").read_bytes()
    said = document(answering.root, capsys, "status", code=0)
    assert said["realms"][0]["api"] is False
    run()
    assert document(answering.root, capsys, "status", code=0)["realms"][0]["api"] is True
    there = answers(site)
    elsewhere = tmp_path / "elsewhere"
    run(storage=open_storage("folder:elsewhere", base=tmp_path))
    assert there == answers(elsewhere)  # deterministic: not how it came about but what is signed decides


def test_switched_off_they_say_so_at_once_and_gc_removes_them(
    answering: Tree, run: Publish, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    documents = Documents(site)
    keys = documents.keys()
    switch(answering, on=False)
    run()
    for key in set(keys) - {f"{ROOT}openapi.json"}:
        assert "switched off" in documents.read(key)["gone"]
    assert "switched off" in documents.plain(f"{ROOT}openapi.json")["gone"]
    assert run().requests["PUT"] == 0
    said = document(answering.root, capsys, "verify-published", code=0)["realms"][0]
    assert (said["answers"], said["left_answers"], said["problems"]) == (len(keys), keys, [])
    for days in (0, 8):  # marked by one run, removed by another
        publisher = later(answering, days)
        gc.apply_gc(publisher, gc.plan_gc(publisher, days=0, grace=7))
    assert not answers(site)
    switch(answering, on=True)
    run()
    assert sorted(answers(site)) == keys


def test_switched_off_where_the_record_is_gone_they_are_looked_for(answering: Tree, run: Publish, site: Path) -> None:
    # Attack: who can write to the store removes the record, so that documents that nobody updates stay.
    run()
    (site / "search/catalogue.json").unlink()
    switch(answering, on=False)
    run()
    assert b'"gone"' in (site / f"{ROOT}plugins/acme/slack/index.json").read_bytes()


def test_gc_keeps_what_is_signed_and_finds_what_is_not(answering: Tree, run: Publish, site: Path) -> None:
    run()
    left = site / f"{ROOT}plugins/acme/other/index.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    publisher = later(answering, 0)
    plan = gc.plan_gc(publisher, days=30, grace=7)
    assert [each.key for each in (*plan.marked, *plan.removable)] == [f"{ROOT}plugins/acme/other/index.json"]
    assert audit.audit_realm(publisher).left_answers == (f"{ROOT}plugins/acme/other/index.json",)


def test_a_document_that_somebody_changed_is_named(
    answering: Tree, run: Publish, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Attack: who can write to the bucket has api/ name another file and its digest.
    run()
    said = document(answering.root, capsys, "verify-published", code=0)["realms"][0]
    assert (said["other_answers"], said["left_answers"]) == ([], [])
    key = f"{ROOT}plugins/acme/slack/releases/1.0.0.json"
    changed = json.loads((site / key).read_bytes())
    (site / key).write_text(json.dumps({**changed, "download_url": "https://evil.example/x", "checksum": "0" * 64}))
    (site / f"{ROOT}changes.json").unlink()
    said = document(answering.root, capsys, "verify-published", code=0)["realms"][0]
    assert (said["other_answers"], said["problems"]) == ([key, f"{ROOT}changes.json"], [])


def test_of_a_large_registry_only_the_part_is_written(answering: Tree) -> None:
    rows = {
        plugin: CatalogRow(plugin.namespace, plugin.name, "build", "s", latest="1.0.0")
        for plugin in (PluginId("acme", f"plugin-{number:04}") for number in range(400))
    }
    whole = list(list_documents(rows, {}, None, shards=16, whole=False, url=None))
    assert len(whole) == 17
    plugin = PluginId("acme", "plugin-0123")
    some = list(list_documents(rows, {}, {plugin}, shards=16, whole=False, url=None))
    assert [page.key for page in some] == [f"{ROOT}shards/{shard_of(plugin, 16):03x}.json", f"{ROOT}plugins/index.json"]
    assert some[-1] == whole[-1]  # says nothing that a release changes: no PUT for it
    parts = [json.loads(page.data) for page in whole[:-1]]
    assert sorted(row["id"] for part in parts for row in part["plugins"]) == list(map(str, rows))
    assert json.loads(whole[-1].data)["shards"][1] == "../../../api/v1/shards/001.json"


@pytest.mark.parametrize("name", ["index.json/x", "acme/index.json", "acme/releases"])
def test_no_plugin_stands_in_the_place_of_another_document(name: str) -> None:
    plugin = parse_plugin_id(name)
    keys = [f"{ROOT}plugins/index.json", plugin_key(plugin), release_key(plugin, "1.0.0"), plugin_key(OTHER)]
    assert not [(a, b) for a in keys for b in keys if b.startswith(f"{a}/")]
    page = plugin_document(
        IndexDocument(1, plugin.namespace, plugin.name, "build", "s", ()), "0" * 64, url=None, held=ALL
    )
    assert page.key == plugin_key(plugin)
    assert set(expected([f"plugins/{name}/1.0.0/manifest.json"])) == {plugin_key(plugin), release_key(plugin, "1.0.0")}
