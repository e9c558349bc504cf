"""The commands of publishers, as they are called: output, documents and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.source_trees import Tree

from registry_builder.cli.main import group
from registry_builder.signing.key_registration import KEY_KINDS
from sealdex.cli.errors import run as run_cli
from sealdex.cli.output import Output


def call(tree: Tree, *args: str) -> int:
    def command(given: list[str], out: Output) -> object:
        return group.main(["--tree", str(tree.root), *given], standalone_mode=False, obj=out)

    return run_cli(command, list(args), prog="sealdex-builder")


def document(tree: Tree, capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert call(tree, *args, "--json") == code
    return json.loads(capsys.readouterr().out)


def test_publish_dry_run_and_again(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    planned = document(tree, capsys, "publish", "--dry-run")["realms"][0]
    assert planned["new_releases"] == ["acme/mail@0.1.0", "acme/slack@1.0.0"]
    assert not planned["committed"]
    assert not (tree.root.parent / "published").exists()
    done = document(tree, capsys, "publish")["realms"][0]
    assert done["committed"]
    assert done["versions"] == {"timestamp": 1, "snapshot": 1, "targets": 1}
    assert done["uploads"] == planned["uploads"]
    assert call(tree, "publish") == 0
    assert "is up to date" in capsys.readouterr().out


def test_publish_only(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    call(tree, "publish")
    tree.release("acme/slack", "1.1.0")
    tree.release("acme/mail", "0.2.0")
    done = document(tree, capsys, "publish", "--only", "acme/mail")["realms"][0]
    assert done["new_releases"] == ["acme/mail@0.2.0"]
    assert done["requests"]["PUT"] <= 12
    assert call(tree, "publish", "--only", "acme/none") == 1
    assert "acme/none" in capsys.readouterr().err


def test_realms_are_published_one_by_one_or_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = Tree.make(tmp_path / "source", realms=("public", "team"))
    tree.plugin("acme/open")
    tree.plugin("zebra/falcon", realm="team")
    tree.release("zebra/falcon", "1.0.0")
    assert [r["realm"] for r in document(tree, capsys, "publish", "--realm", "team")["realms"]] == ["team"]
    assert not (tmp_path / "published/public").exists()
    assert [r["realm"] for r in document(tree, capsys, "publish", "--only", "zebra/falcon")["realms"]] == ["team"]
    assert [r["realm"] for r in document(tree, capsys, "publish")["realms"]] == ["public", "team"]
    assert call(tree, "publish", "--realm", "none") == 2
    assert call(tree, "publish", "--realm", "public", "--only", "zebra/falcon") == 3


def test_a_tampered_registry_exits_4_and_shouts(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    call(tree, "publish")
    (tree.root.parent / "published/public/metadata/timestamp.json").write_bytes(b"{}")
    assert call(tree, "publish") == 4
    error = capsys.readouterr().err
    assert error.startswith("SECURITY")
    assert "nothing was written" in error


def test_status_and_refresh(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    unpublished = document(tree, capsys, "status")
    assert unpublished["realms"][0]["published"] is False
    assert (unpublished["healthy"], unpublished["findings"][-1]["check"]) == (True, "published")
    call(tree, "publish")
    found = document(tree, capsys, "status")
    assert not found["needs_signing"]
    assert {"check", "subject", "state", "detail", "remedy", "exit_code"} == set(found["findings"][0])
    (realm,) = found["realms"]
    assert realm["plugins"] == 2
    assert {role["role"] for role in realm["roles"]} == {
        "root", "targets", "packages", "bins", "catalog", "snapshot", "timestamp"
    }  # fmt: skip
    assert not document(tree, capsys, "refresh")["realms"][0]["committed"]
    assert call(tree, "status") == 0
    assert realm["roots"][0]["sha256"] in capsys.readouterr().out


def test_keys(tree: Tree, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    listed = document(tree, capsys, "keys", "list")["keys"]
    assert {key["name"]: key["roles"] for key in listed}["online"] == ["snapshot", "timestamp"]
    assert all(key["here"] for key in listed)
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", "correct horse")
    made = document(tree, capsys, "keys", "create", "root-3", "--kind", "ecdsa-p256")
    assert b"ENCRYPTED" in Path(made["file"]).read_bytes()
    shown = document(tree, capsys, "keys", "show", "root-3")
    assert shown["keyid"] == made["keyid"]
    assert shown["reason"].startswith("encrypted")
    assert call(tree, "keys", "create", "root-3") == 1
    assert call(tree, "keys", "show", "none") == 3
    monkeypatch.delenv("SEALDEX_KEY_PASSPHRASE")
    assert call(tree, "keys", "create", "root-4") == 1  # nobody to ask, and not asked to go without


def test_the_help_names_every_kind_of_key(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    # the command states them itself, so that --help needn't import what makes keys
    assert call(tree, "keys", "create", "--help") == 0
    assert f"[{'|'.join(KEY_KINDS)}]" in capsys.readouterr().out


def test_a_passphrase_is_never_an_option(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree, "keys", "create", "--help") == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("--pass")]


def test_site_writes_the_pages_of_the_source_tree_and_again_none(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = document(tree, capsys, "site", "--output", str(tmp_path / "site"))
    assert written["files"] == len(written["written"])
    assert "acme/slack" in (tmp_path / "site/index.html").read_text()
    again = document(tree, capsys, "site", "--output", str(tmp_path / "site"))
    assert (again["files"], again["written"]) == (written["files"], [])
    assert not (tree.root.parent / "published").exists()


@pytest.mark.parametrize("command", ["publish", "refresh", "status", "serve", "site", "keys"])
def test_every_command_has_an_example(tree: Tree, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree, command, "--help") == 0
    assert f"sealdex-builder {command}" in capsys.readouterr().out.split("Example:")[1]


def test_the_first_publish_of_an_empty_realm_speaks_of_no_other_version(
    tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(tree.root / "plugins")
    (tree.root / "plugins").mkdir()
    assert call(tree, "publish", "--realm", "public") == 0
    said = capsys.readouterr().out
    assert "sign" in said
    assert "another version" not in said
