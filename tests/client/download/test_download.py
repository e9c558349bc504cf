"""Downloads: resumed, in ranges, bounded; whatever the server does, never wrong bytes under a final name."""

from __future__ import annotations

import errno
import gzip
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.budgets import examples
from support.fake_time import FakeTime
from support.fault_server import (
    Cut,
    Endless,
    EndsShort,
    Etag,
    Fault,
    FaultServer,
    Gate,
    Gzip,
    IgnoreIfRange,
    IgnoreRange,
    OtherRange,
    Redirect,
    Replaced,
    Silence,
    Status,
    Swap,
)

from sealdex.download._ranges import RangePlan
from sealdex.download.download import HostLimitError, Pin, download
from sealdex.errors import InstallError, SealdexError, UnavailableError, VerificationError
from sealdex.store.cache import ContentCache
from sealdex.transport import EncodingError, HttpStatusError, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = random.Random(1).randbytes(50_000)  # noqa: S311  # the same bytes in each run
DIGEST = hashlib.sha256(DATA).hexdigest()
PIN = Pin(DIGEST, len(DATA))
OPEN_PIN = Pin(DIGEST, None, max_bytes=100_000)
OTHER = DATA[::-1]

WHOLE = RangePlan()
SPLIT = RangePlan(min_bytes=10_000, block_bytes=4_000, connections=4)


@pytest.fixture(autouse=True)
def surroundings(no_proxy: None) -> None:
    """Nothing here goes through a proxy."""


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


class Client(NamedTuple):
    """A transport with fake time, and a cache of its own."""

    transport: Transport
    cache: ContentCache
    time: FakeTime

    def get(self, url: str, pin: Pin = PIN, plan: RangePlan = WHOLE, **more: Any) -> Path:
        return download(self.transport, url, pin, self.cache, plan=plan, **more)

    def leftovers(self) -> list[str]:
        """What is in the cache, by suffix: "" for a file under its final name."""
        return sorted(path.name.removeprefix(DIGEST) for path in self.cache.root.rglob("*") if not path.is_dir())

    def assert_refused(self) -> None:
        assert self.leftovers() in ([], [".lock"])

    def interrupt(self, server: FaultServer, path: str, fault: Fault, pin: Pin = PIN) -> None:
        """Leave what a run leaves that got one broken answer, and none after it."""
        server.script(path, fault)
        server.always(path, Status(410))
        with pytest.raises(HttpStatusError):
            self.get(server.url(path), pin)
        server._always.clear()
        server.requests.clear()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    time = FakeTime()
    with Transport(chance=time.chance) as transport:
        yield Client(transport, ContentCache(tmp_path / "cache"), time)


class Steps:
    """Records what a progress display is told."""

    def __init__(self) -> None:
        self.total: int | None = -1
        self.done = 0
        self.lowest = 0
        self.calls: list[str] = []

    def start(self, total: int | None) -> None:
        self.total = total
        self.calls.append("start")

    def advance(self, n: int) -> None:
        self.done += n
        self.lowest = min(self.lowest, self.done)

    def finish(self) -> None:
        self.calls.append("finish")


