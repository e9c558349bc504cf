"""Contexts of TLS: authorities, client certificates, and how servers refuse the latter."""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.errors import ConfigError, CredentialsError, UnavailableError
from sealdex.transport.types import HttpStatusError, host_of, public_url

if TYPE_CHECKING:
    from sealdex.transport.types import ClientCertificate, Refusal, TransportSettings

_UNCLEAR = "SSLV3_ALERT_HANDSHAKE_FAILURE"  # TLS 1.2 has it for a missing certificate and for much else
_ALERTS = frozenset({
    # as OpenSSL names the alerts of RFC 8446, 6.2, that are about the client's certificate; the last in TLS 1.2 only
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_ACCESS_DENIED",
    _UNCLEAR,
})  # fmt: skip


def tls_context(settings: TransportSettings, certificate: ClientCertificate | None = None) -> ssl.SSLContext:
    """Return a context that verifies servers, and shows them a certificate if there is one.

    Raises:
        ConfigError: the authorities can't be read.
        CredentialsError: a file of the certificate can't be read, isn't what it should be, or its passphrase is missing
            or wrong.
    """
    try:
        context = _systems() if settings.ca_bundle is None else None
        context = context or ssl.create_default_context(cafile=settings.ca_bundle)
    except OSError as error:  # ssl.SSLError is one too
        raise ConfigError(
            f"the CA bundle {settings.ca_bundle} can't be read: {error}",
            subject=str(settings.ca_bundle),
            hint="give a PEM file of certificate authorities, or none to use the system's",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        _load(context, certificate)
        context.post_handshake_auth = True  # servers that want a certificate for some paths ask for it later
    return context


def _systems() -> ssl.SSLContext | None:
    """Return a context that asks the system's own store; None where OpenSSL finds it, or the extra isn't installed."""
    if sys.platform == "linux" and has_authorities():
        return None
    try:
        import truststore  # noqa: PLC0415  # an extra, and only where OpenSSL finds no authorities
    except ImportError:
        return None
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def has_authorities() -> bool:
    """Say whether this host has any certificate authorities where OpenSSL looks for them."""
    if sys.platform == "win32":
        return True  # they are in the system's store
    places = ssl.get_default_verify_paths()
    with suppress(OSError):
        if places.cafile is not None and Path(places.cafile).stat().st_size:
            return True
        return places.capath is not None and any(Path(places.capath).iterdir())
    return False


def _load(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    asked = False

    def passphrase() -> str:
        # without a function OpenSSL would ask on the terminal
        nonlocal asked
        asked = True
        return certificate.passphrase or ""

    try:
        context.load_cert_chain(certificate.cert_file, certificate.key_file, passphrase)
    except (OSError, ValueError) as error:
        key = certificate.key_file or certificate.cert_file
        reason = "not a PEM certificate and the private key that belongs to it"
        hint = "openssl x509 -in FILE -noout -subject shows what a certificate is; the key must be the certificate's"
        if asked:
            reason = f"{key} is encrypted, and "
            reason += "the passphrase is wrong" if certificate.passphrase else "no passphrase is configured"
            hint = "say where its passphrase is kept: key_passphrase_env or key_passphrase_file beside cert_file"
        elif not isinstance(error, ssl.SSLError) and isinstance(error, OSError):
            reason = error.strerror or "can't be read"
            hint = "cert_file and key_file are PEM files, relative to the folder of config.toml"
        # from None: nothing of a key's file belongs into a traceback
        raise CredentialsError(
            f"the client certificate {certificate.cert_file} can't be used: {reason}",
            subject=certificate.cert_file,
            untouched="no request was made",
            hint=hint,
        ) from None


def refused_certificate(error: BaseException | None) -> str | None:
    """Return the TLS alert by which a server refused the client's certificate or its absence, or None."""
    for _ in range(8):
        if error is None:
            return None
        if isinstance(error, ssl.SSLError) and error.reason in _ALERTS:
            return error.reason
        inner = error.args[-1] if error.args else None
        error = inner if isinstance(inner, BaseException) else (error.__cause__ or error.__context__)
    return None


def certificate_refused(refusal: Refusal) -> UnavailableError:
    """Return the error for it where nothing more is known."""
    if refusal.code == _UNCLEAR:
        return HttpStatusError(
            refusal.url,
            0,
            f"{host_of(refusal.url)} ended the TLS handshake for {public_url(refusal.url)} without saying why "
            f"({refusal.code})",
            hint="it may want a client certificate (auth in config.toml), or know no version or cipher of TLS that "
            f"this host accepts: openssl s_client -connect {host_of(refusal.url)}:443 shows which it knows",
        )
    return HttpStatusError(
        refusal.url,
        0,
        f"{host_of(refusal.url)} refuses the TLS connection for {public_url(refusal.url)} without another client "
        f"certificate ({refusal.code})",
        hint="ask the operator of that server for a client certificate",
    )
