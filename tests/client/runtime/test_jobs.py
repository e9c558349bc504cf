"""Jobs: ensured by checksum, stages in order around the commands, a result for each plugin and stage."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.plugin_registry import PluginRegistry

from sealdex import Client, UnavailableError, VerificationError
from sealdex.cli.main import main
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.errors import ConfigError, InstallError, UsageError
from sealdex.runtime import JobResult, load_job, run_job
from sealdex.runtime.job_schema import job_from

PYTHON = {"entry_point": "plugin:Plugin", "runtime": {"kind": "python"}}
NOTIFY = """
class Plugin:
    def __init__(self, config): self.path = config["path"]
    def send(self, message):
        with open(self.path, "a") as file: file.write(message + "\\n")
        return {"sent": message}
"""
STAGED = """
class Plugin:
    def __init__(self, config): self.config = config
    def stage(self, stage, job):
        if stage == self.config.get("fails"): raise ValueError("not today")
        return [stage, job["job_id"]]
"""
BROKEN = "raise OSError('no bus')"


class Scene:
    """A registry with plugins for jobs, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = PluginRegistry()
        self.sums: dict[str, str] = {}
        self.add("acme/notify", NOTIFY)
        self.add("acme/staged", STAGED)
        self.add("acme/broken", BROKEN)
        self.registry.release("acme/native", "1.0.0", {"bin/tool": b"#!/bin/sh\necho from the tool\n"},
                              artifact={"bin": "bin/tool"})  # fmt: skip
        self.registry.publish()
        (folder / "root.json").write_bytes(self.registry.root)
        self.published = folder / "published"
        section = RegistrySection(url=self.registry.write(self.published), root="root.json")
        document = ConfigDocument(registries={"public": section}, download=DownloadSection(retry=1))
        self.client = Client(Config(folder / "config.toml", folder / "store", document))
        self.lines: list[str] = []

    def add(self, plugin: str, source: str) -> None:
        import hashlib  # noqa: PLC0415  # only here

        data = self.registry.release(plugin, "1.0.0", {"plugin.py": source.encode()}, manifest=PYTHON)
        self.sums[plugin] = hashlib.sha256(data).hexdigest()

    def plugin(self, plugin_id: str, /, **fields: Any) -> dict[str, Any]:
        config = {"path": str(self.folder / "sent")} if plugin_id == "acme/notify" else {}
        pinned = {"plugin_id": plugin_id, "version": "1.0.0", "checksum": self.sums.get(plugin_id), "config": config}
        return {**{k: v for k, v in pinned.items() if v is not None}, **fields}

    def run(self, *plugins: dict[str, Any], **fields: Any) -> JobResult:
        job = {"job_id": "build-42", "plugins": list(plugins), **fields}
        return run_job(job, client=self.client, on_line=self.lines.append)

    def sent(self) -> list[str]:
        path = self.folder / "sent"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with made.client:
        yield made


def stages(result: JobResult) -> list[tuple[str, str, bool]]:
    return [(r.plugin_id.partition("/")[2], r.stage, r.success) for r in result.plugin_results]


def test_a_job_that_succeeds(scene: Scene) -> None:
    result = scene.run(
        scene.plugin("acme/notify", name="Notifier"),
        scene.plugin("acme/native"),
        commands=["echo one", "tool", "echo $SEALDEX_JOB $MORE"],
        env={"MORE": "more"},
    )
    assert (result.success, result.error_message) == (True, "")
    assert scene.lines == ["one", "from the tool", "build-42 more"]
    assert [c.exit_code for c in result.commands] == [0, 0, 0]
    assert stages(result) == [("notify", stage, True) for stage in ("load", "before", "on_success", "after")]
    before = result.plugin_results[1]
    assert (before.plugin_name, before.version, before.error_message) == ("Notifier", "1.0.0", "")
    assert json.loads(before.result) == {"sent": "Job build-42 before"}
    assert 0 < before.start_time <= before.end_time
    assert scene.sent() == [f"Job build-42 {stage}" for stage in ("before", "on_success", "after")]


def test_a_command_that_fails_ends_the_commands(scene: Scene) -> None:
    result = scene.run(scene.plugin("acme/notify"), commands=["echo one", "exit 3", "echo never"])
    assert (result.success, result.error_message) == (False, "commands: 'exit 3' ended with 3")
    assert scene.lines == ["one"]
    assert scene.sent() == [f"Job build-42 {stage}" for stage in ("before", "on_failure", "after")]


def test_before_that_fails_runs_no_command_and_the_rest(scene: Scene) -> None:
    result = scene.run(
        scene.plugin("acme/staged", config={"fails": "before"}), scene.plugin("acme/notify"), commands=["echo never"]
    )
    assert result.error_message.startswith("before: acme/staged 1.0.0: ValueError: not today")
    assert scene.lines == []
    assert stages(result)[2:] == [
        ("staged", "before", False),
        ("staged", "on_failure", True),
        ("notify", "on_failure", True),
        ("staged", "after", True),
        ("notify", "after", True),
    ]


