"""The extra truststore: the system's own certificate authorities, where OpenSSL finds none."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
import trustme
import truststore

from sealdex.transport import _tls
from sealdex.transport._tls import tls_context
from sealdex.transport.types import TransportSettings


def test_they_are_asked_where_openssl_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tls, "has_authorities", lambda: False)
    context = tls_context(TransportSettings())
    assert isinstance(context, truststore.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_they_are_asked_on_macos_and_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tls, "has_authorities", lambda: True)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isinstance(tls_context(TransportSettings()), truststore.SSLContext)


def test_openssls_own_are_taken_where_it_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tls, "has_authorities", lambda: True)
    assert not isinstance(tls_context(TransportSettings()), truststore.SSLContext)


def test_without_the_extra_openssl_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tls, "has_authorities", lambda: False)
    monkeypatch.setitem(sys.modules, "truststore", None)
    assert not isinstance(tls_context(TransportSettings()), truststore.SSLContext)


def test_a_bundle_that_is_named_is_the_only_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_tls, "has_authorities", lambda: False)
    bundle = tmp_path / "authorities.pem"
    trustme.CA().cert_pem.write_to_path(bundle)
    context = tls_context(TransportSettings(ca_bundle=bundle))
    assert not isinstance(context, truststore.SSLContext)
    assert len(context.get_ca_certs()) == 1
