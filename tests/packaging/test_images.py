"""The Dockerfiles: linted by hadolint where it is, and what they promise read off them. `make images` builds them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.components import missing
from support.places import REPOSITORY

FILES = sorted((REPOSITORY / "packaging" / "docker").glob("*.Dockerfile"))
BESIDE = str(Path(sys.executable).parent)


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def text(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text(encoding="utf-8")


def test_there_is_one_for_the_client_and_one_for_the_builder() -> None:
    assert [path.name for path in FILES] == ["builder.Dockerfile", "client.Dockerfile"]


def test_the_base_is_named_by_who_builds(text: str) -> None:
    assert re.search(r"^ARG BASE$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}


def test_packages_are_pinned_by_digest_and_pip_stays_behind(text: str) -> None:
    assert "--require-hashes" in text
    assert re.search(r"pip uninstall --yes --quiet pip$", text, re.MULTILINE)
    for path in re.findall(r"pins/\S+\.txt", text):
        assert (REPOSITORY / path).is_file()


def test_it_does_not_run_as_root(text: str) -> None:
    last = text.rpartition("FROM ")[2]
    (user,) = re.findall(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    assert user == ("10001", "10001")
    assert last.index("USER") < last.index("ENTRYPOINT")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = shutil.which("hadolint", path=BESIDE)
    if hadolint is None:
        missing("hadolint", "scripts/setup.sh test")
    done = subprocess.run([str(hadolint), str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
