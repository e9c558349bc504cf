"""The content-addressed cache: names, part files, locks, and what it refuses to hand out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from sealdex.errors import VerificationError
from sealdex.store.cache import ContentCache
from sealdex.store.cache_entry import PartState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = b"plugin" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_found_under_its_digest(cache: ContentCache, source: Path) -> None:
    assert cache.find(DIGEST) is None
    assert cache.verified(DIGEST) is None
    path = cache.add_file(source, DIGEST)
    assert path == cache.root / "sha256" / DIGEST[:2] / DIGEST
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o644
    assert cache.find(DIGEST, len(DATA)) == cache.verified(DIGEST, len(DATA)) == path
    assert cache.find(DIGEST, len(DATA) + 1) is None
    assert names_in(path.parent) == [DIGEST, f"{DIGEST}.lock", f"{DIGEST}.uses"]


def test_making_one_and_looking_into_it_touches_nothing(cache: ContentCache) -> None:
    assert not cache.verify(DIGEST)
    assert cache.find(DIGEST) is None
    assert not cache.root.exists()


def test_use_is_noted_for_the_clean_up(cache: ContentCache, source: Path) -> None:
    path = cache.add_file(source, DIGEST)
    os.utime(path, (1, 1))
    cache.find(DIGEST)
    assert path.stat().st_mtime == 1
    cache.verified(DIGEST)
    assert path.stat().st_mtime > 1


@pytest.mark.parametrize(
    "digest",
    ["", "../" * 20 + "etc/passwd", "/etc/passwd", DIGEST.upper(), DIGEST[:-1], DIGEST + "0", DIGEST + "\n", "٣" * 64],
)
def test_a_digest_that_is_none_never_becomes_a_path(cache: ContentCache, source: Path, digest: str) -> None:
    """Attacker: whoever writes a digest into a document; they would read or write files outside the cache.

    Refusal: before any file is touched.
    """
    for use in (cache.path, cache.find, cache.verify, cache.verified, cache.partial, cache.discard):
        with pytest.raises(VerificationError, match="not a valid SHA-256 digest"):
            use(digest)
    with pytest.raises(VerificationError, match="not a valid SHA-256 digest"):
        cache.add_file(source, digest)
    assert not cache.root.exists()


class TestPoison:
    """Attacker: may write to the cache's folder. Change: what stands under a digest. Refusal: it isn't handed out."""

    def test_other_bytes_of_the_same_size(self, cache: ContentCache, source: Path) -> None:
        path = cache.add_file(source, DIGEST)
        path.write_bytes(DATA[::-1])
        assert cache.find(DIGEST, len(DATA)) == path
        assert not cache.verify(DIGEST)
        assert cache.verified(DIGEST, len(DATA)) is None

    def test_a_link_to_bytes_that_can_change_later(self, cache: ContentCache, source: Path) -> None:
        path = cache.path(DIGEST)
        path.parent.mkdir(parents=True)
        path.symlink_to(source)
        assert cache.find(DIGEST) is None
        assert not cache.verify(DIGEST)

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_no_file_at_all(self, cache: ContentCache, make: Callable[[Path], None]) -> None:
        path = cache.path(DIGEST)
        path.parent.mkdir(parents=True)
        make(path)
        assert cache.verified(DIGEST) is None
        assert not cache.verify(DIGEST)

    def test_a_part_file_that_links_elsewhere_is_not_written_through(self, cache: ContentCache, source: Path) -> None:
        part = cache.partial(DIGEST)
        part.path.symlink_to(source)
        with pytest.raises(OSError, match="symbolic link"):
            part.open()
        assert source.read_bytes() == DATA

    def test_a_file_that_is_added_under_a_wrong_digest(self, cache: ContentCache, source: Path) -> None:
        other = hashlib.sha256(b"other").hexdigest()
        with pytest.raises(VerificationError, match=DIGEST):
            cache.add_file(source, other)
        assert names_in(cache.path(other).parent) == [f"{other}.lock"]


class TestPartial:
    def test_remembers_its_origin(self, cache: ContentCache) -> None:
        part = cache.partial(DIGEST)
        assert part.load() == PartState()
        part.path.write_bytes(b"12345")
        part.save(url="https://h/f", etag='"e"', contiguous=None)
        assert part.load() == PartState(5, "https://h/f", '"e"')
        part.save(url="https://h/f", etag=None, contiguous=3)
        assert part.load() == PartState(3, "https://h/f", None)
        part.discard()
        assert names_in(part.path.parent) == []

    @pytest.mark.parametrize(
        "facts",
        [
            None,
            "{",
            "[]",
            "{}",
            {"url": 1, "etag": None, "contiguous": None},
            {"url": "u", "etag": 1, "contiguous": None},
            {"url": "u", "etag": None, "contiguous": 6},
            {"url": "u", "etag": None, "contiguous": -1},
            {"url": "u", "etag": None, "contiguous": "3"},
            {"url": "u", "etag": None, "contiguous": 1.5},
        ],
    )
    def test_with_a_sidecar_that_makes_no_sense_is_not_resumed(self, cache: ContentCache, facts: object) -> None:
        part = cache.partial(DIGEST)
        part.path.write_bytes(b"12345")
        if facts is not None:
            text = facts if isinstance(facts, str) else json.dumps(facts)
            part.path.with_name(part.path.name + ".json").write_text(text)
        assert part.load() == PartState()


class TestLock:
    def test_keeps_threads_apart_and_tells_who_waits(self, cache: ContentCache) -> None:
        waiting = threading.Event()
        order: list[str] = []

        def second() -> None:
            with cache.lock(DIGEST, on_wait=waiting.set):
                order.append("second")

        thread = threading.Thread(target=second)
        with cache.lock(DIGEST):
            thread.start()
            assert waiting.wait(60)
            order.append("first")
        thread.join(60)
        assert order == ["first", "second"]

    def test_of_a_process_that_was_killed_is_free(self, cache: ContentCache) -> None:
        code = (
            "import sys; from pathlib import Path; from sealdex.store.cache import ContentCache\n"
            "with ContentCache(Path(sys.argv[1])).lock(sys.argv[2]): print('held', flush=True); sys.stdin.read()"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", code, str(cache.root), DIGEST],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
        finally:
            holder.kill()
            holder.communicate()
        with cache.lock(DIGEST, on_wait=lambda: pytest.fail("the dead hold no lock")):
            pass

    def test_of_another_digest_is_no_matter(self, cache: ContentCache) -> None:
        other = DIGEST[:2] + "0" * 62
        with cache.lock(DIGEST), cache.lock(other, on_wait=lambda: pytest.fail("waited")):
            pass
