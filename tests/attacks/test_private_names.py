"""Names of private plugins: in nothing that the public realm publishes, prints, logs or sums up.

The attacker reads all that is public: the published tree, its pages, and the logs and summaries of public runs. What
he must not learn is that a private plugin exists.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.source.private_names import MESSAGE, PrivateNames

NAME, SHARED = "skunkworks/warpdrive", "acme/zebrastripe"
SECRETS = ("skunkworks", "warpdrive", "zebrastripe", "hidden-bucket", "intranet.example")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Two realms with a namespace in common, and everything in the private one that has a name."""
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Tree.make(tmp_path / "source", realms=("public", "team"))
    config = made.root / "registry.toml"
    text = config.read_text().replace("[roles.root]", 'url = "https://intranet.example/plugins/"\n\n[roles.root]')
    config.write_text(text.replace('"\n\nurl', '"\nurl'))
    made.plugin("acme/slack", readme="# Slack\n\nAn engine, a warp and a drive.\n", owners=[{"name": "Acme"}])
    made.release("acme/slack", "1.0.0")
    made.release("acme/slack", "1.1.0")
    made.status("acme/slack", event("yank", version="1.0.0", why="loses messages"))
    made.plugin("acme/mail", keywords=["mail"])
    made.release("acme/mail", "0.1.0", dependencies={"acme/slack": "^1"})
    for name in (NAME, SHARED):
        made.plugin(name, realm="team", readme=f"# {name}\n", keywords=["warpdrive"], owners=[{"name": "skunkworks"}])
        made.release(name, "3.0.0", dependencies={"acme/slack": "*"})
        made.release(name, "3.1.0", dependencies={"acme/mail": "*"})
    made.status(NAME, event("yank", version="3.0.0", why="warpdrive leaks"))
    return made


def event(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, "at": "2026-11-22T12:00:00Z", "by": "kim", **fields}


def told(data: bytes) -> list[str]:
    """Return the secrets that bytes tell, whether they are compressed or not."""
    texts = [data.lower()]
    if data[:2] == b"\x1f\x8b":
        texts.append(gzip.decompress(data).lower())
    return [secret for secret in SECRETS if any(secret.encode() in text for text in texts)]


