"""Every command that a message, a page or a guide advises, found in the sources, and the judgement of click on it.

A command in a message ends where prose begins: at a mark of punctuation, or at one of the words of `PROSE`. Values that
a message fills in are taken by the name of what is filled in (`sample`).
"""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
from support.places import REPOSITORY

from registry_builder.cli.main import group as builder
from sealdex.cli.command_table import cli as client

PROGRAMS: dict[str, click.Group] = {"sealdex": client, "sealdex-builder": builder}

_COMMAND = re.compile(r"(?<![\w./@=-])(sealdex-builder|sealdex)((?: [^\s;,`·…()\n]+)+)")
# what ends a command in a sentence
PROSE = frozenset(
    """
    shows says lists brings names hashes keeps starts signs makes adds installs replaces takes stops chooses pins pin
    never where once then or and until has lets to have of from without in with again on when for does it
    needs
    """.split()  # noqa: SIM905  # as words they are read more easily
)
# words after which the program is the subject of a sentence, and not a command
SUBJECT = frozenset("has reads is can't wrote of or and that plugin upgrade plugins was registry's to".split())  # noqa: SIM905
# what stands for something in a hint
_WORDS = {
    "NAMESPACE/NAME": "acme/slack",
    "NAMESPACE/NAME@VERSION": "acme/slack@1.0.0",
    "NAMESPACE/OTHER@VERSION": "acme/mail@1.0.0",
    "NS/NAME": "acme/slack",
    "NS": "acme",
    "TYPE": "notify",
    "VERSION": "1.0.0",
    "NAME": "sample",
    "ROLE=...": "root=root-1,root-2",
}


class Advised(NamedTuple):
    """A command as it is advised, and where."""

    where: str
    text: str


def in_python(folder: Path) -> Iterator[Advised]:
    """Yield what the string constants of a package advise; docstrings and examples of ``--help`` are no messages."""
    for where, text in messages(folder):
        yield from (Advised(where, match[0]) for match in _COMMAND.finditer(text))


@functools.cache
def messages(folder: Path) -> list[tuple[str, str]]:
    """Return the string constants of a package, with where they stand; what is filled in is replaced by samples."""
    return [found for file in sorted(folder.rglob("*.py")) for found in _messages_of(file)]


def _messages_of(file: Path) -> Iterator[tuple[str, str]]:
    name = str(file.relative_to(REPOSITORY))
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    skipped = {id(part) for node in nodes for part in _skipped(node)}
    for node in nodes:
        if not isinstance(node, ast.JoinedStr | ast.Constant) or id(node) in skipped:
            continue
        where = f"{name}:{node.lineno}"
        if isinstance(node, ast.JoinedStr):
            yield where, "".join(_piece(value) for value in node.values)
        elif isinstance(node.value, str):
            yield where, node.value


def _skipped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr):
            yield first.value
    if isinstance(node, ast.Expr):  # a string after an attribute, which describes it
        yield node.value
    if isinstance(node, ast.JoinedStr):
        yield from node.values
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"example", "examples"}:
        yield from ast.walk(node)


def _piece(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    assert isinstance(value, ast.FormattedValue)
    return sample(ast.unparse(value.value))


def sample(expression: str) -> str:
    """Return what may stand in the place of a value that a message fills in."""
    if "number" in expression:
        return "2"
    if "version" in expression.lower():
        return "1.0.0"
    if "namespace" in expression or "CLAIM_PREFIX" in expression:
        return "acme"
    if re.search("folder|path|stem", expression):
        return "plugins/acme/slack"
    if re.search("range", expression):
        return "^1.0"
    if re.search("plugin|asked|entry|document|found|need|name|record|choice|wanted|id", expression):
        return "acme/slack"
    return "sample"


def in_help() -> Iterator[Advised]:
    """Yield the examples that end the ``--help`` of every command, and those in its text."""
    for program, top in PROGRAMS.items():
        for path, command in _tree(program, top):
            text = f"{command.epilog or ''}\n{command.help or ''}".replace("\\\n", " ")
            for line in text.splitlines():
                stripped = line.strip()
                if stripped.startswith(f"{program} ") and line.startswith("  "):
                    yield Advised(f"{path} --help", stripped)


def _tree(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _tree(f"{path} {name}", below)


def in_text(file: Path) -> Iterator[Advised]:
    """Yield the command lines of a guide or template: of its blocks, and of its spans of code."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    where = str(file.relative_to(REPOSITORY))
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = re.sub(r"^\s*(?:run: |\$ )?", "", line)
        stripped = re.sub(r"\$\([^)]*\)|\"\$@\"", "", stripped)
        stripped = re.sub(r"\$\{?(\w+)\}?", lambda match: sample(match[1].lower()), stripped)
        stripped = re.split(" {3}", stripped)[0]  # what follows says what it does
        for part in re.split(r" && | \|\| ", stripped):
            if re.match(r"sealdex(-builder)? [a-z-]", part):
                yield Advised(f"{where}:{number}", part)
        for span in re.findall(r"(?<!`)`(sealdex(?:-builder)? [^`]+)`(?!`)", line):
            yield Advised(f"{where}:{number}", f"`{span}")


def problem(advised: Advised, *, prose: bool = False) -> str | None:
    """Return what click says of a command; None when it takes it."""
    is_span = advised.text.startswith("`")
    first = advised.text.split()[1]
    if prose and (first in SUBJECT or first in {"sample", "1.0.0"}):
        return None
    try:
        words = shlex.split(advised.text.lstrip("`"), comments=True)
    except ValueError as error:
        if not prose:
            return str(error)
        words = advised.text.replace("'", "").split()
    program, *words = words
    words = [word for word in words if word not in {"[", "]"}]
    if (end := next((n for n, word in enumerate(words) if re.match(r"[0-9]?[<>|]|&", word)), None)) is not None:
        words = words[:end]
    if prose:
        words = list(_until_prose(words))
    words = [_WORDS.get(word.rstrip(".:"), word.rstrip(":")) for word in words]
    is_partial = is_span or "--help" in words
    return parsed(program, [word for word in words if word != "--help"], is_partial=is_partial)


def _until_prose(words: Iterable[str]) -> Iterator[str]:
    for number, word in enumerate(words):
        if number and word in PROSE:
            return
        yield word.rstrip(".")


def parsed(program: str, words: list[str], *, is_partial: bool = False) -> str | None:
    """Parse a command line as click would, and run nothing; ``is_partial``: arguments may be left out."""
    command: click.Command = PROGRAMS[program]
    context: click.Context | None = None
    name = program
    try:
        while True:
            context = command.make_context(name, list(words), parent=context)
            if not isinstance(command, click.Group):
                return None
            words = [*context._protected_args, *context.args]
            if not words:
                return None
            found, below, words = command.resolve_command(context, words)
            assert found is not None
            assert below is not None
            command, name = below, found
    except click.exceptions.NoArgsIsHelpError:
        return None if is_partial else f"{name} wants a command"
    except click.MissingParameter as error:
        return None if is_partial else error.format_message()
    except click.UsageError as error:
        return error.format_message()
    except click.exceptions.Exit:
        return None
