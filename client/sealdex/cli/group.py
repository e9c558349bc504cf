"""A click group whose commands are imported only when they run, and the options that all commands share.

Used by both command lines. For a mistyped command the nearest name is suggested, and the options that all commands
share may stand before the command as well. `--help` shows the one-line help kept beside each command's address, so that
it imports no command.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import click

from sealdex.cli.help_text import SpokenContext
from sealdex.cli.output import Output

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])


_OUTPUT_OPTIONS: dict[tuple[str, ...], dict[str, Any]] = {
    ("-q", "--quiet"): {"is_flag": True, "help": "Print answers only, without notes or progress."},
    ("-v", "--verbose"): {
        "count": True,
        "help": "Say on stderr what is decided and why; -vv: each request and candidate as well ($SEALDEX_LOG).",
    },
    ("--log-format",): {
        "type": click.Choice(["text", "json"]),
        "help": "Format of notes, warnings and errors on stderr ($SEALDEX_LOG_FORMAT).",
    },
    ("--json", "json"): {"is_flag": True, "help": "Print one JSON document on stdout."},
}


class LazyCommand(NamedTuple):
    """The address of a command (``package.module:attribute``) and its line in ``--help``."""

    address: str
    help: str


class LazyGroup(click.Group):
    """A group over a table of `LazyCommand`; commands registered with ``add_command`` work too.

    Args:
        lazy: the table.
        advised: a pattern of its commands as written in advice, for `sealdex.cli.output.Output.keep_options`.
        aliases: other names of commands, each with the words that it stands for; they aren't listed.
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, LazyCommand] | None = None,
        advised: str | None = None,
        aliases: Mapping[str, tuple[str, ...]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        known = {name for parameter in self.params for name in parameter.opts}
        for names, settings in _OUTPUT_OPTIONS.items():
            if known.isdisjoint(names):
                self.params.append(click.Option(names, expose_value=False, **settings))
        self._lazy = dict(lazy or {})
        self._aliases = dict(aliases or {})
        self.advised = advised

    context_class = SpokenContext

    on_found: ClassVar[Callable[[click.Command], None] | None] = None
    """Told of each command before it is used; set where a shell asks for completions."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names in the order of the table, which keeps related commands together."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None if there is none of that name."""
        found = self._found(ctx, cmd_name)
        if found is not None:
            found.context_class = SpokenContext  # of this very command: click asks each for its own
        if found is not None and LazyGroup.on_found is not None:
            LazyGroup.on_found(found)
        return found

    def _found(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._lazy.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = entry.address.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.address} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command like click does, but know aliases, and suggest the nearest name for a mistyped one."""
        name = args[0]
        known = self.list_commands(ctx)
        if name in self._aliases:
            args = [*self._aliases[name], *args[1:]]
        elif not name.startswith("-") and name not in known:
            from sealdex.similar import most_similar  # noqa: PLC0415  # only for a typo

            near = most_similar(name, [*known, *self._aliases])
            meant = f"; did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"there is no command '{name}'{meant}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands without importing them."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only when a shell asks

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        named = {name: entry.help for name, entry in self._lazy.items()}
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            if command is not None and not command.hidden:
                named[name] = command.get_short_help_str()
        return [CompletionItem(name, help=said) for name, said in named.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [(name, entry.help) for name, entry in self._lazy.items()]
        say = output_of(ctx).say
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.short_help or _first_sentence(command, say)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first_sentence(command: click.Command, say: Callable[[str], str]) -> str:
    """Return the first sentence of a command's help in full: click would cut it at the end of a line."""
    paragraph = " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s|(?<=。)", say(paragraph), maxsplit=1)[0]


def examples(*lines: str) -> str:
    """Return an epilog for ``--help`` that shows these command lines verbatim."""
    # click takes a line that is one backspace as "don't wrap this paragraph"
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def output_options(command: F) -> F:
    """Add ``--json``, ``--quiet``, ``--verbose`` and ``--log-format``.

    They have no effect here: `sealdex.cli.output` (`mode_of`, `verbosity`, `logs_json`) reads them from the raw
    arguments, so that even a usage error is shown in the right form.
    """
    for names, settings in _OUTPUT_OPTIONS.items():
        command = click.option(*names, expose_value=False, **settings)(command)
    return command


def output_of(ctx: click.Context) -> Output:
    """Return the output that `sealdex.cli.errors.run` passed along."""
    out = ctx.find_object(Output)
    return out if out is not None else Output()
