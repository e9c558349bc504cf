"""Updates by files that are interrupted go on where they stopped; what was left is trusted no more than the server."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import FaultServer, IgnoreRange, Request, Silence, Status
from support.plugin_registry import PluginRegistry, sha256

from sealdex import Client
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.download._ranges import RangeFetcher
from sealdex.download._spans import Span, joined, without
from sealdex.errors import UnavailableError
from sealdex.results import Installed
from sealdex.store.cache import ContentCache
from sealdex.transport import Stream

SIZE = 100 * 1024
ZIP = "/plugins/acme/tool/2.0.0/tool.zip"
# changed files stand between kept ones, farther apart than ranges are joined
OLD = {f"{n:02d}.bin": random.Random(n).randbytes(SIZE) for n in range(40)}  # noqa: S311  # test data
CHANGED = [f"{n:02d}.bin" for n in range(1, 40, 4)]
NEW = {**OLD, **{name: OLD[name][::-1] for name in CHANGED}}
CHILD = """
import sys
import sealdex.download._ranges
from sealdex import Client
sealdex.download._ranges._NOTE_EVERY_S = 0.0  # so that what is killed was noted
with Client(sys.argv[1], store=sys.argv[2]) as client:
    client.install("acme/tool@2.0.0")
"""


class Host:
    """acme/tool 1.0.0, installed, and 2.0.0 with a list of files, in a registry whose server can fail."""

    def __init__(self, folder: Path, server: FaultServer) -> None:
        self.folder, self.server = folder, server
        registry = PluginRegistry()
        registry.release("acme/tool", "1.0.0", OLD)
        self.archive = registry.release("acme/tool", "2.0.0", NEW, file_list=True)
        registry.publish()
        for name, data in registry.files.items():
            server.put(f"/{name}", data)
        (folder / "root").write_bytes(registry.root)
        lines = ["[registries.public]", f'url = "{server.url("/")}"', 'root = "root"', "[download]", "timeout = 60"]
        (folder / "config.toml").write_text("\n".join(lines))
        self.install("1.0.0")

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def install(self, version: str = "2.0.0") -> Installed:
        section = RegistrySection(url=self.server.url("/"), root="root")
        document = ConfigDocument(registries={"public": section}, download=DownloadSection(retry=1))
        with Client(Config(self.folder / "config.toml", self.store, document)) as client:
            return client.install(f"acme/tool@{version}")[0]

    def parts(self) -> list[Path]:
        return sorted((self.store / "cache").rglob("*.part*"))

    @property
    def sidecar(self) -> Path:
        digest = sha256(self.archive)
        return self.store / "cache/sha256" / digest[:2] / f"{digest}.part.json"

    def pieces(self) -> list[list[int]]:
        """What is noted as fetched of the archive."""
        try:
            found: list[list[int]] = json.loads(self.sidecar.read_text()).get("pieces", [])
        except FileNotFoundError:
            return []
        return found

    def is_whole(self) -> bool:
        place = self.store / "plugins/acme/tool/2.0.0"
        return {name: (place / name).read_bytes() for name in NEW} == NEW


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def host(tmp_path: Path, server: FaultServer) -> Host:
    return Host(tmp_path, server)


def end_faults(host: Host) -> None:
    """Have the server do well, and forget what was asked."""
    host.server.always(ZIP, None)
    host.server.requests.clear()


def asked(requests: list[Request]) -> list[Span]:
    """The ranges of the archive that were asked for."""
    texts = [r.headers["range"].removeprefix("bytes=").split("-") for r in requests if "range" in r.headers]
    return [Span(int(start), int(end) + 1) for start, end in texts]


def break_off(host: Host, after: int) -> list[Span]:
    """Begin an update that fails after so many ranges; return those that were had."""
    host.server.script(ZIP, *[None] * after)
    host.server.always(ZIP, Status(503))
    with pytest.raises(UnavailableError):
        host.install()
    had = joined(Span(start, end) for start, end in host.pieces())
    end_faults(host)
    return had


def test_an_interrupted_update_goes_on(host: Host) -> None:
    had = break_off(host, 6)
    assert had
    done = host.install()
    again = asked(host.server.asked(ZIP))
    assert again
    assert without(again, had) == again  # nothing that was there was asked for once more
    whole = sum(map(len, [NEW[name] for name in CHANGED]))
    assert done.bytes_reused == sum(map(len, NEW.values())) - whole
    assert done.bytes_fetched < whole - sum(span.end - span.start for span in had) + 40_000
    assert host.is_whole()
    assert host.parts() == []


def test_a_killed_update_goes_on(host: Host) -> None:
    host.server.script(ZIP, *[None] * 5)
    host.server.always(ZIP, Silence())
    command = [sys.executable, "-c", CHILD, str(host.folder / "config.toml"), str(host.store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        end = time.monotonic() + 60
        while len(host.pieces()) < 4 and child.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert child.poll() is None, child.stdout.read() if child.stdout else ""
        os.kill(child.pid, signal.SIGKILL)
    had = joined(Span(start, end) for start, end in host.pieces())
    assert len(had) >= 4
    end_faults(host)
    host.install()
    again = asked(host.server.asked(ZIP))
    assert without(again, had) == again
    assert host.is_whole()
    assert host.parts() == []


def test_pieces_that_are_not_what_is_listed_are_fetched_anew(host: Host) -> None:
    """Power cut, or attack: who may write to the cache changes bytes of the part file. Each file is hashed."""
    had = break_off(host, 6)
    part = next(path for path in host.parts() if path.suffix == ".part")
    with part.open("r+b") as file:
        for span in had:
            file.seek(span.start)
            file.write(bytes(span.end - span.start))
    done = host.install()
    assert done.bytes_reused > 0
    assert host.is_whole()
    assert host.parts() == []


@pytest.mark.parametrize(
    "noted",
    ["[[0, 1e99]]", "[[5, 1]]", '[["a", "b"]]', "7", "[[0, 99999999999]]", "[[-5, 5]]", "[[true, 5]]", "[[1, 2, 3]]"],
)
def test_a_note_that_makes_no_sense_is_none(host: Host, noted: str) -> None:
    had = break_off(host, 6)
    sidecar = host.sidecar
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "pieces": None}).replace("null}", f"{noted}}}"))
    host.install()
    assert had
    assert without(had, joined(asked(host.server.asked(ZIP)))) == []  # all of it is asked for once more
    assert host.is_whole()


def test_what_a_whole_download_left_is_used(host: Host) -> None:
    """The first bytes of the archive are there already, from an install before any version was there."""
    part = ContentCache(host.store / "cache").partial(sha256(host.archive))
    with part.open() as file:
        file.write(host.archive[: len(host.archive) // 2])
    part.save(url=host.server.url(ZIP), etag=None, contiguous=None)
    host.install()
    assert min(span.start for span in asked(host.server.asked(ZIP))) >= len(host.archive) // 2
    assert host.is_whole()


def test_without_ranges_the_whole_comes_and_nothing_is_left(host: Host) -> None:
    break_off(host, 6)
    host.server.always(ZIP, IgnoreRange())
    done = host.install()
    assert (done.bytes_fetched, done.bytes_reused) == (len(host.archive), 0)
    assert host.is_whole()
    assert host.parts() == []


def test_another_process_at_the_same_archive_is_not_waited_for(host: Host) -> None:
    cache = ContentCache(host.store / "cache")
    digest = sha256(host.archive)
    cache.partial(digest)
    with cache.lock(digest):
        assert host.install().bytes_reused > 0
    assert host.is_whole()


def test_what_is_missing_of_ranges() -> None:
    assert without([Span(0, 10)], []) == [Span(0, 10)]
    assert without([Span(0, 10), Span(20, 30)], [Span(0, 40)]) == []
    assert without([Span(0, 10), Span(20, 30)], [Span(2, 4), Span(9, 21)]) == [Span(0, 2), Span(4, 9), Span(21, 30)]
    assert without([Span(0, 10)], [Span(10, 20), Span(30, 40)]) == [Span(0, 10)]
    assert joined([Span(5, 9), Span(0, 5), Span(20, 30), Span(6, 7)]) == [Span(0, 9), Span(20, 30)]


def test_the_range_that_failed_says_why_not_those_that_it_stopped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first range is so slow that another has failed for good by then: that is an outage, and no lack of ranges."""
    fetch, begun = RangeFetcher._fetch, []

    def first_is_slow(self: Any, writer: FileIO, span: Span, opened: Stream | None) -> None:
        begun.append(span)
        if begun[0] == span:
            with self._changed:
                assert self._changed.wait_for(lambda: self._stopping, 60)
        fetch(self, writer, span, opened)

    monkeypatch.setattr(RangeFetcher, "_fetch", first_is_slow)
    host.server.always(ZIP, Status(503))
    with pytest.raises(UnavailableError, match="503"):
        host.install()
    assert not [r for r in host.server.asked(ZIP) if "range" not in r.headers], "the whole archive was asked for"
