"""One GET: redirects, credentials, proxies and TLS; retries are the caller's.

Invariants:

* Certificates are always verified; this can't be turned off.
* Credentials are sent only to the origin (scheme, host, port) of the requested URL: after the first redirect that
  leaves it, they are no longer sent, even if a later redirect comes back.
* A redirect is never followed from https to http, nor to any scheme other than http and https.
* A query that carries a signature is added to what is sent, and to nothing that is logged, shown or kept. A redirect
  that repeats it for another origin loses it.
* If a proxy refuses a user and password, they are not tried again: an account may be locked after a few attempts.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, nullcontext
from datetime import timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urljoin, urlsplit, urlunsplit

from sealdex.errors import UnavailableError
from sealdex.lazy import regex
from sealdex.log import Log
from sealdex.transport._direct import DirectConnections, place_of
from sealdex.transport._encoding import codings_of
from sealdex.transport._exchange import BrokenError, Timeouts
from sealdex.transport._http_errors import failure_of, proxy_refused
from sealdex.transport._pace import Line, Pace, current_pace
from sealdex.transport._reach import reaching
from sealdex.transport._tls import certificate_refused, has_authorities, refused_certificate, tls_context
from sealdex.transport.http_date import http_date
from sealdex.transport.proxies import proxy_for
from sealdex.transport.types import (
    Answer,
    Credentials,
    Grant,
    ProxyRefusedError,
    RedirectRefusedError,
    Refusal,
    TransientError,
    host_of,
    origin_of,
    public_url,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterator, Mapping

    from sealdex.transport._exchange import Fields, Response
    from sealdex.transport._pipeline import Pipeline
    from sealdex.transport._pools import Pools
    from sealdex.transport.proxies import Proxy
    from sealdex.transport.types import ClientCertificate, Permit, Sent, TransportSettings

_log = Log("sealdex.transport")

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSALS = frozenset({400, 401, 403, 495, 496})  # 400 and nginx's two: a client certificate is missing or wrong
_MIN_SIGNED_CHARS = 8  # what is shorter occurs by chance
_MAX_REFUSAL_BYTES = 4096
_S3_CODE = regex(rb"<Error>\s*<Code>([A-Za-z]{1,64})</Code>")
_SCHEMES = frozenset({"http", "https"})
# Nineteen digits are more than any file size; Python doesn't parse numbers of more than 4,300 digits.
_CONTENT_RANGE = regex(r"bytes (?:([0-9]{1,19})-([0-9]{1,19})|\*)/([0-9]{1,19}|\*)", re.IGNORECASE)
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_WITH_CONTENT = frozenset({200, 206})
_DISCARD_READS = 4
_DISCARD_BYTES = 16 << 10
_DISCARD_S = 1.0


class HttpGetter:
    """Connections, kept for later requests; thread-safe."""

    def __init__(
        self,
        settings: TransportSettings,
        credentials: Credentials | None,
        permit: Permit | None = None,
    ) -> None:
        self._settings = settings
        self._permit = permit
        self._credentials = credentials or Credentials()
        self._timeouts = Timeouts(settings.connect_timeout, settings.read_timeout)
        self._contexts: dict[ClientCertificate | None, ssl.SSLContext] = {}
        self._direct = DirectConnections()
        self._pooled: Pools | None = None
        self._proxies: dict[tuple[str, str], Proxy | None] = {}  # finding one reads all of the environment
        self._lock = threading.Lock()
        self._logins = _Logins()

    def get(self, url: str, headers: Mapping[str, str], pace: Pace) -> Answer:
        """Send one GET, follow its redirects, and return the answer whatever its status is.

        Args:
            url: what to get.
            headers: in addition to those of this class.
            pace: ends the request if it is too slow.

        Raises:
            TransientError: no answer, for a temporary reason.
            RedirectRefusedError: see the module's invariants.
            ProxyRefusedError: the proxy refuses the request.
            UnavailableError: no answer, for a permanent reason: a certificate that doesn't verify.
        """
        first_origin, trusted = origin_of(url), True
        for _ in range(MAX_REDIRECTS + 1):
            if self._permit is not None:
                self._permit(url)
            if trusted:
                response, grant = self._authorized(url, headers, pace)
            else:
                grant = Grant()
                response = self._send(url, headers, pace, grant, left=True)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                answer = _answer(response, url)
                if answer.status in _REFUSALS:
                    answer.error = self._credentials.explained(_refusal(response, url, grant, left=not trusted))
                return answer
            HttpBody(response).close()
            target = _without(grant.query, _redirect_target(url, location), url)
            trusted = trusted and origin_of(target) == first_origin
            _log.debug(
                "transport.redirect",
                "{url} redirects ({status}) to {target}{note}",
                url=public_url(url),
                status=response.status,
                target=public_url(target),
                note="" if trusted or not grant else ", another origin: without credentials",
            )
            url = target
        raise RedirectRefusedError(f"{host_of(url)} redirects more than {MAX_REDIRECTS} times", subject=public_url(url))

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Path | None, max_bytes: int, pace: Pace
    ) -> Sent:
        """Send one request as it is, without credentials and redirects, and read its answer whole.

        Raises:
            TransientError, ProxyRefusedError, UnavailableError: as `get`.
            TooLargeError: the answer is longer than ``max_bytes``.
        """
        if self._permit is not None:
            self._permit(url)
        proxy = self._proxy_for(url)
        with (
            self._logins.first(proxy) if proxy is not None else nullcontext(),
            reaching(self._reached_by(url, proxy)),
            body.open("rb") if isinstance(body, Path) else nullcontext(body) as content,
        ):
            length = {} if content is None else {"Content-Length": str(_length_of(body))}
            sent = {"User-Agent": self._settings.user_agent, **length, **headers}
            tls = self._context(url, None)
            try:
                answer = self._pools().send(method, url, sent, content, proxy, self._timeouts, tls, max_bytes)
            except BrokenError as error:
                raise failure_of(error, url, proxy, pace, can_verify=self._can_verify()) from error
        if answer.status == 407 and proxy is not None:
            raise proxy_refused(proxy, url, answer.status)
        return answer

    def pipeline(self, url: str) -> Pipeline | None:
        """Return what reads many small files from the host of a URL; None behind a proxy."""
        if self._proxy_for(url) is not None:
            return None
        from sealdex.transport._pipeline import Pipeline  # noqa: PLC0415  # for mirrors alone

        is_tls = urlsplit(url).scheme == "https"
        certificate = self._credentials.grant(url).certificate
        tls = tls_context(self._settings, certificate) if is_tls else None
        return Pipeline(url, self._settings, self._credentials, tls, certificate)

    def close(self) -> None:
        """Drop all idle connections."""
        self._direct.clear()
        with self._lock:
            pooled = self._pooled
        if pooled is not None:
            pooled.clear()

    def _limited(self, seconds: float) -> Timeouts:
        """Return the timeouts of a request whose caller has only so many seconds left."""
        said, least = self._settings, 0.001  # zero would mean no waiting at all, and another error
        return Timeouts(max(least, min(said.connect_timeout, seconds)), max(least, min(said.read_timeout, seconds)))

    def _authorized(self, url: str, headers: Mapping[str, str], pace: Pace) -> tuple[Response, Grant]:
        """Send a request with its credentials, once more if they were renewed because they didn't hold."""
        grant = self._credentials.grant(url)
        response = self._send(url, headers, pace, grant)
        if response.status == 401 and (newer := self._credentials.renewed(url, grant)) is not None:
            HttpBody(response).close()
            grant, response = newer, self._send(url, headers, pace, newer)
        return response, grant

    def _send(self, url: str, headers: Mapping[str, str], pace: Pace, grant: Grant, *, left: bool = False) -> Response:
        sent = {"User-Agent": self._settings.user_agent, **grant.headers, **headers}
        proxy = self._proxy_for(url)
        with self._logins.first(proxy) if proxy is not None else nullcontext():
            try:
                with pace.waiting(), reaching(self._reached_by(url, proxy)):
                    timeouts = self._timeouts if pace.stop is None else self._limited(pace.stop.remaining())
                    response = self._response(_with_query(url, grant.query), sent, proxy, grant.certificate, timeouts)
            except BrokenError as error:
                # an https proxy may be who refuses
                is_plain_way = pace.verdict is None and (proxy is None or proxy.scheme != "https")
                if is_plain_way and (alert := refused_certificate(error)) is not None:
                    refusal = Refusal(url, 0, grant, alert, left=left)
                    raise self._credentials.explained(refusal) or certificate_refused(refusal) from error
                raise failure_of(error, url, proxy, pace, can_verify=self._can_verify()) from error
            if response.status == 407 and proxy is not None:
                response.close()
                raise proxy_refused(proxy, url, response.status)
        return response

    def _reached_by(self, url: str, proxy: Proxy | None) -> Callable[[str], None] | None:
        """Return what is asked about the IP address of a connection; a proxy resolves names by itself."""
        return partial(self._permit.reached, url) if self._permit is not None and proxy is None else None

    def _proxy_for(self, url: str) -> Proxy | None:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        try:
            return self._proxies[origin]
        except KeyError:
            return self._proxies.setdefault(origin, proxy_for(url))

    def _can_verify(self) -> bool:
        return self._settings.ca_bundle is not None or has_authorities()

    def _response(
        self,
        url: str,
        headers: Mapping[str, str],
        proxy: Proxy | None,
        certificate: ClientCertificate | None,
        timeouts: Timeouts,
    ) -> Response:
        tls = self._context(url, certificate)
        place = place_of(url) if proxy is None else None
        if place is None:
            return self._pools().get(url, headers, proxy, timeouts, tls, certificate)
        # a connection that has shown a certificate is not used for requests without one
        return self._direct.get(place, headers, timeouts, tls, certificate)

    def _context(self, url: str, certificate: ClientCertificate | None) -> ssl.SSLContext | None:
        if urlsplit(url).scheme != "https":
            return None
        with self._lock:
            # One context for all connections: reading the system's authorities takes some 10 ms each time.
            context = self._contexts.get(certificate)
            if context is None:
                context = self._contexts[certificate] = tls_context(self._settings, certificate)
            return context

    def _pools(self) -> Pools:
        with self._lock:
            if self._pooled is None:
                from sealdex.transport._pools import Pools  # noqa: PLC0415  # urllib3 takes 30 ms

                self._pooled = Pools(self._settings)
            return self._pooled


