"""Updates by the list of files: what is fetched, what is reused, when the whole archive comes, and what is refused."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.fault_server import Cut, FaultServer, IgnoreRange, OtherRange, Status, Swap
from support.plugin_registry import PluginRegistry, sha256

from sealdex import Client
from sealdex.archive.entries import ArchiveEntry, RefusedArchiveError, StoredData
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.download._delta_plan import GAP_BYTES, plan_listed, read_file_list, spans_for
from sealdex.download._spans import BLOCK_BYTES, Span
from sealdex.errors import VerificationError
from sealdex.model.decode import encode_json
from sealdex.model.files import FileList, ListedEntry
from sealdex.model.index import ArtifactEntry
from sealdex.results import Installed

LARGE = 200 * 1024  # linked
ZIP, LIST = "/plugins/acme/tool/{}/tool.zip", "/plugins/acme/tool/{}/tool.zip.files.json"


def noise(seed: object, size: int) -> bytes:
    return random.Random(str(seed)).randbytes(size)  # noqa: S311  # test data


BASE = {f"data/{number:02d}.bin": noise(number, LARGE) for number in range(12)} | {
    "settings.toml": b"level = 1\n",
    "lib/code.py": b"print('one')\n" * 40,
}
CHANGED = {**BASE, "data/03.bin": noise("new", LARGE), "lib/code.py": b"print('two')\n" * 40}


class Scene:
    """A registry with releases 1.0.0 and 2.0.0 of acme/tool over a server that can be told to fail; and a host."""

    def __init__(self, folder: Path, server: FaultServer, new: Mapping[str, bytes] = CHANGED) -> None:
        self.folder, self.server = folder, server
        self.retries: int | None = 1  # few, since most of these servers never answer well
        self.registry = PluginRegistry()
        self.lists: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        for version, files in (("1.0.0", BASE), ("2.0.0", new)):
            self.add(version, files)
        self.publish()

    def add(self, version: str, files: Mapping[str, bytes], listed: bytes | bool = True) -> None:
        self.sizes[version] = len(self.registry.release("acme/tool", version, files, file_list=listed))
        self.lists[version] = self.registry.files[LIST.format(version)[1:]]

    def publish(self) -> None:
        self.registry.publish()
        for name, data in self.registry.files.items():
            self.server.put(f"/{name}", data)

    def client(self) -> Client:
        (self.folder / "root").write_bytes(self.registry.root)
        section = RegistrySection(url=self.server.url("/"), root="root")
        download = DownloadSection(retry=self.retries)
        document = ConfigDocument(registries={"public": section}, download=download)
        return Client(Config(self.folder / "config.toml", self.folder / "store", document))

    def install(self, version: str) -> Installed:
        with self.client() as client:
            return client.install(f"acme/tool@{version}")[0]

    def place(self, version: str) -> Path:
        return self.folder / "store/plugins/acme/tool" / version

    def holds(self, version: str, files: Mapping[str, bytes]) -> bool:
        with self.client() as client:
            assert all(check.is_whole for check in client.verify("acme/tool", version))
        return all((self.place(version) / name).read_bytes() == data for name, data in files.items())

    def ranges(self, version: str) -> list[str]:
        return [r.headers["range"] for r in self.server.asked(ZIP.format(version)) if "range" in r.headers]

    def staging(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "store/staging").iterdir() if path.name != "guard")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, server: FaultServer) -> Scene:
    return Scene(tmp_path, server)


def test_only_what_changed_is_fetched_and_the_rest_is_linked(scene: Scene) -> None:
    first = scene.install("1.0.0")
    assert (first.bytes_fetched, first.bytes_reused) == (scene.sizes["1.0.0"], 0)
    done = scene.install("2.0.0")
    assert scene.holds("2.0.0", CHANGED)
    assert scene.holds("1.0.0", BASE)
    assert done.bytes_fetched < LARGE + len(scene.lists["2.0.0"]) + GAP_BYTES
    assert done.bytes_reused == 11 * LARGE + len(BASE["settings.toml"])
    assert len(scene.ranges("2.0.0")) == len(scene.server.asked(ZIP.format("2.0.0"))) == 2
    old, new = scene.place("1.0.0"), scene.place("2.0.0")
    assert (old / "data/00.bin").samefile(new / "data/00.bin")
    assert not (old / "settings.toml").samefile(new / "settings.toml")
    assert scene.staging() == []
    assert done.installation is not None
    assert done.installation.artifact_size == scene.sizes["2.0.0"]
    (new / "settings.toml").write_bytes(b"level = 2\n")  # what plugins edit is their own
    assert scene.holds("1.0.0", BASE)


def test_a_whole_install_and_one_from_pieces_are_the_same(scene: Scene, tmp_path: Path, server: FaultServer) -> None:
    scene.install("1.0.0")
    scene.install("2.0.0")
    (tmp_path / "other").mkdir()
    other = Scene(tmp_path / "other", server)
    other.registry, other.lists = scene.registry, scene.lists
    other.publish()
    assert other.install("2.0.0").bytes_reused == 0
    a, b = (folder / ".sealdex/files.json" for folder in (scene.place("2.0.0"), other.place("2.0.0")))
    assert a.read_bytes() == b.read_bytes()
    modes = [
        {p.relative_to(s.place("2.0.0")): p.stat().st_mode for p in s.place("2.0.0").rglob("*")} for s in (scene, other)
    ]
    assert modes[0] == modes[1]


def test_an_edited_file_is_not_reused(scene: Scene) -> None:
    """Attack: who may write to an installation changes a file, size and time kept, to have it taken over.

    It is found by its hash, so it is fetched; the new release has what was signed.
    """
    scene.install("1.0.0")
    for name in ("data/00.bin", "settings.toml"):
        path = scene.place("1.0.0") / name
        was = path.stat()
        path.write_bytes(b"\0" * was.st_size)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    done = scene.install("2.0.0")
    assert done.bytes_reused == 10 * LARGE
    assert scene.holds("2.0.0", CHANGED)


def test_a_link_in_the_place_of_an_installed_file_is_not_followed(scene: Scene, tmp_path: Path) -> None:
    scene.install("1.0.0")
    for name in ("data/00.bin", "settings.toml"):
        path = scene.place("1.0.0") / name
        (tmp_path / "outside").write_bytes(BASE[name])
        path.unlink()
        path.symlink_to(tmp_path / "outside")
        done = scene.install("2.0.0")
        assert not (scene.place("2.0.0") / name).is_symlink()
        assert done.bytes_reused < 11 * LARGE + len(BASE["settings.toml"])
        with scene.client() as client:
            client.uninstall("acme/tool", "2.0.0")
        (tmp_path / "outside").unlink()
    assert scene.staging() == []


@pytest.mark.parametrize("fault", [IgnoreRange(), OtherRange(), Swap(at=0, length=1 << 30), Status(416)])
def test_a_server_that_fails_at_ranges_gives_the_whole(scene: Scene, fault: Any) -> None:
    """No ranges, another range, other bytes (attack: at the ranges only): the archive, verified by its own digest."""
    scene.install("1.0.0")
    scene.server.script(ZIP.format("2.0.0"), fault)
    done = scene.install("2.0.0")
    assert (done.bytes_fetched, done.bytes_reused) == (scene.sizes["2.0.0"], 0)
    assert scene.holds("2.0.0", CHANGED)
    assert scene.staging() == []


def test_other_bytes_for_ranges_and_whole_are_refused(scene: Scene) -> None:
    """Attack: a server swaps the archive's bytes whatever is asked for. Nothing is installed and nothing is left."""
    scene.install("1.0.0")
    scene.server.always(ZIP.format("2.0.0"), Swap(at=0, length=1 << 30))
    with pytest.raises(VerificationError):
        scene.install("2.0.0")
    assert not scene.place("2.0.0").exists()
    assert scene.staging() == []