class TestPlain:
    @pytest.mark.parametrize("pin", [PIN, OPEN_PIN])
    @pytest.mark.parametrize("plan", [WHOLE, SPLIT])
    def test_ends_with_the_file_under_its_digest(
        self, server: FaultServer, client: Client, pin: Pin, plan: RangePlan
    ) -> None:
        steps = Steps()
        path = client.get(server.put("/f", DATA), pin, plan, progress=steps)
        assert path == client.cache.path(DIGEST)
        assert path.read_bytes() == DATA
        assert path.stat().st_mode & 0o777 == 0o644
        assert client.leftovers() == ["", ".lock", ".uses"]
        assert (steps.total, steps.done, steps.lowest) == (len(DATA), len(DATA), 0)
        assert steps.calls == ["start", "finish"]

    def test_of_what_is_cached_asks_nothing(self, server: FaultServer, client: Client) -> None:
        url = server.put("/f", DATA)
        client.get(url)
        steps = Steps()
        assert client.get(url, progress=steps).read_bytes() == DATA
        assert len(server.requests) == 1
        assert steps.calls == []

    def test_of_an_empty_file(self, server: FaultServer, client: Client) -> None:
        empty = hashlib.sha256(b"").hexdigest()
        for pin in (Pin(empty, 0), Pin(empty, None, 10)):
            assert client.get(server.put("/f", b""), pin).read_bytes() == b""
            client.cache.discard(empty)

    @pytest.mark.parametrize("plan", [WHOLE, SPLIT])
    def test_from_a_file_url(self, client: Client, tmp_path: Path, plan: RangePlan) -> None:
        (tmp_path / "f").write_bytes(DATA)
        assert client.get(f"file://{tmp_path}/f", plan=plan).read_bytes() == DATA

    def test_of_a_missing_file_leaves_nothing(self, server: FaultServer, client: Client) -> None:
        with pytest.raises(HttpStatusError) as caught:
            client.get(server.url("/none"))
        assert caught.value.status == 404
        client.assert_refused()

    def test_in_ranges_asks_for_blocks_under_the_entity_tag_of_the_first(
        self, server: FaultServer, client: Client
    ) -> None:
        client.get(server.put("/f", DATA), plan=SPLIT)
        asked = {request.headers["range"] for request in server.requests}
        assert asked == {f"bytes={start}-{min(start + 4000, len(DATA)) - 1}" for start in range(0, len(DATA), 4000)}
        tags = [request.headers.get("if-range") for request in server.requests]
        assert tags[0] is None
        assert len(set(tags[1:])) == 1
        assert None not in tags[1:]

    @pytest.mark.parametrize("fault", [IgnoreRange(), Etag(None), Etag('W/"1"')])
    def test_from_a_server_that_can_t_split_comes_in_one_piece(
        self, server: FaultServer, client: Client, fault: Fault
    ) -> None:
        server.always("/f", fault)
        assert client.get(server.put("/f", DATA), plan=SPLIT).read_bytes() == DATA
        assert len(server.requests) <= 2

    def test_a_pin_without_any_bound_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="size or max_bytes"):
            Pin(DIGEST)


