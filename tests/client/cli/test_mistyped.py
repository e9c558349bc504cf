"""What is typed by mistake or by habit, on both command lines: names, options, aliases, and options in other places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.advised_commands import PROGRAMS
from support.builder_cli import call
from support.commands import Run

from sealdex.cli.group import LazyGroup

SHARED = {"--quiet", "-q", "--verbose", "-v", "--json", "--log-format"}


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, *path, name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_and_every_group_takes_the_options_of_output(program: str) -> None:
    for path, command in commands(PROGRAMS[program]):
        options = {option for parameter in command.params for option in parameter.opts}
        assert options >= SHARED, path
        if isinstance(command, click.Group):
            assert isinstance(command, LazyGroup), path  # it suggests what was meant


def test_options_of_output_stand_before_and_after_the_command(bare: Run) -> None:
    shown = bare("list", "--json").out
    assert bare("--json", "list").out == shown
    assert bare("--json", "env").document["labels"]
    assert bare("registry", "--json", "list").document == bare("registry", "list", "--json").document
    assert bare("--json", "registry", "list").document["registries"] == []
    assert bare("-q", "registry", "list").out == bare("registry", "-q", "list").out == ""
    assert "config: configuration" in bare("-v", "registry", "list").err
    assert "config: configuration" in bare("registry", "-v", "list").err


def test_options_of_the_builder_stand_before_and_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "registry.toml").write_text("")
    seen = set()
    for words in (
        ("--json", "ceremony", "show", "x"),
        ("ceremony", "--json", "show", "x"),
        ("ceremony", "show", "x", "--json"),
    ):
        capsys.readouterr()
        call(tmp_path, *words)
        seen.add(capsys.readouterr().out)
    assert len(seen) == 1
    assert next(iter(seen)).startswith('{\n  "error"')
    capsys.readouterr()
    assert call(tmp_path, "import", "--json", "krew", "gone.xz", "-q") != 0
    assert capsys.readouterr().out.startswith('{\n  "error"')


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["registyr", "list"], "there is no command 'registyr'; did you mean 'registry'?"),
        (["registry", "ad"], "there is no command 'ad'; did you mean 'add'?"),
        (["upgrad"], "there is no command 'upgrad'; did you mean 'upgrade'?"),
        (["install", "acme/slack", "--chanel", "beta"], "there is no option --chanel; did you mean --channel?"),
        (
            ["install", "acme/slack", "--attestation"],
            "there is no option --attestation; did you mean --require-attestation?",
        ),
        (["--offline", "install", "acme/slack"], "options of a command stand after it: sealdex COMMAND --offline"),
        (
            ["env", "--set", "dowload.timout=5"],
            "there is no setting 'dowload.timout'; did you mean 'download.timeout'?",
        ),
        (["env", "--set", "timeout=5"], "did you mean 'download.timeout'?"),
    ],
)
def test_the_client_says_what_was_meant(bare: Run, words: list[str], says: str) -> None:
    ran = bare(*words)
    assert (ran.code, says in ran.err) == (2, True), ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["publsh"], "did you mean 'publish'?"),
        (["cloud", "temlate"], "did you mean 'template'?"),
        (["publish", "--dry"], "there is no option --dry; did you mean --dry-run?"),
    ],
)
def test_the_builder_says_what_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert call(tmp_path, *words) == 2
    assert says in capsys.readouterr().err


def test_settings_in_files_and_variables(bare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config/config.toml"
    config.parent.mkdir()
    config.write_text("[download]\nmax_rate = 1\nretyr = 3\n")
    refused = bare("env")
    assert (refused.code, "did you mean 'retry'?" in refused.err) == (1, True), refused.err
    config.write_text("")
    monkeypatch.setenv("SEALDEX_DOWNLOAD_TIMOUT", "5")
    assert "did you mean SEALDEX_DOWNLOAD_TIMEOUT?" in bare("env").err


def test_plugins_of_the_catalogue_and_of_the_store(run: Run) -> None:
    assert "did you mean acme/slack?" in run("install", "acme/slakc").err
    assert "did you mean acme/slack" in run("info", "slack/acme").err
    run("install", "acme/slack")
    for words in (
        ["use", "acme/slakc", "1.1.0"],
        ["uninstall", "acme/slakc"],
        ["disable", "acme/slakc"],
        ["verify", "acme/slakc"],
    ):
        ran = run(*words)
        assert (ran.code, "did you mean acme/slack?" in ran.err) == (3, True), (words, ran.err)


def test_aliases(run: Run) -> None:
    assert run("show", "acme/slack").out == run("info", "acme/slack").out
    run("install", "acme/slack@1.0.0")
    assert "acme/slack  1.0.0   1.1.0" in run("outdated").out
    assert run("upgrade", "--dry-run").out == run("update", "--dry-run").out
    assert run("remove", "acme/slack").out == "uninstalled acme/slack 1.0.0\n"
    helped = run("--help").out
    assert "Also: remove (uninstall), upgrade (update)" in helped
    assert "\n  remove" not in helped
