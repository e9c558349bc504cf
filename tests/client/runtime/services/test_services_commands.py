"""run, ps, stop, logs and uninstall as somebody uses them who is used to systemd, docker and foreman."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.plugin_store import PluginStore
from support.service_commands import Command

from sealdex.cli.main import main
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginError, Services
from sealdex.runtime.process._group import process_identity
from sealdex.runtime.services.state import ServiceFolder, ServiceState
from sealdex.runtime.services.supervisor import RestartPolicy

ECHO = PluginId("speech", "echo")
WORKER = "import os, time\nprint('working', os.environ.get('TOKEN', ''), flush=True)\nwhile True: time.sleep(0.05)"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WORKER
SEALDEX = [sys.executable, "-c", "import sys; from sealdex.cli.main import main; sys.exit(main(sys.argv[1:]))"]


def worker(plugins: PluginStore, plugin: str = "speech/echo", source: str = WORKER, version: str = "1.0.0") -> None:
    plugins.install(plugin, version, {"work.py": source}, service={"command": [sys.executable, "work.py"]})


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ps_says_version_health_restarts_and_uptime(plugins: PluginStore, sealdex: Command) -> None:
    worker(plugins)
    assert sealdex("run", "speech/echo", "--detach")[0] == 0
    (state,) = sealdex("ps")[1]["services"]
    assert (state["version"], state["health"], state["restarts"], state["left_behind"]) == ("1.0.0", None, 0, False)
    assert state["follows"] is True
    assert state["uptime_seconds"] >= 0
    sealdex("stop", "speech/echo")
    (state,) = sealdex("ps")[1]["services"]
    assert (state["state"], state["pid"], state["uptime_seconds"]) == ("stopped", None, None)


def test_ps_says_in_a_line_why_something_fails(plugins: PluginStore, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ServiceFolder(plugins.store, ECHO)
    folder.make()
    folder.write(
        ServiceState("speech/echo", "1.0.0", "failed", 1, error="it failed; it last said:\nno model", exit_code=3)
    )
    assert main(["ps", "--store", plugins.store.root]) == 0
    printed = capsys.readouterr()
    assert "failed (3)" in printed.out
    assert printed.err == "speech/echo: it failed; it last said:\n"


def test_a_named_version_is_not_followed_away_from(plugins: PluginStore, sealdex: Command) -> None:
    worker(plugins)
    assert sealdex("run", "speech/echo@1.0.0", "--follow", "--detach")[0] == 2
    assert sealdex("run", "speech/echo@1.0.0", "--detach")[1]["follows"] is False
    sealdex("stop", "speech/echo")
    assert sealdex("run", "speech/echo", "--no-follow", "--detach")[1]["follows"] is False


def test_stop_ends_all_that_can_be_and_says_what_could_not(plugins: PluginStore, sealdex: Command) -> None:
    for name in ("speech/one", "speech/two"):
        worker(plugins, name)
        assert sealdex("run", name, "--detach")[0] == 0
    assert sealdex("stop")[0] == 2
    assert sealdex("stop", "speech/none", "speech/one")[0] == 3
    assert [s["state"] for s in sealdex("ps")[1]["services"]] == ["stopped", "running"]
    code, done = sealdex("stop", "--all")
    assert (code, [s["plugin"] for s in done["stopped"]]) == (0, ["speech/two"])
    assert sealdex("stop", "--all") == (0, {**done, "stopped": []})


def test_stop_says_how_long_a_service_may_take(plugins: PluginStore, sealdex: Command) -> None:
    """It was started with an hour of grace, and doesn't hear SIGTERM: only the one that `stop` gave can end it."""
    worker(plugins, source=DEAF)
    state = sealdex("run", "speech/echo", "--detach", "--grace", "3600")[1]
    code, done = sealdex("stop", "speech/echo", "--grace", "0.1")
    assert (code, done["stopped"][0]["state"]) == (0, "stopped")
    until(lambda: process_identity(state["pid"]) is None)


def test_two_starts_at_once_run_one_service(plugins: PluginStore, sealdex: Command) -> None:
    worker(plugins)
    command = [*SEALDEX, "run", "speech/echo", "--detach", "--json", "--store", plugins.store.root]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120) for process in started]
    codes = sorted(process.returncode for process in started)
    assert codes == [0, 1, 1], said
    assert sum("already running" in out + err for out, err in said) == 2
    assert [s["state"] for s in sealdex("ps")[1]["services"]] == ["running"]


