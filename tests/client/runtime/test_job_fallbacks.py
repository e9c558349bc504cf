"""Jobs that do with less: ranges, locks, optional plugins, older versions; time limits and variables of stages."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.plugin_registry import PluginRegistry

from sealdex import Client, NoMatchError, NotFoundError, UnavailableError, VerificationError
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.errors import ConfigError, UsageError
from sealdex.model.ids import PluginId
from sealdex.model.index import AbEntry
from sealdex.project import Project
from sealdex.runtime import JobResult, run_job
from sealdex.runtime.job_schema import job_from, load_job
from sealdex.store.transaction import change_facts

PYTHON = {"entry_point": "plugin:Plugin", "runtime": {"kind": "python"}}
TOLD = """
import os, time
class Plugin:
    def __init__(self, config): self.at_load = os.environ.get("STEP")
    def stage(self, stage, job):
        if stage == "on_failure": return None
        return ["VERSION", stage, os.environ.get("STEP"), job.get("env"), self.at_load]
    def wait(self, seconds): time.sleep(seconds)
    def step(self): return os.environ.get("STEP")
"""
BROKEN = "raise OSError('no bus')"
PROGRAM = f"""#!{sys.executable}
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "wait": continue
    said = [os.environ.get("STEP"), os.environ["SEALDEX_PLUGIN"]]
    if asked["method"] == "initialize": said = {{"protocol": 1}}
    if "id" in asked: print(json.dumps({{"jsonrpc": "2.0", "id": asked["id"], "result": said}}), flush=True)
    if asked["method"] == "shutdown": break
"""


class Scene:
    """A registry with versions of plugins, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = PluginRegistry()
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            source = BROKEN if version == "1.2.0" else TOLD.replace("VERSION", version)
            self.registry.release("acme/told", version, {"plugin.py": source.encode()}, manifest=PYTHON)
        self.registry.release("acme/voice", "1.0.0", {"a": b"a"})
        early = AbEntry("voices", selector={"match_labels": {"customer": "42"}})
        self.registry.release("acme/voice", "2.0.0", {"a": b"a"}, rollout=0, ab=early)
        self.registry.release("acme/base", "1.0.0", {"a": b"a"})
        self.registry.release("acme/base", "1.1.0", {"a": b"b"})
        self.registry.release("acme/top", "1.0.0", {"a": b"a"}, dependencies={"acme/base": "^1"})
        self.registry.release(
            "acme/program", "1.0.0", {"run": PROGRAM.encode()},
            manifest={"entry_point": "run", "runtime": {"kind": "process"}}, artifact={"bin": "run"},
        )  # fmt: skip
        self.registry.publish()
        (folder / "root.json").write_bytes(self.registry.root)
        self.published = folder / "published"
        section = RegistrySection(url=self.registry.write(self.published), root="root.json")
        self.document = ConfigDocument(registries={"public": section}, download=DownloadSection(retry=0))
        self.client = self.new_client()

    def new_client(self) -> Client:
        return Client(Config(self.folder / "config.toml", self.folder / "store", self.document))

    def run(self, *plugins: dict[str, Any], **fields: Any) -> JobResult:
        return run_job({"job_id": "j", "plugins": list(plugins), **fields}, client=self.client)

    def install(self, *requests: str) -> None:
        for request in requests:
            self.client.install(request, make_current=False)

    def cut(self) -> None:
        """Make the registry unreachable, for a client that knows nothing yet."""
        self.published.rename(self.folder / "gone")
        self.client.close()
        self.client = self.new_client()

    def versions(self, name: str) -> list[str]:
        return [i.version for i in self.client.list() if i.name == name]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.client.close()


def told(**fields: Any) -> dict[str, Any]:
    return {"plugin_id": "acme/told", **fields}


def answers(result: JobResult, stage: str) -> list[Any]:
    return [json.loads(r.result) for r in result.plugin_results if r.stage == stage and r.success]


# --- which version -----------------------------------------------------------------------------------------------


def test_a_range_takes_the_newest_in_it_and_without_a_network_what_is_installed(scene: Scene) -> None:
    ranged = scene.run(told(version="<1.2"))
    assert (ranged.plugin_results[0].version, ranged.warnings) == ("1.1.0", ())
    assert answers(ranged, "before")[0][0] == "1.1.0"
    scene.cut()
    offline = scene.run(told(version="^1.0"))
    assert (offline.success, answers(offline, "before")[0][0]) == (True, "1.1.0")
    assert "acme/told ^1.0: 1.1.0 is used instead" in offline.warnings[0]
    with pytest.raises(UnavailableError):
        scene.run(told(version="^1.2"))


