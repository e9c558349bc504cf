"""What a request failed of: whether it may pass, and in a few words that hold no secret. Pure."""

from __future__ import annotations

import ssl

from sealdex.errors import UnavailableError
from sealdex.lazy import regex
from sealdex.transport._exchange import BrokenError
from sealdex.transport._pace import Pace
from sealdex.transport.proxies import Proxy
from sealdex.transport.types import ProxyRefusedError, TransientError, host_of, is_passing, public_url

_STATUS_LINE = regex(rb"HTTP/1\.[0-9] ([0-9]{3})")


def failure_of(
    error: BrokenError, url: str, proxy: Proxy | None, pace: Pace, *, can_verify: bool
) -> TransientError | UnavailableError:
    """Return the error for a request without an answer.

    Args:
        error: as the request raised it.
        url: requested.
        proxy: that it went through.
        pace: of the request.
        can_verify: whether any certificate authority is known here.
    """
    if pace.verdict is not None:
        return pace.verdict
    if proxy is not None:
        if (found := _STATUS_LINE.match(pace.tunnel_head)) is not None and (status := int(found[1])) != 200:
            if is_passing(status):
                return TransientError(f"the proxy {proxy.url} answered {status}")
            return proxy_refused(proxy, url, status)
        if proxy.is_socks and _is_login_refused(error.__cause__):
            return proxy_refused(proxy, url, None)
    return _translated(error, url, can_verify=can_verify)


def _is_login_refused(error: BaseException | None) -> bool:
    from sealdex.transport._socks import SocksLoginError  # noqa: PLC0415  # an extra

    return error is not None and isinstance(error.__cause__, SocksLoginError)


def proxy_refused(proxy: Proxy, url: str, status: int | None) -> ProxyRefusedError:
    """Return the error for a request that a proxy refused; ``status`` is None for a SOCKS proxy's refused login."""
    answered = f" (it answered {status})" if status is not None else ""
    if status is None or status in {401, 407}:
        what = "refused the user and password" if proxy.user is not None else "requires a user and password"
        return ProxyRefusedError(
            f"the proxy {proxy.url} {what}{answered}",
            subject=proxy.variable,
            hint=f"correct {proxy.variable}: {proxy.scheme}://USER:PASSWORD@{proxy.url.partition('://')[2]}, both "
            "percent-encoded if they contain one of @ : / % (p@ss is p%40ss)"
            + ("; they were tried once" if proxy.user is not None else ""),
            is_login=True,
        )
    return ProxyRefusedError(
        f"the proxy {proxy.url} refuses requests to {host_of(url)}{answered}",
        subject=proxy.variable,
        hint=f"ask the operator of the proxy, correct {proxy.variable}, or add the host to NO_PROXY",
    )


def _translated(error: BrokenError, url: str, *, can_verify: bool) -> TransientError | UnavailableError:
    """Distinguish temporary from permanent failures."""
    certificate = _certificate_error(error)
    if certificate is not None and not can_verify:
        return UnavailableError(
            f"this host has no certificate authorities, so the certificate of {host_of(url)} can't be verified",
            subject=public_url(url),
            untouched="nothing was read",
            hint="install them (Debian, Alpine: the package ca-certificates; Python of python.org on macOS: "
            "Install Certificates.command), or name a PEM file of them: ca_bundle under [download] of config.toml",
        )
    if certificate is not None:
        return UnavailableError(
            f"the certificate of {host_of(url)} does not verify: {certificate.verify_message}",
            subject=public_url(url),
            untouched="nothing was read",
            hint="if it is signed by your own authority, configure ca_bundle; also check the host's clock",
        )
    return TransientError(error.reason, is_unreached=error.is_unreached)


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    # urllib3 wraps the error of the ssl module, once or (behind a proxy) twice, as an argument or as the context.
    for _ in range(6):
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            return error
        inner = error.args[-1] if error.args else None
        error = inner if isinstance(inner, BaseException) else (error.__cause__ or error.__context__)
    return None
