"""Attacks on the publishing side. Each says what the attacker holds and changes; publish must stop, nothing written.

The attacker of most of them can write to the bucket, with a stolen CI role for instance, and has no signing key.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.source_trees import Tree
from support.stock_client import StockClient
from tuf.api.metadata import Metadata, Snapshot, Targets, Timestamp

from registry_builder.baseline.state import ExpiredStateError
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.signing.metadata import bin_of, utc_now
from registry_builder.signing.signers import load_signer
from registry_builder.source.config import read_config
from registry_builder.storage.folder import FolderStorage
from sealdex.errors import SealdexError, VerificationError
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target


def run(tree: Tree, *only: str, use_memory: bool = True, days: int = 0) -> PublishResult:
    def clock() -> datetime:
        return utc_now() + timedelta(days=days)

    return publish_realm(open_publisher(tree.load(*only), "public", use_memory=use_memory, clock=clock))


def published(tree: Tree) -> Path:
    return tree.root.parent / "published/public"


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def live(tree: Tree) -> Tree:
    """A registry with two publishes behind it, and a release that waits for the third."""
    run(tree)
    tree.release("acme/slack", "1.1.0")
    run(tree)
    tree.release("acme/slack", "1.2.0")
    return tree


def index_of(tree: Tree, plugin: str) -> Path:
    """Return the file of a plugin's current index document."""
    namespace, name = plugin.split("/")
    folder = published(tree) / "targets/index" / namespace
    return max(folder.glob(f"*.{name}.json"), key=lambda path: len(path.read_bytes()))


def bin_file(tree: Tree, plugin: str) -> Path:
    namespace, name = plugin.split("/")
    role = bin_of(index_target(PluginId(namespace, name)), 6)
    return max((published(tree) / "metadata").glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0]))


def edit_index(tree: Tree) -> None:
    path = index_of(tree, "acme/slack")
    path.write_bytes(path.read_bytes().replace(b"1.0.0", b"6.6.6"))


def lengthen_index(tree: Tree) -> None:
    path = index_of(tree, "acme/slack")
    path.write_bytes(path.read_bytes() + b" " * 100)


def remove_index(tree: Tree) -> None:
    index_of(tree, "acme/slack").unlink()


def edit_bin(tree: Tree) -> None:
    path = bin_file(tree, "acme/slack")
    metadata = json.loads(path.read_bytes())
    for target in metadata["signed"]["targets"].values():
        target["hashes"]["sha256"] = "0" * 64
    path.write_text(json.dumps(metadata))


def swap_bins(tree: Tree) -> None:
    """Answer one bin with another of the same version: same key, valid signature; a plugin would seem unpublished."""
    path = bin_file(tree, "acme/slack")
    version = path.name.split(".")[0]
    others = [p for p in path.parent.glob(f"{version}.bin-*.json") if p != path]
    donor = others[0] if others else _resigned_bin(tree, path)
    path.write_bytes(donor.read_bytes())


def _resigned_bin(tree: Tree, path: Path) -> Path:
    """Some other bin at the version that is needed, as a registry that lived longer would have it."""
    other = next(p for p in path.parent.glob("1.bin-*.json") if p.name.split(".")[1] != path.name.split(".")[1])
    metadata: Metadata[Targets] = Metadata.from_bytes(other.read_bytes())
    metadata.signed.version = int(path.name.split(".")[0])
    metadata.sign(load_signer(read_config(tree.root), tree.root, "packages"))
    donor = tree.root.parent / "donor.json"
    donor.write_bytes(metadata.to_bytes())
    return donor


def replace_snapshot(tree: Tree) -> None:
    """Put an older, validly signed snapshot under the current one's name."""
    metadata = published(tree) / "metadata"
    shutil.copy(metadata / "1.snapshot.json", metadata / "2.snapshot.json")


def forge_snapshot(tree: Tree) -> None:
    """Sign a snapshot of the right version with a key that is an online key too, but of another role."""
    path = published(tree) / "metadata/2.snapshot.json"
    metadata: Metadata[Snapshot] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.expires += timedelta(days=1)
    metadata.sign(load_signer(read_config(tree.root), tree.root, "catalog"))
    path.write_bytes(metadata.to_bytes())


def forge_timestamp(tree: Tree) -> None:
    path = published(tree) / "metadata/timestamp.json"
    metadata: Metadata[Timestamp] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.version += 1
    metadata.sign(load_signer(read_config(tree.root), tree.root, "packages"))
    path.write_bytes(metadata.to_bytes())


def edit_shard(tree: Tree) -> None:
    for path in (published(tree) / "targets/catalog").iterdir():
        path.write_bytes(path.read_bytes().replace(b"What acme", b"Evil acme"))


def swap_root(tree: Tree) -> None:
    path = published(tree) / "metadata/1.root.json"
    path.write_bytes(path.read_bytes().replace(b'"threshold":2', b'"threshold":1'))


def remove_root(tree: Tree) -> None:
    (published(tree) / "metadata/1.root.json").unlink()


def remove_snapshot(tree: Tree) -> None:
    (published(tree) / "metadata/2.snapshot.json").unlink()


def endless_timestamp(tree: Tree) -> None:
    (published(tree) / "metadata/timestamp.json").write_bytes(b"{" * 100_000)


