"""Fetches all that a mirror lacks: with several processes where there are many files, else with threads alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from sealdex.download.mirror._forked import processes, share_out
from sealdex.download.mirror._workers import each_of
from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.transfer import Fetcher, Place, Tally
from sealdex.model.decode import decode_as, encode_json
from sealdex.transport import Transport

_MANY = 500
"""Files from which on several processes fetch them: forking takes less than a tenth of the time of so many."""


def fetch_all(
    missing: Path,
    files: int,
    fetcher: Fetcher,
    transport: Transport,
    place: Place,
    threads: int,
    moved: Callable[[int], None],
) -> list[tuple[str, str]]:
    """Fetch the files of a list, and return key and reason of those that couldn't be had.

    Args:
        missing: one file a line; it may be written again.
        files: how many there are.
        fetcher: brings each.
        transport: what it makes its requests with.
        place: where they go.
        threads: at a time, in all processes together.
        moved: told of bytes that came.

    Raises:
        SealdexError: as `Fetcher.fetch`, but for what can't be had.
    """
    failed = _shared_out(missing, fetcher, transport, place, threads, moved) if files >= _MANY else None
    return each_of(_lines(missing), fetcher.fetch, threads) if failed is None else failed


def _shared_out(
    missing: Path, fetcher: Fetcher, transport: Transport, place: Place, threads: int, moved: Callable[[int], None]
) -> list[tuple[str, str]] | None:
    """Fetch with several processes; None where that isn't to be had, or something has to be told from here."""
    count = processes()
    if count < 2 or place.is_remote or transport.settings.max_bytes_per_second:
        return None
    failed: list[tuple[str, str]] = []

    def work(lines: Iterator[bytes], answer: Callable[[bytes], None]) -> None:
        transport.forked()
        tally = Tally(lambda size: answer(b"%d" % size))
        fetcher.tell(tally.add)
        files = (decode_as(line, MirrorFile) for line in lines)
        for key, why in each_of(fetcher.small_ones(files), fetcher.fetch, max(1, threads // count)):
            answer(json.dumps([key, why[:1000]]).encode())
        tally.send()

    def heard(answer: bytes) -> None:
        said = json.loads(answer)
        if isinstance(said, int):
            moved(said)
        else:
            failed.append((said[0], said[1]))

    with missing.open("rb") as lines:
        if share_out((line.rstrip(b"\n") for line in lines), work, count, heard):
            return failed
    there = missing.with_name("left.jsonl")  # what was fetched has its name, and only then
    with there.open("wb") as left:
        left.writelines(encode_json(f) + b"\n" for f in _lines(missing) if not place.has(f, hashed=True))
    there.replace(missing)
    return None


def _lines(path: Path) -> Iterator[MirrorFile]:
    with path.open("rb") as lines:
        for line in lines:
            yield decode_as(line, MirrorFile)


__all__ = ["fetch_all"]
