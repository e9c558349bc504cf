"""What each type of ``auth`` authorizes requests with; the secrets are read at each request."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from sealdex.config._expiry import token_expiry
from sealdex.config._secret_places import Place, netrc_file, place_of, read_netrc, read_secret, unreadable
from sealdex.config.document import AuthSection
from sealdex.config.s3_signer import S3Signer
from sealdex.log import hide
from sealdex.transport.types import ClientCertificate, Grant

_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Source:
    """Where grants come from.

    Attributes:
        shown: what is sent, and where it is from, for messages.
        advice: how to give another.
        grant: returns what authorizes a GET of a URL; raises CredentialsError.
        renewed: returns a newer one after this was refused, or None.
    """

    shown: str
    advice: str
    grant: Callable[[str], Grant]
    renewed: Callable[[str, Grant], Grant | None] = lambda _url, _refused: None


def source_of(owner: str, auth: AuthSection, folder: Path) -> Source:
    """Return what authorizes requests of an owner.

    Args:
        owner: ``registry 'team'``, or an address.
        auth: as configured.
        folder: what its files are relative to.
    """
    source = _KINDS[auth.type](owner, auth, folder)
    if auth.cert_file is None:
        return source

    def grant(url: str) -> Grant:
        return replace(source.grant(url), certificate=certificate_of(owner, auth, folder))

    def renewed(url: str, refused: Grant) -> Grant | None:
        newer = source.renewed(url, refused)
        return replace(newer, certificate=refused.certificate) if newer is not None else None

    shown = f"the client certificate {folder / auth.cert_file}"
    if auth.type == "certificate":
        return Source(shown, source.advice, grant)
    return Source(f"{source.shown}, with {shown}", source.advice, grant, renewed)


def _bearer(owner: str, auth: AuthSection, folder: Path) -> Source:
    place = place_of(auth.token_env, auth.token_file, folder)
    return Source(f"the token in {place}", place.advice, lambda _: bearer(owner, read_secret(owner, place), str(place)))


def _basic(owner: str, auth: AuthSection, folder: Path) -> Source:
    place = place_of(auth.password_env, auth.password_file, folder)
    user = auth.user or ""
    return Source(
        f"user '{user}' with the password in {place}", place.advice, lambda _: basic(user, read_secret(owner, place))
    )


def _netrc(owner: str, auth: AuthSection, folder: Path) -> Source:
    def grant(url: str) -> Grant:
        return basic(*read_netrc(owner, netrc_file(auth.netrc_file, folder), urlsplit(url).hostname or ""))

    path = netrc_file(auth.netrc_file, folder)
    return Source(f"the user and password in {path}", f"correct the entry of the host in {path}", grant)


def _sigv4(owner: str, auth: AuthSection, folder: Path) -> Source:  # noqa: ARG001  # as the others
    signer = S3Signer(owner, auth.profile, auth.region or "")
    named = f" of the profile '{auth.profile}'" if auth.profile else ""
    return Source(
        f"the AWS keys{named}",
        "check the keys (AWS_ACCESS_KEY_ID, AWS_PROFILE, ~/.aws), or log in again",
        lambda url: Grant(signer.signed("GET", url, {})),
    )


def _certificate(owner: str, auth: AuthSection, folder: Path) -> Source:  # noqa: ARG001  # as the others
    return Source("", "give another cert_file and key_file", lambda _: Grant())


_KINDS: dict[str, Callable[[str, AuthSection, Path], Source]] = {
    "bearer": _bearer,
    "basic": _basic,
    "netrc": _netrc,
    "sigv4": _sigv4,
    "certificate": _certificate,
}


def bearer(owner: str, token: str, place: str) -> Grant:
    """Return the grant of a token.

    Raises:
        CredentialsError: it would not be one header.
    """
    if not _TOKEN.fullmatch(token):
        raise unreadable(owner, f"{place} does not hold a valid token: white space or other characters")
    return Grant({"Authorization": f"Bearer {token}"}, expires=token_expiry(token))


def basic(user: str, password: str) -> Grant:
    """Return the grant of a user and password."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    hide(encoded)
    return Grant({"Authorization": f"Basic {encoded}"})


def certificate_of(owner: str, auth: AuthSection, folder: Path) -> ClientCertificate:
    """Return the client certificate of an ``auth``, as its files are now.

    Raises:
        CredentialsError: a file isn't there, or a passphrase.
    """
    cert = folder / (auth.cert_file or "")
    key = folder / auth.key_file if auth.key_file is not None else None
    stamp: list[int] = []
    for path in filter(None, (cert, key)):
        try:
            found = path.stat()
        except OSError as error:
            raise unreadable(owner, f"{path} can't be read: {error.strerror}") from error
        stamp += (found.st_mtime_ns, found.st_size, found.st_ino)
    place = Place(auth.key_passphrase_env, folder / auth.key_passphrase_file if auth.key_passphrase_file else None)
    passphrase = read_secret(owner, place) if place != (None, None) else None
    return ClientCertificate(str(cert), str(key) if key is not None else None, passphrase, tuple(stamp))
