"""Client certificates against real servers: OpenSSL by way of Python's ssl, in TLS 1.2 and 1.3, and nginx."""

from __future__ import annotations

import datetime as dt
import http.client
import logging
import select
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from support.fake_time import FakeTime
from support.fault_server import FaultServer, Redirect
from support.nginx_server import nginx

from sealdex.config.credentials import credentials_for
from sealdex.config.document import AuthSection, RegistrySection
from sealdex.errors import ConfigError, CredentialsError
from sealdex.transport import CredentialsRefusedError, Transport, TransportSettings
from sealdex.transport._tls import certificate_refused
from sealdex.transport.types import Grant, Refusal

SERVERS = ["tls1.2", "tls1.3", "nginx"]
PASSPHRASE = "hush-4711"  # test data
DAY = dt.timedelta(days=1)


class Scene:
    """Servers that want a client certificate, and a folder of such."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        authority, stranger = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        now = dt.datetime.now(dt.timezone.utc)
        made = {
            "good": authority.issue_cert("kai"),
            "stranger": stranger.issue_cert("kai"),
            "expired": authority.issue_cert("kai", not_before=now - 9 * DAY, not_after=now - DAY),
            "revoked": authority.issue_cert("kai"),
        }
        for name, each in made.items():
            each.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
        self._split(made["good"])
        crl = self._crl(authority, made["revoked"])
        server = authority.issue_cert("127.0.0.1")
        server.private_key_pem.write_to_path(folder / "server.key")
        server.cert_chain_pems[0].write_to_path(folder / "server.pem")
        self.running: dict[str, FaultServer] = {}
        self.urls: dict[str, str] = {}
        for name, version in (("tls1.2", ssl.TLSVersion.TLSv1_2), ("tls1.3", ssl.TLSVersion.TLSv1_3)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.maximum_version = version
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(folder / "server.pem", folder / "server.key")
            context.load_verify_locations(folder / "ca.pem")
            context.load_verify_locations(crl)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            self.running[name] = stack.enter_context(FaultServer(tls=context))
            self.running[name].put("/team/f", b"data")
            self.urls[name] = self.running[name].url("/team/")
        (folder / "www/team").mkdir(parents=True)
        (folder / "www/team/f").write_bytes(b"data")
        directives = f"""
            ssl_certificate {folder}/server.pem;
            ssl_certificate_key {folder}/server.key;
            ssl_client_certificate {folder}/ca.pem;
            ssl_crl {crl};
            ssl_verify_client on;
            root {folder}/www;"""
        self.urls["nginx"] = f"{stack.enter_context(nginx(folder / 'nginx', server=directives, tls=True))}/team/"

    def _split(self, issued: trustme.LeafCert) -> None:
        """Write the good certificate apart from its key, which is encrypted."""
        issued.cert_chain_pems[0].write_to_path(self.folder / "cert.pem")
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSPHRASE.encode()),
        )
        (self.folder / "key.pem").write_bytes(encrypted)

    def _crl(self, authority: trustme.CA, revoked: trustme.LeafCert) -> Path:
        issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
        key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
        now = dt.datetime.now(dt.timezone.utc)
        serial = x509.load_pem_x509_certificate(revoked.cert_chain_pems[0].bytes()).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY).build()
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(now - DAY)
            .next_update(now + DAY)
            .add_revoked_certificate(entry)
            .sign(key, hashes.SHA256())  # type: ignore[arg-type]  # of any kind that trustme makes
        )
        path = self.folder / "crl.pem"
        path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        return path

    def read(self, server: str, auth: AuthSection | None, name: str = "f") -> bytes:
        section = RegistrySection(url=self.urls[server], root="r", auth=auth)
        credentials = credentials_for({"team": section}, self.folder)
        settings = TransportSettings(ca_bundle=self.folder / "ca.pem", retries=0)
        with Transport(settings, credentials=credentials, chance=FakeTime().chance) as transport:
            return transport.read(self.urls[server] + name, max_bytes=100).data


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(tmp_path_factory.mktemp("certificates"), stack)


def shown(file: str) -> AuthSection:
    return AuthSection(type="certificate", cert_file=file)


@pytest.mark.parametrize("server", SERVERS)
def test_a_certificate_opens_the_registry(scene: Scene, server: str) -> None:
    assert scene.read(server, shown("good.pem")) == b"data"


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        (None, "missing"),
        (shown("stranger.pem"), "wrong"),
        (shown("expired.pem"), "expired"),
        (shown("revoked.pem"), "wrong"),
    ],
    ids=["missing", "stranger", "expired", "revoked"],
)
@pytest.mark.parametrize("server", SERVERS)
def test_missing_wrong_and_expired_are_told_apart(
    scene: Scene, server: str, auth: AuthSection | None, problem: str
) -> None:
    with pytest.raises(CredentialsRefusedError, match="registry 'team'") as caught:
        scene.read(server, auth)
    assert caught.value.problem == problem
    assert "[registries.team]" in (caught.value.hint or "")
    if auth is not None:
        assert str(auth.cert_file) in str(caught.value)


@pytest.mark.parametrize("file", ["f", "f?%2f"], ids=["direct", "normalized"])
@pytest.mark.parametrize("auth", [None, shown("stranger.pem")], ids=["missing", "stranger"])
def test_a_refusal_that_comes_before_the_request_is_sent_is_still_read(
    scene: Scene, auth: AuthSection | None, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = http.client.HTTPConnection.send
    ended = []

    def late(connection: http.client.HTTPConnection, data: bytes) -> None:
        poll = select.poll()
        poll.register(connection.sock, 0)  # its end alone
        ended.append(poll.poll(60_000))
        sent(connection, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", late)
    with pytest.raises(CredentialsRefusedError) as caught:
        scene.read("tls1.3", auth, file)
    assert caught.value.problem == ("missing" if auth is None else "wrong")
    assert len(ended) == 1
    assert ended[0]


def test_an_encrypted_key_needs_its_passphrase(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_WORD", PASSPHRASE)
    auth = AuthSection(type="certificate", cert_file="cert.pem", key_file="key.pem", key_passphrase_env="KEY_WORD")
    assert scene.read("tls1.3", auth) == b"data"
    monkeypatch.setenv("KEY_WORD", "hush-wrong")
    with pytest.raises(CredentialsError, match="passphrase is wrong") as caught:
        scene.read("tls1.3", auth)
    assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    with pytest.raises(CredentialsError, match="no passphrase is configured"):
        scene.read("tls1.3", AuthSection(type="certificate", cert_file="cert.pem", key_file="key.pem"))


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        ("none.pem", None, "No such file"),
        ("ca.pem", None, "private key that belongs to it"),
        ("cert.pem", "server.key", "private key that belongs to it"),
        ("crl.pem", None, "private key that belongs to it"),
    ],
)
def test_a_file_that_is_none_is_said_before_any_request(scene: Scene, cert: str, key: str | None, message: str) -> None:
    before = len(scene.running["tls1.3"].requests)
    with pytest.raises(ConfigError, match=message) as caught:
        scene.read("tls1.3", AuthSection(type="certificate", cert_file=cert, key_file=key))
    assert caught.value.untouched == "no request was made"
    assert len(scene.running["tls1.3"].requests) == before


def test_beside_a_token(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", PASSPHRASE)
    auth = AuthSection(type="bearer", token_env="TEAM_TOKEN", cert_file="good.pem")
    assert scene.read("tls1.2", auth) == b"data"
    assert scene.running["tls1.2"].requests[-1].headers["authorization"] == f"Bearer {PASSPHRASE}"


def test_a_certificate_goes_to_its_own_address_only(scene: Scene) -> None:
    """Attack: a redirect to another server asks for the certificate, to learn who its holder is."""
    asked: list[object] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(scene.folder / "server.pem", scene.folder / "server.key")
    context.load_verify_locations(scene.folder / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL

    class Asking(ssl.SSLSocket):
        def recv_into(self, *args: Any, **more: Any) -> int:
            count = super().recv_into(*args, **more)  # shakes hands at first
            asked.append(self.getpeercert())
            return count

    context.sslsocket_class = Asking
    with FaultServer(tls=context) as thief:
        thief.put("/stolen", b"data")
        scene.running["tls1.3"].always("/team/away", Redirect(thief.url("/stolen")))
        assert scene.read("tls1.3", shown("good.pem"), "away") == b"data"
        assert len(thief.requests) == 1
        assert asked
        assert not any(asked)
        scene.urls["thief"] = thief.url("/")  # to whoever it is for it is shown here as well
        assert scene.read("thief", shown("good.pem"), "stolen") == b"data"
        assert any(asked)


def test_a_renewed_certificate_is_used_at_once(scene: Scene) -> None:
    (scene.folder / "renewed.pem").write_bytes((scene.folder / "expired.pem").read_bytes())
    section = RegistrySection(url=scene.urls["nginx"], root="r", auth=shown("renewed.pem"))
    credentials = credentials_for({"team": section}, scene.folder)
    with Transport(TransportSettings(ca_bundle=scene.folder / "ca.pem"), credentials=credentials) as transport:
        with pytest.raises(CredentialsRefusedError, match="expired"):
            transport.read(f"{scene.urls['nginx']}f", max_bytes=100)
        (scene.folder / "renewed.pem").write_bytes((scene.folder / "good.pem").read_bytes())
        assert transport.read(f"{scene.urls['nginx']}f", max_bytes=100).data == b"data"


@pytest.mark.parametrize("server", ["tls1.3", "nginx"])
def test_many_small_files_come_over_one_connection_with_it(scene: Scene, server: str) -> None:
    section = RegistrySection(url=scene.urls[server], root="r", auth=shown("good.pem"))
    credentials = credentials_for({"team": section}, scene.folder)
    settings = TransportSettings(ca_bundle=scene.folder / "ca.pem")
    with Transport(settings, credentials=credentials) as transport:
        pipeline = transport.pipeline(scene.urls[server])
        assert pipeline is not None
        wanted = [(number, f"{scene.urls[server]}f", 4) for number in range(3)]
        assert dict(pipeline.read(iter(wanted))) == {0: b"data", 1: b"data", 2: b"data"}


def test_what_urllib3_logs_has_no_query(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Attack: who reads DEBUG logs of a host finds the signature that a redirect led to."""
    server = scene.running["tls1.3"]
    # in lower case, so that it is for urllib3 to normalize: a plain address is asked without it
    server.always("/team/signed", Redirect(server.url("/team/f?X-Amz-Signature=5d41402abc4b2a76%2f")))
    server.put("/team/f?X-Amz-Signature=5d41402abc4b2a76%2F", b"data")
    with caplog.at_level(logging.DEBUG):
        scene.read("tls1.3", shown("good.pem"), "signed")
    assert "/team/f?***" in caplog.text
    assert "5d41402abc4b2a76" not in caplog.text


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "without saying why"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "without another client certificate"),
    ],
)
def test_a_handshake_that_failed_for_any_reason_blames_no_certificate(alert: str, said: str) -> None:
    error = certificate_refused(Refusal("https://registry.test/f", 0, Grant(), alert))
    assert said in error.message
    assert alert in error.message
    assert ("version or cipher" in str(error.hint)) == (said == "without saying why")