class _Logins:
    """Makes sure that only one request tries a user and password with a proxy, until the proxy accepts them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Proxy, threading.Lock] = {}
        self._passed: set[Proxy] = set()
        self._refused: dict[Proxy, ProxyRefusedError] = {}

    @contextmanager
    def first(self, proxy: Proxy) -> Iterator[None]:
        """Run a request through a proxy.

        Raises:
            ProxyRefusedError: it has refused the user and password before.
        """
        if proxy.user is None or proxy in self._passed:
            yield
            return
        with self._guard:
            lock = self._locks.setdefault(proxy, threading.Lock())
        with lock:
            if (refused := self._refused.get(proxy)) is not None:
                raise ProxyRefusedError(refused.message, subject=refused.subject, hint=refused.hint)
            if proxy not in self._passed:
                try:
                    yield
                except ProxyRefusedError as error:
                    if error.is_login:
                        self._refused[proxy] = error
                    raise
                self._passed.add(proxy)
                return
        yield


def _length_of(body: bytes | Path | None) -> int:
    return body.stat().st_size if isinstance(body, Path) else len(body or b"")


class HttpBody:
    """The body of one answer, undecoded."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def read_some(self, max_bytes: int) -> bytes:
        """Return what has arrived, see ``Body``."""
        try:
            return self._response.read1(max_bytes)
        except BrokenError as error:
            pace = current_pace()
            raise (pace.verdict if pace is not None else None) or TransientError(error.reason) from error

    def abort(self) -> None:
        """Wake a reader in another thread; harmless once the body has ended."""
        try:
            self._response.abort()
        except (OSError, ValueError, RuntimeError):
            return  # already closed, or returned to the pool: no thread waits

    def close(self) -> None:
        """Keep the connection for another request, or drop it if the body wasn't read to its end."""
        if self._response.status not in _WITH_CONTENT:
            self._discard()
        self._response.close()

    def _discard(self) -> None:
        # The root walk of every refresh ends with a 404: reading its page saves the next request a handshake.
        # The reads and the time are limited, in case the page is slow or endless.
        try:
            with Pace(_DISCARD_S, 0, time.monotonic, Line()).waiting():
                for _ in range(_DISCARD_READS):
                    if not self._response.read1(_DISCARD_BYTES):
                        return
        except BrokenError:
            return  # the connection can't be reused, and close drops it