class TestResume:
    @pytest.mark.parametrize("pin", [PIN, OPEN_PIN])
    @pytest.mark.parametrize("fault", [Cut(20_000), Cut(20_000, reset=True), Cut(0)])
    def test_goes_on_within_a_run(self, server: FaultServer, client: Client, pin: Pin, fault: Fault) -> None:
        server.script("/f", fault, Status(503), Silence())
        assert client.get(server.put("/f", DATA), pin).read_bytes() == DATA
        assert len(server.requests) == 4

    def test_goes_on_in_a_later_run_where_the_earlier_one_stopped(self, server: FaultServer, client: Client) -> None:
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))
        assert client.leftovers() == [".lock", ".part", ".part.json"]
        steps = Steps()
        assert client.get(url, progress=steps).read_bytes() == DATA
        (request,) = server.requests
        assert request.headers["range"] == "bytes=20000-"
        assert request.headers["if-range"].startswith('"')
        assert (steps.total, steps.done, steps.lowest) == (len(DATA), len(DATA), 0)

    def test_with_all_bytes_there_already_asks_nothing(self, server: FaultServer, client: Client) -> None:
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))
        client.cache.partial(DIGEST).path.write_bytes(DATA)
        assert client.get(url).read_bytes() == DATA
        assert server.requests == []

    def test_of_a_file_of_unknown_size_that_is_whole_already_recovers_from_416(
        self, server: FaultServer, client: Client
    ) -> None:
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000), OPEN_PIN)
        client.cache.partial(DIGEST).path.write_bytes(DATA)
        assert client.get(url, OPEN_PIN).read_bytes() == DATA
        assert [request.headers["range"] for request in server.requests] == ["bytes=50000-"]

    @pytest.mark.parametrize("pin", [PIN, OPEN_PIN])
    def test_starts_over_after_a_416(self, server: FaultServer, client: Client, pin: Pin) -> None:
        server.script("/f", Cut(20_000), Status(416))
        assert client.get(server.put("/f", DATA), pin).read_bytes() == DATA
        assert "range" not in server.requests[2].headers

    def test_starts_over_when_a_part_is_too_long(self, server: FaultServer, client: Client) -> None:
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))
        client.cache.partial(DIGEST).path.write_bytes(DATA + b"x")
        assert client.get(url).read_bytes() == DATA
        assert "range" not in server.requests[0].headers

    def test_starts_over_when_the_server_sends_the_whole(self, server: FaultServer, client: Client) -> None:
        server.script("/f", Cut(20_000), IgnoreRange())
        steps = Steps()
        assert client.get(server.put("/f", DATA), progress=steps).read_bytes() == DATA
        assert len(server.requests) == 2
        assert (steps.done, steps.lowest) == (len(DATA), 0)

    def test_starts_over_when_the_file_became_the_right_one(self, server: FaultServer, client: Client) -> None:
        url = server.put("/f", OTHER)
        client.interrupt(server, "/f", Cut(20_000))
        server.put("/f", DATA)
        assert client.get(url).read_bytes() == DATA
        assert len(server.requests) == 1  # If-Range told: the whole came at once

    @pytest.mark.parametrize("tag", [None, 'W/"1"'])
    def test_without_a_strong_entity_tag_the_digest_decides(
        self, server: FaultServer, client: Client, tag: str | None
    ) -> None:
        server.script("/f", Cut(20_000))
        assert client.get(server.put("/f", DATA, etag=tag)).read_bytes() == DATA
        assert [request.headers.get("range") for request in server.requests] == [None, "bytes=20000-"]
        assert "if-range" not in server.requests[1].headers

    def test_joined_to_bytes_of_another_file_starts_over_once(self, server: FaultServer, client: Client) -> None:
        """A server that ignores If-Range, or a disk that rotted: nobody's attack, so one fresh start is fair."""
        server.put("/f", OTHER, etag=None)
        client.interrupt(server, "/f", Cut(20_000))
        assert client.get(server.put("/f", DATA, etag=None)).read_bytes() == DATA
        assert [request.headers.get("range") for request in server.requests] == ["bytes=20000-", None]

    def test_goes_on_from_a_mirror_without_its_entity_tag(self, server: FaultServer, client: Client) -> None:
        server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))
        assert client.get(server.put("/mirror", DATA)).read_bytes() == DATA
        assert server.requests[0].headers["range"] == "bytes=20000-"
        assert "if-range" not in server.requests[0].headers

    def test_keeps_no_secret_of_the_address(self, server: FaultServer, client: Client) -> None:
        server.put("/f", DATA)
        server.script("/f", Cut(20_000))
        server.always("/f", Status(410))
        with pytest.raises(HttpStatusError):
            client.get(server.url("/f?X-Amz-Signature=hush"))
        part = client.cache.partial(DIGEST).path
        assert "hush" not in part.with_name(part.name + ".json").read_text()

    def test_in_ranges_goes_on_where_there_is_no_gap(self, server: FaultServer, client: Client) -> None:
        """What a killed run leaves: the end is there, the middle is not, and the size tells nothing."""
        url = server.put("/f", DATA)
        part = client.cache.partial(DIGEST)
        part.path.write_bytes(DATA[:8000] + bytes(10_000) + DATA[18_000:])
        client.transport.read(url, max_bytes=len(DATA))
        part.save(url=url, etag=None, contiguous=8000)
        server.requests.clear()
        assert client.get(url, plan=SPLIT).read_bytes() == DATA
        starts = sorted(int(request.headers["range"][6:].split("-")[0]) for request in server.requests)
        assert starts == list(range(8000, len(DATA), 4000))

    @pytest.mark.parametrize("later", [WHOLE, SPLIT])
    def test_of_ranges_that_failed_keeps_what_has_no_gap(
        self, server: FaultServer, client: Client, later: RangePlan
    ) -> None:
        url = server.put("/f", DATA)
        server.script("/f", *[None] * 5)
        server.always("/f", Status(410))
        steps = Steps()
        with pytest.raises(HttpStatusError):
            client.get(url, plan=SPLIT, progress=steps)
        state = client.cache.partial(DIGEST).load()
        assert state.length == client.cache.partial(DIGEST).path.stat().st_size == steps.done
        assert state.length % 4000 == 0
        server._always.clear()
        assert client.get(url, plan=later).read_bytes() == DATA

    def test_of_ranges_that_failed_keeps_nothing_after_a_gap(self, server: FaultServer, client: Client) -> None:
        """The first block stands still while six after it arrive; then the server goes away."""
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(8_000))
        gate = Gate()
        server.script("/f", gate, *[None] * 6)
        server.always("/f", Status(410))
        try:
            with pytest.raises(HttpStatusError):
                client.get(url, plan=SPLIT)
        finally:
            gate.opened.set()
        part = client.cache.partial(DIGEST)
        assert part.load().length == part.path.stat().st_size == 8_000
        server._always.clear()
        server.requests.clear()
        assert client.get(url).read_bytes() == DATA
        assert len(server.requests) == 1


