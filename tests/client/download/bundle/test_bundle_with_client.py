"""A bundle that has the client, run by a Python that has no packages, on a host that has no network."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.components import missing
from support.places import REPOSITORY
from support.plugin_registry import PluginRegistry

pytestmark = pytest.mark.slow


def without_network() -> list[str]:
    """Return what runs a command in a network namespace of its own, which has no route."""
    unshare = shutil.which("unshare")
    words = [unshare or "unshare", "--user", "--map-root-user", "--net"]
    if unshare is None or subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        return []  # the address in the bundle is one that no server has any more
    return words


@pytest.mark.parametrize("source", ["a folder of wheels", "what is running"])
def test_a_host_with_python_alone_installs_from_a_stick(
    run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path, source: str
) -> None:
    want('"acme/slack" = "^1"')
    assert run("lock").code == 0
    stick = tmp_path / "robot.pyz"
    command = ["bundle", "create", stick, "--lock", tmp_path / "project/sealdex.lock", "--with-client", "--json"]
    if source == "a folder of wheels":
        wheels = Path(sys.prefix, "wheels")
        if not wheels.is_dir():
            missing("the folder of pinned wheels", "scripts/setup.sh test")
        folder = tmp_path / "wheels"
        shutil.copytree(wheels, folder)
        dist = runpy.run_path(str(REPOSITORY / "scripts" / "dist.py"))
        dist["build"](tmp_path / "dist")
        shutil.copy(tmp_path / "dist" / f"sealdex-{dist['version']()}-py3-none-any.whl", folder)
        command += ["--wheels", folder]
    made = run(*command)
    assert made.code == 0, made.err
    told = json.loads(made.out)
    here = f"{sys.version_info[0]}.{sys.version_info[1]} linux/"
    assert [host for host in told["client"]["runs_on"] if host.startswith(here)]
    (tmp_path / "root.json").write_bytes(registry.root)
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
        "PYTHONNOUSERSITE": "1",
        "SEALDEX_CONFIG": str(tmp_path / "far/config.toml"),
        "SEALDEX_STORE": str(tmp_path / "far/store"),
    }

    def far(*words: str) -> str:
        python = [*without_network(), str(tmp_path / "bare/bin/python"), "-I", str(stick)]
        done = subprocess.run([*python, *words], env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    stick.chmod(0o444)
    before = stick.read_bytes()
    installed = json.loads(far("install", "--root", str(tmp_path / "root.json"), "--json"))
    assert {row["plugin"]: row["action"] for row in installed["plugins"]} == {
        "acme/slack": "unpack",
        "acme/base": "unpack",
    }
    assert json.loads(far("install", "--json"))["changed"] is False
    assert len(json.loads(far("list", "--json"))["installed"]) == 2
    far("verify")
    far("ensure", "--locked", "--project", str(Path(installed["lock"]).parent))
    assert stick.read_bytes() == before
