"""READMEs in other languages: published and pinned as the README is, checked as it is, and shown to their readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builder_cli import call
from support.source_trees import Tree

from registry_builder.publication.publish import open_publisher
from registry_builder.publication.published_documents import compare
from registry_builder.publication.reachability import pinned_files
from registry_builder.source.lint.tree import lint_tree
from sealdex.download.mirror.contents import readme_of
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, readme_key

SLACK = PluginId("acme", "slack")


def write(tree: Tree, name: str, text: str) -> None:
    (tree.root / name).write_bytes(text.encode())


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Tree.make(tmp_path / "source")
    made.plugin("acme/slack", readme="# slack\n\nMessages\n")
    made.release("acme/slack", "1.0.0")
    write(made, "plugins/acme/slack/README.zh.md", "# slack\r\n\r\n\u6d88\u606f\r\n")
    write(made, "plugins/acme/slack/README.pt-BR.md", "# slack\n\nMessages\n")  # not translated yet
    with (made.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["en", "zh"]\n')
    return made


def published(tree: Tree) -> tuple[Path, IndexDocument]:
    site = tree.root.parent / "published/public"
    return site, compare(open_publisher(tree.load(), "public")).documents[SLACK]


def test_a_readme_of_each_language_is_pinned_and_shown_to_its_readers(tree: Tree) -> None:
    assert [problem for problem in lint_tree(tree.load()) if "README" in problem.file] == []
    assert call(tree.root, "publish") == 0
    site, document = published(tree)
    assert set(document.readme_i18n) == {"zh", "pt-BR"}
    assert document.readme_i18n["pt-BR"] == document.readme
    for pin in document.readme_i18n.values():
        data = (site / readme_key(SLACK, pin.sha256)).read_bytes()
        assert len(data) == pin.size
        assert b"\r" not in data
    keys = {readme_key(SLACK, pin.sha256) for pin in (*document.readme_i18n.values(), document.readme) if pin}
    assert keys <= pinned_files(SLACK, document)[0].keys()  # kept by gc, verified by verify-published
    assert [file.key for file in readme_of(document)] == sorted(keys, key=[f.key for f in readme_of(document)].index)
    english, chinese = ((site / place / "acme/slack/index.html").read_text() for place in ("", "site/zh"))
    assert "<p>Messages</p>" in english
    assert "<p>\u6d88\u606f</p>" in chinese
    assert '<div class="prose">' in chinese  # in the page's own language
    assert call(tree.root, "verify-published") == 0

    before = set(site.rglob("*.md"))
    write(tree, "plugins/acme/slack/README.zh.md", "# slack\n\n\u65b0\n")
    assert call(tree.root, "publish") == 0
    assert len(set(site.rglob("*.md")) - before) == 1
    assert "<p>\u65b0</p>" in (site / "site/zh/acme/slack/index.html").read_text()


def test_what_a_readme_may_not_hold_no_translation_may(tree: Tree) -> None:
    write(tree, "plugins/acme/slack/README.zh.md", "<<<<<<< a\n=======\n>>>>>>> b\n")
    key = "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq" * 4 + "\n"
    write(tree, "plugins/acme/slack/README.de.md", key)
    write(tree, "plugins/acme/slack/README.chinese.md", "x")
    (tree.root / "plugins/acme/slack/README.fr.md").write_bytes(b"\xff\xfeB\x00")
    said = {(p.file.rpartition("/")[2], p.severity): p.message for p in lint_tree(tree.load()) if "README" in p.file}
    assert "conflict markers" in said["README.zh.md", "error"]
    assert "UTF-16" in said["README.fr.md", "error"]
    assert "private key" in said["README.de.md", "error"].lower()
    assert "README.zh.md or README.pt-BR.md" in said["README.chinese.md", "warning"]
