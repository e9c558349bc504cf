"""The client's configuration: strict reading, namespaces that belong to one registry, edits that keep the rest."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sealdex.config.config import ConfigDocument, RegistrySection, load_config, parse_config, registry_for, url_problem
from sealdex.config.edit import add_registry, remove_registry, replace_file, with_registry, without_registry
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.paths import config_file, store_folder

PUBLIC = RegistrySection(url="https://plugins.example.org/", root="roots/public.root.json")
TEAM = RegistrySection(url="https://team.example.org/", root="roots/team.root.json", namespaces=("acme", "team-*"))


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    config = load_config(tmp_path / "config.toml", tmp_path / "store")
    assert config.document == ConfigDocument()
    assert config.store == tmp_path / "store"
    with pytest.raises(NotFoundError) as caught:
        config.registry_for("acme")
    assert "registry add" in str(caught.value.hint)


def test_every_problem_is_named() -> None:
    text = """
        [registries.Public]
        url = "ftp://plugins.example.org/"
        rot = "x"
        [environment]
        labels = { gpu = 8 }
        [download]
        concurrent = 0
    """
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    for part in ("Public", "root", "rot", "gpu", "concurrent"):
        assert part in caught.value.message


def test_the_environment_is_the_detected_one_with_additions(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[environment]\nlabels = { os = "plan9", gpu = "a100" }\ntags = ["cuda-11.8"]\nhost_version = "3.2.0"'
    )
    environment = load_config(path).environment
    assert environment.labels["os"] == "plan9"
    assert environment.labels["gpu"] == "a100"
    assert "arch" in environment.labels
    assert environment.tags == {"cuda-11.8"}
    assert environment.host_version == "3.2.0"


def test_places_follow_variables_and_ignore_relative_xdg_paths(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert store_folder({**home, "SEALDEX_STORE": str(tmp_path / "s")}) == str(tmp_path / "s")
    assert config_file({**home, "XDG_CONFIG_HOME": str(tmp_path / "c")}) == str(tmp_path / "c/sealdex/config.toml")
    if sys.platform != "win32":
        assert store_folder({**home, "XDG_DATA_HOME": "relative"}) == str(tmp_path / ".local/share/sealdex")
        assert config_file(home) == str(tmp_path / ".config/sealdex/config.toml")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https://user:secret@example.org/",
        "https:///plugins",
        "https://example.org/?token=x",
        "https://example.org/#x",
        "https://example.org/a b",
        "https://example.org:port/",
        "plugins",
    ],
)
def test_addresses_that_cannot_hold_a_registry_are_refused(url: str) -> None:
    assert url_problem(url) is not None


def test_addresses_that_can() -> None:
    for url in ("https://example.org/plugins", "http://127.0.0.1:8000/", "file:///srv/mirror"):
        assert url_problem(url) is None


# --- namespaces ------------------------------------------------------------------------------------------------------


def test_attack_dependency_confusion() -> None:
    """Attacker: may publish in the public registry, under any namespace.

    Change: publishes acme/base 99.0.0 there, while acme belongs to the team's private registry. Refused: acme is looked
    up in the team's registry alone, whatever the order in the file, even when the team's registry doesn't have it;
    there is no second registry in the answer to fall back to. Nothing is asked of the public one.
    """
    for registries in ({"public": PUBLIC, "team": TEAM}, {"team": TEAM, "public": PUBLIC}):
        assert registry_for(registries, "acme") == "team"
        assert registry_for(registries, "team-x") == "team"
        assert registry_for(registries, "acme-labs") == "public"
        assert registry_for(registries, "my-team-x") == "public"
    assert registry_for({"team": TEAM}, "other") is None


def test_explicit_patterns_count_in_file_order() -> None:
    first = RegistrySection(url="https://a.example/", root="a", namespaces=("team-*",))
    second = RegistrySection(url="https://b.example/", root="b", namespaces=("team-x", "t*x"))
    assert registry_for({"a": first, "b": second}, "team-x") == "a"
    assert registry_for({"b": second, "a": first}, "team-x") == "b"
    assert registry_for({"a": first, "b": second}, "tax") == "b"


def test_a_namespace_of_no_registry_is_asked_of_none(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(with_registry("", "team", TEAM))
    with pytest.raises(NotFoundError) as caught:
        load_config(path).registry_for("other")
    assert "namespaces" in str(caught.value.hint)


def test_a_second_catch_all_is_refused_with_advice() -> None:
    with pytest.raises(ConfigError) as caught:
        with_registry(with_registry("", "public", PUBLIC), "more", PUBLIC)
    assert "--namespace" in str(caught.value.hint)
    with pytest.raises(ConfigError):
        parse_config(
            '[registries.a]\nurl="https://a.example"\nroot="a"\n[registries.b]\nurl="https://b.example"\nroot="b"'
        )


# --- edits -----------------------------------------------------------------------------------------------------------

BEFORE = """# our configuration
[environment]   # facts
labels = { gpu = "a100" }

# the first one
[registries.first]
url = "https://first.example.org/"
root = 'roots/first.root.json'
namespaces = [
    "first",  # [registries.team]
]

