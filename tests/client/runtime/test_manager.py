"""Registering, initialising, reloading and letting go of Python plugins; what fails leaves the old version serving."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.plugin_store import PluginStore
from support.tree_server import TreeServer

from sealdex.errors import ConfigError, NotFoundError, UsageError, VerificationError
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginContext, PluginError, PluginManager, PluginState, PluginStatus, PluginTimeoutError
from sealdex.store.database import State
from sealdex.store.transaction import change_facts

GREETER = """
class Plugin:
    def __init__(self, config):
        self.config, self.events = config, []
    def init(self, context):
        self.context = context
        self.events.append("init")
    def close(self):
        self.events.append("close")
    def greet(self, name, mark="!"):
        return f"VERSION hello {name}{mark}"
"""


def greeter(version: str) -> str:
    return GREETER.replace("VERSION", version)


def test_register_init_get_call_unregister(plugins: PluginStore, manager: PluginManager) -> None:
    installation = plugins.python("acme/greet", "1.0.0", greeter("1.0.0"), default_config={"a": 1})
    assert manager.register("acme/greet").status == PluginStatus.ENABLED
    with pytest.raises(PluginError, match="not initialized"):
        manager.get("acme/greet")
    manager.init()
    plugin = manager.get("acme/greet")
    context: PluginContext = plugin.context
    assert (str(context.plugin), context.version, context.folder) == ("acme/greet", "1.0.0", installation.path)
    assert manager.call("acme/greet", "greet", "Kai", mark="?") == "1.0.0 hello Kai?"
    state = manager.state("acme/greet")
    assert (state.version, state.kind, state.error) == ("1.0.0", "python", None)
    assert state.load_seconds is not None
    manager.unregister("acme/greet")
    assert plugin.events == ["init", "close"]
    assert manager.states() == []
    with pytest.raises(NotFoundError):
        manager.get("acme/greet")


def test_a_name_is_taken_once_and_must_be_installed(plugins: PluginStore, manager: PluginManager) -> None:
    plugins.python("acme/greet", "1.0.0", greeter("1.0.0"))
    manager.register("acme/greet")
    with pytest.raises(UsageError, match="already registered"):
        manager.register("acme/greet")
    with pytest.raises(NotFoundError, match="not installed"):
        manager.register("acme/other")
    with pytest.raises(NotFoundError, match=r"1.0.0"):
        manager.register("acme/greet", version="3.0.0", name="three")


def test_functions_and_objects_are_entry_points_too(plugins: PluginStore, manager: PluginManager) -> None:
    source = "def Plugin(config): return ['made', config]\nclass Outer:\n    inner = {'a': 'value'}\n"
    plugins.python("acme/made", "1.0.0", source)
    plugins.python("acme/value", "1.0.0", source, entry_point="plugin:Outer.inner")
    manager.register("acme/made", config={"x": 1})
    manager.register("acme/value")
    manager.init()
    assert manager.get("acme/made") == ["made", {"x": 1}]
    assert manager.get("acme/value") == {"a": "value"}


# --- configuration --------------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {"prefix": {"type": "string"}, "deep": {"type": "object"}, "list": {"type": "array"}},
    "required": ["prefix"],
    "additionalProperties": False,
}


def test_configuration_is_merged_over_the_defaults(plugins: PluginStore, manager: PluginManager) -> None:
    defaults = {"prefix": "[x]", "deep": {"a": 1, "b": {"c": 2}}, "list": [1, 2]}
    plugins.python("acme/greet", "1.0.0", greeter("1.0.0"), default_config=defaults, config_schema=SCHEMA)
    manager.register("acme/greet", config={"deep": {"b": {"d": 3}}, "list": [9]})
    manager.init()
    assert manager.get("acme/greet").config == {
        "prefix": "[x]",
        "deep": {"a": 1, "b": {"c": 2, "d": 3}},
        "list": [9],
    }


def test_a_configuration_that_does_not_fit_names_every_place_and_runs_nothing(
    plugins: PluginStore, manager: PluginManager
) -> None:
    plugins.python("acme/greet", "1.0.0", "raise SystemExit('it ran')", config_schema=SCHEMA)
    with pytest.raises(ConfigError) as refused:
        manager.register("acme/greet", config={"prefix": 3, "more": 1})
    assert "$.prefix: 3 is not of type 'string'" in str(refused.value)
    assert "'more' was unexpected" in str(refused.value)
    assert manager.state("acme/greet").status == PluginStatus.ERROR


def test_a_schema_without_jsonschema_names_the_extra(
    plugins: PluginStore, manager: PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    plugins.python("acme/greet", "1.0.0", greeter("1.0.0"), config_schema=SCHEMA)
    with pytest.raises(ConfigError, match="jsonschema") as refused:
        manager.register("acme/greet", config={"prefix": ""})
    assert refused.value.hint == "pip install 'sealdex[runtime]'"
    plugins.python("acme/free", "1.0.0", greeter("1.0.0"))
    manager.register("acme/free", config={"anything": 1})


def test_attack_a_schema_that_refers_to_an_address_is_not_fetched(plugins: PluginStore, manager: PluginManager) -> None:
    """A plugin's author makes each host ask a server of theirs by a "$ref"."""
    with TreeServer({"x.json": b"{}"}) as server:
        plugins.python("acme/greet", "1.0.0", greeter("1.0.0"), config_schema={"$ref": f"{server.url}/x.json"})
        with pytest.raises(ConfigError, match="can't be used"):
            manager.register("acme/greet")
        assert server.requests == []


