"""Programs that end by themselves: the failed call isn't repeated, the next one starts them again, within bounds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.plugin_store import PluginStore

from sealdex.errors import ConfigError, InstallError
from sealdex.events import Observer
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginError, PluginManager, PluginStatus
from sealdex.runtime._plugin_table import Crashes
from sealdex.runtime.process._backoff import BackOff
from sealdex.store.database import State
from sealdex.store.transaction import remove_versions

PROG = PluginId("acme", "prog")
AT_ONCE = BackOff(first_delay=0.0, max_restarts=2)

PROGRAM = """
import json, os, pathlib, sys
told = pathlib.Path(TOLD)
with told.open("a") as file:
    file.write("start\\n")
for line in sys.stdin:
    asked = json.loads(line)
    method = asked["method"]
    with told.open("a") as file:
        file.write(method + "\\n")
    if method == "die":
        sys.exit("the bus is gone")
    if method == "initialize" and pathlib.Path(str(told) + ".broken").exists():
        sys.exit("no bus at all")
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"protocol": 1}}), flush=True)
"""


class Told(Observer):
    """Counts crashes."""

    def __init__(self) -> None:
        self.crashes: list[str] = []

    def crashed(self, plugin: PluginId, version: str) -> None:
        self.crashes.append(f"{plugin} {version}")


class Scene:
    """A plugin that writes down each start and each call."""

    def __init__(self, plugins: PluginStore, folder: Path, restarts: BackOff) -> None:
        self.told = folder / "told"
        self.observer = Told()
        plugins.install(
            "acme/prog",
            "1.0.0",
            {"prog.py": PROGRAM.replace("TOLD", repr(str(self.told)))},
            entry_point=f"{sys.executable} prog.py",
            runtime={"kind": "process"},
        )
        self.manager = PluginManager(plugins.store, load_timeout=120, restarts=restarts, observer=self.observer)
        self.manager.register("acme/prog")
        self.manager.init()

    def call(self, method: str) -> Any:
        return self.manager.call("acme/prog", method)

    def lines(self) -> list[str]:
        return self.told.read_text().splitlines()


def test_the_next_call_starts_it_again_and_the_failed_one_is_not_repeated(plugins: PluginStore, tmp_path: Path) -> None:
    scene = Scene(plugins, tmp_path, AT_ONCE)
    with scene.manager as manager:
        with pytest.raises(PluginError, match="ended with exit code 1: the bus is gone"):
            scene.call("die")
        assert manager.state("acme/prog").status == PluginStatus.ERROR
        assert State(plugins.store).plugin(PROG).status == 2
        assert scene.call("work") == {"protocol": 1}
        state = manager.state("acme/prog")
        assert (state.status, state.restarts, state.version) == (PluginStatus.ENABLED, 1, "1.0.0")
        assert State(plugins.store).plugin(PROG).status == 1
        assert scene.lines() == ["start", "initialize", "die", "start", "initialize", "work"]
        assert scene.observer.crashes == ["acme/prog 1.0.0"]


def test_get_gives_the_one_that_was_started_again(plugins: PluginStore, tmp_path: Path) -> None:
    scene = Scene(plugins, tmp_path, AT_ONCE)
    with scene.manager as manager:
        old = manager.get("acme/prog")
        with pytest.raises(PluginError):
            old.die()
        with pytest.raises(PluginError, match="not running"):
            old.work()
        assert manager.get("acme/prog").work() == {"protocol": 1}


def test_it_is_given_up_after_so_many_crashes_until_it_is_reloaded(plugins: PluginStore, tmp_path: Path) -> None:
    scene = Scene(plugins, tmp_path, AT_ONCE)
    with scene.manager as manager:
        for _ in range(3):
            with pytest.raises(PluginError, match="the bus is gone"):
                scene.call("die")
        for _ in range(2):
            with pytest.raises(PluginError, match=r"crashed 3 times in a row and is not restarted.*bus is gone"):
                scene.call("work")
        assert scene.lines().count("start") == 3
        assert manager.state("acme/prog").status == PluginStatus.ERROR
        manager.reload("acme/prog")
        assert scene.call("work") == {"protocol": 1}


def test_a_start_that_fails_counts_as_a_crash(plugins: PluginStore, tmp_path: Path) -> None:
    scene = Scene(plugins, tmp_path, AT_ONCE)
    with scene.manager as manager:
        with pytest.raises(PluginError):
            scene.call("die")
        Path(f"{scene.told}.broken").touch()
        for _ in range(2):
            with pytest.raises(PluginError, match="no bus at all"):
                scene.call("work")
        with pytest.raises(PluginError, match="not restarted"):
            scene.call("work")
        state = manager.state("acme/prog")
        assert (state.status, state.restarts) == (PluginStatus.ERROR, 0)


def test_calls_do_not_wait_for_the_pause(plugins: PluginStore, tmp_path: Path) -> None:
    scene = Scene(plugins, tmp_path, BackOff(first_delay=1000.0, longest_delay=5000.0))
    with scene.manager:
        for _ in range(2):  # the first crash is followed by a start at once
            with pytest.raises(PluginError, match="the bus is gone"):
                scene.call("die")
        with pytest.raises(PluginError, match=r"a call in \d+\.\d s or later restarts it"):
            scene.call("work")


def test_crashes_in_a_row_and_the_pauses_between_them() -> None:
    crashes = Crashes(BackOff(first_delay=1, longest_delay=60, max_restarts=3, good_run=60))
    assert crashes.wait(0) == 0
    crashes.note(0, 10)
    assert crashes.wait(10) == 0
    crashes.note(10, 20)
    assert (crashes.wait(20), crashes.wait(21.5), crashes.wait(30)) == (2, 0.5, 0)
    crashes.note(30, 90)  # it ran for a minute: a new row
    assert (crashes.count, crashes.wait(90)) == (1, 0)
    for _ in range(3):
        crashes.note(90, 91)
    assert crashes.wait(1e9) is None
    crashes.forget()
    assert crashes.wait(0) == 0


# --- what a manager holds and is told --------------------------------------------------------------------------------


def test_what_is_loaded_is_not_uninstalled(plugins: PluginStore, manager: PluginManager) -> None:
    plugins.python("acme/tool", "1.0.0", "class Plugin:\n    def __init__(self, config): pass\n")
    tool = PluginId("acme", "tool")
    manager.register("acme/tool")
    manager.init()
    with pytest.raises(InstallError, match="has it loaded"):
        remove_versions(plugins.store, "uninstall", {tool: ("1.0.0",)})
    plugins.python("acme/tool", "1.1.0", "class Plugin:\n    def __init__(self, config): pass\n")
    manager.reload("acme/tool")
    remove_versions(plugins.store, "uninstall", {tool: ("1.0.0",)})
    manager.unregister("acme/tool")
    remove_versions(plugins.store, "uninstall", {tool: ("1.1.0",)})


def test_what_failed_to_load_is_not_held(plugins: PluginStore, manager: PluginManager) -> None:
    plugins.python("acme/tool", "1.0.0", "1 / 0")
    with pytest.raises(PluginError):
        manager.register("acme/tool")
    remove_versions(plugins.store, "uninstall", {PluginId("acme", "tool"): ("1.0.0",)})


def test_the_load_timeout_is_the_configured_one(
    plugins: PluginStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[runtime]\nload_timeout = 0.3\n")
    monkeypatch.setenv("SEALDEX_CONFIG", str(config))
    over = tmp_path / "over"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(over)!r}).exists(): time.sleep(0.01)\n"
    plugins.python("acme/waits", "1.0.0", wait)
    with PluginManager(plugins.store) as manager, pytest.raises(PluginError, match=r"longer than 0\.3 s"):
        manager.register("acme/waits")
    monkeypatch.setenv("SEALDEX_RUNTIME_LOAD_TIMEOUT", "0.2")
    with PluginManager(plugins.store) as manager, pytest.raises(PluginError, match=r"longer than 0\.2 s"):
        manager.register("acme/waits")
    with PluginManager(plugins.store, load_timeout=0.1) as manager, pytest.raises(PluginError, match=r"than 0\.1 s"):
        manager.register("acme/waits")
    over.touch()
    monkeypatch.delenv("SEALDEX_RUNTIME_LOAD_TIMEOUT")
    config.write_text("[runtime]\nload_timeout = -1\n")
    with pytest.raises(ConfigError, match="load_timeout"):
        PluginManager(plugins.store)
