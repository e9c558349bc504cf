"""What an output is named after is no file: a device or pipe is told, and never replaced by a file.

A rename over ``/dev/null`` as root puts a file in its place, and every program of the host that writes there fills it.
The tests use a named pipe, which anybody may make.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_builder.source.atomic_write import replace_file as replace_in_tree
from sealdex import disk
from sealdex.config.edit import replace_file as replace_config
from sealdex.errors import ConfigError
from sealdex.metrics import Metrics


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "pipe"
    path.parent.mkdir()
    os.mkfifo(path)
    return path


def is_untouched(pipe: Path) -> bool:
    return stat.S_ISFIFO(pipe.lstat().st_mode) and [each.name for each in pipe.parent.iterdir()] == [pipe.name]


@pytest.mark.parametrize("write", [replace_in_tree, replace_config])
def test_a_file_of_a_name_that_a_person_gave(pipe: Path, write: Callable[[Path, bytes], None]) -> None:
    with pytest.raises(OSError, match="isn't replaced"):
        write(pipe, b"text")
    assert is_untouched(pipe)
    write(pipe.with_name("file"), b"text")
    write(pipe.with_name("file"), b"more")
    assert pipe.with_name("file").read_bytes() == b"more"


def test_a_link_to_one_is_followed_where_links_are_kept(pipe: Path, tmp_path: Path) -> None:
    link = tmp_path / "config.toml"
    link.symlink_to(pipe)
    with pytest.raises(OSError, match="isn't replaced"):
        replace_config(link, b"text")
    assert is_untouched(pipe)
    assert link.is_symlink()


def test_metrics(pipe: Path) -> None:
    with pytest.raises(ConfigError, match="not a file"):
        Metrics().add_to_textfile(pipe)
    assert is_untouched(pipe)


def test_every_rename_over_a_name_asks_first(pipe: Path, tmp_path: Path) -> None:
    (tmp_path / "draft").write_bytes(b"text")
    with pytest.raises(OSError, match="isn't replaced"):
        disk.replace(tmp_path / "draft", pipe)
    assert is_untouched(pipe)
    assert (tmp_path / "draft").exists()
