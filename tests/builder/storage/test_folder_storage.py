"""What only the folder storage can get wrong: killed writers, its locks, its leftovers, durability."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from registry_builder.storage import Body, ObjectConflictError, PutOutcome, _anonymous_file, headers_for
from registry_builder.storage import folder as folder_module
from registry_builder.storage.folder import TEMPORARY_FOLDER, FolderStorage
from sealdex.errors import UnavailableError

if TYPE_CHECKING:
    from types import ModuleType

KEY = "plugins/acme/slack/1.0.0/slack.zip"
HEADERS = headers_for(KEY)
CONTENDERS = 8

# Writes, for ever, immutable files named by their digest and one mutable file that carries its own.
ENDLESS_WRITER = """
import hashlib, itertools, os, sys
from pathlib import Path
from registry_builder.storage import Body, headers_for
from registry_builder.storage.folder import FolderStorage
storage = FolderStorage(Path(sys.argv[1]))
swapped = Path(sys.argv[1]) / "swapped.bin"
etag = storage.get("swapped.bin", max_bytes=1 << 20).etag if swapped.exists() else None
for number in itertools.count():
    data = os.urandom(300_000)
    digest = hashlib.sha256(data).hexdigest()
    storage.put_new(f"plugins/{number % 3}/{digest}.bin", Body.of_bytes(data, headers_for("x")))
    storage.put_mutable("recent.bin", Body.of_bytes(bytes.fromhex(digest) + data, headers_for("x")))
    etag = storage.put_if_match("swapped.bin", Body.of_bytes(bytes.fromhex(digest) + data, headers_for("x")), etag)
    print(number, flush=True)
"""

ONE_FILE_WRITER = """
import sys
from pathlib import Path
from registry_builder.storage import Body, headers_for
from registry_builder.storage.folder import FolderStorage
root, key, source, size, sha256 = sys.argv[1:]
body = Body.of_file(Path(source), headers_for(key), size=int(size), sha256=sha256)
FolderStorage(Path(root)).put_new(key, body)
"""

WITHOUT_NAMELESS = """
import registry_builder.storage.folder as folder
from registry_builder.storage._anonymous_file import NamelessUnsupportedError
def unsupported(path, fill):
    raise NamelessUnsupportedError
folder.create_nameless = unsupported
"""

CONTENDER = """
import sys
from pathlib import Path
from registry_builder.storage import Body, LostRaceError, ObjectConflictError, headers_for
from registry_builder.storage.folder import FolderStorage
root, name = sys.argv[1:]
storage = FolderStorage(Path(root))
body = Body.of_bytes(name.encode(), headers_for("x.json"))
print("ready", flush=True)
sys.stdin.readline()
try:
    storage.put_new("created.json", body)
    print("created")
except ObjectConflictError:
    pass
try:
    storage.put_if_match("swapped.json", body, None)
    print("swapped")
except LostRaceError:
    pass
