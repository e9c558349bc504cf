"""A dry run, diff and publish name every file: path, size, type and why; what is foreseen is what is then written."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.site.preview.server import running_server
from registry_builder.storage import Body, ObjectConflictError, PutOutcome, headers_for
from registry_builder.storage.folder import FolderStorage
from registry_builder.storage.recorder import Recorder
from sealdex.errors import UsageError


def stored(tree: Tree) -> dict[str, str]:
    folder = tree.root.parent / "published/public"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def writes(tree: Tree, capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, dict[str, Any]]:
    (realm,) = document(tree.root, capsys, *args)["realms"]
    named = [file["key"] for file in realm["writes"]]
    assert len(named) == len({*named})
    return {file["key"]: file for file in realm["writes"]}


@pytest.mark.parametrize("only", [(), ("--only", "acme/slack")])
def test_what_a_dry_run_names_is_what_is_then_written(
    tree: Tree, capsys: pytest.CaptureFixture[str], only: tuple[str, ...]
) -> None:
    first = writes(tree, capsys, "publish", "--dry-run")
    assert not (tree.root.parent / "published").exists()
    assert {*writes(tree, capsys, "publish")} == {*first} == {*stored(tree)}
    assert [*first][-1].partition("/")[0] not in {"metadata", "targets", "plugins"}
    assert [*first].index("metadata/1.root.json") < [*first].index("metadata/timestamp.json")
    tree.release("acme/slack", "1.1.0")
    tree.plugin("acme/mail", readme="# Mail\n")
    before = stored(tree)
    foreseen = writes(tree, capsys, "publish", "--dry-run", *only)
    assert stored(tree) == before
    done = writes(tree, capsys, "publish", *only)
    after = stored(tree)
    assert {*done} == {*foreseen} == {key for key, digest in after.items() if before.get(key) != digest}
    folder = tree.root.parent / "published/public"
    for key, file in foreseen.items():
        assert (file["content_type"], file["cache_control"]) == headers_for(key)
        assert file["why"]
        signed = key.startswith("metadata/")
        # what pages say of when and by what they were made is known only then, in as many characters
        assert file["size"] == (None if signed else (folder / key).stat().st_size), key
    assert foreseen["plugins/acme/slack/1.1.0/manifest.json"]["why"] == "acme/slack 1.1.0 is new"
    assert foreseen["metadata/timestamp.json"]["why"] == "changed: the commit point"
    assert "metadata/2.snapshot.json" in foreseen
    assert ("plugins/acme/mail/readme" in "".join(foreseen)) == (not only)


def test_nothing_to_publish_names_nothing(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    call(tree.root, "publish")
    assert writes(tree, capsys, "diff") == {}
    assert writes(tree, capsys, "publish", "--dry-run") == {}


def test_diff_names_the_same_by_url_and_without_pages_where_asked_to(
    tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tree.root, "publish")
    tree.release("acme/slack", "1.1.0")
    foreseen = writes(tree, capsys, "diff")
    with running_server(tree.root.parent / "published/public") as url:
        config = tree.root / "registry.toml"
        config.write_text(config.read_text().replace("[realms.public]\n", f'[realms.public]\nurl = "{url}/"\n'))
        assert {*writes(tree, capsys, "diff", "--by-url")} >= {*foreseen}  # and pages: the address stands in them
    without = writes(tree, capsys, "diff", "--no-site")
    assert {*without} == {key for key in foreseen if key.startswith(("metadata/", "targets/", "plugins/"))}


def test_people_see_path_size_type_and_why(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree.root, "diff", "--files") == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("plugins/acme/slack/1.0.0/manifest.json")]
    assert line.split(maxsplit=4)[2:] == ["B", "application/json", "acme/slack 1.0.0 is new"]
    assert any(line.startswith("metadata/timestamp.json") for line in lines)
    assert call(tree.root, "diff") == 0
    assert "manifest.json" not in capsys.readouterr().out


def test_the_recorder_of_a_dry_run_writes_nothing_and_says_what_a_storage_would(tmp_path: Path) -> None:
    real = FolderStorage(tmp_path / "published")

    def body(data: bytes) -> Body:
        return Body.of_bytes(data, headers_for("a.json"))

    real.put_new("a.json", body(b"one"))
    dry = Recorder(real, write=False)
    assert dry.put_new("a.json", body(b"one")) is PutOutcome.ALREADY_THERE
    for other in (b"two", b"longer"):
        with pytest.raises(ObjectConflictError):
            dry.put_new("a.json", body(other[:3] if other == b"two" else other[:2]))
    assert not dry.put_mutable("a.json", body(b"one"), only_if_changed=True)
    assert dry.put_mutable("a.json", body(b"two"), only_if_changed=True)
    assert dry.put_new("b.json", body(b"three")) is PutOutcome.CREATED
    with pytest.raises(UsageError):
        dry.put_if_match("metadata/timestamp.json", body(b"x"), None)
    dry.flush()
    assert {key: size for key, (size, _) in dry.files.items()} == {"a.json": 3, "b.json": 5}
    assert real.get("a.json", max_bytes=10).data == b"one"
    assert real.requests["PUT"] == 1


def test_a_dry_run_costs_no_write(tree: Tree) -> None:
    publish_realm(open_publisher(tree.load(), "public"))
    tree.release("acme/slack", "1.1.0")
    result = publish_realm(open_publisher(tree.load(), "public"), dry_run=True)
    assert {*result.requests} == {"GET"}
    assert result.bytes_put == 0
