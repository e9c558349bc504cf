"""Plain calls of info, install and ensure go without click, and mean what click understands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from sealdex.cli.command_table import cli
from sealdex.cli.plain_calls import SIMPLE, SWITCHES, parse
from sealdex.cli.run_ensure import run_ensure
from sealdex.cli.run_info import run_info
from sealdex.cli.run_install import run_install

PLAIN = [
    ["info", "acme/slack"],
    ["info", "acme/slack@^1", "--json"],
    ["--json", "info", "acme/slack", "--all", "--offline"],
    ["install", "acme/slack"],
    ["install", "acme/slack@^1", "acme/mail", "-q", "--no-fallback"],
    ["install", "--dry-run", "./slack.zip"],
    ["install", "acme/a", "--cascade", "--force", "--pre", "--offline"],
    ["ensure"],
    ["ensure", "--locked", "--json"],
    ["-q", "ensure", "--frozen", "--no-fallback", "--offline", "--dry-run"],
    ["ensure", "--project", "."],
]
OTHERS = [
    [],
    ["--help"],
    ["info"],
    ["info", "acme/a", "acme/b"],
    ["info", "--help"],
    ["info", "acme/slack", "--store", "x"],
    ["info", "acme/slack", "--offlin"],
    ["info", "-v", "acme/slack"],
    ["-v", "info", "acme/slack"],
    ["show", "acme/slack"],
    ["install"],
    ["install", "acme/slack", "--channel", "beta"],
    ["install", "acme/slack", "--pin"],
    ["install", "--", "acme/slack"],
    ["ensure", "acme/slack"],
    ["ensure", "--project"],
    ["ensure", "--project", "no/such/folder"],
    ["update"],
]


SHORTEST = {"info": ["acme/slack"], "install": ["acme/slack"], "ensure": []}


def understood_by_click(command: str, words: list[str]) -> dict[str, Any]:
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    return found.make_context(command, list(words)).params


@pytest.mark.parametrize("args", PLAIN, ids=" ".join)
def test_a_plain_call_has_the_parameters_that_click_finds(args: list[str]) -> None:
    call = parse(args)
    assert call is not None
    command, names, given = call
    words = [word for word in args if word not in SIMPLE]
    assert words[0] == command
    positional: dict[str, dict[str, Any]] = {"info": {"plugin": "".join(names)}, "install": {"plugins": tuple(names)}}
    if "folder" in given:
        given["folder"] = Path(given["folder"])
    left_out = understood_by_click(command, SHORTEST[command])
    assert understood_by_click(command, words[1:]) == {**left_out, **positional.get(command, {}), **given}


@pytest.mark.parametrize("args", OTHERS, ids=" ".join)
def test_every_other_call_is_clicks(args: list[str]) -> None:
    assert parse(args) is None


@pytest.mark.parametrize("command", SWITCHES)
def test_every_switch_here_sets_that_parameter_there(command: str) -> None:
    for option, parameter in SWITCHES[command].items():
        assert understood_by_click(command, [*SHORTEST[command], option])[parameter] is True


@pytest.mark.parametrize(
    ("command", "function"), [("info", run_info), ("install", run_install), ("ensure", run_ensure)], ids=SWITCHES
)
def test_the_function_has_the_defaults_of_the_command(command: str, function: Callable[..., None]) -> None:
    parameters = inspect.signature(function).parameters
    mine = {name: each.default for name, each in parameters.items() if each.default is not inspect.Parameter.empty}
    theirs = understood_by_click(command, SHORTEST[command])
    assert {name: theirs[name] for name in mine} == mine
