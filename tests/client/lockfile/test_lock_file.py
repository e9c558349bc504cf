"""The text of a lock: what is written is read back, in one order, in blocks that git merges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealdex.config import toml_writer
from sealdex.errors import ConfigError, FormatTooNewError
from sealdex.lockfile.lock_file import LockDocument, LockedPlugin, lock_text, parse_lock
from sealdex.lockfile.staleness import differences, staleness
from sealdex.model.index import ArtifactEntry, FilePin, MappedFile
from sealdex.resolve import Request

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DIGEST = "ab" * 32
texts = st.text(st.characters(codec="utf-8"), max_size=12)
plain = st.recursive(
    texts | st.integers(-(2**60), 2**60) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(texts, plain, max_size=4))
def test_what_is_written_is_read_back(values: dict[str, Any]) -> None:
    lines = [f"{toml_writer.key(name)} = {toml_writer.value(value)}" for name, value in values.items()]
    assert tomllib.loads("\n".join(lines)) == values


def locked(name: str, version: str = "1.0.0", **fields: Any) -> LockedPlugin:
    artifact = ArtifactEntry("a.zip", DIGEST, "zip", 5)
    given = {"registry": "public", "manifest": FilePin(3, DIGEST), "artifact": (artifact,), **fields}
    return LockedPlugin(name=name, version=version, **given)


FULL = locked(
    "acme/full",
    "1.0.0-rc.1+b.2",
    wanted="^1",
    channel="beta",
    pre=True,
    dependencies={"acme/base": "^1", 'z/"z': ">=1 <2"},
    selector={"match_expressions": [{"key": "gpu", "operator": "In", "values": ["a100", 'x"y']}]},
    tags=("cuda-11.8",),
    min_host_version="3.0.0",
    artifact=(
        ArtifactEntry(
            "l.tar.gz", DIGEST, "tar.gz", url="https://x.example/l", selector={"match_labels": {"os": "linux"}},
            tags=("t",), bin="bin/x", files=(MappedFile("a/*", "b"),),
        ),
        ArtifactEntry("m.zip", DIGEST, "zip", 0),
    ),
)  # fmt: skip


def test_a_lock_is_read_back_whole_and_in_one_order() -> None:
    one, two = locked("acme/base", wanted="*"), locked("b/c", artifact=())
    text = lock_text(LockDocument(plugin=(two, FULL, one)))
    assert text == lock_text(LockDocument(plugin=(FULL, one, two)))
    assert parse_lock(text) == LockDocument(plugin=(one, FULL, two))


def test_branches_that_lock_different_plugins_merge(tmp_path: Path) -> None:
    def git(*args: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *args], cwd=tmp_path, check=True, capture_output=True)

    path = tmp_path / "sealdex.lock"
    base = [locked("a/a"), locked("m/m"), locked("z/z")]
    git("init", "-b", "main")

    def commit(*plugins: LockedPlugin) -> None:
        path.write_text(lock_text(LockDocument(plugin=plugins)))
        git("add", ".")
        git("commit", "-m", "x")

    commit(*base)
    git("checkout", "-b", "other")
    commit(locked("a/a", "2.0.0"), locked("b/b"), *base[1:])
    git("checkout", "main")
    commit(*base[:2], locked("z/z", "3.0.0"))
    git("merge", "other")
    merged = parse_lock(path.read_text())
    assert [f"{p.name} {p.version}" for p in merged.plugin] == ["a/a 2.0.0", "b/b 1.0.0", "m/m 1.0.0", "z/z 3.0.0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< HEAD", "is not valid TOML"),
        ("version = 0", "version"),
        ('[[plugin]]\nname = "a/a"', "is missing"),
        (lock_text(LockDocument(plugin=(locked("../x"),))), "namespace '..'"),
        (lock_text(LockDocument(plugin=(locked("a/a", "1.0"),))), "1.0"),
        (lock_text(LockDocument(plugin=(locked("a/a"), locked("a/a", "2.0.0")))), "locked twice"),
        (lock_text(LockDocument(plugin=(locked("a/a"),))).replace(DIGEST, "xyz"), "sha256"),
        (lock_text(LockDocument(plugin=(locked("a/a"),))).replace("a.zip", "../a.zip"), "file"),
    ],
)  # fmt: skip
def test_what_is_no_lock(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_lock(text)


def test_a_lock_of_a_newer_sealdex() -> None:
    with pytest.raises(FormatTooNewError, match="format 2"):
        parse_lock("version = 2")


def test_staleness_names_every_reason() -> None:
    app = locked("a/app", wanted="^1", dependencies={"a/base": "^2", "a/gone": "*"})
    lock = LockDocument(plugin=(app, locked("a/base"), locked("a/old", wanted="*"), locked("a/stray")))
    requests = {app.id: Request(app.id, "^1"), locked("a/new").id: Request(locked("a/new").id, "*")}
    assert staleness(requests, lock) == [
        "a/new is requested but not locked",
        "a/old is locked as requested but no longer is",
        "a/app 1.0.0 needs a/base ^2, but 1.0.0 is locked",
        "a/app 1.0.0 needs a/gone, which is not locked",
        "a/base is locked but nothing needs it",
        "a/old is locked but nothing needs it",
        "a/stray is locked but nothing needs it",
    ]


def test_differences_are_said_by_name() -> None:
    before = LockDocument(plugin=(locked("a/a"), locked("b/b"), locked("c/c")))
    after = LockDocument(plugin=(locked("b/b", "2.0.0"), locked("c/c", artifact=()), locked("d/d")))
    assert list(map(str, differences(before, after))) == [
        "- a/a 1.0.0",
        "~ b/b 1.0.0 -> 2.0.0",
        "~ c/c 1.0.0 (other pins)",
        "+ d/d 1.0.0",
    ]
