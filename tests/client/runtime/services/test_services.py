"""Services: started, asked, restarted, ended with all they started, in the foreground and behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.log_lines import LogLines
from support.places import REPOSITORY
from support.plugin_store import PluginStore

from sealdex.cli.main import main
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginError, Services
from sealdex.runtime.process._group import end_group, process_identity
from sealdex.runtime.services._plan import free_port, plan_service
from sealdex.runtime.services.state import ServiceFolder, ServiceState
from sealdex.runtime.services.supervisor import RestartPolicy, Supervisor
from sealdex.store.database import State
from sealdex.store.manifests import installed_manifest

EXAMPLE = REPOSITORY / "examples" / "plugins" / "speech" / "echo-service" / "src"
ECHO = PluginId("speech", "echo")
QUICK = RestartPolicy(health=120, grace=5, first_delay=0.01, longest_delay=0.02, max_restarts=3)

SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(7)
        self.send_response(200 if self.path == "/health" else 404); self.end_headers()
    def log_message(self, *args): pass
print("listening", os.environ["PORT"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def echo(plugins: PluginStore, source: str = SERVER, **service: Any) -> None:
    fields = {"command": [sys.executable, "serve.py"], "health_check": {"endpoint": "/health", "interval": 0.01}}
    plugins.install("speech/echo", "1.0.0", {"serve.py": source}, service={**fields, **service})


class Run:
    """A supervisor in a thread; waits on what it says."""

    def __init__(self, plugins: PluginStore, policy: RestartPolicy = QUICK, *, port: int | None = 0) -> None:
        self.states: list[ServiceState] = []
        self.lines: list[str] = []
        self.error: PluginError | None = None
        self._changed = threading.Condition()
        services = Services(plugins.store)
        self.supervisor: Supervisor = services.supervisor(
            services.plan(ECHO, port=port), policy, on_line=self._line, on_state=self._state
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Run:  # noqa: PYI034  # typing.Self came with Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.request_stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.supervisor.run()
        except PluginError as error:
            self.error = error

    def _line(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def _state(self, state: ServiceState) -> None:
        with self._changed:
            self.states.append(state)
            self._changed.notify_all()

    def until(self, state: str, *, restarts: int = 0) -> ServiceState:
        def reached() -> ServiceState | None:
            return next((s for s in self.states if (s.state, s.restarts) == (state, restarts)), None)

        with self._changed:
            assert self._changed.wait_for(reached, 120), (self.states, self.lines)
            found = reached()
        assert found is not None
        return found


def has_ended(pid: int) -> bool:
    """Wait for the end of a process that was killed: the kernel may take a moment over it."""
    deadline = time.monotonic() + 60
    while (goes_on := process_identity(pid) is not None) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not goes_on


def get(port: int | None, path: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        status: int = answer.status
        return status


# --- the plan -------------------------------------------------------------------------------------------------------


def test_the_environment_and_command_of_a_plan(plugins: PluginStore) -> None:
    installation = plugins.install(
        "speech/echo",
        "1.0.0",
        {"bin/serve": "", "data/m/x": ""},
        bin_path="bin/serve",
        service={
            "command": ["bin/serve", "--port=${PORT}", "--at=$MODELS_DIR", "$UNKNOWN"],
            "port": 5008,
            "env": {"MODELS_DIR": "data/m", "MODE": "fast", "WHERE": "${SERVICE_DIR}/x"},
            "health_check": {"endpoint": "/health"},
        },
    )
    folder = installation.path
    plan = plan_service(
        installation, installed_manifest(installation), {"MODE": "slow", "HOME": "/h"}, port=6000, env={"MORE": "1"}
    )
    assert plan.command == (f"{folder}/bin/serve", "--port=6000", f"--at={folder}/data/m", "$UNKNOWN")
    assert {k: plan.env[k] for k in ("MODE", "HOME", "MORE", "PORT", "WHERE", "MODELS_DIR", "SEALDEX_VERSION")} == {
        "MODE": "fast",
        "HOME": "/h",
        "MORE": "1",
        "PORT": "6000",
        "WHERE": f"{folder}/x",
        "MODELS_DIR": f"{folder}/data/m",
        "SEALDEX_VERSION": "1.0.0",
    }
    assert plan.health_url == "http://127.0.0.1:6000/health"


def test_what_is_no_service_or_has_no_port_is_told_so(plugins: PluginStore) -> None:
    plugins.python("acme/tool", "1.0.0", "")
    with pytest.raises(PluginError, match="is not a service"):
        Services(plugins.store).plan(PluginId("acme", "tool"))
    echo(plugins)
    with pytest.raises(UsageError, match="no port for it"):
        Services(plugins.store).plan(ECHO)
    with pytest.raises(NotFoundError):
        Services(plugins.store).plan(PluginId("acme", "none"))


def test_what_is_disabled_is_not_started(plugins: PluginStore) -> None:
    echo(plugins)
    State(plugins.store).note(ECHO, 0)
    with pytest.raises(PluginError, match="disabled"):
        Services(plugins.store).plan(ECHO, port=0)


# --- in the foreground ----------------------------------------------------------------------------------------------


def test_the_example_runs_from_its_folder_with_its_model(plugins: PluginStore) -> None:
    files = {str(p.relative_to(EXAMPLE)): p.read_text() for p in EXAMPLE.rglob("*") if p.is_file()}
    plugins.install(
        "speech/echo",
        "1.0.0",
        files,
        service={
            "command": [sys.executable, "echo_service.py"],
            "port": 5008,
            "env": {"MODELS_DIR": "models"},
            "health_check": {"endpoint": "/health", "interval": 0.01},
        },
    )
    with Run(plugins) as running:
        port = running.until("running").port
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/say", data=b"hello robot", timeout=60) as answer:
            assert json.load(answer) == {"text": "You said: hello colleague"}
        assert Services(plugins.store).list()[0].state == "running"
    assert running.error is None
    assert [s.state for s in running.states] == ["starting", "running", "stopped"]
    assert any("listening on" in line for line in running.lines)
    assert Services(plugins.store).list()[0].state == "stopped"


def test_it_is_started_again_when_it_fails(plugins: PluginStore) -> None:
    echo(plugins)
    with Run(plugins) as running:
        first = running.until("running")
        with pytest.raises(OSError, match=r".*"):
            get(first.port, "/die")
        second = running.until("running", restarts=1)
        assert second.pid != first.pid
        assert running.until("waiting").exit_code == 7
        assert get(second.port, "/health") == 200


def test_it_is_given_up_after_so_many_failures(plugins: PluginStore) -> None:
    mark = Path(plugins.store.root, "mark")
    once = f"import pathlib, sys, time\np = pathlib.Path({str(mark)!r})\nif p.exists(): sys.exit('no more')\n"
    once += "while not p.exists(): time.sleep(0.01)\nsys.exit(4)"
    echo(plugins, once, health_check=None, command=[sys.executable, "serve.py"])
    with Run(plugins, port=None) as running:
        running.until("running")
        mark.touch()
        assert running.until("failed", restarts=3).error
    assert "failed 4 times in a row" in str(running.error)


def test_back_off_doubles_up_to_its_limit_and_ends() -> None:
    policy = RestartPolicy(first_delay=1, longest_delay=60, max_restarts=8)
    assert [policy.delay(n) for n in range(1, 10)] == [1, 2, 4, 8, 16, 32, 60, 60, None]


@pytest.mark.parametrize(
    ("source", "policy", "why"),
    [
        ("import sys; sys.exit('no model')", 60, r"(?s)exit code 1 before it was healthy.*no model"),
        ("import time; print('thinking', flush=True); time.sleep(1000)", 1, "was not healthy within 1 s"),
        (
            SERVER.replace('"/health"', '"/elsewhere"'),
            1,
            "answers 404|d(oes|id) not answer",
        ),  # the latter on a busy machine
    ],
)
def test_a_first_start_that_fails_is_final_and_leaves_nothing_running(
    plugins: PluginStore, source: str, policy: float, why: str
) -> None:
    echo(plugins, source)
    with Run(plugins, RestartPolicy(health=policy, grace=5)) as running:
        running.until("failed")
    assert re.search(why, str(running.error))
    pid = next(s.pid for s in running.states if s.pid)
    assert has_ended(pid)


def test_a_command_that_is_not_there(plugins: PluginStore) -> None:
    echo(plugins, command=["no-such-program"])
    with Run(plugins) as running:
        running.until("failed")
    assert "no-such-program" in str(running.error)


def test_a_taken_port_is_told_before_anything_is_started(plugins: PluginStore) -> None:
    """Who listens there already would answer the health check in the service's place."""
    echo(plugins)
    with Run(plugins) as first:
        port = first.until("running").port
        plugins.install(
            "speech/other",
            "1.0.0",
            {"serve.py": SERVER},
            service={"command": [sys.executable, "serve.py"], "health_check": {"endpoint": "/health"}},
        )
        services = Services(plugins.store)
        with pytest.raises(PluginError, match=f"port {port} is taken"):
            services.supervisor(services.plan(PluginId("speech", "other"), port=port), QUICK).run()
        with pytest.raises(PluginError, match="already running"):
            services.start(services.plan(ECHO, port=0))


