"""One file an event: branches merge without conflict, the order is that of what happened, nothing is overlooked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.authoring.lifecycle import deprecate, promote, unyank, yank
from registry_builder.source.event_files import event_file_name, event_name_problem, event_order
from registry_builder.source.load import load_tree
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId
from sealdex.model.plugin import FoldedStatus, StatusEvent, fold_status

SLACK, MAIL = PluginId("acme", "slack"), PluginId("acme", "mail")
AT = "2026-11-21T12:00:00Z"


def folder(tree: Tree) -> Path:
    return tree.root / "plugins/acme/slack/status"


def names(tree: Tree) -> list[str]:
    return sorted(path.name for path in folder(tree).iterdir())


def folded(tree: Tree) -> FoldedStatus:
    loaded = tree.load()
    assert [str(p) for p in loaded.problems if p.severity == "error"] == []
    return fold_status(loaded.plugins[SLACK].status.events)


def said(tree: Tree) -> str:
    return "\n".join(str(problem) for problem in load_tree(tree.root).problems)


# --- what is written --------------------------------------------------------------------------------------------------


def test_the_first_event_says_in_status_json_where_events_are(tree: Tree) -> None:
    change = yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    (name,) = names(tree)
    status = tree.root / "plugins/acme/slack/status.json"
    assert json.loads(status.read_bytes()) == {"events_in": "status"}
    assert change.file == folder(tree) / name
    assert change.files == (status, change.file)
    event = json.loads(change.file.read_bytes())
    assert event == {"action": "yank", "at": AT, "by": "kim", "why": "leaks", "version": "1.0.0"}
    assert name.startswith("20261121T120000Z-000-yank-1.0.0-")
    assert promote(tree.root, SLACK, "1.0.0", "lts", by="kim", at=AT).files == (folder(tree) / names(tree)[1],)
    assert list(folded(tree).yanked) == ["1.0.0"]


def test_what_is_in_status_json_stays_and_comes_first(tree: Tree) -> None:
    before = {"action": "yank", "at": "2099-01-01T00:00:00Z", "by": "kim", "version": "1.0.0"}
    tree.status("acme/slack", before)
    unyank(tree.root, SLACK, "1.0.0", by="kim", at=AT)
    status = json.loads((tree.root / "plugins/acme/slack/status.json").read_bytes())
    assert status == {"events_in": "status", "events": [before]}
    assert folded(tree).yanked == {}
    assert [event.action for event in tree.load().plugins[SLACK].status.events] == ["yank", "unyank"]


def test_the_command_names_every_file_to_commit(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    told = document(tree.root, capsys, "yank", "acme/slack@1.0.0", "--by", "kim")
    assert [Path(file).name for file in told["files"]] == ["status.json", Path(told["file"]).name]
    assert call(tree.root, "yank", "acme/slack@1.0.0", "--by", "kim") == 0
    assert len(names(tree)) == 1


# --- order ------------------------------------------------------------------------------------------------------------


def test_events_of_one_second_stay_in_the_order_in_which_they_were_made(tree: Tree) -> None:
    for number in range(12):
        (unyank if number % 2 else yank)(tree.root, SLACK, "1.0.0", by="kim", at=AT)
    actions = [event.action for event in tree.load().plugins[SLACK].status.events]
    assert actions == ["yank", "unyank"] * 6
    assert folded(tree).yanked == {}


def test_a_clock_that_is_behind_does_not_put_an_event_before_what_it_answers(tree: Tree) -> None:
    yank(tree.root, SLACK, "1.0.0", by="kim", at="2026-11-21T12:00:05Z")
    unyank(tree.root, SLACK, "1.0.0", by="lee", at="2026-11-21T11:59:00Z")
    assert folded(tree).yanked == {}
    assert names(tree)[1].startswith("20261121T120005Z-001-unyank-1.0.0-")
    yank(tree.root, SLACK, "1.0.0", by="kim", at="2026-11-21T12:00:06Z")
    assert names(tree)[2].startswith("20261121T120006Z-000-yank-1.0.0-")
    assert list(folded(tree).yanked) == ["1.0.0"]


def test_order_is_by_number_and_not_by_letter() -> None:
    event = StatusEvent(action="yank", at=AT, by="kim", version="1.0.0")
    last = event_order(event_file_name(event, None))
    for _ in range(1200):
        assert last is not None
        later = event_order(event_file_name(event, last))
        assert later is not None
        assert later > last
        last = later


def test_commands_at_once_lose_no_event(tree: Tree) -> None:
    command = [sys.executable, "-m", "registry_builder", "--tree", str(tree.root), "promote", "acme/slack@1.0.0"]
    channels = [f"line-{number}" for number in range(4)]
    running = [subprocess.Popen([*command, "--channel", channel, "--by", "kim"]) for channel in channels]
    assert [each.wait() for each in running] == [0] * 4
    assert set(folded(tree).channels["1.0.0"]) == set(channels)


# --- git --------------------------------------------------------------------------------------------------------------


def git(root: Path, *args: str, expect: int = 0) -> str:
    identity = {
        f"GIT_{role}_{what}": "kim@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *args],
        cwd=root,
        env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def repository(tree: Tree) -> Tree:
    tree.release("acme/slack", "1.1.0")
    commit_all(tree, init=True)
    return tree


def commit_all(tree: Tree, *, init: bool = False) -> None:
    if init:
        git(tree.root, "init", "--quiet", "--initial-branch", "main")
    git(tree.root, "add", "--all")
    git(tree.root, "commit", "--quiet", "--message", "change")


def on_branches(tree: Tree, *changes: Any) -> None:
    """Make each change on a branch of its own from main, and merge them all into main."""
    for number, change in enumerate(changes):
        git(tree.root, "switch", "--quiet", "--create", f"change-{number}", "main")
        change()
        commit_all(tree)
    git(tree.root, "switch", "--quiet", "main")
    for number in range(len(changes)):
        git(tree.root, "merge", "--quiet", "--no-edit", f"change-{number}")


def test_two_pull_requests_with_the_first_events_merge(repository: Tree) -> None:
    root = repository.root
    on_branches(
        repository,
        lambda: yank(root, SLACK, "1.0.0", why="leaks", by="kim", at=AT),
        lambda: yank(root, SLACK, "1.1.0", by="lee", at=AT),
        lambda: deprecate(root, SLACK, use=MAIL, by="kim", at=AT),
    )
    status = folded(repository)
    assert set(status.yanked) == {"1.0.0", "1.1.0"}
    assert status.deprecated is not None
    assert call(root, "validate") == 0


def test_the_same_event_on_two_branches_is_one(repository: Tree) -> None:
    def happen() -> None:
        yank(repository.root, SLACK, "1.0.0", by="kim", at=AT)

    on_branches(repository, happen, happen)
    assert len(names(repository)) == 1


def test_branches_on_a_status_json_that_has_events_merge(repository: Tree) -> None:
    """One of them was made by 0.1.0, which appends to status.json."""
    root, path = repository.root, repository.root / "plugins/acme/slack/status.json"
    first = [{"action": "promote", "at": AT, "by": f"kim-{n}", "version": "1.0.0", "channel": "lts"} for n in range(2)]
    path.write_text(json.dumps({"events": first}, indent=2) + "\n")
    commit_all(repository)

    def appended() -> None:
        more = {"action": "yank", "at": AT, "by": "lee", "version": "1.1.0"}
        path.write_text(json.dumps({"events": [*first, more]}, indent=2) + "\n")

    on_branches(
        repository,
        lambda: yank(root, SLACK, "1.0.0", by="kim", at=AT),
        lambda: promote(root, SLACK, "1.1.0", "lts", by="kim", at=AT),
        appended,
    )
    status = folded(repository)
    assert set(status.yanked) == {"1.0.0", "1.1.0"}
    assert status.channels == {"1.0.0": ("lts",), "1.1.0": ("lts",)}
    assert json.loads(path.read_bytes())["events_in"] == "status"


# --- reading ----------------------------------------------------------------------------------------------------------


def test_events_without_the_mark_in_status_json_are_an_error(repository: Tree) -> None:
    """Hazard: an earlier builder, pinned in a workflow, would overlook the folder and un-yank."""
    yank(repository.root, SLACK, "1.0.0", by="kim")
    status = repository.root / "plugins/acme/slack/status.json"
    status.unlink()
    assert 'status.json: events_in: is missing, but status/ contains events: write "events_in": "status"' in said(
        repository
    )
    status.write_text("{}")
    assert "events_in: is missing" in said(repository)
    with pytest.raises(ConfigError, match="events_in"):
        yank(repository.root, SLACK, "1.1.0", by="kim")


@pytest.mark.parametrize("field", ["why", "by", "version", "at"])
def test_an_event_that_was_edited_is_noticed(tree: Tree, field: str) -> None:
    yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    (path,) = folder(tree).iterdir()
    edited = {
        **json.loads(path.read_bytes()),
        field: {"at": "2026-11-20T12:00:00Z", "version": "0.9.0"}.get(field, "x"),
    }
    path.write_text(json.dumps(edited))
    assert "events are never edited: restore the file" in said(tree)
    right = said(tree).rsplit("rename it to ", 1)[1].strip()
    path.rename(path.with_name(right))
    assert said(tree) == ""


def test_white_space_and_line_ends_are_no_edit(tree: Tree) -> None:
    yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    (path,) = folder(tree).iterdir()
    path.write_bytes(json.dumps(json.loads(path.read_bytes()), indent=8).replace("\n", "\r\n").encode())
    assert list(folded(tree).yanked) == ["1.0.0"]


def test_no_file_that_may_be_an_event_is_passed_over(tree: Tree) -> None:
    yank(tree.root, SLACK, "1.0.0", by="kim", at=AT)
    (path,) = folder(tree).iterdir()
    path.rename(folder(tree) / "yank.JSON")
    assert "does not have the name of an event file: rename it to 20261121T120000Z-000-yank-1.0.0-" in said(tree)
    (folder(tree) / "yank.JSON").write_text('{"action": "yank"')
    assert "status/yank.JSON" in said(tree)
    shutil.rmtree(folder(tree))
    folder(tree).write_text("")
    assert "status: has the name of the folder for events" in said(tree)


def test_a_folder_of_that_name_that_was_there_before_is_no_error(
    tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tree of 0.1.0 in which somebody keeps files of their own in status/ is read as before, with a warning."""
    folder(tree).mkdir()
    (folder(tree) / "notes.json").write_text('{"mine": 1}')
    assert call(tree.root, "publish") == 0
    assert "status/notes.json: is not an event file and is ignored" in said(tree)