def _refusal(response: Response, url: str, grant: Grant, *, left: bool) -> Refusal:
    """Return what is known of a refusal; of S3's XML the code is read, whose values AWS documents."""
    code = None
    if response.status == 403 and "xml" in (response.headers.get("Content-Type") or ""):
        head = b""
        try:
            with Pace(_DISCARD_S, 0, time.monotonic, Line()).waiting():
                while len(head) < _MAX_REFUSAL_BYTES and (more := response.read1(_MAX_REFUSAL_BYTES)):
                    head += more
        except BrokenError:
            head = b""
        found = _S3_CODE.search(head)
        code = found[1].decode() if found is not None else None
    return Refusal(url, response.status, grant, code, _clock_of(response.headers), left)


def _with_query(url: str, query: str) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _without(query: str, target: str, url: str) -> str:
    """Return the address of a redirect without what carries a signature of ours: servers repeat what they were asked.

    Raises:
        RedirectRefusedError: it stands elsewhere in the address.
    """
    if not query:
        return target
    secrets = {value for _, value in parse_qsl(query) if len(value) >= _MIN_SIGNED_CHARS}
    address, _, own = target.partition("?")
    kept = "&".join(part for part in own.split("&") if not _holds(part, secrets))
    if _holds(address, secrets):
        raise RedirectRefusedError(
            f"{public_url(url)} redirects to an address with the signature of the request in it: refused",
            subject=public_url(url),
            hint="report this to the registry's operator",
        )
    return f"{address}?{kept}" if kept else address


