"""What a person at a terminal sees while artifacts are uploaded or copied from addresses; none is whole in memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

from support.source_trees import Tree
from support.tree_server import TreeServer

from registry_builder.publication._progress import ByteCount
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.storage import Body, headers_for

MEBIBYTE = 1 << 20
PROGRAM = [sys.executable, "-c", "from registry_builder.cli.main import main; main()"]


def on_a_terminal(tree: Tree, *args: str) -> tuple[str, str]:
    """Run the command with stderr on a pseudo-terminal; return what it wrote there and to stdout."""
    master, slave = pty.openpty()
    shown = bytearray()

    def watch() -> None:
        # Linux answers the end with EIO; whatever it is, nothing more comes
        with contextlib.suppress(OSError):
            while data := os.read(master, 65536):
                shown.extend(data)

    watcher = threading.Thread(target=watch)
    watcher.start()
    command = [*PROGRAM, "--tree", str(tree.root), *args]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, check=True)
    finally:
        os.close(slave)
        watcher.join()
        os.close(master)
    return shown.decode(), done.stdout.decode()


def with_address(tree: Tree, server: TreeServer, data: bytes) -> None:
    server.files = {"tool.zip": data}
    artifact = {"source": f"{server.url}/tool.zip", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    tree.plugin("acme/tool")
    tree.release("acme/tool", "1.0.0", artifacts=[artifact])


def test_uploads_move_within_a_file_and_the_line_is_wiped(tree: Tree) -> None:
    tree.release("acme/slack", "1.1.0", data=bytes(5 * MEBIBYTE))
    shown, out = on_a_terminal(tree, "publish")
    lines = shown.split("\r")
    shares = [int(line.split("artifacts ")[1].split("%")[0]) for line in lines if "artifacts " in line]
    assert len([share for share in shares if 10 < share < 95]) >= 3
    assert shares == sorted(shares)
    assert all(line.startswith("publishing public  ") for line in lines if "%" in line)
    assert lines[-1] == ""
    assert lines[-2].strip() == ""
    assert "%" not in out
    assert out.startswith("realm public")


def test_artifacts_from_addresses_are_shown_while_they_come(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path / "ingesting", registry="ingest = true")
    with TreeServer({}) as server:
        with_address(tree, server, os.urandom(5 * MEBIBYTE))
        shown, _ = on_a_terminal(tree, "publish")
    lines = shown.split("\r")
    shares = [int(line.split("tool.zip ")[1].split("%")[0]) for line in lines if "fetching tool.zip " in line]
    assert len([share for share in shares if 0 < share < 100]) >= 3  # it comes in pieces of at most 1 MiB
    assert any("1 of 1 artifact copied 100%" in line for line in lines)


def test_nothing_is_shown_where_nobody_looks(tree: Tree) -> None:
    shown, out = on_a_terminal(tree, "publish", "--json")
    assert shown == ""
    assert json.loads(out)["realms"][0]["committed"]
    done = subprocess.run([*PROGRAM, "--tree", str(tree.root), "publish"], capture_output=True, check=True)
    assert done.stderr == b""


def test_an_artifact_from_an_address_is_never_whole_in_memory(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path / "ingesting", registry="ingest = true")
    with TreeServer({}) as server:
        with_address(tree, server, bytes(40 * MEBIBYTE))
        loaded = tree.load()
        tracemalloc.start()
        try:
            assert publish_realm(open_publisher(loaded, "public")).committed
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    stored = tmp_path / "published/public/plugins/acme/tool/1.0.0/tool.zip"
    assert stored.stat().st_size == 40 * MEBIBYTE
    assert peak < 20 * MEBIBYTE


def test_what_is_read_twice_or_starts_over_counts_once() -> None:
    told: list[tuple[str, int, int]] = []
    count = ByteCount(lambda *step: told.append(step), 100)
    part = count.part("artifacts", "a", 60)
    for more in (40, 40, -60, 30):
        part(more)
    count.whole("artifacts", "a", 60)
    count.part("artifacts", "b", 40)(40)
    assert [done for _, done, _ in told] == [40, 60, 0, 30, 60, 100]
    unknown = count.part("artifacts", "c", None)
    unknown(10)
    unknown(-50)
    assert count.done == 100


def test_a_body_tells_of_each_piece(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10))
    told: list[int] = []
    body = Body.of_file(tmp_path / "file", headers_for("plugins/a/b/1/file"), on_bytes=told.append)
    assert [len(chunk) for chunk in body.chunks(4)] == told == [4, 4, 2]