def test_a_lock_says_version_and_digest_of_a_plugin_and_of_what_it_needs(scene: Scene) -> None:
    project = scene.folder / "project"
    project.mkdir()
    (project / "sealdex.toml").write_text('[plugins]\n"acme/top" = "*"\n"acme/base" = "=1.0.0"\n"acme/told" = "<1.2"\n')
    Project(project, scene.client).lock()
    job = project / "job.toml"
    job.write_text(
        'job_id = "j"\nlock = "sealdex.lock"\n[[plugins]]\nplugin_id = "acme/top"\n'
        '[[plugins]]\nplugin_id = "acme/told"\nversion = "^1"\n'
    )
    result = run_job(load_job(job), client=scene.client)
    assert (result.success, answers(result, "before")[0][0]) == (True, "1.1.0")
    assert scene.versions("base") == ["1.0.0"]  # the lock's, where the registry has a newer one
    with pytest.raises(ConfigError, match=r"plugins\[0\].version: the lock has acme/told 1.1.0, not =1.0.0") as wrong:
        scene.run(told(version="=1.0.0"), {"plugin_id": "acme/program"}, lock=str(project / "sealdex.lock"))
    assert "plugins[1]: acme/program is not in the lock" in str(wrong.value)
    with pytest.raises(VerificationError, match="the job requires 000"):
        scene.run(told(checksum="0" * 64), lock=str(project / "sealdex.lock"))


@pytest.mark.parametrize(("customer", "version"), [("42", "2.0.0"), ("43", "1.0.0")])
def test_labels_of_a_job_choose_a_side_of_an_ab_test(scene: Scene, customer: str, version: str) -> None:
    assert scene.run({"plugin_id": "acme/voice", "version": "*"}, labels={"customer": customer}).success
    assert scene.versions("voice") == [version]


def test_two_that_come_to_be_the_same_run_nothing(scene: Scene) -> None:
    with pytest.raises(ConfigError, match=r"plugins\[1\].version: is missing"):
        job_from({"job_id": "j", "plugins": [told(version="^1"), told()]})
    with pytest.raises(UsageError, match=r"acme/told 1.1.0"):
        scene.run(told(version="1.1.0"), told(version="~1.1"))


# --- less than asked ---------------------------------------------------------------------------------------------


def test_what_cant_be_had_falls_back_to_an_older_version(scene: Scene) -> None:
    scene.install("acme/told@1.0.0", "acme/told@1.1.0")
    absent = scene.run(told(version="1.9.0", fallback="older"), commands=["true"])
    assert (absent.success, answers(absent, "after")[0][0]) == (True, "1.1.0")
    first = absent.plugin_results[0]
    assert (first.stage, first.success, first.version) == ("install", False, "1.9.0")
    assert "1.1.0 is used instead" in absent.warnings[0]
    within = scene.run(told(version="1.9.0", fallback="~1.0.0"))
    assert answers(within, "after")[0][0] == "1.0.0"
    with pytest.raises(NoMatchError):
        scene.run(told(version="1.9.0", fallback="~2.0"))
    assert scene.client.current("acme/told") is None


def test_what_does_not_load_falls_back_to_an_older_version(scene: Scene) -> None:
    scene.install("acme/told@1.1.0")
    result = scene.run(told(version="1.2.0", fallback="older"), commands=["true"])
    assert (result.success, answers(result, "before")[0][0]) == (True, "1.1.0")
    loads = [(r.version, r.success) for r in result.plugin_results if r.stage == "load"]
    assert loads == [("1.2.0", False), ("1.1.0", True)]
    assert "1.1.0 is used instead: load: acme/told 1.2.0" in result.warnings[0]
    assert not scene.run(told(version="1.2.0")).success


def test_yanked_and_damaged_versions_are_not_fallen_back_to(scene: Scene) -> None:
    scene.install("acme/told@1.0.0", "acme/told@1.1.0")
    (scene.folder / "store" / "plugins" / "acme" / "told" / "1.1.0" / "plugin.py").unlink()
    damaged = scene.run(told(version="1.9.0", fallback="older"))
    assert answers(damaged, "before")[0][0] == "1.0.0"
    noted = {"by": "me", "why": "no", "at": None, "seen": None}
    yanked = {"format": 1, "yanked": {"acme/told": {"1.0.0": noted}}}
    scene.cut()
    Path(scene.client.queries.store.yanked_file).write_text(json.dumps(yanked))
    with pytest.raises(UnavailableError):
        scene.run(told(version="1.9.0", fallback="older"))


