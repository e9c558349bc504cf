"""The list of files of a large archive: made at release, pinned, published, always the same; a wrong one is refused."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path

import msgspec
import pytest
from support.source_trees import Tree

from registry_builder.authoring.release import Archive, write_release
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.source import file_list
from sealdex.errors import SealdexError
from sealdex.model.files import FileList
from sealdex.model.ids import PluginId
from sealdex.model.release import Artifact, FileListPin, Release, release_problems

SLACK = PluginId("acme", "slack")
TIME = "2026-11-21T12:00:00Z"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(file_list, "MIN_ARCHIVE_BYTES", 2000)
    path = tmp_path / "slack.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("stored.bin", bytes(range(256)) * 8, compress_type=zipfile.ZIP_STORED)
        made.writestr("lib/", b"")
        made.writestr("lib/deflated.txt", b"text " * 500, compress_type=zipfile.ZIP_DEFLATED)
        link = zipfile.ZipInfo("lib/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        made.writestr(link, "deflated.txt")
    return path


def published(tree: Tree) -> Path:
    return tree.root.parent / "published/public/plugins/acme/slack/1.2.0"


def test_the_list_leads_to_each_file(tree: Tree, archive: Path) -> None:
    first = write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.2.0", released_at=TIME)
    assert write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.2.0", released_at=TIME).exists
    publish_realm(open_publisher(tree.load(), "public"))
    data = (published(tree) / "slack.zip.files.json").read_bytes()
    pin = first.release.artifacts[0].file_list
    assert pin == FileListPin(len(data), hashlib.sha256(data).hexdigest())
    listed = msgspec.json.decode(data, type=FileList)
    whole = archive.read_bytes()
    assert (listed.archive.size, listed.archive.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert [(e.path, e.kind, e.target) for e in listed.entries] == [
        ("stored.bin", "file", None),
        ("lib", "folder", None),
        ("lib/deflated.txt", "file", None),
        ("lib/link", "symlink", "deflated.txt"),
    ]
    for entry in listed.entries:
        if entry.kind == "file":
            piece = whole[entry.offset : entry.offset + entry.length]
            content = zlib.decompress(piece, -15) if entry.method == 8 else piece
            assert (len(content), hashlib.sha256(content).hexdigest()) == (entry.size, entry.sha256)
            assert zlib.crc32(content) == entry.crc32


def test_a_small_archive_has_none(tree: Tree, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.2.0", released_at=TIME)
    assert made.release.artifacts[0].file_list is None


def test_a_list_that_is_not_the_archives_is_not_published(tree: Tree, archive: Path) -> None:
    """Attack: who may edit the source tree states another list, to have updates install other files."""
    made = write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.2.0", released_at=TIME)
    document = json.loads(made.file.read_bytes())
    document["artifacts"][0]["file_list"]["sha256"] = "0" * 64
    made.file.write_text(json.dumps(document))
    with pytest.raises(SealdexError, match=r"is not that of slack\.zip"):
        publish_realm(open_publisher(tree.load(), "public"))
    assert not (tree.root.parent / "published/public/metadata/timestamp.json").exists()


@pytest.mark.parametrize("source", ["https://example.org/a.zip", "plugins/acme/slack/dist/a.tar.gz"])
def test_only_zips_in_the_tree_have_one(source: str) -> None:
    artifact = Artifact(source, "0" * 64, 10, file_list=FileListPin(1, "0" * 64))
    found = dict(release_problems(Release(version="1.0.0", artifacts=(artifact,))))
    assert "zip archives in the source tree" in found["artifacts[0].file_list"]
