"""Many files are written by several processes: all of them, counted; whatever one of them fails at is made good.

Each test is a program of its own: a process with threads, as this one is under pytest-xdist, doesn't fork.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.source_trees import Tree

PROGRAM = """
import json, os, sys
from pathlib import Path
from registry_builder.storage import Body, headers_for
from registry_builder.storage.folder import FolderStorage
from sealdex.errors import SealdexError

root, parent = Path(sys.argv[1]), os.getpid()
os.sched_getaffinity = lambda _: {0, 1, 2}
storage = FolderStorage(root)
keys = [f"plugins/acme/tool/1.0.{number}/manifest.json" for number in range(60)]
body = lambda: Body.of_bytes(str(os.getpid()).encode(), headers_for(keys[0]))

def put(key):
    storage.put_new(key, body())
    return key

said = {"parent": parent}
"""


def play(tmp_path: Path, program: str) -> dict[str, Any]:
    code = PROGRAM + program + "\nprint(json.dumps(said))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "published")], capture_output=True, text=True, check=True
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def writers(tmp_path: Path) -> list[int]:
    """Return which process wrote each file, in the order of the keys."""
    files = [tmp_path / f"published/plugins/acme/tool/1.0.{number}/manifest.json" for number in range(60)]
    return [int(file.read_text()) for file in files]


def leftovers(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "published/.sealdex-tmp").rglob("*") if path.is_file()]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked but on Linux")


def test_what_other_processes_put_is_noted_by_a_recorder_and_a_dry_run_stays_in_one(tmp_path: Path) -> None:
    """As a publish does it, which says afterwards what it wrote and tells a CDN."""
    said = play(
        tmp_path,
        "from registry_builder.storage.recorder import Recorder\n"
        "storage = Recorder(storage, write=True)\n"
        "said['done'] = list(storage.do_each(put, keys, share=10)) == keys\n"
        "said['noted'] = storage.files\n"
        "said['dry'] = Recorder(FolderStorage(root), write=False).do_each is None",
    )
    wrote = writers(tmp_path)
    assert said["done"]
    assert said["dry"]
    assert len(set(wrote)) > 1
    files = {f"plugins/acme/tool/1.0.{number}/manifest.json": str(pid).encode() for number, pid in enumerate(wrote)}
    assert said["noted"] == {key: [len(data), hashlib.sha256(data).hexdigest()] for key, data in files.items()}


def test_files_are_shared_out_over_processes_and_counted(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        "said['done'] = list(storage.do_each(put, keys, share=10)) == keys\n"
        "said['requests'], said['bytes'] = dict(storage.requests), storage.bytes_put",
    )
    wrote = writers(tmp_path)
    assert said["done"]
    assert said["requests"] == {"PUT": 60}
    assert said["bytes"] == sum(len(str(pid)) for pid in wrote)
    assert wrote[0] == said["parent"]
    assert len(set(wrote)) == 3
    assert leftovers(tmp_path) == ["lock"]


def test_few_files_and_a_process_with_threads_share_nothing(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        "import threading\n"
        "few = list(storage.do_each(put, keys[:19], share=10))\n"
        "gate = threading.Event(); thread = threading.Thread(target=gate.wait); thread.start()\n"
        "list(storage.do_each(put, keys, share=10))\n"
        "gate.set(); thread.join()",
    )
    assert set(writers(tmp_path)) == {said["parent"]}


def test_what_a_process_fails_at_the_caller_does(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        "body = lambda: Body.of_bytes(b'7', headers_for(keys[0]))\n"
        "def flaky(key):\n"
        "    if os.getpid() != parent and key == keys[59]: os.kill(os.getpid(), 9)\n"
        "    return put(key)\n"
        "said['done'] = list(storage.do_each(flaky, keys, share=10)) == keys\n"
        "said['before'] = storage.requests['HEAD']",
    )
    assert said["done"]
    assert writers(tmp_path) == [7] * 60
    assert said["before"] > 0  # files of the process that was killed, which the caller found there
    assert leftovers(tmp_path) == ["lock"]


def test_an_error_is_told_and_no_process_stays(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        "(root / 'plugins/acme/tool/1.0.59').mkdir(parents=True)\n"
        "(root / 'plugins/acme/tool/1.0.59/manifest.json').write_text('of somebody else')\n"
        "try: list(storage.do_each(put, keys, share=10))\n"
        "except SealdexError as error: said['error'] = error.code\n"
        "try: os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError: said['children'] = 0",
    )
    assert said["error"] == "object-conflict"
    assert said["children"] == 0
    assert (tmp_path / "published/plugins/acme/tool/1.0.59/manifest.json").read_text() == "of somebody else"


def test_processes_end_with_the_caller_who_stops(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        "import time\n"
        "def endless(key):\n"
        "    while os.getpid() != parent: time.sleep(60)\n"
        "    put(key)\n"
        "steps = storage.do_each(endless, keys, share=10)\n"
        "next(steps); steps.close()\n"
        "try: os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError: said['children'] = 0",
    )
    assert said["children"] == 0


def test_lint_and_pages_are_the_same_from_several_processes(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path / "tree")
    for number in range(12):
        tree.plugin(f"acme/tool-{number}")
        tree.release(f"acme/tool-{number}", "1.0.0")
    tree.release("acme/tool-3", "1.1.0", artifacts=[{"source": "../out.zip", "sha256": "0" * 64, "size": 1}])
    tree.release("acme/tool-11", "1.1.0", dependencies={"acme/none": "*"})
    program = (
        "import hashlib, threading\n"
        "from registry_builder.signing.offline_metadata import load_trust\n"
        "from registry_builder.signing.metadata import realm_marker\n"
        "from registry_builder.site import writer\n"
        "from registry_builder.site.from_tree import site_from_tree\n"
        "from registry_builder.source.lint import tree as module\n"
        "from registry_builder.source.load import load_tree\n"
        "module._SHARE = writer.SHARE = 2\n"
        f"tree = load_tree(Path({str(tree.root)!r}))\n"
        "said['problems'] = [str(problem) for problem in module.lint_tree(tree)]\n"
        "tree.plugins.pop(next(plugin for plugin in tree.plugins if plugin.name == 'tool-3'))\n"
        "trust = load_trust(tree.root, 'public', realm_marker(tree.config, 'public'))\n"
        "result = writer.write_pages(site_from_tree(tree, 'public', trust), root)\n"
        "said['pages'], said['written'] = result.pages, sorted(result.written)\n"
        "files = sorted(path for path in root.rglob('*') if path.is_file())\n"
        "said['digest'] = hashlib.sha256(b''.join(path.read_bytes() for path in files)).hexdigest()"
    )
    shared = play(tmp_path / "shared", program)
    alone = play(tmp_path / "alone", "os.sched_getaffinity = lambda _: {0}\n" + program)
    assert {**shared, "parent": 0} == {**alone, "parent": 0}
    assert len(shared["problems"]) > 2
    assert shared["pages"] == len(shared["written"]) > 24
