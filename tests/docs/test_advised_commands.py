"""Every command that a message, a page or a guide advises is one that can be followed: click takes it as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from support.advised_commands import Advised, in_help, in_python, in_text, messages, parsed, problem
from support.places import REPOSITORY

from registry_builder.cli.main import ADVISED as BUILDER_COMMANDS
from registry_builder.cli.main import COMMANDS as BUILDER
from sealdex.cli.command_table import ADVISED as CLIENT_COMMANDS
from sealdex.cli.output import Output

TEXTS = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    REPOSITORY / "keys/README.md",
    *sorted((REPOSITORY / "examples").rglob("README.md")),
    *sorted((REPOSITORY / "registry_builder/authoring/templates").rglob("*.j2")),
    *sorted((REPOSITORY / "site_templates").glob("*.j2")),
]
_OTHERS = re.compile(r"(?:^|: |then |`)((?:git|gh|aws|iconv|pip|timedatectl) (?!can't|has|knows)[a-z][^;`\n]*)")


@pytest.fixture(autouse=True)
def any_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders of examples need not be there."""
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: Path(str(value)))  # noqa: ARG005


def failures(found: list[Advised], *, prose: bool = False) -> list[str]:
    judged = [(advised, problem(advised, prose=prose)) for advised in found]
    return [f"{advised.where}: {advised.text}: {said}" for advised, said in judged if said is not None]


def test_what_messages_advise_can_be_followed() -> None:
    found = [*in_python(REPOSITORY / "registry_builder"), *in_python(REPOSITORY / "client" / "sealdex")]
    assert len(found) > 200
    assert failures(found, prose=True) == []


def test_the_examples_of_every_command_can_be_followed() -> None:
    found = list(in_help())
    assert len(found) > 100
    assert failures(found) == []


def test_what_guides_and_templates_show_can_be_followed() -> None:
    found = [advised for file in TEXTS for advised in in_text(file)]
    assert len(found) > 100
    assert failures([each for each in found if "{{" not in each.text]) == []


@pytest.mark.parametrize("wrong", ["yank acme/a 0.1.0", "publish --nothing", "publsh", "keys creat x", "refresh x"])
def test_what_can_not_be_followed_is_found(wrong: str) -> None:
    assert problem(Advised("here", f"sealdex-builder {wrong}"), prose=True)


def test_the_commands_of_other_programs_are_what_a_shell_takes() -> None:
    blocks = [
        re.sub(r"(?m)^\$ ", "", block)
        for file in TEXTS
        if file.suffix == ".md"
        for block in re.findall(r"(?ms)^```(?:console|sh|bash)\n(.*?)^```", file.read_text(encoding="utf-8"))
    ]
    assert blocks
    for block in blocks:
        shown = "\n".join(line for line in block.splitlines() if not line.startswith(("…", "...")))
        done = subprocess.run(["bash", "-n"], input=shown, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shown}\n{done.stderr}"
    advised = [
        command
        for package in ("registry_builder", "client/sealdex")
        for _, text in messages(REPOSITORY / package)
        for command in _OTHERS.findall(text)
    ]
    assert len(advised) > 10
    for command in advised:
        assert shlex.split(command), command


def test_what_is_advised_keeps_the_options_of_the_call() -> None:
    out = Output()
    assert out.advice("run: sealdex-builder publish") == "run: sealdex-builder publish"
    out.keep_options(BUILDER_COMMANDS, "--tree 'a b'")
    out.keep_options(CLIENT_COMMANDS, "--store x")
    said = out.advice("next: sealdex-builder validate && sealdex-builder publish; sealdex-builder init DIR")
    assert said == (
        "next: sealdex-builder --tree 'a b' validate && sealdex-builder --tree 'a b' publish; sealdex-builder init DIR"
    )
    assert out.advice("sealdex registry list, sealdex info a/b") == (
        "sealdex registry list --store x, sealdex info --store x a/b"
    )
    prose = "sealdex reads up to format 1, sealdex-builder wrote otherwise"
    assert out.advice(prose) == prose


def test_every_command_takes_the_options_that_are_kept() -> None:
    for name in BUILDER:
        assert parsed("sealdex-builder", ["--tree", "x", name], is_partial=True) is None
    for commands in re.findall(r"\(\?:([a-z|-]+)\)", CLIENT_COMMANDS):
        for name in commands.split("|"):
            if name not in {"registry", "mirror", "bundle", "cache", "job", "config", "completion"}:
                assert parsed("sealdex", [name, "--config", "x", "--store", "y"], is_partial=True) is None, name
    for words in (["registry", "list"], ["cache", "gc"], ["job", "run"], ["config", "show"]):
        assert parsed("sealdex", [*words, "--config", "x", "--store", "y"], is_partial=True) is None
