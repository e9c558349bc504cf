"""Links in a source tree: whoever opens a pull request chooses them, and a runner with keys builds the tree.

Attacker throughout: puts links into the tree, hoping that a file of the publisher's machine is published, or quoted in
an error. Refusal throughout: the file and the reason are named, nothing of the secret is said, nothing is published.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.authoring import builder, zip_of
from support.source_trees import Tree

from registry_builder.publication.context import open_publisher
from registry_builder.publication.publish import publish_realm
from registry_builder.signing.metadata import realm_marker
from registry_builder.signing.offline_metadata import load_trust
from registry_builder.site.from_tree import site_from_tree
from registry_builder.site.lint import site_problems
from registry_builder.source.lint.tree import lint_tree
from registry_builder.source.safe_open import Gate, StrayError, UnreadableError
from registry_builder.source.version_control import is_version_control
from sealdex.errors import SealdexError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")

SECRET = "s3cret-of-the-runner"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    made = Tree.make(tmp_path / "source")
    made.plugin("acme/slack", readme="# Slack\n")
    made.release("acme/slack", "1.0.0")
    (tmp_path / "outside.txt").write_text(SECRET)
    (made.root / ".git").mkdir()
    (made.root / ".git/config").write_text(f"[http]\n\textraheader = {SECRET}\n")
    (made.root / "gha-creds-0123456789abcdef.json").write_text(f'{{"token": "{SECRET}"}}')
    (made.root / "notes.txt").write_text(SECRET)
    return made


TARGETS = {
    "the environment": "/proc/self/environ",
    "a file of the machine": "../../../../outside.txt",
    "git's configuration": "../../../.git/config",
    "a runner's credentials": "../../../gha-creds-0123456789abcdef.json",
    "another file of the tree": "../../../notes.txt",
    "a device": "/dev/zero",
}


def place_link(tree: Tree, name: str, target: str) -> None:
    place = tree.root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    up = "../" * (len(Path(name).parts) - 1)
    place.symlink_to(target.replace("../../../", up) if target.startswith("../../../") else target)


def published_bytes(tree: Tree) -> bytes:
    folder = tree.root.parent / "published"
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_attack_a_readme_that_is_a_link(tree: Tree, target: str) -> None:
    place_link(tree, "plugins/acme/slack/README.md", target)
    found = [problem for problem in lint_tree(tree.load()) if problem.file.endswith("README.md")]
    assert len(found) == 1
    with pytest.raises(SealdexError) as caught:
        publish_realm(open_publisher(tree.load(), "public"))
    assert "README.md" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in str(found)
    assert not (tree.root.parent / "published/public/metadata/timestamp.json").exists()
    assert SECRET.encode() not in published_bytes(tree)


@pytest.mark.parametrize("name", ["site/assets/e.txt", "site/home.html.j2", "site/logo.svg", "site/vendor/x.js"])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_attack_a_file_of_the_site_that_is_a_link(
    tree: Tree, name: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place_link(tree, name, target)
    if "logo" in name:
        with (tree.root / "registry.toml").open("a") as file:
            file.write('\n[site]\nlogo = "logo.svg"\n')
    loaded = tree.load()
    found = [problem for problem in site_problems(loaded) if problem.file == name]
    assert [problem.severity for problem in found] == ["error"]
    assert SECRET not in str(found)
    assert builder("--tree", tree.root, "validate", "--offline") == 1
    assert name in capsys.readouterr().out
    with pytest.raises(SealdexError, match=name):
        site_from_tree(loaded, "public", load_trust(tree.root, "public", realm_marker(loaded.config, "public")))
    result = publish_realm(open_publisher(loaded, "public"))
    assert any(name in warning for warning in result.warnings), result.warnings
    assert SECRET.encode() not in published_bytes(tree)


def test_attack_a_template_that_includes_a_file_of_the_machine(tree: Tree) -> None:
    """Change: templates that name paths of their own, through the template engine. The sandbox has no environment."""
    (tree.root / "site").mkdir()
    for inclusion in (
        '{% include "../notes.txt" %}',
        '{% include "/etc/passwd" %}',
        '{% include "assets/../../notes.txt" %}',
        '{{ to.__globals__["os"].environ }}',
        "{{ cycler.__init__.__globals__.os.environ }}",
        "{{ asset.__closure__[0].cell_contents }}",
    ):
        (tree.root / "site/home.html.j2").write_text(inclusion)
        result = publish_realm(open_publisher(tree.load(), "public"))
        assert result.warnings, inclusion
    written = published_bytes(tree)
    assert SECRET.encode() not in written
    assert Path("/etc/passwd").read_bytes().splitlines()[0] not in written


@pytest.mark.parametrize(
    "name",
    ["plugins/acme/slack/dist", "plugins/acme/slack/dist/slack-1.0.0.bin"],
    ids=["its folder", "the file"],
)
def test_attack_an_artifact_through_a_link(tree: Tree, name: str) -> None:
    """Even where the attacker knows the file's digest: it isn't opened."""
    release = tree.release("acme/slack", "1.0.0", data=SECRET.encode())
    target = tree.root / "plugins/acme/slack/dist/slack-1.0.0.bin"
    target.unlink()
    (tree.root / "slack-1.0.0.bin").write_text(SECRET)
    place = tree.root / name
    if place.is_dir():
        place.rmdir()
    place.symlink_to(tree.root if place.name == "dist" else tree.root / "slack-1.0.0.bin")
    errors = [str(problem) for problem in lint_tree(tree.load())]
    assert any(f"{release.relative_to(tree.root)}" in e and "leaves plugins/acme/slack/" in e for e in errors), errors
    with pytest.raises(SealdexError, match="leaves plugins/acme/slack/"):
        publish_realm(open_publisher(tree.load(), "public"))


def test_attack_a_plugin_folder_that_is_the_whole_tree(tree: Tree) -> None:
    """Change: the plugin's folder is a link to the tree's top, so that everything would lie inside it."""
    (tree.root / "plugins/evil").mkdir()
    (tree.root / "plugins/evil/all").symlink_to("../..")
    (tree.root / "plugin.yaml").write_text("type: notify\nsummary: x\nlicense: MIT\n")
    (tree.root / "README.md").symlink_to("notes.txt")
    assert any("evil/all/README.md" in str(problem) for problem in lint_tree(tree.load()))
    with pytest.raises(SealdexError):
        publish_realm(open_publisher(tree.load(), "public"))
    assert SECRET.encode() not in published_bytes(tree)


def test_a_readme_that_was_published_through_a_link_goes_on_with_a_warning(tree: Tree) -> None:
    """Links that leave a plugin's folder, but not the tree, were accepted once: no registry is locked out for them."""
    publish_realm(open_publisher(tree.load(), "public"))
    readme = tree.root / "plugins/acme/slack/README.md"
    readme.rename(tree.root / "shared.md")
    readme.symlink_to("../../../shared.md")
    tree.release("acme/slack", "1.1.0")
    result = publish_realm(open_publisher(tree.load(), "public"))
    assert [version for _, version in result.plan.new_releases] == ["1.1.0"]
    (tree.root / "shared.md").write_text("# Other\n")
    with pytest.raises(SealdexError, match="leaves plugins/acme/slack/"):
        publish_realm(open_publisher(tree.load(), "public"))


