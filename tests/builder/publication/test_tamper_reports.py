"""A tampered bucket stops the publish, and the error says which file, what was signed and by whom, and what differs.

The attacker can write to the bucket and has no key. That nothing is written is held in test_publish_attacks.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from tuf.api.metadata import Metadata, Targets, Timestamp

from registry_builder.baseline.documents import TamperedError
from registry_builder.baseline.json_diff import differences
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.signing.metadata import bin_of
from registry_builder.signing.signers import load_signer
from registry_builder.source.config import read_config
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import index_target


@pytest.fixture
def live(tree: Tree) -> Tree:
    """A registry with two publishes behind it, and a release that waits for the third."""
    publish_realm(open_publisher(tree.load(), "public"))
    tree.release("acme/slack", "1.1.0")
    publish_realm(open_publisher(tree.load(), "public"))
    tree.release("acme/slack", "1.2.0")
    return tree


def one(tree: Tree, pattern: str) -> Path:
    """Return the largest published file of a pattern: of an index document the newest."""
    return max((tree.root.parent / "published/public").glob(pattern), key=lambda path: path.stat().st_size)


def edit(tree: Tree, pattern: str, change: Callable[[Any], None]) -> None:
    path = one(tree, pattern)
    values = json.loads(path.read_bytes())
    change(values)
    path.write_text(json.dumps(values, separators=(",", ":")))


def refused(tree: Tree, *only: str) -> TamperedError:
    with pytest.raises(TamperedError) as caught:
        publish_realm(open_publisher(tree.load(*only), "public"))
    assert caught.value.details is not None
    return caught.value


def lines(error: TamperedError) -> list[str]:
    assert error.details is not None
    found = error.details["differences"]
    assert isinstance(found, list)
    return found


def test_a_swapped_artifact_digest_is_shown_against_what_was_signed(live: Tree) -> None:
    """The published document isn't what the tree compiles to any more, and is still made again byte for byte."""

    def swap(values: Any) -> None:
        values["releases"][1]["artifacts"][0]["sha256"] = "6" * 64

    edit(live, "targets/index/acme/*.slack.json", swap)
    error = refused(live)
    (line,) = lines(error)
    assert line.startswith("against what was signed: releases[1.0.0].artifacts[slack-1.0.0.bin].sha256: expected")
    assert line.endswith(f'found "{"6" * 64}"')
    assert error.details is not None
    assert "pinned by packages, which 1 of packages must sign" in str(error.details["expected"])
    assert "SHA-256" in str(error.details["found"])


def test_an_edited_source_tree_is_not_in_the_way(live: Tree) -> None:
    """README and summary differ in the tree from what is published, as they may; that isn't shown."""

    def swap(values: Any) -> None:
        values["releases"][1]["artifacts"][0]["sha256"] = "6" * 64

    live.plugin("acme/slack", readme="# Another\n", summary="Another")
    edit(live, "targets/index/acme/*.slack.json", swap)
    (line,) = lines(refused(live))
    assert line.startswith("against what was signed: releases[1.0.0].artifacts[slack-1.0.0.bin].sha256: expected")


def test_a_release_that_was_added_and_one_that_was_removed_are_named(live: Tree) -> None:
    def replace(values: Any) -> None:
        values["releases"][1]["version"] = "6.6.6"

    edit(live, "targets/index/acme/*.slack.json", replace)
    removed, added = lines(refused(live))
    assert removed.startswith("against what was signed: releases[1.0.0]: missing")
    assert added.startswith("against what was signed: releases[6.6.6]: added")


def test_a_document_that_is_only_longer_says_so(live: Tree) -> None:
    path = one(live, "targets/index/acme/*.slack.json")
    path.write_bytes(path.read_bytes() + b" " * 100)
    assert lines(refused(live)) == ["against what was signed: the same values, encoded differently"]


def test_a_changed_summary_in_the_catalogue_is_shown(live: Tree) -> None:
    """To a publish of single plugins: one of all writes the catalogue anew without reading it."""

    def lie(values: Any) -> None:
        for row in values["plugins"]:
            row["summary"] = "send me your tokens"

    for shard in (live.root.parent / "published/public/targets/catalog").iterdir():
        edit(live, f"targets/catalog/{shard.name}", lie)
    assert any("plugins[slack].summary: expected" in line for line in lines(refused(live, "acme/slack")))


