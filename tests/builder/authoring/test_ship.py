"""``ship``: from a working copy to a branch with the plugin alone, and a pull request; repeated, it goes on."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from support.authoring import Bare
from support.builder_cli import call, document
from support.workflows import git

from registry_builder.authoring.scaffold import new_plugin
from registry_builder.cli.plugin_argument import names_plugin
from registry_builder.trial import Step, Trial
from sealdex.model.ids import PluginId

BRANCH = "release/acme/slack/0.1.0"
GH = Path(__file__).parents[2] / "support" / "gh_program.py"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bare:
    """A source tree in git, with a remote, a plugin that isn't committed, and no gh."""
    for name, value in (("NAME", "Kim"), ("EMAIL", "kim@example.org")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("git", "python3"):
        found = next(Path(f, program) for f in os.environ["PATH"].split(os.pathsep) if Path(f, program).exists())
        (programs / program).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    made = Bare(tmp_path / "registry")
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(made.root, "init", "--quiet", "--initial-branch=main")
    git(made.root, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(made.root, "add", ".")
    git(made.root, "commit", "--quiet", "--message", "Start")
    new_plugin(made.root, "notify", PluginId("acme", "slack"))
    return made


def with_gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the played gh into the path; return the file with what it knows."""
    program = tmp_path / "bin" / "gh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {GH} "$@"\n'.replace("\\", ""))
    program.chmod(0o755)
    monkeypatch.setenv("GH_STATE", str(tmp_path / "gh.json"))
    monkeypatch.setenv("GH_TOKEN", "a person's")
    return tmp_path / "gh.json"


@pytest.mark.slow
def test_one_command_from_a_working_copy_to_a_pull_request(
    tree: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = with_gh(tmp_path, monkeypatch)
    (tree.root / "README.md").write_text("changed, and staged\n")
    git(tree.root, "add", "README.md")
    told = document(tree.root, capsys, "ship", "acme/slack")
    assert (told["shipped"], told["version"], told["branch"]) == (True, "0.1.0", BRANCH)
    assert git(tree.root, "rev-parse", BRANCH) == told["commit"]
    changed = git(tree.root, "diff", "--name-only", "main", BRANCH).splitlines()
    assert {path.split("/")[0] for path in changed} == {"plugins"}
    assert "plugins/acme/slack/releases/0.1.0.json" in changed
    assert "plugins/acme/slack/dist/0.1.0/slack-0.1.0.zip" in changed
    assert git(tree.root, "diff", "--cached", "--name-only") == "README.md"
    assert git(tmp_path / "remote.git", "rev-parse", BRANCH) == told["commit"]
    [pull] = json.loads(known.read_text())["pulls"]
    assert (pull["head"], pull["title"]) == (BRANCH, "Release acme/slack 0.1.0")
    again = document(tree.root, capsys, "ship", tree.root / "plugins/acme/slack", "--no-test")
    assert (again["shipped"], again["commit"]) == (True, None)
    assert len(json.loads(known.read_text())["pulls"]) == 1


def test_each_step_by_itself_and_without_gh(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree.root, "ship", "acme/slack", "--only", "release") == 3
    assert "sealdex-builder" in capsys.readouterr().err
    assert call(tree.root, "ship", "acme/slack", "--only", "commit") == 1
    assert call(tree.root, "pack", "acme/slack") == 0
    assert call(tree.root, "release", "acme/slack") == 0
    assert call(tree.root, "ship", "acme/slack", "--only", "commit") == 0
    capsys.readouterr()
    assert call(tree.root, "ship", "acme/slack", "--only", "pull-request") == 0
    assert f"git push --set-upstream origin {BRANCH}" in capsys.readouterr().err
    git(tree.root, "switch", "--quiet", "main")
    new_plugin(tree.root, "notify", PluginId("acme", "slack"))  # it is on the branch alone
    assert call(tree.root, "ship", "acme/slack", "--no-test") == 2
    assert f"git switch {BRANCH}" in capsys.readouterr().err


def test_what_fails_its_test_is_not_released(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    (tree.root / "plugins/acme/slack/src/notify.py").write_text("class Plugin: pass\nraise OSError('no disk')\n")
    told = document(tree.root, capsys, "ship", "acme/slack", code=1)
    assert (told["shipped"], told["failed"]) == (False, "test")
    assert not (tree.root / "plugins/acme/slack/releases").exists()
    assert git(tree.root, "branch", "--format=%(refname:short)") == "main"


def test_what_git_cannot_do_is_said_before_anything_is_written(
    tree: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tree.root, "switch", "--quiet", "--create", "release/acme/other/1.0.0")
    assert call(tree.root, "ship", "acme/slack") == 2
    assert "of another release" in capsys.readouterr().err
    plain = Bare(tmp_path / "plain")
    new_plugin(plain.root, "notify", PluginId("acme", "slack"))
    assert call(plain.root, "ship", "acme/slack") == 2
    assert "not in a git repository" in capsys.readouterr().err
    assert not (plain.root / "plugins/acme/slack/dist").exists()


def test_an_archive_is_no_plugin(tmp_path: Path) -> None:
    assert names_plugin("acme/slack")
    assert names_plugin(str(tmp_path))
    assert not names_plugin("out/slack-1.0.0.zip")
    assert not names_plugin("out/tool:os=linux")


def on_branch(tree: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go as far as the commit, with gh, and a fork as the second remote."""
    with_gh(tmp_path, monkeypatch)
    monkeypatch.setenv("GH_TOKEN", "fork:kim")
    (tmp_path / "kim").mkdir()
    git(tmp_path, "clone", "--quiet", "--bare", "remote.git", "kim/remote.git")
    git(tree.root, "remote", "add", "fork", str(tmp_path / "kim/remote.git"))
    assert call(tree.root, "pack", "acme/slack") == 0
    assert call(tree.root, "release", "acme/slack") == 0
    assert call(tree.root, "ship", "acme/slack", "--only", "commit") == 0


def test_a_fork_is_pushed_to_and_an_own_attempt_added_to(
    tree: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_branch(tree, tmp_path, monkeypatch)
    shipped = ["ship", "acme/slack", "--only", "pull-request", "--fork", "--body", "by hand"]
    assert call(tree.root, *shipped) == 0
    first = git(tmp_path / "kim/remote.git", "rev-parse", BRANCH)
    [pull] = json.loads((tmp_path / "gh.json").read_text())["pulls"]
    assert (pull["head"], pull["fork"], pull["body"]) == (BRANCH, "kim", "by hand")
    assert git(tmp_path / "remote.git", "branch", "--list", "release/*") == ""
    # again from main, with another README: the first attempt stays in the history
    git(tree.root, "commit", "--quiet", "--amend", "--message", "The same, told otherwise")
    assert call(tree.root, *shipped) == 0
    assert git(tmp_path / "kim/remote.git", "rev-parse", BRANCH) == first  # nothing differs
    (tree.root / "plugins/acme/slack/README.md").write_text("other\n")
    git(tree.root, "commit", "--quiet", "--amend", "--all", "--no-edit")
    assert call(tree.root, *shipped) == 0
    assert git(tmp_path / "kim/remote.git", "show", f"{BRANCH}:plugins/acme/slack/README.md") == "other"
    assert first in git(tmp_path / "kim/remote.git", "rev-list", BRANCH)
    assert len(json.loads((tmp_path / "gh.json").read_text())["pulls"]) == 1
    capsys.readouterr()


def test_work_of_others_on_the_branch_is_never_pushed_over(
    tree: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attack on nobody, and yet a loss: a reviewer mended the branch, and the release is shipped again."""
    on_branch(tree, tmp_path, monkeypatch)
    there = tmp_path / "theirs"
    git(tmp_path, "clone", "--quiet", str(tmp_path / "kim/remote.git"), str(there))
    git(there, "switch", "--quiet", "--create", BRANCH)
    (there / "note").write_text("theirs\n")
    git(there, "add", ".")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "robin@example.org")
    git(there, "commit", "--quiet", "--message", "Mend it")
    git(there, "push", "--quiet", "origin", BRANCH)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "kim@example.org")
    before = git(tmp_path / "kim/remote.git", "rev-parse", BRANCH)
    assert call(tree.root, "ship", "acme/slack", "--only", "pull-request", "--fork") == 2
    said = capsys.readouterr().err
    assert "has commits of others: robin@example.org" in said
    assert "Mend it" in said
    assert git(tmp_path / "kim/remote.git", "rev-parse", BRANCH) == before
    assert not (tmp_path / "gh.json").exists()  # gh was not asked for anything


def test_what_is_released_is_what_was_tested(
    tree: Bare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that changes between packing and testing would release what nobody tried out."""

    def tried(_folder: Path, plugin: PluginId, **_: object) -> Trial:
        return Trial(plugin, "0.1.0", [Step("load", "passed", "")], {"slack-0.1.0.zip": "0" * 64})

    monkeypatch.setattr("registry_builder.cli.ship.try_plugin", tried)
    assert call(tree.root, "ship", "acme/slack") == 1
    assert "is not the archive that was tested" in capsys.readouterr().err
    assert not (tree.root / "plugins/acme/slack/releases").exists()