def test_ranges_that_break_off_go_on(scene: Scene) -> None:
    scene.retries = None
    scene.install("1.0.0")
    scene.server.script(ZIP.format("2.0.0"), Cut(after=100), Cut(after=50, reset=True), Status(503))
    done = scene.install("2.0.0")
    assert done.bytes_reused > 0
    assert scene.holds("2.0.0", CHANGED)


def test_another_list_than_the_pinned_one_is_refused(scene: Scene) -> None:
    """Attack: a server swaps the list of files. Its digest is not the signed one; nothing is installed."""
    scene.install("1.0.0")
    forged = scene.lists["2.0.0"].replace(sha256(CHANGED["lib/code.py"]).encode(), b"0" * 64)
    scene.server.put(LIST.format("2.0.0"), forged)
    with pytest.raises(VerificationError):
        scene.install("2.0.0")
    assert not scene.place("2.0.0").exists()


def test_a_list_that_is_missing_costs_the_whole_archive_and_no_more(scene: Scene) -> None:
    scene.install("1.0.0")
    scene.server.always(LIST.format("2.0.0"), Status(404))
    assert scene.install("2.0.0").bytes_fetched == scene.sizes["2.0.0"]
    assert scene.holds("2.0.0", CHANGED)


def test_a_small_saving_is_not_worth_it(tmp_path: Path, server: FaultServer) -> None:
    new = {name: noise(name, LARGE) if name > "data/02" else data for name, data in BASE.items()}
    scene = Scene(tmp_path, server, new)
    scene.install("1.0.0")
    assert scene.install("2.0.0").bytes_reused == 0
    assert scene.ranges("2.0.0") == []


