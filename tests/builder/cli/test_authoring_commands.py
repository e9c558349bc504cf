"""The authoring commands as they are typed: what they print where, JSON, exit codes, help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.authoring import Bare, builder, zip_of

from registry_builder.cli.main import COMMANDS, group
from registry_builder.signing.dev_keys import make_dev_trust
from registry_builder.signing.offline_metadata import trust_folder
from registry_builder.source.load import load_tree

AUTHORING = ("init", "new", "pack", "release", "validate", "import", "diff")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bare:
    tree = Bare(tmp_path / "registry")
    make_dev_trust(tree.root)
    monkeypatch.chdir(tree.root)
    return tree


def test_from_nothing_to_a_valid_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert builder("init", "reg", "--dev-keys") == 0
    monkeypatch.chdir(tmp_path / "reg")
    assert builder("new", "notify", "acme/slack") == 0
    assert builder("pack", "plugins/acme/slack") == 0
    assert builder("release", "plugins/acme/slack/dist/0.1.0/slack-0.1.0.zip") == 0
    assert builder("validate") == 0
    assert builder("diff") == 0


def test_development_keys_are_outside_the_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("--json", "init", tmp_path / "reg", "--dev-keys") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["keys"] == str(tmp_path / "keys")
    names = {path.name for path in trust_folder(tmp_path / "reg", "public").iterdir()}
    assert names == {"1.root.json", "1.targets.json"}
    assert not any(b"PRIVATE KEY" in path.read_bytes() for path in (tmp_path / "reg").rglob("*") if path.is_file())


def test_validate_shows_everything_by_file_and_exits_1(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    tree.plugin("acme/slack", license=None)
    tree.release("acme/slack", "1.0.0", dependencies={"acme/gone": "*"})
    tree.plugin("acme/mail", type="maill")
    assert builder("validate") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "plugins/acme/mail/plugin.yaml"
    assert lines[1].startswith("  error: type: 'maill' is not a known type")
    assert lines[-1] == "2 plugins, 1 release: 2 errors, 1 warning"
    assert builder("--json", "validate") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["errors"], document["warnings"]) == (False, 2, 1)
    assert [p["severity"] for p in document["problems"]] == ["error", "warning", "error"]
    assert set(document["problems"][0]) == {"file", "where", "severity", "message"}


def test_warnings_exit_0(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    tree.plugin("acme/slack", license=None)
    assert builder("validate") == 0
    assert "0 errors, 1 warning" in capsys.readouterr().out


def test_validate_some_plugins_only(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.plugin("acme/mail", type="maill")
    assert builder("validate", "acme/slack") == 0
    assert builder("validate", "acme/gone") == 1


def test_a_file_name_cannot_write_to_the_terminal(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """Attacker: opens a pull request. Change: a folder whose name is an escape sequence. Refusal: shown without it."""
    if os.name == "nt":
        pytest.skip("such names can't be made on Windows")
    tree.write("plugins/a\x1b[2Jb/x/plugin.yaml", "type: notify\nsummary: x\n")
    assert builder("validate") == 1
    assert "\x1b" not in capsys.readouterr().out


def test_the_nearest_tree_or_the_named_one(
    tree: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tree.plugin("acme/slack")
    monkeypatch.chdir(folder)
    assert builder("validate") == 0
    monkeypatch.chdir(tmp_path)
    assert builder("validate") == 3
    assert "sealdex-builder init" in capsys.readouterr().err
    assert builder("--tree", tree.root, "validate") == 0


def test_release_says_what_it_wrote_and_when_it_is_there(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    tree.plugin("acme/tool")
    archive = tree.root.parent / "tool.zip"
    archive.write_bytes(zip_of("tool"))
    command = ["release", "--plugin", "acme/tool", "--version", "1.0.0", f"{archive}:os=linux"]
    assert builder(*command) == 0
    out = capsys.readouterr().out
    assert "copied to plugins/acme/tool/dist/1.0.0/tool.zip" in out
    assert "released acme/tool 1.0.0 on channel stable: plugins/acme/tool/releases/1.0.0.json" in out
    assert builder(*command) == 0
    assert "was already released, without differences" in capsys.readouterr().out
    archive.write_bytes(zip_of("tool", "more"))
    assert builder(*command) == 1
    err = capsys.readouterr().err
    assert "note: no release was written" in err
    assert "raise the version" in err
    assert builder("--json", *command[:-1], f"{archive}:os") == 3  # no label, so it is a name, and there is none


def test_json_is_one_document_even_for_errors(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("--json", "new", "notfy", "acme/slack") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
    assert builder("new", "notify", "acme/slack", "--json") == 0
    assert json.loads(capsys.readouterr().out)["plugin"] == "acme/slack"
    assert (tree.root / "plugins/acme/slack/release.yaml").is_file()


def test_wrong_usage_exits_2(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("new", "notify", "Slack") == 2
    assert builder("new", "notify", "metadata/slack") == 2
    assert builder("validat") == 2
    assert "did you mean 'validate'?" in capsys.readouterr().err
    assert builder("new", "application-suite", "acme/cell", "--depends", "base@1") == 2
    assert not (tree.root / "plugins/acme").exists()


def test_diff_names_plugins_and_releases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("-q", "init", tmp_path / "reg", "--dev-keys") == 0
    tree = Bare.__new__(Bare)
    tree.root = tmp_path / "reg"
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0")
    capsys.readouterr()
    assert builder("--tree", tree.root, "--json", "diff") == 0
    (realm,) = json.loads(capsys.readouterr().out)["realms"]
    assert realm["new_releases"] == ["acme/slack@1.0.0"]
    assert builder("--tree", tree.root, "diff") == 0
    assert "  + acme/slack 1.0.0" in capsys.readouterr().out
    assert not (tree.root / "published").exists()


def test_validate_compares_with_what_is_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from registry_builder.publication.context import open_publisher  # noqa: PLC0415  # as above
    from registry_builder.publication.publish import publish_realm  # noqa: PLC0415  # only this test publishes

    assert builder("-q", "init", tmp_path / "reg", "--dev-keys") == 0
    tree = Bare.__new__(Bare)
    tree.root = tmp_path / "reg"
    tree.plugin("acme/slack")
    path = tree.release("acme/slack", "1.0.0", description="old")
    publish_realm(open_publisher(load_tree(tree.root), "public"))
    assert builder("--tree", tree.root, "validate") == 0
    tree.release("acme/slack", "1.1.0")
    path.write_text(path.read_text().replace("old", "new"))
    capsys.readouterr()
    assert builder("--tree", tree.root, "--json", "validate") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["compared_with"] == ["public"]
    (problem,) = document["problems"]
    assert problem["file"] == "plugins/acme/slack/releases/1.0.0.json"
    assert builder("--tree", tree.root, "validate", "--offline") == 0
    assert builder("--tree", tree.root, "validate", "acme/slack") == 1
    path.unlink()
    capsys.readouterr()
    assert builder("--tree", tree.root, "validate") == 0
    assert "is published but missing from the source tree" in capsys.readouterr().out


def test_validate_does_without_a_storage_that_does_not_answer(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    tree.plugin("acme/slack")
    text = (tree.root / "registry.toml").read_text()
    nobody = "s3://bucket?endpoint_url=http://127.0.0.1:9&region=us-east-1"
    (tree.root / "registry.toml").write_text(text.replace('"folder:published"', f'"{nobody}"'))
    assert builder("validate") == 0
    assert "realm public is not compared with what is published" in capsys.readouterr().err
    (tree.root / "registry.toml").write_text(text.replace('"folder:published"', '"gopher:x"'))
    assert builder("validate") == 1
    assert "error: realms.public.storage: can't publish to 'gopher:x'" in capsys.readouterr().out


@pytest.mark.parametrize("name", AUTHORING)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [name, "krew", "--help"] if name == "import" else [name, "--help"]
    assert group.main(arguments, prog_name="sealdex-builder", standalone_mode=False) == 0
    out = capsys.readouterr().out
    assert "Example:" in out
    assert f"  sealdex-builder {name}" in out


def test_help_imports_no_command() -> None:
    """The table is all that --help needs: what commands bring along takes many times as long."""
    program = (
        "import sys; from registry_builder.cli.main import group\n"
        "try: group.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'boto3', 'jinja2', 'yaml', 'networkx', 'cryptography', 'tuf', 'jsonschema'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for name, command in COMMANDS.items():
        assert name in done.stdout
        assert command.help in done.stdout
