"""Services on hosts, and of authors, that nobody expected: full disks, used-up ids, other scripts, endless numbers."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.plugin_store import PluginStore
from support.service_commands import Command

from sealdex.cli.main import main
from sealdex.errors import UsageError
from sealdex.model.ids import PluginId
from sealdex.model.release import HealthCheck
from sealdex.runtime import PluginError, Services
from sealdex.runtime.process import _group
from sealdex.runtime.process._group import process_identity
from sealdex.runtime.services import api
from sealdex.runtime.services._health import health_problem
from sealdex.runtime.services._log import LogFile, last_lines
from sealdex.runtime.services._plan import ServicePlan
from sealdex.runtime.services._report import Report
from sealdex.runtime.services.state import ServiceFolder, ServiceState
from sealdex.runtime.services.supervisor import RestartPolicy

ECHO = PluginId("speech", "echo")
WAIT = "import time\nwhile 'running' not in open(os.environ['STATE']).read(): time.sleep(0.02)"
SLEEP = "import time; print('working', flush=True); time.sleep(600)"


def service(plugins: PluginStore, source: str = SLEEP, **fields: Any) -> None:
    plugins.install(
        "speech/echo", "1.0.0", {"run.py": source}, service={"command": [sys.executable, "run.py"], **fields}
    )


@pytest.mark.parametrize("fields", [{"env": {"A=B": "x"}}, {"env": {"A": "\0"}}, {"command": ["true", "a\0b"]}])
def test_attack_what_no_system_can_start_is_an_error_of_the_plugin(
    plugins: PluginStore, sealdex: Command, fields: dict[str, Any]
) -> None:
    service(plugins, **fields)
    code, failed = sealdex("run", "speech/echo")
    assert (code, failed["error"]["code"]) == (1, "plugin")
    assert "can't be started" in failed["error"]["message"]
    assert sealdex("ps")[1]["services"][0]["state"] == "failed"


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e300"])
def test_seconds_that_no_clock_counts_are_refused(plugins: PluginStore, sealdex: Command, seconds: str) -> None:
    service(plugins)
    for option in ("--grace", "--health-timeout", "--health-interval"):
        assert sealdex("run", "speech/echo", "-d", option, seconds)[0] == 2
    assert sealdex("ps")[1]["services"] == []


def test_a_state_with_an_endless_grace_is_read_and_shown_as_json(plugins: PluginStore, sealdex: Command) -> None:
    """As 0.1.0 wrote it for `--grace inf`."""
    folder = ServiceFolder(plugins.store, ECHO)
    folder.make()
    folder.write(ServiceState("speech/echo", "1.0.0", "stopped", 1, grace=float("inf")))
    assert sealdex("ps")[1]["services"][0]["grace"] == 10


class _Server:
    """What `http.client` is asked, in the place of a server."""

    asked: tuple[str, str]
    status = 204

    def __init__(self, host: str, port: int, timeout: float) -> None:
        assert (host, port) == ("127.0.0.1", 1)
        self.timeout = timeout

    def request(self, _: str, path: str) -> None:
        path.encode("ascii")
        _Server.asked = (path, f"{self.timeout:g}")

    def getresponse(self) -> _Server:
        return self

    def close(self) -> None:
        pass


def test_a_health_check_may_be_in_any_script_and_take_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client, "HTTPConnection", _Server)
    check = HealthCheck("/健康 1?a=b%20c", timeout=1e300)
    plan = ServicePlan(ECHO, "1.0.0", Path(), ("true",), {}, 1, check, 1)
    assert health_problem(plan) is None
    assert _Server.asked == ("/%E5%81%A5%E5%BA%B7%201?a=b%20c", "86400")


def test_attack_a_carriage_return_begins_no_line_of_the_log(tmp_path: Path) -> None:
    """A service could otherwise write lines that seem to be the supervisor's, at another time."""
    log = LogFile(tmp_path / "log")
    log.write("10 %\r2020-01-01T00:00:00Z sealdex: it is healthy")
    log.close()
    assert len(last_lines(tmp_path / "log", 10)) == 1
    assert last_lines(tmp_path / "log", 0) == []


