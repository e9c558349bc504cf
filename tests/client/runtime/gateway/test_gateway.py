"""``sealdex gateway``: what clients of the old systems ask, over real sockets, and what must never be answered."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.plugin_registry import PluginRegistry

from sealdex import Client
from sealdex.config.config import load_config
from sealdex.errors import UnavailableError, UsageError, VerificationError
from sealdex.runtime.gateway import guard
from sealdex.runtime.gateway._forms import fields_of
from sealdex.runtime.gateway._rest import MAX_BODY_BYTES, rest_app
from sealdex.runtime.gateway.host import Host
from sealdex.runtime.gateway.listening import Address, listen, parse_address
from sealdex.runtime.gateway.serving import Addresses, running_gateway
from sealdex.store.layout import Store

TOKEN = "a-token-that-nobody-guesses"
SMALL, LARGE = "acme/slack", "acme/model"
LIMIT = 20_000
TIMEOUT_S = 60.0


class Answer(NamedTuple):
    status: int
    document: Any


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


class Scene:
    """A registry in a folder, a host with a store, and its gateway on loopback and on a Unix socket."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder = folder
        self.registry = PluginRegistry()
        self.registry.release(SMALL, "1.0.0", {"slack.py": b"SEND = 1\n"})
        self.slack = self.registry.release(
            SMALL, "1.1.0", {"slack.py": b"SEND = 2\n"}, manifest={"entry_point": "slack:Slack", "authors": ["Ann"]}
        )
        self.registry.plugin(SMALL, type="hal-driver", description="Tells a channel")
        self.model = self.registry.release(LARGE, "1.0.0", {"model.onnx": os.urandom(LIMIT)})
        self.registry.plugin(LARGE, type="model")
        self.registry.publish()
        (folder / "root.json").write_bytes(self.registry.root)
        self.published = folder / "published"
        url = self.registry.write(self.published)
        (folder / "config.toml").write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')
        self.socket = sockets / "gateway.sock"
        self.port = self.grpc_port = 0

    def config(self, store: str = "store") -> Any:
        return load_config(self.folder / "config.toml", self.folder / store)

    def ask(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        """Ask over loopback."""
        return _ask(http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S), method, path, body, headers)

    def ask_unix(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        return _ask(_Unix(self.socket), method, path, body, headers)

    def call(self, service: str, method_name: str, /, **fields: Any) -> Any:
        """Call a method as a client does that has the messages from reflection alone."""
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            method = pool.FindServiceByName(service).methods_by_name[method_name]
            request = message_factory.GetMessageClass(method.input_type)(**fields)
            answer = message_factory.GetMessageClass(method.output_type)
            call = channel.unary_unary(
                f"/{service}/{method_name}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
            return call(request, timeout=TIMEOUT_S)


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> Answer:
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    return Answer(answer.status, json.loads(data) if data else None)


@pytest.fixture(scope="module")
def module_sockets() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, wherever the tests' own folders are."""
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as folder:  # with a random name
        yield Path(folder)


@pytest.fixture
def sockets() -> Iterator[Path]:
    """The same for one test."""
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as folder:  # with a random name
        yield Path(folder)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, module_sockets: Path) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("gw"), module_sockets)
    with Client(made.config()) as client:
        host = Host(client, refresh=0.0)
        unix = Addresses(Address(made.socket), None)
        loopback = Addresses(parse_address("127.0.0.1:0"), parse_address("localhost:0"))
        with (
            running_gateway(host, unix),
            running_gateway(host, loopback, token=TOKEN, message_bytes=LIMIT) as found,
        ):
            assert found.http is not None
            assert found.grpc is not None
            made.port, made.grpc_port = found.http.port, found.grpc.port
            yield made


# --- gRPC -------------------------------------------------------------------------------------------------------------


def test_an_agent_downloads_verified_bytes(scene: Scene) -> None:
    answer = scene.call("agent.v1.Agent", "DownloadPlugin", agent_id="agent-123", plugin_id=SMALL, version="1.1.0")
    assert answer.success
    assert answer.plugin_data == scene.slack
    assert (answer.checksum, answer.size) == (hashlib.sha256(scene.slack).hexdigest(), len(scene.slack))
    newest = scene.call("agent.v1.Agent", "DownloadPlugin", plugin_id=SMALL)
    assert newest.plugin_data == scene.slack


