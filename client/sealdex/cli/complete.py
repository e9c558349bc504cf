"""Answers a shell that completes a command line: quickly, from this host alone, and in silence whatever goes wrong.

The shell calls the program with ``_SEALDEX_COMPLETE=bash_complete`` (or zsh, fish) at each press of Tab. click finds
out which argument or option is meant; a table of completers, by the metavar of the parameter, knows its values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stderr, suppress
from typing import TYPE_CHECKING

import click

from sealdex.cli.group import LazyGroup

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, str], Iterable[str]]
"""Returns values that may begin with the text; what doesn't is left out by the caller."""

_WORD_BREAKS = frozenset("@=:")  # where bash divides words besides at spaces, by default
_MOST = 1000


def answer(group: click.Group, prog: str, completers: Mapping[str, Completer]) -> bool:
    """Answer, if it is a shell that asks.

    Args:
        group: all commands of the program.
        prog: the program as typed.
        completers: by metavar of an argument (``NS/NAME``), or by name of an option (``--realm``). Brackets, dots and
            ``[...]`` of a metavar don't count.

    Returns:
        Whether there was anything to answer; then the program is to end.
    """
    variable = variable_of(prog)
    asked = os.environ.get(variable, "")
    if not asked.endswith("_complete"):
        return False
    from click.shell_completion import get_completion_class  # noqa: PLC0415  # only when a shell asks

    made = get_completion_class(asked.partition("_")[0])
    if made is None:
        return True
    LazyGroup.on_found = lambda command: _equip(command, completers)
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123  # a device
        redirect_stderr(nowhere),
        suppress(Exception, SystemExit),
    ):
        shell = made(group, {}, prog, variable)
        args, incomplete = shell.get_completion_args()
        before = ""
        if shell.name == "bash":
            args, incomplete, before = joined([*args, incomplete])
        found = shell.get_completions(args, incomplete)
        click.echo("\n".join(shell.format_completion(_cut(item, before)) for item in found))
    return True


def variable_of(prog: str) -> str:
    """Return the variable by which a shell asks a program."""
    return f"_{prog}_COMPLETE".replace("-", "_").upper()


def joined(words: list[str]) -> tuple[list[str], str, str]:
    """Put together what bash divided at ``@``, ``=`` and ``:``.

    Returns:
        The words before the one that is completed, that word, and the part of it that bash keeps as it is.
    """
    whole: list[str] = []
    before = ""
    is_open = False  # the word so far ends at a break
    for number, word in enumerate(words):
        is_break = bool(word) and _WORD_BREAKS.issuperset(word)
        if whole and (is_break or is_open):
            if number == len(words) - 1:
                before = f"{whole[-1]}{word if is_break else ''}".removesuffix("@")  # bash replaces from an @ on
            whole[-1] += word
        else:
            whole.append(word)
        is_open = is_break and len(whole) > 0
    return whole[:-1], whole[-1], before


def _cut(item: CompletionItem, before: str) -> CompletionItem:
    if before and item.type == "plain":
        item.value = str(item.value).removeprefix(before)
    return item


def _equip(command: click.Command, completers: Mapping[str, Completer]) -> None:
    for parameter in command.params:
        names = parameter.opts if isinstance(parameter, click.Option) else [_bare(parameter)]
        completer = next((completers[name] for name in names if name in completers), None)
        if completer is not None:
            parameter.shell_complete = _completing(completer)  # type: ignore[assignment]  # of this one object


def _completing(completer: Completer) -> Callable[[click.Context, str], list[CompletionItem]]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # only when a shell asks

    def complete(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = sorted({value for value in completer(ctx, incomplete) if value.startswith(incomplete)})
        return [CompletionItem(value) for value in found[:_MOST]]

    return complete


def _bare(parameter: click.Parameter) -> str:
    """Return ``NS/NAME@VERSION`` of ``[NS/NAME[@VERSION]]...``."""
    shown = parameter.metavar or parameter.name or ""
    return shown.replace("[", "").replace("]", "").removesuffix("...")