def test_attack_an_entry_point_swapped_in_the_store_runs_nothing(plugins: PluginStore, manager: PluginManager) -> None:
    """Who can write one file of the store points the entry point at other code of the package."""
    installation = plugins.python("acme/greet", "1.0.0", greeter("1.0.0"), files={"other.py": "raise SystemExit"})
    path = Path(installation.path, ".sealdex", "manifest.json")
    path.write_bytes(path.read_bytes().replace(b"plugin:Plugin", b"other:Plugin1"))
    with pytest.raises(VerificationError):
        manager.register("acme/greet")


# --- reloading ------------------------------------------------------------------------------------------------------


def two_versions(plugins: PluginStore, manager: PluginManager, second: str) -> Any:
    plugins.python("acme/greet", "1.0.0", greeter("1.0.0"))
    manager.register("acme/greet")
    manager.init()
    plugins.python("acme/greet", "2.0.0", second)
    return manager.get("acme/greet")


def test_reload_takes_the_version_in_use_and_closes_the_old(plugins: PluginStore, manager: PluginManager) -> None:
    old = two_versions(plugins, manager, greeter("2.0.0"))
    assert manager.reload("acme/greet").version == "2.0.0"
    assert manager.call("acme/greet", "greet", "x") == "2.0.0 hello x!"
    assert old.events == ["init", "close"]