class TestRangesThatBreak:
    @pytest.mark.parametrize(
        "fault",
        [Cut(100), Cut(0, reset=True), Status(503), Silence(), IgnoreRange(), Status(416), Etag('"2"'), Etag(None)],
    )
    def test_are_mended(self, server: FaultServer, client: Client, fault: Fault) -> None:
        steps = Steps()
        server.script("/f", None, None, fault, None, fault)
        assert client.get(server.put("/f", DATA), plan=SPLIT, progress=steps).read_bytes() == DATA
        assert steps.done == len(DATA)
        assert client.leftovers() == ["", ".lock", ".uses"]

    def test_by_a_server_that_has_another_file_of_that_size_are_not_joined(
        self, server: FaultServer, client: Client
    ) -> None:
        """Half of a cluster may still serve the file of yesterday, whatever If-Range says."""
        server.script("/f", None, None, IgnoreIfRange(OTHER, etag='"yesterday"'))
        assert client.get(server.put("/f", DATA), plan=SPLIT).read_bytes() == DATA
        assert all(request.headers.get("range") != "bytes=0-" for request in server.requests)

    def test_when_the_file_changes_half_way_it_comes_anew(self, server: FaultServer, client: Client) -> None:
        server.put("/f", DATA)
        server.script("/f", Replaced(OTHER), Replaced(OTHER))
        assert client.get(server.url("/f"), plan=SPLIT).read_bytes() == DATA


