"""Reads secrets from where the configuration says that they are: a variable, a file, netrc. No message has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sealdex.errors import CredentialsError
from sealdex.log import hide
from sealdex.paths import home_folder

if TYPE_CHECKING:
    from sealdex.transport.types import CredentialsProblem

MAX_SECRET_BYTES = 64 * 1024


class Place(NamedTuple):
    """Where one secret is.

    Attributes:
        variable: of the environment, or None.
        file: instead of it.
    """

    variable: str | None
    file: Path | None

    def __str__(self) -> str:
        return f"the environment variable {self.variable}" if self.variable is not None else str(self.file)

    @property
    def advice(self) -> str:
        """How to give another one."""
        return f"set {self.variable}" if self.variable is not None else f"write a valid one into {self.file}"


def place_of(variable: str | None, file: str | None, folder: Path) -> Place:
    """Return a place as it is configured, files relative to a folder."""
    return Place(variable, folder / file if file is not None else None)


def read_secret(owner: str, place: Place) -> str:
    """Return the secret at a place, without white space around it.

    Args:
        owner: whose it is, for messages: "registry 'team'".
        place: where it is.

    Raises:
        CredentialsError: there is none.
    """
    if place.file is None:
        text = os.environ.get(place.variable or "", "").strip()
        if not text:
            raise unreadable(owner, f"{place} is not set", place.advice)
        hide(text)
        return text
    try:
        with place.file.open("rb") as opened:
            data = opened.read(MAX_SECRET_BYTES + 1)
        if len(data) > MAX_SECRET_BYTES:
            raise unreadable(
                owner, f"{place} is larger than {MAX_SECRET_BYTES} bytes, which no secret is", place.advice
            )
        text = data.decode().strip()
    except OSError as error:
        raise unreadable(owner, f"{place} can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise unreadable(owner, f"{place} is not a text file") from None
    if not text:
        raise unreadable(owner, f"{place} is empty", place.advice)
    hide(text)
    return text


def netrc_file(configured: str | None, folder: Path) -> Path:
    """Return the netrc file: as configured, ``$NETRC``, or the user's."""
    return folder / configured if configured else Path(os.environ.get("NETRC") or Path(home_folder(), ".netrc"))


def read_netrc(owner: str, path: Path, host: str) -> tuple[str, str]:
    """Return user and password of a host.

    Raises:
        CredentialsError: there are none.
    """
    import netrc  # noqa: PLC0415  # only for who has one

    try:
        found = netrc.netrc(str(path)).authenticators(host)
    except OSError as error:
        raise unreadable(owner, f"{path} can't be read: {error.strerror}") from error
    except (netrc.NetrcParseError, UnicodeDecodeError):
        # from None: the parser's message may quote the password
        raise unreadable(owner, f"{path} is not a valid netrc file") from None
    if found is None:
        raise unreadable(owner, f"{path} has no entry for machine {host}")
    hide(found[2])
    return found[0], found[2] or ""


def unreadable(
    owner: str, why: str, advice: str | None = None, *, problem: CredentialsProblem = "missing"
) -> CredentialsError:
    """Return the error for credentials that can't be had on this host."""
    registry = owner.removeprefix("registry ").strip("'") if owner.startswith("registry ") else None
    see = f"see {table_of(owner)} in config.toml" if owner.startswith(("registry ", "https:", "http:")) else None
    return CredentialsError(
        f"the credentials of {owner} can't be read: {why}",
        subject=owner.removeprefix("registry ").strip("'"),
        untouched="no request was made",
        hint="; ".join(filter(None, (advice, see))) or None,
        details={"credentials": {"problem": problem, "registry": registry}},
    )


def table_of(owner: str) -> str:
    """Return the table of config.toml that says where an owner's credentials are."""
    name = owner.removeprefix("registry ")
    return f'[auth."{owner}"]' if name == owner else f"auth under [registries.{name.strip(chr(39))}]"
