"""Pages of mirrors and published folders, made of the verified documents alone: `sealdex-builder site --published`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call
from support.commands import Ran
from support.site_pages import dead_links, pages_of
from support.source_trees import Tree, small_tree
from support.static_api import Documents
from support.tuf_repository import BUNDLE

from registry_builder.compile import catalog_names
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.site.own_files import RECORD
from sealdex.cli.main import main as client

Site = Callable[..., Ran]


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A tree that was published now, since mirrors are made and read by the clock of this machine."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog_names, "MANY", 1)  # large enough for shards by name
        patch.setattr(catalog_names, "ENTRIES", 1)
        patch.setenv("SEALDEX_KEYS", str(folder / "keys"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        tree = small_tree(folder / "source")
        tree.release("acme/slack", "1.1.0", dependencies={"acme/base": "^1.0"})
        said = tree.root / "registry.toml"
        said.write_text(
            said.read_text().replace("[realms.public]", '[realms.public]\nurl = "https://plugins.example/"')
        )
        publish_realm(open_publisher(tree.load(), "public", use_memory=False))
    return tree


@pytest.fixture
def published(made: Tree, tmp_path: Path) -> Path:
    """What was published, for this test to write to."""
    shutil.copytree(made.root.parent / "published/public", tmp_path / "published/public")
    return tmp_path / "published/public"


@pytest.fixture
def root(made: Tree) -> Path:
    return made.root / "trust/public/1.root.json"


@pytest.fixture
def site(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> Site:
    """Writes the pages of a folder, by default into itself."""

    def site(folder: Path, *options: object, output: Path | None = None) -> Ran:
        capsys.readouterr()
        asked = ["site", "--published", folder, "--root", root, "--output", output or folder, *options, "--json"]
        code = call(tmp_path, *asked)
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err)

    return site


@pytest.fixture
def mirror(published: Path, root: Path, tmp_path: Path) -> Callable[..., Path]:
    def mirror(*selection: str) -> Path:
        made = tmp_path / f"mirror{len(selection)}"
        assert client(["mirror", "create", str(published), str(made), "--root", str(root), *selection]) == 0
        return made

    return mirror


def test_pages_of_a_whole_mirror_are_those_of_the_registry(
    published: Path, mirror: Callable[..., Path], site: Site, made: Tree
) -> None:
    whole = mirror()
    assert (whole / BUNDLE).read_bytes() == (published / BUNDLE).read_bytes()
    title = made.load().config.registry.title or made.load().config.registry.name
    done = site(whole, "--title", title, "--url", "https://plugins.example/")
    assert done.code == 0, done.err
    assert (done.document["missing_plugins"], done.document["missing_releases"]) == ([], 0)
    theirs, ours = ({p.relative_to(f).as_posix() for p in f.rglob("*.html")} for f in (published, whole))
    assert ours == theirs
    other = {key for key in ours if (whole / key).read_bytes() != (published / key).read_bytes()}
    assert other == {"index.html"}  # which keys are offline isn't signed
    shared = {"acme/slack/feed.xml", "feed.xml", "sitemap.xml", "acme/slack/version.svg"}
    assert [key for key in shared if (whole / key).read_bytes() != (published / key).read_bytes()] == []
    searched = [json.loads((each / "search/catalogue.json").read_bytes()) for each in (whole, published)]
    del searched[1]["pages"]
    assert searched[0] == searched[1]
    assert dict(searched[0]["used"]) == {"acme/base": 1}
    for name in searched[0]["names"].values():
        assert (whole / "search" / name).read_bytes() == (published / "search" / name).read_bytes()
    assert dead_links(whole) == []


def test_pages_of_a_part_name_what_is_missing_and_link_nothing_of_it(mirror: Callable[..., Path], site: Site) -> None:
    part = mirror("--plugin", "acme/slack@1.0.0")
    done = site(part)
    assert done.code == 0, done.err
    assert (done.document["missing_plugins"], done.document["missing_releases"]) == (["acme/base", "team/mail"], 1)
    assert dead_links(part) == []
    page = pages_of(part)["acme/slack/index.html"].text
    assert "1.1.0, the latest release, is not on this mirror. 1.0.0 is:" in page
    assert "sealdex install acme/slack@1.0.0" in page
    assert "acme/base" in page
    assert not (part / "acme/slack/1.1.0").exists()
    assert not (part / "team").exists()
    searched = json.loads((part / "search/catalogue.json").read_bytes())
    assert searched["held"] == {"acme": ["slack"]}
    rows: list[Any] = []
    for shard in searched["shards"]:  # as they were signed
        rows += json.loads((part / "search" / shard).read_bytes())["plugins"]
    assert sorted(row["name"] for row in rows) == ["base", "mail", "slack"]
    assert client(["mirror", "verify", str(part), "--root", str(part / "metadata/1.root.json")]) == 0


def test_pages_are_in_the_languages_that_the_registry_states_and_signs(
    tmp_path: Path, root: Path, site: Site, made: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.root.parent, tmp_path / "other")
    tree, published = Tree(tmp_path / "other/source"), tmp_path / "other/published/public"
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "other/keys"))
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["zh", "en", "eo"]\n')
    (tree.root / "site/languages/eo").mkdir(parents=True)
    (tree.root / "site/languages/eo/messages.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
    )
    tree.release("acme/slack", "1.2.0")
    publish_realm(open_publisher(tree.load(), "public", use_memory=False))
    done = site(published, output=tmp_path / "out")
    assert (done.code, done.document["languages"]) == (0, ["zh", "en"]), done.err
    assert done.document["languages_without_words"] == ["eo"]
    assert '<html lang="zh">' in (tmp_path / "out/acme/slack/index.html").read_text()
    assert '<html lang="en">' in (tmp_path / "out/site/en/acme/slack/index.html").read_text()
    assert not (tmp_path / "out/site/eo").exists()
    shutil.copytree(published / "targets", tmp_path / "out/targets")
    shutil.copytree(published / "plugins", tmp_path / "out/plugins")
    assert dead_links(tmp_path / "out") == []
    one = site(published, "--language", "en", output=tmp_path / "one")
    assert (one.document["languages"], (tmp_path / "one/site").exists()) == (["en"], False)
    none = site(published, "--language", "fr", output=tmp_path / "none")
    assert (none.code, (tmp_path / "none").exists()) == (2, False)
    assert client(["registry", "add", "acme", str(published), "--root", str(root)]) == 0  # clients pass over the field
    assert client(["info", "acme/slack"]) == 0


def test_what_has_no_artifacts_says_so(mirror: Callable[..., Path], site: Site) -> None:
    bare = mirror("--artifacts", "none")
    assert site(bare).code == 0
    assert dead_links(bare) == []
    page = pages_of(bare)["acme/slack/1.1.0/index.html"]
    assert "not on this mirror" in page.text


@pytest.mark.parametrize("changed", ["targets", "plugins", "metadata"])
def test_attack_pages_show_nothing_that_was_not_signed(
    published: Path, site: Site, tmp_path: Path, changed: str
) -> None:
    """Writes to the folder: other bytes in an index document, a manifest, or the snapshot."""
    pattern = {"targets": "*.slack.json", "plugins": "slack/1.1.0/manifest.json", "metadata": "*.snapshot.json"}
    for path in (published / changed).rglob(pattern[changed]):
        path.write_bytes(path.read_bytes().replace(b"1.1.0", b"6.6.6").replace(b'"snapshot"', b'"sn4pshot"'))
    if changed == "metadata":
        (published / BUNDLE).unlink()
    done = site(published, output=tmp_path / "out")
    assert done.code == 4, done.err
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"6.6.6" in path.read_bytes()] == []


def test_attack_templates_that_lie_in_the_folder_are_not_used(published: Path, site: Site, tmp_path: Path) -> None:
    """Writes to the folder: a template in the place where a source tree has its own."""
    (published / "site").mkdir()
    (published / "site/home.html.j2").write_text("planted")
    assert site(published, output=tmp_path / "out").code == 0
    assert "planted" not in (tmp_path / "out/index.html").read_text()


def test_nothing_is_written_into_the_folder_and_the_same_pages_once(
    published: Path, site: Site, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in published.rglob("*")}
    assert site(published, output=tmp_path / "out").code == 0
    assert {path: path.stat().st_mtime_ns for path in published.rglob("*")} == before
    again = site(published, output=tmp_path / "out")
    assert again.document["written"] == []


def test_pages_that_are_gone_are_removed_and_nothing_else(
    published: Path, site: Site, mirror: Callable[..., Path], tmp_path: Path
) -> None:
    out, part = tmp_path / "out", mirror("--plugin", "acme/slack")
    assert site(published, output=out).code == 0
    (out / "team/mail/notes.txt").write_text("mine")
    (out / "mine.html").write_text("mine")
    gone = {p.relative_to(out).as_posix() for p in (out / "acme/base").rglob("*") if p.is_file()}
    done = site(part, output=out)
    assert done.code == 0, done.err
    assert gone <= set(done.document["removed"])
    assert not (out / "acme/base").exists()
    assert [path.name for path in (out / "team").rglob("*") if path.is_file()] == ["notes.txt"]
    assert (out / "mine.html").read_text() == "mine"
    again = site(part, output=out)
    assert (again.document["written"], again.document["removed"]) == ([], [])
    (out / RECORD).unlink()
    assert site(published, output=out).code == 0
    (out / RECORD).unlink()
    assert site(part, output=out).document["removed"] == []  # whose these are isn't known
    assert (out / "acme/base/index.html").exists()


def test_attack_a_record_names_nothing_for_removal_but_pages(published: Path, site: Site, tmp_path: Path) -> None:
    """Writes to the folder of the pages: a record that names files of others, and links that lead to them."""
    assert site(published).code == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("mine")
    (published / "linked").symlink_to(other)
    (published / "link").symlink_to(other / "file")
    named = [
        "../other/file",
        str(other / "file"),
        "linked/file",
        "link",
        "metadata/timestamp.json",
        ".hidden/file",
        "a//b",
    ]
    named += ["plugins/acme/slack/1.0.0/manifest.json", "./metadata/timestamp.json", "mirror.json", ""]
    (published / ".hidden").mkdir()
    (published / ".hidden/file").write_text("mine")
    (published / RECORD).write_text(json.dumps({"format": 1, "files": named}))
    (other / "v1").mkdir()
    (other / "v1/index.json").write_text("of another registry")
    (published / "api").symlink_to(other)
    before = {path for path in [*published.rglob("*"), *other.rglob("*")] if path.is_file()}
    done = site(published)
    assert (done.code, done.document["removed"]) == (0, [])
    assert {path for path in [*published.rglob("*"), *other.rglob("*")] if path.is_file()} == before
    (published / RECORD).write_bytes(b'{"format":1,"files":["\xff"]}')
    assert site(published).code == 0


@pytest.mark.parametrize("options", [["--max-staleness", "3x"], ["--url", "ftp://example.org/"], ["--realm", "public"]])
def test_options_that_are_not_valid(published: Path, site: Site, tmp_path: Path, options: list[str]) -> None:
    assert site(published, *options, output=tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


def test_without_a_root_nothing_is_trusted(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path, "site", "--published", published, "--output", tmp_path / "out") == 2
    assert "--root" in capsys.readouterr().err
    assert call(tmp_path, "site", "--root", published / "metadata/1.root.json", "--output", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()


def test_a_mirror_answers_as_plain_json_where_it_is_asked_to(
    site: Site, mirror: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    partial = mirror("--plugin", "acme/base")
    assert site(partial).code == 0
    assert not (partial / "api").exists()
    assert site(partial, "--api").code == 0
    documents = Documents(partial)
    listed = documents.read("api/v1/plugins/index.json")
    assert [row["id"] for row in listed["plugins"]] == ["acme/base"]
    key = "api/v1/plugins/acme/base/releases/1.0.0.json"
    assert documents.file(key, documents.read(key)["download_url"]).read_bytes() == b"acme/base 1.0.0\n"

    # what the mirror doesn't have any more has no address, and what nobody asks for is not left to grow old
    (partial / "plugins/acme/base/1.0.0/base-1.0.0.bin").unlink()
    assert site(partial, "--api").code == 0
    [artifact] = documents.read(key)["artifacts"]
    assert "address" not in artifact
    assert len(artifact["sha256"]) == 64
    said = site(partial)
    assert said.code == 0
    assert key in said.document["removed"]
    assert not list((partial / "api").rglob("*.json"))
