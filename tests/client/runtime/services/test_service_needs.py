"""`run` sees to the services that a service depends on, and `stop --all` ends them in the opposite order."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from support.plugin_store import PluginStore
from support.service_commands import Command

from sealdex.cli.main import main
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginError, Services
from sealdex.runtime.services._plan import free_port
from sealdex.runtime.services.dependencies import in_stopping_order, needed_services, see_to, unmet
from sealdex.runtime.services.state import ServiceFolder, ServiceState
from sealdex.runtime.services.supervisor import RestartPolicy

WORKER = "import time\nprint('working', flush=True)\nwhile True: time.sleep(0.05)"
APP, BASE, STORE = (PluginId("speech", name) for name in ("app", "base", "store"))


def service(plugins: PluginStore, plugin: PluginId, *needs: PluginId, source: str = WORKER, **more: Any) -> None:
    plugins.install(
        str(plugin),
        "1.0.0",
        {"work.py": source},
        service={"command": [sys.executable, "work.py"], **more},
        dependencies={str(need): "^1" for need in needs},
    )


def running(plugins: PluginStore) -> dict[str, str]:
    return {state.plugin: state.state for state in Services(plugins.store).list()}


def test_services_are_started_before_what_depends_on_them(plugins: PluginStore, sealdex: Command) -> None:
    service(plugins, STORE)
    plugins.install("speech/library", "1.0.0", {"x": ""}, dependencies={"speech/store": "*"})
    service(plugins, BASE, PluginId("speech", "library"))
    service(plugins, APP, BASE)
    assert needed_services(plugins.store, APP) == [STORE, BASE]  # through what is no service itself
    code, state = sealdex("run", "speech/app", "--detach")
    assert (code, state["plugin"]) == (0, "speech/app")
    assert running(plugins) == {"speech/app": "running", "speech/base": "running", "speech/store": "running"}
    pids = {s.plugin: s.pid for s in Services(plugins.store).list()}
    assert sealdex("stop", "speech/app")[0] == 0
    assert sealdex("run", "speech/app", "--detach")[0] == 0  # what runs is left alone
    again = {s.plugin: s.pid for s in Services(plugins.store).list()}
    assert {name: pid for name, pid in again.items() if name != "speech/app"} == {
        name: pid for name, pid in pids.items() if name != "speech/app"
    }
    code, done = sealdex("stop", "--all")
    assert (code, [s["plugin"] for s in done["stopped"]]) == (0, ["speech/app", "speech/base", "speech/store"])


def test_it_can_be_started_alone(plugins: PluginStore, sealdex: Command) -> None:
    service(plugins, BASE)
    service(plugins, APP, BASE)
    assert sealdex("run", "speech/app", "--detach", "--no-dependencies")[0] == 0
    assert running(plugins) == {"speech/app": "running"}


def test_what_depends_on_a_service_that_does_not_start_is_not_started(plugins: PluginStore, sealdex: Command) -> None:
    # without a check it would run where it took its time to fail
    checked = {"port": free_port(), "health_check": {"endpoint": "/health"}}
    service(plugins, BASE, source="raise SystemExit('no disk')", **checked)
    service(plugins, APP, BASE)
    code, said = sealdex("run", "speech/app", "--detach")
    assert code == 1
    assert said["error"]["message"].startswith("speech/base, which it depends on, could not be started: ")
    assert "speech/app" not in running(plugins)


def test_a_disabled_service_is_not_started_for_another(plugins: PluginStore, sealdex: Command) -> None:
    service(plugins, BASE)
    service(plugins, APP, BASE)
    assert sealdex("disable", "speech/base")[0] == 0
    code, said = sealdex("run", "speech/app", "--detach")
    assert (code, "speech/base is disabled" in said["error"]["message"]) == (1, True)
    assert running(plugins) == {}


def test_services_in_a_circle_are_refused(plugins: PluginStore, sealdex: Command) -> None:
    service(plugins, BASE, APP)
    service(plugins, APP, BASE)
    code, said = sealdex("run", "speech/app", "--detach")
    assert (code, "speech/app -> speech/base -> speech/app" in said["error"]["message"]) == (1, True)
    assert running(plugins) == {}
    assert sealdex("run", "speech/app", "--detach", "--no-dependencies")[0] == 0
    assert sealdex("run", "speech/base", "--detach", "--no-dependencies")[0] == 0
    assert sealdex("stop", "--all")[0] == 0  # in some order


def test_one_that_is_not_well_in_time_is_said(plugins: PluginStore) -> None:
    """It is supervised by somebody, who says that its health check fails."""
    service(plugins, BASE)
    folder = ServiceFolder(plugins.store, BASE)
    lock = folder.acquire()
    assert lock is not None
    folder.write(ServiceState("speech/base", "1.0.0", "running", 1, health="unhealthy", error="503"))
    ticks = iter(range(1000))
    with pytest.raises(PluginError, match="speech/base, which it depends on, is unhealthy: 503"):
        see_to(Services(plugins.store), plugins.store, [BASE], RestartPolicy(health=3), clock=lambda: next(ticks))
    folder.write(ServiceState("speech/base", "1.0.0", "running", 1, health="healthy"))
    assert see_to(Services(plugins.store), plugins.store, [BASE], RestartPolicy(health=3)) == []
    lock.release()


def test_a_version_that_it_cannot_work_with_is_named(
    plugins: PluginStore, capfd: pytest.CaptureFixture[str], sealdex: Command
) -> None:
    plugins.install("speech/base", "2.0.0", {"x": ""})
    service(plugins, APP, BASE)
    assert [str(each) for each in unmet(plugins.store, APP, "1.0.0")] == [
        "speech/app 1.0.0 needs speech/base ^1, 2.0.0 is in use"
    ]
    assert main(["run", "speech/app", "--detach", "--store", plugins.store.root]) == 0
    assert "speech/app 1.0.0 needs speech/base ^1, 2.0.0 is in use" in capfd.readouterr().err


def test_stopping_goes_from_the_top(plugins: PluginStore) -> None:
    service(plugins, STORE)
    service(plugins, BASE, STORE)
    service(plugins, APP, BASE)
    assert in_stopping_order(plugins.store, [BASE, STORE, APP]) == [APP, BASE, STORE]
