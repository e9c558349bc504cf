"""Making room in the cache: who goes first, what stays since it is in use, what killed downloads left, damage."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sealdex.cli.main import main
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import STALE_PART_S, cached_files, is_over, tidy, verify_files
from sealdex.store.cache_policy import CachedFile, CacheLimits, choose_evictions

NOW = 1_000_000_000.0
DAY = 86400.0


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "store/cache")


def add(cache: ContentCache, data: bytes, used: float | None = None) -> str:
    digest = hashlib.sha256(data).hexdigest()
    source = cache.root.parent / "source"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(data)
    path = cache.add_file(source, digest)
    if used is not None:
        os.utime(path, (used, used))
    return digest


def names(cache: ContentCache) -> set[str]:
    return {path.name for path in cache.root.rglob("*") if path.is_file()}


FILES = [
    CachedFile("a" * 64, 10, added=NOW - 9 * DAY, used=NOW - 1, uses=1),
    CachedFile("b" * 64, 10, added=NOW - 2 * DAY, used=NOW - 5 * DAY, uses=9),
    CachedFile("c" * 64, 10, added=NOW - 5 * DAY, used=NOW - 2, uses=3),
]


@pytest.mark.parametrize(("eviction", "order"), [("lru", "bca"), ("lfu", "acb"), ("fifo", "acb")])
def test_each_policy_has_its_order(eviction: str, order: str) -> None:
    for room, gone in ((30, 0), (29, 1), (10, 2), (0, 3)):
        found = choose_evictions(FILES, CacheLimits(room, eviction=eviction), NOW)
        assert [e.file.digest[0] for e in found] == list(order[:gone])
        assert {e.why for e in found} <= {"over-size"}


def test_lfu_and_fifo_differ_where_uses_and_age_do() -> None:
    files = [*FILES, CachedFile("d" * 64, 10, added=NOW - 1, used=NOW, uses=0)]
    assert choose_evictions(files, CacheLimits(30, eviction="lfu"), NOW)[0].file.digest[0] == "d"
    assert choose_evictions(files, CacheLimits(30, eviction="fifo"), NOW)[0].file.digest[0] == "a"


@pytest.mark.parametrize("eviction", ["lru", "lfu", "fifo"])
def test_what_was_just_used_goes_last_and_what_is_spared_stays(eviction: str) -> None:
    fresh = CachedFile("d" * 64, 10, added=NOW - 9 * DAY, used=NOW - 8 * DAY, uses=0)  # first to go by every policy
    limits = CacheLimits(10, max_age_s=30 * DAY, eviction=eviction)
    recent = choose_evictions([*FILES, fresh], limits, NOW, recent={fresh.digest})
    assert {e.file.digest[0] for e in recent} == {"a", "b", "c"}
    tight = CacheLimits(0, max_age_s=DAY, eviction=eviction)
    spared = choose_evictions([*FILES, fresh], tight, NOW, spared={fresh.digest})
    assert {e.file.digest[0] for e in spared} == {"a", "b", "c"}
    assert len(choose_evictions([*FILES, fresh], tight, NOW)) == 4


def test_age_counts_from_the_last_use_and_makes_room_first() -> None:
    found = choose_evictions(FILES, CacheLimits(20, max_age_s=3 * DAY), NOW)
    assert [(e.file.digest[0], e.why) for e in found] == [("b", "too-old")]


def test_uses_are_counted_by_every_process(cache: ContentCache) -> None:
    digest = add(cache, b"x" * 100)
    script = (
        "import sys; from pathlib import Path; from sealdex.store.cache import ContentCache\n"
        "for _ in range(50): ContentCache(Path(sys.argv[1])).verified(sys.argv[2])"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(cache.root), digest]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert cached_files(cache)[0].uses == 200


def test_room_is_made_and_nothing_is_left_beside(cache: ContentCache) -> None:
    old, new = add(cache, b"old" * 100, used=NOW - 2), add(cache, b"new" * 100, used=NOW - 1)
    limits = CacheLimits(300)
    assert is_over(cache, limits)
    rehearsed = tidy(cache, limits, now=NOW, is_dry_run=True)
    assert cache.find(old) is not None
    done = tidy(cache, limits, now=NOW)
    assert done.removed == rehearsed.removed
    assert [(each.name, each.why) for each in done.removed] == [(old, "over-size")]
    assert (done.kept, done.kept_bytes) == (1, 300)
    assert {name.partition(".")[0] for name in names(cache)} == {new}
    assert not is_over(cache, limits)


@pytest.mark.parametrize("is_new", [False, True])
def test_what_is_held_stays(cache: ContentCache, tmp_path: Path, *, is_new: bool) -> None:
    """Another process (here: another object) unpacks from what it found, or put there, a moment ago."""
    installer = ContentCache(cache.root)
    digest = hashlib.sha256(b"x" * 100).hexdigest()
    if not is_new:
        add(cache, b"x" * 100)
    with installer.holding():
        if is_new:
            add(installer, b"x" * 100)
        path = installer.verified(digest)
        done = tidy(cache, CacheLimits(0))
        assert (done.in_use, done.removed) == ((digest,), ())
        assert path is not None
        assert path.read_bytes() == b"x" * 100
    assert tidy(cache, CacheLimits(0)).freed_bytes == 100
    with installer.holding():
        assert installer.verified(digest) is None


def test_more_than_a_process_can_hold_one_by_one_is_held_too(
    cache: ContentCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set of hundreds of plugins; a process may have 1024 files open."""
    monkeypatch.setattr("sealdex.store.cache._MOST_HELD", 2)
    digests = [add(cache, b"%d" % number) for number in range(5)]
    installer = ContentCache(cache.root)
    with installer.holding():
        for digest in digests[:4]:
            assert installer.verified(digest) is not None
        late = add(installer, b"late")
        assert len(installer._held) == 2
        done = tidy(cache, CacheLimits(0))
        assert done.removed == ()
        assert set(done.in_use) == {*digests, late}
    assert len(tidy(cache, CacheLimits(0)).removed) == 6
    assert names(cache) == set()