@pytest.mark.every_bin
@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (edit_index, "slack.json"),
        (lengthen_index, "slack.json"),
        (remove_index, "slack.json"),
        (edit_bin, "bin-"),
        (swap_bins, "bin-"),
        (replace_snapshot, "snapshot"),
        (forge_snapshot, "snapshot"),
        (forge_timestamp, "timestamp"),
        (endless_timestamp, "timestamp"),
        (edit_shard, "catalog/"),
        (swap_root, "1.root.json"),
        (remove_root, "1.root.json"),
        (remove_snapshot, "snapshot"),
    ],
)
@pytest.mark.parametrize("use_memory", [True, False])
def test_a_tampered_tree_stops_the_publish(
    live: Tree, attack: Callable[[Tree], None], named: str, use_memory: bool
) -> None:
    attack(live)
    before = files(published(live))
    with pytest.raises(VerificationError) as caught:
        run(live, "acme/slack", use_memory=use_memory)
    assert named in f"{caught.value.subject} {caught.value.message}"
    assert "what the trust root vouches for" in caught.value.message
    assert files(published(live)) == before


def test_a_rolled_back_timestamp_stops_the_publish_on_a_machine_that_saw_a_newer_one(tree: Tree) -> None:
    # The attacker puts back last week's timestamp.json, validly signed and not expired: releases since then would
    # vanish, and the next publish would be built on the old state.
    run(tree)
    old = (published(tree) / "metadata/timestamp.json").read_bytes()
    tree.release("acme/slack", "1.1.0")
    run(tree)
    tree.release("acme/slack", "1.2.0")
    (published(tree) / "metadata/timestamp.json").write_bytes(old)
    before = files(published(tree))
    with pytest.raises(VerificationError, match="version: expected 2, found 1"):
        run(tree)
    assert files(published(tree)) == before


def test_a_removed_timestamp_is_not_taken_for_an_empty_registry(live: Tree) -> None:
    # The attacker deletes timestamp.json: a publisher that then begins at version 1 locks every client out.
    (published(live) / "metadata/timestamp.json").unlink()
    before = files(published(live))
    with pytest.raises(VerificationError, match="is gone, but this machine saw version 2") as caught:
        run(live)
    assert "remove" in (caught.value.hint or "")
    assert files(published(live)) == before


def test_a_second_timestamp_of_the_same_version_stops_the_publish(live: Tree, tmp_path: Path) -> None:
    # The attacker has the online key for a moment and writes another version 2; this machine saw the first.
    path = published(live) / "metadata/timestamp.json"
    metadata: Metadata[Timestamp] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.expires += timedelta(days=300)
    metadata.sign(load_signer(read_config(live.root), live.root, "online"))
    path.write_bytes(metadata.to_bytes())
    with pytest.raises(VerificationError, match="was a different file when last seen"):
        run(live)


def test_an_expired_state_is_not_built_upon(live: Tree) -> None:
    # The attacker puts back a state so old that it has expired, and this machine has no memory.
    before = files(published(live))
    with pytest.raises(ExpiredStateError) as caught:
        run(live, use_memory=False, days=8)
    assert "refresh --allow-expired" in (caught.value.hint or "")
    assert files(published(live)) == before


def test_a_newer_root_than_the_trees_asks_for_a_pull(live: Tree) -> None:
    # No attack: another checkout published a new root; this one's offline metadata would be a step back.
    root = Metadata.from_bytes((live.root / "trust/public/1.root.json").read_bytes())
    root.signed.version = 2
    config = read_config(live.root)
    for number, name in enumerate(("root-1", "root-2")):
        root.sign(load_signer(config, live.root, name), append=number > 0)
    (published(live) / "metadata/2.root.json").write_bytes(root.to_bytes())
    before = files(published(live))
    with pytest.raises(SealdexError, match=r"root 2 is published.*has only 1"):
        run(live)
    assert files(published(live)) == before


def test_an_offline_targets_of_the_same_version_but_other_content_is_refused(live: Tree) -> None:
    # The attacker holds both targets keys' old material and edits the source tree: same version, other delegations.
    path = live.root / "trust/public/1.targets.json"
    metadata: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.expires += timedelta(days=1)
    config = read_config(live.root)
    for number, name in enumerate(("targets-1", "targets-2")):
        metadata.sign(load_signer(config, live.root, name), append=number > 0)
    path.write_bytes(metadata.to_bytes())
    with pytest.raises(SealdexError, match="another file of that version"):
        run(live)


def test_what_a_thief_of_one_release_key_leaves_is_never_overwritten(live: Tree) -> None:
    # The attacker guesses the next artifact's name and puts other bytes there first.
    squatted = published(live) / "plugins/acme/slack/1.2.0/slack-1.2.0.bin"
    squatted.parent.mkdir(parents=True)
    squatted.write_bytes(b"evil")
    with pytest.raises(SealdexError, match=r"already exists.*with different bytes"):
        run(live)
    assert squatted.read_bytes() == b"evil"
    root = (live.root / "trust/public/1.root.json").read_bytes()
    assert StockClient(FolderStorage(published(live)), root).versions("acme/slack") == ["1.1.0", "1.0.0"]


def test_a_damaged_memory_counts_as_none_and_is_repaired(live: Tree, tmp_path: Path) -> None:
    (memory,) = (tmp_path / "state").rglob("*.json")
    memory.write_bytes(b"garbage")
    result = run(live)
    assert result.committed
    (warning,) = result.warnings
    assert f"{memory}, couldn't be read (JSON is malformed" in warning
    assert "wasn't noticed if somebody had restored an older state" in warning
    assert json.loads(memory.read_bytes())["timestamp_version"] == 3
    assert run(live).warnings == []


def test_a_memory_that_cannot_be_read_is_told_too(live: Tree, tmp_path: Path) -> None:
    (memory,) = (tmp_path / "state").rglob("*.json")
    memory.unlink()
    memory.mkdir()
    unread, unwritten = run(live).warnings
    assert f"{memory}, couldn't be read (Is a directory)" in unread
    assert "can't be remembered" in unwritten
    assert {path.suffix for path in memory.parent.iterdir()} <= {".json", ".lock"}