def test_an_old_version_is_closed_only_after_its_last_use(plugins: PluginStore, manager: PluginManager) -> None:
    two_versions(plugins, manager, greeter("2.0.0"))
    with manager.using("acme/greet") as old:
        manager.reload("acme/greet")
        assert old.events == ["init"]
        assert old.greet("x") == "1.0.0 hello x!"
        assert manager.call("acme/greet", "greet", "x") == "2.0.0 hello x!"
    assert old.events == ["init", "close"]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("import nothing_like_it", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("class Other: pass", "AttributeError"),
        ("class Plugin:\n    def __init__(self, config): raise ValueError('bad value')", "bad value"),
        ("class Plugin:\n    def __init__(self, config): pass\n    def init(self, c): 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_new_version_that_fails_leaves_the_old_serving(
    plugins: PluginStore, manager: PluginManager, second: str, why: str
) -> None:
    old = two_versions(plugins, manager, second)
    with pytest.raises(PluginError, match=why):
        manager.reload("acme/greet")
    state = manager.state("acme/greet")
    assert (state.version, state.status) == ("1.0.0", PluginStatus.ERROR)
    assert "2.0.0" in (state.error or "")
    assert manager.get("acme/greet") is old
    assert old.events == ["init"]


def test_a_failed_first_load_can_be_put_right(plugins: PluginStore, manager: PluginManager) -> None:
    plugins.python("acme/greet", "1.0.0", "1 / 0")
    with pytest.raises(PluginError):
        manager.register("acme/greet")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        manager.get("acme/greet")
    plugins.python("acme/greet", "1.0.1", greeter("1.0.1"))
    assert manager.reload("acme/greet").status == PluginStatus.ENABLED
    assert manager.call("acme/greet", "greet", "x") == "1.0.1 hello x!"


def test_init_of_many_says_which_failed_and_readies_the_others(plugins: PluginStore, manager: PluginManager) -> None:
    bad = "class Plugin:\n    def __init__(self, config): pass\n    def init(self, context): raise OSError('no bus')\n"
    for name in ("acme/bad-one", "acme/bad-two"):
        plugins.python(name, "1.0.0", bad)
        manager.register(name)
    plugins.python("acme/greet", "1.0.0", greeter("1.0.0"))
    manager.register("acme/greet")
    with pytest.raises(PluginError, match=r"(?s)bad-one.*no bus.*bad-two"):
        manager.init()
    assert manager.call("acme/greet", "greet", "x") == "1.0.0 hello x!"


def test_a_plugin_that_hangs_on_import_is_given_up(plugins: PluginStore) -> None:
    gate = threading.Event()
    others = set(threading.enumerate())  # what other tests of this process have left hanging
    sys.modules["gate_of_this_test"] = gate  # type: ignore[assignment]  # anything can stand there
    try:
        with PluginManager(plugins.store, load_timeout=0.2) as manager:
            plugins.python("acme/slow", "1.0.0", "import gate_of_this_test as gate\ngate.wait()\nclass Plugin: pass\n")
            with pytest.raises(PluginTimeoutError, match=r"longer than 0\.2 s"):
                manager.register("acme/slow")
            assert manager.state("acme/slow").status == PluginStatus.ERROR
            late = [t for t in threading.enumerate() if "acme/slow" in t.name and t not in others]
            gate.set()
            for thread in late:
                thread.join()
            left = [n for n in sys.modules if n.startswith("sealdex_plugin") and "acme_slow" in n]
            assert left == []
    finally:
        del sys.modules["gate_of_this_test"]


# --- status and watching --------------------------------------------------------------------------------------------


class Kept:
    """A status keeper in memory."""

    def __init__(self) -> None:
        self.disabled: set[str] = set()
        self.notes: list[tuple[str, str, int]] = []

    def is_enabled(self, plugin: PluginId) -> bool:
        return str(plugin) not in self.disabled

    def note(self, plugin: PluginId, version: str, status: PluginStatus, error: str | None) -> None:  # noqa: ARG002  # the keepers' signature
        self.notes.append((str(plugin), version, int(status)))


def test_statuses_are_kept_and_what_is_disabled_is_not_run(plugins: PluginStore) -> None:
    kept = Kept()
    kept.disabled.add("acme/off")
    plugins.python("acme/off", "1.0.0", "raise SystemExit('it ran')")
    plugins.python("acme/bad", "1.0.0", "1 / 0")
    with PluginManager(plugins.store, keeper=kept) as manager:
        with pytest.raises(PluginError, match="disabled"):
            manager.register("acme/off")
        assert manager.state("acme/off").status == PluginStatus.DISABLED
        with pytest.raises(PluginError):
            manager.register("acme/bad")
    assert kept.notes == [("acme/bad", "1.0.0", 2)]


def test_statuses_are_those_of_the_store_when_nothing_else_is_said(
    plugins: PluginStore, manager: PluginManager
) -> None:
    plugins.python("acme/bad", "1.0.0", "1 / 0")
    with pytest.raises(PluginError):
        manager.register("acme/bad")
    row = State(plugins.store).plugin(PluginId("acme", "bad"))
    assert (row.status, row.version) == (2, "1.0.0")
    assert "ZeroDivisionError" in (row.error or "")
    plugins.python("acme/bad", "1.0.1", greeter("1.0.1"))
    manager.reload("acme/bad")
    assert State(plugins.store).plugin(PluginId("acme", "bad")).status == 1


def test_a_look_reloads_what_was_switched_and_only_that(plugins: PluginStore, manager: PluginManager) -> None:
    two_versions(plugins, manager, greeter("2.0.0"))
    plugins.python("acme/still", "1.0.0", greeter("1.0.0"))
    manager.register("acme/still")
    manager.register("acme/greet", version="1.0.0", name="pinned")
    manager.init()
    watcher = manager.watch(start=False)
    assert [(s.name, s.version) for s in watcher.look()] == [("acme/greet", "2.0.0")]
    assert watcher.look() == []
    plugins.use("acme/greet", "1.0.0")
    assert [(s.name, s.version) for s in watcher.look()] == [("acme/greet", "1.0.0")]


def test_a_version_that_fails_is_tried_once_for_each_switch(plugins: PluginStore, manager: PluginManager) -> None:
    two_versions(plugins, manager, "1 / 0")
    watcher = manager.watch(start=False)
    assert [(s.version, s.status) for s in watcher.look()] == [("1.0.0", PluginStatus.ERROR)]
    assert watcher.look() == []
    plugins.use("acme/greet", "1.0.0")
    assert watcher.look() == []
    plugins.use("acme/greet", "2.0.0")
    assert [s.version for s in watcher.look()] == ["1.0.0"]


def test_the_watchers_thread_follows_a_switch(plugins: PluginStore, manager: PluginManager) -> None:
    two_versions(plugins, manager, greeter("2.0.0"))
    seen: list[PluginState] = []
    happened = threading.Event()

    def on_change(state: PluginState) -> None:
        seen.append(state)
        happened.set()

    manager.watch(0.01, on_change=on_change)
    assert happened.wait(60)
    assert [s.version for s in seen] == ["2.0.0"]
    assert manager.call("acme/greet", "greet", "x") == "2.0.0 hello x!"


def test_what_is_disabled_is_closed_and_loaded_again_when_it_is_enabled(
    plugins: PluginStore, manager: PluginManager
) -> None:
    plugins.python("acme/greet", "1.0.0", greeter("1.0.0"))
    manager.register("acme/greet")
    manager.init()
    watcher = manager.watch(start=False)
    assert watcher.look() == []
    with manager.using("acme/greet") as old:
        State(plugins.store).note(PluginId("acme", "greet"), 0)
        assert [(s.status, s.version) for s in watcher.look()] == [(PluginStatus.DISABLED, None)]
        assert old.events == ["init"]  # it is being used
    assert old.events == ["init", "close"]
    with pytest.raises(PluginError, match="is disabled"):
        manager.call("acme/greet", "greet", "x")
    assert watcher.look() == []
    change_facts(plugins.store, "enable", {PluginId("acme", "greet"): lambda facts: replace(facts, enabled=True)})
    assert [(s.status, s.version) for s in watcher.look()] == [(PluginStatus.ENABLED, "1.0.0")]
    assert manager.call("acme/greet", "greet", "x") == "1.0.0 hello x!"
    assert watcher.look() == []
