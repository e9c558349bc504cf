"""Compiling is pure: same input, same bytes; what is published keeps its pins."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from registry_builder.compile.catalog import catalogue_row, shard_bytes, shard_rows
from registry_builder.compile.index import CompiledIndex, Ingestion, compile_index, same_manifest
from registry_builder.compile.manifest import manifest_bytes
from registry_builder.source.tree import SourcePlugin
from sealdex.model.catalog import CatalogRow, shard_of
from sealdex.model.decode import read_wire
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import FilePin, IndexDocument
from sealdex.model.plugin import Plugin, PluginStatus, StatusEvent
from sealdex.model.release import PublishedManifest, Release
from sealdex.trust.metadata_bundle import MAX_BUNDLE_BYTES, Bundle, bundle_bytes

SHA = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a", "b", "c")}
AT = "2026-11-21T12:00:00Z"


def release(version: str, *artifacts: dict[str, Any], **fields: Any) -> Release:
    return msgspec.convert({"version": version, "released_at": AT, "artifacts": artifacts, **fields}, Release)


def artifact(sha: str = "a", source: str = "plugins/acme/tool/dist/tool.zip", **fields: Any) -> dict[str, Any]:
    size = {} if source.startswith(("https:", "oci:")) else {"size": 7}
    return {"source": source, "sha256": SHA[sha], **size, **fields}


def plugin(*releases: Release, events: tuple[StatusEvent, ...] = (), **fields: Any) -> SourcePlugin:
    about = msgspec.convert({"type": "NOTIFY", "summary": "Says things", "license": "MIT", **fields}, Plugin)
    return SourcePlugin(
        id=parse_plugin_id("acme/tool"),
        folder=Path("plugins/acme/tool"),
        plugin=about,
        status=PluginStatus(events=events),
        releases={r.version: r for r in releases},
        files={r.version: f"plugins/acme/tool/releases/{r.version}.json" for r in releases},
        readme=None,
    )


def event(action: str, version: str | None = None, **fields: Any) -> StatusEvent:
    values = {"action": action, "at": AT, "by": "ann", "version": version, **fields}
    return msgspec.convert({k: v for k, v in values.items() if v is not None}, StatusEvent)


def compiled(
    source: SourcePlugin, published: IndexDocument | None = None, ingestion: Ingestion | None = None
) -> CompiledIndex:
    return compile_index(source, readme=None, published=published, ingestion=ingestion or Ingestion())


def test_the_same_source_gives_the_same_bytes_and_they_read_back() -> None:
    first = release(
        "1.0.0",
        artifact(selector={"match_labels": {"os": "linux", "arch": "amd64"}}, tags=["cuda-11.8"], bin="bin/tool"),
        dependencies={"acme/z": "^1", "acme/a": "*"},
    )
    one, two = compiled(plugin(first)), compiled(plugin(first))
    assert one.data == two.data
    assert read_wire(one.data, IndexDocument, newest_format=1, what="x") == one.document
    assert one.document.type == "notify"
    entry = one.document.releases[0]
    data = manifest_bytes(parse_plugin_id("acme/tool"), first)
    assert entry.manifest == FilePin(len(data), hashlib.sha256(data).hexdigest())
    assert b'"acme/a":"*","acme/z":"^1"' in one.data
    assert read_wire(data, PublishedManifest, newest_format=1, what="x").name == "tool"


def test_published_releases_keep_their_entries_and_only_status_is_written_anew() -> None:
    # 1.0.0 was published by a builder that ingested its artifact: no url, a known size
    old = release("1.0.0", artifact(source="https://example.com/tool.zip"))
    before = compiled(plugin(old), ingestion=Ingestion(enabled=True, sizes={SHA["a"]: 7})).document
    assert before.releases[0].artifacts[0].url is None
    new = release("1.1.0", artifact("b"))
    events = (event("yank", "1.0.0", why="broken"), event("promote", "1.1.0", channel="beta"))
    after = compiled(plugin(new, old, events=events), before)
    assert after.new == ("1.1.0",)
    assert after.changed == ()
    assert [entry.version for entry in after.document.releases] == ["1.1.0", "1.0.0"]
    newer, older = after.document.releases
    assert older.artifacts == before.releases[0].artifacts
    assert older.yanked is not None
    assert older.yanked.why == "broken"
    assert newer.channels == ("stable", "beta")


def test_a_changed_release_is_reported_with_both_pins() -> None:
    before = compiled(plugin(release("1.0.0", artifact("a")))).document
    found = compiled(plugin(release("1.0.0", artifact("b"))), before)
    (change,) = found.changed
    assert change.version == "1.0.0"
    assert change.published == before.releases[0].manifest
    assert change.source != change.published
    assert found.document.releases[0].manifest == change.published


def test_a_manifest_in_another_encoding_is_the_same_manifest() -> None:
    written = release("1.0.0", artifact(), dependencies={"acme/b": "*", "acme/a": "^1"}, caveats="none")
    data = msgspec.json.format(manifest_bytes(parse_plugin_id("acme/tool"), written), indent=1)
    other = msgspec.json.decode(data)
    other["dependencies"] = dict(reversed(other["dependencies"].items()))
    other["a_field_of_tomorrow"] = 1
    published = read_wire(msgspec.json.encode(other), PublishedManifest, newest_format=1, what="x")
    assert same_manifest(published, parse_plugin_id("acme/tool"), written)
    assert not same_manifest(published, parse_plugin_id("acme/tool"), release("1.0.0", artifact()))


def test_a_release_that_left_the_source_tree_stays_published_and_stays_yanked() -> None:
    events = (event("yank", "1.10.0"),)
    before = compiled(plugin(release("1.10.0", artifact()), release("1.9.0", artifact()), events=events)).document
    after = compiled(plugin(release("1.9.0", artifact())), before)
    assert after.kept == ("1.10.0",)
    assert [entry.version for entry in after.document.releases] == ["1.10.0", "1.9.0"]
    assert after.document.releases[0].yanked is not None
    assert after.document == before


def test_addresses_keep_their_url_unless_they_are_ingested() -> None:
    source = plugin(
        release(
            "1.0.0",
            artifact("a", "https://example.com/linux/tool.zip", selector={"match_labels": {"os": "linux"}}),
            artifact("b", "https://example.com/mac/tool.zip", selector={"match_labels": {"os": "darwin"}}),
            artifact("c", "https://example.com/manifest.json", selector={"match_labels": {"os": "windows"}}),
        )
    )
    kept = compiled(source).document.releases[0].artifacts
    assert [(a.file, a.url, a.size) for a in kept][:1] == [("tool.zip", "https://example.com/linux/tool.zip", None)]
    sizes = {SHA["a"]: 1, SHA["b"]: 2, SHA["c"]: 3}
    stored = compiled(source, ingestion=Ingestion(enabled=True, sizes=sizes)).document.releases[0].artifacts
    assert [a.url for a in stored] == [None, None, None]
    assert [a.size for a in stored] == [1, 2, 3]
    assert [a.file for a in stored] == ["tool.zip", f"{SHA['b'][:12]}-tool.zip", f"{SHA['c'][:12]}-manifest.json"]


def test_a_container_image_is_an_entry_with_its_reference() -> None:
    image = {"source": f"oci:harbor.example:5000/team/tool:1.2@sha256:{SHA['a']}", "sha256": SHA["a"]}
    (entry,) = compiled(plugin(release("1.0.0", image))).document.releases[0].artifacts
    assert (entry.format, entry.file) == ("oci", "tool")
    assert entry.url == f"harbor.example:5000/team/tool:1.2@sha256:{SHA['a']}"


def row_of(*releases: Release, events: tuple[StatusEvent, ...] = ()) -> CatalogRow:
    return catalogue_row(compiled(plugin(*releases, events=events)).document)


def test_latest_is_the_newest_stable_release_that_is_not_yanked() -> None:
    beta = release("2.0.0-rc.1", artifact(), channel="beta")
    stable = release("1.1.0", artifact())
    old = release("1.0.0", artifact())
    assert row_of(beta, stable, old).latest == "1.1.0"
    assert row_of(beta, stable, old).channels == {"beta": "2.0.0-rc.1", "stable": "1.1.0"}
    assert row_of(beta, stable, old, events=(event("yank", "1.1.0"),)).latest == "1.0.0"
    yanked = (event("yank", "1.1.0"), event("yank", "1.0.0"))
    assert row_of(beta, stable, old, events=yanked).latest == "2.0.0-rc.1"
    assert row_of(stable, events=(event("yank", "1.1.0"),)).latest is None
    assert row_of(beta, stable, old).releases == 3


def test_a_pre_release_that_is_stable_is_not_the_latest_while_there_is_another() -> None:
    early = release("2.0.0-rc.1", artifact())
    final = release("1.0.0", artifact(selector={"match_labels": {"os": "linux"}}))
    row = row_of(early, final)
    # the row's facts are those of the release that it names
    assert (row.latest, row.labels) == ("1.0.0", {"os": ("linux",)})
    assert row.channels == {"stable": "2.0.0-rc.1"}
    assert row_of(early, final, events=(event("yank", "1.0.0"),)).latest == "2.0.0-rc.1"


def test_labels_are_what_every_artifact_limits() -> None:
    def on(**labels: str) -> dict[str, Any]:
        return {"match_labels": labels}

    in_arch = {"match_expressions": [{"key": "arch", "operator": "In", "values": ["amd64", "arm64"]}]}
    each = (
        artifact(selector={**on(os="linux"), **in_arch}),
        artifact(selector=on(os="darwin", arch="arm64")),
    )
    assert row_of(release("1.0.0", *each)).labels == {"os": ("darwin", "linux"), "arch": ("amd64", "arm64")}
    # one artifact that leaves the arch open makes it open
    assert row_of(release("1.0.0", *each, artifact(selector=on(os="windows")))).labels == {
        "os": ("darwin", "linux", "windows")
    }
    # the release's own selector limits all of them
    assert row_of(release("1.0.0", *each, selector=on(os="linux", site="lab"))).labels["site"] == ("lab",)
    excluded = {"match_expressions": [{"key": "os", "operator": "NotIn", "values": ["linux"]}]}
    assert row_of(release("1.0.0", artifact(selector=excluded))).labels == {}
    assert row_of(release("1.0.0", artifact())).labels == {}


def test_tags_deprecation_and_time_are_in_the_row() -> None:
    made = release("1.0.0", artifact(tags=["cuda-12"]), artifact("b", tags=["cuda-11.8"]), tags=["jetpack-5"])
    row = row_of(made, events=(event("deprecate", why="old", use="acme/new"),))
    assert row.tags == ("cuda-11.8", "cuda-12", "jetpack-5")
    assert (row.deprecated, row.use, row.updated_at) == ("old", "acme/new", AT)


@pytest.mark.parametrize("shards", [4, 16])
def test_every_row_is_in_its_shard_and_empty_shards_exist(shards: int) -> None:
    rows = [CatalogRow("acme", f"plugin-{n}", "notify", "x") for n in range(40)]
    sorted_in = shard_rows(rows, shards)
    assert len(sorted_in) == shards
    assert sum(map(len, sorted_in.values())) == 40
    for number, found in sorted_in.items():
        assert all(shard_of(row.id, shards) == number for row in found)
    assert shard_bytes(0, shards, rows) == shard_bytes(0, shards, reversed(rows))


def test_the_bundle_is_reproducible_and_read_by_exact_name() -> None:
    files = {"7.snapshot.json": b"{}" * 100, "1.targets.json": b"[]"}
    data = bundle_bytes(files, {1: b"one", 2: b"two"})
    assert data == bundle_bytes(files, {1: b"one", 2: b"two"})
    bundle = Bundle(data)
    assert bundle.member("7.snapshot.json", 1000) == files["7.snapshot.json"]
    assert bundle.member("2.root.json", 1000) == b"two"
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None


def test_old_roots_are_left_out_where_they_would_not_fit() -> None:
    from random import Random  # noqa: PLC0415  # bytes that don't compress, the same each run

    noise = Random(1)  # noqa: S311  # no secret
    roots = {n: noise.randbytes(200_000) for n in range(1, 21)}
    data = bundle_bytes({"1.snapshot.json": b"{}"}, roots)
    assert len(data) <= MAX_BUNDLE_BYTES
    assert Bundle(data).member("20.root.json", 300_000) == roots[20]
    assert Bundle(data).member("1.root.json", 300_000) is None
