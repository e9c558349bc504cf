"""Asks container registries: for tokens where they want one, and for manifests (OCI distribution specification 1.1).

A registry answers 401 and says how: with a token of a server that it names, or with the login itself. Public images
need a token as well, which nobody has to log in for. The login of this machine's user is used only for registries that
the command line names: what another's index names could be readable to this user alone, and would be published.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from registry_builder.importers._reading import strict_json
from registry_builder.importers.docker_login import HUB, Login, login_for
from registry_builder.importers.foreign import SourceError, shown
from sealdex.errors import SealdexError
from sealdex.log import hide
from sealdex.transport import Credentials, Grant, HttpStatusError, Refusal, Transport, public_url

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_REPOSITORY = re.compile(r"/v2/(?P<repository>.+)/(?:manifests|blobs)/[^/]+$")
_REFERENCE = re.compile(r"(?P<repository>[^:@]+)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?")
_CHALLENGE = re.compile(r"(?:^|,)\s*(Bearer|Basic)\s+", re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_STATUSES = frozenset({200, 301, 302, 303, 307, 308, 401, 403, 404, 405})
_REFUSED = frozenset({400, 401, 403})
_TOKEN = re.compile(r"[\x21-\x7e]+")
_MAX_BYTES = 4 << 20
_DEFAULT_TOKEN_S = 60  # where the answer doesn't say
_LONGEST_S = 24 * 3600.0


class Image(NamedTuple):
    """What an ``oci://`` address names.

    Attributes:
        root: of its repository's addresses: ``https://ghcr.io/v2/team/web``.
        reference: a tag, or ``sha256:DIGEST``.
    """

    root: str
    reference: str


def image_of(url: str, default_tag: str) -> Image:
    """Read ``oci://HOST/REPOSITORY[:TAG][@sha256:DIGEST]``.

    Raises:
        SourceError: it has another form.
    """
    parts = _split(url)
    match = _REFERENCE.fullmatch(parts.path.strip("/")) if parts is not None else None
    if parts is None or not parts.netloc or "@" in parts.netloc or match is None:
        raise SourceError(f"'{shown(url)}' is not an address in a container registry: oci://HOST/REPOSITORY:TAG")
    scheme = "http" if parts.hostname in _LOCAL else "https"
    host = HUB if parts.netloc.lower() in ("docker.io", "index.docker.io") else parts.netloc.lower()
    reference = f"sha256:{match['digest']}" if match["digest"] else match["tag"] or default_tag
    return Image(f"{scheme}://{host}/v2/{quote(match['repository'])}", reference)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # it is read when it is asked for
    except ValueError:
        return None
    return parts


class RegistryLogins(Credentials):
    """Authorizes GETs of manifests and blobs; thread-safe.

    Args:
        transport: asks registries and token servers; it has no credentials of its own.
        hosts: whose logins may be used: ``ghcr.io``, ``localhost:5000``.
        find: returns the login of a host, as `registry_builder.importers.docker_login.login_for`.
    """

    def __init__(
        self, transport: Transport, hosts: Collection[str], find: Callable[[str], Login | None] = login_for
    ) -> None:
        self._transport = transport
        self._hosts = {host.lower().removesuffix(":443").removesuffix(":80") for host in hosts}
        self._find = find
        self._lock = threading.Lock()
        self._grants: dict[tuple[str, str], Grant] = {}

    def grant(self, url: str) -> Grant:
        """Return what an earlier request for the same repository was authorized with."""
        place = _place_of(url)
        with self._lock:
            found = self._grants.get(place) if place is not None else None
        return found if found is not None and (found.expires or 0) > time.time() else Grant()

    def renewed(self, url: str, refused: Grant) -> Grant | None:
        """Return what the registry says that it wants; None if it is the same, or isn't to be had.

        Raises:
            HttpStatusError: the login of this machine can't be read, or its registry would expose it.
            VerificationError, UnavailableError: the token server is not to be asked, or doesn't answer.
        """
        place = _place_of(url)
        if place is None:
            return None
        try:
            found = self._authorized(url, place)
        except SourceError as error:
            raise HttpStatusError(url, 401, f"{place[0]} wants a login: {error}") from error
        except HttpStatusError as error:
            if error.status not in _REFUSED:
                raise
            return None  # what the registry refused is told
        if found is None or found == refused:
            return None
        with self._lock:
            self._grants[place] = found
        return found

    def explained(self, refusal: Refusal) -> HttpStatusError | None:
        """Return the error for a refusal, which says which login is missing, or was refused."""
        place = _place_of(refusal.url)
        if place is None or refusal.left or refusal.status not in (401, 403):
            return None
        host, repository = place
        if self._is_named(host):
            there = self._login_or_none(host) is not None
            said = "refuses the login that this machine has" if there else "wants a login"
            hint = f"log in as a user who may read it: docker login {host}"
        else:
            said = "wants a login"
            hint = f"if this registry is to be read with the login that docker keeps: --login {host}"
        return HttpStatusError(refusal.url, refusal.status, f"{host} {said} for {shown(repository)}", hint=hint)

    def _is_named(self, host: str) -> bool:
        return host in self._hosts or (host == HUB and bool(self._hosts & {"docker.io", "index.docker.io"}))

    def _login_or_none(self, host: str) -> Login | None:
        try:
            return self._login(host)
        except SourceError:
            return None

    def _login(self, host: str) -> Login | None:
        return self._find(host) if self._is_named(host) else None

    def _authorized(self, url: str, place: tuple[str, str]) -> Grant | None:
        sent = self._transport.send("HEAD", url, headers={}, expected=_STATUSES, max_bytes=_MAX_BYTES)
        if sent.status != 401 or sent.challenge is None:
            return None
        wanted = challenges_in(sent.challenge)
        login = self._login(place[0])
        if "bearer" in wanted:
            return self._token(url, place[1], wanted["bearer"], login)
        if "basic" in wanted and login is not None and not login.is_identity:
            return Grant({"Authorization": _basic(login)}, expires=time.time() + _LONGEST_S)
        return None

    def _token(self, url: str, repository: str, wanted: dict[str, str], login: Login | None) -> Grant | None:
        realm = wanted.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise SourceError("it names no valid address for tokens")
        if login is not None and parts.scheme != "https" and urlsplit(url).scheme == "https":
            raise SourceError(f"it names {public_url(realm)} for tokens, and a login isn't sent without https")
        # never more than reading, whatever it says is wanted
        asked = {"service": wanted.get("service", ""), "scope": f"repository:{repository}:pull"}
        headers = {"Accept": "application/json"}
        body: bytes | None = None
        address = realm
        if login is not None and login.is_identity:
            form = {**asked, "grant_type": "refresh_token", "client_id": "sealdex", "refresh_token": login.secret}
            body, method = urlencode(form).encode(), "POST"
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            method = "GET"
            address = f"{realm}{'&' if parts.query else '?'}{urlencode({k: v for k, v in asked.items() if v})}"
            if login is not None:
                headers["Authorization"] = _basic(login)
        sent = self._transport.send(
            method, address, headers=headers, expected=frozenset({200}), max_bytes=_MAX_BYTES, body=body
        )
        return _grant_in(sent.data, public_url(realm))


class ContainerRegistries:
    """Reads manifests of container registries.

    Args:
        transport: asks, with the credentials of `RegistryLogins`.
        logins: those credentials.
    """

    def __init__(self, transport: Transport, logins: RegistryLogins) -> None:
        self._transport, self._logins = transport, logins

    def manifest(self, image: Image, media_type: str) -> dict[str, Any]:
        """Return a manifest; one that is named by its digest is checked.

        Raises:
            SourceError: the registry refuses, has none, or answers with something else.
        """
        url = f"{image.root}/manifests/{image.reference}"
        try:
            data = self._read(url, media_type)
        except SealdexError as error:
            raise SourceError(f"{error.message}{f'; {error.hint}' if error.hint else ''}") from error
        algorithm, _, digest = image.reference.partition(":")
        if digest and hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() != digest:
            raise SourceError(f"{url} has other bytes than its digest says")
        values = strict_json(data)
        if not isinstance(values, dict):
            raise SourceError(f"{url} is not a manifest")
        return values

    def _read(self, url: str, media_type: str) -> bytes:
        grant = self._logins.grant(url)
        for _ in range(2):
            sent = self._transport.send(
                "GET",
                url,
                headers={"Accept": media_type, **grant.headers},
                expected=frozenset({200, 401, 403}),
                max_bytes=_MAX_BYTES,
            )
            if sent.status == 200:
                return sent.data
            newer = self._logins.renewed(url, grant) if sent.status == 401 else None
            if newer is None:
                break
            grant = newer
        explained = self._logins.explained(Refusal(url, sent.status, grant))
        raise explained or HttpStatusError(url, sent.status)


def challenges_in(header: str) -> dict[str, dict[str, str]]:
    """Return the challenges of a ``WWW-Authenticate``: scheme to its parameters, both in small letters."""
    starts = list(_CHALLENGE.finditer(header))
    found: dict[str, dict[str, str]] = {}
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(header)
        parameters = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
            for name, quoted, plain in _PARAMETER.findall(header[start.end() : end])
        }
        found.setdefault(start[1].lower(), parameters)
    return found


def _place_of(url: str) -> tuple[str, str] | None:
    """Return host and repository of a manifest's or blob's address: a token is for one repository."""
    parts = urlsplit(url)
    match = _REPOSITORY.search(parts.path)
    return (parts.netloc.lower(), match["repository"]) if match is not None else None


def _basic(login: Login) -> str:
    encoded = base64.b64encode(f"{login.user}:{login.secret}".encode()).decode()
    hide(encoded)
    return f"Basic {encoded}"


def _grant_in(data: bytes, realm: str) -> Grant:
    try:
        values = strict_json(data)
    except SourceError:
        values = None  # its text might show the token
    found = values if isinstance(values, dict) else {}
    token = found.get("token") or found.get("access_token")
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise SourceError(f"{realm} gave no token")
    hide(token)
    seconds = found.get("expires_in")
    lasts = seconds if isinstance(seconds, int) and not isinstance(seconds, bool) else _DEFAULT_TOKEN_S
    return Grant({"Authorization": f"Bearer {token}"}, expires=time.time() + max(1.0, min(lasts, _LONGEST_S) * 0.9))


__all__ = ["ContainerRegistries", "Image", "RegistryLogins", "challenges_in", "image_of"]