def test_what_has_no_room_in_a_message_is_answered_by_its_address(scene: Scene) -> None:
    answer = scene.call("agent.v1.Agent", "DownloadPlugin", plugin_id=LARGE)
    assert not answer.success
    assert answer.plugin_data == b""
    digest = hashlib.sha256(scene.model).hexdigest()
    assert (answer.checksum, answer.size) == (digest, len(scene.model))
    assert f"{scene.published.as_uri()}/plugins/acme/model/1.0.0/" in answer.message
    assert digest in answer.message


def test_an_agent_lists_what_there_is(scene: Scene) -> None:
    every = scene.call("agent.v1.Agent", "ListAvailablePlugins", agent_id="a")
    assert every.success
    assert [(p.plugin_id, p.name, p.version, p.location) for p in every.plugins] == [
        (LARGE, "model", "1.0.0", 3),
        (SMALL, "slack", "1.1.0", 3),
    ]
    assert every.plugins[1].checksum == hashlib.sha256(scene.slack).hexdigest()
    some = scene.call("agent.v1.Agent", "ListAvailablePlugins", plugin_type="HAL_DRIVER")
    assert [p.plugin_id for p in some.plugins] == [SMALL]


@pytest.mark.parametrize(
    ("plugin", "version", "said"),
    [
        ("acme/nothing", "", "nothing"),
        (SMALL, "9.9.9", "9.9.9"),
        ("../../etc/passwd", "", "id is wrong"),
        (SMALL, ">=1", "version '>=1'"),
        ("acme/../../x", "", "id is wrong"),
    ],
)
def test_what_an_agent_can_not_have_is_said(scene: Scene, plugin: str, version: str, said: str) -> None:
    answer = scene.call("agent.v1.Agent", "DownloadPlugin", plugin_id=plugin, version=version)
    assert not answer.success
    assert said in answer.message
    assert answer.plugin_data == b""


