"""The plugins of examples/ on their whole way: released, published, installed as an agent does, and run there."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call
from support.places import REPOSITORY

from sealdex.cli.main import main
from sealdex.runtime import PluginManager

EXAMPLES = REPOSITORY / "examples"
RELEASES: list[tuple[list[list[str]], list[str]]] = runpy.run_path(str(REPOSITORY / "scripts" / "demo.py"))["RELEASES"]

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source tree with the examples, released and published as the demo does it; nobody writes to it again."""
    root = tmp_path_factory.mktemp("examples") / "registry"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEALDEX_KEYS", str(root.parent / "keys"))
        patch.setenv("XDG_STATE_HOME", str(root.parent / "state"))
        patch.chdir(root.parent)
        assert call(root.parent, "init", str(root), "--dev-keys") == 0
        shutil.copytree(EXAMPLES / "plugins", root / "plugins", dirs_exist_ok=True)
        patch.chdir(root)
        for packs, release in RELEASES:
            for arguments in packs:
                assert call(root, "pack", *arguments) == 0
            assert call(root, "release", *release) == 0
        assert call(root, "publish", "--no-site") == 0
    return root


@pytest.fixture
def sealdex(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command of an agent that knows the registry; return its JSON document."""
    published = next((registry / "published").rglob("metadata/timestamp.json")).parents[1]
    config = tmp_path / "config.toml"
    root = registry / "trust" / "public" / "1.root.json"
    config.write_text(f'[registries.examples]\nurl = "{published.as_uri()}"\nroot = "{root}"\n')
    monkeypatch.setenv("SEALDEX_CONFIG", str(config))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))

    def run(*args: str) -> Any:
        capsys.readouterr()
        code = main([*args, "--json"])
        printed = capsys.readouterr()
        assert code == 0, printed.out + printed.err
        return json.loads(printed.out)

    return run


def python(*args: str, cwd: Path) -> str:
    return subprocess.run([sys.executable, *args], cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_the_application_suite_brings_what_it_depends_on_and_its_cell_runs(sealdex: Command, tmp_path: Path) -> None:
    sealdex("install", "robotics/pick-and-place")
    installed = {f"{i['namespace']}/{i['name']}": i["version"] for i in sealdex("list")["installed"]}
    assert installed == {
        "robotics/hal-motor": "2.1.0",
        "robotics/kalman": "1.1.0",
        "robotics/pick-and-place": "1.0.0",
        "vision/blob-model": "1.0.0",
    }
    readme = (EXAMPLES / "plugins/robotics/pick-and-place/README.md").read_text()
    code = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "cell.py").write_text(code[0])
    ((command, said),) = re.findall(r"`python3 (cell\.py .*?)` says `(.*?)`", readme)
    assert python(*command.split(), cwd=tmp_path) == f"{said}\n"


def test_a_host_with_the_boards_tag_gets_the_real_driver(
    sealdex: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALDEX_ENVIRONMENT_TAGS", "jetpack-5")
    monkeypatch.setenv("SEALDEX_ENVIRONMENT_LABELS", "os=linux,arch=arm64")
    sealdex("install", "robotics/hal-motor")
    pwm = tmp_path / "pwm0"
    pwm.mkdir()
    (pwm / "period").write_text("20000")
    with PluginManager(tmp_path / "store") as plugins:
        plugins.register("robotics/hal-motor", config={"pwm": str(pwm)})
        plugins.init()
        assert plugins.call("robotics/hal-motor", "step", 1500, 0.1) == 1500
    assert (pwm / "duty_cycle").read_text() == "10000"


def test_two_versions_of_the_algorithm_are_installed_side_by_side(sealdex: Command, tmp_path: Path) -> None:
    sealdex("install", "robotics/kalman@=1.0.0")
    sealdex("update", "robotics/kalman")
    lag = {}
    with PluginManager(tmp_path / "store") as plugins:
        for version in ("1.0.0", "1.1.0"):
            plugins.register("robotics/kalman", version=version, name=version)
        plugins.init()
        for version in ("1.0.0", "1.1.0"):
            lag[version] = 199 - [plugins.call(version, "update", float(n)) for n in range(200)][-1]
    assert lag["1.0.0"] > 1 > abs(lag["1.1.0"])


def test_the_notify_plugins_and_the_build_steps_run_in_a_job(sealdex: Command, tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    needed = [("acme/console-notify", "1.2.0", ""), ("acme/shell-step", "0.3.0", ""), ("acme/host-report", "1.0.0", "")]
    needed.append(("acme/journal-notify", "1.0.0", f"config = {{ path = '{tmp_path / 'journal'}' }}"))
    plugins = "".join(f'[[plugins]]\nplugin_id = "{p}"\nversion = "{v}"\n{config}\n' for p, v, config in needed)
    job.write_text(f'job_id = "j"\ncommands = ["step \'echo one\' > {tmp_path}/said"]\n{plugins}')
    done = sealdex("job", "run", str(job))
    assert done["success"]
    stages = {(r["plugin_name"], r["stage"]) for r in done["plugin_results"] if r["success"]}
    for name in ("console-notify", "journal-notify", "host-report"):
        assert {(name, "load"), (name, "before"), (name, "on_success"), (name, "after")} <= stages
    assert (tmp_path / "said").read_text() == "+ echo one\none\n"
    lines = [line.split(" ", 1)[1] for line in (tmp_path / "journal").read_text().splitlines()]
    assert lines == ["Job j before", "Job j on_success", "Job j after"]


def test_the_service_package_runs_with_the_model_it_brought(sealdex: Command) -> None:
    sealdex("install", "speech/echo-service")
    started = sealdex("run", "speech/echo-service", "--detach", "--port", "0")
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{started['port']}/say", data=b"hello robot", timeout=60
        ) as answer:
            assert json.load(answer) == {"text": "You said: hello colleague"}
        assert started["health"] == "healthy"
    finally:
        sealdex("stop", "speech/echo-service")


def test_the_training_script_writes_the_model_and_a_pipeline_publishes_it(
    sealdex: Command, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script as installed, its model published as the next release in a copy of the registry, then installed."""
    sealdex("install", "vision/train-blobs", "vision/blob-model")
    script = Path(sealdex("path", "vision/train-blobs")["path"], "train.py")
    assert "accuracy 0.9" in python(str(script), "--out", "blobs.json", "--seed", "1", cwd=tmp_path)
    before = Path(sealdex("path", "vision/blob-model")["path"], "blobs.json")
    assert (tmp_path / "blobs.json").read_bytes() == before.read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(registry, copy)
    monkeypatch.setenv("SEALDEX_KEYS", str(registry.parent / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    python(str(EXAMPLES / "pipelines" / "train_and_publish.py"), str(copy), "1.1.0", "--seed", "2", cwd=tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace(str(registry), str(copy)))
    assert sealdex("update", "vision/blob-model")
    model = json.loads(Path(sealdex("path", "vision/blob-model")["path"], "blobs.json").read_text())
    assert model["seed"] == 2