# --- the gate itself --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "root"
    (root / "plugins/a/b").mkdir(parents=True)
    (root / "plugins/a/b/file").write_text("inside")
    (tmp_path / "outside").write_text(SECRET)
    yield root
    assert (tmp_path / "outside").read_text() == SECRET


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("../../../../outside", "leaves the source tree"),
        ("/etc/passwd", "leaves the source tree"),
        ("self", "circular link"),
        ("nothing", "link to nothing"),
        ("file/../file", "can't be read"),
        (".", "not a regular file"),
    ],
)
def test_what_a_link_may_not_lead_to(folder: Path, target: str, said: str) -> None:
    (folder / "plugins/a/b/self").symlink_to(target)
    with pytest.raises(UnreadableError, match=said):
        Gate(folder).read(folder / "plugins/a/b/self", 100)


def test_a_tree_may_be_named_as_it_is_seen_from_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "plugins/plugins").mkdir()
    (folder / "plugins/plugins/file").write_text("inner")
    for here, root in ((folder, "plugins"), (folder / "a-folder", "../plugins"), (folder / "plugins", ".")):
        here.mkdir(exist_ok=True)
        monkeypatch.chdir(here)
        place = Path(root) / "plugins/file"
        assert Gate(Path(root)).read(place, 10) == b"inner"
        found = Gate(root).entries(os.path.join(root, "plugins"))  # noqa: PTH118  # text, as loading has it
        assert [Gate(root).relative(each.path).removeprefix("./") for each in found] == ["plugins/file"]
    with pytest.raises(ValueError, match="not below"):
        Gate("plug").read("plugins/file", 10)