"""


def python(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def published(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and TEMPORARY_FOLDER not in path.parts]


def temporary(root: Path) -> list[Path]:
    return [path for path in (root / TEMPORARY_FOLDER).glob("*/*") if path.is_file()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "published"


def feed(pipe: BinaryIO, content: memoryview) -> None:
    """Write all of ``content``; on return at most 64 KiB of it, what a pipe holds, have not been read yet."""
    while content:
        content = content[pipe.write(content) :]


def test_a_killed_writer_leaves_whole_files_only(root: Path) -> None:
    for lines in (1, 3, 8):
        with python(ENDLESS_WRITER, root) as process:
            assert process.stdout is not None
            for _ in range(lines):
                assert process.stdout.readline()
            process.kill()
    files = published(root)
    assert len(files) >= 1 + 3 + 8 + 2
    for path in files:
        data = path.read_bytes()
        if path.parent == root:
            assert hashlib.sha256(data[32:]).digest() == data[:32], path
        else:
            assert hashlib.sha256(data).hexdigest() == path.stem, path


@pytest.mark.parametrize("script", [ONE_FILE_WRITER, WITHOUT_NAMELESS + ONE_FILE_WRITER])
def test_a_writer_killed_in_the_middle_of_a_file_leaves_no_name(root: Path, tmp_path: Path, script: str) -> None:
    content = os.urandom(4 << 20)
    pipe = tmp_path / "archive"
    os.mkfifo(pipe)
    digest = hashlib.sha256(content).hexdigest()
    writer = python(script, root, KEY, pipe, str(len(content)), digest)
    with writer as process, pipe.open("wb", buffering=0) as file:
        feed(file, memoryview(content)[: 3 << 20])  # so the writer has stored the first of its 1 MiB chunks
        process.kill()
        process.wait()
    assert [path.stat().st_size > 0 for path in temporary(root)] == [True] * (script != ONE_FILE_WRITER)
    assert published(root) == []

    body = Body.of_bytes(content, HEADERS)
    storage = FolderStorage(root)
    assert storage.put_new(KEY, body) is PutOutcome.CREATED
    storage.put_if_match("metadata/timestamp.json", body, None)
    (root / "metadata/timestamp.json").unlink()
    assert temporary(root) == []
    assert [path.read_bytes() for path in published(root)] == [content]


def test_a_writer_that_lives_keeps_its_temporary_file(root: Path, tmp_path: Path) -> None:
    content = os.urandom(4 << 20)
    pipe = tmp_path / "archive"
    os.mkfifo(pipe)
    digest = hashlib.sha256(content).hexdigest()
    with python(WITHOUT_NAMELESS + ONE_FILE_WRITER, root, KEY, pipe, str(len(content)), digest) as process:
        with pipe.open("wb", buffering=0) as file:
            feed(file, memoryview(content)[: 3 << 20])
            FolderStorage(root).put_if_match("index.html", Body.of_bytes(b"page", HEADERS), None)
            assert len(temporary(root)) == 1
            feed(file, memoryview(content)[3 << 20 :])
        assert process.wait() == 0
    assert (root / KEY).read_bytes() == content


def test_nothing_is_left_in_the_temporary_folder_by_a_writer_that_ends(root: Path) -> None:
    storage = FolderStorage(root)
    storage.put_if_match(KEY, Body.of_bytes(b"one", HEADERS), None)
    with pytest.raises(ObjectConflictError):
        storage.put_new(KEY, Body.of_bytes(b"two", HEADERS))
    assert temporary(root) == []
    del storage
    assert [path.name for path in (root / TEMPORARY_FOLDER).iterdir()] in ([], ["lock"])


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL])
def test_a_file_system_without_nameless_files_gets_its_files_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    class Refusing:
        """The module os as the storage sees it; other libraries (file locks) may open nameless files of their own."""

        asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                self.asked += 1
                raise OSError(code, os.strerror(code))
            return os.open(path, flags, *arguments, **options)

    root.mkdir()
    refusing = Refusing()
    monkeypatch.setattr(_anonymous_file, "os", refusing)
    storage = FolderStorage(root)
    for key in ("a.json", "b/c.json"):
        assert storage.put_new(key, Body.of_bytes(key.encode(), HEADERS)) is PutOutcome.CREATED
        with pytest.raises(ObjectConflictError):
            storage.put_new(key, Body.of_bytes(b"other", HEADERS))
    assert refusing.asked == 1
    assert sorted(path.read_text() for path in published(root)) == ["a.json", "b/c.json"]


def test_one_of_many_processes_wins(root: Path) -> None:
    processes = [python(CONTENDER, root, f"writer {number}") for number in range(CONTENDERS)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    results = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        results.append(process.communicate()[0].split())
        assert process.returncode == 0
    for won, file in (("created", "created.json"), ("swapped", "swapped.json")):
        winners = [number for number, result in enumerate(results) if won in result]
        assert len(winners) == 1
        assert (root / file).read_text() == f"writer {winners[0]}"


def test_the_commit_point_is_durable_before_it_is_visible(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def record(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def recorded(*arguments: Any, **options: Any) -> None:
            real(*arguments, **options)
            calls.append(name)

        monkeypatch.setattr(module, name, recorded)

    for name in ("fsync", "replace", "link"):
        record(os, name)
    record(folder_module, "sync_filesystem")
    storage = FolderStorage(root)
    storage.flush()
    assert calls == []  # nothing was written, so there is nothing to wait for
    storage.put_new(KEY, Body.of_bytes(b"one", HEADERS))
    storage.flush()
    storage.put_if_match("metadata/timestamp.json", Body.of_bytes(b"one", HEADERS), None)
    assert calls == ["link", "sync_filesystem", "fsync", "replace", "fsync"]


def test_a_file_that_a_power_failure_emptied_is_named_as_such(root: Path) -> None:
    FolderStorage(root).put_new(KEY, Body.of_bytes(b"", HEADERS))
    with pytest.raises(ObjectConflictError) as caught:
        FolderStorage(root).put_new(KEY, Body.of_bytes(b"one", HEADERS))
    assert "power failure" in (caught.value.hint or "")


def test_a_folder_that_refuses_is_reported_with_what_helps(root: Path) -> None:
    storage = FolderStorage(root)
    storage.put_new("plugins", Body.of_bytes(b"a file in the way", HEADERS))
    with pytest.raises(UnavailableError, match=KEY) as caught:
        storage.put_new(KEY, Body.of_bytes(b"one", HEADERS))
    assert caught.value.exit_code == 5
    assert "a file is in the place of a folder" in (caught.value.hint or "")
    assert temporary(root) == []


def test_a_full_disk_leaves_no_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FolderStorage(root)
    storage.put_new("first.json", Body.of_bytes(b"one", HEADERS))

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UnavailableError, match="No space left"):
        storage.put_new(KEY, Body.of_bytes(b"one", HEADERS))
    assert temporary(root) == []
    assert published(root) == [root / "first.json"]


def test_a_short_write_is_continued(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    FolderStorage(root).put_new(KEY, Body.of_bytes(b"ten bytes!", HEADERS))
    assert (root / KEY).read_bytes() == b"ten bytes!"
