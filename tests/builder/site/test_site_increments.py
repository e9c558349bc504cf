"""What a publish writes of the site: the pages that a change touches and no others, as a full build makes them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from support.site_pages import NOW, Publish
from support.source_trees import Tree

from registry_builder.publication.publish import open_publisher
from registry_builder.publication.refresh import refresh_realm
from registry_builder.site._list_pages import cut, list_pages
from registry_builder.site.urls import ListName
from registry_builder.storage import Body
from registry_builder.storage.folder import FolderStorage
from sealdex.errors import UnavailableError
from sealdex.model.catalog import CatalogRow

NOT_PAGES = ("metadata/", "targets/", "plugins/")
TIMED = {"search/catalogue.json"}  # names the snapshot, whose number depends on how often was published


def site_files(root: Path) -> dict[str, bytes]:
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {key: data for key, data in files.items() if not key.startswith((*NOT_PAGES, ".")) and key not in TIMED}


def without_empty(files: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out what says that nobody needs a plugin any more: where nobody ever did there is no such file."""
    return {key: data for key, data in files.items() if not (key.endswith("s.json") and b'"dependents":[]' in data)}


def full_build(tree: Tree, tmp_path: Path) -> dict[str, bytes]:
    """Return the site of the tree as a first publish elsewhere writes it."""
    from registry_builder.publication.publish import publish_realm  # noqa: PLC0415  # the fixture of this name is another

    place = tmp_path / f"full-{len(list(tmp_path.iterdir()))}"
    storage = FolderStorage(place)
    publish_realm(open_publisher(tree.load(), "public", storage=storage, clock=lambda: NOW, use_memory=False))
    return site_files(place)


class PagesFail(FolderStorage):
    """A storage that answers until the pages come."""

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        if key != "metadata/recent.bundle":
            raise UnavailableError("the storage went away")
        return super().put_mutable(key, body, only_if_changed=only_if_changed)


def test_one_release_writes_its_own_pages_the_feeds_and_the_home_page(tree: Tree, run: Publish, tmp_path: Path) -> None:
    run()
    tree.release("acme/slack", "1.1.0", dependencies={"acme/base": "^1.0"}, released_at="2026-11-22T12:00:00Z")
    result = run()
    assert result.warnings == []
    assert sorted(result.pages) == [
        "acme/slack/1.1.0/index.html",
        "acme/slack/feed.xml",
        "acme/slack/index.html",
        "acme/slack/version.svg",
        "feed.xml",
        "index.html",
        "namespaces/acme/feed.xml",
        "search/catalogue.json",
    ]
    # a PUT a page, beside artifact, manifest, index document, shard, bin, catalog, snapshot, timestamp, bundle
    assert result.requests["PUT"] == 9 + len(result.pages)
    assert site_files(tmp_path / "published/public") == full_build(tree, tmp_path)


def test_one_plugin_by_name_stays_within_twelve_puts(tree: Tree, run: Publish) -> None:
    run()
    tree.release("acme/slack", "1.1.0")
    result = run("acme/slack")
    assert sorted(result.pages) == [
        "acme/slack/1.1.0/index.html",
        "acme/slack/index.html",
        "acme/slack/version.svg",
    ]
    assert result.requests["PUT"] == 12


def test_a_publish_of_all_catches_up_with_publishes_of_some(
    tree: Tree, run: Publish, site: Path, tmp_path: Path
) -> None:
    run()
    tree.release("acme/slack", "1.1.0", released_at="2026-11-22T12:00:00Z")
    tree.plugin("new/thing", keywords=["chat"])
    tree.release("new/thing", "1.0.0")
    run("acme/slack")
    run("new/thing")
    assert b"1.1.0" not in (site / "feed.xml").read_bytes()
    caught_up = run()
    assert not caught_up.committed
    assert {"feed.xml", "index.html", "keywords/chat/index.html", "acme/base/index.html"} <= set(caught_up.pages)
    assert "team/mail/index.html" not in caught_up.pages
    assert without_empty(site_files(site)) == full_build(tree, tmp_path)
    assert run().requests["PUT"] == 0


def test_who_needs_a_plugin_is_kept_when_it_is_published_by_name(tree: Tree, run: Publish, site: Path) -> None:
    run()
    tree.release("acme/base", "1.1.0")
    run("acme/base")
    page = (site / "acme/base/index.html").read_text()
    assert "Needed by" in page
    assert "../../acme/slack/" in page


def test_pages_that_failed_are_written_by_the_next_publish(
    tree: Tree, run: Publish, site: Path, tmp_path: Path
) -> None:
    run()
    tree.release("acme/slack", "1.1.0")
    failed = run(storage=PagesFail(site))
    assert failed.committed
    assert failed.pages == []
    assert len(failed.warnings) == 1
    repaired = run()
    assert not repaired.committed
    assert without_empty(site_files(site)) == full_build(tree, tmp_path)
    assert "team/mail/index.html" not in repaired.pages