class TestAttacks:
    """Attacker: the server, or who holds the line of an http:// one, with all they can send.

    Refusal: VerificationError (exit code 4). Left behind: nothing, under no name.
    """

    def refused(self, client: Client, url: str, pin: Pin, plan: RangePlan = WHOLE) -> VerificationError:
        with pytest.raises(VerificationError) as caught:
            client.get(url, pin, plan)
        assert caught.value.exit_code == 4
        client.assert_refused()
        return caught.value

    def over_the_hosts_limit(self, client: Client, url: str, pin: Pin) -> HostLimitError:
        """No size is signed, so that there is too much is no sign of tampering; nothing of it is kept all the same."""
        with pytest.raises(HostLimitError) as caught:
            client.get(url, pin)
        assert caught.value.exit_code == 1
        client.assert_refused()
        return caught.value

    @pytest.mark.parametrize("pin", [PIN, OPEN_PIN])
    @pytest.mark.parametrize("plan", [WHOLE, SPLIT])
    @pytest.mark.parametrize("fault", [Swap(), Swap(49_999), Swap(0, 50_000), Replaced(OTHER)])
    def test_other_bytes_of_the_same_length(
        self, server: FaultServer, client: Client, fault: Fault, pin: Pin, plan: RangePlan
    ) -> None:
        server.always("/f", fault)
        error = self.refused(client, server.put("/f", DATA), pin, plan)
        assert DIGEST in str(error)
        assert client.time.slept == []
        assert len(server.requests) <= 13  # each byte was asked for once

    def test_other_bytes_after_a_resume_are_fetched_once_more_and_refused(
        self, server: FaultServer, client: Client
    ) -> None:
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))
        server.always("/f", Swap(30_000))
        self.refused(client, url, PIN)
        assert [request.headers.get("range") for request in server.requests] == ["bytes=20000-", None]

    def test_a_resume_into_another_file_that_claims_to_be_the_same(self, server: FaultServer, client: Client) -> None:
        server.script("/f", Cut(20_000))
        server.always("/f", IgnoreIfRange(OTHER))
        self.refused(client, server.put("/f", DATA), PIN)

    @pytest.mark.parametrize("plan", [WHOLE, SPLIT])
    @pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x"])
    def test_another_length_is_refused_before_the_body(
        self, server: FaultServer, client: Client, data: bytes, plan: RangePlan
    ) -> None:
        gate = Gate()
        server.always("/f", gate)
        try:
            self.refused(client, server.put("/f", data), PIN, plan)
        finally:
            gate.opened.set()
        assert len(server.requests) == 1

    def test_a_file_of_unknown_size_that_is_announced_too_long_is_refused_before_the_body(
        self, server: FaultServer, client: Client
    ) -> None:
        gate = Gate()
        server.always("/f", gate)
        try:
            self.over_the_hosts_limit(client, server.put("/f", bytes(100_001)), OPEN_PIN)
        finally:
            gate.opened.set()

    @pytest.mark.parametrize("plan", [WHOLE, SPLIT])
    def test_nothing_at_all(self, server: FaultServer, client: Client, plan: RangePlan) -> None:
        self.refused(client, server.put("/f", b""), PIN, plan)

    @pytest.mark.parametrize("pin", [PIN, OPEN_PIN])
    @pytest.mark.parametrize("fault", [Endless(), Endless(announce=1 << 40)])
    def test_endless_data(self, server: FaultServer, client: Client, pin: Pin, fault: Fault) -> None:
        server.always("/f", fault)
        refused = self.refused if pin is PIN else self.over_the_hosts_limit
        refused(client, server.url("/f"), pin)
        assert len(server.requests) == 1

    def test_endless_data_never_reaches_the_disk(
        self, server: FaultServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[int] = []
        monkeypatch.setattr("sealdex.download.download.write_all", lambda _, data: written.append(len(data)))
        server.always("/f", Endless())
        self.refused(client, server.url("/f"), PIN)
        assert sum(written) <= len(DATA)

    def test_more_than_the_registry_allows(self, server: FaultServer, client: Client) -> None:
        """Attacker: an author who publishes a file to fill disks, above the client's own limit."""
        url = server.put("/f", DATA)
        for pin in (Pin(DIGEST, len(DATA), max_bytes=1000), Pin(DIGEST, None, max_bytes=1000)):
            assert self.over_the_hosts_limit(client, url, pin).max_bytes == 1000
            assert len(server.requests) == (pin.size is None)

    def test_a_body_that_ends_properly_but_short_is_not_taken_for_the_whole(
        self, server: FaultServer, client: Client
    ) -> None:
        url = server.put("/f", DATA)
        server.always("/f", EndsShort(0))
        with pytest.raises(UnavailableError, match="it ended after 0 of 50000 bytes"):
            client.get(url, PIN)
        client.assert_refused()
        server.always("/f", EndsShort(20_000))
        self.refused(client, url, OPEN_PIN)
        assert client.get(url, PIN).read_bytes() == DATA
        assert server.requests[-1].headers["range"] == "bytes=40000-"

    def test_a_server_that_lets_nobody_finish_is_given_up(self, server: FaultServer, client: Client) -> None:
        server.always("/f", IgnoreRange())
        server.put("/f", DATA)
        script: list[Fault] = [Cut(20_000), Status(416)]
        server.script("/f", *script * 500)
        with pytest.raises(UnavailableError, match=r"\d+ attempts in 60 s"):
            client.get(server.url("/f"))

    def test_a_poisoned_cache_file_is_fetched_anew(self, server: FaultServer, client: Client) -> None:
        """Attacker: may write to the cache's folder; swaps a file that was verified long ago."""
        url = server.put("/f", DATA)
        client.get(url).write_bytes(OTHER)
        assert client.get(url).read_bytes() == DATA
        assert len(server.requests) == 2

    def test_a_poisoned_cache_file_is_not_used_without_the_network(self, server: FaultServer, client: Client) -> None:
        client.get(server.put("/f", DATA)).write_bytes(OTHER)
        server.always("/f", Status(410))
        with pytest.raises(HttpStatusError):
            client.get(server.url("/f"))
        client.assert_refused()

    def test_a_poisoned_part_file_is_not_continued_into_the_cache(self, server: FaultServer, client: Client) -> None:
        """Attacker: may write to the cache's folder; prepends bytes of their own to a download that was cut."""
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))
        client.cache.partial(DIGEST).path.write_bytes(OTHER[:20_000])
        assert client.get(url).read_bytes() == DATA

    def test_a_header_smuggled_through_the_sidecar(self, server: FaultServer, client: Client) -> None:
        """Attacker: may write to the cache's folder; an entity tag with a line break would add headers."""
        url = server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))
        client.cache.partial(DIGEST).save(url=url, etag='"a"\r\nX-Evil: 1', contiguous=None)
        assert client.get(url).read_bytes() == DATA
        assert all("x-evil" not in request.headers for request in server.requests)

    def test_a_digest_that_is_a_path(self, server: FaultServer, client: Client) -> None:
        """Attacker: whoever writes the digest; the file would land outside the cache."""
        with pytest.raises(VerificationError):
            client.get(server.put("/f", DATA), Pin("../../../" + "a" * 55, len(DATA)))
        assert not client.cache.root.exists()
        assert server.requests == []