def test_problems_of_an_event_name_its_file(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    yank(tree.root, SLACK, "1.0.0", by="kim", at=AT)
    (tree.root / "plugins/acme/slack/releases/1.0.0.json").unlink()
    told = document(tree.root, capsys, "validate", "--offline", code=1)
    (name,) = names(tree)
    places = [(p["file"], p["where"]) for p in told["problems"] if p["severity"] == "error"]
    assert places == [(f"plugins/acme/slack/status/{name}", "version")]


def test_names_are_of_one_form() -> None:
    event = StatusEvent(action="yank", at=AT, by="kim", version="1.0.0-rc.1+build.7")
    name = event_file_name(event, None)
    assert event_name_problem(name, event) is None
    assert event_name_problem(f"20270101T000000Z-007{name[20:]}", event) is None  # its clock was behind
    for wrong in (name.upper(), f"x{name}", f"20250101T000000Z{name[16:]}", name.replace("yank", "unyank")):
        assert event_name_problem(wrong, event) is not None


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["registry.toml", "plugin.json", "releases/1.0.0.json", "status.json", "status/EVENT"])
def test_a_newer_format_is_refused_with_the_advice_to_upgrade(
    tree: Tree, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    yank(tree.root, SLACK, "1.0.0", by="kim", at=AT)
    path = tree.root / "plugins/acme/slack" / file.replace("EVENT", names(tree)[0])
    if file == "registry.toml":
        path = tree.root / file
        path.write_text("format = 2\n" + path.read_text())
    else:
        # what is new in it isn't judged: not a word of the field that this version doesn't know
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 2, "new_field": 1}))
    for command in ("validate", "publish"):
        assert call(tree.root, command) == 1
        shown = "".join(capsys.readouterr())
        assert "reads up to format 1: upgrade" in shown
        assert "sealdex-builder" in shown
        assert "new_field" not in shown
    assert not (tree.root.parent / "published").exists()


def test_a_newer_format_is_refused_where_every_field_is_known(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree.release("acme/slack", "2.0.0")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 2}))
    for command in ("validate", "publish"):
        assert call(tree.root, command) == 1
        assert "reads up to format 1: upgrade" in "".join(capsys.readouterr())
