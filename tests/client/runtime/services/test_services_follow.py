"""Services that go over to the version in use, and that are started again when their health check fails."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.plugin_store import PluginStore

from sealdex.errors import InstallError
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginError, Services
from sealdex.runtime.services._plan import free_port
from sealdex.runtime.services.state import ServiceFolder, ServiceState
from sealdex.runtime.services.supervisor import RestartPolicy, Supervisor
from sealdex.store.database import State
from sealdex.store.leases import holders
from sealdex.store.transaction import remove_versions

ECHO = PluginId("speech", "echo")
QUICK = RestartPolicy(
    health=120, grace=5, first_delay=0.01, longest_delay=0.02, max_restarts=3, health_interval=0.01, look_interval=0.01
)

SERVER = """
import http.server, os, pathlib, sys, threading
VERSION = os.environ["SEALDEX_VERSION"]
sick = pathlib.Path(os.environ["STORY"], "sick")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ill = sick.exists() and sick.read_text() == str(os.getpid())
        self.send_response(503 if ill else 200 if self.path in ("/health", "/version") else 404); self.end_headers()
        self.wfile.write(VERSION.encode())
    def log_message(self, *args): pass
print("listening", VERSION, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
FAILING = "import sys; sys.exit('no model')"


class Scene:
    """A supervisor in a thread that follows what is in use; waits on what it says."""

    def __init__(self, plugins: PluginStore, folder: Path, policy: RestartPolicy = QUICK) -> None:
        self.plugins = plugins
        self.folder = folder
        self.services = Services(plugins.store)
        self.states: list[ServiceState] = []
        self.error: PluginError | None = None
        self._policy = policy
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._supervisor: Supervisor | None = None

    def install(self, version: str, source: str = SERVER, **service: Any) -> None:
        """Install a version; it is in use from then on."""
        fields = {"command": [sys.executable, "serve.py"], "health_check": {"endpoint": "/health", "interval": 0.01}}
        self.plugins.install("speech/echo", version, {"serve.py": source}, service={**fields, **service})

    def run(self, *, port: int | None = 0, follows: bool = True) -> Scene:
        plan = self.services.plan(ECHO, port=port, env={"STORY": str(self.folder)})
        self._supervisor = self.services.supervisor(plan, self._policy, follows=follows, on_state=self._state)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __enter__(self) -> Scene:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        assert self._supervisor is not None
        assert self._thread is not None
        self._supervisor.request_stop()
        self._thread.join()

    def until(self, what: Callable[[ServiceState], object], after: ServiceState | None = None) -> ServiceState:
        """Return the first state (after another one) of which that holds."""

        def found() -> ServiceState | None:
            first = 0 if after is None else next(n for n, s in enumerate(self.states) if s is after) + 1
            return next((state for state in self.states[first:] if what(state)), None)

        with self._changed:
            assert self._changed.wait_for(found, 120), self.states
            state = found()
        assert state is not None
        return state

    def running(self, version: str, restarts: int = 0) -> ServiceState:
        return self.until(lambda s: (s.state, s.version, s.restarts) == ("running", version, restarts))

    def log(self) -> str:
        return "\n".join(ServiceFolder(self.plugins.store, ECHO).last_lines(1000))

    def _run(self) -> None:
        assert self._supervisor is not None
        try:
            self._supervisor.run()
        except PluginError as error:
            self.error = error

    def _state(self, state: ServiceState) -> None:
        with self._changed:
            self.states.append(state)
            self._changed.notify_all()


@pytest.fixture
def scene(plugins: PluginStore, tmp_path: Path) -> Scene:
    return Scene(plugins, tmp_path)


def version_at(port: int | None) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=60) as answer:
        text: str = answer.read().decode()
        return text


# --- going over -------------------------------------------------------------------------------------------------------


def test_on_a_port_of_its_own_choice_the_new_one_is_well_before_the_old_one_ends(scene: Scene) -> None:
    scene.install("1.0.0")
    with scene.run():
        first = scene.running("1.0.0")
        scene.install("1.1.0")
        second = scene.running("1.1.0")
        assert second.port != first.port
        assert version_at(second.port) == "1.1.0"
        assert [s.state for s in scene.states] == ["starting", "running", "running"]
        deadline = time.monotonic() + 60
        while holders(scene.plugins.store, ECHO, "1.0.0") and time.monotonic() < deadline:
            time.sleep(0.01)
        remove_versions(scene.plugins.store, "uninstall", {ECHO: ("1.0.0",)})


def test_on_a_fixed_port_the_old_one_ends_first(scene: Scene) -> None:
    scene.install("1.0.0")
    port = free_port()
    with scene.run(port=port):
        scene.running("1.0.0")
        scene.install("1.1.0")
        second = scene.running("1.1.0")
        assert version_at(port) == "1.1.0"
        scene.plugins.use("speech/echo", "1.0.0")  # what a rollback does
        scene.until(lambda s: (s.state, s.version) == ("running", "1.0.0"), after=second)
        assert version_at(port) == "1.0.0"