@pytest.mark.parametrize("when", ["before the start", "before the service listens"])
def test_a_port_of_our_choice_that_somebody_takes_first_is_given_up_for_another(
    plugins: PluginStore, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo(plugins)
    running = Run(plugins)
    port = running.supervisor._plan.port
    assert port is not None
    if when == "before the service listens":
        monkeypatch.setattr("sealdex.runtime.services._process.is_taken", lambda _: False)
    with socket.create_server(("127.0.0.1", port)), running:
        state = running.until("running")
        assert state.port not in {None, port}
        assert get(state.port, "/health") == 200
        assert Services(plugins.store).list()[0].port == state.port


# both write whole lines at once: print, unbuffered, writes the end of a line by itself
STUBBORN = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.write(1, b'deaf\\\\n'); time.sleep(1000)"])
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"ending\\n"), sys.exit(0)))
os.write(1, b"child %d\\n" % child.pid)
while True: time.sleep(0.05)
"""


def test_stopping_asks_first_and_takes_the_whole_group(plugins: PluginStore) -> None:
    echo(plugins, STUBBORN, health_check=None)
    with Run(plugins, port=None) as running:
        running.until("running")
        with running._changed:
            assert running._changed.wait_for(lambda: {"deaf"} <= set(running.lines) and len(running.lines) > 1, 120)
        child = int(next(line for line in running.lines if line.startswith("child")).split()[1])
        assert process_identity(child) is not None
    assert "ending" in running.lines
    assert has_ended(child)


# --- in the background ----------------------------------------------------------------------------------------------


@pytest.fixture
def sealdex(plugins: PluginStore, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command on the store; return its JSON document, and raise its error text."""

    def run(*args: str) -> Any:
        capfd.readouterr()
        code = main([args[0], "--json", "--store", plugins.store.root, *args[1:]])
        printed = capfd.readouterr()
        assert code == 0, printed.out + printed.err
        return json.loads(printed.out)

    return run