class TestDisk:
    def test_too_small_is_told_before_anything_is_asked(
        self, server: FaultServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Usage(NamedTuple):
            free: int

        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(len(DATA) - 1))
        with pytest.raises(InstallError, match="needs 50000 more bytes"):
            client.get(server.put("/f", DATA))
        assert server.requests == []
        client.assert_refused()

    @pytest.mark.parametrize("plan", [WHOLE, SPLIT])
    def test_that_fills_up_half_way_keeps_no_half_file(
        self, server: FaultServer, client: Client, monkeypatch: pytest.MonkeyPatch, plan: RangePlan
    ) -> None:
        server.put("/f", DATA)
        client.interrupt(server, "/f", Cut(20_000))

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("sealdex.download._ranges.write_all", full)
        monkeypatch.setattr("sealdex.download.download.write_all", full)
        with pytest.raises(InstallError, match="is full") as caught:
            client.get(server.url("/f"), plan=plan)
        assert caught.value.hint is not None
        client.assert_refused()
        monkeypatch.undo()
        assert client.get(server.url("/f"), plan=plan).read_bytes() == DATA

    def test_that_can_t_be_written_is_told(self, server: FaultServer, client: Client) -> None:
        client.cache.root.write_text("a file in the folder's place")
        with pytest.raises(InstallError, match="can't be used"):
            client.get(server.put("/f", DATA))


PROGRAM = """
import sys
from pathlib import Path
from sealdex.download.download import HostLimitError, Pin, download
from sealdex.download._ranges import RangePlan
from sealdex.store.cache import ContentCache
from sealdex.transport import Transport

url, root, digest, size, split = sys.argv[1:]
plan = RangePlan(10_000, 4_000, 4) if split == "split" else None
path = download(
    Transport(), url, Pin(digest, int(size)), ContentCache(Path(root)), plan=plan,
    on_wait=lambda: print("waiting", flush=True),
)
print(path, flush=True)
"""


def run(url: str, cache: ContentCache, split: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, url, str(cache.root), DIGEST, str(len(DATA)), split]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class TestProcesses:
    def test_two_that_want_the_same_transfer_it_once(self, server: FaultServer, client: Client) -> None:
        gate = Gate(after=10_000)
        server.script("/f", gate)
        first = run(server.put("/f", DATA), client.cache)
        try:
            assert gate.reached.wait(60)
            second = run(server.url("/f"), client.cache)
            assert second.stdout is not None
            assert second.stdout.readline() == "waiting\n"
        finally:
            gate.opened.set()
        expected = str(client.cache.path(DIGEST))
        assert first.communicate()[0].split() == [expected]
        assert second.communicate()[0].split() == [expected]
        assert (first.returncode, second.returncode) == (0, 0)
        assert len(server.requests) == 1
        assert client.cache.path(DIGEST).read_bytes() == DATA

    @pytest.mark.parametrize("split", ["", "split"])
    def test_one_that_is_killed_leaves_what_the_next_can_go_on_with(
        self, server: FaultServer, client: Client, split: str
    ) -> None:
        gates = [Gate(after=1000) for _ in range(4)]
        server.script("/f", *([None, None] if split else []), *gates)
        victim = run(server.put("/f", DATA), client.cache, split)
        try:
            assert gates[0].reached.wait(60)
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
        finally:
            for gate in gates:
                gate.opened.set()
        assert "" not in client.leftovers()
        server._queues.clear()
        survivor = run(server.url("/f"), client.cache, split)
        assert survivor.communicate()[0].split() == [str(client.cache.path(DIGEST))]
        assert client.cache.path(DIGEST).read_bytes() == DATA
        assert client.leftovers() == ["", ".lock", ".uses"]