def _holds(text: str, secrets: Collection[str]) -> bool:
    spellings = (text, unquote_plus(text), unquote(unquote(text)))  # an address as part of another is encoded twice
    return any(secret in spelling for secret in secrets for spelling in spellings)


def _redirect_target(url: str, location: str) -> str:
    refused = f"{public_url(url)} redirects to "
    try:
        target = urljoin(url, _as_sent(location)).partition("#")[0]
        scheme, host, _ = origin_of(target)
        user = urlsplit(target).username
    except ValueError as error:
        raise RedirectRefusedError(
            f"{refused}something that is not a valid address", subject=public_url(url)
        ) from error
    if scheme not in _SCHEMES or not host or user is not None:
        raise RedirectRefusedError(f"{refused}something that is not a plain http(s) address", subject=public_url(url))
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise RedirectRefusedError(
            f"{refused}{public_url(target)}, which is not encrypted: refused",
            subject=public_url(url),
            hint="report this to the registry's operator; redirects must stay on https",
        )
    return target


def _as_sent(location: str) -> str:
    """Return a Location with characters that aren't allowed percent-encoded, byte by byte as sent.

    Header fields are read as Latin-1, so a raw UTF-8 name looks garbled here, and would be encoded twice.
    """
    if location.isascii() and not re.search(r"[\s\x00-\x1f\x7f]", location):
        return location
    sent = location.encode("latin-1", "replace")
    parts = urlsplit(sent.decode("utf-8", "replace"))
    if not parts.netloc.isascii():
        # host names aren't percent-encoded
        host = parts.netloc.encode("idna").decode("ascii")
        rest = urlunsplit(("", "", parts.path, parts.query, parts.fragment))
        return f"{parts.scheme}://{host}{quote(rest, safe=_PRINTABLE)}"
    return quote(sent, safe=_PRINTABLE)


def _answer(response: Response, url: str) -> Answer:
    headers = response.headers
    length = _number(headers.get("Content-Length"))
    answer = Answer(
        status=response.status,
        body=HttpBody(response),
        length=length,
        etag=headers.get("ETag"),
        encoding=codings_of(headers.get("Content-Encoding")),
        retry_after=_retry_after(headers),
        date=_clock_of(headers),
        modified=headers.get("Last-Modified"),
    )
    if response.status == 200:
        answer.total_size = length
    elif response.status in {206, 416}:
        match = _CONTENT_RANGE.fullmatch((headers.get("Content-Range") or "").strip())
        if match is None and response.status == 206:
            answer.body.close()
            raise UnavailableError(
                f"{host_of(url)} answers with a part of {public_url(url)} without saying which",
                subject=public_url(url),
            )
        if match is not None:
            first, last, total = match.groups()
            answer.total_size = _number(total)
            if first is not None and response.status == 206:
                answer.start = int(first)
                answer.length = int(last) - int(first) + 1  # _is_within refuses invalid values
    return answer


def _clock_of(headers: Fields) -> float | None:
    """Return what a server's clock says: a cache in between states how old its answer is, beside the date."""
    date, age = _date(headers.get("Date")), _number((headers.get("Age") or "").strip())
    return date + (age or 0) if date is not None else None


def _date(text: str | None) -> float | None:
    """Return the time of a Date header in seconds since the epoch; GMT if it has no zone, as in RFC 9110."""
    try:
        moment = http_date(text or "")
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):  # the last for times beyond the system's range
        return None


def _number(text: str | None) -> int | None:
    # isdecimal alone accepts digits of other scripts, and int() would read them.
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 20 else None


def _retry_after(headers: Fields) -> float | None:
    """Read Retry-After in seconds; a date is relative to the answer's own Date, so this host's clock doesn't matter."""
    text = (headers.get("Retry-After") or "").strip()
    if not text:
        return None
    if (seconds := _number(text)) is not None:
        return float(seconds)
    asked, answered = _date(text), _date(headers.get("Date"))
    return max(0.0, asked - answered) if asked is not None and answered is not None else None
