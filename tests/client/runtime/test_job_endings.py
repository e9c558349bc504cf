"""How jobs end, whatever their plugins and commands do, and whoever listens to them or ends them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.commands import captured
from support.plugin_store import PluginStore

from sealdex.cli.main import main
from sealdex.cli.output import Output
from sealdex.runtime import PluginError, PluginManager
from sealdex.runtime.process._group import process_identity
from sealdex.runtime.process.signals import ended_by_signals, put_off

STAGE = """
class Plugin:
    def __init__(self, config): pass
    def stage(self, stage, job):
        {body}
"""


def staged(plugins: PluginStore, body: str) -> dict[str, Any]:
    plugins.python("acme/staged", "1.0.0", STAGE.format(body=body))
    return {"plugin_id": "acme/staged", "version": "1.0.0"}


def job_file(folder: Path, **job: Any) -> str:
    path = folder / "job.json"
    path.write_text(json.dumps({"job_id": "j", **job}))
    return str(path)


@pytest.mark.parametrize("timeout", [None, 20])
def test_attack_a_plugin_that_exits_does_not_end_the_job_as_a_success(
    plugins: PluginStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], timeout: float | None
) -> None:
    """``sys.exit(0)`` in a stage would end the host with code 0 before any command was run."""
    needed = staged(plugins, "if stage == 'before': raise SystemExit(0)")
    if timeout is not None:  # called in a thread then
        needed["stages"] = {"before": {"method": "stage", "params": ["before", {}], "timeout": timeout}}
    job = job_file(tmp_path, plugins=[needed], commands=["echo never"])
    done = captured(capsys)("job", "run", "--json", job, "--store", plugins.store.root)
    assert done.code == 1
    assert "would have ended its host" in done.document["error"]["message"]
    assert "never" not in done.err


def test_a_host_is_not_ended_by_a_method(plugins: PluginStore, manager: PluginManager) -> None:
    plugins.python("acme/staged", "1.0.0", STAGE.format(body="raise SystemExit(0)"))
    manager.register("acme/staged")
    manager.init()
    with pytest.raises(PluginError, match="would have ended its host"):
        manager.call("acme/staged", "stage", "before", {})


@pytest.mark.parametrize("body", ["return {(1, 2): 3}", "a = []; a.append(a); return a"])
def test_a_result_that_json_does_not_have_fails_no_job(
    plugins: PluginStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str
) -> None:
    job = job_file(tmp_path, plugins=[staged(plugins, body)])
    done = captured(capsys)("job", "run", "--json", job, "--store", plugins.store.root)
    assert done.code == 0
    assert "that is not JSON" in done.document["plugin_results"][1]["result"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"env": {"A=B": "x"}}, "illegal environment variable name"),
        ({"env": {"A": "\0"}}, "null byte"),
        ({"commands": ["echo \0"]}, "null byte"),
    ],
)
def test_a_command_that_cannot_be_started_fails_the_job_and_the_rest_is_called(
    plugins: PluginStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, Any], why: str
) -> None:
    job = job_file(tmp_path, **{"plugins": [staged(plugins, "return 1")], "commands": ["true"], **fields})
    done = captured(capsys)("job", "run", job, "--store", plugins.store.root)
    assert done.code == 1
    assert why in done.err
    assert "stages called: before, on_failure, after" in done.err


def test_a_time_limit_of_toml_may_be_infinite(plugins: PluginStore, tmp_path: Path) -> None:
    plugins.python("acme/staged", "1.0.0", STAGE.format(body="return 1"))
    path = tmp_path / "job.toml"
    path.write_text(
        'job_id = "j"\ntimeout = inf\ncommands = ["true"]\n[[plugins]]\nplugin_id = "acme/staged"\nversion = "1.0.0"\n'
        'stages = { before = { method = "stage", params = ["before", {}], timeout = inf } }\n'
    )
    assert main(["job", "run", str(path), "--store", plugins.store.root]) == 0


@pytest.mark.parametrize(("reader", "code"), [("a full disk", 1), ("nobody", 141)])
def test_a_job_whose_output_cannot_be_written_is_done_and_is_not_a_success(
    plugins: PluginStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, code: int
) -> None:
    """More output than a pipe holds: a command that nobody listens to must not wait for ever."""
    if reader == "nobody":
        unread, at = os.pipe()
        os.close(unread)
    else:
        at = os.open("/dev/full", os.O_WRONLY)
    job = job_file(tmp_path, commands=["seq 30000", f"echo done > {tmp_path}/done"], timeout=60)
    with os.fdopen(at, "w", buffering=1) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["job", "run", job, "--store", plugins.store.root]) == code
    assert (tmp_path / "done").read_text() == "done\n"


def test_what_a_program_of_a_plugin_prints_is_not_in_the_document(
    plugins: PluginStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = "import os; os.system('echo of a program'); os.write(1, b'of the process')"
    job = job_file(tmp_path, plugins=[staged(plugins, body)])
    capfd.readouterr()
    assert main(["job", "run", "--json", job, "--store", plugins.store.root]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["success"]
    assert "of a program" in printed.err
    assert "of the process" in printed.err


def test_what_a_job_started_ends_with_it_when_it_is_terminated(plugins: PluginStore, tmp_path: Path) -> None:
    """As when a CI system cancels a run: SIGTERM reaches sealdex alone, and its commands are in their own session."""
    job = job_file(tmp_path, commands=[f"echo $$ > {tmp_path}/draft; mv {tmp_path}/draft {tmp_path}/pid; sleep 600"])
    command = [sys.executable, "-m", "sealdex", "job", "run", job, "--store", plugins.store.root]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        pid = int((tmp_path / "pid").read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    assert process_identity(pid) is None


def test_a_signal_waits_until_a_program_that_is_being_started_is_known() -> None:
    reached = []

    def start() -> None:
        with ended_by_signals():
            with put_off():
                os.kill(os.getpid(), signal.SIGINT)
                reached.append("the end of the start")
            reached.append("what comes after it")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert reached == ["the end of the start"]


def test_stdout_comes_back_after_the_block(capfd: pytest.CaptureFixture[str]) -> None:
    from sealdex.cli.foreign_output import stdout_for_the_document  # noqa: PLC0415  # after capfd took the streams

    with stdout_for_the_document(Output("json")):
        os.write(1, b"theirs\n")
    os.write(1, b"ours\n")
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("ours\n", "theirs\n")
