"""A real container registry on loopback (Debian's docker-registry), open, with passwords, or with a token server."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import ctypes.util
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from support.components import missing

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
USER = "kim"
_PORTS_TRIED = 5
_MARK = "X-Of-This-Test"
_SERVICE, _ISSUER = "registry.example", "tokens.example"


@dataclass
class TokenServer:
    """What gives tokens; records each request, and what authorized it.

    Attributes:
        password: of `USER`, who may read every repository; others may read those below ``public/``.
        identity: the identity token that is as good as the password.
        asked: scope and service of each request, and who it was.
    """

    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    identity: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    certificate: bytes = b""
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ISSUER)])
        now = datetime.now(timezone.utc)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = made.public_bytes(serialization.Encoding.PEM)
        self._der = made.public_bytes(serialization.Encoding.DER)

    def token(self, repository: str, *actions: str) -> str:
        """Return a token as docker's registry wants it: a JWT with the certificate of its key."""
        now = int(time.time())
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self._der).decode()]}
        claims = {
            "iss": _ISSUER,
            "sub": USER,
            "aud": _SERVICE,
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [{"type": "repository", "name": repository, "actions": list(actions)}] if actions else [],
        }
        signed = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def answer(self, query: dict[str, list[str]], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = {key: values[0] for key, values in query.items()}
        basic = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        is_user = authorization == f"Basic {basic}" or asked.pop("refresh_token", "") == self.identity
        self.asked.append({**asked, "who": USER if is_user else "anybody"})
        if authorization and not is_user:
            return 401, {}
        repository = asked["scope"].split(":")[1]
        may_read = is_user or repository.startswith("public/")
        return 200, {"token": self.token(repository, *(["pull"] if may_read else [])), "expires_in": 300}


@dataclass
class ContainerRegistry:
    """A registry: its host and port, and what `push` wants to get in."""

    host: str
    headers: dict[str, str] = field(default_factory=dict)
    tokens: TokenServer | None = None

    def push(self, repository: str, tag: str, chart: bytes) -> None:
        """Push a chart, as helm does."""
        config = b"{}"
        headers = dict(self.headers)
        if self.tokens is not None:
            headers["Authorization"] = f"Bearer {self.tokens.token(repository, 'pull', 'push')}"
        for blob in (config, chart):
            place = self._send("POST", f"/v2/{repository}/blobs/uploads/", b"", headers)["Location"]
            digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
            typed = {**headers, "Content-Type": "application/octet-stream"}
            self._send("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", blob, typed)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _described("application/vnd.cncf.helm.config.v1+json", config),
            "layers": [_described(CHART_LAYER, chart)],
        }
        data = json.dumps(manifest).encode()
        self._send("PUT", f"/v2/{repository}/manifests/{tag}", data, {**headers, "Content-Type": MANIFEST})

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.headers


@contextlib.contextmanager
def container_registry(
    folder: Path, *, password: str | None = None, tokens: bool = False
) -> Iterator[ContainerRegistry]:
    """Run a registry while the context lasts.

    Args:
        folder: a new folder for what it keeps.
        password: of `USER`, who alone may read and write then.
        tokens: with a token server beside it.
    """
    beside = str(Path(sys.executable).parent)  # where scripts/setup.sh puts it
    binary = shutil.which("docker-registry", path=f"{beside}:{os.environ.get('PATH', '')}")
    if binary is None:
        missing("docker-registry", "scripts/setup.sh unpacks Debian's package beside the tests' python")
    assert binary is not None
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        headers, auth = dict[str, str](), ""
        server: TokenServer | None = None
        if password is not None:
            (folder / "htpasswd").write_text(f"{USER}:{_bcrypt(password)}\n")
            auth = f"auth:\n  htpasswd:\n    realm: basic\n    path: {folder}/htpasswd\n"
            headers["Authorization"] = f"Basic {base64.b64encode(f'{USER}:{password}'.encode()).decode()}"
        elif tokens:
            server = stack.enter_context(_serving(TokenServer()))
            (folder / "tokens.pem").write_bytes(server.certificate)
            auth = (
                f"auth:\n  token:\n    realm: {server.url}/token\n    service: {_SERVICE}\n    issuer: {_ISSUER}\n"
                f"    rootcertbundle: {folder}/tokens.pem\n"
            )
        for _ in range(_PORTS_TRIED):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                host = f"127.0.0.1:{probe.getsockname()[1]}"  # somebody may be quicker, then another is tried
            mark = secrets.token_hex(8)
            (folder / "config.yml").write_text(
                f"version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n"
                f"    rootdirectory: {folder}/data\n"
                f"http:\n  addr: {host}\n  headers:\n    {_MARK}: [{mark}]\n{auth}"
            )
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen([binary, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
            try:
                if _is_ready(process, host, mark):
                    yield ContainerRegistry(host, headers, server)
                    return
            finally:
                process.terminate()
                process.wait()
        raise AssertionError((folder / "log").read_text())


def _is_ready(process: subprocess.Popen[bytes], host: str, mark: str) -> bool:
    """Wait until it answers, and not somebody else's server."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{host}/v2/") as answer:
                said = answer.headers
        except urllib.error.HTTPError as error:  # it wants a password
            said = error.headers
        except OSError:
            time.sleep(0.02)  # there is nothing to wait on but the port
            continue
        return bool(said[_MARK] == mark)
    return False


@contextlib.contextmanager
def _serving(tokens: TokenServer) -> Iterator[TokenServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(parse_qs(urlsplit(self.path).query))

        def do_POST(self) -> None:
            self._answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def _answer(self, query: dict[str, list[str]]) -> None:
            status, values = tokens.answer(query, self.headers.get("Authorization", ""))
            data = json.dumps(values).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        tokens.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()


def _described(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bcrypt(password: str) -> str:
    """Return a password as htpasswd keeps it; by the system's libcrypt, since Python has none from 3.13 on."""
    crypt = ctypes.CDLL(ctypes.util.find_library("crypt")).crypt
    crypt.restype = ctypes.c_char_p
    made: bytes = crypt(password.encode(), b"$2b$05$" + secrets.token_hex(11).encode())
    return made.decode()
