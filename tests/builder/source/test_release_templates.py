"""``validate`` reads release.yaml, which `pack` and `release` would refuse otherwise; it imports and runs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.authoring import Bare
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.source.lint.template import template_problems

FILE = "plugins/acme/slack/release.yaml"


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    tree = Bare(tmp_path / "registry")
    tree.plugin("acme/slack")
    return tree


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("version: 1.0.0\n", []),
        ("version: nonsense\n", ["version: must be a semantic version"]),
        ("version: 1.0.0\nentrypoint: a:b\nchanel: beta\n", ["entrypoint: is not a known field", "chanel: is not a"]),
        ("description: x\n", ["version: is missing"]),
        ("version: 1.0.0\ndependencies: {nobody: '~'}\n", ['dependencies["nobody"]: ']),
        ("version: 1.0.0\nartifacts: [{mach: '*.zip'}]\n", ["artifacts[0].mach: is not a known field"]),
        ("version: 1.0.0\nparams_schema: {type: objekt}\n", ["params_schema.type: "]),
        ("version: 1.0.0\nservice: {command: []}\n", ["service.command: is empty"]),
        ("version: [\n", ["is not valid YAML"]),
        ("- 1\n", ["must be a mapping"]),
        ("<<<<<<< ours\nversion: 1.0.0\n=======\n>>>>>>> theirs\n", ["conflict markers"]),
        (b"v\x00e\x00r\x00", [""]),
    ],
)
def test_every_problem_is_named_with_its_field(bare: Bare, text: str | bytes, problems: list[str]) -> None:
    bare.write(FILE, text)
    found = [str(problem) for problem in template_problems(bare.load())]
    assert len(found) == len(problems) or (problems and len(found) > len(problems))
    for wanted in problems:
        assert any(each.startswith(FILE) and wanted in each for each in found), found


def test_a_link_out_of_the_tree_is_not_followed(bare: Bare, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("version: 9.9.9\ntoken: hunter2\n")
    (bare.root / FILE).symlink_to(tmp_path / "secret.yaml")
    [problem] = template_problems(bare.load())
    assert "hunter2" not in str(problem)
    assert "token" not in str(problem)


def test_validate_shows_it_and_who_has_no_release(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.plugin("acme/fresh")
    (tree.root / FILE).write_text("version: 1.1\n")
    assert call(tree.root, "validate", "--offline") == 1
    out, err = capsys.readouterr()
    assert FILE in out
    assert "without a release, so nobody can install them: acme/fresh" in err
    told = document(tree.root, capsys, "validate", "--offline", code=1)
    assert told["unreleased"] == ["acme/fresh"]
    assert [problem["file"] for problem in told["problems"] if problem["severity"] == "error"] == [FILE]
    (tree.root / FILE).write_text("version: 1.1.0\n")
    assert call(tree.root, "validate", "--offline", "acme/slack") == 0


def test_validate_imports_and_runs_nothing(bare: Bare, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    bare.write("plugins/acme/slack/src/main.py", f"open({str(mark)!r}, 'w')\n")
    bare.write(FILE, json.dumps({"version": "1.0.0", "entry_point": "main:Plugin"}))
    call(bare.root, "validate", "--offline")
    assert not mark.exists()
