"""Writes what belongs below ``share``: completions of three shells, and man pages from the help texts.

    python scripts/write_share.py                completions, into client/share and share, for the wheels: `make share`
    python scripts/write_share.py --man FOLDER   man pages, as packages of systems have them: `make man`

A test compares the completions. Man pages are made when they are needed, since they change with every help text; they
name no date, so that the same texts give the same bytes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import click

from registry_builder.cli.main import group as builder
from sealdex.cli.command_table import cli as client
from sealdex.cli.completion import script_of

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAMS = {"sealdex": (client, REPOSITORY / "client" / "share"), "sealdex-builder": (builder, REPOSITORY / "share")}
COMPLETIONS = {
    "bash": "bash-completion/completions/{program}",
    "zsh": "zsh/site-functions/_{program}",
    "fish": "fish/vendor_completions.d/{program}.fish",
}


def pages_of(program: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each man page of a program."""
    for words, command, parent in _commands(PROGRAMS[program][0], (program,), None):
        yield f"{'-'.join(words)}.1", page(words, command, parent)


def completions_of(program: str) -> Iterator[tuple[Path, str]]:
    """Yield path and text of each completion of a program."""
    group, share = PROGRAMS[program]
    for shell, path in COMPLETIONS.items():
        yield share / path.format(program=program), script_of(group, program, shell)


def _commands(
    command: click.Command, words: tuple[str, ...], parent: click.Context | None
) -> Iterator[tuple[tuple[str, ...], click.Command, click.Context | None]]:
    yield words, command, parent
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=words[-1], parent=parent)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _commands(child, (*words, name), context)


def page(words: tuple[str, ...], command: click.Command, parent: click.Context | None) -> str:
    """Return the man page of a command, in the macros of man(7)."""
    context = click.Context(command, info_name=words[-1], parent=parent)
    name, about = "-".join(words), command.help or ""
    lines = [f'.TH "{_roff(name.upper())}" "1" "" "{_roff(words[0])}" "User commands"', ".SH NAME"]
    lines += [f"{_roff(name)} \\- {_roff(_first(about))}", ".SH SYNOPSIS", f".B {_roff(' '.join(words))}"]
    lines.append(_roff(" ".join(command.collect_usage_pieces(context))))
    lines += [".SH DESCRIPTION", *_text(about)]
    records = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    if records:
        lines.append(".SH OPTIONS")
        for option, said in records:
            lines += [".TP", f".B {_roff(option)}", _roff(said) or "\\&"]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                lines += [".TP", f".BR {_roff(f'{name}-{child}')} (1)", _roff(_first(found.help or ""))]
    if command.epilog:
        lines += [".SH EXAMPLES", *_text(command.epilog.replace("Examples:\n", "").replace("Example:\n", ""))]
    if parent is not None:
        lines += [".SH SEE ALSO", f".BR {_roff('-'.join(words[:-1]))} (1)"]
    return "\n".join(lines) + "\n"


def _first(text: str) -> str:
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.])\s", paragraph, maxsplit=1)[0].rstrip(".")


def _text(text: str) -> Iterator[str]:
    """Yield paragraphs; one that click is told not to wrap (a line of one backspace) stays as it is."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", _unindented(text).strip("\n"))):
        if number:
            yield ".PP"
        if paragraph.lstrip().startswith("\b"):
            yield from (".nf", *map(_roff, paragraph.replace("\b", "").strip("\n").splitlines()), ".fi")
        else:
            yield _roff(" ".join(paragraph.split()))


def _unindented(text: str) -> str:
    first, newline, rest = text.partition("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest.splitlines() if line.strip()), default=0)
    return first.lstrip() + newline + "\n".join(line[margin:] for line in rest.splitlines())


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    escaped = escaped.replace("·", "\\(bu").replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--man", type=Path, metavar="FOLDER")
    folder = parser.parse_args().man
    for program in PROGRAMS:
        made = (
            completions_of(program) if folder is None else ((folder / name, text) for name, text in pages_of(program))
        )
        for path, text in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
