"""The plugins of examples/, each run as its type is: installed from their sources with their own manifests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.places import REPOSITORY
from support.plugin_store import PluginStore

from registry_builder.source.yaml12 import read_yaml
from sealdex.model.ids import PluginId
from sealdex.model.index import Mismatch, find_mismatch
from sealdex.model.release import Release
from sealdex.runtime import PluginManager, Services
from sealdex.store.installations import Installation

EXAMPLES = REPOSITORY / "examples" / "plugins"


def manifest(plugin: str) -> dict[str, Any]:
    values: dict[str, Any] = read_yaml((EXAMPLES / plugin / "release.yaml").read_bytes())
    return {key: value for key, value in values.items() if key not in {"artifacts", "version", "dependencies"}}


def installed(plugins: PluginStore, plugin: str, version: str, below: str = "src", **fields: Any) -> Installation:
    folder = EXAMPLES / plugin / below
    files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.*") if p.suffix != ".pyc"}
    files |= {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("bin/*")}
    return plugins.install(plugin, version, files, **fields, **manifest(plugin))


def test_two_versions_of_the_algorithm_in_one_process(plugins: PluginStore, manager: PluginManager) -> None:
    for version in ("1.0.0", "1.1.0"):
        installed(plugins, "robotics/kalman", version, f"src/{version[:3]}")
        manager.register("robotics/kalman", version=version, name=version, config={"process_noise": 1e-3})
    manager.init()
    ramp = [float(n) for n in range(200)]
    lag = {}
    for version in ("1.0.0", "1.1.0"):
        kalman = manager.get(version)
        lag[version] = abs([kalman.update(each) for each in ramp][-1] - ramp[-1])
    assert lag["1.1.0"] < 0.01
    assert lag["1.0.0"] > 1  # only 1.1.0 knows of velocity


def test_the_notify_plugin(plugins: PluginStore, manager: PluginManager, capsys: pytest.CaptureFixture[str]) -> None:
    installed(plugins, "acme/console-notify", "1.2.0")
    manager.register("acme/console-notify", config={"prefix": "[here]"})
    manager.init()
    assert manager.call("acme/console-notify", "send", "hello").endswith(" [here] hello")
    assert capsys.readouterr().out.endswith(" [here] hello\n")


def test_both_builds_of_the_driver_and_whom_they_are_for(plugins: PluginStore, manager: PluginManager) -> None:
    for version, below in (("2.1.0", "src/jetpack"), ("2.1.1", "src/simulated")):
        installed(plugins, "robotics/hal-motor", version, below)
    manager.register("robotics/hal-motor", version="2.1.1")
    manager.init()
    assert type(manager.get("robotics/hal-motor")).__name__ == "Motor"
    stated = read_yaml((EXAMPLES / "robotics/hal-motor/release.yaml").read_bytes())["artifacts"]
    tags = [tuple(artifact.get("tags", ())) for artifact in stated]
    assert ("jetpack-5",) in tags
    from sealdex import Environment  # noqa: PLC0415  # only here

    assert find_mismatch({}, ("jetpack-5",), Environment(tags=frozenset({"jetpack-5"}))) is None
    assert find_mismatch({}, ("jetpack-5",), Environment()) == Mismatch("needs tag jetpack-5", ("jetpack-5",))


def test_the_build_step(plugins: PluginStore) -> None:
    installation = installed(plugins, "acme/shell-step", "0.3.0", bin_path="bin/step")
    step = [str(Path(installation.path, "bin/step")), "echo one", "exit 3", "echo never"]
    done = subprocess.run(step, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (3, ["+ echo one", "one", "+ exit 3"])


def test_the_training_script_writes_the_model_that_is_published(plugins: PluginStore, tmp_path: Path) -> None:
    script = Path(installed(plugins, "vision/train-blobs", "1.0.0").path, "train.py")
    out = tmp_path / "blobs.json"
    subprocess.run([sys.executable, str(script), "--out", str(out), "--seed", "1"], check=True, capture_output=True)
    assert out.read_bytes() == (EXAMPLES / "vision/blob-model/src/blobs.json").read_bytes()


def test_the_service_has_its_model(plugins: PluginStore) -> None:
    installation = installed(plugins, "speech/echo-service", "1.0.0")
    plan = Services(plugins.store).plan(PluginId("speech", "echo-service"), port=0)
    assert Path(plan.env["MODELS_DIR"], "tts", "voice", "voice.json").is_file()
    assert plan.folder == Path(installation.path)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*/release.yaml")), ids=lambda path: path.parent.name)
def test_manifests_of_the_examples_state_what_a_runtime_needs(path: Path) -> None:
    values = manifest(f"{path.parts[-3]}/{path.parts[-2]}")
    kind = (values.get("runtime") or {}).get("kind")
    if kind == "process":
        assert (path.parent / "src" / values["entry_point"].split()[-1]).is_file()
    assert set(values) <= set(Release.__struct_fields__)
