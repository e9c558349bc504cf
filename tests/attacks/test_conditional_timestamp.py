"""The timestamp by conditional GET: 304 where nothing changed; and whoever answers 304 where that isn't true.

The power in each attack is that of who answers in a registry's place, or keeps a cache before it: no key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.refusals import refused, release
from support.trust_scene import Scene, hasty_transport, scene_in

from sealdex.errors import UnavailableError, VerificationError
from sealdex.trust import TrustedRegistry
from sealdex.trust._validators import NAME

TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


def validators(scene: Scene) -> Path:
    return scene.folder / "metadata" / NAME


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_what_has_not_changed_is_not_sent_again(scene: Scene, header: str) -> None:
    scene.server.validators = header
    assert scene.newest() == "1.0.0"
    assert scene.server.unmodified == []
    before = scene.kept()
    assert scene.newest() == "1.0.0"
    assert scene.server.unmodified == [TIMESTAMP]
    assert scene.kept() == before
    release(scene)
    if header == "ETag":
        assert scene.newest() == "2.0.0"
        assert scene.newest() == "2.0.0"
        assert scene.server.unmodified == [TIMESTAMP, TIMESTAMP]


def test_a_server_that_says_nothing_is_asked_as_before(scene: Scene) -> None:
    scene.newest()
    assert not validators(scene).exists()
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 5}', "null"])
def test_a_file_that_is_damaged_costs_a_whole_answer_and_no_more(scene: Scene, text: str) -> None:
    scene.server.validators = "ETag"
    scene.newest()
    validators(scene).write_text(text)
    assert scene.newest() == "1.0.0"
    assert scene.server.unmodified == []
    assert scene.newest() == "1.0.0"
    assert scene.server.unmodified == [TIMESTAMP]


def test_attack_a_lying_304_keeps_no_host_beyond_expiry(scene: Scene) -> None:
    """Says for ever that nothing changed. The cached timestamp is judged at each refresh."""
    scene.server.validators = "ETag"
    scene.newest()
    before = scene.kept()
    later = scene.repository.timestamp.expires + timedelta(seconds=1)

    def at(now: datetime) -> TrustedRegistry:
        root = scene.repository.pinned_root
        return TrustedRegistry("public", scene.server.url, root, scene.folder, hasty_transport(), clock=lambda: now)

    with scene.serving({TIMESTAMP: 304}):
        at(later - timedelta(days=1)).refresh()
        with pytest.raises(VerificationError, match="expired"):
            at(later).refresh()
    assert scene.kept() == before


def test_attack_304_is_refused_where_nothing_was_asked_by(scene: Scene) -> None:
    """Answers 304 to a host that has no timestamp, or that asked for it whole."""
    with scene.serving({TIMESTAMP: 304}):
        with pytest.raises(UnavailableError, match="304"):
            scene.newest()
        assert not (scene.folder / "metadata/timestamp.json").exists()
    assert scene.newest() == "1.0.0"  # the server states no validators
    before = scene.kept()
    with scene.serving({TIMESTAMP: 304}), pytest.raises(UnavailableError, match="304"):
        scene.newest()
    assert scene.kept() == before


def test_attack_a_tag_of_other_bytes_is_not_used(scene: Scene) -> None:
    """Puts back older metadata, beside the newer timestamp's tag: it is bound to the bytes that it came with."""
    scene.server.validators = "ETag"
    scene.newest()
    older = {path: data for path, data in scene.kept().items() if path.startswith("metadata/") and NAME not in path}
    release(scene)
    assert scene.newest() == "2.0.0"
    for path, data in older.items():
        (scene.folder / path).write_bytes(data)
    assert scene.newest() == "2.0.0"
    assert scene.server.unmodified == []


@pytest.mark.parametrize("tag", ["x\r\nEvil: 1", "x" * 5000, "ä", 7, None])
def test_attack_a_tag_moves_no_header(scene: Scene, tag: object) -> None:
    """Who may write to that file, or answers with a strange tag."""
    scene.server.validators = "ETag"
    scene.newest()
    said = json.loads(validators(scene).read_text())
    validators(scene).write_text(json.dumps({url: {**each, "etag": tag} for url, each in said.items()}))
    assert scene.newest() == "1.0.0"
    assert scene.server.unmodified == []


def test_attack_what_is_refused_leaves_no_tag_behind(scene: Scene) -> None:
    """Answers with a timestamp of another registry, and a tag for it."""
    scene.server.validators = "ETag"
    old = dict(scene.repository.files)
    release(scene)
    scene.newest()
    with scene.serving({TIMESTAMP: old[TIMESTAMP]}):
        before = validators(scene).read_bytes()
        refused(scene, "rolled back")
        assert validators(scene).read_bytes() == before
    assert scene.newest() == "2.0.0"
