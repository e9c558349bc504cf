"""A pull request made to hurt, as a whole: one run of ``validate`` names every part of it, bounded, and runs nothing.

Its parts are attacked one by one elsewhere: YAML and files in tests/builder/source/test_load.py, archives beside this
file, READMEs in tests/builder/site, the workflows in tests/builder/authoring/github.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from support.archives import make_zip, one_entry
from support.source_trees import Tree

MEMORY = 800 << 20
"""Bytes of address space that the run may have: less than what the bomb unpacks to."""
BOMB_BYTES = 1 << 30
YAML_BOMB = "type: notify\nsummary: x\nlicense: MIT\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
EVIL = "$(touch PWNED)`touch PWNED`';touch PWNED;' ${{ secrets.X }} <img src=x onerror=alert(1)> ![x](http://evil)"

EXPECTED = [
    ("evil/bomb", f"unpacks to {BOMB_BYTES} bytes"),
    ("evil/escape", "leads out of its folder"),
    ("evil/absolute", "absolute"),
    ("evil/many", "entries"),
    ("evil/yaml", "expands to more than"),
    ("evil/readme", "at most"),
    ("evil/link", "link"),
    ("evil/fields/releases/1.0.0.json", "version"),
    ("evil/fields/releases/`touch PWNED`.json", ""),
    ("evil/fields/plugin.json", "javascript"),
]


def release(tree: Tree, plugin: str, archive: Path) -> None:
    data = archive.read_bytes()
    manifest = {
        "version": "1.0.0",
        "artifacts": [
            {
                "source": str(archive.relative_to(tree.root)),
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
            }
        ],
    }
    (tree.root / "plugins" / plugin / "releases/1.0.0.json").write_text(json.dumps(manifest))


def dist(tree: Tree, plugin: str) -> Path:
    folder = tree.root / "plugins" / plugin / "dist"
    tree.plugin(plugin, readme="# x\n")
    folder.mkdir()
    return folder / "x.zip"


def zip_bomb(path: Path) -> Path:
    """A real one: deflate's best ratio, a thousand to one. A block is compressed once, as all blocks are alike."""
    zeros = b"\0" * (1 << 24)
    times = BOMB_BYTES // len(zeros)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    data = block * times + deflate.flush()
    digest = 0
    for _ in range(times):
        digest = zlib.crc32(zeros, digest)
    sizes = struct.pack("<3L", digest, len(data), BOMB_BYTES)
    name = b"zeros"
    head = struct.pack("<4s5H", b"PK\3\4", 20, 0, zipfile.ZIP_DEFLATED, 0, 0x21) + sizes
    head += struct.pack("<2H", len(name), 0) + name
    entry = struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, zipfile.ZIP_DEFLATED, 0, 0x21) + sizes
    entry += struct.pack("<5H2L", len(name), 0, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(head) + len(data), 0)
    path.write_bytes(head + data + entry + end)
    return path


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    tree = Tree.make(tmp_path / "source")
    release(tree, "evil/bomb", zip_bomb(dist(tree, "evil/bomb")))
    release(tree, "evil/escape", one_entry(dist(tree, "evil/escape"), "zip", "../../../PWNED"))
    release(tree, "evil/absolute", one_entry(dist(tree, "evil/absolute"), "zip", "/tmp/PWNED"))  # noqa: S108  # an attack
    many = dist(tree, "evil/many")
    release(tree, "evil/many", make_zip(many, [(f"f{n}", b"") for n in range(120_000)]))
    (tree.plugin("evil/yaml") / "plugin.json").unlink()
    (tree.root / "plugins/evil/yaml/plugin.yaml").write_text(YAML_BOMB)
    tree.plugin("evil/readme", readme="x" * (2 << 20))
    link = tree.plugin("evil/link") / "README.md"
    link.symlink_to("/etc/passwd")
    tree.plugin("evil/fields", readme=f"# {EVIL}\n", license=EVIL, homepage="javascript:alert(1)")
    (tree.root / "plugins/evil/fields/releases/1.0.0.json").write_text(
        json.dumps({"version": "1.0.0; touch PWNED", "entry_point": EVIL, "icon": "../../../../etc/passwd"})
    )
    (tree.root / "plugins/evil/fields/releases/`touch PWNED`.json").write_text("{}")
    for name in ("sitecustomize.py", "click.py", "yaml.py", "registry_builder/__init__.py", "conftest.py", "setup.py"):
        path = tree.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(tmp_path / 'PWNED')!r}, 'w')\n")
    return tree


def test_validate_names_all_of_it_and_runs_nothing(hostile: Tree, tmp_path: Path) -> None:
    """Attacker: opens a pull request. What they could win: code in the job, its memory, or a page that lies."""
    summary = tmp_path / "summary.md"
    command = Path(sys.executable).parent / "sealdex-builder"

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    done = subprocess.run(
        [command, "validate", "--json", "--summary", summary],
        cwd=hostile.root,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=bounded,  # this process has no threads of its own here
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    problems = [(problem["file"], problem["message"]) for problem in json.loads(done.stdout)["problems"]]
    for where, what in EXPECTED:
        assert any(where in file and what in message for file, message in problems), (where, problems)
    assert "root:" not in said  # of the file that the link leads to
    assert list(tmp_path.rglob("PWNED")) == []
    page = summary.read_text()
    assert "<img" not in page
    assert "![x]" not in page