def test_every_kind_of_change_ends_in_what_a_full_build_makes(
    tree: Tree, run: Publish, site: Path, tmp_path: Path
) -> None:
    run()
    event = {"at": "2026-11-21T12:00:00Z", "by": "ann", "why": "It leaks"}
    tree.status("acme/slack", {"action": "yank", "version": "1.0.0", **event})
    tree.status("team/mail", {"action": "deprecate", "use": "acme/slack", **event})
    tree.plugin("acme/base", keywords=["other"], summary="Says something new", type="build")
    result = run()
    full = full_build(tree, tmp_path)
    found = site_files(site)
    # pages of lists that nobody stands in any more stay, and say so
    assert {key: found[key] for key in full} == full
    assert {*found} - {*full} <= {"keywords/core/index.html", "keywords/core/index.json", "acme/base/dependents.json"}
    assert "acme/slack/1.0.0/index.html" in result.pages  # says that it is yanked
    assert "team/mail/0.1.0/index.html" not in result.pages


def test_a_refresh_makes_nobody_write_the_whole_site(tree: Tree, run: Publish) -> None:
    run()
    later = NOW + timedelta(days=70)  # the snapshot and the bins are within their signing windows
    publisher = open_publisher(tree.load(), "public", clock=lambda: later, use_memory=False, allow_expired=True)
    refresh_realm(publisher)
    from registry_builder.publication.publish import publish_realm  # noqa: PLC0415  # the fixture of this name is another

    after = publish_realm(open_publisher(tree.load(), "public", clock=lambda: later, use_memory=False))
    assert set(after.pages) <= {"index.html", "search/catalogue.json"}
    assert after.pages


def test_another_template_writes_every_page_and_then_no_page(tree: Tree, run: Publish, site: Path) -> None:
    run()
    (tree.root / "site").mkdir()
    (tree.root / "site/not_found.html.j2").write_text("<!doctype html>\n<title>{{ site.title }}: no</title>\n")
    run()
    assert (site / "404.html").read_text() == "<!doctype html>\n<title>Acme plugins: no</title>\n"
    assert run().requests["PUT"] == 0


def test_a_part_in_a_folder_of_its_own_writes_the_pages_that_include_it(tree: Tree, run: Publish, site: Path) -> None:
    """Whatever a template can include counts, not just what lies beside it."""
    (tree.root / "site/parts").mkdir(parents=True)
    (tree.root / "site/not_found.html.j2").write_text("<!doctype html>\n{% include 'parts/note.html' %}")
    (tree.root / "site/parts/note.html").write_text("<title>one</title>\n")
    run()
    assert (site / "404.html").read_text() == "<!doctype html>\n<title>one</title>\n"
    (tree.root / "site/parts/note.html").write_text("<title>two</title>\n")
    run()
    assert (site / "404.html").read_text() == "<!doctype html>\n<title>two</title>\n"
    assert run().requests["PUT"] == 0


def test_what_is_published_by_name_finds_its_assets(tree: Tree, run: Publish, site: Path) -> None:
    run()
    (tree.root / "site/assets").mkdir(parents=True)
    (tree.root / "site/assets/site.css").write_text("body { color: green }\n")
    tree.release("acme/slack", "1.1.0")
    run("acme/slack")
    page = (site / "acme/slack/index.html").read_text()
    style = next(path for path in (site / "assets").glob("site.*.css") if path.read_text() == "body { color: green }\n")
    assert f"../../assets/{style.name}" in page


def test_a_plugin_more_changes_few_pages_of_long_lists() -> None:
    rows = [CatalogRow("acme", f"plugin-{number:05}", "build", "s") for number in range(0, 6000, 2)]
    name = ListName("type", "build")
    before = {view.key: view for view in list_pages(name, rows)}
    assert len(before) > 60
    changed = []
    for number in range(1, 6000, 500):
        more = sorted([*rows, CatalogRow("acme", f"plugin-{number:05}", "build", "s")], key=lambda row: row.id)
        after = {view.key: view for view in list_pages(name, more)}
        assert sum(len(view.rows) for view in after.values()) == len(more)
        # the number of a page moves when one before it was split, so it is no part of what is compared
        changed.append(sum(before.get(key) is None or before[key].rows != view.rows for key, view in after.items()))
    assert max(changed) <= 4


def test_pages_of_lists_are_neither_tiny_nor_huge() -> None:
    lengths = Counter(len(page) for page in cut([f"{number:05}" for number in range(5000)], str)[:-1])
    assert min(lengths) >= 12
    assert max(lengths) <= 96


def test_two_builds_of_one_tree_are_the_same_bytes(tree: Tree, tmp_path: Path) -> None:
    assert full_build(tree, tmp_path) == full_build(tree, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format":1,"shards":[],"pages":{"frame":1}}', b"[]"])
def test_a_damaged_record_of_what_the_pages_show_costs_a_full_comparison(
    tree: Tree, run: Publish, site: Path, tmp_path: Path, damage: bytes
) -> None:
    # Attack: who can write to the store makes the record say what they like. Pages carry no trust; the registry stands.
    run()
    (site / "search/catalogue.json").write_bytes(damage)
    tree.release("acme/slack", "1.1.0")
    assert run().committed
    assert without_empty(site_files(site)) == full_build(tree, tmp_path)
