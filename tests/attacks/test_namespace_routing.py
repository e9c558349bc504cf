"""Namespace routing: a namespace is one registry's alone, whatever the public registry, a project or a lock says.

The attacker may publish in the public registry under any name, writes the project and its lock, or owns the address
that a private registry says a plugin moved to. The host maps ``team`` to the team's registry, and everything else to
the public one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.model.plugin import MovedTo

EVIL = {"evil.py": b"print('gotcha')"}


class Scene:
    """A host with two registries; the public one offers private names with higher versions."""

    def __init__(self, run: Run, public: TreeServer, team: TreeServer, folder: Path, roots: dict[str, Path]) -> None:
        self.run, self.public, self.team, self.folder, self.roots = run, public, team, folder, roots

    def nothing_was_gained(self) -> None:
        """No file of the attacker's is anywhere, and the public registry never heard of the namespace."""
        assert not list(self.folder.glob("store/**/evil.py"))
        assert not [path for path in self.public.requests if "team" in path]


@pytest.fixture
def team_registry() -> PluginRegistry:
    made = PluginRegistry()
    made.release("team/base", "1.0.0")
    return made


@pytest.fixture
def world(bare: Run, tmp_path: Path, team_registry: PluginRegistry) -> Iterator[Scene]:
    public = PluginRegistry()
    public.release("team/base", "99.0.0", EVIL)
    public.release("team/gone", "1.0.0", EVIL)
    public.release("acme/app", "1.0.0", dependencies={"team/base": "*"})
    public.release("acme/trap", "1.0.0", dependencies={"team/gone": "*"})
    public.publish()
    team_registry.publish()
    roots = {"public": tmp_path / "public.json", "team": tmp_path / "team.json"}
    roots["public"].write_bytes(public.root)
    roots["team"].write_bytes(team_registry.root)
    with TreeServer(public.files) as outside, TreeServer(team_registry.files) as inside:
        assert bare("registry", "add", "public", outside.url, "--root", roots["public"]).code == 0
        assert bare("registry", "add", "team", inside.url, "--root", roots["team"], "--namespace", "team").code == 0
        outside.requests.clear()
        yield Scene(bare, outside, inside, tmp_path, roots)


def test_attack_a_higher_version_in_the_public_registry(world: Scene, want: Callable[[str], None]) -> None:
    """By name, as a dependency of a public plugin, in an update, in a search, in a project: the team's, or nothing."""
    assert world.run("install", "team/base", "--json").document["installed"][0]["version"] == "1.0.0"
    assert world.run("install", "acme/app").code == 0
    assert world.run("update").code == 0
    assert world.run("install", "team/base@>=2").code == 3
    assert world.run("install", "team/gone").code == 3
    assert world.run("install", "acme/trap").code == 3
    found = world.run("search", "base", "--json").document
    assert "99.0.0" not in str(found)
    want('"team/base" = "*"\n"acme/app" = "*"')
    assert world.run("lock").code == 0
    assert "99.0.0" not in (world.folder / "project/sealdex.lock").read_text()
    assert world.run("ensure").code == 0
    world.nothing_was_gained()


def test_attack_the_public_name_when_the_team_does_not_answer(team_registry: PluginRegistry, world: Scene) -> None:
    """The private registry is withheld: no other one stands in for it."""
    team_registry.files.clear()
    done = world.run("install", "team/base")
    assert done.code != 0
    world.nothing_was_gained()


def test_attack_a_lock_that_was_made_elsewhere(
    world: Scene, want: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock by a host that asks the public registry for everything: validly signed there, and worth nothing here."""
    want('"team/base" = "*"')
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("SEALDEX_CONFIG", str(world.folder / "other/config.toml"))
        elsewhere.setenv("SEALDEX_STORE", str(world.folder / "other/store"))
        given = ("registry", "add", "public", world.public.url, "--root", world.roots["public"])
        assert world.run(*given).code == 0
        assert world.run("lock").code == 0
    world.public.requests.clear()
    lock = world.folder / "project/sealdex.lock"
    text = lock.read_text()
    assert "99.0.0" in text
    for changed in (text, re.sub(r'registry = "public"', 'registry = "team"', text)):
        lock.write_text(changed)
        assert world.run("ensure", "--frozen").code != 0
        world.nothing_was_gained()
    assert not (world.folder / "store/plugins/team").exists()


@pytest.mark.parametrize(
    "lines",
    [
        '[registries.public]\nurl = "{url}"\nroot = "public.json"\nnamespaces = ["team"]',
        '[registries.other]\nurl = "{url}"\nroot = "public.json"',
    ],
)
def test_attack_a_project_that_maps_namespaces(world: Scene, want: Callable[[str], None], lines: str) -> None:
    """A project file has no say in which registries there are, nor in what belongs to them."""
    want('"team/base" = "*"\n\n' + lines.format(url=world.public.url))
    assert world.run("lock").code != 0
    assert world.run("ensure").code != 0
    world.nothing_was_gained()


def test_attack_a_project_that_names_a_registry_for_a_plugin(world: Scene, want: Callable[[str], None]) -> None:
    want('"team/base" = { version = "*", registry = "public" }')
    assert world.run("lock").code != 0
    world.nothing_was_gained()


def test_attack_an_address_that_a_plugin_moved_to(
    team_registry: PluginRegistry, world: Scene, want: Callable[[str], None]
) -> None:
    """``moved_to`` is said, and never followed: neither its address nor its realm is asked for anything."""
    moved = MovedTo(realm="public", at="2026-11-22T12:00:00Z", by="kim", url=world.public.url)
    team_registry.plugin("team/base", moved_to=moved)
    team_registry.publish()
    for command in (["install", "team/base"], ["update"], ["info", "team/base"]):
        done = world.run(*command)
        assert done.code == 0
        assert "realm public" in (done.out + done.err)
    want('"team/base" = "*"')
    assert world.run("lock").code == 0
    assert world.run("ensure").code == 0
    updated = world.run("update", "--json")
    assert updated.document["moved_to"]["team/base"]["realm"] == "public"
    assert [p for p in world.public.requests if "metadata" not in p] == []
    world.nothing_was_gained()
