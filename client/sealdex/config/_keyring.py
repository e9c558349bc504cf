"""Reads a token or a password from the system's keyring; needs keyring, an extra."""

from __future__ import annotations

from sealdex.config._grants import basic, bearer
from sealdex.config._secret_places import unreadable
from sealdex.log import hide
from sealdex.transport.types import Grant

_TOKEN_NAME = "token"  # noqa: S105  # the name under which one is kept


class Entry:
    """One entry of the keyring.

    Args:
        owner: whose it is, for messages.
        service: as keyrings call what it is for: the registry's address.
        user: whose password it is; None: it is a token, under the name ``token``.
    """

    def __init__(self, owner: str, service: str, user: str | None) -> None:
        self._owner = owner
        self._service = service
        self._user = user
        self.advice = f"keyring set {service} {user or _TOKEN_NAME}"

    def __str__(self) -> str:
        return f"what the keyring has for {self._service}, {self._user or _TOKEN_NAME}"

    def __call__(self, *, refused: bool) -> Grant:  # noqa: ARG002  # it has only one
        """Read it.

        Raises:
            CredentialsError: there is no keyring, it is locked, or has no such entry.
        """
        secret = keyring_secret(self._owner, self._service, self._user or _TOKEN_NAME, self.advice)
        if self._user is not None:
            return basic(self._user, secret)
        return bearer(self._owner, secret.strip(), "the keyring")


def keyring_secret(owner: str, service: str, name: str, advice: str | None = None) -> str:
    """Return what the system's keyring has.

    Args:
        owner: whose it is, for messages.
        service: as keyrings call what it is for.
        name: whose password it is.
        advice: how to give another one.

    Raises:
        CredentialsError: there is no keyring, it is locked, or has no such entry.
    """
    try:
        import keyring  # noqa: PLC0415  # an extra
        from keyring.errors import KeyringError, KeyringLocked, NoKeyringError  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise unreadable(owner, "the keyring needs keyring: pip install 'sealdex[keyring]'") from error
    try:
        secret = keyring.get_password(service, name)
    except NoKeyringError:
        raise unreadable(owner, "there is no keyring on this host", "see: keyring --list-backends") from None
    except KeyringLocked:
        raise unreadable(owner, "the keyring is locked", "unlock it") from None
    except KeyringError as error:
        # from None: what a back end says may be anything
        raise unreadable(owner, f"the keyring can't be read ({type(error).__name__})") from None
    if not secret:
        raise unreadable(
            owner, f"the keyring has nothing for {service}, {name}", advice or f"keyring set {service} {name}"
        )
    hide(secret)
    return secret
