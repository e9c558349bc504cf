"""Releasing and publishing from programs: idempotent, structured, and as the example pipelines do it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.places import REPOSITORY
from support.source_trees import Tree

import registry_builder
from registry_builder.authoring.release import Archive
from registry_builder.publication.publish import PublishResult
from sealdex import Client
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.resolve.search import Query

EXAMPLES = REPOSITORY / "examples"
PLUGIN = "vision/blob-model"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree.make(tmp_path / "source")
    for plugin in ("vision/blob-model", "vision/train-blobs"):
        shutil.copytree(EXAMPLES / "plugins" / plugin, made.root / "plugins" / plugin)
    return made


def folder_with(tmp_path: Path, name: str, data: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "blobs.json").write_text(data)
    return folder


def publish_all(tree: Tree) -> list[PublishResult]:
    return registry_builder.publish(tree.root)


def test_a_release_again_is_a_success_and_another_one_of_its_version_an_error(tree: Tree, tmp_path: Path) -> None:
    model = folder_with(tmp_path, "model", "{}")
    first = registry_builder.release(tree.root, PLUGIN, "1.1.0", [model])
    assert first.written
    assert first.file.is_file()
    assert list(first.artifacts) == ["blob-model-1.1.0.zip"]
    before = {path: path.read_bytes() for path in tree.root.rglob("*") if path.is_file()}
    again = registry_builder.release(str(tree.root), PLUGIN, "1.1.0", [model])
    assert (again.written, again.artifacts) == (False, first.artifacts)
    with pytest.raises(ConfigError):
        registry_builder.release(tree.root, PLUGIN, "1.1.0", [folder_with(tmp_path, "other", "[]")])
    assert before == {path: path.read_bytes() for path in tree.root.rglob("*") if path.is_file()}


def test_publish_returns_what_it_did_and_the_second_time_nothing(tree: Tree, tmp_path: Path) -> None:
    registry_builder.release(tree.root, PLUGIN, "1.1.0", [folder_with(tmp_path, "model", "{}")])
    dry = registry_builder.publish(tree.root, dry_run=True)
    assert [str(plugin) for plugin, _ in dry[0].plan.new_releases] == [PLUGIN]
    assert not dry[0].committed
    assert [result.committed for result in publish_all(tree)] == [True]
    assert [result.committed for result in publish_all(tree)] == [False]
    (only,) = registry_builder.publish(tree.root, only=[PLUGIN])
    assert only.requests["PUT"] == 0


@pytest.mark.parametrize(
    ("do", "error"),
    [
        (lambda root: registry_builder.release(root, "nonsense", "1.0.0"), UsageError),
        (lambda root: registry_builder.release(root, "vision/none", "1.0.0"), NotFoundError),
        (lambda root: registry_builder.release(root, PLUGIN, "1.x"), UsageError),
        (lambda root: registry_builder.release(root, PLUGIN, "2.0.0", [root / "none.zip"]), NotFoundError),
        (lambda root: registry_builder.publish(root, only=["vision/none"]), NotFoundError),
        (lambda root: registry_builder.publish(root, realm="none"), NotFoundError),
        (lambda root: registry_builder.release(root, PLUGIN, "2.0.0", [Archive(root / "none.zip")]), NotFoundError),
    ],
)
def test_what_is_wrong_is_raised_and_nothing_written(tree: Tree, do: Callable[[Path], Any], error: type) -> None:
    with pytest.raises(error):
        do(tree.root)
    assert not (tree.root.parent / "published").exists()
    assert not (tree.root / "plugins/vision/blob-model/releases").exists()


def test_importing_the_package_loads_nothing_of_it() -> None:
    program = (
        "import sys, registry_builder; print([m for m in sys.modules if m.startswith(('registry_builder.', 'tuf'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_functions_stay_where_they_are_once_the_rooms_are_loaded() -> None:
    program = (
        "import registry_builder\n"
        "from registry_builder.publication.publish import open_publisher\n"
        "assert callable(registry_builder.publish) and callable(registry_builder.release)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_example_jobs_train_publish_evaluate_and_are_found(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_all(tree)
    url = (tmp_path / "published/public").as_uri()
    root = tree.root / "trust/public/1.root.json"
    config = tmp_path / "config.toml"
    config.write_text(f'[registries.acme]\nurl = "{url}"\nroot = "{root}"\n')
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))

    def job(name: str, *args: object, code: int = 0) -> str:
        command = [sys.executable, EXAMPLES / "pipelines" / name, tree.root, *args]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert "1.1.0: released\npublished" in job("train_and_publish.py", "1.1.0")
    assert "was released already\nwas published already" in job("train_and_publish.py", "1.1.0")
    assert "raise the version" in job("train_and_publish.py", "1.1.0", "--seed", 2, code=1)
    assert "accuracy 0.9" in job("evaluate_model.py", "1.1.0", "--config", config)
    assert "known already" in job("evaluate_model.py", "1.1.0", "--config", config)
    with Client(config) as client:
        found = client.search(Query(min_metrics={"accuracy": 0.9}))
        assert [(str(hit.row.id), hit.row.latest) for hit in found] == [(PLUGIN, "1.1.0")]
        report = json.loads(client.attachment(PLUGIN, "1.1.0", "accuracy.json"))
    assert report["metrics"] == found[0].row.metrics
