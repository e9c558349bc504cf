"""Realms of one source tree: added with keys or by a ceremony, listed, removed; and no way that ends in the dark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.authoring.scaffold import init_tree
from registry_builder.cli.main import group
from registry_builder.signing.dev_keys import make_dev_trust
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config
from registry_builder.source.realm_sections import with_realm, without_realm
from registry_builder.storage.folder import FolderStorage
from sealdex.cli.errors import run
from sealdex.cli.output import Output
from sealdex.errors import ConfigError

ROLES = ("packages", "catalog", "snapshot", "timestamp")


def init(root: Path, *args: str) -> int:
    def command(given: list[str], out: Output) -> object:
        return group.main(given, standalone_mode=False, obj=out)

    return run(command, ["init", str(root), *args], prog="sealdex-builder")


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def team_in(tree: Tree) -> None:
    config = tree.root / "registry.toml"
    config.write_text(
        config.read_text().replace("[roles.root]", '[realms.team]\nstorage = "folder:../t"\n\n[roles.root]')
    )


def test_a_realm_written_by_hand_is_no_blind_alley(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """The four answers of the issue, each with a command that helps; and the command does."""
    team_in(tree)
    assert document(tree.root, capsys, "publish", "--realm", "team", code=1)["error"]["hint"].startswith(
        "with the keys"
    )
    found = document(tree.root, capsys, "validate", code=1)
    (problem,) = [each for each in found["problems"] if each["severity"] == "error"]
    assert problem["where"] == "realms.team"
    assert "sealdex-builder realm add team --dev-keys" in problem["message"]
    capsys.readouterr()
    assert init(tree.root, "--dev-keys") == 1
    assert "sealdex-builder realm add NAME" in capsys.readouterr().err
    # a ceremony goes on for the realms that have a root
    assert call(tree.root, "ceremony", "start", "yearly", "--renew", "root", "--by", "kim") == 0

    assert document(tree.root, capsys, "realm", "add", "team")["ready"]
    assert document(tree.root, capsys, "validate")["errors"] == 0
    assert call(tree.root, "publish") == 0
    assert (tree.root.parent / "t/metadata/timestamp.json").exists()
    assert call(tree.root, "realm", "add", "team") == 2  # complete: said, and nothing done


def test_a_realm_without_a_root_does_not_keep_the_others(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    team_in(tree)
    assert call(tree.root, "publish", "--all-realms", "--summary", str(tree.root.parent / "summary.md")) == 1
    assert "realm team is not published: realm team has no trust root yet" in capsys.readouterr().err
    summary = (tree.root.parent / "summary.md").read_text()
    assert "## Published: realm public" in summary
    assert "Realm team" in summary
    assert (tree.root.parent / "published/public/metadata/timestamp.json").exists()
    assert call(tree.root, "publish", "--all-realms", "--realm", "team") == 2
    assert call(tree.root, "realm", "add", "team") == 0
    assert call(tree.root, "publish", "--realm", "team", "--realm", "public") == 0


def test_a_realm_without_a_storage_gets_one(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    config = tree.root / "registry.toml"
    config.write_text(config.read_text() + "\n[realms.team]  # of the team\n")
    error = document(tree.root, capsys, "validate", code=1)["error"]
    assert "realms.team.storage" in error["message"]
    assert "realm add team --storage" in error["hint"]
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:../team") == 0
    assert '[realms.team]  # of the team\nstorage = "folder:../team"\n' in config.read_text()


def test_what_is_refused_writes_nothing(tree: Tree, tmp_path: Path) -> None:
    before = files(tmp_path)
    assert call(tree.root, "realm", "add", "team") == 2  # no storage
    assert call(tree.root, "realm", "add", "Team", "--storage", "folder:x") == 2
    assert call(tree.root, "realm", "add", "team", "--storage", "ftp://x") == 2
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:../published/public/inner") == 1
    assert call(tree.root, "realm", "add", "public", "--storage", "folder:elsewhere") == 1
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:x", "--dev-keys", "--ceremony") == 2
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:x", "--keys", "root=root-1") == 2
    given = (
        "realm",
        "add",
        "team",
        "--storage",
        "folder:x",
        "--ceremony",
        "--by",
        "kim",
        "--keys",
        "root=root-1,root-2",
    )
    assert call(tree.root, *given) == 2  # the keys are those of the other realm's root
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:x", "--dry-run") == 0
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:x", "--ceremony", "--by", "k", "--dry-run") == 0
    assert files(tmp_path) == before
    (tmp_path / "keys/root-2.pem").rename(tmp_path / "root-2.pem")
    (tmp_path / "root-2.pem").rename(tmp_path / "elsewhere.pem")
    before = files(tmp_path)
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:x") == 1  # one of two keys is here
    assert files(tmp_path) == before


def test_a_first_root_by_ceremony_without_development_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the public realm of a new registry: made, signed by two people on two machines, published, read."""
    root, keys = tmp_path / "source", tmp_path / "keys"
    assert init(root, "--name", "acme", "--storage", "folder:../published") == 0
    assert call(root, "ceremony", "start", "x", "--renew", "root", "--by", "kim") == 1
    assert "realm add public --ceremony" in capsys.readouterr().err
    assert call(root, "realm", "add", "public") == 1  # no keys
    for name in ("ann", "ben", "online"):
        assert call(root, "keys", "create", name, "--unencrypted") == 0
    given = ["realm", "add", "public", "--ceremony", "--by", "kim", "--why", "the first"]
    assert call(root, *given) == 1
    said = capsys.readouterr().err
    assert "role root has 0 of the 2 keys" in said
    assert "role timestamp has 0 of the 1 keys" in said
    roles = [f"--keys={role}=ann,ben" for role in ("root", "targets")] + [f"--keys={role}=online" for role in ROLES]
    added = document(root, capsys, *given, *roles)
    assert (added["ceremony"], added["ready"]) == ("first-public", False)
    assert read_config(root).roles["root"].keys == ("ann", "ben")
    assert call(root, *given) == 1  # under way
    assert "ceremony show first-public" in capsys.readouterr().err
    waiting = document(root, capsys, "realm", "list")["realms"]
    assert [(each["ready"], each["ceremony"]) for each in waiting] == [(False, "first-public")]
    assert document(root, capsys, "validate")["warnings"] == 1
    shown = document(root, capsys, "ceremony", "show", "first-public")["documents"]
    assert "it is the FIRST root of this realm, whose readers will trust what it says" in shown[0]["changes"]

    (keys / "ben.pem").rename(tmp_path / "ben.pem")
    assert call(root, "ceremony", "sign", "first-public", "--by", "ann", "--yes") == 0
    assert call(root, "ceremony", "finish", "first-public", "--by", "ann") == 1
    assert not (root / "trust").exists()
    (tmp_path / "ben.pem").rename(keys / "ben.pem")
    assert call(root, "ceremony", "sign", "first-public", "--by", "ben", "--yes") == 0
    assert call(root, "ceremony", "finish", "first-public", "--by", "ben") == 0
    assert call(root, "new", "notify", "acme/slack") == 0
    (keys / "ann.pem").unlink()
    (keys / "ben.pem").unlink()
    assert call(root, "publish") == 0
    pinned = (root / "trust/public/1.root.json").read_bytes()
    client = StockClient(FolderStorage(tmp_path / "published"), pinned, tmp_path / "client")
    assert client.versions("acme/slack") == []


