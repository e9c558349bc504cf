"""An older checkout publishes: what others have published since stays, and whoever ran it is told.

A job that is run again, a submodule that is pinned, two publishers of which one hasn't pulled: the tree is valid, only
older. Trees are compared by content, so none of this needs git.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.api import publish as publish_tree
from registry_builder.authoring.lifecycle import attest, demote, deprecate, evaluate, promote, undeprecate, unyank, yank
from registry_builder.authoring.status_file import Report
from registry_builder.compile.removed_events import RemovedEvent
from registry_builder.publication import commit as commit_module
from registry_builder.publication.publish import NotAllPublishedError, PublishResult, open_publisher, publish_realm
from registry_builder.storage import Storage, open_storage
from registry_builder.storage.folder import FolderStorage
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument

SLACK, MAIL = PluginId("acme", "slack"), PluginId("acme", "mail")
AT = "2026-11-21T12:00:00Z"


def run(
    tree: Tree, storage: Storage | None = None, *accepted: PluginId, only: tuple[PluginId, ...] = ()
) -> PublishResult:
    opened = open_publisher(tree.load(*map(str, only)), "public", storage=storage)
    return publish_realm(opened, accept_removed=accepted, only=only or None)


def shown(tree: Tree, plugin: PluginId, storage: Storage | None = None) -> IndexDocument:
    place = storage or FolderStorage(tree.root.parent / "published/public")
    index = StockClient(place, (tree.root / "trust/public/1.root.json").read_bytes()).index(str(plugin))
    assert index is not None
    return index


@pytest.fixture
def older(tree: Tree) -> Tree:
    """A copy of the tree, made before anything happened to its releases, and after it was published."""
    tree.release("acme/slack", "1.1.0-rc.1", channel="beta")
    run(tree)
    return copy_of(tree)


def copy_of(tree: Tree) -> Tree:
    return Tree(Path(shutil.copytree(tree.root, tree.root.parent / "older")))


def report(tree: Tree) -> Report:
    path = tree.root.parent / "report.json"
    path.write_text(json.dumps({"metrics": {"top1": 0.83}}))
    return Report(path=path)


def bill(tree: Tree) -> Path:
    path = tree.root.parent / "slack.cdx.json"
    path.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}))
    return path


HAPPENED: dict[str, tuple[Callable[[Tree], object], RemovedEvent]] = {
    "yank": (
        lambda tree: yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT),
        RemovedEvent(SLACK, "yank", "1.0.0", "", AT, "kim", "leaks"),
    ),
    "deprecate": (
        lambda tree: deprecate(tree.root, SLACK, use=MAIL, by="kim", at=AT),
        RemovedEvent(SLACK, "deprecate", "", "use acme/mail", AT, "kim"),
    ),
    "promote": (
        lambda tree: promote(tree.root, SLACK, "1.1.0-rc.1", "stable", by="kim", at=AT),
        RemovedEvent(SLACK, "promote", "1.1.0-rc.1", "to stable"),
    ),
    "evaluate": (
        lambda tree: evaluate(tree.root, SLACK, "1.0.0", report(tree), by="kim", at=AT),
        RemovedEvent(SLACK, "evaluate", "1.0.0", "top1 0.83", AT, "kim"),
    ),
    "attest": (
        lambda tree: attest(tree.root, SLACK, "1.0.0", bill(tree), by="kim", at=AT),
        RemovedEvent(SLACK, "attest", "1.0.0", "slack.cdx.json (cyclonedx)"),
    ),
}


@pytest.mark.parametrize("action", HAPPENED)
def test_each_kind_of_event_survives_an_older_checkout(tree: Tree, older: Tree, action: str) -> None:
    happen, event = HAPPENED[action]
    happen(tree)
    run(tree)
    before = shown(tree, SLACK)
    with pytest.raises(NotAllPublishedError) as refused:
        run(older)
    (result,) = refused.value.results
    assert [each.events for each in result.plan.older] == [(event,)]
    assert result.plan.held == (SLACK,)
    assert not result.committed
    assert str(event) in refused.value.message
    assert refused.value.hint is not None
    assert "git pull" in refused.value.hint
    assert "--accept-removed acme/slack" in refused.value.hint
    assert shown(tree, SLACK) == before
    # the one that has it goes on as if nothing had been
    assert not run(tree).committed


def test_everything_else_of_an_older_checkout_is_published(
    tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    run(tree)
    older.release("acme/mail", "0.2.0")
    older.release("acme/slack", "2.0.0")
    summary = tmp_path / "summary.md"
    told = document(older.root, capsys, "publish", "--summary", summary, code=1)
    (realm,) = told["realms"]
    assert realm["committed"]
    assert realm["held"] == ["acme/slack"]
    assert realm["new_releases"] == ["acme/mail@0.2.0"]
    assert realm["not_in_tree"]["events"] == [
        {"plugin": "acme/slack", "action": "yank", "version": "1.0.0", "at": AT, "by": "kim", "why": "leaks"}
    ]
    text = summary.read_text()
    assert "❌" in text
    assert "`acme/slack`: yank 1\\.0\\.0" in text.replace("1.0.0", "1\\.0\\.0")
    assert "acme/mail 0.2.0" in text
    assert shown(tree, MAIL).releases[0].version == "0.2.0"
    # neither document nor pages nor search of the plugin went back or forward
    assert [each.version for each in shown(tree, SLACK).releases] == ["1.1.0-rc.1", "1.0.0"]
    page = (tree.root.parent / "published/public/acme/slack/index.html").read_text()
    assert "leaks" in page
    assert "2.0.0" not in page
    assert call(older.root, "publish") == 1
    said = capsys.readouterr().err
    assert "yank 1.0.0 by kim at 2026-11-21T12:00:00Z (leaks)" in said
    assert "git pull" in said
    assert "the rest of the tree is published" in said


def test_only_those_that_are_published_are_compared(
    tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    yank(tree.root, SLACK, "1.0.0", by="kim")
    run(tree)
    older.release("acme/mail", "0.2.0")
    assert call(older.root, "publish", "--only", "acme/mail") == 0
    assert call(older.root, "publish", "--only", "acme/slack") == 1
    assert shown(tree, MAIL).releases[0].version == "0.2.0"
    assert shown(tree, SLACK).releases[-1].yanked is not None


def test_what_does_not_publish_plugins_is_not_stopped(
    tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    yank(tree.root, SLACK, "1.0.0", by="kim")
    run(tree)
    before = shown(tree, SLACK)
    for command in (("refresh",), ("gc",), ("site", "--output", tmp_path / "site"), ("status",)):
        assert call(older.root, *command) == 0, (command, capsys.readouterr())
    assert shown(tree, SLACK) == before


def test_taking_back_on_purpose_is_an_event_and_not_stopped(tree: Tree, older: Tree) -> None:
    yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    yank(tree.root, SLACK, "1.0.0", why="leaks, and crashes", by="kim")
    promote(tree.root, SLACK, "1.1.0-rc.1", "stable", by="kim")
    deprecate(tree.root, SLACK, by="kim")
    run(tree)
    unyank(tree.root, SLACK, "1.0.0", by="kim")
    demote(tree.root, SLACK, "1.1.0-rc.1", "stable", by="kim")
    undeprecate(tree.root, SLACK, by="kim")
    assert run(tree).committed
    document = shown(tree, SLACK)
    assert document.deprecated is None
    assert [(r.yanked, r.channels) for r in document.releases] == [(None, ("beta",)), (None, ("stable",))]


def test_who_insists_takes_back_what_is_named(tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    yank(tree.root, MAIL, "0.1.0", by="kim")
    run(tree)
    assert call(older.root, "publish", "--accept-removed", "acme/slack") == 1
    said = capsys.readouterr().err
    assert "acme/slack loses published events that are not in the source tree: yank 1.0.0 by kim" in said
    assert "--accept-removed acme/mail" in said
    assert "--accept-removed acme/slack" not in said
    assert shown(tree, SLACK).releases[-1].yanked is None
    assert shown(tree, MAIL).releases[0].yanked is not None
    assert call(older.root, "publish", "--accept-removed", "acme/mail") == 0
    assert shown(tree, MAIL).releases[0].yanked is None


def test_what_is_accepted_without_need_is_said(tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """Hazard: the option stays in a workflow, and from then on protects nothing; or it names nobody."""
    assert call(tree.root, "publish", "--accept-removed", "acme/slack") == 0
    assert "--accept-removed acme/slack was not needed" in " ".join(capsys.readouterr().err.split())
    for also in ((), ("--only", "acme/mail")):
        assert call(tree.root, "publish", "--accept-removed", "acme/slak", *also) == 3
        assert "acme/slak is not among the plugins" in capsys.readouterr().err


def test_diff_fails_as_publish_would_and_writes_nothing(
    tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    yank(tree.root, SLACK, "1.0.0", by="kim")
    run(tree)
    told = document(older.root, capsys, "diff", code=1)
    assert told["realms"][0]["held"] == ["acme/slack"]
    assert call(older.root, "publish", "--dry-run") == 1
    assert "nothing was written" in capsys.readouterr().err
    assert document(older.root, capsys, "diff", "--accept-removed", "acme/slack")["realms"][0]["held"] == []
    assert shown(tree, SLACK).releases[-1].yanked is not None
    (planned,) = publish_tree(older.root, dry_run=True)
    assert planned.plan.held == (SLACK,)


def test_releases_that_the_tree_lacks_stay_and_are_named(
    tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tree.release("acme/slack", "2.0.0")
    (tree.root / "plugins/acme/slack/README.md").write_text("# Slack, rewritten\n")
    tree.plugin("acme/mail", owners=[{"name": "Kim"}])
    tree.release("acme/mail", "0.2.0")
    run(tree)
    summary = tmp_path / "summary.md"
    told = document(older.root, capsys, "diff", "--summary", summary)
    assert told["realms"][0]["not_in_tree"]["releases"] == ["acme/mail@0.2.0", "acme/slack@2.0.0"]
    assert "published but not in the source tree: `acme/slack 2.0.0`" in summary.read_text()
    assert call(older.root, "diff") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "acme/slack 2.0.0 is published but not in the source tree: it stays published" in said
    assert "acme/slack: README may go back to an older state" in said
    assert "acme/mail: owners may go back to an older state" in said
    assert "git pull" in said
    assert call(older.root, "publish") == 0
    assert "acme/mail: owners may go back" in " ".join(capsys.readouterr().err.split())
    assert shown(tree, SLACK).releases[0].version == "2.0.0"


def test_releases_are_named_where_nothing_else_differs(
    tree: Tree, older: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    tree.release("acme/slack", "2.0.0")
    run(tree)
    told = document(older.root, capsys, "diff")
    assert told["realms"][0]["not_in_tree"]["releases"] == ["acme/slack@2.0.0"]
    assert not told["realms"][0]["changes"]


def test_a_newer_readme_of_a_whole_tree_is_no_warning(tree: Tree, older: Tree) -> None:
    (tree.root / "plugins/acme/slack/README.md").write_text("# Slack, rewritten\n")
    assert run(tree).warnings == []


def test_who_lost_the_race_compares_with_who_won_it(tree: Tree, older: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hazard: a yank is published between the reading and the commit of a publisher that doesn't have it."""
    yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    older.release("acme/mail", "0.2.0")
    older.release("acme/slack", "2.0.0")
    commit = commit_module.commit
    waiting = [tree]

    def commit_second(*args: object, **options: object) -> object:
        if waiting:
            run(waiting.pop())
        return commit(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("registry_builder.publication.publish.commit", commit_second)
    with pytest.raises(NotAllPublishedError) as refused:
        run(older)
    (result,) = refused.value.results
    assert result.attempts == 2
    assert result.plan.new_releases == ((MAIL, "0.2.0"),)
    assert shown(tree, SLACK).releases[-1].yanked is not None


def test_a_job_that_is_run_again_on_s3(tree: Tree, s3_uri: str) -> None:
    storage = open_storage(s3_uri, base=tree.root)
    run(tree, storage)
    older = copy_of(tree)
    yank(tree.root, SLACK, "1.0.0", why="leaks", by="kim", at=AT)
    run(tree, storage)
    with pytest.raises(NotAllPublishedError):
        run(older, storage, only=(SLACK,))
    with pytest.raises(NotAllPublishedError):
        run(older, storage)
    assert shown(tree, SLACK, storage).releases[-1].yanked is not None


def test_programs_are_told_after_every_realm_was_published(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path / "source", realms=("public", "team"))
    for plugin, realm in (("acme/slack", "public"), ("acme/secret", "team")):
        tree.plugin(plugin, realm=realm)
        tree.release(plugin, "1.0.0")
    publish_tree(tree.root)
    older = copy_of(tree)
    yank(tree.root, SLACK, "1.0.0", by="kim")
    publish_tree(tree.root)
    older.release("acme/secret", "2.0.0")
    with pytest.raises(NotAllPublishedError) as refused:
        publish_tree(older.root)
    assert [each.committed for each in refused.value.results] == [False, True]
    assert publish_tree(older.root, accept_removed=["acme/slack"])[0].committed


# --- what took something back leaves no mark of its own ---------------------------------------------------------------


def test_an_older_checkout_yanks_nothing_again(tree: Tree, older: Tree) -> None:
    for happen in (yank, unyank):
        shutil.rmtree(older.root)
        older = copy_of(tree)
        happen(tree.root, SLACK, "1.0.0", by="kim", at=AT)
        run(tree)
    with pytest.raises(NotAllPublishedError) as refused:
        run(older)
    assert refused.value.results[0].plan.older[0].events == (RemovedEvent(SLACK, "unyank", "1.0.0", "", AT, "kim"),)
    assert shown(tree, SLACK).releases[-1].yanked is None


def test_each_step_of_a_channel_is_kept_apart(tree: Tree, older: Tree) -> None:
    """Promoted, taken off and promoted again is more than promoted and taken off."""
    steps = [promote, demote, promote, demote]
    checkouts = [older.root]
    for number, step in enumerate(steps):
        step(tree.root, SLACK, "1.1.0-rc.1", "stable", by="kim", at=f"2026-11-21T12:00:0{number}Z")
        run(tree)
        on = ("beta", "stable") if step is promote else ("beta",)
        assert shown(tree, SLACK).releases[0].channels == on
        for checkout in checkouts:
            with pytest.raises(NotAllPublishedError):
                run(Tree(checkout))
        assert shown(tree, SLACK).releases[0].channels == on
        checkouts.append(Path(shutil.copytree(tree.root, tree.root.parent / f"older-{number}")))


def test_deprecation_and_its_end_are_kept_apart(tree: Tree, older: Tree) -> None:
    deprecate(tree.root, SLACK, by="kim", at=AT)
    run(tree)
    between = Path(shutil.copytree(tree.root, tree.root.parent / "between"))
    undeprecate(tree.root, SLACK, by="kim", at=AT)
    run(tree)
    with pytest.raises(NotAllPublishedError, match="undeprecate by kim"):
        run(Tree(between))
    assert shown(tree, SLACK).deprecated is None


def test_a_release_that_the_tree_lacks_keeps_what_was_taken_back_of_it(tree: Tree, older: Tree) -> None:
    tree.release("acme/slack", "2.0.0")
    yank(tree.root, SLACK, "2.0.0", by="kim")
    unyank(tree.root, SLACK, "2.0.0", by="kim")
    run(tree)
    before = shown(tree, SLACK)
    assert len(before.taken_back) == 1
    older.plugin("acme/slack", summary="Another line")
    assert run(older).committed
    assert shown(tree, SLACK).taken_back == before.taken_back
