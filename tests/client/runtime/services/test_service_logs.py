"""Logs of services: bounded, followed without a gap, and never in the way of the service."""

from __future__ import annotations

import threading
from pathlib import Path

from support.plugin_store import PluginStore

from sealdex.model.ids import PluginId
from sealdex.runtime.services._log import LogFile, follow
from sealdex.runtime.services.state import ServiceFolder

ECHO = PluginId("speech", "echo")


def test_the_log_keeps_two_parts_and_reads_over_both(plugins: PluginStore) -> None:
    folder = ServiceFolder(plugins.store, ECHO)
    folder.path.mkdir(parents=True)
    log = LogFile(folder.log_path, max_bytes=200)
    for number in range(20):
        log.write(f"line {number}")
    log.close()
    assert sorted(p.name for p in folder.path.glob("log*")) == ["log", "log.1"]
    assert folder.log_path.stat().st_size <= 300
    assert [line.split(" ", 1)[1] for line in folder.last_lines(3)] == ["line 17", "line 18", "line 19"]
    assert folder.last_lines(0) == []


def test_following_a_log_ends_with_the_service(plugins: PluginStore) -> None:
    folder = ServiceFolder(plugins.store, ECHO)
    lock = folder.acquire()
    assert lock is not None
    log = LogFile(folder.log_path)
    log.write("before")
    following = folder.follow(poll_s=0.01)
    seen: list[str] = []
    first = threading.Event()

    def read() -> None:
        for line in following:
            seen.append(line.split(" ", 1)[1])
            first.set()

    thread = threading.Thread(target=read)
    thread.start()
    while not first.is_set():  # it follows from where it starts, which is some time after its thread does
        log.write("after")
        first.wait(0.02)
    log.write("last")
    log.close()
    lock.release()
    thread.join(60)
    assert seen[-1] == "last"
    assert "before" not in seen


def test_following_misses_nothing_between_the_last_lines_and_the_next_nor_when_the_log_is_turned(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    log = LogFile(path, max_bytes=2_000)
    for number in range(100):
        log.write(f"line {number}")
    is_over = threading.Event()
    reader = follow(path, 5, is_over.is_set, poll_s=0.001)
    seen = [int(next(reader).rsplit(" ", 1)[1]) for _ in range(5)]
    for number in range(100, 150):  # unread yet; less than a part, so that the older one still has them
        log.write(f"line {number}")
    is_over.set()
    seen += [int(line.rsplit(" ", 1)[1]) for line in reader]
    log.close()
    assert seen == list(range(95, 150))


def test_a_log_that_cannot_be_written_holds_nobody_up_and_says_what_was_lost(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    real, full = log._file, open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123  # a full disk in a device
    log.write("one")
    log._file = full
    log.write("two")
    log.write("three")
    log._file = real
    log.write("four")
    log.close()
    full.close()
    lines = [line.split(" ", 1)[1] for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == ["one", "sealdex: 2 lines could not be written", "four"]