def test_a_plan_that_was_edited_makes_no_first_root(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """A branch that anybody may push can't choose who is trusted: not other keys, half a realm or more."""
    given = ("realm", "add", "team", "--storage", "folder:../team", "--ceremony", "--by", "kim")
    assert call(tree.root, *given) == 0
    assert call(tree.root, "ceremony", "sign", "first-team", "--by", "kim", "--yes") == 0
    folder, config = tree.root / "ceremonies/first-team", tree.root / "registry.toml"
    plan, toml = json.loads((folder / "plan.json").read_text()), config.read_text()
    section = {"keys": ["packages", "catalog"], "threshold": 2, "expiry_days": 365, "signing_days": 60}

    def refused(said: str) -> None:
        capsys.readouterr()
        assert call(tree.root, "ceremony", "finish", "first-team", "--by", "kim") == 4
        assert said in capsys.readouterr().err
        assert not (tree.root / "trust/team").exists()
        assert config.read_text() == toml

    (folder / "plan.json").write_text(json.dumps({**plan, "roles": {"root": section}}))
    refused("makes a first root, and changes other things as well")
    (folder / "plan.json").write_text(json.dumps(plan))
    targets = (folder / "team/1.targets.json").read_bytes()
    (folder / "team/1.targets.json").unlink()
    refused("lacks version 1 of root or targets of realm team")
    (folder / "team/1.targets.json").write_bytes(targets)
    toml = toml.replace("signing_days = 60", "signing_days = 61")
    toml = toml.replace('keys = ["root-1", "root-2"]', 'keys = ["root-1", "targets-1"]')
    config.write_text(toml)
    refused("does not match 1.root.json")


def test_a_ceremony_that_lacks_a_realm_is_not_finished(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys changed in one realm's root and in registry.toml, but not in the other's: their roots would part."""
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:../team") == 0
    start = ("ceremony", "start", "c", "--by", "kim", "--keys", "timestamp=packages")
    assert call(tree.root, *start) == 0
    folder = tree.root / "ceremonies/c/team"
    for path in sorted(folder.rglob("*.json")):
        path.unlink()
    assert call(tree.root, "ceremony", "sign", "c", "--by", "kim", "--yes") == 0
    assert call(tree.root, "ceremony", "finish", "c", "--by", "kim") == 4
    assert "has no metadata for team/root" in capsys.readouterr().err
    assert not (tree.root / "trust/public/2.root.json").exists()


def test_development_keys_that_are_there_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path / "one", "--dev-keys") == 0
    first = files(tmp_path / "keys")
    assert init(tmp_path / "two", "--dev-keys") == 0
    assert "were in" in capsys.readouterr().err
    assert files(tmp_path / "keys") == first
    assert call(tmp_path / "two", "publish") == 0


def test_keys_that_cannot_be_used_stop_init_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/catalog.pem").write_text("not a key")
    assert init(tmp_path / "one", "--dev-keys") == 1
    assert "catalog.pem can't be used" in capsys.readouterr().err
    assert not (tmp_path / "one").exists()
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "one/keys"))
    assert init(tmp_path / "one", "--dev-keys") == 1
    assert not (tmp_path / "one").exists()


def test_an_interrupted_init_is_completed_by_realm_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "source"
    init_tree(root, name="acme")
    with monkeypatch.context() as patched:
        patched.setattr("registry_builder.signing.dev_keys.register_keys", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_dev_trust(root)
    left = files(tmp_path / "keys")
    assert len(left) == 7  # keys are there, registry.toml doesn't name them
    assert call(root, "realm", "add", "public", "--dev-keys") == 0
    assert files(tmp_path / "keys") == left
    assert Keyring(read_config(root), root).reach("root-1").here
    assert call(root, "publish") == 0


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_list_show_and_remove(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    before = (tree.root / "registry.toml").read_text()
    url = "https://team.example/"
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:../team", "--url", url) == 0
    tree.plugin("skunk/engine", realm="team")
    public, team = document(tree.root, capsys, "realm", "list")["realms"]
    assert public == {
        "name": "public",
        "storage": "folder:../published/public",
        "url": None,
        "cloudfront": None,
        "kind": "folder",
        "public": True,
        "ready": True,
        "root_file": "trust/public/1.root.json",
        "ceremony": None,
        "plugins": 2,
    }
    assert (team["name"], team["url"], team["public"], team["plugins"]) == ("team", url, False, 1)
    assert document(tree.root, capsys, "realm", "show", "team")["plugin_ids"] == ["skunk/engine"]
    assert call(tree.root, "realm", "show", "teem") == 3

    edited = (tree.root / "registry.toml").read_text()
    error = document(tree.root, capsys, "realm", "remove", "team", code=1)["error"]
    assert "1 plugin in it: skunk/engine" in error["message"]
    assert "move skunk/engine --to-realm" in error["hint"]
    assert (tree.root / "registry.toml").read_text() == edited
    (tree.root / "plugins/skunk/engine/plugin.json").write_text("{")
    assert call(tree.root, "realm", "remove", "team") == 1  # what doesn't load may be in it
    (tree.root / "plugins/skunk/engine/plugin.json").unlink()
    (tree.root / "plugins/skunk/engine/releases").rmdir()
    (tree.root / "plugins/skunk/engine").rmdir()
    assert call(tree.root, "realm", "remove", "team", "--dry-run") == 0
    assert (tree.root / "registry.toml").read_text() == edited
    assert call(tree.root, "realm", "remove", "team") == 0
    assert (tree.root / "registry.toml").read_text() == before  # byte for byte
    assert call(tree.root, "realm", "remove", "public") == 1  # the only one
    root = (tree.root / "trust/team/1.root.json").read_bytes()
    assert call(tree.root, "realm", "add", "team", "--storage", "folder:../team") == 0  # with the same root
    assert (tree.root / "trust/team/1.root.json").read_bytes() == root


TEXT = """\
# 注册表 · سجل
[registry]
name = "acme" # [realms.x]

[realms . "public"] # all of us
storage = "folder:published"  # ours
note = '''
[realms.team]
'''

# keys below
[roles.root]
keys = []
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_registry_toml_is_edited_as_text(newline: str) -> None:
    text = TEXT.replace("\n", newline)

    edited = with_realm(text, "team", {"storage": "s3://b/ü", "url": "https://t.example/"})
    added = newline.join(["", "[realms.team]", 'storage = "s3://b/ü"', 'url = "https://t.example/"', ""])
    assert edited == text.replace(f"'''{newline}{newline}#", f"'''{newline}{added}{newline}#")
    with pytest.raises(ConfigError, match="can't be edited safely"):
        without_realm(edited, "team")  # a text looks like the table: refused, never guessed
    text, edited = (each.replace(f"{newline}[realms.team]{newline}'''", f"{newline}'''") for each in (text, edited))
    assert without_realm(edited, "team") == text
    assert with_realm(edited, "team", {"storage": "s3://b/ü"}) == edited
    with pytest.raises(ConfigError, match="already"):
        with_realm(edited, "team", {"storage": "s3://other"})
    with pytest.raises(ConfigError, match="can't be edited safely"):
        with_realm('realms = {public = {storage = "x"}}\n', "team", {"storage": "y"})
