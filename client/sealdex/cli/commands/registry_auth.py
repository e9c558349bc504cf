"""Options of ``registry add`` that say where a private registry's credentials are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sealdex.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_PLACES = {
    "token_env": ("VARIABLE", "bearer: environment variable with the token."),
    "token_file": ("FILE", "bearer: file with the token."),
    "user": ("NAME", "basic: user name."),
    "password_env": ("VARIABLE", "basic: environment variable with the password."),
    "password_file": ("FILE", "basic: file with the password."),
    "netrc_file": ("FILE", "netrc: file to use instead of ~/.netrc."),
    "region": ("REGION", "sigv4: region of the bucket."),
    "profile": ("NAME", "sigv4: AWS profile to use."),
    "cert_file": ("FILE", "certificate, and beside the others: PEM file of a client certificate for TLS."),
    "key_file": ("FILE", "The certificate's private key; default: in the same file."),
    "key_passphrase_env": ("VARIABLE", "Environment variable with the passphrase of the key."),
    "key_passphrase_file": ("FILE", "File with the passphrase of the key."),
}


def auth_options(command: F) -> F:
    """Add ``--auth`` and the options that go with its values."""
    for name, (metavar, words) in reversed(_PLACES.items()):
        command = click.option(f"--{name.replace('_', '-')}", metavar=metavar, help=words)(command)
    return click.option(
        "--auth",
        type=click.Choice(["bearer", "basic", "netrc", "sigv4", "certificate"]),
        help="How to authenticate to this registry. The secret itself is never given here, only where it is kept.",
    )(command)


def auth_of(options: Mapping[str, str | None]) -> dict[str, str] | None:
    """Return the value of ``auth`` for the configuration; None without authentication.

    Raises:
        UsageError: options of a type of authentication are given without ``--auth``.
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
