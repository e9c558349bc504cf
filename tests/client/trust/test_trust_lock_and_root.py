from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.trust_scene import OTHER, SLACK, Scene, scene_in
from support.tuf_repository import document, signed_bytes

from sealdex.errors import UnavailableError, UsageError, VerificationError
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, check_root, fetch_root_by_fingerprint, fingerprint
from sealdex.trust._lock_holder import holder_of as holder_note

TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


# --- the lock --------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder_of(scene: Scene) -> subprocess.Popen[str]:
    scene.folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(scene.folder / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("how_it_ends", ["releases", "is killed"])
def test_a_run_waits_for_another_process_and_says_so(scene: Scene, how_it_ends: str) -> None:
    holder = holder_of(scene)
    waiting = threading.Event()
    said: list[str] = []

    def on_wait(message: str) -> None:
        said.append(message)
        assert scene.server.requests == []  # nothing is read or asked before the lock is ours
        waiting.set()

    registry = TrustedRegistry(
        "public", scene.server.url, scene.repository.pinned_root, scene.folder, Transport(), on_wait=on_wait
    )
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(registry.index(SLACK)))
    try:
        thread.start()
        assert waiting.wait(60)
        if how_it_ends == "is killed":
            holder.kill()
        holder.communicate("\n")
        thread.join(60)
    finally:
        holder.kill()
        holder.wait()
    assert found == [document(SLACK, "1.0.0")]
    assert len(said) == 1
    assert "another process" in said[0]
    assert scene.server.url in said[0]


def test_who_waits_is_told_which_process_holds_the_lock(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealdex.trust.registry.LOCK_PATIENCE_S", 0.01)
    scene.registry().refresh()  # it leaves its name
    holder = holder_of(scene)
    said: list[str] = []
    try:
        registry = TrustedRegistry(
            "public", scene.server.url, scene.repository.pinned_root, scene.folder, Transport(), on_wait=said.append
        )
        with pytest.raises(UnavailableError, match=rf"pid {os.getpid()}, since \d+ s\) has held"):
            registry.refresh()
    finally:
        holder.communicate("\n")
    assert f"pid {os.getpid()}" in said[0]
    for odd in (b"\xff\x00", b"1 \x1b[31mred", b"x y", b""):
        (scene.folder / "holder").write_bytes(odd)
        assert "\x1b" not in holder_note(scene.folder)
        assert "another process" in holder_note(scene.folder)


def test_a_lock_held_for_ever_ends_in_words(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealdex.trust.registry.LOCK_PATIENCE_S", 0)
    holder = holder_of(scene)
    try:
        with pytest.raises(UnavailableError, match="another process has held the trust folder"):
            scene.registry().refresh()
    finally:
        holder.communicate("\n")


def test_threads_may_share_a_registry(scene: Scene) -> None:
    registry = scene.registry()
    found: list[object] = []
    asked = [SLACK, OTHER] * 4
    threads = [threading.Thread(target=lambda p=p: found.append(registry.index(p))) for p in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([f for f in found if f is not None]) == len(asked)
    assert scene.server.requests.count(TIMESTAMP) == 1


# --- choosing a root -------------------------------------------------------------------------------------------------


def test_a_root_is_found_by_its_fingerprint_however_it_is_written(scene: Scene) -> None:
    repository = scene.repository
    repository.rotate_root()
    second = repository.files["metadata/2.root.json"]
    digest = fingerprint(second)
    pairs = ":".join(digest[i : i + 2] for i in range(0, 64, 2))
    for text in (digest, f"sha256:{digest.upper()}", f" {pairs} "):
        assert fetch_root_by_fingerprint(scene.server.url, text, Transport()) == second
    assert check_root(second) == 2


def test_a_fingerprint_that_is_none_is_refused_before_anything_is_asked(scene: Scene) -> None:
    with pytest.raises(UsageError, match="is not a valid SHA-256 fingerprint"):
        fetch_root_by_fingerprint(scene.server.url, "abc", Transport())
    assert scene.server.requests == []


def test_an_address_without_roots_is_unavailable(scene: Scene) -> None:
    with pytest.raises(UnavailableError):
        fetch_root_by_fingerprint(scene.server.url + "/elsewhere", "0" * 64, Transport())


def test_check_root_refuses_what_is_no_root_or_not_signed_by_itself(scene: Scene) -> None:
    repository = scene.repository
    half_signed = signed_bytes(repository.root, repository.keys["root"][:1])
    for data in (b"<html>", b"", repository.files[TIMESTAMP], repository.pinned_root[:-20], half_signed):
        with pytest.raises(VerificationError, match="not root metadata"):
            check_root(data)
