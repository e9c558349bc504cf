"""Options of ``registry add`` that say where a private registry's credentials are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sealdex.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_PLACES = {
    "token_env": ("VARIABLE", "Of bearer: the environment variable that has the token."),
    "token_file": ("FILE", "Of bearer: or the file that has it."),
    "user": ("NAME", "Of basic: the user."),
    "password_env": ("VARIABLE", "Of basic: the environment variable that has the password."),
    "password_file": ("FILE", "Of basic: or the file that has it."),
    "netrc_file": ("FILE", "Of netrc: another file than ~/.netrc."),
    "region": ("REGION", "Of sigv4: the bucket's region."),
    "profile": ("NAME", "Of sigv4: a profile of AWS's own tools."),
}


def auth_options(command: F) -> F:
    """Add ``--auth`` and the options that go with its values."""
    for name, (metavar, words) in reversed(_PLACES.items()):
        command = click.option(f"--{name.replace('_', '-')}", metavar=metavar, help=words)(command)
    return click.option(
        "--auth",
        type=click.Choice(["bearer", "basic", "netrc", "sigv4"]),
        help="How this registry is told who reads; the secret itself stays where it is and is never given here.",
    )(command)


def auth_of(options: Mapping[str, str | None]) -> dict[str, str] | None:
    """Return what ``auth`` of the configuration is to say; None for nothing.

    Raises:
        UsageError: there are places of credentials, and it isn't said of which type they are.
    """
    given = {name: value for name, value in options.items() if value is not None}
    kind = given.pop("auth", None)
    if kind is None:
        if given:
            first = next(iter(given)).replace("_", "-")
            raise UsageError(
                f"--{first} needs --auth",
                untouched="no registry was added",
                hint="for example: --auth bearer --token-env TEAM_TOKEN",
            )
        return None
    return {"type": kind, **given}
