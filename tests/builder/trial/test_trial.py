"""``sealdex-builder test``: what works passes, and what a plugin does wrong fails its step, whatever it does."""

from __future__ import annotations

import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.authoring import Bare
from support.builder_cli import call, document

from registry_builder.authoring.scaffold import new_plugin
from registry_builder.cli.trial import junit_report
from registry_builder.trial import Step, Trial
from registry_builder.trial_host import subschemas
from sealdex.model.ids import PluginId

SLACK = PluginId("acme", "slack")
INIT = "class Plugin:\n def __init__(self, config): pass\n"
HANGS = "HANGS"
TEST = ("test", "--timeout", 600)  # this machine may be busy
STEPS = ["pack", "publish", "install", "examples", "load", "job"]


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "registry", config=[("types = []", 'types = ["shader"]')])


@pytest.fixture
def slack(tree: Bare) -> Path:
    """The folder of a new notify plugin."""
    return new_plugin(tree.root, "notify", SLACK).folder


def template(folder: Path, **fields: Any) -> None:
    """Change release.yaml."""
    path = folder / "release.yaml"
    values = {**yaml.safe_load(path.read_text()), **fields}
    path.write_text(yaml.safe_dump({name: value for name, value in values.items() if value is not None}))


def plugin_code(folder: Path, code: str) -> None:
    (folder / "src" / "notify.py").write_text(code)


def outcomes(trial: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["outcome"] for step in trial["steps"]}


def details(trial: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["detail"] for step in trial["steps"]}