def test_a_signed_list_that_lies_about_content_does_not_install_it(scene: Scene) -> None:
    """Attack: the signer's own tool lies: the list says of a file what the archive doesn't hold."""
    listed = msgspec.json.decode(scene.lists["2.0.0"], type=FileList)
    lies = tuple(msgspec.structs.replace(e, sha256="0" * 64) if e.path == "lib/code.py" else e for e in listed.entries)
    scene.add("2.1.0", CHANGED, listed=encode_json(msgspec.structs.replace(listed, entries=lies)))
    scene.publish()
    scene.install("1.0.0")
    done = scene.install("2.1.0")
    assert done.bytes_reused == 0
    assert scene.holds("2.1.0", CHANGED)


ENTRY = ListedEntry("a", "file", 0o644, 5, sha256(b"hello"), 100, 5, 0, 0)
ARTIFACT = ArtifactEntry("tool.zip", "ab" * 32, "zip", 1000)


def plan(*entries: ListedEntry, artifact: ArtifactEntry = ARTIFACT, size: int = 1000) -> Any:
    data = encode_json({"format": 1, "archive": {"size": size, "sha256": "ab" * 32}, "entries": entries})
    listed = read_file_list(data, artifact)
    assert listed is not None
    return plan_listed(listed, artifact)


def changed(**fields: Any) -> ListedEntry:
    return msgspec.structs.replace(ENTRY, **fields)


@pytest.mark.parametrize(
    "entries",
    [
        [changed(path="../outside")],
        [changed(path="/etc/passwd")],
        [changed(path=".sealdex/installation.json")],
        [changed(path="a/b"), changed(path="A", offset=200)],
        [changed(kind="device")],
        [changed(mode=0o4755)],
        [ListedEntry("link", "symlink", 0, target="../../outside")],
        [ListedEntry("link", "symlink", 0, target="x"), changed(path="link/x")],
        [changed(), changed(path="b")],
        [changed(), changed(path="b", offset=104)],
        [changed(offset=996)],
        [changed(offset=2**62)],
        [changed(method=99)],
        [changed(size=6)],
        [changed(sha256="")],
        [changed(sha256="../" * 10)],
        [changed(path=f"bomb{i}", method=8, size=2**33, offset=100 + 10 * i) for i in range(2)],
    ],
    ids=lambda entries: f"{entries[-1].path}-{entries[-1].kind}",
)
def test_a_list_is_held_to_the_rules_for_archives(entries: list[ListedEntry]) -> None:
    """Attack: a signed list leads out of the folder, out of the archive, through a link, or is a bomb."""
    plan(ENTRY)
    with pytest.raises(RefusedArchiveError):
        plan(*entries)


def test_a_list_that_leads_out_installs_nothing(scene: Scene, tmp_path: Path) -> None:
    listed = msgspec.json.decode(scene.lists["2.0.0"], type=FileList)
    entries = tuple(
        msgspec.structs.replace(e, path="../" * 8 + str(tmp_path / "out")) if e.path == "settings.toml" else e
        for e in listed.entries
    )
    scene.add("2.1.0", CHANGED, listed=encode_json(msgspec.structs.replace(listed, entries=entries)))
    scene.publish()
    scene.install("1.0.0")
    with pytest.raises(RefusedArchiveError):
        scene.install("2.1.0")
    assert not (tmp_path / "out").exists()
    assert not scene.place("2.1.0").exists()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"format": 0}', b'{"format":1,"archive":{},"entries":[]}', b"\xff"]
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        read_file_list(data, ARTIFACT)


def test_the_list_of_another_archive_is_refused_and_a_newer_format_left_alone() -> None:
    with pytest.raises(VerificationError, match="another archive"):
        plan(ENTRY, size=1001)
    newer = encode_json({"format": 2, "archive": {"size": 1000, "sha256": "ab" * 32}, "entries": [ENTRY]})
    assert read_file_list(newer, ARTIFACT) is None


def test_near_ranges_are_joined_and_long_ones_cut() -> None:
    def entry(offset: int, length: int) -> ArchiveEntry:
        return ArchiveEntry("x", "file", size=length, data=StoredData(offset, length, 0, 0))

    assert spans_for([]) == spans_for([entry(5, 0)]) == []
    assert spans_for([entry(50, 10), entry(0, 10)]) == [Span(0, 60)]
    far = 10 + GAP_BYTES + 1
    assert spans_for([entry(0, 10), entry(far, 1)]) == [Span(0, 10), Span(far, far + 1)]
    assert spans_for([entry(7, BLOCK_BYTES + 1)]) == [Span(7, 7 + BLOCK_BYTES), Span(7 + BLOCK_BYTES, 8 + BLOCK_BYTES)]


def test_across_file_systems_files_are_copied(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.install("1.0.0")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    done = scene.install("2.0.0")
    assert done.bytes_reused > 11 * LARGE
    assert not (scene.place("1.0.0") / "data/00.bin").samefile(scene.place("2.0.0") / "data/00.bin")
    assert scene.holds("2.0.0", CHANGED)
    assert hashlib.sha256((scene.place("2.0.0") / "data/00.bin").read_bytes()).hexdigest() == sha256(
        BASE["data/00.bin"]
    )