@pytest.mark.parametrize("fixed", [True, False])
def test_a_version_that_does_not_become_well_leaves_the_old_one_serving(scene: Scene, fixed: bool) -> None:
    scene.install("1.0.0")
    with scene.run(port=free_port() if fixed else 0):
        scene.running("1.0.0")
        scene.install("1.1.0", FAILING)
        state = scene.until(lambda s: (s.state, s.version) == ("running", "1.0.0") and s.error)
        assert "not switched to 1.1.0" in (state.error or "")
        assert "no model" in (state.error or "")
        assert version_at(state.port) == "1.0.0"
        row = State(scene.plugins.store).plugin(ECHO)
        assert (row.status, row.version) == (2, "1.1.0")
        scene.install("1.1.1")  # the next one is taken
        assert scene.running("1.1.1").error is None
        assert State(scene.plugins.store).plugin(ECHO).status == 1
    assert scene.log().count("switching from 1.0.0 to 1.1.0") == 1  # it was tried once


def test_what_is_no_service_any_more_is_passed_over_and_going_back_clears_it(scene: Scene) -> None:
    scene.install("1.0.0")
    with scene.run():
        scene.running("1.0.0")
        scene.plugins.python("speech/echo", "2.0.0", "")
        refused = scene.until(lambda s: s.error)
        assert "is not a service" in (refused.error or "")
        scene.plugins.use("speech/echo", "1.0.0")
        scene.until(lambda s: s.error is None, after=refused)
        assert State(scene.plugins.store).plugin(ECHO).status == 1


def test_one_that_does_not_follow_stays_and_its_version_is_held(scene: Scene) -> None:
    scene.install("1.0.0")
    with scene.run(follows=False):
        first = scene.running("1.0.0")
        scene.install("1.1.0")
        with pytest.raises(InstallError, match=rf"runs as a service, started by process {os.getpid()}.*sealdex stop"):
            remove_versions(scene.plugins.store, "uninstall", {ECHO: ("1.0.0",)})
        assert version_at(first.port) == "1.0.0"
    assert {s.version for s in scene.states} == {"1.0.0"}
    remove_versions(scene.plugins.store, "uninstall", {ECHO: ("1.0.0",)})


def test_a_version_that_comes_into_use_while_the_old_one_keeps_failing_is_taken(
    plugins: PluginStore, tmp_path: Path
) -> None:
    policy = RestartPolicy(health=120, grace=5, first_delay=1000, longest_delay=1000, look_interval=0.01)
    scene = Scene(plugins, tmp_path, policy)
    scene.install("1.0.0", SERVER + "\n")
    with scene.run():
        state = scene.running("1.0.0")
        assert state.pid is not None
        os.kill(state.pid, signal.SIGKILL)
        scene.until(lambda s: s.state == "waiting")
        scene.install("1.0.1")
        assert version_at(scene.running("1.0.1", restarts=1).port) == "1.0.1"


def test_one_that_is_disabled_is_stopped(scene: Scene) -> None:
    scene.install("1.0.0")
    with scene.run(follows=False):
        pid = scene.running("1.0.0").pid
        State(scene.plugins.store).note(ECHO, 0)
        assert scene.until(lambda s: s.state == "stopped").pid is None
        assert pid is not None
    assert "it was disabled" in scene.log()


# --- health -----------------------------------------------------------------------------------------------------------


def test_one_that_is_unhealthy_several_times_in_a_row_is_started_again(scene: Scene) -> None:
    scene.install("1.0.0")
    with scene.run():
        first = scene.running("1.0.0")
        assert first.health == "healthy"
        (scene.folder / "sick").write_text(str(first.pid))
        assert "answers 503" in (scene.until(lambda s: (s.state, s.health) == ("running", "unhealthy")).error or "")
        waiting = scene.until(lambda s: s.state == "waiting")
        assert "was unhealthy 3 times in a row" in (waiting.error or "")
        second = scene.running("1.0.0", restarts=1)
        assert second.pid != first.pid
        assert second.health == "healthy"


def test_one_that_gets_well_in_time_is_left_alone(plugins: PluginStore, tmp_path: Path) -> None:
    policy = RestartPolicy(health=120, grace=5, health_interval=0.01, health_retries=1_000_000)
    scene = Scene(plugins, tmp_path, policy)
    scene.install("1.0.0")
    with scene.run():
        first = scene.running("1.0.0")
        (scene.folder / "sick").write_text(str(first.pid))
        ill = scene.until(lambda s: s.health == "unhealthy")
        (scene.folder / "sick").unlink()
        well = scene.until(lambda s: s.health == "healthy", after=ill)
        assert (well.pid, well.error) == (first.pid, None)


def test_one_that_hangs_is_unhealthy_and_is_stopped_all_the_same(plugins: PluginStore, tmp_path: Path) -> None:
    """A supervisor that waited for an answer itself couldn't be stopped meanwhile."""
    hanging = SERVER.replace("        ill =", "        if sick.exists(): threading.Event().wait()\n        ill =")
    scene = Scene(plugins, tmp_path)
    scene.install("1.0.0", hanging, health_check={"endpoint": "/health", "interval": 0.01, "timeout": 86400.0})
    with scene.run():
        scene.running("1.0.0")
        (scene.folder / "sick").touch()
    assert scene.states[-1].state == "stopped"
