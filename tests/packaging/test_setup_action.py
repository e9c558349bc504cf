"""packaging/setup-sealdex: its steps, run as they are written by the shell that GitHub takes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_scene import make_scene
from support.components import missing
from support.distributions import built_release
from support.places import REPOSITORY

import sealdex

FOLDER = REPOSITORY / "packaging" / "setup-sealdex"
ACTION: dict[str, Any] = yaml.safe_load((FOLDER / "action.yml").read_text(encoding="utf-8"))
WHEEL = f"sealdex-{sealdex.__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, built here, beside the pinned ones."""
    pinned = Path(sys.prefix, "wheels")
    if not pinned.is_dir():
        missing("the folder of pinned wheels", "scripts/setup.sh test")
    folder = tmp_path_factory.mktemp("index")
    for wheel in (*pinned.glob("*.whl"), built_release(tmp_path_factory) / WHEEL):
        (folder / wheel.name).symlink_to(wheel)
    return folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SEALDEX_CONFIG", "SEALDEX_STORE"):
            patch.setenv(name, "")
        make_scene(folder)
    return folder


@dataclass
class Runner:
    """A runner, played here: what one step writes for the next, in files, as GitHub hands it on."""

    folder: Path
    index: Path
    workspace: Path
    output: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    def use(self, **inputs: str) -> int:
        """Run the steps; return the exit code of the first that fails, or 0."""
        files = {name: self.folder / name for name in ("GITHUB_PATH", "GITHUB_ENV", "GITHUB_OUTPUT")}
        values = {name: about.get("default", "") for name, about in ACTION["inputs"].items()} | inputs
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "SEALDEX"))}
        for step in ACTION["runs"]["steps"]:
            if "uses" in step or (step.get("if") and not values["registry"]):
                continue
            for path in files.values():
                path.touch()
            self.variables |= dict(line.split("=", 1) for line in files["GITHUB_ENV"].read_text().splitlines())
            paths = [*files["GITHUB_PATH"].read_text().split(), kept["PATH"]]
            own = {
                name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: values[found[1]], value)
                for name, value in step.get("env", {}).items()
            }
            environment = {
                **kept,
                "PIP_NO_INDEX": "1",
                "PIP_COMPILE": "0",  # it takes as long as all the rest
                "PIP_FIND_LINKS": str(self.index),
                "PIP_CONFIG_FILE": os.devnull,
                "RUNNER_TEMP": str(self.folder),
                "GITHUB_ACTION_PATH": str(FOLDER),
                **{name: str(path) for name, path in files.items()},
                **self.variables,
                **own,
                "PATH": os.pathsep.join(paths),
            }
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            ran = subprocess.run(
                command, cwd=self.workspace, env=environment, capture_output=True, text=True, check=False
            )
            self.output += ran.stdout + ran.stderr
            if ran.returncode:
                return ran.returncode
        return 0


@pytest.fixture
def runner(tmp_path: Path, index: Path, scene: Path) -> Runner:
    return Runner(tmp_path, index, scene)


def digest(index: Path) -> str:
    return hashlib.sha256((index / WHEEL).read_bytes()).hexdigest()


@pytest.mark.slow
def test_it_installs_adds_the_registry_and_brings_what_the_lock_pins(runner: Runner, index: Path, scene: Path) -> None:
    url = (scene / "published").as_uri() + "/"
    code = runner.use(
        version=sealdex.__version__, sha256=digest(index), registry=url, root="root.json", project="project"
    )
    assert code == 0, runner.output
    store = Path(runner.variables["SEALDEX_STORE"])
    assert (store / "plugins/acme/app/2.0.0/VERSION").read_bytes() == b"2.0.0"
    assert (store / "plugins/acme/base/2.0.0/VERSION").read_bytes() == b"2.0.0"
    assert (runner.folder / "GITHUB_OUTPUT").read_text() == f"store={store}\n"
    assert os.listdir(runner.folder / "sealdex/program") == ["sealdex"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"version": "0.2.0 evil", "sha256": "0" * 64}, "version must be one version"),
        ({"version": "$(touch ran)", "sha256": "0" * 64}, "version must be one version"),
        ({"version": "0.2.0\n--index-url=x", "sha256": "0" * 64}, "version must be one version"),
        ({"version": "0.2.0", "sha256": ""}, "sha256 must be 64"),
        ({"version": "0.2.0", "sha256": "0" * 64 + " --hash=sha256:" + "1" * 64}, "sha256 must be 64"),
    ],
)
def test_inputs_are_refused_before_anything_is_installed(runner: Runner, inputs: dict[str, str], said: str) -> None:
    assert runner.use(**inputs) == 2
    assert said in runner.output
    assert not (runner.folder / "sealdex").exists()
    assert not (runner.workspace / "ran").exists()


@pytest.mark.slow
def test_attack_another_wheel_under_the_pinned_version_is_refused(runner: Runner, index: Path) -> None:
    """Attack: whoever can put files on the index gives other bytes under the version that the workflow names."""
    assert runner.use(version=sealdex.__version__, sha256="0" * 64) != 0
    assert "hash" in runner.output.lower()
    assert not (runner.folder / "sealdex/bin/sealdex").exists()
    assert (runner.folder / "GITHUB_PATH").read_text() == ""


def test_a_registry_without_a_pinned_root_is_refused() -> None:
    (step,) = [step for step in ACTION["runs"]["steps"] if step.get("name") == "Add the registry"]
    for given in ({"ROOT": "", "FINGERPRINT": ""}, {"ROOT": "a", "FINGERPRINT": "b"}):
        environment = {
            "PATH": os.environ["PATH"],
            "REGISTRY": "file:///srv/",
            "NAME": "public",
            **given,
        }
        ran = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]], env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 2
        assert "give root or fingerprint" in ran.stdout


def test_no_input_is_pasted_into_a_script_and_actions_are_pinned_by_commit() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
    (cached,) = [step for step in ACTION["runs"]["steps"] if "uses" in step]
    # nothing that says what to trust, or that something was verified, comes from an earlier run
    assert cached["with"]["path"] == "${{ runner.temp }}/sealdex/store/cache"


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        missing("zizmor", "scripts/setup.sh test")
    command = [str(zizmor), "--offline", "--quiet", "--persona=pedantic", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