def test_detach_ps_logs_stop(plugins: PluginStore, sealdex: Callable[..., Any]) -> None:
    echo(plugins)
    started = sealdex("run", "speech/echo", "--detach", "--port", "0", "--grace", "5")
    try:
        assert started["state"] == "running"
        assert get(started["port"], "/health") == 200
        assert [(s["plugin"], s["state"]) for s in sealdex("ps")["services"]] == [("speech/echo", "running")]
        said, until = f" listening {started['port']}", time.monotonic() + 60
        while not any(line.endswith(said) for line in sealdex("logs", "speech/echo")["lines"]):
            assert time.monotonic() < until  # it is healthy, and what it printed is on its way
            time.sleep(0.01)
        with pytest.raises(AssertionError, match="already running"):
            sealdex("run", "speech/echo", "--detach", "--port", "0")
    finally:
        stopped = sealdex("stop", "speech/echo")["stopped"]
    assert [s["state"] for s in stopped] == ["stopped"]
    assert has_ended(started["pid"])
    with pytest.raises(AssertionError, match="is not running"):
        sealdex("stop", "speech/echo")


def test_a_detached_start_that_fails_says_why(plugins: PluginStore, sealdex: Callable[..., Any]) -> None:
    echo(plugins, "import sys; sys.exit('no model')")
    with pytest.raises(AssertionError, match="no model"):
        sealdex("run", "speech/echo", "--detach", "--port", "0")
    assert sealdex("ps")["services"][0]["state"] == "failed"