@pytest.mark.slow
def test_what_new_creates_passes_and_nothing_else_is_touched(
    tree: Bare, slack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new_plugin(tree.root, "service", PluginId("acme", "echo"))
    new_plugin(tree.root, "shader", PluginId("acme", "shade"), realm="public")
    tree.release("acme/base", "1.2.0", artifacts=[], dependencies={})
    tree.plugin("acme/base")
    template(slack, dependencies={"acme/base": "^1.0"})
    keys = tmp_path / "keys"
    monkeypatch.setenv("SEALDEX_KEYS", str(keys))
    before = sorted((str(p), p.stat().st_mtime_ns) for p in tree.root.rglob("*"))
    report = tmp_path / "junit.xml"
    told = document(tree.root, capsys, *TEST, "--junit", report)
    assert told["passed"]
    assert {each["plugin"]: each["passed"] for each in told["plugins"]} == {
        "acme/echo": True, "acme/shade": True, "acme/slack": True,
    }  # fmt: skip
    echo, _, notify = told["plugins"]
    assert outcomes(notify) == dict.fromkeys(STEPS, "passed")
    assert "before, on_success, after" in details(notify)["job"]
    assert "healthy" in details(echo)["service"]
    assert sorted((str(p), p.stat().st_mtime_ns) for p in tree.root.rglob("*")) == before
    assert not keys.exists()
    suites = ET.parse(report).getroot().findall("testsuite")  # noqa: S314  # our own
    assert [suite.get("failures") for suite in suites] == ["0", "0", "0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "step", "said"),
    [
        ("import os\nclass Plugin: pass\nos._exit(0)\n", "load", "ended the process of its host: exit code 0"),
        ("import os, signal\nclass Plugin: pass\nos.kill(os.getpid(), signal.SIGSEGV)\n", "load", "signal 11"),
        ("class Plugin: pass\nraise ValueError('no \\x1b[31mtoken')\n", "load", "no"),
        ("class Plugin:\n def init(self, context): raise SystemExit(0)\n", "load", ""),
        (
            f"{INIT} def stage(self, stage, job):\n  if stage == 'after': raise OSError('disk gone')\n",
            "job",
            "after: ",
        ),
        (
            f"import time\n{INIT} def stage(self, *_): open({HANGS!r}, 'w').close(); time.sleep(6000)\n",
            "job",
            "took more than",
        ),
    ],
    ids=["exits with 0", "crashes", "raises when loaded", "exits in init", "fails in a stage", "hangs"],
)
def test_whatever_a_plugin_does_its_step_fails(
    tree: Bare,
    slack: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: str,
    step: str,
    said: str,
) -> None:
    hangs = tmp_path / "hangs"

    class Impatient(subprocess.Popen[Any]):
        def wait(self, timeout: float | None = None) -> int:
            """Let time be over when the plugin hangs, and not before, however busy this machine is."""
            while timeout is not None and self.poll() is None:
                if hangs.exists():
                    raise subprocess.TimeoutExpired(self.args, timeout)
                time.sleep(0.01)
            return super().wait()

    monkeypatch.setattr(subprocess, "Popen", Impatient)
    plugin_code(slack, code.replace(HANGS, str(hangs)))
    [trial] = document(tree.root, capsys, *TEST, slack, code=1)["plugins"]
    found = outcomes(trial)
    assert {name: found[name] for name in STEPS[: STEPS.index(step)]} == dict.fromkeys(
        STEPS[: STEPS.index(step)], "passed"
    )
    assert found[step] == "failed"
    assert said in details(trial)[step]


def test_what_a_plugin_does_at_the_end_of_its_host_counts_too(
    tree: Bare, slack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin_code(slack, f"import atexit, os\natexit.register(os._exit, 3)\n{INIT} def stage(self, *_): pass\n")
    [trial] = document(tree.root, capsys, *TEST, slack, "--no-tests", code=1)["plugins"]
    assert outcomes(trial) == {**dict.fromkeys(STEPS, "passed"), "exit": "failed"}
    assert "exit code 3" in details(trial)["exit"]


def test_examples_and_defaults_are_held_to_their_schemas(
    tree: Bare, slack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template(
        slack,
        config_schema={
            "type": "object",
            "required": ["channel"],
            "properties": {"channel": {"type": "string", "examples": ["#ops", 5]}, "n": {"minimum": 1, "default": 0}},
            "examples": [{"channel": "#ops"}, {"chanel": "#ops"}],
        },
        default_config=None,
        params_schema={"type": "object", "examples": [["text"]]},
    )
    plugin_code(slack, "class Plugin:\n def __init__(self, config): assert config == {'channel': '#ops'}\n")
    [trial] = document(tree.root, capsys, *TEST, "acme/slack", code=1)["plugins"]
    assert outcomes(trial)["load"] == "passed"  # with the first example
    said = details(trial)["examples"]
    for place in (
        "config_schema.examples[1]: $: 'channel' is a required property",
        "config_schema.properties.channel.examples[1]: $: 5 is not of type 'string'",
        "config_schema.properties.n.default: $: 0 is less than the minimum of 1",
        "params_schema.examples[0]: $: ['text'] is not of type 'object'",
    ):
        assert place in said


def test_what_cannot_be_packed_published_or_installed_is_said_and_ends_it(
    tree: Bare, slack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template(slack, entry_point="slack:Plugin")
    [trial] = document(tree.root, capsys, *TEST, "acme/slack", code=1)["plugins"]
    assert outcomes(trial) == {"pack": "failed"}
    assert "no module 'slack'" in details(trial)["pack"]
    template(slack, entry_point="notify:Plugin", dependencies={"acme/missing": "*"})
    [trial] = document(tree.root, capsys, *TEST, "acme/slack", code=1)["plugins"]
    assert "acme/missing, which acme/slack depends on, is not in this source tree" in details(trial)["publish"]
    template(slack, dependencies=None, selector={"match_labels": {"os": "plan9"}})
    [trial] = document(tree.root, capsys, *TEST, "acme/slack", code=1)["plugins"]
    assert outcomes(trial)["install"] == "failed"  # or a job on the wrong machine would be green
    assert "linux" in details(trial)["install"]
    template(slack, selector=None, artifacts=[{"match": "*-linux-amd64.zip"}])
    [trial] = document(tree.root, capsys, *TEST, "acme/slack", code=1)["plugins"]
    assert "dist/0.1.0/ has none of them" in details(trial)["pack"]


@pytest.mark.slow
def test_its_own_tests_run_with_our_fixtures(
    tree: Bare, slack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # ours is named; hypothesis alone would take a second
    tests = slack / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text('pytest_plugins = ["sealdex.testing"]\n')
    good = (
        "def test_it(plugin, plugin_host, registry):\n"
        "    import notify\n"
        "    assert str(plugin.id) == 'acme/slack' and plugin.version == plugin.manifest.version == '0.1.0'\n"
        "    assert (plugin.path / 'notify.py').is_file() and plugin_host is plugin.host\n"
        "    assert registry.root.is_file() and registry.url.startswith('file:')\n"
        "    plugin.call('send', text='hello')\n"
        "    assert plugin.target is not None\n"
        "def test_refusal(plugin):\n"
        "    import pytest, sealdex.errors\n"
        "    with pytest.raises(sealdex.errors.UsageError): plugin.call('send', text=5)\n"
    )
    (tests / "test_it.py").write_text(good)
    [trial] = document(tree.root, capsys, *TEST, "acme/slack")["plugins"]
    assert details(trial)["tests"] == "2 run, 0 failed, 0 skipped"
    assert tree.lint() == []  # the folder of tests is known
    (tests / "test_it.py").write_text("import pytest\n@pytest.mark.skip\ndef test_it(plugin):\n    raise OSError\n")
    [trial] = document(tree.root, capsys, *TEST, "acme/slack")["plugins"]
    assert outcomes(trial)["tests"] == "skipped"
    assert details(trial)["tests"] == "none of 1 was run: all were skipped"
    (tests / "test_it.py").write_text("def test_it(plugin):\n    print('seen'); assert plugin.version == '2.0.0'\n")
    [trial] = document(tree.root, capsys, *TEST, "acme/slack", code=1)["plugins"]
    assert details(trial)["tests"] == "1 run, 1 failed, 0 skipped"
    assert "seen" in trial["steps"][-1]["output"]
    assert "tests" not in outcomes(document(tree.root, capsys, *TEST, "acme/slack", "--no-tests")["plugins"][0])
    (tests / "conftest.py").write_text("def pytest_collection(session): raise RuntimeError('broken')\n")
    [trial] = document(tree.root, capsys, *TEST, "acme/slack", code=1)["plugins"]
    assert outcomes(trial)["tests"] == "failed"  # and not skipped, as if there were none


def test_plugins_are_named_by_id_path_or_place(
    tree: Bare, slack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry_builder.cli.plugin_argument import named_plugin  # noqa: PLC0415  # here alone

    monkeypatch.chdir(slack.parent)
    for text in ("acme/slack", "slack", "slack/src", str(slack)):
        assert named_plugin(text, tree.root).id == SLACK, text
    assert call(tree.root, *TEST, "acme/slak") == 3
    assert "new TYPE acme/slak" in capsys.readouterr().err
    assert call(tree.root, *TEST, tree.root / "plugins") == 2
    assert call(tree.root, *TEST, "nonsense") == 3


def test_reports_hold_whatever_a_plugin_prints() -> None:
    step = Step("load", "failed", "a <b> & \x1b[31mred\x00\nmore", 1.5, "\x1b]0;title\x07 ]]> \ud800")
    root = ET.fromstring(junit_report([Trial(SLACK, "1.0.0", [step, Step("job", "skipped", "why")])]))  # noqa: S314
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "a <b> & red more"
    assert root.find("testsuite/testcase/skipped") is not None


def test_subschemas_are_found_wherever_they_stand() -> None:
    leaf = {"type": "string"}
    schema = {"allOf": [{"items": leaf}], "$defs": {"a": leaf}, "properties": {"x": {"not": leaf}, "y": True}}
    assert [where for where, part in subschemas(schema, "s") if part == leaf] == [
        "s.properties.x.not", "s.$defs.a", "s.allOf[0].items",
    ]  # fmt: skip
