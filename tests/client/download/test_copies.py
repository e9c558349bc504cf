"""Copies of artifacts that stay at an author's address: where a mirror has some they are asked for first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import Run
from support.fault_server import Endless, FaultServer, Redirect, Status
from support.plugin_registry import PluginRegistry

from sealdex import Client
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.config.document import AuthSection
from sealdex.errors import NotOnMirrorError, UnavailableError, VerificationError
from sealdex.model.plugin import Attachment

SECRET = "hush-0815"
COPY = "plugins/acme/tool/1.0.0/tool.zip"
REPORT = b'{"passed": true}'
REPORT_COPY = "plugins/acme/tool/1.0.0/report.json"


@pytest.fixture(autouse=True)
def surroundings(no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", SECRET)


@pytest.fixture
def author() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


class Scene:
    """A registry whose only artifact and report are at the author's, and a mirror of it behind a token."""

    def __init__(self, near: FaultServer, author: FaultServer, folder: Path, *, size: bool = True) -> None:
        self.near, self.author, self._folder = near, author, folder
        self.registry = PluginRegistry()
        probe = PluginRegistry().release("acme/tool", "1.0.0")
        self.archive = probe
        artifact: dict[str, object] = {"url": author.put("/tool.zip", probe)}
        if not size:
            artifact["size"] = None
        digest = hashlib.sha256(REPORT).hexdigest()
        report = Attachment("report.json", "report", len(REPORT), digest, url=author.put("/report.json", REPORT))
        self.registry.release("acme/tool", "1.0.0", artifact=artifact, attachments=(report,))
        self.registry.publish()
        for name, data in self.registry.files.items():
            if name not in {COPY, REPORT_COPY}:
                near.put(f"/{name}", data)

    def record(self, *keys: str, **fields: object) -> None:
        self.near.put("/mirror.json", json.dumps({"format": 1, "elsewhere": keys, **fields}).encode())

    def client(self, *, partial: bool = False, mirrors: tuple[str, ...] = ()) -> Client:
        (self._folder / "root.json").write_bytes(self.registry.root)
        auth = AuthSection(type="bearer", token_env="TEAM_TOKEN")
        url = self.near.url("/")
        section = RegistrySection(url=url, root="root.json", auth=auth, partial=partial, mirrors=mirrors)
        document = ConfigDocument(
            registries={"site": section}, download=DownloadSection(retry=1, max_plugin_size=1_000_000)
        )
        return Client(Config(self._folder / "config.toml", self._folder / "store", document))

    def asked(self) -> list[str]:
        """What was asked beside metadata and documents: of the mirror, then of the author."""
        near = [r.path for r in self.near.requests if r.path in {"/mirror.json", f"/{COPY}", f"/{REPORT_COPY}"}]
        return [*near, *(f"author {request.path}" for request in self.author.requests)]


@pytest.fixture
def near() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def scene(near: FaultServer, author: FaultServer, tmp_path: Path) -> Scene:
    return Scene(near, author, tmp_path)


def installed(client: Client) -> None:
    with client:
        assert client.install("acme/tool")[0].action == "unpack"


def test_a_mirror_that_lists_it_is_asked_and_the_author_is_not(scene: Scene) -> None:
    scene.near.put(f"/{COPY}", scene.archive)
    scene.record(COPY)
    installed(scene.client())
    assert scene.asked() == ["/mirror.json", f"/{COPY}"]


def test_a_refresh_asks_mirrors_again_what_they_have(scene: Scene) -> None:
    scene.record()
    with scene.client() as client:
        client.install("acme/tool")
        scene.near.put(f"/{REPORT_COPY}", REPORT)
        scene.record(REPORT_COPY)
        client.refresh("site")
        assert client.attachment("acme/tool", "1.0.0", "report.json") == REPORT
    assert scene.asked() == ["/mirror.json", "/mirror.json", f"/{REPORT_COPY}", "author /tool.zip"]


def test_a_refresh_asks_a_partial_mirror_again_what_it_has(scene: Scene) -> None:
    about = {"source": "x", "made_at": "", "timestamp_version": 1, "snapshot_version": 1, "root_version": 1}
    scene.record(**about, selection={"plugins": ["acme/other"]})
    with scene.client(partial=True) as client:
        with pytest.raises(NotOnMirrorError):
            client.info("acme/tool")
        scene.record(**about)
        client.refresh("site")
        assert client.info("acme/tool")


def test_attachments_likewise_and_the_record_is_read_once(scene: Scene) -> None:
    scene.near.put(f"/{COPY}", scene.archive)
    scene.near.put(f"/{REPORT_COPY}", REPORT)
    scene.record(COPY, REPORT_COPY)
    with scene.client() as client:
        client.install("acme/tool")
        assert client.attachment("acme/tool", "1.0.0", "report.json") == REPORT
    assert scene.asked() == ["/mirror.json", f"/{COPY}", f"/{REPORT_COPY}"]