def test_what_runs_is_not_uninstalled_not_even_without_its_supervisor(plugins: PluginStore, sealdex: Command) -> None:
    worker(plugins)
    state = sealdex("run", "speech/echo", "--detach")[1]
    code, refused = sealdex("uninstall", "speech/echo")
    assert code == 1
    assert f"started by process {state['supervisor']}" in json.dumps(refused)
    assert "sealdex stop speech/echo" in json.dumps(refused)
    os.kill(state["supervisor"], signal.SIGKILL)
    os.waitpid(state["supervisor"], 0)
    (left,) = sealdex("ps")[1]["services"]
    assert (left["state"], left["left_behind"], left["pid"]) == ("died", True, state["pid"])
    assert sealdex("uninstall", "speech/echo@1.0.0")[0] == 1
    assert sealdex("stop", "speech/echo")[0] == 0
    until(lambda: process_identity(state["pid"]) is None)
    until(lambda: sealdex("uninstall", "speech/echo")[0] == 0)
    assert sealdex("ps")[1]["services"] == []


def test_what_the_service_started_is_found_when_both_it_and_its_supervisor_are_gone(
    plugins: PluginStore, sealdex: Command
) -> None:
    child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(1000)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}], close_fds=False).wait()"
    worker(plugins, source=parent)
    state = sealdex("run", "speech/echo", "--detach")[1]
    until(lambda: any(line.endswith(" deaf") for line in sealdex("logs", "speech/echo")[1]["lines"]))
    os.kill(state["supervisor"], signal.SIGKILL)
    os.waitpid(state["supervisor"], 0)
    os.kill(state["pid"], signal.SIGKILL)
    until(lambda: process_identity(state["pid"]) is None)
    assert sealdex("ps")[1]["services"][0]["left_behind"]
    assert sealdex("uninstall", "speech/echo")[0] == 1
    assert sealdex("stop", "speech/echo", "--grace", "0.1")[0] == 0
    until(lambda: sealdex("uninstall", "speech/echo")[0] == 0)


def test_rolling_back_leaves_the_version_that_runs_in_its_place(plugins: PluginStore, sealdex: Command) -> None:
    from sealdex.store.change import Facts, Member  # noqa: PLC0415  # only here
    from sealdex.store.transaction import changing  # noqa: PLC0415  # only here

    worker(plugins)
    with changing(plugins.store, "install speech/echo@1.1.0") as change:
        change.prepare([Member(ECHO, Facts("1.0.0"), Facts("1.1.0"), unpacks="1.1.0")])
        worker(plugins, version="1.1.0")
        change.commit()
    assert sealdex("run", "speech/echo", "--no-follow", "--detach")[1]["version"] == "1.1.0"
    code, done = sealdex("rollback")
    assert code == 0
    assert done["kept"] == [{"plugin": "speech/echo", "version": "1.1.0"}]
    assert sealdex("stop", "speech/echo")[0] == 0
    assert sealdex("uninstall", "speech/echo@1.1.0")[0] == 0


# --- the foreground --------------------------------------------------------------------------------------------------