def leaks(folder: Path) -> dict[str, list[str]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {
        path.relative_to(folder).as_posix(): told(path.name.encode() + b"\n" + path.read_bytes()) for path in files
    }
    return {name: secrets for name, secrets in found.items() if secrets}


def test_nothing_public_has_a_private_name(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole published tree with pages, search, feeds and 404, what the run printed, logged and summed up."""
    root, summary, log = tree.root, tmp_path / "summary.md", tmp_path / "run.log"
    steps: list[tuple[object, ...]] = [
        ("validate", "--realm", "public", "--summary", summary),
        ("diff", "--realm", "public", "--summary", summary),
        ("publish", "--realm", "public", "--files", "--summary", summary),
        ("publish", "--realm", "team"),
        ("publish", "--only", "acme/mail", "--realm", "public", "--files", "--summary", summary),
        ("publish", "--realm", "public", "--summary", summary),
        ("status", "--realm", "public", "--summary", summary),
        ("refresh", "--realm", "public", "--summary", summary),
        ("verify-published", "--realm", "public"),
    ]
    outputs = ""
    for number, step in enumerate(steps):
        if step[:2] == ("publish", "--only"):
            tree.release("acme/mail", "0.2.0")
            tree.release(NAME, "3.2.0")
        capsys.readouterr()
        mode = ("--json",) if number % 2 else ("-vv",)
        assert call(root, *step, *mode) == 0, step
        printed = capsys.readouterr()
        if "team" not in step:
            outputs += printed.out + printed.err
    log.write_text(outputs)
    published = tmp_path / "published/public"
    assert {path.name for path in published.iterdir()} >= {"metadata", "targets", "plugins", "404.html", "feed.xml"}
    assert leaks(published) == {}
    assert told(log.read_bytes()) == []
    assert told(summary.read_bytes()) == []
    assert leaks(tmp_path / "published/team")  # the search finds what it looks for
    # what this machine remembers of the public realm, as a public cache of CI keeps it
    assert {name: found for name, found in leaks(tmp_path / "state").items() if "public" in name} == {}


PUBLIC_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("summary", {"summary": f"Like {NAME}, for all"}),
    ("description", {"description": f"See plugins/{NAME}/3.0.0/ and C:\\skunkworks\\warpdrive"}),
    ("owners", {"owners": [{"name": "Friends of Skunkworks/WarpDrive"}]}),
    ("links", {"links": {"source": "https://git.example/skunkworks%2Fwarpdrive.git"}}),
    ("homepage", {"homepage": "https://intranet.example/plugins/"}),
    ("documentation", {"documentation": f"https://x.example/{SHARED}"}),
    ("description", {"description": "index/skunkworks/* is signed by us"}),
]


@pytest.mark.parametrize(("field", "values"), PUBLIC_FIELDS)
def test_a_private_name_in_a_public_field_is_refused(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, values: dict[str, Any]
) -> None:
    tree.plugin("acme/slack", **values)
    found = document(tree.root, capsys, "validate", "--realm", "public", "--summary", tmp_path / "s.md", code=1)
    (problem,) = [each for each in found["problems"] if each["severity"] == "error"]
    assert (problem["file"], problem["where"]) == ("plugins/acme/slack/plugin.yaml", field)
    assert problem["message"] == MESSAGE
    assert told((tmp_path / "s.md").read_bytes()) == []
    capsys.readouterr()
    if values.get("description", "").startswith("index/"):
        return  # a publish of one realm doesn't have to know all plugins of a namespace
    assert call(tree.root, "publish", "--realm", "public", "--summary", tmp_path / "s.md") == 1
    printed = capsys.readouterr()
    assert field in printed.err
    assert told((printed.out + printed.err).encode()) == []
    assert not (tmp_path / "published/public").exists()
    assert call(tree.root, "publish", "--realm", "public", "--only", "acme/slack") == 1


def test_a_private_name_elsewhere_in_what_is_public(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """READMEs, releases, their configuration, events, attachments, the site, registry.toml: all named at once."""
    folder = tree.root / "plugins/acme/slack"
    (folder / "README.md").write_text(f"# Slack\n\nunlike\n[it](../{NAME}.md)\n")
    tree.release("acme/slack", "2.0.0", dependencies={NAME: "^3"}, default_config={"peer": NAME})
    tree.release("acme/mail", "0.2.0", config_schema={"type": "object", "properties": {NAME: {"type": "string"}}})
    tree.status("acme/mail", event("deprecate", why=f"see {NAME}", use=NAME))
    (tree.root / "site/templates").mkdir(parents=True)
    (tree.root / "site/templates/404.html.j2").write_text(f"not here; {NAME}\n")
    config = tree.root / "registry.toml"
    config.write_text(config.read_text() + f'\n[site]\ndescription = "as {NAME}"\n')
    found = document(tree.root, capsys, "validate", "--realm", "public", code=1)
    errors = {(each["file"], each["where"]) for each in found["problems"] if each["severity"] == "error"}
    assert errors == {
        ("plugins/acme/slack/README.md", "line 4"),
        ("plugins/acme/slack/releases/2.0.0.json", "dependencies"),
        ("plugins/acme/slack/releases/2.0.0.json", "default_config"),
        ("plugins/acme/mail/releases/0.2.0.json", "config_schema"),
        ("plugins/acme/mail/status.json", "why"),
        ("plugins/acme/mail/status.json", "use"),
        ("site/templates/404.html.j2", "line 1"),
        ("registry.toml", "site"),
    }
    assert told(json.dumps(found).encode()) == []


def test_pages_with_a_private_name_are_not_written(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The site's own files are every realm's: the release is published, the pages wait, and it is said where."""
    (tree.root / "site/templates").mkdir(parents=True)
    (tree.root / "site/templates/404.html.j2").write_text(f"not here; {NAME}\n")
    assert call(tree.root, "publish", "--realm", "public") == 0
    printed = capsys.readouterr()
    assert "site/templates/404.html.j2: line 1: names a plugin of another realm" in printed.err
    assert told((printed.out + printed.err).encode()) == []
    published = tmp_path / "published/public"
    assert (published / "metadata/timestamp.json").exists()
    assert not (published / "404.html").exists()
    assert leaks(published) == {}


def test_a_claim_in_the_wrong_realm_is_refused(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """``index/skunkworks/*`` would be a path of the public targets metadata."""
    config = tree.root / "registry.toml"
    config.write_text(config.read_text() + '\n[namespaces.skunkworks]\nkeys = ["packages"]\n')
    found = document(tree.root, capsys, "validate", "--realm", "public", code=1)
    (problem,) = [each for each in found["problems"] if each["severity"] == "error"]
    assert problem["where"] == "namespaces[0].realm"
    start = ("ceremony", "start", "x", "--by", "kim", "--claim", "skunkworks=packages")
    config.write_text(config.read_text().replace("\n[namespaces.skunkworks]\nkeys", "\n#"))
    assert call(tree.root, *start) == 1
    assert call(tree.root, *start, "--realm", "team") == 0


def test_what_is_published_already_is_a_warning(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that was public before it was private: nothing that is published stops."""
    team = tree.root / "plugins" / SHARED
    held = (team / "plugin.json").read_text()
    (team / "plugin.json").write_text(held.replace('"team"', '"public"'))
    tree.release("acme/slack", "2.0.0", default_config={"peer": "acme/zebrastripe"})
    assert call(tree.root, "publish") == 0
    (team / "plugin.json").write_text(held)
    found = document(tree.root, capsys, "validate", "--realm", "public", code=0)
    assert [each["severity"] for each in found["problems"] if each["where"] == "default_config"] == ["warning"]
    tree.release("acme/mail", "0.2.0")
    assert call(tree.root, "publish", "--realm", "public") == 0


def test_what_does_not_load_is_not_named(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors of private plugins neither stop the public realm nor stand in its log; what has no realm stops it."""
    private = tree.root / "plugins" / NAME
    (private / "releases/3.3.0.json").write_text("{")
    assert call(tree.root, "publish", "--realm", "public") == 0
    assert call(tree.root, "publish", "--realm", "team") == 1
    (private / "plugin.json").write_text('{"type": "notify", "realm": "teem", "summary": "x"}')
    capsys.readouterr()
    assert call(tree.root, "publish", "--realm", "public") == 1
    (private / "plugin.json").write_text("{")
    assert call(tree.root, "publish", "--realm", "public") == 1
    assert call(tree.root, "validate", "--realm", "public") == 1
    printed = capsys.readouterr()
    assert "doesn't load" in printed.err + printed.out
    assert told((printed.out + printed.err).encode()) == []


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("skunkworks/warpdrive", True),
        ("(skunkworks/warpdrive).", True),
        ("SKUNKWORKS/WarpDrive@3.0.0", True),
        ("plugins/skunkworks/warpdrive/3.0.0/manifest.json", True),
        ("targets/index/skunkworks/warpdrive.json", True),
        ("skunkworks/warpdrive-3.1.0-linux.tar.gz", True),
        ("skunkworks/warpdrive.git", True),
        ("skunkworks%2fwarpdrive", True),
        ("?next=%2Fplugins%2Fskunkworks%2Fwarpdrive%2F", True),
        ("--from=skunkworks/warpdrive", True),
        ("../skunkworks/warpdrive", True),
        ("skunkworks\\\\warpdrive", True),
        ("技能/skunkworks/warpdrive。", True),
        ("skunkworks/*", True),
        ("s3://hidden-bucket/x", False),  # no realm has this one
        ("intranet.example/plugins/index.html", True),
        ("intranet.example/pluginsandmore", False),
        ("skunkworks", False),
        ("warpdrive", False),
        ("the warpdrive of skunkworks", False),
        ("skunkworks/warpdrives", False),
        ("skunkworks/warpdrive-pro", False),
        ("acme/*", False),  # has public plugins too
        ("acme/slack", False),
        ("and/or", False),
    ],
)
def test_what_a_name_is(tree: Tree, text: str, is_name: bool) -> None:  # a column of the table
    names = PrivateNames(tree.load())
    assert bool(names.lines(f"one\n{text}\n", "public")) is is_name
    assert names.lines(f"one\n{text}\n", "team") == []


def test_a_name_may_be_allowed(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    (tree.root / "plugins/acme/slack/README.md").write_text(f"[it](../{NAME}.md)\n")
    config = tree.root / "registry.toml"
    config.write_text(config.read_text() + f'\n[policy]\nallow_names = ["{NAME}"]\n')
    assert document(tree.root, capsys, "validate", "--realm", "public")["errors"] == 0