def test_a_plugin_that_does_not_load_fails_the_job_and_others_are_told(scene: Scene) -> None:
    result = scene.run(scene.plugin("acme/broken"), scene.plugin("acme/notify"), commands=["echo never"])
    assert "no bus" in result.error_message
    assert scene.lines == []
    assert scene.sent() == ["Job build-42 on_failure", "Job build-42 after"]


def test_what_fails_afterwards_is_reported_only(scene: Scene) -> None:
    result = scene.run(scene.plugin("acme/staged", config={"fails": "after"}), commands=["true"])
    assert result.success
    assert stages(result)[-1] == ("staged", "after", False)


def test_stages_can_be_spelt_out(scene: Scene) -> None:
    spelt = {
        "on_success": {"method": "send", "params": ["shipped"]},
        "after": {"method": "send", "params": {"message": "by name"}},
    }
    result = scene.run(scene.plugin("acme/notify", stages=spelt), commands=["true"])
    assert scene.sent() == ["shipped", "by name"]
    wrong = scene.run(scene.plugin("acme/notify", stages={"before": {"method": "shout"}}))
    assert "no method 'shout'" in wrong.error_message
    assert stages(result) == [("notify", stage, True) for stage in ("load", "on_success", "after")]


def test_time_ends_a_command_and_all_it_started(scene: Scene) -> None:
    result = scene.run(commands=["sleep 1000 & wait"], timeout=0.3)
    assert "time limit of 0.3 s was reached" in result.error_message


def test_what_is_installed_needs_no_network_and_what_is_in_use_stays(scene: Scene) -> None:
    scene.run(scene.plugin("acme/notify"))
    assert scene.client.current("acme/notify") is None
    scene.published.rename(scene.folder / "gone")
    with Client(scene.client.config) as cold:
        again = run_job({"job_id": "b", "plugins": [scene.plugin("acme/notify")]}, client=cold)
        assert again.success
        with pytest.raises(UnavailableError):
            run_job({"job_id": "b", "plugins": [scene.plugin("acme/staged")]}, client=cold)


@pytest.mark.parametrize("is_installed", [False, True])
def test_attack_a_job_made_for_another_file_runs_nothing(scene: Scene, *, is_installed: bool) -> None:
    """Somebody who may publish replaces what a job was made for, or who hands out jobs asks for another file."""
    if is_installed:
        scene.run(scene.plugin("acme/staged"))
    with pytest.raises(VerificationError, match="requires 000"):
        scene.run(scene.plugin("acme/notify"), scene.plugin("acme/staged", checksum="0" * 64), commands=["echo never"])
    assert scene.lines == []
    assert scene.sent() == []
    assert ("staged" in {i.name for i in scene.client.list()}) is is_installed


