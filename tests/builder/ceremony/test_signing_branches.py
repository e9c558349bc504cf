"""Signing branches: what signers add is taken, and a branch that carries anything else is refused whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from support.workflows import git

from registry_builder.ceremony import branch as branch_module
from registry_builder.ceremony import due
from registry_builder.ceremony.branch import take_ceremony
from registry_builder.ceremony.ceremony import load_ceremony
from registry_builder.ceremony.steps import Wanted, sign_ceremony, start_ceremony
from registry_builder.signing.key_registration import create_key, register_keys
from registry_builder.signing.metadata import utc_now
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config
from sealdex.errors import ConfigError, NotFoundError, UsageError

EVENT = "ceremonies/swap"


@pytest.fixture
def clone(tree: Tree) -> Path:
    """A clone at main; its branch sign/swap has a ceremony that one of two has signed."""
    root = tree.root
    section, _ = create_key(root, read_config(root), "root-3", kind="ed25519", passphrase=None)
    register_keys(root, {"root-3": section})
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "A registry")
    git(root, "switch", "--quiet", "--create", "sign/swap")
    start_ceremony(root, "swap", Wanted(keys={"root": ("root-1", "root-3")}), by="kim")
    sign_ceremony(root, "swap", Keyring(read_config(root), root), by="kim", keys=["root-1"])
    commit(root, "Sign")
    return root


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--allow-empty", "--message", message)


def at_main(root: Path) -> Path:
    git(root, "switch", "--quiet", "main")
    git(root, "clean", "--quiet", "-ffd")  # a submodule's folder stays behind
    assert not (root / EVENT).exists()
    return root


def test_what_signers_add_is_taken_and_counts(clone: Path) -> None:
    root = at_main(clone)
    taken = take_ceremony(root, "swap", "sign/swap")
    assert sorted(path.name.split(".")[0] for path in taken) == ["2", "plan", "root"]
    (document_,) = load_ceremony(root, "swap").documents
    assert len(document_.signatures) == 1
    assert take_ceremony(root, "swap", "sign/swap") == []


def test_what_is_not_there_is_not_taken(clone: Path) -> None:
    root = at_main(clone)
    with pytest.raises(NotFoundError, match="there is no ceremony 'swap' in main, and none here"):
        take_ceremony(root, "swap", "main")
    take_ceremony(root, "swap", "sign/swap")
    assert take_ceremony(root, "swap", "main") == []  # nothing to add to what is here


def test_main_may_go_on_while_people_sign(clone: Path) -> None:
    root = at_main(clone)
    (root / "plugins/acme/slack/README.md").write_text("# New\n")
    commit(root, "Something else")
    assert len(take_ceremony(root, "swap", "sign/swap")) == 3
    assert (root / "plugins/acme/slack/README.md").read_text() == "# New\n"


def a_workflow(root: Path) -> None:
    (root / ".github/workflows").mkdir(parents=True)
    (root / ".github/workflows/sign.yml").write_text("on: push\n")


def the_configuration(root: Path) -> None:
    path = root / "registry.toml"
    path.write_text(path.read_text().replace("threshold = 2", "threshold = 3"))


def trust_material(root: Path) -> None:
    (root / "trust/public/2.root.json").write_text("{}")


def another_ceremony(root: Path) -> None:
    shutil.copytree(root / EVENT, root / "ceremonies/other")


def that_it_is_finished(root: Path) -> None:
    (root / EVENT / "closed.json").write_text('{"outcome": "finished", "by": "x", "at": "2026-01-01T00:00:00Z"}')


def an_unknown_realm(root: Path) -> None:
    shutil.copytree(root / EVENT / "public", root / EVENT / "private")


def a_name_with_a_line_break(root: Path) -> None:
    (root / EVENT / "plan.json\n").write_text("{}")


def a_link(root: Path) -> None:
    plan = root / EVENT / "plan.json"
    plan.unlink()
    plan.symlink_to("/etc/passwd")


def a_program(root: Path) -> None:
    (root / EVENT / "plan.json").chmod(0o755)


def a_submodule(root: Path) -> None:
    shutil.rmtree(root / EVENT / "public/signatures")
    inner = root / EVENT / "public/2.targets.json"
    inner.mkdir()
    git(inner, "init", "--quiet")
    (inner / "x").write_text("x")
    commit(inner, "x")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (a_workflow, ".github/workflows/sign.yml is not a file that signers may add"),
        (the_configuration, "registry.toml is not a file that signers may add"),
        (trust_material, "trust/public/2.root.json is not a file that signers may add"),
        (another_ceremony, "ceremonies/other/plan.json is not a file that signers may add"),
        (that_it_is_finished, "closed.json is not a file that signers may add"),
        (an_unknown_realm, "swap/private/2.root.json is not a file that signers may add"),
        (a_name_with_a_line_break, "is not a file that signers may add"),
        (a_link, "plan.json is not a plain file"),
        (a_program, "plan.json is not a plain file"),
        (a_submodule, "2.targets.json is not a plain file"),
    ],
)
def test_a_branch_that_carries_anything_else_is_refused(
    clone: Path, change: Callable[[Path], None], reason: str
) -> None:
    """Attack: whoever may push a branch puts something besides signatures into it. It is named, nothing is taken."""
    change(clone)
    commit(clone, "More")
    root = at_main(clone)
    with pytest.raises(ConfigError) as caught:
        take_ceremony(root, "swap", "sign/swap")
    assert reason in caught.value.message
    assert git(root, "status", "--porcelain") == ""


@pytest.mark.parametrize("what", ["changed", "removed"])
def test_what_main_has_of_a_ceremony_is_neither_changed_nor_removed(clone: Path, what: str) -> None:
    """Attack: a ceremony that main has already gets another plan, or loses a signature, on a branch."""
    git(clone, "branch", "--force", "main", "sign/swap")
    (signature,) = (clone / EVENT / "public/signatures").iterdir()
    if what == "changed":
        (clone / EVENT / "plan.json").write_text("{}")
    else:
        signature.unlink()
    commit(clone, "More")
    git(clone, "switch", "--quiet", "main")
    with pytest.raises(ConfigError, match="exists already and is changed or removed"):
        take_ceremony(clone, "swap", "sign/swap")
    assert git(clone, "status", "--porcelain") == ""


def test_no_more_and_no_larger_files_than_a_ceremony_has(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a branch that fills the disk of whoever takes it."""
    root = at_main(clone)
    monkeypatch.setattr(branch_module, "MAX_FILES", 2)
    with pytest.raises(ConfigError, match="it changes 3 files, but at most 2 are allowed"):
        take_ceremony(root, "swap", "sign/swap")
    monkeypatch.setattr(branch_module, "MAX_FILES", 3)
    monkeypatch.setattr(branch_module, "MAX_FILE_BYTES", 100)
    with pytest.raises(ConfigError, match="is larger than 100 bytes"):
        take_ceremony(root, "swap", "sign/swap")
    assert git(root, "status", "--porcelain") == ""