SMALL = random.Random(2).randbytes(3000)  # noqa: S311  # the same bytes in each run
SMALL_DIGEST = hashlib.sha256(SMALL).hexdigest()
positions = st.integers(0, len(SMALL))
faults = st.one_of(
    st.none(),
    st.builds(Cut, positions, st.booleans()),
    st.builds(EndsShort, positions),
    st.builds(Swap, st.integers(0, len(SMALL) - 1), st.integers(1, 50)),
    st.builds(Replaced, st.just(SMALL[::-1])),
    st.builds(Replaced, st.binary(max_size=20)),
    st.builds(IgnoreIfRange, st.just(SMALL[::-1])),
    st.builds(IgnoreRange),
    st.builds(OtherRange, st.integers(-1, 1)),
    st.builds(Etag, st.sampled_from([None, 'W/"w"', '"s"'])),
    st.builds(Status, st.sampled_from([404, 416, 429, 500, 503, 204, 304])),
    st.builds(Status, st.just(206), st.just({"Content-Range": "bytes 0-9/3000"}), st.just(SMALL)),
    st.builds(Silence),
    st.builds(Endless),
    st.builds(Gzip),
    st.builds(Redirect, st.sampled_from(["/f", "/none"])),
)


class TestAnyInterruption:
    @settings(max_examples=examples(150, slow=True))
    @given(
        runs=st.lists(st.lists(faults, max_size=8), min_size=1, max_size=3),
        size_known=st.booleans(),
        split=st.booleans(),
    )
    def test_ends_with_the_right_bytes_or_an_error_and_never_with_wrong_ones(
        self, runs: list[list[Fault | None]], size_known: bool, split: bool
    ) -> None:
        pin = Pin(SMALL_DIGEST, len(SMALL) if size_known else None, 5000)
        plan = RangePlan(1000, 700, 3) if split else WHOLE
        with FaultServer() as server, tempfile.TemporaryDirectory() as folder:
            url = server.put("/f", SMALL)
            cache = ContentCache(Path(folder))
            for script in [*runs, []]:
                server._queues.clear()
                server.script("/f", *script)
                with Transport(chance=FakeTime().chance) as transport:
                    try:
                        path = download(transport, url, pin, cache, plan=plan)
                    except SealdexError:
                        assert cache.find(SMALL_DIGEST) is None
                    else:
                        assert path.read_bytes() == SMALL
            # The last run met no fault: whatever the others left behind must not be in its way.
            assert cache.verify(SMALL_DIGEST)


class TestContentEncoding:
    """A CDN that compresses although it isn't asked to is a matter of its settings, and not tampering."""

    @pytest.mark.parametrize("pin", [PIN, OPEN_PIN])
    def test_compressed_bytes_are_told_by_the_name_of_their_encoding(
        self, server: FaultServer, client: Client, pin: Pin
    ) -> None:
        server.put("/f", DATA)
        server.always("/f", Gzip())
        with pytest.raises(EncodingError, match="Content-Encoding: gzip") as caught:
            client.get(server.url("/f"), pin)
        assert caught.value.exit_code == 5
        assert not isinstance(caught.value, VerificationError)
        assert len(server.requests) == 1
        client.assert_refused()

    def test_so_are_they_where_the_length_is_not_announced(self, server: FaultServer, client: Client) -> None:
        body = gzip.compress(DATA[:1000])
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        server.always("/f", Status(200, {"Content-Encoding": "br", "Transfer-Encoding": "chunked"}, chunked))
        with pytest.raises(EncodingError, match="Content-Encoding: br"):
            client.get(server.url("/f"))
        assert len(server.requests) == 1
        client.assert_refused()

    def test_a_field_that_is_wrong_changes_nothing(self, server: FaultServer, client: Client) -> None:
        """Web servers that say gzip of each file called .tgz, buckets whose files were stored with that header."""
        for field in ("gzip", "aws-chunked"):
            server.script("/f", Status(200, {"Content-Encoding": field}, DATA))
            assert client.get(server.url("/f")).read_bytes() == DATA
            client.cache.discard(DIGEST)

    def test_other_bytes_without_a_field_are_tampering_as_ever(self, server: FaultServer, client: Client) -> None:
        server.always("/f", Status(200, {"Content-Encoding": "identity"}, OTHER))
        with pytest.raises(VerificationError):
            client.get(server.url("/f"))
