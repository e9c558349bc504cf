"""What each type of ``auth`` authorizes requests with.

What is in a variable or a file is read at each request, so that a renewed token is used at once. A helper and the
keyring are asked once, and again when what they gave expires or is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace

from sealdex.config._grants import basic, bearer, cookies, cookies_in, signed_query
from sealdex.config._owner import Owner
from sealdex.config._secret_places import Place, netrc_file, place_of, read_netrc, read_secret, unreadable
from sealdex.config.document import AuthSection
from sealdex.config.s3_signer import S3Signer
from sealdex.errors import CredentialsError
from sealdex.transport.types import ClientCertificate, Grant

_EARLY_S = 10.0
"""So long before credentials expire, others are asked for."""
_AGAIN_S = 30.0
"""So long neither a refusal nor a failure leads to another question."""


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
    renewed: Callable[[Grant], Grant | None] = lambda _refused: None


def source_of(owner: Owner, auth: AuthSection) -> Source:
    """Return what authorizes requests of an owner, as it is configured."""
    source = _KINDS[auth.type](owner, auth)
    if auth.cert_file is None:
        return source

    def grant(url: str) -> Grant:
        return replace(source.grant(url), certificate=certificate_of(owner, auth))

    def renewed(refused: Grant) -> Grant | None:
        newer = source.renewed(replace(refused, certificate=None))
        return replace(newer, certificate=refused.certificate) if newer is not None else None

    shown = f"the client certificate {owner.folder / auth.cert_file}"
    if auth.type == "certificate":
        return Source(shown, source.advice, grant)
    return Source(f"{source.shown}, with {shown}", source.advice, grant, renewed)


def _bearer(owner: Owner, auth: AuthSection) -> Source:
    place = place_of(auth.token_env, auth.token_file, owner.folder)
    return Source(
        f"the token in {place}",
        place.advice,
        lambda _: bearer(owner.shown, read_secret(owner.shown, place), str(place)),
    )


def _basic(owner: Owner, auth: AuthSection) -> Source:
    place = place_of(auth.password_env, auth.password_file, owner.folder)
    user = auth.user or ""
    return Source(
        f"user '{user}' with the password in {place}",
        place.advice,
        lambda _: basic(user, read_secret(owner.shown, place)),
    )


def _netrc(owner: Owner, auth: AuthSection) -> Source:
    def grant(url: str) -> Grant:
        path = netrc_file(auth.netrc_file, owner.folder)
        return basic(*read_netrc(owner.shown, path, urlsplit(url).hostname or ""))

    path = netrc_file(auth.netrc_file, owner.folder)
    return Source(f"the user and password in {path}", f"correct the entry of the host in {path}", grant)


def _sigv4(owner: Owner, auth: AuthSection) -> Source:
    signer = S3Signer(owner.shown, auth.profile, auth.region or "")
    named = f" of the profile '{auth.profile}'" if auth.profile else ""
    return Source(
        f"the AWS keys{named}",
        "check the keys (AWS_ACCESS_KEY_ID, AWS_PROFILE, ~/.aws), or log in again",
        lambda url: Grant(signer.signed("GET", url, {})),
    )


def _cookies(owner: Owner, auth: AuthSection) -> Source:
    place = place_of(auth.cookies_env, auth.cookies_file, owner.folder)
    return Source(
        f"the signed cookies in {place}",
        place.advice,
        lambda _: cookies(owner.shown, cookies_in(read_secret(owner.shown, place)), str(place)),
    )


def _query(owner: Owner, auth: AuthSection) -> Source:
    place = place_of(auth.query_env, auth.query_file, owner.folder)
    return Source(
        f"the signed query in {place}",
        place.advice,
        lambda _: signed_query(owner.shown, read_secret(owner.shown, place), str(place)),
    )


def _certificate(owner: Owner, auth: AuthSection) -> Source:  # noqa: ARG001  # as the others
    return Source("", "give another cert_file and key_file", lambda _: Grant())


def _command(owner: Owner, auth: AuthSection) -> Source:
    from sealdex.config._helper import DEFAULT_SECONDS, Helper  # noqa: PLC0415  # subprocess, for who has one

    seconds = auth.timeout or DEFAULT_SECONDS
    helper = Helper(owner.shown, owner.registry, owner.address, auth.command or (), owner.folder, seconds, owner.say)
    kept = _Kept(helper)
    return Source(f"what {helper.shown} gave", f"log in again with what {helper.shown} needs", kept.grant, kept.renewed)


def _keyring(owner: Owner, auth: AuthSection) -> Source:
    from sealdex.config._keyring import Entry  # noqa: PLC0415  # for who has one

    entry = Entry(owner.shown, auth.service or owner.address, auth.user)
    kept = _Kept(entry)
    return Source(f"{entry}", entry.advice, kept.grant, kept.renewed)


_KINDS: dict[str, Callable[[Owner, AuthSection], Source]] = {
    "bearer": _bearer,
    "basic": _basic,
    "netrc": _netrc,
    "sigv4": _sigv4,
    "certificate": _certificate,
    "command": _command,
    "keyring": _keyring,
    "cookies": _cookies,
    "query": _query,
}


class _Asks(Protocol):
    def __call__(self, *, refused: bool) -> Grant: ...


class _Kept:
    """Keeps what somebody was asked for, until it expires or is refused; one asks at a time."""

    def __init__(self, ask: _Asks) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._kept: Grant | None = None
        self._until: float | None = None  # of `time.time`
        self._renewed_at: float | None = None  # of `time.monotonic`
        self._failed: tuple[float, CredentialsError] | None = None

    def grant(self, url: str) -> Grant:  # noqa: ARG002  # the same for all below one address
        with self._lock:
            if self._kept is not None and (self._until is None or time.time() < self._until):
                return self._kept
            return self._asked(refused=False)

    def renewed(self, refused: Grant) -> Grant | None:
        with self._lock:
            if self._kept != refused:
                return self._kept  # another thread has asked meanwhile
            now = time.monotonic()
            if self._renewed_at is not None and now - self._renewed_at < _AGAIN_S:
                return None
            self._renewed_at = now
            newer = self._asked(refused=True)
            return newer if newer != refused else None

    def _asked(self, *, refused: bool) -> Grant:
        if self._failed is not None and time.monotonic() - self._failed[0] < _AGAIN_S:
            raise self._failed[1].restated()
        try:
            self._kept = grant = self._ask(refused=refused)
        except CredentialsError as error:
            self._kept = None
            self._failed = (time.monotonic(), error)
            raise
        self._failed, self._until = None, None
        if grant.expires is not None:
            now = time.time()
            # of what lasts for seconds only, the half
            self._until = grant.expires - min(_EARLY_S, max(0.0, grant.expires - now) / 2)
        return grant


def certificate_of(owner: Owner, auth: AuthSection) -> ClientCertificate:
    """Return the client certificate of an ``auth``, as its files are now.

    Raises:
        CredentialsError: a file isn't there, or a passphrase.
    """
    folder = owner.folder
    cert = folder / (auth.cert_file or "")
    key = folder / auth.key_file if auth.key_file is not None else None
    stamp: list[int] = []
    for path in filter(None, (cert, key)):
        try:
            found = path.stat()
        except OSError as error:
            raise unreadable(owner.shown, f"{path} can't be read: {error.strerror}") from error
        stamp += (found.st_mtime_ns, found.st_size, found.st_ino)
    place = Place(auth.key_passphrase_env, folder / auth.key_passphrase_file if auth.key_passphrase_file else None)
    passphrase = read_secret(owner.shown, place) if place != (None, None) else None
    return ClientCertificate(str(cert), str(key) if key is not None else None, passphrase, tuple(stamp))
