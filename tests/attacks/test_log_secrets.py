"""Secrets in the log: in configuration, environment, addresses, netrc, proxies and key files, at ``-vv``.

The attacker reads logs: of a CI job, of a host that ships them elsewhere. He gains no secret; and who controls a server
or a plugin writes no line of his own into them.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.builder_cli import call
from support.commands import captured
from support.fault_server import FaultServer, Redirect, Status
from support.plugin_registry import PluginRegistry
from support.source_trees import Tree

from registry_builder.signing.passphrase import find_passphrase
from registry_builder.signing.signers import ENVIRONMENT_SCHEME, _from_environment
from sealdex.log import Log, hide
from sealdex.log_level import fields_of, message_of

TOKEN, PASSWORD, PROXY = "tok-8f2b1c9d7e", "p@ss/w0rd:x&y", "pr0xy%pw/9"  # test data
SIGNATURE = "5d41402abc4b2a76b9719d911017c592"

KEY = "PRIVATE " + "KEY-----"  # apart, so that nobody takes this file for one that holds a key


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SEALDEX_LOG", "SEALDEX_LOG_FILE", "SEALDEX_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    made.release("acme/slack", "1.0.0")
    made.publish()
    return made


@pytest.fixture
def server(registry: PluginRegistry) -> Iterator[FaultServer]:
    with FaultServer() as running:
        for path, data in registry.files.items():
            running.put(f"/{path}", data)
        yield running


def spellings(*secrets: str) -> list[str]:
    return [
        each
        for secret in secrets
        for each in (secret, quote(secret, safe=""), quote(secret), base64.b64encode(secret.encode()).decode())
    ]


AUTH = {
    "bearer from a variable": 'auth = { type = "bearer", token_env = "TEAM_LOGIN" }',
    "bearer from a file": 'auth = { type = "bearer", token_file = "token" }',
    "basic": 'auth = { type = "basic", user = "kai", password_file = "password" }',
    "netrc": 'auth = { type = "netrc", netrc_file = "netrc" }',
}


@pytest.mark.parametrize("json", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("auth", AUTH.values(), ids=list(AUTH))
def test_no_credentials_and_no_signed_address_at_vv(
    auth: str,
    json: list[str],
    server: FaultServer,
    registry: PluginRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TEAM_LOGIN", TOKEN)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login kai password {TOKEN}\n")
    (tmp_path / "root.json").write_bytes(registry.root)
    url = server.url("/")
    (tmp_path / "config.toml").write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n{auth}\n')
    archive = "/plugins/acme/slack/1.0.0/slack.zip"
    server.put("/signed.zip", registry.files[archive[1:]])
    server.script(archive, Status(503), Redirect(server.url(f"/signed.zip?X-Amz-Signature={SIGNATURE}#{SIGNATURE}")))
    ran = captured(capsys)("install", "acme/slack", "-vv", *json)
    assert ran.code == 0
    asked = [r.headers["authorization"] for r in server.requests if "authorization" in r.headers]
    assert asked  # the credentials were used
    assert "credentials of 'public'" in ran.err  # and it was said that they were
    basic = [base64.b64encode(f"kai:{each}".encode()).decode() for each in (TOKEN, PASSWORD)]
    for secret in (*spellings(TOKEN, PASSWORD, SIGNATURE), *basic, *(each.partition(" ")[2] for each in asked)):
        assert secret not in ran.err


def test_no_proxy_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(407)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{proxy.server_address[1]}"
        monkeypatch.setenv("HTTP_PROXY", f"http://kai:{quote(PROXY, safe='')}@{place}")
        for name in ("http_proxy", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / "root.json").write_bytes(PluginRegistry().root)
        (tmp_path / "config.toml").write_text(
            '[registries.public]\nurl = "http://registry.example/"\nroot = "root.json"\n'
        )
        ran = captured(capsys)("info", "acme/slack", "-vv")
        proxy.shutdown()
    assert ran.code == 5
    assert f"through the proxy http://{place}" in ran.err
    for secret in (*spellings(PROXY), base64.b64encode(f"kai:{PROXY}".encode()).decode()):
        assert secret not in ran.err


def test_no_key_and_no_passphrase_of_a_publish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", PASSWORD)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", TOKEN)
    tree = Tree.make(tmp_path / "source")
    tree.plugin("acme/slack", readme=f"# {TOKEN}\n")
    tree.release("acme/slack", "1.0.0")
    assert call(tree.root, "publish", "-vv") == 0
    log = capsys.readouterr().err
    assert "signing: key online" in log
    keys = [line for file in (tmp_path / "keys").rglob("*.pem") for line in file.read_text().splitlines()[1:-1]]
    assert keys
    for secret in (*spellings(TOKEN, PASSWORD), *keys):
        assert secret not in log


def test_what_was_read_as_a_secret_is_masked_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "sealdex.test")
    pem = (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )
    monkeypatch.setenv("SIGNING_PEM", pem)
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", "correct horse")
    _from_environment("k", f"{ENVIRONMENT_SCHEME}SIGNING_PEM")
    find_passphrase("k", None)
    hide(TOKEN)
    body = pem.splitlines()[1]
    Log("sealdex.test").info("test.x", "{a} {b}", a=f"got {TOKEN}, {body}", b=["correct horse", quote("correct horse")])
    [record] = caplog.records
    said = f"{record.getMessage()} {vars(record)}"
    for secret in (TOKEN, body, "correct horse", "correct%20horse"):
        assert secret not in said


FORMS = {
    "an address": ("see https://kai:hunter2@h.example/x?sig=5d41402a#f now", "see https://h.example/x?*** now"),
    "a header": ("Authorization: Digest abc, def", "Authorization: ***"),
    "a cookie": ("Set-Cookie: sid=5d41402a; Path=/", "Set-Cookie: ***"),
    "bearer": ("got 'Bearer 5d41402abc4b'", "got 'Bearer ***'"),
    "a query alone": ("/x?a=1&X-Amz-Signature=5d41402a&b=2", "/x?a=1&X-Amz-Signature=***&b=2"),
    "an assignment": ("db_password=hunter2;next", "db_password=***;next"),
    "JSON": ('{"api_key": "5d41402a"}', '{"api_key": "***"}'),
    "a PIN": ("pkcs11:id=%01?pin-value=1234", "pkcs11:id=%01?pin-value=***"),
    "a key": (f"-----BEGIN EC {KEY}\nMHcC\n-----END EC {KEY} x", "*** x"),
    "half a key": (f"-----BEGIN {KEY}\nMHcC", "***"),
    "a token of GitHub": ("ghp_" + "a1" * 18, "***"),
    "a web token": ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "***"),
}


@pytest.mark.parametrize(("text", "shown"), FORMS.values(), ids=list(FORMS))
def test_what_looks_like_a_secret_is_masked(text: str, shown: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sealdex.test")
    Log("sealdex.test").info("test.x", "{text}", text=text)
    [record] = caplog.records
    assert record.getMessage() == shown
    plain = logging.LogRecord("sealdex.plugin.x", logging.INFO, "f", 1, "%s", (text,), None)  # a plugin's own words
    assert message_of(plain) == shown


def test_a_servers_text_begins_no_line_and_moves_no_cursor(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sealdex.test")
    hide("s3cret-value")
    Log("sealdex.test").info(
        "test.x", "{a}", a="x\nERROR forged\r\x1b[2J\u202e", b="s3cret\x1b[0m-value", c="y" * 90000
    )
    [record] = caplog.records
    assert record.getMessage() == "x ERROR forged "
    assert fields_of(record)["b"] == "***"
    assert len(fields_of(record)["c"]) < 3000