@pytest.mark.parametrize("why", ["unknown", "broken", "disabled", "before"])
def test_a_job_goes_on_without_an_optional_plugin(scene: Scene, why: str) -> None:
    asked = {
        "unknown": {"plugin_id": "acme/nothing", "version": "1.0.0"},
        "broken": told(version="1.2.0"),
        "disabled": told(version="1.1.0"),
        "before": told(version="1.1.0", stages={"before": {"method": "shout"}}),
    }[why]
    if why == "disabled":
        plugin = PluginId("acme", "told")
        scene.client.install("acme/told@1.1.0")
        change_facts(scene.client.queries.store, "disable", {plugin: lambda facts: replace(facts, enabled=False)})
    result = scene.run({**asked, "optional": True}, commands=["true"])
    assert (result.success, len(result.commands), len(result.warnings)) == (True, 1, 1)
    if why == "unknown":
        with pytest.raises(NotFoundError):
            scene.run(asked, commands=["true"])
    else:
        assert not scene.run(asked, commands=["true"]).success


def test_attack_a_job_never_does_without_what_fails_to_verify(scene: Scene) -> None:
    """Who can change what is delivered would otherwise choose: an older version with a known hole, or none at all."""
    scene.install("acme/told@1.0.0")
    lenient = {"optional": True, "fallback": "older"}
    other = hashlib.sha256(b"made for another file").hexdigest()
    with pytest.raises(VerificationError, match="requires"):
        scene.run(told(version="1.1.0", checksum=other, **lenient), commands=["touch ran"], workdir=str(scene.folder))
    for file in (scene.published / "plugins" / "acme" / "told" / "1.1.0").glob("*.zip"):
        file.write_bytes(bytes(reversed(file.read_bytes())))
    with pytest.raises(VerificationError):
        scene.run(told(version="1.1.0", **lenient), commands=["touch ran"], workdir=str(scene.folder))
    assert not (scene.folder / "ran").exists()
    assert scene.versions("told") == ["1.0.0"]


# --- time and variables ------------------------------------------------------------------------------------------


def test_a_stage_has_variables_and_leaves_none_behind(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEP", raising=False)
    spelt = {"on_success": {"method": "step", "env": {"STEP": "call"}}, "after": {"method": "step"}}
    stages = {s: {"env": {"STEP": s}} for s in ("before", "commands", "after", "on_success")}
    lines: list[str] = []
    job = {
        "job_id": "j", "stages": stages, "commands": ["echo $STEP"],
        "plugins": [told(version="1.1.0", env={"STEP": "mine"}), told(version="1.0.0", stages=spelt)],
    }  # fmt: skip
    result = run_job(job, client=scene.client, on_line=lines.append)
    assert result.success
    assert lines == ["commands"]
    assert answers(result, "before") == [["1.1.0", "before", "before", {"STEP": "before"}, "mine"]]
    assert answers(result, "on_success")[1] == "call"
    assert answers(result, "after")[1] == "after"
    assert "STEP" not in os.environ


def test_a_program_gets_its_variables_when_it_starts(scene: Scene) -> None:
    program = {"plugin_id": "acme/program", "version": "1.0.0", "env": {"STEP": "mine"}}
    result = scene.run({**program, "stages": {"before": {"method": "step"}}})
    assert answers(result, "before") == [["mine", "acme/program"]]
    late = scene.run({**program, "stages": {"before": {"method": "step", "env": {"STEP": "x"}}}})
    assert "whose variables are set when it starts" in late.error_message


@pytest.mark.parametrize("plugin", ["acme/told", "acme/program"])
@pytest.mark.parametrize("where", ["call", "stage"])
def test_time_ends_a_call(scene: Scene, plugin: str, where: str) -> None:
    limit = {"timeout": 0.05}
    version = "1.1.0" if plugin == "acme/told" else "1.0.0"
    call = {"method": "wait", "params": [30], **(limit if where == "call" else {})}  # the program never answers
    asked = {"plugin_id": plugin, "version": version, "stages": {"before": call}}
    result = scene.run(asked, commands=["true"], stages={"before": limit} if where == "stage" else {})
    assert not result.success
    assert not result.commands
    assert "0.0" in result.error_message


def test_commands_have_the_shorter_of_two_limits(scene: Scene) -> None:
    result = scene.run(commands=["sleep 1000"], timeout=500, stages={"commands": {"timeout": 0.1}})
    assert "time limit of 0.1 s was reached" in result.error_message


def test_what_is_wrong_in_a_job_is_named_all_at_once() -> None:
    with pytest.raises(ConfigError) as wrong:
        job_from({
            "job_id": "j",
            "plugins": [told(version=">>1"), told(version="1.0.0", fallback="newest please")],
            "stages": {"during": {"timeout": 1}},
        })  # fmt: skip
    assert [line.partition(":")[0] for line in str(wrong.value).splitlines()] == [
        "plugins[0].version", "plugins[1].fallback", "stages",
    ]  # fmt: skip
