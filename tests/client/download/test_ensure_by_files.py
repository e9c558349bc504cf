"""``ensure`` fetches what changed: lists of files in locks, from before there were any, and forged ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import Run
from support.fault_server import FaultServer, Status
from support.plugin_registry import PluginRegistry, sha256

from registry_builder.source.file_list import file_list_bytes
from sealdex.lockfile.lock_file import parse_lock
from sealdex.model.decode import encode_json
from sealdex.model.index import FilePin

OLD = {f"data/{n}.bin": random.Random(n).randbytes(100 * 1024) for n in range(6)}  # noqa: S311  # test data
NEW = {**OLD, "data/0.bin": OLD["data/1.bin"][::-1]}
ZIP = "/plugins/acme/tool/{}/tool.zip"
EVIL = b"\0" * len(NEW["data/0.bin"])


class Published:
    """acme/tool 1.0.0 and 2.0.0 with lists of files, served with ranges."""

    def __init__(self, server: FaultServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.registry = PluginRegistry()
        self.lists: dict[str, bytes] = {}
        self.archives: dict[str, bytes] = {}
        for version, files in (("1.0.0", OLD), ("2.0.0", NEW)):
            before = dict(self.registry.documents)
            self.archives[version] = self.registry.release("acme/tool", version, files)
            self.registry.documents = before
            self.lists[version] = self.list_of(self.archives[version])
            pin = FilePin(len(self.lists[version]), sha256(self.lists[version]))
            self.registry.release("acme/tool", version, files, artifact={"file_list": pin})
        self.publish()

    def list_of(self, archive: bytes) -> bytes:
        path = self.folder / "listed.zip"
        path.write_bytes(archive)
        return file_list_bytes(path)

    def publish(self) -> None:
        self.registry.publish()
        for name, data in self.registry.files.items():
            self.server.put(f"/{name}", data)
        for version, data in self.lists.items():
            self.server.put(f"{ZIP.format(version)}.files.json", data)

    def ranges(self) -> int:
        return sum("range" in request.headers for request in self.server.asked(ZIP.format("2.0.0")))


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    with FaultServer() as server:
        yield Published(server, tmp_path)


@pytest.fixture
def project(bare: Run, published: Published, want: Callable[[str], None], tmp_path: Path) -> Path:
    """A project that has 1.0.0 in place and wants 2.0.0, which is locked."""
    root = tmp_path / "root.json"
    root.write_bytes(published.registry.root)
    assert bare("registry", "add", "public", published.server.url("/"), "--root", root).code == 0
    want('"acme/tool" = "1.0.0"')
    assert bare("ensure").code == 0
    want('"acme/tool" = "2.0.0"')
    assert bare("lock").code == 0
    return tmp_path / "project/sealdex.lock"


def content(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "store/plugins/acme/tool/2.0.0"
    return {name: (folder / name).read_bytes() for name in NEW}


def without_list(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines(keepends=True) if not line.startswith("file_list")]
    lock.write_text("".join(lines))


def test_the_lock_pins_the_list_and_ensure_fetches_what_changed(
    bare: Run, project: Path, published: Published, tmp_path: Path
) -> None:
    listed = published.lists["2.0.0"]
    assert parse_lock(project.read_text()).plugin[0].artifact[0].file_list == FilePin(len(listed), sha256(listed))
    done = bare("ensure", "--locked", "--json").document["ensured"][0]
    assert done["action"] == "unpack"
    assert done["bytes_reused"] == sum(map(len, NEW.values())) - len(NEW["data/0.bin"])
    assert done["bytes_fetched"] < 0.4 * len(published.archives["2.0.0"])
    assert published.ranges() > 0
    assert content(tmp_path) == NEW


@pytest.mark.parametrize("status", [404, 503])
def test_a_list_that_no_address_has_costs_no_more_than_the_whole_archive(
    bare: Run, project: Path, published: Published, tmp_path: Path, status: int
) -> None:
    listed = f"{ZIP.format('2.0.0')}.files.json"
    published.server.always(listed, Status(404))
    config = tmp_path / "config/config.toml"
    with FaultServer() as second:
        second.always(listed, Status(status))
        text = config.read_text()
        mirrors = f'[registries.public]\nmirrors = ["{second.url("/")}"]'
        config.write_text(text.replace("[registries.public]", mirrors, 1))
        done = bare("ensure", "--locked", "--json", "--retry", "0")
        assert second.asked(listed)
    assert done.code == 0, done.err
    assert done.document["ensured"][0]["bytes_reused"] == 0
    assert content(tmp_path) == NEW


def test_a_lock_from_before_there_were_lists(bare: Run, project: Path, published: Published, tmp_path: Path) -> None:
    without_list(project)
    before = project.read_text()
    done = bare("ensure", "--locked", "--json").document["ensured"][0]
    assert done["bytes_reused"] > 0
    assert project.read_text() == before
    assert content(tmp_path) == NEW
    assert [c["plugin"] for c in bare("lock", "--json").document["changed"]] == ["acme/tool"]
    assert "file_list" in project.read_text()


def forge(project: Path, published: Published) -> None:
    """Serve an archive of other bytes with a list that fits it, but says it is that of the signed archive."""
    signed = parse_lock(project.read_text()).plugin[0].artifact[0]
    other = published.registry.release("acme/tool", "2.0.0", {**NEW, "data/0.bin": EVIL})
    other += b"\0" * (len(published.archives["2.0.0"]) - len(other))
    forged = published.list_of(other).replace(sha256(other).encode(), signed.sha256.encode())
    published.server.put(ZIP.format("2.0.0"), other)
    published.server.put(f"{ZIP.format('2.0.0')}.files.json", forged)
    text = project.read_text()
    assert signed.file_list is not None
    text = text.replace(signed.file_list.sha256, sha256(forged))
    project.write_text(text.replace(f"size = {signed.file_list.size},", f"size = {len(forged)},"))


def test_a_forged_list_in_a_lock(bare: Run, project: Path, published: Published, tmp_path: Path) -> None:
    """Power: who may edit sealdex.lock and serve the registry's files, without a key.

    Change: the lock's list of files, and an archive that fits it; the archive's own digest stays the signed one.
    Refused: the registry signs another list. Nothing is fetched by it, and 1.0.0 stays.
    """
    forge(project, published)
    refused = bare("ensure")
    assert (refused.code, "SECURITY" in refused.err, "other digests" in refused.err) == (4, True, True)
    assert published.ranges() == 0
    assert [i["version"] for i in bare("list", "--json").document["installed"]] == ["1.0.0"]


def test_another_mapping_of_files_in_a_lock(bare: Run, project: Path) -> None:
    """Power: who may edit sealdex.lock. Change: the file that is the plugin's program. Refused: another is signed."""
    project.write_text(project.read_text().replace('format = "zip"', 'format = "zip"\nbin = "data/5.bin"'))
    refused = bare("ensure")
    assert (refused.code, "SECURITY" in refused.err) == (4, True)


def test_what_is_signed_without_a_list_takes_none_from_the_lock(bare: Run, project: Path, published: Published) -> None:
    """Power: as above, for a release that has no list. Refused: a list that nobody signed decides about nothing."""
    document = next(iter(published.registry.documents))
    signed = published.registry.documents[document]
    published.registry.documents = {}
    published.registry.release("acme/tool", "1.0.0", OLD)
    published.registry.release("acme/tool", "2.0.0", NEW)
    assert encode_json(published.registry.documents[document]) != encode_json(signed)
    published.publish()
    refused = bare("ensure")
    assert (refused.code, "SECURITY" in refused.err) == (4, True)
