"""What `new` creates works as a host uses it: loaded, called, in a job, run as a service, with python3 alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.authoring import Bare
from support.builder_cli import document
from support.plugin_store import PluginStore

from registry_builder.authoring.payload import pack_folder
from registry_builder.authoring.release import Archive, write_release
from registry_builder.authoring.scaffold import RUNTIMES, new_plugin
from registry_builder.source.lint.template import template_problems
from sealdex import Client
from sealdex.config.config import Config, ConfigDocument
from sealdex.errors import UsageError
from sealdex.model.ids import KNOWN_TYPES, PluginId
from sealdex.runtime import PluginManager, PluginStatus, Services, run_job
from sealdex.store.layout import Store

THING = PluginId("acme", "thing")
OWN = "shader"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "notify": ("send", {"text": "hello"}),
    "build": ("build", {"command": [sys.executable, "-c", "print(1)"]}),
    "model": ("predict", {"x": 3}),
    "training-script": ("train", {"epochs": 2, "learning_rate": 0.1}),
    "acr-algorithm": ("process", {"batch": [1, 2, 9]}),
    "hal-driver": ("read", {}),
    "application-suite": ("parts", {}),
    OWN: ("run", {}),
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "notify": ({"text": 5}, r"\$\.text: 5 is not of type 'string'"),
    "build": ({"command": []}, r"\$\.command: "),
    "model": ({"x": "three"}, r"\$\.x: 'three' is not of type 'number'"),
    "training-script": ({"epochs": 0}, r"\$\.epochs: 0 is less than the minimum of 1"),
}


def installed(tmp_path: Path, kind: str) -> Store:
    """Make, pack, release and install a new plugin, without changing a line of it."""
    tree = Bare(tmp_path / "registry", config=[("types = []", f'types = ["{OWN}"]')])
    packed = pack_folder(new_plugin(tree.root, kind, THING).folder)
    release = write_release(tree.root, [Archive(packed.path)]).release
    assert tree.lint() == []
    with zipfile.ZipFile(packed.path) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith("/")}
    plain = msgspec.to_builtins(release)
    manifest = {k: v for k, v in plain.items() if k not in {"version", "format", "artifacts", "$schema"}}
    plugins = PluginStore(tmp_path)
    plugins.install(str(THING), release.version, files, **manifest)
    return plugins.store


def test_each_kind_is_tried() -> None:
    assert {*KNOWN_TYPES, OWN} == {*CALLS, "service"}


@pytest.mark.parametrize("kind", CALLS)
def test_it_is_loaded_and_called(tmp_path: Path, kind: str) -> None:
    method, params = CALLS[kind]
    with PluginManager(installed(tmp_path, kind), load_timeout=600) as manager:
        manager.register(str(THING))
        manager.init()
        assert manager.state(str(THING)).status is PluginStatus.ENABLED
        json.dumps(manager.call(str(THING), method, **params))
        if kind in WRONG:
            wrong, said = WRONG[kind]
            with pytest.raises(UsageError, match=said):
                manager.call(str(THING), method, **wrong)
            with pytest.raises(UsageError, match=said):
                manager.call(str(THING), method, wrong)


@pytest.mark.parametrize("kind", ["notify", "service"])
def test_a_job_calls_it_or_only_installs_it(tmp_path: Path, kind: str) -> None:
    store = installed(tmp_path, kind)
    config = Config(tmp_path / "config.toml", Path(store.root), ConfigDocument(registries={}))
    job = {"job_id": "build-42", "plugins": [{"plugin_id": str(THING), "version": "0.1.0"}]}
    with Client(config) as client:
        result = run_job(job, client=client)
    assert (result.success, result.error_message) == (True, "")
    stages = [done.stage for done in result.plugin_results]
    assert stages == (["load", "before", "on_success", "after"] if kind == "notify" else [])


def test_a_job_that_calls_a_service_fails(tmp_path: Path) -> None:
    store = installed(tmp_path, "service")
    config = Config(tmp_path / "config.toml", Path(store.root), ConfigDocument(registries={}))
    wanted = {"plugin_id": str(THING), "version": "0.1.0", "stages": {"before": {"method": "send"}}}
    with Client(config) as client:
        result = run_job({"job_id": "build-42", "plugins": [wanted]}, client=client)
    assert not result.success
    assert "module:attribute" in result.error_message


def test_a_service_runs_where_python3_is_all_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = installed(tmp_path, "service")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/nowhere")
    services = Services(store)
    started = services.start(services.plan(THING, port=0))
    try:
        assert started.state == "running"
        with urllib.request.urlopen(f"http://127.0.0.1:{started.port}/", b"hello") as answer:
            assert json.load(answer) == {"text": "you said: hello"}
    finally:
        services.stop(THING)


@pytest.mark.slow
def test_each_runtime_of_new_can_be_tried_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = Bare(tmp_path / "registry")
    for runtime in RUNTIMES:
        new_plugin(tree.root, "notify", PluginId("acme", runtime), runtime=runtime)
    told = document(tree.root, capsys, "test")
    last = {each["plugin"]: [(s["step"], s["outcome"]) for s in each["steps"]][-1] for each in told["plugins"]}
    assert last == {
        "acme/native": ("load", "skipped"),
        "acme/process": ("job", "passed"),
        "acme/python": ("job", "passed"),
        "acme/service": ("service", "passed"),
    }
    program = tree.root / "plugins/acme/native/src/bin/native"
    assert subprocess.run([program, "a", "b"], capture_output=True, text=True, check=True).stdout == "native: a b\n"
    assert list(template_problems(tree.load())) == []
    python_service = new_plugin(tree.root, "service", PluginId("acme", "library"), runtime="python")
    assert "module:attribute" not in (python_service.folder / "release.yaml").read_text()
    assert (python_service.folder / "src/main.py").is_file()