def test_the_marketplace_answers_what_is_signed(scene: Scene) -> None:
    service = "arf.cloud.v1.MarketplaceService"
    details = scene.call(service, "GetPlugin", namespace="acme", name="slack")
    assert (details.id.namespace, details.id.name, details.type) == ("acme", "slack", 1)
    assert (details.description, list(details.versions)) == ("Tells a channel", ["1.1.0", "1.0.0"])
    where = scene.call(service, "DownloadPlugin", namespace="acme", name="slack", version="1.0.0")
    assert where.download_url.startswith(f"{scene.published.as_uri()}/plugins/acme/slack/1.0.0/")
    assert scene.call(service, "GetPlugin", namespace="acme", name="model").type == 0  # none of the marketplace's types
    for name, fields, code in (
        ("RegisterPlugin", {"name": "x"}, grpc.StatusCode.UNIMPLEMENTED),
        ("GetPlugin", {"namespace": "acme", "name": "nothing"}, grpc.StatusCode.NOT_FOUND),
        ("GetPlugin", {"namespace": "..", "name": "x"}, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            scene.call(service, name, **fields)
        assert caught.value.code() == code
        if code == grpc.StatusCode.UNIMPLEMENTED:
            assert "sealdex-builder release" in caught.value.details()


def test_health_and_reflection(scene: Scene) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{scene.grpc_port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "agent.v1.Agent", "arf.cloud.v1.MarketplaceService"):
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        named = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"agent.v1.Agent", "arf.cloud.v1.MarketplaceService", "grpc.health.v1.Health"} <= set(named)


# --- REST -------------------------------------------------------------------------------------------------------------


def test_an_engine_s_life_of_a_plugin(scene: Scene) -> None:
    """Install, list, detail, metrics, disable, enable, update and delete, as the engine's document has them."""
    form = (
        b'--B\r\nContent-Disposition: form-data; name="source"\r\n\r\nmarket\r\n'
        b'--B\r\nContent-Disposition: form-data; name="marketId"\r\n\r\nacme/slack\r\n'
        b'--B\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n{"version": "1.0.0"}\r\n--B--\r\n'
    )
    done = scene.ask_unix("POST", "/api/v1/plugins/install", form, Content_Type="multipart/form-data; boundary=B")
    assert (done.status, done.document["version"], done.document["isEnabled"]) == (201, "1.0.0", 1)
    [row] = scene.ask("GET", "/api/v1/plugins?pluginType=HAL_DRIVER&status=1").document
    assert (row["pluginId"], row["pluginType"], row["source"]) == (SMALL, "hal-driver", "market")
    assert scene.ask("GET", "/api/v1/plugins?status=2").document == []
    updated = scene.ask_unix("PUT", f"/api/v1/plugins/{SMALL}")
    assert (updated.status, updated.document["version"]) == (200, "1.1.0")
    detail = scene.ask("GET", "/api/v1/plugins/acme%2Fslack").document
    assert (detail["entryPoint"], detail["author"]) == ("slack:Slack", "Ann")
    assert detail["checksum"] == hashlib.sha256(scene.slack).hexdigest()
    [metric] = scene.ask("GET", "/api/v1/plugins/metrics").document
    assert sorted(metric) == ["description", "name", "path", "type", "version"]
    assert Path(metric["path"]).is_dir()
    for verb, status in (("disable", 0), ("enable", 1)):
        assert scene.ask_unix("POST", f"/api/v1/plugins/{SMALL}/{verb}").document["isEnabled"] == status
    assert scene.ask_unix("DELETE", f"/api/v1/plugins/{SMALL}").status == 204
    assert scene.ask("GET", "/api/v1/plugins").document == []
    assert scene.ask("GET", f"/api/v1/plugins/{SMALL}").status == 404
    assert scene.ask_unix("PUT", f"/api/v1/plugins/{SMALL}").status == 404


def test_a_manifest_is_validated_with_every_problem(scene: Scene) -> None:
    good = {
        "name": "slack-notify", "version": "1.0.0", "pluginType": "notify", "entryPoint": "slack.so",
        "dependencies": [],
        "configSchema": {"type": "object"}, "defaultConfig": {"channel": "#general"}, "tags": ["notify"],
        "minVersion": "1.0.0", "resources": {"cpu": "100m", "memory": "128Mi", "disk": "50Mi"},
    }  # fmt: skip
    path = "/api/v1/plugins/validate-manifest"
    assert scene.ask("POST", path, json.dumps(good).encode()).document == {"valid": True, "problems": []}
    bad = {**good, "version": "1.0", "pluginType": "magic", "entryPoint": " ", "minVersion": "one"}
    said = scene.ask("POST", path, json.dumps({"manifest": bad}).encode()).document
    assert {each["field"] for each in said["problems"]} == {"version", "pluginType", "entryPoint", "minVersion"}
    said = scene.ask("POST", path, b'{"name": 1, "resources": {"cpu": "lots"}, "extra": 1}').document
    assert {each["field"] for each in said["problems"]} >= {"name", "resources.cpu", "extra", "version"}
    assert scene.ask("POST", path, b"[").status == 400


# --- attacks: each by its power, the refusal, and that nothing changed ------------------------------------------------

INSTALL = ("POST", "/api/v1/plugins/install", b'{"marketId": "acme/slack"}')


REBOUND = ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]
TOKENS = [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x"]
PATHS = ["../../etc", "%2e%2e/%2e%2e", "acme/..", "acme/%2e%2e%2f%2e%2e", "acme%00/x", "ACME/x", "metadata/x"]
OTHERS = ["0.0.0.0:1", "192.0.2.1:80", "[::]:80", "example.org:80", ":80", "80", "unix:", "127.0.0.1:99999"]


def nothing_installed(scene: Scene) -> bool:
    return bool(scene.ask_unix("GET", "/api/v1/plugins") == (200, []))


@pytest.mark.parametrize("host", REBOUND)
def test_attack_a_page_of_a_rebound_name_reads_nothing(scene: Scene, host: str) -> None:
    """A page's name is resolved to 127.0.0.1 once it is loaded: the browser sends that name as Host."""
    said = host.format(port=scene.port)
    for headers in ({"Host": said}, {"Host": said, "Authorization": f"Bearer {TOKEN}"}):
        answer = scene.ask("GET", "/api/v1/plugins", **headers)
        assert (answer.status, answer.document["error"]["code"]) == (421, "refused")
        assert scene.ask(*INSTALL, **headers).status == 421
    assert nothing_installed(scene)


def test_attack_a_page_that_knows_the_port_changes_nothing(scene: Scene) -> None:
    """A form of any page may be posted to 127.0.0.1 without asking first; the browser names where it comes from."""
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        assert scene.ask(*INSTALL, Authorization=f"Bearer {TOKEN}", **headers).status == 403
        assert scene.ask("GET", "/api/v1/plugins", **headers).status == 403
    assert nothing_installed(scene)


@pytest.mark.parametrize("given", TOKENS)
def test_attack_a_program_of_the_host_without_the_token_changes_nothing(scene: Scene, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    for method, path in (
        ("POST", "/api/v1/plugins/install"),
        ("DELETE", f"/api/v1/plugins/{SMALL}"),
        ("PUT", f"/api/v1/plugins/{SMALL}"),
        ("POST", f"/api/v1/plugins/{SMALL}/enable"),
        ("POST", f"/api/v1/plugins/{SMALL}/disable"),
    ):
        assert scene.ask(method, path, INSTALL[2], **headers).status == 401
    assert nothing_installed(scene)


def test_with_the_token_and_without_allow_changes(scene: Scene) -> None:
    done = scene.ask(*INSTALL, Authorization=f"Bearer {TOKEN}")
    assert done.status == 201
    assert scene.ask("DELETE", f"/api/v1/plugins/{SMALL}", Authorization=f"Bearer {TOKEN}").status == 204
    headers = {"host": "127.0.0.1:80", "authorization": f"Bearer {TOKEN}"}
    found = guard.refusal("POST", "/api/v1/plugins/install", headers, port=80, token=None)
    assert found is not None
    assert found.status == 403
    assert guard.refusal("GET", "/api/v1/plugins", headers, port=80, token=None) is None


def test_attack_an_oversized_request_is_not_read(scene: Scene) -> None:
    assert scene.ask("POST", "/api/v1/plugins/validate-manifest", b"x" * (MAX_BODY_BYTES + 1)).status == 413
    with socket.create_connection(("127.0.0.1", scene.port), timeout=TIMEOUT_S) as raw:  # who announces it is not heard
        head = f"POST /api/v1/plugins/validate-manifest HTTP/1.1\r\nHost: 127.0.0.1:{scene.port}\r\n"
        raw.sendall(f"{head}Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        assert raw.recv(12) == b"HTTP/1.1 413"
    with socket.create_connection(("127.0.0.1", scene.port), timeout=TIMEOUT_S) as raw:  # who states no length
        head = f"POST /api/v1/plugins/validate-manifest HTTP/1.1\r\nHost: 127.0.0.1:{scene.port}\r\n"
        raw.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(MAX_BODY_BYTES // 0x10000 + 2):
                raw.sendall(chunk)
            status = raw.recv(12)
        except ConnectionError:  # it hung up
            status = b"HTTP/1.1 413"
        assert status == b"HTTP/1.1 413"
    with pytest.raises(grpc.RpcError) as caught:
        scene.call("agent.v1.Agent", "DownloadPlugin", plugin_id=SMALL, agent_id="x" * (1 << 21))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("plugin", PATHS)
def test_attack_a_path_in_a_plugin_s_name_is_no_path(scene: Scene, plugin: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("PUT", ""), ("POST", "/enable")):
        assert scene.ask_unix(method, f"/api/v1/plugins/{plugin}{path}").status in {400, 404}
    body = json.dumps({"marketId": f"{plugin}"}).encode()
    assert scene.ask_unix("POST", "/api/v1/plugins/install", body).status == 400
    assert nothing_installed(scene)


@pytest.mark.parametrize("parts", ["source=local file", "file marketId=acme/slack", "source=local marketId=acme/slack"])
def test_attack_an_uploaded_file_is_not_installed(scene: Scene, parts: str) -> None:
    form = b""
    for name, _, value in (each.partition("=") for each in parts.split()):
        more = '; filename="x.zip"\r\nContent-Type: application/zip' if name == "file" else ""
        form += f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value or "PK"}\r\n'.encode()
    done = scene.ask_unix(
        "POST", "/api/v1/plugins/install", form + b"--B--\r\n", Content_Type="multipart/form-data; boundary=B"
    )
    assert done.status == 400
    assert "registry signed" in done.document["error"]["message"]
    assert nothing_installed(scene)


@pytest.mark.parametrize("whose", ["everybody", "another user"])
def test_attack_a_socket_is_in_nobody_else_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """Whoever can write there can put a socket of their own in its place, and answer its clients."""
    if whose == "everybody":
        tmp_path.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(tmp_path, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(UsageError, match="another user could put a socket"):
        listen(Address(tmp_path / "h.sock"))
    assert not list(tmp_path.iterdir())
    if whose == "everybody":
        tmp_path.chmod(0o1777)  # as /tmp: only who made a file there can replace it
        listen(Address(tmp_path / "h.sock")).close()


def test_what_nobody_expected_is_json_too() -> None:
    class Broken:
        def metrics(self) -> None:
            raise RuntimeError("the disk is on fire")

    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": "GET", "path": "/api/v1/plugins/metrics", "headers": [], "query_string": b""}
    with pytest.raises(RuntimeError):  # for the log of the server
        asyncio.run(rest_app(cast("Host", Broken()), port=None, token=None)(scope, receive, send))  # type: ignore[arg-type]  # ASGI's own
    assert said[0]["status"] == 500
    assert json.loads(said[1]["body"])["error"]["code"] == "unexpected"


def test_attack_a_socket_is_its_owner_s_alone(scene: Scene, sockets: Path) -> None:
    assert stat.S_IMODE(scene.socket.stat().st_mode) == 0o600
    before = os.umask(0)
    try:
        with Client(scene.config("other")) as client:
            wanted = Addresses(Address(sockets / "h.sock"), Address(sockets / "g.sock"))
            with running_gateway(Host(client), wanted):
                assert {stat.S_IMODE(path.stat().st_mode) for path in sockets.glob("*.sock")} == {0o600}
                with pytest.raises(UnavailableError, match="another program"):
                    listen(Address(sockets / "h.sock"))
                with (
                    pytest.raises(UnavailableError, match="another program"),
                    running_gateway(Host(client), Addresses(None, Address(sockets / "g.sock"))),
                ):
                    pass
    finally:
        os.umask(before)
    assert not list(sockets.glob("*.sock"))
    with socket.socket(socket.AF_UNIX) as killed:  # what a killed gateway leaves behind is no obstacle; a file is
        killed.bind(str(sockets / "h.sock"))
    listen(Address(sockets / "h.sock")).close()
    (sockets / "file").write_text("kept")
    with pytest.raises(UnavailableError, match="not a socket"):
        listen(Address(sockets / "file"))
    assert (sockets / "file").read_text() == "kept"


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_a_path_that_is_too_long_for_a_socket_is_said_to_be(scene: Scene, sockets: Path, kind: str) -> None:
    path = sockets / ("é" * 60)
    wanted = Addresses(Address(path), None) if kind == "http" else Addresses(None, Address(path))
    with (
        pytest.raises(UsageError, match=rf"at most 10[37] bytes, and .*é has {len(os.fsencode(path))}"),
        Client(scene.config("long")) as client,
        running_gateway(Host(client), wanted),
    ):
        pass
    assert not path.exists()


def test_attack_a_document_that_is_not_signed_is_not_answered(scene: Scene, sockets: Path) -> None:
    """Who can write to the registry's store changes the index document, then the file itself."""
    [index] = (scene.published / "targets/index/acme").glob("*.slack.json")
    [artifact] = (scene.published / "plugins/acme/slack/1.1.0").glob("*.zip")
    for number, path in enumerate((index, artifact)):
        data = path.read_bytes()
        path.write_bytes(data.replace(b"1.1.0", b"6.6.6") if path == index else data[:-1] + b"!")
        try:
            with Client(scene.config(f"fresh-{number}")) as client:
                wanted = Addresses(Address(sockets / f"{number}.sock"), parse_address("127.0.0.1:0"))
                with running_gateway(Host(client), wanted) as found:
                    other = Scene.__new__(Scene)
                    assert found.grpc is not None
                    other.grpc_port, other.socket = found.grpc.port, sockets / f"{number}.sock"
                    answer = other.call("agent.v1.Agent", "DownloadPlugin", plugin_id=SMALL)
                    assert (answer.success, answer.plugin_data) == (False, b"")
                    done = other.ask_unix(*INSTALL)
                    assert done.status == 502
                    assert nothing_installed(other)
                    if path == index:
                        with pytest.raises(grpc.RpcError) as caught:
                            other.call("arf.cloud.v1.MarketplaceService", "GetPlugin", namespace="acme", name="slack")
                        assert caught.value.code() == grpc.StatusCode.DATA_LOSS
        finally:
            path.write_bytes(data)
        assert not list(Path(Store(scene.folder / f"fresh-{number}").root).rglob("slack.py"))


def test_attack_a_file_that_changes_in_the_cache_is_not_passed_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program of the same user changes the file after it was verified, and before the gateway reads it."""
    with Client(scene.config("raced")) as client:
        fetch = client.fetch

        def raced(*asked: str) -> Any:
            found = fetch(*asked)
            for each in found:
                assert each.path is not None
                each.path.chmod(0o600)
                each.path.write_bytes(each.path.read_bytes()[:-1] + b"!")
            return found

        monkeypatch.setattr(client, "fetch", raced)
        with pytest.raises(VerificationError, match="changed in the cache"):
            Host(client).deliver(SMALL, "", LIMIT)


@pytest.mark.parametrize("address", OTHERS)
def test_attack_a_gateway_is_no_server_for_other_hosts(address: str) -> None:
    with pytest.raises(UsageError):
        parse_address(address)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=B\r\nX: y", b"--B--"),
        ("multipart/form-data; boundary=B", b"--B\r\n\r\nx\r\n--B--\r\n"),
        ("application/x-www-form-urlencoded", b"a=1&b"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"[1]"),
        ("application/json", b"\xff"),
    ],
)
def test_bodies_that_are_nothing_are_refused(kind: str, body: bytes) -> None:
    with pytest.raises(UsageError):
        fields_of(kind, body)


# --- the command ------------------------------------------------------------------------------------------------------


def run(*args: str, without: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    block = f"import sys; sys.modules.update(dict.fromkeys({without.split()!r}))\n" if without else ""
    program = f"{block}from sealdex.cli.main import main; import sys; sys.argv[0] = 'sealdex'; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *args],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip


@pytest.mark.parametrize("missing", ["grpc", "starlette", "uvicorn"])
def test_without_the_extra_a_line_says_which(missing: str, tmp_path: Path) -> None:
    done = run("gateway", "--json", without=missing, XDG_RUNTIME_DIR=str(tmp_path), SEALDEX_STORE=str(tmp_path))
    said = json.loads(done.stdout)["error"]
    assert (done.returncode, said["hint"]) == (1, "pip install 'sealdex[gateway]'")
    assert not list(tmp_path.rglob("*.sock"))


def test_changes_want_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short\n")
    for more in ([], ["--token-file", str(tmp_path / "token")]):
        done = run("gateway", "--http", "127.0.0.1:0", "--allow-changes", *more, "--json", SEALDEX_STORE=str(tmp_path))
        assert done.returncode == 2
        assert "at least 16" in json.loads(done.stdout)["error"]["message"]


def test_other_commands_import_nothing_of_it(tmp_path: Path) -> None:
    program = (
        "import sealdex.runtime, sealdex.cli.command_table, sys\n"
        "from sealdex import Client\nfrom sealdex.runtime import PluginManager\n"
        "heavy = ('grpc', 'starlette', 'uvicorn', 'google')\n"
        "print([n for n in sys.modules if n.split('.')[0] in heavy or 'gateway' in n])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_socket_whose_program_is_busy_or_anothers_is_left_where_it_is(
    sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sockets / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        try:
            for each in waiting:
                each.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    each.connect(str(path))
            with pytest.raises(UnavailableError, match="another program listens"):
                listen(Address(path))
        finally:
            for each in waiting:
                each.close()
        assert path.is_socket()

    class Refusing(socket.socket):
        def connect(self, address: Any, /) -> None:
            raise PermissionError(13, "Permission denied", address)

    monkeypatch.setattr("sealdex.runtime.gateway.listening.socket.socket", Refusing)
    with pytest.raises(UnavailableError, match="can't be tried: Permission denied"):
        listen(Address(path))
    assert path.is_socket()
    monkeypatch.undo()
    listen(Address(path)).close()  # nobody listens any more
