"""Shell completion: the script for the shell, and installed plugins as values of an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from sealdex.cli.group import examples, output_of, output_options
from sealdex.paths import store_folder
from sealdex.store.installations import installations
from sealdex.store.layout import Store

F = TypeVar("F", bound=Callable[..., Any])


def completion_command(program: str) -> click.Command:
    """Make the command ``completion`` of a program, which prints its completion script.

    Args:
        program: the name of the program as typed.
    """

    @click.command(
        "completion",
        help="Print a completion script for a shell.",
        epilog=examples(
            f"{program} completion bash > ~/.local/share/bash-completion/completions/{program}",
            f'{program} completion zsh > "${{fpath[1]}}/_{program}"',
            f"{program} completion fish > ~/.config/fish/completions/{program}.fish",
        ),
    )
    @click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
    @output_options
    @click.pass_context
    def completion(ctx: click.Context, shell: str) -> None:
        script = script_of(ctx.find_root().command, program, shell)
        out = output_of(ctx)
        for line in script.splitlines():
            out.answer(line.replace("\t", "    "))
        out.result({"shell": shell, "script": script})

    return completion


def script_of(command: click.Command, program: str, shell: str) -> str:
    """Return the completion script of a program for a shell: bash, zsh or fish."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415  # only here

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"completion for {shell} is not supported")
    variable = f"_{program}_COMPLETE".replace("-", "_").upper()
    return made(command, {}, program, variable).source()


def installed_plugin(name: str, **options: Any) -> Callable[[F], F]:
    """Make an argument for installed plugins that the shell completes from the store.

    Args:
        name: name of the callback's parameter.
        options: options of `click.argument`.
    """
    return click.argument(name, shell_complete=_names, **options)


def _names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    found = installations(Store(ctx.params.get("store") or store_folder()))
    return sorted({name for i in found if (name := f"{i.namespace}/{i.name}").startswith(incomplete)})


completion = completion_command("sealdex")
