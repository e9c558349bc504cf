"""Reads the passphrase of an encrypted key from a variable, a file or a prompt. Never from an argument.

An argument would be visible in the process list and the shell's history.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sealdex.errors import ConfigError
from sealdex.log import hide

PASSPHRASE_VARIABLE = "SEALDEX_KEY_PASSPHRASE"  # noqa: S105  # the variable's name
PASSPHRASE_FILE_VARIABLE = "SEALDEX_KEY_PASSPHRASE_FILE"  # noqa: S105  # the variable's name

Prompt = Callable[[str], str]
"""Asks the user: gets the question, returns the answer. None in non-interactive runs."""


def find_passphrase(key_name: str, prompt: Prompt | None) -> bytes:
    """Return the passphrase of a key.

    Raises:
        ConfigError: neither variable is set and prompting is not possible, or the file can't be read.
    """
    if (stated := os.environ.get(PASSPHRASE_VARIABLE)) is not None:
        hide(stated)
        return stated.encode()
    if file := os.environ.get(PASSPHRASE_FILE_VARIABLE):
        try:
            # editors end a file with a newline that is not part of the passphrase
            passphrase = Path(file).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        except OSError as error:
            raise ConfigError(
                f"the passphrase file {file} can't be read: {error.strerror or error}", subject=file
            ) from error
        hide(passphrase)
        return passphrase
    if prompt is not None:
        answer = prompt(f"Passphrase of key {key_name}")
        hide(answer)
        return answer.encode()
    raise ConfigError(
        f"key {key_name} is encrypted and its passphrase can't be asked for here",
        subject=key_name,
        untouched="nothing was signed",
        hint=f"set {PASSPHRASE_FILE_VARIABLE} to a file that holds it, or {PASSPHRASE_VARIABLE} to the passphrase",
    )