def test_a_log_goes_on_after_there_was_no_room_for_its_next_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogFile(tmp_path / "log", max_bytes=10)
    log.write("one")

    def full(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        log.write("two")
        log.write("three")
    log.write("four")
    log.close()
    said = [line.split(" ", 1)[1] for line in last_lines(tmp_path / "log", 10)]
    assert said == ["one", "sealdex: 2 lines could not be written", "four"]


def test_a_line_that_the_disk_cut_off_is_counted_and_the_next_begins_a_line(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")

    class Short:
        def tell(self) -> int:
            return 0

        def write(self, data: bytes) -> int:
            return real.write(data[:10])

    real, log._file = log._file, Short()  # type: ignore[assignment]  # a disk with room for 10 bytes
    log.write("one")
    log._file = real
    log.write("two")
    log.close()
    lines = last_lines(tmp_path / "log", 10)
    assert [line.split(" ", 1)[1] for line in lines[1:]] == ["sealdex: 1 line could not be written", "two"]


def test_whoever_is_told_may_fail_and_the_service_is_logged_all_the_same(plugins: PluginStore) -> None:
    folder = ServiceFolder(plugins.store, ECHO)
    folder.make()

    def full(_: object) -> None:
        raise UsageError("the answer can't be written to stdout")

    report = Report(folder, ServiceState("speech/echo", "1.0.0", "starting", 1), full, full)
    report.printed("one")
    report.change("running")
    report.close()
    assert "one" in folder.last_lines(10)[0]


def test_a_service_whose_output_cannot_be_written_runs_to_its_end(
    plugins: PluginStore, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    service(plugins, f"import os\nfor n in range(9000): print('a line of some length', n)\n{WAIT}")
    state = f"STATE={ServiceFolder(plugins.store, ECHO).path / 'state.json'}"
    with open("/dev/full", "w", buffering=1, encoding="utf-8") as stdout:  # noqa: PTH123  # a full disk in a device
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["run", "speech/echo", "--env", state, "--store", plugins.store.root]) == 1
    assert "can't be written to stdout" in capfd.readouterr().err
    assert any("length 8999" in line for line in ServiceFolder(plugins.store, ECHO).last_lines(9))


def test_what_a_service_prints_at_its_end_is_short_in_messages(plugins: PluginStore, sealdex: Command) -> None:
    service(plugins, "print('x' * 60_000); raise SystemExit(3)", health_check={"endpoint": "/"}, port=1)
    code, failed = sealdex("run", "speech/echo", "--port", "0")
    assert code == 1
    assert len(failed["error"]["message"]) < 2000


def test_the_state_of_an_earlier_supervisor_with_the_same_id_does_not_count(
    plugins: PluginStore, sealdex: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container process ids begin at 1 again: an old ``stopped`` would be the answer of `run --detach`."""
    service(plugins)
    folder = ServiceFolder(plugins.store, ECHO)
    folder.make()
    folder.write(ServiceState("speech/echo", "1.0.0", "stopped", 7, "another time"))
    monkeypatch.setattr(api, "is_started_as", lambda *_: True)
    code, state = sealdex("run", "speech/echo", "--detach")
    assert (code, state["state"]) == (0, "running")


DAEMON = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open(os.environ["DAEMON"], "w").write(str(child.pid))
print("working", flush=True)
time.sleep(600)
"""


def test_a_daemon_that_left_its_group_ends_with_its_service(
    plugins: PluginStore, sealdex: Command, tmp_path: Path
) -> None:
    service(plugins, DAEMON)
    assert sealdex("run", "speech/echo", "--detach", "--env", f"DAEMON={tmp_path / 'pid'}")[0] == 0
    deadline = time.monotonic() + 60
    while not any("working" in line for line in ServiceFolder(plugins.store, ECHO).last_lines(9)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    daemon = int((tmp_path / "pid").read_text())
    assert process_identity(daemon) is not None
    assert sealdex("stop", "speech/echo", "--grace", "5")[0] == 0
    assert process_identity(daemon) is None


def test_a_service_that_another_one_started_in_the_background_does_not_end_with_it() -> None:
    assert api._with_log_file({"SEALDEX_RUN": "1", "A": "b"}) == {"A": "b"}


def test_a_service_whose_log_was_removed_can_be_stopped(plugins: PluginStore, sealdex: Command) -> None:
    service(plugins)
    assert sealdex("run", "speech/echo", "--detach")[0] == 0
    ServiceFolder(plugins.store, ECHO).log_path.unlink()
    assert sealdex("logs", "speech/echo")[1]["lines"] == []
    assert sealdex("stop", "speech/echo", "--grace", "1")[0] == 0


def test_services_of_a_store_that_cannot_be_written_are_listed(
    plugins: PluginStore, sealdex: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only mount, or another user's: whether a supervisor lives is asked without writing."""
    folder = ServiceFolder(plugins.store, ECHO)
    lock = folder.acquire()
    assert lock is not None
    folder.write(ServiceState("speech/echo", "1.0.0", "running", os.getpid()))
    real = os.open

    def read_only(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if str(path).startswith(str(folder.path)) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system", str(path))
        return real(path, flags, *args, **more)

    monkeypatch.setattr(os, "open", read_only)
    assert sealdex("ps")[1]["services"][0]["state"] == "running"
    lock.release()
    assert sealdex("ps")[1]["services"][0]["state"] == "died"


def test_what_cannot_be_ended_is_not_said_to_be_stopped(
    plugins: PluginStore, sealdex: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of another user, such as one that is set-uid, can't be killed by the user who runs the service."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        folder = ServiceFolder(plugins.store, ECHO)
        folder.make()
        identity = process_identity(process.pid)
        folder.write(ServiceState("speech/echo", "1.0.0", "running", 1, pid=process.pid, identity=identity))

        def refused(*_: int) -> None:
            raise PermissionError

        with monkeypatch.context() as patched:
            patched.setattr(os, "killpg", refused)
            patched.setattr(_group, "_KILLED_WITHIN_S", 0.0)
            code, failed = sealdex("stop", "speech/echo", "--grace", "0")
            assert code == 1
            assert "can't be ended" in failed["error"]["message"]
            service(plugins)
            services = Services(plugins.store)
            supervisor = services.supervisor(services.plan(ECHO), RestartPolicy(grace=0))
            with pytest.raises(PluginError, match="can't be ended"):
                supervisor.run()
        process.kill()


def test_attack_a_manifest_cannot_hide_what_it_started(plugins: PluginStore) -> None:
    """By this variable `stop` and a new supervisor find the processes of one that was killed."""
    service(plugins, env={"SEALDEX_PLUGIN": "other/plugin", "SEALDEX_VERSION": "9.9.9"})
    plan = Services(plugins.store).plan(ECHO, env={"SEALDEX_PLUGIN": "other/plugin"})
    assert plan.env["SEALDEX_PLUGIN"] == "speech/echo"
    assert plan.env["SEALDEX_VERSION"] == "1.0.0"


def test_variables_of_a_file_from_another_system(plugins: PluginStore, sealdex: Command, tmp_path: Path) -> None:
    service(plugins, f"import os; print(ascii((os.environ['A'], os.environ['B']))); {WAIT}")
    file = tmp_path / "env"
    file.write_bytes("\ufeffA=eins\u2028zwei\r\nB=\x85\r\n".encode())
    state = f"STATE={ServiceFolder(plugins.store, ECHO).path / 'state.json'}"
    assert sealdex("run", "speech/echo", "--env-file", str(file), "--env", state)[0] == 0
    assert any(r"('eins\u2028zwei', '\x85')" in line for line in sealdex("logs", "speech/echo")[1]["lines"])
    file.write_text("export A=1\n")
    assert sealdex("run", "speech/echo", "--env-file", str(file))[0] == 2
    assert sealdex("run", "speech/echo", "--env", "export A=1")[0] == 2


def test_nohup_keeps_a_service_in_the_foreground_running(plugins: PluginStore) -> None:
    service(plugins)
    command = ["nohup", sys.executable, "-m", "sealdex", "run", "speech/echo", "--store", plugins.store.root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith("working") for line in process.stdout)
        ignored = next(
            line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigIgn" in line
        )
        assert int(ignored.split()[1], 16) & 1 << signal.SIGHUP - 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
