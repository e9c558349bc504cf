"""What `docker login` keeps on this machine: ``config.json``, and the credential helpers that it names.

Read from ``$DOCKER_CONFIG`` or ``~/.docker``, and then from where ``helm registry login`` keeps the same. A helper is
asked as docker asks it: ``docker-credential-NAME get``, the host on its stdin. Nothing of an entry is ever shown.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from registry_builder.importers._reading import strict_json
from registry_builder.importers.foreign import SourceError
from sealdex.log import hide

HUB = "registry-1.docker.io"
_HUB_KEYS = ("index.docker.io", "docker.io", HUB)
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAX_BYTES = 1 << 20
_HELPER_S = 60.0
_IDENTITY = "<token>"  # the user of a helper's answer whose secret is an identity token


class Login(NamedTuple):
    """A user and password; or, with ``is_identity``, an identity token, which is exchanged for others."""

    user: str
    secret: str
    is_identity: bool = False

    def __repr__(self) -> str:
        return "Login(…)"  # no secret, wherever it is printed


def login_for(host: str, environment: Mapping[str, str] | None = None) -> Login | None:
    """Return the login of a registry; None if there is none.

    Args:
        host: with its port, if it has one: ``ghcr.io``, ``localhost:5000``.
        environment: instead of this process's.

    Raises:
        SourceError: a file can't be read, or a helper can't be asked; the message names it, and no secret.
    """
    variables = os.environ if environment is None else environment
    for path in _files(variables):
        found = _in_file(path, host, variables)
        if found is not None:
            hide(found.secret)
            return found
    return None


def _files(variables: Mapping[str, str]) -> Iterator[Path]:
    home = Path(variables["HOME"]) if variables.get("HOME") else Path.home()
    yield Path(variables["DOCKER_CONFIG"] if variables.get("DOCKER_CONFIG") else home / ".docker") / "config.json"
    own = variables.get("HELM_REGISTRY_CONFIG")
    config = Path(variables["XDG_CONFIG_HOME"]) if variables.get("XDG_CONFIG_HOME") else home / ".config"
    yield Path(own) if own else config / "helm" / "registry" / "config.json"


def _in_file(path: Path, host: str, variables: Mapping[str, str]) -> Login | None:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}") from error
    try:
        values = strict_json(data) if len(data) <= _MAX_BYTES else None
    except SourceError:
        values = None  # its text might show what is in it
    if not isinstance(values, dict):
        raise SourceError(f"{path} is not the configuration of docker: correct it, or log in again")
    keys = _HUB_KEYS if host in _HUB_KEYS else (host,)
    helpers = _mapping(values.get("credHelpers"))
    named = next((helpers[key] for key in helpers if _host_in(key) in keys), None)
    if named is not None:
        return _asked(path, named, host, variables)
    store = values.get("credsStore")
    if store and (found := _asked(path, store, host, variables)) is not None:
        return found
    auths = _mapping(values.get("auths"))
    entries = [_mapping(auths[key]) for key in auths if _host_in(key) in keys]
    return next(filter(None, (_of_entry(path, host, entry) for entry in entries)), None)


def _of_entry(path: Path, host: str, entry: Mapping[str, Any]) -> Login | None:
    identity = entry.get("identitytoken")
    if isinstance(identity, str) and identity:
        return Login("", identity, is_identity=True)
    if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
        return Login(entry["username"], entry["password"])
    encoded = entry.get("auth")
    if not isinstance(encoded, str) or not encoded:
        return None  # docker leaves an empty entry where a helper has the login
    try:
        user, colon, secret = base64.b64decode(encoded, validate=True).decode().rstrip("\0").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise SourceError(f"{path}: what it has for {host} is not a user and password: docker login {host}")
    return Login(user, secret)


def _asked(path: Path, name: object, host: str, variables: Mapping[str, str]) -> Login | None:
    if not isinstance(name, str) or _HELPER.fullmatch(name) is None:
        raise SourceError(f"{path} names a credential helper that is not the name of a program")
    program = f"docker-credential-{name}"
    server = "https://index.docker.io/v1/" if host in _HUB_KEYS else host
    try:
        ran = subprocess.run(
            [program, "get"],
            input=server.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_HELPER_S,
            check=False,
            env=dict(variables),
        )
    except FileNotFoundError as error:
        raise SourceError(f"{program}, which {path} names for {host}, is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"{program}, which {path} names for {host}, can't be run, or gave no answer") from error
    if ran.returncode != 0:
        return None  # as it says that it has none; there is no other way to say so
    try:
        answer = strict_json(ran.stdout[:_MAX_BYTES])
    except SourceError:
        answer = None
    if not isinstance(answer, dict) or not all(isinstance(answer.get(key), str) for key in ("Username", "Secret")):
        raise SourceError(f"{program} gave no user and secret for {host}")
    if answer["Username"] == _IDENTITY:
        return Login("", answer["Secret"], is_identity=True)
    return Login(answer["Username"], answer["Secret"])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _host_in(key: str) -> str:
    """``https://index.docker.io/v1/`` and ``ghcr.io`` are keys for hosts."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()


__all__ = ["HUB", "Login", "login_for"]