@pytest.mark.skipif(os.name == "nt", reason="Windows holds what is open")
def test_who_makes_room_at_once_is_waited_for_and_no_holder(cache: ContentCache) -> None:
    digests = [add(cache, b"one"), add(cache, b"two")]
    done = []
    with cache._while_nobody_holds_all() as is_free:
        assert is_free
        other = threading.Thread(target=lambda: done.append(tidy(ContentCache(cache.root), CacheLimits(0))))
        other.start()
        other.join(0.2)  # by then it has tried, or will find nobody
    other.join()
    assert [tidied.in_use for tidied in done] == [()]
    assert not any(cache.find(digest) for digest in digests)


def test_what_is_on_its_way_stays_however_old(cache: ContentCache) -> None:
    digest = "0" * 64
    with cache.lock(digest):
        part = cache.partial(digest)
        part.path.write_bytes(b"x" * 10)
        os.utime(part.path, (NOW, NOW))
        assert tidy(cache, CacheLimits(0), now=NOW + 2 * STALE_PART_S).removed == ()
        assert part.path.exists()
    assert tidy(cache, CacheLimits(0), now=NOW + STALE_PART_S - 1).removed == ()
    done = tidy(cache, CacheLimits(0), now=NOW + 2 * STALE_PART_S)
    assert [each.why for each in done.removed] == ["stale-part", "leftover"]
    assert names(cache) == set()


def test_who_waits_for_a_lock_that_is_removed_still_excludes_others(cache: ContentCache) -> None:
    """Threads fetch and evict one digest; two of them are never inside its lock at once."""
    digest = add(cache, b"x")
    inside, most = 0, 0
    gate = threading.Lock()

    def enter() -> None:
        nonlocal inside, most
        for _ in range(60):
            with cache.lock(digest):
                with gate:
                    inside += 1
                    most = max(most, inside)
                with gate:
                    inside -= 1
            cache.evict(digest)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_damage_is_found_and_goes(cache: ContentCache) -> None:
    good, bad = add(cache, b"good"), add(cache, b"bad!")
    cache.path(bad).write_bytes(b"evil")
    assert {file.digest: whole for file, whole in verify_files(cache)} == {good: True, bad: False}
    assert cache.find(bad) is None


def run(*args: str) -> int:
    return main(list(args))


def test_the_commands(cache: ContentCache, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[cache]\nmax_bytes = 7\neviction = "fifo"\n')
    base = ["--config", str(config), "--store", str(tmp_path / "store")]
    first, second = add(cache, b"first"), add(cache, b"later")
    cache.path(first).with_name(f"{first}.uses").write_text("1 ")

    assert run("cache", "list", "--json", *base) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {f["sha256"] for f in shown["files"]} == {first, second}
    assert (shown["bytes"], shown["max_bytes"]) == (10, 7)

    assert run("cache", "gc", "--dry-run", "--json", *base) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == [{"name": first, "size": 5, "why": "over-size"}]
    assert cache.find(first) is not None
    assert run("cache", "gc", *base) == 0
    assert "over the size limit" in capsys.readouterr().out
    assert cache.find(first) is None

    assert run("cache", "verify", *base) == 0
    cache.path(second).write_bytes(b"evil!")
    capsys.readouterr()
    assert run("cache", "verify", "--json", *base) == 4
    assert json.loads(capsys.readouterr().out)["error"]["details"]["removed"][0]["name"] == second
    assert cache.find(second) is None


def test_a_wrong_limit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[cache]\neviction = "random"\n')
    assert run("cache", "list", "--config", str(config), "--store", str(tmp_path / "store")) == 1
    assert "one of 'lru', 'lfu' and 'fifo'" in capsys.readouterr().err
