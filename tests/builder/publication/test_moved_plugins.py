"""A plugin that moves to another realm: no release changes, the old realm keeps them and says where it is now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.builder_cli import call, document
from support.commands import captured
from support.released import unpack_release
from support.source_trees import Tree

from registry_builder.authoring.move import MoveRefusedError, move_plugin
from registry_builder.publication.publish import NotAllPublishedError, open_publisher, publish_realm
from registry_builder.publication.published_documents import compare
from sealdex.config.toml_writer import value
from sealdex.errors import ConfigError, UsageError
from sealdex.model.ids import parse_plugin_id

SLACK = parse_plugin_id("acme/slack")
URL = "https://plugins.example/"
BY = "Kim <kim@example.org>"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree.make(tmp_path / "source", realms=("public", "team"))
    config = made.root / "registry.toml"
    config.write_text(config.read_text().replace('published/public"\n', f'published/public"\nurl = "{URL}"\n'))
    made.plugin("acme/slack", realm="team", readme="# Slack\n")
    made.release("acme/slack", "1.0.0")
    made.release("acme/slack", "1.1.0")
    return made


def published(tree: Tree, realm: str) -> dict[str, bytes]:
    folder = tree.root.parent / "published" / realm
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def index_of(tree: Tree, realm: str, plugin: str = "slack") -> Any:
    """Return the index document of a plugin that a realm's metadata names."""
    found = compare(open_publisher(tree.load(), realm)).documents
    return msgspec.to_builtins(found[parse_plugin_id(f"acme/{plugin}")])


def moved(tree: Tree, to: str = "public", **options: Any) -> Any:
    return move_plugin(tree.root, SLACK, to, by=BY, **options)


def test_the_team_keeps_its_releases_and_is_told(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree.root, "publish") == 0
    before, team = published(tree, "team"), index_of(tree, "team")
    assert "moved_to" not in team
    dry = document(tree.root, capsys, "move", "acme/slack", "--to-realm", "public", "--by", BY, "--dry-run")
    assert (dry["from"], dry["to"], dry["versions"], dry["written"]) == ("team", "public", ["1.1.0", "1.0.0"], [])
    assert call(tree.root, "move", "acme/slack", "--to-realm", "public", "--by", BY, "--why", "for all") == 0
    assert call(tree.root, "move", "acme/slack", "--to-realm", "public", "--by", BY) == 0  # says that it is there
    assert document(tree.root, capsys, "validate")["errors"] == 0
    assert call(tree.root, "publish") == 0

    after, public = index_of(tree, "team"), index_of(tree, "public")
    assert after.pop("moved_to") == {
        "realm": "public",
        "at": after_event(tree)["at"],
        "by": BY,
        "why": "for all",
        "url": URL,
    }
    assert after == team
    assert "moved_to" not in public
    assert [r["manifest"] for r in public["releases"]] == [r["manifest"] for r in team["releases"]]
    for key, data in before.items():  # not a byte of what was published for good
        if key.startswith(("plugins/", "targets/index")):
            assert published(tree, "team")[key] == data
    assert published(tree, "public")["plugins/acme/slack/1.0.0/slack-1.0.0.bin"] == b"acme/slack 1.0.0\n"
    page = published(tree, "team")["acme/slack/index.html"].decode()
    assert "Moved to realm public" in page
    assert URL in page
    assert b"team" not in published(tree, "public")["acme/slack/index.html"]

    # later releases are public only, and what happens to the old ones is told in both
    tree.release("acme/slack", "1.2.0")
    assert call(tree.root, "yank", "acme/slack@1.0.0", "--by", BY, "--why", "leaks") == 0
    assert call(tree.root, "publish", "--only", "acme/slack") == 0
    assert [r["version"] for r in index_of(tree, "public")["releases"]] == ["1.2.0", "1.1.0", "1.0.0"]
    assert [(r["version"], "yanked" in r) for r in index_of(tree, "team")["releases"]] == [
        ("1.1.0", False),
        ("1.0.0", True),
    ]
    again = document(tree.root, capsys, "publish")["realms"]
    assert [realm["committed"] for realm in again] == [False, False]


def after_event(tree: Tree) -> Any:
    (file,) = (tree.root / "plugins/acme/slack/status").glob("*-move-*.json")
    return json.loads(file.read_text())


