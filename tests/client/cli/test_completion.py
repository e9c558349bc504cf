"""Completion: what is offered, from this host alone; in silence, with little imported; in the shells themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.interactive_shell import InteractiveShell
from support.plugin_registry import PluginRegistry
from support.source_trees import Tree
from support.tree_server import TreeServer

from sealdex.cli.complete import joined, variable_of

HEAVY = {"tuf", "securesystemslib", "cryptography", "urllib3", "jinja2", "boto3", "keyring", "jsonschema"}
Ask = Callable[..., list[str]]


def asked(prog: str, words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask as zsh does; the last word is the one that is completed."""
    module = {"sealdex": "sealdex.cli.main", "sealdex-builder": "registry_builder.cli.main"}[prog]
    code = (
        "import atexit, os, sys\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=open(os.environ['MODULES'], 'w')))\n"
        f"from {module} import main\nsys.argv = [{prog!r}]\nmain()"
    )
    given = {**os.environ, **env, variable_of(prog): "zsh_complete"}
    given |= {"COMP_WORDS": "\n".join([prog, *words]), "COMP_CWORD": str(len(words))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """A question to a program as it is installed here; what is offered, by value."""

    def question(*words: str, prog: str = "sealdex") -> list[str]:
        env = {
            "SEALDEX_STORE": str(tmp_path / "store"), "SEALDEX_CONFIG": str(tmp_path / "config/config.toml"),
            "MODULES": str(tmp_path / "modules"),
        }  # fmt: skip
        ran = asked(prog, list(words), env)
        assert (ran.returncode, ran.stderr) == (0, "")
        return [value for value in ran.stdout.split("\n")[1::3] if value]

    return question


@pytest.fixture
def host(run: Run, registry: PluginRegistry, server: TreeServer) -> TreeServer:
    """A host that has searched, looked at a plugin and installed another."""
    registry.release("acme/mail", "2.0.0")
    registry.publish()
    assert run("search", "acme").code == 0
    assert run("info", "acme/mail").code == 0
    assert run("install", "acme/slack@1.0.0").code == 0
    server.requests.clear()
    return server


def test_what_is_offered_comes_from_this_host_alone(host: TreeServer, ask: Ask) -> None:
    assert {"acme/base", "acme/mail", "acme/slack"} <= set(ask("install", "acme/"))
    assert {"acme/mail@1.0.0", "acme/mail@2.0.0"} <= set(ask("info", "acme/mail@"))
    assert ask("uninstall", "ac") == ["acme/base", "acme/slack"]
    assert ask("path", "acme/slack@") == ["acme/slack@1.0.0"]
    assert ask("use", "acme/slack", "") == ["1.0.0"]
    assert ask("search", "--registry", "") == ["public"]
    assert ask("registry", "remove", "p") == ["public"]
    assert ask("registry", "add", "p") == []
    assert "acme" in ask("list", "--namespace", "")
    assert "download.timeout=" in ask("install", "--set", "download.t")
    assert ask("config", "plugin", "acme/slack", "s") == ["set"]
    assert ask("config", "p") == ["plugin"]
    assert host.requests == []


def test_little_is_imported(ask: Ask, tmp_path: Path) -> None:
    assert {"install", "config", "use"} <= set(ask(""))
    for words in (("use", "a"), ("install", "a"), ("registry", "remove", ""), ("config", "plugin", "")):
        ask(*words)
        assert not set((tmp_path / "modules").read_text().split()) & HEAVY, words


@pytest.mark.parametrize("broken", ["config", "catalog", "store"])
def test_whatever_is_wrong_is_not_said(host: TreeServer, ask: Ask, tmp_path: Path, broken: str) -> None:
    if broken == "config":
        (tmp_path / "config/config.toml").write_text("[[[")
        assert ask("registry", "remove", "") == []
    elif broken == "catalog":
        for file in (tmp_path / "store/trust").rglob("documents/*"):
            file.write_bytes(b'{"namespace": "acme\\u001b[2J", "name": "evil"}')
        assert ask("install", "") == ["acme/base", "acme/slack"]
        assert ask("info", "acme/mail@") == []
    else:
        (tmp_path / "store").rename(tmp_path / "elsewhere")
        (tmp_path / "store").write_text("")
        assert ask("install", "a") == []


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    made = Tree.make(tmp_path / "source", realms=("public", "team"))
    made.plugin("acme/slack")
    made.release("acme/slack", "1.0.0")
    made.release("acme/slack", "1.1.0")
    (made.root / "ceremonies/new-root").mkdir(parents=True)
    return made


def test_the_builder_knows_its_tree(tree: Tree, ask: Ask) -> None:
    def here(*words: str) -> list[str]:
        return ask("--tree", str(tree.root), *words, prog="sealdex-builder")

    assert here("pack", "ac") == ["acme/slack"]
    assert here("yank", "acme/slack@") == ["acme/slack@1.0.0", "acme/slack@1.1.0"]
    assert here("publish", "--realm", "") == ["public", "team"]
    assert here("ceremony", "sign", "n") == ["new-root"]
    assert here("ceremony", "start", "n") == []
    assert "root-1" in here("keys", "show", "r")
    assert "notify" in here("new", "n")
    assert ask("--tree", "/nowhere", "pack", "", prog="sealdex-builder") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["use", "ac"], (["use"], "ac", "")),
        (["path", "acme/slack", "@", "1."], (["path"], "acme/slack@1.", "acme/slack")),
        (["path", "acme/slack", "@"], (["path"], "acme/slack@", "acme/slack")),
        (["path", "a/b", "@", "1", ""], (["path", "a/b@1"], "", "")),
        (["x", "--set", "download.timeout", "=", "5"], (["x", "--set"], "download.timeout=5", "download.timeout=")),
        ([""], ([], "", "")),
    ],
)
def test_words_that_bash_divides_are_joined(words: list[str], expected: tuple[list[str], str, str]) -> None:
    assert joined(words) == expected


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_in_the_shell_itself(host: TreeServer, tree: Tree, tmp_path: Path, shell: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"SEALDEX_STORE": str(tmp_path / "store"), "SEALDEX_CONFIG": str(tmp_path / "config/config.toml")}
    with InteractiveShell(shell, home, env, ("sealdex", "sealdex-builder")) as typing:
        typing.typed("sealdex path acme/sl\t\r", r"/acme/slack/1\.0\.0")
        typing.typed("sealdex path acme/slack@1\t --json\r", r'"version": "1\.0\.0"')
        typing.typed(f"sealdex-builder --tree {tree.root} realm show te\t --json\r", r'"(realm|name)": "team"')
        typing.typed("sealdex registry rem\tpub\t\r", r"removed registry public")
    assert "public" not in (tmp_path / "config/config.toml").read_text()
