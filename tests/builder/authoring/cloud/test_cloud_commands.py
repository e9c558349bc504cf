"""``cloud trust`` and ``cloud claims`` as a person and a workflow run them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from support.authoring import builder

_SAID = {"sub": "repo:acme@1/plugins@2:environment:publish", "aud": "sts.amazonaws.com", "environment": "publish"}
_SAID |= {"repository": "acme/plugins", "repository_id": "2", "repository_owner_id": "1"}
TOKEN = f"aGVhZGVy.{base64.urlsafe_b64encode(json.dumps(_SAID).encode()).decode().rstrip('=')}.c2lnbmF0dXJl"


class _GitHub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the base class asks for this name
        right = self.headers["Authorization"] == "bearer of-the-job" and "audience=sts.amazonaws.com" in self.path
        data = json.dumps({"value": TOKEN}).encode() if right else b"no"
        self.send_response(200 if right else 403)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _GitHub) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/token?api-version=2.0"
        server.shutdown()


def test_a_refused_role_shows_the_claims_and_never_the_token(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attack: whoever reads a public log takes what it shows of a token and assumes the role with it."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
    assert builder("cloud", "claims") == 0
    shown = "".join(capsys.readouterr())
    assert _SAID["sub"] in shown
    assert "cloud trust --for publisher --repository acme/plugins --owner-id 1 --repository-id 2" in shown
    for part in (*TOKEN.split("."), "of-the-job"):
        assert part not in shown

    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong")
    assert builder("cloud", "claims") == 5
    assert "status 403" in capsys.readouterr().err
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    assert builder("cloud", "claims") == 2
    assert "id-token: write" in capsys.readouterr().err


def test_what_is_not_a_repository_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ("--owner-id", "1", "--repository-id", "2")
    assert builder("cloud", "trust", "--for", "publisher", "--repository", "acme", *ids) == 2
    assert "OWNER/NAME" in capsys.readouterr().err


def test_policies_are_printed_to_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--for", "publisher", "--repository", "acme/plugins", "--owner-id", "1", "--repository-id", "2")
    assert builder("--quiet", "cloud", "trust", *asked) == 0
    shown = capsys.readouterr().out
    assert json.dumps(json.loads(shown), indent=2) + "\n" == shown