# the end
"""


def test_adding_appends_and_removing_cuts_exactly_that_block() -> None:
    added = with_registry(BEFORE, "team", TEAM)
    assert added.startswith(BEFORE)
    assert parse_config(added).registries["team"] == TEAM
    assert without_registry(added, "team") == BEFORE
    cut = without_registry(added, "first")
    assert cut == added.replace(BEFORE[BEFORE.index("[registries.first]") : BEFORE.index("\n# the end")], "")
    assert "# the first one" in cut


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        with_registry(BEFORE, "first", TEAM)
    assert "registry remove first" in str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        'registries = { team = { url = "https://t.example/", root = "r" } }\n',
        'registries.team.url = "https://t.example/"\nregistries.team.root = "r"\n',
        '[registries]\nteam = { url = "https://t.example/", root = "r" }\n',
        '[registries.team]\nurl = "https://t.example/"\nroot = """\n[registries.other]\n"""\n',
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        without_registry(text, "team")
    assert "by hand" in str(caught.value.hint)
    assert caught.value.untouched


def test_a_header_inside_a_string_is_no_header() -> None:
    text = with_registry("", "team", TEAM).replace("roots/", "")
    text += '[registries.odd]\nurl = "https://o.example/"\nroot = """\n[registries.team]\n"""\n'
    with pytest.raises(ConfigError):
        without_registry(text, "team")


names = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?", fullmatch=True)
sections = st.builds(
    RegistrySection,
    url=st.sampled_from(["https://a.example/", "http://127.0.0.1:8000/x", "file:///srv/a'b/c"]),
    root=st.text(min_size=1, max_size=30).filter(lambda t: t.isprintable()) | st.just('a"b\\c\t\x00'),
    namespaces=st.lists(st.sampled_from(["acme", "team-*", "x.y"]), min_size=1, max_size=3, unique=True).map(tuple),
    mirrors=st.sampled_from([(), ("https://b.example/",), ("file:///srv/m/", "http://c.example/x")]),
    partial=st.booleans(),
)
surroundings = st.lists(
    st.sampled_from([
        "# a comment",
        "",
        "[environment]\nlabels = { gpu = 'a' }",
        "[download]\nconcurrent = 2\n\n  # indented",
        '["registries" . hand-written]\nurl = "https://h.example/"\nroot = "r"\nnamespaces = [\n\n"h"]',
    ]),
    unique=True,
    max_size=5,
)  # fmt: skip


@given(surroundings, names, sections, st.sampled_from(["\n", "\r\n"]))
def test_add_then_remove_keeps_the_rest_byte_for_byte(
    parts: list[str], name: str, section: RegistrySection, newline: str
) -> None:
    assume(name != "zz")  # the one that comes after it below
    text = "".join(part + "\n" for part in parts).replace("\n", newline)
    added = with_registry(text, name, section)
    assert added.startswith(text)
    assert parse_config(added).registries[name] == section
    assert without_registry(added, name) == text
    # and whatever comes after stays as well
    after = newline + "# after" + newline + "[registries.zz]" + newline + 'url = "https://z.example/"' + newline
    after += 'root = "r"' + newline + 'namespaces = ["zz"]' + newline
    assert without_registry(added + after, name) == text + after


def test_further_addresses_are_checked_as_the_first_is_and_none_is_listed_twice() -> None:
    text = with_registry("", "p", RegistrySection(url="https://a.example/", root="r"))
    mirrors = 'mirrors = ["https://a.example", "ftp://b.example/", "https://u:pw@c.example/", "https://d.example/"]\n'
    with pytest.raises(ConfigError) as caught:
        parse_config(text + mirrors)
    said = str(caught.value)
    assert "registries.p.mirrors[0]" in said
    assert "is listed before: https://a.example" in said
    assert "registries.p.mirrors[1]" in said
    assert "registries.p.mirrors[2]" in said
    assert "pw" not in said
    assert "mirrors[3]" not in said


def test_files_are_private_and_the_root_lies_beside(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.toml"
    config = load_config(path, tmp_path / "store")
    add_registry(config, "team", "https://team.example.org/", ("acme",), b"root bytes")
    config = load_config(path, tmp_path / "store")
    assert config.root_bytes("team") == b"root bytes"
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    remove_registry(config, "team")
    assert load_config(path).registries == {}
    assert not (path.parent / "roots/team.root.json").exists()
    with pytest.raises(NotFoundError) as caught:
        remove_registry(load_config(path), "team")
    assert "registry list" in str(caught.value.hint)


def test_a_refused_edit_changes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    config = load_config(path, tmp_path / "store")
    add_registry(config, "public", "https://a.example/", (), b"1")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and not p.name.endswith(".lock")}
    with pytest.raises(ConfigError):
        add_registry(load_config(path), "other", "https://b.example/", (), b"2")
    with pytest.raises(UsageError):
        add_registry(load_config(path), "public", "https://b.example/", ("b",), b"2")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and not p.name.endswith(".lock")} == before


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege on Windows")
def test_a_linked_configuration_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    target = tmp_path / "dotfiles/config.toml"
    target.write_text("")
    link = tmp_path / "config.toml"
    link.symlink_to(target)
    replace_file(link, b"# new\n")
    assert link.is_symlink()
    assert target.read_bytes() == b"# new\n"
    assert os.listdir(target.parent) == ["config.toml"]  # noqa: PTH208  # names only


def test_a_root_that_is_missing_or_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(with_registry("", "team", TEAM))
    with pytest.raises(ConfigError) as caught:
        load_config(path).root_bytes("team")
    assert "--fingerprint" in str(caught.value.hint)
    replace_file(tmp_path / TEAM.root, b"x" * (512 * 1024 + 1))
    with pytest.raises(ConfigError):
        load_config(path).root_bytes("team")


@pytest.mark.parametrize("name", ["a/b", "Team", "", "con"])
def test_a_name_that_no_registry_can_have_is_said_to_be_that(name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid name of a registry"):
        with_registry("", name, RegistrySection(url="https://example.org/", root="r.json"))
