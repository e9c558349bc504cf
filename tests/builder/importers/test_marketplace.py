"""`import marketplace`: PluginDetails and RegisterPluginRequest as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ImportScene, sha256, zip_with
from support.tree_server import TreeServer

DATA = zip_with({"driver.txt": "1"})
DIGEST = "c" * 64


def details(**fields: Any) -> dict[str, Any]:
    return {
        "id": {"namespace": "robotics", "name": "lidar-driver"},
        "type": "HAL_DRIVER",
        "description": "激光雷达驱动",
        "versions": ["1.0.0", "1.1.0"],
        **fields,
    }


def written(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    return path


def test_messages_are_imported_published_and_installed(scene: ImportScene, tmp_path: Path, server: TreeServer) -> None:
    server.files = {"lidar-driver/1.0.0.zip": DATA, "lidar-driver/1.1.0.zip": DATA + b"", "m.zip": zip_with({"m": "m"})}
    request = {
        "name": "mobilenet",
        "type": 3,
        "version": "2.0.0",
        "downloadUrl": f"{server.url}/m.zip",
        "author": "Kim",
    }
    image = details(
        id="robotics/planner",
        type=2,
        versions=["1.0.0", "2.0.0"],
        downloads=None,
        compatibilityTags=["cuda-11.8"],
        keywords=["slam", "建图"],
        visibility="private",
        stars=5,
    )
    downloads = {
        "robotics/planner": {
            "1.0.0": f"harbor.example/robotics/planner@sha256:{DIGEST}",
            "2.0.0": {"downloadUrl": f"oci:harbor.example/robotics/planner@sha256:{DIGEST}"},
        }
    }
    path = written(tmp_path / "m.json", {"plugins": [details(), image], "requests": [request], "downloads": downloads})
    args = ("marketplace", path, "--downloads", f"{server.url}/{{name}}/{{version}}.zip")
    ran = scene.run(*args)
    assert ran.code == 0
    assert ran.releases == [
        "marketplace/mobilenet@2.0.0",
        "robotics/lidar-driver@1.0.0",
        "robotics/lidar-driver@1.1.0",
        "robotics/planner@1.0.0",
        "robotics/planner@2.0.0",
    ]
    assert scene.plugin("robotics/lidar-driver").plugin.type == "hal-driver"
    assert scene.plugin("marketplace/mobilenet").plugin.type == "training-script"
    planner = scene.release("robotics/planner", "2.0.0")
    assert planner.artifacts[0].source == f"oci:harbor.example/robotics/planner@sha256:{DIGEST}"
    assert planner.tags == ("cuda-11.8",)
    assert scene.record("robotics/planner", "1.0.0")["fields"] == {"stars": 5}
    assert any("private" in reason for reason in ran.reasons.values())
    assert scene.release("robotics/lidar-driver", "1.0.0").artifacts[0].sha256 == sha256(DATA)
    scene.assert_again_changes_nothing(*args)
    with scene.installed("robotics/lidar-driver@1.1.0") as folder:
        assert (folder / "driver.txt").read_text() == "1"


def test_every_problem_is_named(scene: ImportScene, tmp_path: Path) -> None:
    messages = [
        details(id={}, versions=["1.0.0"]),
        details(id="a", type=9, versions=[]),
        details(id="b", type="TYPE_UNSPECIFIED", versions=[1]),
        details(id="c", versions=["1.0.0"]),
        details(id="d", versions=["1.0.0"], download_url="harbor.example/robotics/d:1.0.0"),
        details(id="e", versions=["1.0.0"], download_url="ftp://x/y.zip"),
        details(id="f", versions=["1.0.0"], download_url="https://x/y.zip", checksum="abc", size=-1),
        details(id="g", versions=["1.0.0", "latest"], download_url="https://files.example/g.zip", sha256=DIGEST),
        details(id="g", versions=["1.0.0"]),
        details(id="驱动", versions=["1.0.0"], download_url="https://files.example/g.zip", sha256=DIGEST),
    ]
    ran = scene.run("marketplace", written(tmp_path / "m.json", messages))
    assert (ran.code, ran.releases) == (1, ["marketplace/g@1.0.0"])
    said = "\n".join(e["reason"] for e in ran.document["not_imported"])
    for each in (
        "id: is missing",
        "type: is missing or unknown",
        "versions: is empty",
        "versions[0]: is '1'",
        "download_url: is missing",
        "is a tag of a container image",
        "neither an http(s) address nor an image",
        "sha256: is not a sha256 digest",
        "size: is -1",
        "version: 'latest' is not a semantic version",
        "'g' is given twice",
        "letters that an identifier can't have",
    ):
        assert each in said, each
    scene.assert_valid()


@pytest.mark.parametrize("values", [[5], {"other": 1}, {"plugins": 5}, {"plugins": [], "downloads": []}, "text"])
def test_files_that_are_no_messages(scene: ImportScene, tmp_path: Path, values: object) -> None:
    assert scene.run("marketplace", written(tmp_path / "m.json", values)).code == 2


@pytest.mark.parametrize(
    "fields", [{"visibility": "internal"}, {"visibility": "Org"}, {"private": 1}, {"private": "yes"}]
)
def test_what_isnt_for_everybody_is_told(scene: ImportScene, tmp_path: Path, fields: dict[str, Any]) -> None:
    """The registry that it is imported into may be public."""
    about = {"id": "robotics/lidar", "type": "HAL_DRIVER", "description": "x", "versions": ["1.0.0"], **fields}
    (tmp_path / "m.json").write_text(
        json.dumps([{**about, "download_url": "https://x.example/a.zip", "sha256": "0" * 64}])
    )
    ran = scene.run("marketplace", tmp_path / "m.json", "--dry-run")
    assert "is decided by the realm" in ran.said