def test_jobs_are_read_strictly(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('job_id = "a"\ncommands = ["true"]\n')
    assert load_job(tmp_path / "job.toml").commands == ("true",)
    (tmp_path / "job.json").write_text('{"job_id": "a", "plugin": []}')
    with pytest.raises(ConfigError, match="plugin"):
        load_job(tmp_path / "job.json")
    with pytest.raises(ConfigError, match="can't be read"):
        load_job(tmp_path / "none.toml")
    plugin = {"plugin_id": "acme/x", "version": "1.0.0", "stages": {"befor": {"method": "x"}}}
    with pytest.raises(ConfigError) as wrong:
        job_from({"job_id": "a", "plugins": [plugin, {"plugin_id": "nothing", "version": "1.0.0"}, plugin]})
    assert [line.partition(":")[0] for line in str(wrong.value).splitlines()] == [
        "plugins[0].stages", "plugins[1].plugin_id", "plugins[2].stages", "plugins",
    ]  # fmt: skip


def test_a_workdir_that_is_none(scene: Scene) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        scene.run(workdir=str(scene.folder / "none"))


def test_job_run_on_the_command_line(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = scene.folder / "config.toml"
    config.write_text(f'[registries.public]\nurl = "{scene.published.as_uri()}/"\nroot = "root.json"\n')
    monkeypatch.setenv("SEALDEX_CONFIG", str(config))
    monkeypatch.setenv("SEALDEX_STORE", str(scene.folder / "store"))
    file = scene.folder / "job.json"
    job = {"job_id": "b", "plugins": [scene.plugin("acme/notify")], "commands": [f"{sys.executable} -c 'print(1+1)'"]}
    file.write_text(json.dumps(job))
    assert main(["job", "run", str(file)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "2" in printed
    assert printed[-1] == "job b succeeded"
    file.write_text(json.dumps({**job, "commands": ["echo 'said'; exit 4"]}))
    assert main(["job", "run", str(file), "--json"]) == 1
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["code"] == "plugin"
    assert [r["stage"] for r in error["details"]["plugin_results"]] == ["load", "before", "on_failure", "after"]
    assert "said" in captured.err


@pytest.fixture
def on_command_line(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = scene.folder / "config.toml"
    config.write_text(f'[registries.public]\nurl = "{scene.published.as_uri()}/"\nroot = "root.json"\n')
    monkeypatch.setenv("SEALDEX_CONFIG", str(config))
    monkeypatch.setenv("SEALDEX_STORE", str(scene.folder / "store"))
    return scene.folder / "job.json"


@pytest.mark.parametrize(
    ("plugins", "commands", "ran"),
    [
        (["acme/staged"], ["true", "true"], "commands run: 0 of 2; stages called: before, on_failure, after"),
        (["acme/notify"], ["true", "false", "true"], "commands run: 2 of 3; stages called: before, on_failure, after"),
        (["acme/broken"], ["true"], "commands run: 0 of 1; stages called: none"),
    ],
)
def test_a_job_that_fails_says_what_of_it_was_run(
    scene: Scene,
    on_command_line: Path,
    capsys: pytest.CaptureFixture[str],
    plugins: list[str],
    commands: list[str],
    ran: str,
) -> None:
    needed = [
        scene.plugin(name, **({"config": {"fails": "before"}} if name == "acme/staged" else {})) for name in plugins
    ]
    on_command_line.write_text(json.dumps({"job_id": "b", "plugins": needed, "commands": commands}))
    capsys.readouterr()
    assert main(["job", "run", str(on_command_line)]) == 1
    assert f"note: {ran}\n" in capsys.readouterr().err


@pytest.mark.parametrize("plugin", ["acme/notify", "acme/native"])
def test_a_disabled_plugin_fails_the_job_before_its_commands(
    scene: Scene, on_command_line: Path, capsys: pytest.CaptureFixture[str], plugin: str
) -> None:
    assert main(["install", plugin]) == 0
    assert main(["disable", plugin]) == 0
    job = {"job_id": "b", "plugins": [scene.plugin(plugin)], "commands": ["echo never"]}
    on_command_line.write_text(json.dumps(job))
    capsys.readouterr()
    assert main(["job", "run", str(on_command_line)]) == 1
    said = capsys.readouterr()
    assert f"{plugin} is disabled" in said.err
    assert "commands run: 0 of 1; stages called: none" in said.err
    assert "never" not in said.out


def test_rollback_passes_over_what_jobs_brought(
    scene: Scene, on_command_line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person switched is taken back, not what a job put beside it since; nor with what lies below it."""
    assert main(["install", "acme/staged"]) == 0
    job = {"job_id": "b", "plugins": [scene.plugin("acme/native")], "commands": ["tool"]}
    on_command_line.write_text(json.dumps(job))
    assert main(["job", "run", str(on_command_line)]) == 0
    assert main(["rollback"]) == 0
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    installed = json.loads(capsys.readouterr().out)["installed"]
    assert [(row["plugin"], row["current"]) for row in installed] == [("acme/native", False)]
    assert main(["history", "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert [(c["command"], c["holds"]) for c in changes] == [
        ("rollback", False),
        ("install acme/native@=1.0.0", True),
        ("install acme/staged", False),
    ]
    assert main(["rollback"]) == 2  # there is nothing left that a person did
    assert main(["job", "run", str(on_command_line)]) == 0


def test_what_a_job_needs_is_not_uninstalled_while_it_runs(scene: Scene) -> None:
    """Also a program that only its commands call, and that no manager loads."""
    tried: list[str] = []

    def uninstall(_: str) -> None:
        with pytest.raises(InstallError, match="the job of process") as refused:
            scene.client.uninstall("acme/native")
        tried.append(str(refused.value))

    job = {"job_id": "j", "plugins": [scene.plugin("acme/native")], "commands": ["tool"]}
    assert run_job(job, client=scene.client, on_line=uninstall).success
    assert len(tried) == 1
    scene.client.uninstall("acme/native")


def test_what_a_plugin_prints_is_not_in_the_document(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.registry.release("acme/chatty", "1.0.0", {"plugin.py": b"print('hello')\nPlugin = 1\n"}, manifest=PYTHON)
    scene.registry.publish()
    scene.registry.write(scene.published)
    config = scene.folder / "config.toml"
    config.write_text(
        f'[registries.public]\nurl = "{scene.client.config.registries["public"].url}"\nroot = "root.json"\n'
    )
    job = scene.folder / "chatty.json"
    job.write_text(json.dumps({"job_id": "j", "plugins": [{"plugin_id": "acme/chatty", "version": "1.0.0"}]}))
    capsys.readouterr()
    assert main(["job", "run", str(job), "--json", "--config", str(config), "--store", str(scene.folder / "s")]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["success"]
    assert "hello" in printed.err