def test_links_that_stay_at_home_are_followed(folder: Path) -> None:
    home = folder / "plugins/a/b"
    (home / "docs").mkdir()
    (home / "docs/one").symlink_to("../file")
    (home / "two").symlink_to("docs/one")
    (home / "three").symlink_to(home / "two")  # an absolute link to where the tree lies now
    (folder / "plugins/a/alias").symlink_to("b")  # a plugin's folder may be a link
    gate = Gate(folder)
    for name in ("docs/one", "two", "three"):
        assert gate.read(home / name, 100) == b"inside"
    assert gate.read(folder / "plugins/a/alias/two", 100) == b"inside"
    (folder / "elsewhere").write_text("elsewhere")
    (home / "four").symlink_to("../../../elsewhere")
    with pytest.raises(StrayError):
        gate.read(home / "four", 100)


def test_attack_a_link_that_is_put_there_after_the_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacker: a process that writes to the tree while it is built. Change: the file, or a folder above it, becomes a
    link out of the tree between looking and opening. Refusal: what was looked at is what is read.
    """
    real_open = os.open
    swaps: list[str] = []

    def swapped(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if name == swaps[-1]:
            place = folder / {"b": "plugins/a/b", "file": "plugins/a/b/file"}[name]
            if not place.is_symlink():
                place.rename(folder.parent / f"moved-{name}")
                place.symlink_to(folder.parent / ("" if name == "b" else "outside"))
        return real_open(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapped)
    for name in ("file", "b"):
        swaps.append(name)
        gate = Gate(folder)
        with pytest.raises(UnreadableError, match="leaves the source tree"):
            gate.read(folder / "plugins/a/b/file", 100)


@pytest.mark.parametrize(
    "name",
    [".git", ".GIT", ".git.", ".git ", ".git. .", "git~1", "GIT~1", ".g\u200cit", ".git::$INDEX_ALLOCATION", ".hg"],
)
def test_attack_every_spelling_of_git_is_refused(folder: Path, name: str) -> None:
    assert is_version_control(name)
    (folder / name).mkdir()
    (folder / name / "config").write_text(SECRET)
    (folder / "plugins/a/b/link").symlink_to(f"../../../{name}/config")
    for path in ("plugins/a/b/link", f"{name}/config"):
        with pytest.raises(UnreadableError, match="never read"):
            Gate(folder).read(folder / path, 1000)


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", "git", "digit~1.txt", "my.git", "README.md"])
def test_names_that_are_only_like_it_are_read(folder: Path, name: str) -> None:
    (folder / name).write_text("x")
    assert Gate(folder).read(folder / name, 10) == b"x"


@pytest.mark.parametrize("name", [".env", ".env.production", "id_rsa", "key.p12", "_netrc", "gha-creds-0a.json"])
def test_attack_what_is_a_key_by_its_name_is_not_read(folder: Path, name: str) -> None:
    (folder / "plugins/a/b" / name).write_text(SECRET)
    (folder / "plugins/a/b/link").symlink_to(name)
    for path in (name, "link"):
        with pytest.raises(UnreadableError, match="by its name"):
            Gate(folder).read(folder / "plugins/a/b" / path, 100)


# --- nobody opens files of a tree on their own ------------------------------------------------------------------------


def test_every_file_of_a_tree_is_opened_by_the_gate(tree: Tree) -> None:
    """Everything that is opened for reading while a tree is validated and published goes through `Gate`."""
    tree.plugin("acme/other", readme="# Other\n")
    tree.release("acme/other", "1.0.0")
    (tree.root / "site/assets").mkdir(parents=True)
    (tree.root / "site/assets/own.css").write_text("a { color: red }\n")
    (tree.root / "site/home.html.j2").write_text("<p>{{ site.title }}</p>")
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if not watching or event != "open" or not isinstance(arguments[0], str | bytes):
            return
        path = os.fsdecode(arguments[0])
        if path.startswith(str(tree.root)) and path != str(tree.root):
            frame = sys._getframe(1)
            opened.append(f"{path} by {frame.f_code.co_filename}:{frame.f_lineno}")

    sys.addaudithook(watch)
    try:
        lint_tree(tree.load())
        publish_realm(open_publisher(tree.load(), "public"))
    finally:
        watching = False
    assert opened == []


# --- writing ----------------------------------------------------------------------------------------------------------

WRITERS = {
    "a new plugin, below plugins/": ("plugins", ("new", "notify", "acme/new")),
    "a new plugin, below its namespace": ("plugins/other", ("new", "notify", "other/new")),
    "a release": ("plugins/acme/slack/releases", ("release", "--version", "2.0.0", "--plugin", "acme/slack")),
    "an archive": ("plugins/acme/slack/dist", ("release", "--version", "2.0.0", "--plugin", "acme/slack", "ARCHIVE")),
    "an event": ("plugins/acme/slack/status", ("yank", "acme/slack@1.0.0", "--by", "me")),
    "an attachment": ("plugins/acme/slack/attachments", ("attest", "acme/slack@1.0.0", "SBOM", "--by", "me")),
    "a ceremony": ("ceremonies", ("ceremony", "start", "renew", "--renew", "root", "--by", "me")),
}


@pytest.mark.parametrize(("place", "command"), WRITERS.values(), ids=WRITERS.keys())
def test_attack_a_folder_that_is_written_to_is_a_link(tree: Tree, place: str, command: tuple[str, ...]) -> None:
    """Attacker: hopes that who reviews writes over their own files. Refusal: nothing is written outside, nor inside."""
    outside = tree.root.parent / "outside"
    outside.mkdir()
    archive, sbom = tree.root.parent / "slack-2.0.0.zip", tree.root.parent / "sbom.json"
    archive.write_bytes(zip_of("main.py"))
    sbom.write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    link = tree.root / place
    if link.is_dir():
        link.rename(tree.root.parent / "moved")
    link.symlink_to(outside)
    before = set(tree.root.rglob("*"))
    given = [{"ARCHIVE": archive, "SBOM": sbom}.get(each, each) for each in command]
    assert builder("--tree", tree.root, *given) in {1, 3}
    assert list(outside.iterdir()) == []
    assert set(tree.root.rglob("*")) == before


def test_a_plugin_folder_that_is_a_link_within_the_tree_is_written_to(tree: Tree) -> None:
    """As in a repository that keeps its plugins elsewhere."""
    home = tree.root / "plugins/acme/slack"
    (tree.root / "src").mkdir()
    home.rename(tree.root / "src/slack")
    home.symlink_to("../../src/slack")
    assert builder("--tree", tree.root, "yank", "acme/slack@1.0.0", "--by", "me") == 0
    assert list((tree.root / "src/slack/status").iterdir())