@contextmanager
def foreground(plugins: PluginStore, *options: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    command = [*SEALDEX, "run", "speech/echo", "--store", plugins.store.root, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("working"):
                    break
            yield process
        except BaseException:
            process.kill()  # else it would be waited for
            raise


def test_the_second_ctrl_c_ends_it_at_once(plugins: PluginStore) -> None:
    worker(plugins, source=DEAF)
    with foreground(plugins, "--grace", "3600") as process:
        until(lambda: Services(plugins.store).list()[0].state == "running")
        pid = Services(plugins.store).list()[0].pid
        assert pid is not None
        process.send_signal(signal.SIGINT)
        until(lambda: "it was asked to stop" in "".join(ServiceFolder(plugins.store, ECHO).last_lines(100)))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    until(lambda: process_identity(pid) is None)


def test_a_closed_terminal_ends_it_too(plugins: PluginStore) -> None:
    worker(plugins)
    with foreground(plugins) as process:
        until(lambda: Services(plugins.store).list()[0].state == "running")
        pid = Services(plugins.store).list()[0].pid
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
    assert pid is not None
    until(lambda: process_identity(pid) is None)


def test_who_watches_may_leave_and_the_service_goes_on(plugins: PluginStore) -> None:
    """`sealdex run x | head -1`: nobody reads the pipe any more."""
    worker(
        plugins, source="import time\nwhile True:\n    print('working' + 'x' * 10_000, flush=True); time.sleep(0.001)"
    )
    with foreground(plugins) as process:
        assert process.stdout is not None
        process.stdout.close()
        log = Path(plugins.store.run_folder(ECHO), "log")
        until(lambda: log.exists() and log.stat().st_size > 2_000_000)  # far more than any pipe holds
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    until(lambda: not ServiceFolder(plugins.store, ECHO).is_supervised())


# --- secrets, state files --------------------------------------------------------------------------------------------


def test_variables_are_in_no_file_and_no_argument(plugins: PluginStore, sealdex: Command, tmp_path: Path) -> None:
    worker(plugins, source=WORKER.replace("os.environ.get('TOKEN', '')", "len(os.environ['TOKEN'])"))
    secrets = tmp_path / "secrets"
    secrets.write_text("# of the robot\n\nTOKEN=hunter2 = x\n")
    state = sealdex("run", "speech/echo", "--detach", "--env-file", str(secrets), "--env", "OTHER=sesame")[1]
    until(lambda: any("working 11" in line for line in sealdex("logs", "speech/echo")[1]["lines"]))
    folder = Path(plugins.store.run_folder(ECHO))
    written = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    for process in (state["pid"], state["supervisor"]):
        written += Path(f"/proc/{process}/cmdline").read_bytes()
    assert b"hunter2" not in written
    assert b"sesame" not in written
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secrets.write_text("TOKEN\n")
    code, refused = sealdex("run", "speech/echo", "--env-file", str(secrets))
    assert code == 2
    assert "line 1 is not of the form NAME=VALUE" in json.dumps(refused)


def test_attack_a_module_in_the_callers_folder_is_not_run_by_the_supervisor(
    plugins: PluginStore, sealdex: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody leaves a json.py where an operator runs commands: `python -m` looks into the current folder first."""
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "json.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n")
    worker(plugins)
    monkeypatch.chdir(trap)
    sealdex("run", "speech/echo", "--detach")
    assert not (tmp_path / "sprung").exists()


def test_attack_a_supervisor_of_the_same_id_is_not_signalled(plugins: PluginStore) -> None:
    """A new supervisor has the lock and said nothing yet; the file names one that is gone, whose id a stranger has."""
    folder = ServiceFolder(plugins.store, ECHO)
    lock = folder.acquire()
    assert lock is not None
    folder.log_path.touch()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        folder.write(ServiceState("speech/echo", "1.0.0", "running", stranger.pid, supervisor_identity="long ago"))
        thread = threading.Thread(target=lambda: Services(plugins.store).stop(ECHO))
        thread.start()
        time.sleep(0.3)  # some looks of `stop`; on a slow machine fewer, which only tests less
        lock.release()
        thread.join(60)
        assert stranger.poll() is None
        assert stranger.stdin is not None
        stranger.stdin.close()


def test_processes_of_another_start_of_the_host_are_strangers() -> None:
    assert process_identity(os.getpid()) == process_identity(os.getpid())
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        assert (process_identity(os.getpid()) or "").endswith(boot.read_text().strip())


def test_uptime_is_that_of_what_runs() -> None:
    now = datetime(2026, 11, 21, 12, 0, 30, tzinfo=timezone.utc)
    state = ServiceState("a/b", "1.0.0", "running", 1, started_at="2026-11-21T12:00:00Z")
    assert state.uptime_s(now) == 30
    assert state.uptime_s(now.replace(hour=11)) == 0  # the clock was put back
    assert ServiceState("a/b", "1.0.0", "failed", 1, started_at="2026-11-21T12:00:00Z").uptime_s(now) is None


def test_a_state_that_cannot_be_written_ends_nothing(plugins: PluginStore, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(plugins, source="print('done')")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ServiceFolder, "write", full)
    services = Services(plugins.store)
    printed: list[str] = []
    with suppress(PluginError):  # where it ends before it counts as running, which depends on the machine
        services.supervisor(services.plan(ECHO), RestartPolicy(grace=5), on_line=printed.append).run()
    assert printed == ["done"]