@pytest.mark.parametrize(
    "record", [None, b"{", b'{"format": 2, "elsewhere": ["' + COPY.encode() + b'"]}', b'{"format": 1}']
)
def test_what_is_not_a_mirror_costs_one_request(scene: Scene, record: bytes | None) -> None:
    scene.near.put(f"/{COPY}", scene.archive)
    if record is not None:
        scene.near.put("/mirror.json", record)
    with scene.client() as client:
        client.install("acme/tool")
        assert client.attachment("acme/tool", "1.0.0", "report.json") == REPORT
    assert scene.asked() == ["/mirror.json", "author /tool.zip", "author /report.json"]


def test_of_a_partial_registry_copies_are_asked_for_whatever_the_record_says(scene: Scene) -> None:
    scene.near.put(f"/{COPY}", scene.archive)
    with scene.client(partial=True) as client:
        client.install("acme/tool")
        assert client.attachment("acme/tool", "1.0.0", "report.json") == REPORT
    # the record is asked for once, since releases are chosen among what the mirror has
    assert scene.asked() == ["/mirror.json", f"/{COPY}", f"/{REPORT_COPY}", "author /report.json"]


def test_a_second_address_may_have_it(scene: Scene, tmp_path: Path) -> None:
    second = tmp_path / "second"
    (second / COPY).parent.mkdir(parents=True)
    (second / COPY).write_bytes(scene.archive)
    (second / "mirror.json").write_text(json.dumps({"format": 1, "elsewhere": [COPY]}))
    installed(scene.client(mirrors=(second.as_uri(),)))
    assert scene.asked() == ["/mirror.json"]


def test_what_is_elsewhere_alone_makes_anybody_read_the_record(scene: Scene, tmp_path: Path) -> None:
    scene.registry.release("acme/own", "1.0.0")
    scene.registry.publish()
    for name, data in scene.registry.files.items():
        scene.near.put(f"/{name}", data)
    with scene.client() as client:
        client.install("acme/own")
    assert scene.asked() == []


def spoiled(scene: Scene) -> bytes:
    return bytes(len(scene.archive))


@pytest.mark.parametrize("planted", ["missing", "other bytes", "longer", "a status"])
def test_attack_a_planted_record_wastes_a_request_at_most(scene: Scene, planted: str) -> None:
    """Writes to the mirror: a record that lists everything, and what they like in the place of the copy."""
    scene.record(COPY, REPORT_COPY, "../../etc/passwd", "metadata/timestamp.json", url="http://127.0.0.1:1/")
    if planted == "other bytes":
        scene.near.put(f"/{COPY}", spoiled(scene))
    elif planted == "longer":
        scene.near.put(f"/{COPY}", scene.archive + b"x")
    elif planted == "a status":
        scene.near.always(f"/{COPY}", Status(403))
    installed(scene.client())
    assert scene.asked() == ["/mirror.json", f"/{COPY}", "author /tool.zip"]


def test_attack_a_copy_without_end_is_left_where_no_size_is_signed(
    near: FaultServer, author: FaultServer, tmp_path: Path
) -> None:
    """Writes to the mirror: a copy that never ends, of an artifact whose size the registry doesn't know."""
    scene = Scene(near, author, tmp_path, size=False)
    scene.record(COPY)
    near.put(f"/{COPY}", b"")
    near.always(f"/{COPY}", Endless())
    installed(scene.client())
    assert scene.asked()[-1] == "author /tool.zip"


def test_attack_bytes_from_the_mirror_are_never_used_unsigned(scene: Scene, tmp_path: Path) -> None:
    """Writes to the mirror, and the author is gone: nothing is installed, and nothing of it is kept."""
    scene.record(COPY)
    scene.near.put(f"/{COPY}", spoiled(scene))
    scene.author.always("/tool.zip", Status(404))
    with scene.client() as client, pytest.raises(UnavailableError):
        client.install("acme/tool")
    kept = [path for path in (tmp_path / "store/cache").rglob("*") if path.is_file()]
    assert [path for path in kept if path.read_bytes() == spoiled(scene)] == []
    scene.author.always("/tool.zip", None)
    scene.author.put("/tool.zip", spoiled(scene))
    with scene.client() as client, pytest.raises(VerificationError):
        client.install("acme/tool")


@pytest.mark.parametrize("redirected", [False, True])
def test_attack_credentials_stay_below_the_address_of_the_registry(scene: Scene, *, redirected: bool) -> None:
    """Writes to the mirror: a record that lists everything, and a redirect to the author in the place of the copy."""
    scene.record(COPY)
    if redirected:
        scene.near.always(f"/{COPY}", Redirect(scene.author.url("/tool.zip")))
    installed(scene.client())
    assert {request.headers.get("authorization") for request in scene.near.requests} == {f"Bearer {SECRET}"}
    assert {request.headers.get("authorization") for request in scene.author.requests} == {None}
    assert scene.author.asked("/tool.zip")


def test_a_mirror_made_by_the_command_is_used_so(
    bare: Run, scene: Scene, tmp_path: Path, want: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pinned.json"
    root.write_bytes(scene.registry.root)
    made = bare("mirror", "create", scene.near.url("/"), tmp_path / "mirror", "--root", root)
    assert made.code == 0, made.err
    asked = len(scene.author.requests), len(scene.near.requests)
    assert bare("registry", "add", "far", tmp_path / "mirror", "--root", root).code == 0
    done = bare("install", "acme/tool")
    assert done.code == 0, done.err
    assert (len(scene.author.requests), len(scene.near.requests)) == asked
