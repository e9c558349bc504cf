"""Loading a source tree: everything that is right, every problem of what isn't, and files made to hurt."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.authoring import Bare, errors, url_artifact, warnings

from registry_builder.source import yaml12
from registry_builder.source.documents import MAX_MANIFEST_BYTES, decode_document
from registry_builder.source.load import load_tree
from registry_builder.source.tree import Problem, SourcePlugin
from registry_builder.source.yaml12 import YamlError, read_yaml
from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError
from sealdex.model.ids import PluginId
from sealdex.model.plugin import Plugin, PluginStatus
from sealdex.model.release import Release

SLACK = PluginId("acme", "slack")


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "registry")


def only_plugin(tree: Bare) -> SourcePlugin:
    return tree.load().plugins[SLACK]


def test_loads_a_plugin_with_everything(tree: Bare) -> None:
    tree.write("plugins/acme/slack/plugin.yaml", "type: notify\nsummary: Sends messages\nkeywords: [chat]\n")
    tree.write("plugins/acme/slack/README.md", "# Slack\n")
    tree.release("acme/slack", "1.9.0")
    tree.release("acme/slack", "1.10.0")
    tree.write("plugins/acme/slack/releases/2.0.0-rc.1.yaml", f"version: 2.0.0-rc.1\nartifacts: [{url_artifact()}]\n")
    tree.write(
        "plugins/acme/slack/status.json",
        {"events": [{"action": "yank", "at": "2026-11-21T12:00:00Z", "by": "ann", "version": "1.9.0"}]},
    )
    loaded = tree.load()
    plugin = loaded.plugins[SLACK]
    assert loaded.problems == ()
    assert loaded.complete
    assert plugin.plugin.keywords == ("chat",)
    assert list(plugin.releases) == ["2.0.0-rc.1", "1.10.0", "1.9.0"]  # newest first, by precedence
    assert plugin.files["2.0.0-rc.1"] == "plugins/acme/slack/releases/2.0.0-rc.1.yaml"
    assert plugin.status.events[0].version == "1.9.0"
    assert plugin.readme is not None


def test_every_problem_is_found_at_once_and_the_rest_is_kept(tree: Bare) -> None:
    tree.write("plugins/acme/slack/plugin.yaml", "typ: notify\nsummary: 5\n")
    tree.write("plugins/acme/mail/plugin.yaml", "type: notify\nsummary: Mail\n")
    tree.release("acme/mail", "1.0.0")
    tree.write(
        "plugins/acme/mail/releases/1.1.0.json", {"version": "1.1.0", "artifacts": [{"source": "x", "size": -1}]}
    )
    tree.write("plugins/acme/mail/releases/1.2.0.json", "{")
    tree.write("plugins/acme/mail/status.json", {"events": [{"action": "yonk"}]})
    loaded = tree.load()
    assert list(loaded.plugins[PluginId("acme", "mail")].releases) == ["1.0.0"]
    assert SLACK not in loaded.plugins
    found = {(problem.file, problem.where) for problem in loaded.problems}
    folder = "plugins/acme/mail"
    assert found >= {
        ("plugins/acme/slack/plugin.yaml", "typ"),
        ("plugins/acme/slack/plugin.yaml", "type"),
        ("plugins/acme/slack/plugin.yaml", "summary"),
        (f"{folder}/releases/1.1.0.json", "artifacts[0].size"),
        (f"{folder}/releases/1.1.0.json", "artifacts[0].sha256"),
        (f"{folder}/releases/1.2.0.json", ""),
        (f"{folder}/status.json", "events[0].action"),
        (f"{folder}/status.json", "events[0].by"),
    }
    assert list(loaded.problems) == sorted(loaded.problems)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1.0.0.json": {"version": "1.0.1"}}, "the file's name says '1.0.0'"),
        ({"1.0.0.json": {"version": "1.0.0"}, "1.0.0.yaml": "version: 1.0.0"}, "second file for version 1.0.0"),
        (
            {"1.0.0+a.json": {"version": "1.0.0+a"}, "1.0.0+b.json": {"version": "1.0.0+b"}},
            "only in build metadata",
        ),
        ({"v1.0.0.json": {"version": "v1.0.0"}}, "write 1.0.0, without 'v'"),
        ({"1.0.json": {"version": "1.0"}}, "write 1.0.0"),
    ],
)
def test_names_of_release_files(tree: Bare, files: dict[str, Any], message: str) -> None:
    tree.plugin("acme/slack")
    for name, data in files.items():
        tree.write(f"plugins/acme/slack/releases/{name}", data)
    assert any(message in error for error in errors(tree.load().problems))


def test_two_plugin_files_are_one_too_many(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.write("plugins/acme/slack/plugin.yaml", "type: build\nsummary: Another\n")
    assert any("keep one of them" in error for error in errors(tree.load().problems))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("plugins/Acme/slack/plugin.yaml", "rename the folder"),
        ("plugins/metadata/slack/plugin.yaml", "is reserved"),
        ("plugins/acme/nul/plugin.yaml", "device on Windows"),
        ("plugins/acme/sl ack/plugin.yaml", "rename the folder"),
    ],
)
def test_folders_are_identifiers(tree: Bare, path: str, message: str) -> None:
    tree.write(path, "type: notify\nsummary: x\n")
    loaded = tree.load()
    assert loaded.plugins == {}
    assert any(message in error for error in errors(loaded.problems))


def test_a_folder_without_plugin_file_says_how_to_make_one(tree: Bare) -> None:
    tree.release("acme/slack", "1.0.0")
    (error,) = errors(tree.load().problems)
    assert "plugin.yaml: is missing" in error
    assert "sealdex-builder new" in error


def test_strays_are_warned_of_with_what_to_do(tree: Bare) -> None:
    tree.plugin("acme/slack")
    for stray in (
        "plugins/note.txt",
        "plugins/acme/note.txt",
        "plugins/acme/slack/1.0.0.json",
        "plugins/acme/slack/readme.md",
        "plugins/acme/slack/notes/a",
        "plugins/acme/slack/releases/old.txt",
    ):
        tree.write(stray, "{}")
    for fine in ("LICENSE", "CHANGELOG.md", ".DS_Store", "src/main.py", "dist/1.0.0/a.zip", "release.yaml"):
        tree.write(f"plugins/acme/slack/{fine}", "x")
    problems = tree.load().problems
    assert errors(problems) == []
    found = warnings(problems)
    assert len(found) == 6
    assert any("1.0.0.json: is ignored: move it into releases/" in w for w in found)
    assert any("rename it to README.md" in w for w in found)


def test_some_plugins_only(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.write("plugins/acme/broken/plugin.yaml", "{")
    loaded = load_tree(tree.root, only=[SLACK, PluginId("acme", "gone")])
    assert list(loaded.plugins) == [SLACK]
    assert not loaded.complete
    assert errors(loaded.problems) == ["plugins/acme/gone: there is no plugin acme/gone in the source tree"]


def test_a_wrong_configuration_is_the_one_thing_that_raises(tree: Bare) -> None:
    tree.write("registry.toml", "[registry]\nname = 'X'\n")
    with pytest.raises(ConfigError):
        tree.load()


# --- YAML means what YAML 1.2 says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30:45", "12:30:45"),
        ("2026-11-21", "2026-11-21"),
        ("386", 386),
        ("'386'", "386"),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.10", 1.1),
        ("-.inf", float("-inf")),
        ("~", None),
        ("", None),
        ("True", True),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert read_yaml(f"a: {text}\n".encode()) == {"a": value}
    assert type(read_yaml(f"a: {text}\n".encode())["a"]) is type(value)


# Up to U+FFFF: JSON escapes what is beyond as two surrogates, a spelling that libyaml doesn't know.
texts = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_is_yaml(value: Any) -> None:
    """YAML 1.2 was made so that JSON is a part of it; so this reader must agree with a JSON parser."""
    assert read_yaml(json.dumps({"a": value}).encode()) == {"a": value}


# --- files made to hurt: whoever opens a pull request writes them --------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)

HIDDEN_BRACKETS = f"# {'[' * 100}\na: '{'[' * 100}'\nb: \"\\\"{'{' * 100}\"\nc: it's\nd: ["


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "expands to more than"),
        ("&a [*a]", "has no complete anchor"),
        ("[" * 500_000, "is nested more than 64 levels deep (line 1)"),
        ("a:\n  " + "{" * 500_000, "is nested more than 64 levels deep (line 2)"),
        ("- " * 500_000, "levels deep"),
        ("a: 1\na: 2\n", "the key 'a' twice"),
        ("a: !!python/object/apply:os.system [id]\n", "has the tag"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("b: 1\na: \x07\n", "holds the control character U+0007 (line 2)"),
        (HIDDEN_BRACKETS, "is not valid YAML"),
        (b"a: \xff\n", "is not UTF-8"),
        ("1: a\n", "a key that is not a string"),
        ("? [a]\n: b\n", "a key that is not a string"),
    ],
    ids=range(13),
)
@pytest.mark.parametrize("parser", ["libyaml", "python"])
def test_hostile_yaml_is_refused_with_a_reason(
    data: str | bytes, message: str, parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if parser == "python":  # where PyYAML has no compiled part
        monkeypatch.setattr(yaml12, "_Loader", yaml.Loader)
    with pytest.raises(YamlError, match=re.escape(message)):
        read_yaml(data.encode() if isinstance(data, str) else data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"version": "1.0.0", "default_config": ' + '{"a":' * 5000 + "1" + "}" * 5001, ""),
        ('{"version": "1.0.0", "default_config": ' + '{"a":' * 100 + "1" + "}" * 101, "levels deep"),
        ('{"version": "1.0.0", "version": "2.0.0"}', "the key 'version' twice"),
        ('{"version": "1.0.0", "dependencies": {"a/b": "1", "a/b": "*"}}', "the key 'a/b' twice"),
        ('{"version": "1.0.0", "description": "a\\u001b[31mb"}', "description: holds the control character U+001B"),
        ('{"version": "1.0.0", "description": "a\u202eb"}', "description: holds the control character U+202E"),
        ('{"version": "1.0.0", "default_config": {"a": ["\\u0000"]}}', "default_config.a[0]: holds the control"),
        ('{"version": "1.0.0", "tags": ' + "9" * 5000 + "}", ""),
        ("[" * 1_000_000, ""),
        ("\x00" * 1000, ""),
        ('{"version": "1.0.0", "x": NaN}', "is not valid JSON"),
        ('{\n  "version": "1.0.0",\n  tags: []\n}', "object keys must be strings (line 3)"),
    ],
    ids=range(12),
)
def test_hostile_release_is_a_problem_and_nothing_else(tree: Bare, data: str, message: str) -> None:
    tree.plugin("acme/slack")
    tree.write("plugins/acme/slack/releases/1.0.0.json", data)
    tree.release("acme/slack", "1.1.0")
    loaded = tree.load()
    found = errors(loaded.problems)
    assert any(error.startswith("plugins/acme/slack/releases/1.0.0.json") and message in error for error in found)
    assert "1.1.0" in loaded.plugins[SLACK].releases


def test_oversized_files_are_not_read(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.write("plugins/acme/slack/releases/1.0.0.json", b'{"description": "' + b"x" * 10_000_000 + b'"}')
    tree.write("plugins/acme/slack/README.md", b"x" * (MAX_MANIFEST_BYTES + 1))
    tree.write("plugins/acme/mail/plugin.yaml", b"#" * (MAX_MANIFEST_BYTES + 1))
    found = errors(tree.load().problems)
    assert len(found) == 3
    assert all("bytes, but at most" in error for error in found)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.parametrize(
    "link",
    [
        "plugins/acme/slack/plugin.yaml",
        "plugins/acme/slack/releases/1.0.0.json",
        "plugins/acme/slack/README.md",
        "plugins/acme/slack/status.json",
        "plugins/acme/slack/releases",
        "plugins/acme/slack",
        "plugins/acme",
    ],
)
def test_attack_a_link_out_of_the_tree_is_not_followed(tree: Bare, link: str) -> None:
    """Attacker: opens a pull request. Change: a link to a file of the machine that publishes, to have it published or
    quoted in an error. Refusal: a problem names the link; nothing of the file is shown or loaded.
    """
    outside = tree.root.parent / "outside"
    (outside / "slack").mkdir(parents=True)
    secret = outside / "secret.json"
    secret.write_text("password: s3cret-of-the-machine\nversion: 1.0.0\n")
    (outside / "slack" / "plugin.yaml").write_text("type: notify\nsummary: s3cret-of-the-machine\n")
    if link.count("/") > 2:
        tree.plugin("acme/slack")
        (tree.root / "plugins/acme/slack/plugin.json").rename(tree.root / "plugins/acme/slack/plugin.yaml")
    place = tree.root / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    is_folder = not place.suffix
    place.symlink_to({"slack": outside / "slack", "acme": outside}.get(place.name, outside) if is_folder else secret)
    for loaded in (tree.load(), load_tree(tree.root, only=[SLACK])):
        assert any("leaves the source tree" in error for error in errors(loaded.problems))
        assert "s3cret" not in repr(loaded)
        if (plugin := loaded.plugins.get(SLACK)) is not None:
            assert plugin.releases == {}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_inside_the_plugins_folder_is_fine(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.write("plugins/acme/slack/docs/read.md", "# Shared\n")
    readme = tree.root / "plugins/acme/slack/README.md"
    readme.unlink()
    readme.symlink_to("docs/read.md")
    assert only_plugin(tree).readme is not None
    assert errors(tree.lint()) == []
    (tree.root / "plugins/acme/slack/docs/read.md").unlink()
    assert any("link to nothing" in error for error in errors(tree.load().problems))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("name", ["plugin.yaml", "README.md", "status.json", "releases/1.0.0.json"])
def test_attack_a_pipe_does_not_make_it_wait(tree: Bare, name: str) -> None:
    """Attacker: can put files into the working copy. Change: a pipe that nobody writes to, to hang the run. Refusal: a
    problem names it; it is never opened for reading to its end.
    """
    tree.plugin("acme/slack")
    place = tree.root / "plugins/acme/slack" / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    assert any("is not a regular file" in error for error in errors(tree.load().problems))


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    kinds: tuple[type[Any], ...] = (Plugin, Release, PluginStatus)
    for kind, is_json in itertools.product(kinds, (True, False)):
        with contextlib.suppress(DocumentError):
            decode_document(data, kind, is_json=is_json)


@given(json_values, st.randoms(use_true_random=False))
def test_a_duplicate_key_is_found_wherever_it_is(value: Any, random: Any) -> None:
    """A reviewer reads the first of two keys, a parser takes the last; written any way that JSON allows."""
    spelled = json.dumps(value, indent=random.choice([None, 0, 3]), ensure_ascii=random.choice([True, False]))
    key = random.choice(['"a"', '"\\u0061"'])
    for text in (f'{{"a": {spelled}, {key}: 1}}', f'{{"x": [{{{key}: 1, "b": {spelled}, "a": 2}}]}}'):
        with pytest.raises(DocumentError, match="twice in one mapping"):
            decode_document(text.encode("utf-8", "surrogatepass"), Plugin, is_json=True)


def test_problems_are_sorted_and_shown_with_their_place() -> None:
    a = Problem("b.json", "x", "is wrong")
    b = Problem("a.json", "", "is wrong")
    assert [str(problem) for problem in sorted([a, b])] == ["a.json: is wrong", "b.json: x: is wrong"]
