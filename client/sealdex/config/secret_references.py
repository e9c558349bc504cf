"""Secrets in the configuration of a plugin, by reference: ``{"$secret": "env:NAME"}`` and the like.

    env:NAME                 the environment variable NAME, of the process that loads the plugin
    file:PATH                the content of a file, without white space around it
    keyring:SERVICE/USER     the system's keyring (pip install 'sealdex[keyring]')

Only what this host configured is read so: a plugin's own ``default_config`` never names a secret of the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sealdex.config._keyring import keyring_secret
from sealdex.config._secret_places import Place, read_secret
from sealdex.errors import CredentialsError

KEY = "$secret"
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_FILE = re.compile(r"file:(?!//)(.+)", re.DOTALL)
_KEYRING = re.compile(r"keyring:(.+)/([^/]+)", re.DOTALL)
FORMS = "env:NAME, file:PATH or keyring:SERVICE/USER"


def reference(text: str) -> dict[str, str] | None:
    """Return the reference that a text spells, with an absolute path; None if it spells none."""
    if found := _FILE.fullmatch(text):
        return {KEY: f"file:{Path(found[1]).expanduser().absolute()}"}
    return {KEY: text} if _ENV.fullmatch(text) or _KEYRING.fullmatch(text) else None


def is_reference(value: object) -> bool:
    """Return whether a value of a configuration stands for a secret."""
    return isinstance(value, dict) and list(value) == [KEY]


def reference_problems(value: object, path: str = "$") -> Iterator[str]:
    """Yield what is wrong with the references in a configuration, with the path of each."""
    if isinstance(value, dict):
        if is_reference(value):
            spelt = value[KEY]
            if not isinstance(spelt, str) or reference(spelt) is None:
                yield f"{path}: is not a reference to a secret: write {FORMS}"
            return
        if KEY in value:
            yield f"{path}: has other keys beside {KEY}: remove them"
        for name, each in value.items():
            yield from reference_problems(each, f"{path}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from reference_problems(each, f"{path}[{number}]")


def stand_ins(value: Any) -> Any:
    """Return a configuration with a text in the place of each reference, which says what is there."""
    if is_reference(value):
        return StandIn(f"the secret from {value[KEY]}")
    if isinstance(value, dict):
        return {name: stand_ins(each) for name, each in value.items()}
    return [stand_ins(each) for each in value] if isinstance(value, list) else value


class StandIn(str):
    """A text that stands where a secret will; also a secret itself, so that no message shows it."""

    __slots__ = ()


def with_secrets(value: Any, owner: str, path: str = "$") -> Any:
    """Return a configuration with its secrets in the place of their references, each as a `StandIn`.

    Args:
        value: what this host configured.
        owner: whose configuration it is, for messages.
        path: of the value, for messages.

    Raises:
        CredentialsError: one can't be read; the message has its path and never a secret.
    """
    if is_reference(value):
        return StandIn(_read(str(value[KEY]), owner, path))
    if isinstance(value, dict):
        return {name: with_secrets(each, owner, f"{path}.{name}") for name, each in value.items()}
    if isinstance(value, list):
        return [with_secrets(each, owner, f"{path}[{number}]") for number, each in enumerate(value)]
    return value


def plain(value: Any) -> Any:
    """Return a configuration with ordinary texts in the place of `StandIn`."""
    if isinstance(value, StandIn):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def holds_secret(value: object) -> bool:
    """Return whether there is a `StandIn` anywhere in a value."""
    if isinstance(value, dict):
        return any(map(holds_secret, value.values()))
    return any(map(holds_secret, value)) if isinstance(value, list) else isinstance(value, StandIn)


def _read(spelt: str, owner: str, path: str) -> str:
    whose = f"{owner}, at {path} of its configuration"
    try:
        if found := _ENV.fullmatch(spelt):
            return read_secret(whose, Place(found[1], None))
        if found := _FILE.fullmatch(spelt):
            return read_secret(whose, Place(None, Path(found[1])))
        if found := _KEYRING.fullmatch(spelt):
            return keyring_secret(whose, found[1], found[2])
    except CredentialsError as error:
        raise error.restated(untouched="nothing of it was run") from error
    raise CredentialsError(
        f"{path} of the configuration of {owner} is not a reference to a secret",
        subject=owner,
        untouched="nothing of it was run",
        hint=f"write {FORMS}",
    )