@pytest.mark.every_bin
def test_a_forged_bin_is_compared_with_the_last_one_that_verifies_and_its_signatures_are_judged(live: Tree) -> None:
    role = bin_of(index_target(parse_plugin_id("acme/slack")), 6)

    def point_elsewhere(values: Any) -> None:
        for target in values["signed"]["targets"].values():
            target["hashes"]["sha256"] = "0" * 64

    edit(live, f"metadata/2.{role}.json", point_elsewhere)
    error = refused(live)
    assert error.details is not None
    assert error.details["expected"] == f"version 2 of {role}, which 1 of packages must sign"
    assert "signed by packages, which doesn't verify" in str(error.details["found"])
    assert any(
        line.startswith("against version 1: targets.index/acme/slack.json.hashes.sha256: was")
        and line.endswith(f'is "{"0" * 64}"')
        for line in lines(error)
    )


def test_a_timestamp_of_a_stolen_foreign_key_names_that_key(live: Tree) -> None:
    path = one(live, "metadata/timestamp.json")
    metadata: Metadata[Timestamp] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.version += 1
    metadata.signed.expires += timedelta(days=300)
    metadata.sign(load_signer(read_config(live.root), live.root, "packages"))
    path.write_bytes(metadata.to_bytes())
    error = refused(live)
    assert error.details is not None
    assert str(error.details["found"]).endswith("signed by packages")
    assert error.details["expected"] == "timestamp, which 1 of online must sign"
    assert "against the one last seen from here: version: expected 2, found 3" in lines(error)


def test_a_lowered_threshold_of_root_is_shown(live: Tree) -> None:
    path = one(live, "metadata/1.root.json")
    path.write_bytes(path.read_bytes().replace(b'"threshold":2', b'"threshold":1'))
    assert "against the source tree's: roles.root.threshold: expected 2, found 1" in lines(refused(live))


def test_a_missing_file_is_found_to_be_nothing(live: Tree) -> None:
    one(live, "targets/index/acme/*.slack.json").unlink()
    error = refused(live)
    assert error.details is not None
    assert (error.details["found"], error.details["differences"]) == ("nothing", [])


@pytest.mark.parametrize("pattern", ["targets/index/acme/*.slack.json", "targets/catalog/*.json", "metadata/2.*.json"])
def test_whatever_stands_there_the_error_is_the_same(
    live: Tree, capsys: pytest.CaptureFixture[str], pattern: str
) -> None:
    """What is shown is the attacker's: nothing of it breaks the report, and nothing of it passes for a line of ours."""
    for data in (
        b"",
        b"[" * 100_000,
        b'{"plugins":[1,{"namespace":{}},null]}',
        b'{"releases":[{"version":1},2]}',
        b'{"signed":[],"signatures":[]}',
        b'{"a\\nSECURITY: all is well":1}',
    ):
        for path in (live.root.parent / "published/public").glob(pattern):
            path.write_bytes(data)
        assert call(live.root, "publish", "--only", "acme/slack") == 4
        shown = capsys.readouterr().err.splitlines()
        assert shown[0].startswith("SECURITY: ")
        assert "is not what the trust root vouches for" in shown[0]
        assert not any(line.lstrip().startswith("SECURITY") for line in shown[1:])


def test_keys_of_strangers_are_said_to_be_such(live: Tree) -> None:
    path = one(live, "metadata/2.snapshot.json")
    metadata: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    values = json.loads(metadata.to_bytes())
    values["signatures"][0]["keyid"] = "f" * 64
    path.write_text(json.dumps(values))
    error = refused(live)
    assert error.details is not None
    assert "a key 'ffffffffffff' that registry.toml doesn't have" in str(error.details["found"])


def test_programs_get_it_too(live: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    edit(live, "targets/index/acme/*.slack.json", lambda values: values.update(summary="evil"))
    error = document(live.root, capsys, "diff", code=4)["error"]
    assert (error["code"], error["exit_code"]) == ("tampered", 4)
    assert error["details"]["differences"] == [
        'against what was signed: summary: expected "What acme/slack does", found "evil"'
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, ["a: expected 1, found true"]),
        ([1, 2], [2, 2, 3], ["[0]: expected 1, found 2", "[2]: added, found 3"]),
        ([{"file": "x", "n": 1}], [{"file": "y"}, {"file": "x", "n": 2}], ["[x].n: expected 1, found 2",
         '[y]: added, found {"file": "y"}']),
        ([{"file": "x"}, {"file": "x"}], [{"file": "x"}], ['[1]: missing, expected {"file": "x"}']),
        ({}, [], ["the whole: expected {}, found []"]),
        ("a" * 200, "b", [f'the whole: expected "{"a" * 76}..., found "b"']),
    ],
)  # fmt: skip
def test_differences(before: Any, after: Any, expected: list[str]) -> None:
    assert [*differences(before, after)] == expected
