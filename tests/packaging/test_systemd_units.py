"""The units under packaging/systemd: systemd takes them, and their commands are commands of ours."""

from __future__ import annotations

import configparser
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.components import program
from support.places import REPOSITORY

from sealdex.cli.command_table import cli
from sealdex.cli.error_table import _TABLE, EXIT_INTERRUPTED, report
from sealdex.errors import UnavailableError

FOLDER = REPOSITORY / "packaging" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


def test_systemd_takes_them(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "apt-get install systemd")
    copies = []
    for unit in sorted([*SERVICES, *FOLDER.glob("*.timer")]):
        name = unit.name.replace("@.", "@acme-slack.")
        # it looks whether the program is there; the other units and the user are those of a host
        text = unit.read_text(encoding="utf-8").replace("/usr/bin/sealdex", sys.executable)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
        copies.append(str(tmp_path / name))
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", *copies]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: str(unit.name))
def test_their_commands_are_commands_of_ours(unit: Path) -> None:
    path, *words = shlex.split(read(unit)["Service"]["ExecStart"].replace("%I", "acme/slack"))
    assert path == "/usr/bin/sealdex"
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    command.make_context(words[0], words[1:])


def test_a_host_that_has_no_network_yet_tries_again_and_after_no_other_failure() -> None:
    service = read(FOLDER / "sealdex-ensure.service")["Service"]
    codes = {advice.exit_code for advice in _TABLE.values()} - {EXIT_INTERRUPTED}
    assert service["Restart"] == "on-failure"
    unreached = report(UnavailableError("")).exit_code
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == codes - {unreached}


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: str(unit.name))
def test_they_have_few_rights_and_one_place_to_write(unit: Path) -> None:
    service = read(unit)["Service"]
    assert service["User"] == "sealdex"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "sealdex"
    assert service["Environment"].endswith("SEALDEX_STORE=/var/lib/sealdex")
    assert "ReadWritePaths" not in service
