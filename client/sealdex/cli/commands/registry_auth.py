"""Options of ``registry add`` that say where a private registry's credentials are kept."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sealdex import disk
from sealdex.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_PLACES = {
    "token_env": ("VARIABLE", "bearer: environment variable with the token."),
    "token_file": ("FILE", "bearer: file with the token."),
    "user": ("NAME", "basic, keyring: user name."),
    "password_env": ("VARIABLE", "basic: environment variable with the password."),
    "password_file": ("FILE", "basic: file with the password."),
    "netrc_file": ("FILE", "netrc: file to use instead of ~/.netrc."),
    "region": ("REGION", "sigv4: region of the bucket."),
    "profile": ("NAME", "sigv4: AWS profile to use."),
    "command": ("COMMAND", "command: the credential helper, a program with its arguments, quoted as for a shell."),
    "service": ("NAME", "keyring: what the entry is for; default: the address. With --user, that user's password."),
    "cookies_env": ("VARIABLE", "cookies: environment variable with signed cookies, NAME=VALUE; NAME=VALUE."),
    "cookies_file": ("FILE", "cookies: file with signed cookies, NAME=VALUE, one a line."),
    "query_env": ("VARIABLE", "query: environment variable with a signed query or address."),
    "query_file": ("FILE", "query: file with a signed query or address."),
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
        type=click.Choice(
            [
                "bearer",
                "basic",
                "netrc",
                "sigv4",
                "certificate",
                "command",
                "keyring",
                "cookies",
                "query",
            ]
        ),
        help="How to authenticate to this registry. The secret itself is never given here, only where it is kept.",
    )(command)


def auth_of(options: Mapping[str, str | None]) -> dict[str, Any] | None:
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
    if "command" in given:
        return {"type": kind, **given, "command": _words(given["command"])}
    return {"type": kind, **given}


def words_of(command: str, *, on_windows: bool) -> list[str]:
    r"""Return the words of a command line as its user's shell would take them apart. Pure.

    On Windows a backslash is a part of a path, and only double quotes group words: ``"C:\Program Files\x.exe" --team``.

    Raises:
        ValueError: a quotation that doesn't end.
    """
    reader = shlex.shlex(command, posix=True, punctuation_chars=False)
    reader.whitespace_split, reader.commenters = True, ""
    if on_windows:
        reader.escape, reader.quotes = "", '"'
    return list(reader)


def _words(command: str) -> list[str]:
    try:
        return words_of(command, on_windows=disk.ON_WINDOWS)
    except ValueError as error:
        raise UsageError(
            f"--command is not a valid command: {error}",
            untouched="no registry was added",
            hint="for example: --auth command --command 'vault-login --team acme'",
        ) from error