def test_clients_report_it_and_never_follow(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``info``, ``install`` and ``update`` say so; the address is contacted by nobody: nothing answers there."""
    config = tree.root / "registry.toml"
    config.write_text(config.read_text().replace(URL, "http://127.0.0.1:9/"))
    assert call(tree.root, "publish") == 0
    host = tmp_path / "host"
    host.mkdir()
    root = tree.root / "trust/team/1.root.json"
    url = (tree.root.parent / "published/team").as_uri() + "/"
    (host / "config.toml").write_text(f"[registries.team]\nurl = {value(url)}\nroot = {value(str(root))}\n")
    monkeypatch.setenv("SEALDEX_CONFIG", str(host / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(host / "store"))
    run = captured(capsys)
    assert run("install", "acme/slack@1.0.0").code == 0
    moved(tree, why="for all")
    tree.release("acme/slack", "9.0.0")
    assert call(tree.root, "publish") == 0

    told = run("info", "acme/slack", "--json").document
    assert (told["moved_to"]["realm"], told["moved_to"]["url"]) == ("public", "http://127.0.0.1:9/")
    assert [each["version"] for each in told["releases"]] == ["1.1.0", "1.0.0"]
    assert "MOVED to realm public at http://127.0.0.1:9/: for all" in run("info", "acme/slack").out
    updated = run("update", "--json")
    assert updated.document["moved_to"]["acme/slack"]["realm"] == "public"
    assert "moved to realm public" in updated.err
    installed = run("install", "acme/slack", "--json")
    assert installed.document["installed"][0]["version"] == "1.1.0"  # the old registry's newest, and no other
    assert installed.document["installed"][0]["moved_to"]["realm"] == "public"
    assert "later releases are only there" in installed.err


@pytest.mark.slow
def test_clients_of_0_1_0_read_it(tree: Tree, tmp_path: Path) -> None:
    assert call(tree.root, "publish") == 0
    moved(tree)
    assert call(tree.root, "publish") == 0
    released = unpack_release("0.1.0", tmp_path / "released")
    env = {"SEALDEX_CONFIG": str(tmp_path / "old/config.toml"), "SEALDEX_STORE": str(tmp_path / "old/store")}
    url = (tree.root.parent / "published/team").as_uri() + "/"
    root = tree.root / "trust/team/1.root.json"
    (tmp_path / "old").mkdir()
    (tmp_path / "old/config.toml").write_text(f"[registries.team]\nurl = {value(url)}\nroot = {value(str(root))}\n")
    released.run("sealdex", "install", "acme/slack@1.0.0", cwd=tmp_path, env=env)
    released.run("sealdex", "info", "acme/slack", cwd=tmp_path, env=env)
    assert (tmp_path / "old/store/plugins/acme/slack/1.0.0").is_dir()


def test_an_older_checkout_does_not_take_it_back(tree: Tree) -> None:
    assert call(tree.root, "publish") == 0
    about = tree.root / "plugins/acme/slack/plugin.json"
    old = about.read_text()
    moved(tree)
    assert call(tree.root, "publish") == 0
    event = after_event(tree)
    (file,) = (tree.root / "plugins/acme/slack/status").glob("*-move-*.json")
    kept = file.read_bytes()
    file.unlink()
    about.write_text(old)
    with pytest.raises(NotAllPublishedError, match=f"move to public by {BY} at {event['at']}"):
        publish_realm(open_publisher(tree.load(), "team"))
    assert index_of(tree, "team")["moved_to"]["realm"] == "public"
    file.write_bytes(kept)  # and moved back on purpose, it is in the team's realm again
    about.write_text(old.replace('"team"', '"public"'))
    moved(tree, "team")
    assert call(tree.root, "publish") == 0
    assert "moved_to" not in index_of(tree, "team")
    assert "moved_to" not in index_of(tree, "public")


def test_to_a_private_realm_nothing_is_taken_back(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said plainly; and nothing of the private life comes to the public index: no realm, event or text."""
    tree.plugin("acme/slack", realm="public", readme="# Slack\n")
    assert call(tree.root, "publish") == 0
    before = published(tree, "public")
    assert call(tree.root, "move", "acme/slack", "--to-realm", "team", "--by", BY) == 0
    assert "what was public stays known" in capsys.readouterr().err
    (tree.root / "plugins/acme/slack/README.md").write_text("# Now with a secret\n")
    tree.release("acme/slack", "2.0.0")
    call(tree.root, "yank", "acme/slack@1.0.0", "--by", BY, "--why", "secret")
    assert call(tree.root, "publish") == 0
    assert [r["version"] for r in index_of(tree, "team")["releases"]] == ["2.0.0", "1.1.0", "1.0.0"]
    after = published(tree, "public")
    assert {key for key in after if key not in before} == set()
    assert not [key for key, data in after.items() if b"secret" in data or b"2.0.0" in data]
    tree.plugin("acme/mail", readme="Unlike acme/slack\n")  # whose name everybody knows
    assert document(tree.root, capsys, "validate")["errors"] == 0


def test_what_cannot_be_public_does_not_move(tree: Tree) -> None:
    """Every reason at once, and nothing is written."""
    tree.plugin("acme/secret", realm="team")
    tree.release("acme/secret", "1.0.0")
    tree.release("acme/slack", "1.2.0", dependencies={"acme/secret": "*"})
    (tree.root / "plugins/acme/slack/README.md").write_text("like acme/secret\n")
    (tree.root / "plugins/acme/slack/dist/slack-1.0.0.bin").unlink()
    before = {path: path.read_bytes() for path in tree.root.rglob("*") if path.is_file()}
    with pytest.raises(MoveRefusedError) as refused:
        moved(tree)
    places = {(each.file.rsplit("/", 1)[-1], each.where) for each in refused.value.problems}
    assert places == {("README.md", "line 1"), ("1.2.0.json", "dependencies"), ("1.0.0.json", "artifacts")}
    assert "acme/secret" not in str(refused.value)
    with pytest.raises(UsageError, match="there is no realm 'teem'"):
        moved(tree, "teem")
    assert {path: path.read_bytes() for path in tree.root.rglob("*") if path.is_file()} == before


def test_what_others_need_does_not_become_private(tree: Tree) -> None:
    tree.plugin("acme/slack", realm="public")
    tree.plugin("acme/cell")
    tree.release("acme/cell", "1.0.0", dependencies={"acme/slack": "^1"})
    with pytest.raises(MoveRefusedError, match="needs acme/slack, which readers of realm public couldn't read"):
        moved(tree, "team")


def test_an_interrupted_move_is_completed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tree.root / "plugins/acme/slack/plugin.json"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("registry_builder.authoring.move.replace_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            moved(tree)
    assert '"team"' in about.read_text()
    problems = [str(each) for each in tree.load().problems]
    assert problems == []
    assert call(tree.root, "validate", "--offline") == 1  # says that it isn't finished, and how it is
    moved(tree)
    assert '"public"' in about.read_text()
    assert len(list((tree.root / "plugins/acme/slack/status").glob("*-move-*.json"))) == 1
    assert call(tree.root, "validate", "--offline") == 0


def test_a_realm_changed_by_hand_is_noticed(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree.root, "publish") == 0
    about = tree.root / "plugins/acme/slack/plugin.json"
    about.write_text(about.read_text().replace('"team"', '"public"'))
    (problem,) = [p for p in document(tree.root, capsys, "validate", code=1)["problems"] if p["severity"] == "error"]
    assert (problem["where"], problem["file"]) == ("realm", "plugins/acme/slack/plugin.yaml")
    assert "sealdex-builder move acme/slack --to-realm public" in problem["message"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("type: notify\nsummary: x\nrealm: team # ours\n", "type: notify\nsummary: x\nrealm: public  # ours\n"),
        ("type: notify\r\nrealm: 'team'\r\nsummary: x\r\n", "type: notify\r\nrealm: public\r\nsummary: x\r\n"),
        ('type: notify\nsummary: "realm: team"\nrealm: "team"', 'type: notify\nsummary: "realm: team"\nrealm: public'),
    ],
)
def test_plugin_yaml_is_edited_as_text(tree: Tree, before: str, after: str) -> None:
    folder = tree.root / "plugins/acme/slack"
    (folder / "plugin.json").unlink()
    (folder / "plugin.yaml").write_bytes(before.encode())
    moved(tree)
    assert (folder / "plugin.yaml").read_bytes() == after.encode()


def test_yaml_that_cannot_be_edited_is_left_alone(tree: Tree) -> None:
    folder = tree.root / "plugins/acme/slack"
    (folder / "plugin.json").unlink()
    (folder / "plugin.yaml").write_text("{type: notify, summary: x, realm: team}\n")
    with pytest.raises(ConfigError, match="can't be changed safely"):
        moved(tree)
    assert not (folder / "status").exists()