def test_what_a_killed_supervisor_left_is_found_and_ended(plugins: PluginStore, sealdex: Callable[..., Any]) -> None:
    echo(plugins)
    started = sealdex("run", "speech/echo", "--detach", "--port", "0")
    os.kill(started["supervisor"], signal.SIGKILL)
    os.waitpid(started["supervisor"], 0)
    assert sealdex("ps")["services"][0]["state"] == "died"
    assert process_identity(started["pid"]) is not None
    sealdex("stop", "speech/echo", "--grace", "5")
    assert has_ended(started["pid"])
    assert sealdex("ps")["services"][0]["state"] == "stopped"


def test_a_start_ends_what_a_killed_supervisor_left(plugins: PluginStore, sealdex: Callable[..., Any]) -> None:
    echo(plugins)
    first = sealdex("run", "speech/echo", "--detach", "--port", "0")
    os.kill(first["supervisor"], signal.SIGKILL)
    os.waitpid(first["supervisor"], 0)
    second = sealdex("run", "speech/echo", "--detach", "--port", "0")
    try:
        assert has_ended(first["pid"])
        assert second["state"] == "running"
    finally:
        sealdex("stop", "speech/echo")


def test_attack_a_state_file_that_names_a_stranger_ends_nobody(plugins: PluginStore) -> None:
    """A process id in an old state file was given to another process since: `stop` must not hit that."""
    echo(plugins)
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as stranger:
        folder = ServiceFolder(plugins.store, ECHO)
        folder.path.mkdir(parents=True)
        folder.log_path.touch()
        folder.write(ServiceState("speech/echo", "1.0.0", "running", 1, pid=stranger.pid, identity="another time"))
        with pytest.raises(NotFoundError, match="is not running"):
            Services(plugins.store).stop(ECHO)
        end_group(stranger.pid, "another time", "SEALDEX_PLUGIN=speech/echo", 0)
        assert stranger.stdin is not None
        stranger.stdin.close()
        assert stranger.wait(60) == 0


def test_ctrl_c_ends_a_service_in_the_foreground(plugins: PluginStore) -> None:
    echo(plugins)
    code = "import sys; from sealdex.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "run", "speech/echo", "--port", str(free_port()), "--store"]
    with subprocess.Popen([*command, plugins.store.root], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "is running" in line:
                break
        pid = int(re.findall(r"process (\d+)", line)[0])
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert "is stopped" in rest
    assert has_ended(pid)


def test_a_supervisor_logs_into_the_same_file_and_leaves_the_services_log_to_it(
    plugins: PluginStore, sealdex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEALDEX_LOG_FILE", "all.log")  # relative: the supervisor runs in another folder
    monkeypatch.setenv("SEALDEX_LOG_FORMAT", "json")
    echo(plugins)
    sealdex("run", "speech/echo", "--detach", "--port", "0")
    sealdex("stop", "speech/echo")
    log = LogLines.of((tmp_path / "all.log").read_text())
    started = log.one("runtime.started", plugin="speech/echo")
    said = [each["message"] for each in log.of_event("runtime.service") if each["pid"] != os.getpid()]
    assert any("is running" in text for text in said)
    assert started["version"] == "1.0.0"
    printed = ServiceFolder(plugins.store, ECHO).log_path.read_text()
    assert "listening" in printed
    assert "runtime.service" not in printed