def test_what_lies_here_and_differs_is_left(clone: Path) -> None:
    root = at_main(clone)
    (root / EVENT).mkdir(parents=True)
    (root / EVENT / "plan.json").write_text("mine")
    with pytest.raises(ConfigError, match="differs here from the branch"):
        take_ceremony(root, "swap", "sign/swap")
    assert [path.name for path in (root / EVENT).iterdir()] == ["plan.json"]


def test_only_a_branch_of_this_repository_is_read(clone: Path) -> None:
    root = at_main(clone)
    for ref in ("sign/other", "--output=here", "sign/swap:ceremonies"):
        with pytest.raises(NotFoundError, match="no branch or commit"):
            take_ceremony(root, "swap", ref)
    with pytest.raises(UsageError, match="not a valid ceremony name"):
        take_ceremony(root, "../swap", "sign/swap")
    git(root, "switch", "--quiet", "--orphan", "unrelated")
    commit(root, "Nothing in common")
    git(root, "switch", "--quiet", "main")
    with pytest.raises(ConfigError, match="no commit in common"):
        take_ceremony(root, "swap", "unrelated")
    assert not (root / "here").exists()


def test_a_ceremony_is_shown_as_markdown_in_which_everything_said_is_text(clone: Path, tmp_path: Path) -> None:
    """Attack: whoever starts a ceremony writes HTML, images, headings and mentions into what signers read."""
    evil = "x\n# Signed by all\n<img src=x> ![x](http://evil) @everyone `code` | **bold**"
    plan = clone / EVENT / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "why": evil, "by": evil}))
    summary = tmp_path / "summary.md"
    assert call(clone, "ceremony", "show", "swap", "--summary", summary) == 0
    text = summary.read_text()
    assert "## Ceremony swap: waits for signatures" in text
    assert "- role root no longer trusts root\\-2" in text
    assert "| root 1 | 1 of 2 required | `root-1` |" in text
    for part in ("\n# Signed", "<img", "![x]", "@everyone", " `code`", "**bold**"):
        assert part not in text


def test_what_is_refused_is_said_in_the_summary_too(clone: Path, tmp_path: Path) -> None:
    (clone / EVENT / "public" / "@everyone![x](y).json").write_text("{}")
    commit(clone, "More")
    root, summary = at_main(clone), tmp_path / "summary.md"
    assert call(root, "ceremony", "take", "swap", "sign/swap", "--summary", summary) == 1
    assert "## Ceremony swap: refused" in summary.read_text()
    assert "is not a file that signers may add" in summary.read_text()
    for part in ("@everyone", "![x]"):
        assert part not in summary.read_text()
    assert call(root, "ceremony", "show", "swap", "--summary", summary) == 3
    assert "there is no ceremony 'swap'" in summary.read_text()


def test_what_is_due_is_started_and_nothing_else(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree.root
    said = document(root, capsys, "ceremony", "start", "renew", "--due", "--by", "kim")
    assert said == {"name": "renew", "started": False}
    assert not (root / "ceremonies").exists()
    monkeypatch.setattr(due, "utc_now", lambda: utc_now() + timedelta(days=310))
    said = document(root, capsys, "ceremony", "start", "renew", "--due", "--by", "kim")
    assert said["started"] is True
    assert [each["file"] for each in said["documents"]] == ["2.root.json", "2.targets.json"]
    assert said["wanted"] == []


def test_only_the_role_within_its_window_is_due(tree: Tree) -> None:
    config = tree.root / "registry.toml"
    text = config.read_text()
    table = text.index("[roles.targets]")
    config.write_text(text[:table] + text[table:].replace("signing_days = ", "signing_days = 3", 1))
    config_says = read_config(tree.root).roles
    assert config_says["targets"].signing_days > config_says["root"].signing_days
    assert due.due_offline_roles(tree.root, now=utc_now() + timedelta(days=60)) == ("targets",)
