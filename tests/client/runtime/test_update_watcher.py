"""Updates looked for in the background: told once, never breaking the host, stopped at once, spread over time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry
from support.tree_server import Held, TreeServer

from sealdex import Client, UnavailableError
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.config.document import UpdateSection
from sealdex.model.ids import PluginId
from sealdex.runtime import UpdateWatcher
from sealdex.runtime.update_watcher import FIRST_WITHIN_S, delay
from sealdex.update import Outdated

OLD = Outdated(PluginId("acme", "slack"), "1.0.0", "1.1.0", pinned=False, yanked=False)


def config_in(folder: Path, url: str | None = None, **update: float) -> Config:
    registries = {"public": RegistrySection(url=url, root="root.json")} if url is not None else {}
    document = ConfigDocument(
        registries=registries,
        download=DownloadSection(retry=0),
        update=UpdateSection(**update),  # type: ignore[arg-type]
    )
    return Config(folder / "config.toml", folder / "store", document)


class Told:
    def __init__(self) -> None:
        self.all: list[tuple[Outdated, ...]] = []
        self.something = threading.Event()

    def __call__(self, found: tuple[Outdated, ...]) -> None:
        self.all.append(found)
        self.something.set()


def test_a_host_is_told_of_what_changed_and_of_nothing_twice(tmp_path: Path) -> None:
    told = Told()
    watcher = UpdateWatcher(told, config=config_in(tmp_path))
    for found in ([], [OLD], [OLD], [], []):
        watcher.look(lambda _, found=found: found)  # type: ignore[misc]  # a default of a lambda
    assert told.all == [(OLD,), ()]
    assert watcher.found == ()


@pytest.mark.parametrize("error", [UnavailableError("no network"), ValueError("a bug")])
def test_what_goes_wrong_is_quiet_and_keeps_what_is_known(tmp_path: Path, error: Exception) -> None:
    told = Told()
    watcher = UpdateWatcher(told, config=config_in(tmp_path))
    watcher.look(lambda _: [OLD])

    def fail(_: object) -> list[Outdated]:
        raise error

    assert watcher.look(fail) is None
    assert (watcher.found, len(told.all)) == ((OLD,), 1)


def test_a_listener_that_raises_is_told_again_of_the_next(tmp_path: Path) -> None:
    calls = []

    def listen(found: tuple[Outdated, ...]) -> None:
        calls.append(found)
        raise RuntimeError("mine")

    watcher = UpdateWatcher(listen, config=config_in(tmp_path))
    assert watcher.look(lambda _: [OLD]) == (OLD,)
    assert watcher.look(lambda _: []) == ()
    assert len(calls) == 2


def test_looks_are_spread_over_time() -> None:
    assert [delay(86400, 0, chance) for chance in (0, 0.5, 1)] == [0, FIRST_WITHIN_S / 2, FIRST_WITHIN_S]
    assert delay(10, 0, 1) == 10
    assert [round(delay(1000, 1, chance)) for chance in (0, 0.5, 1)] == [900, 1000, 1100]


def test_nothing_is_looked_for_where_the_host_does_not_want_it(tmp_path: Path) -> None:
    watcher = UpdateWatcher(Told(), config=config_in(tmp_path, auto_check_update=False))
    assert not watcher.start()
    assert not [thread for thread in threading.enumerate() if thread.name == "updates of sealdex"]


def test_in_a_thread_with_a_registry_and_stopped_in_the_middle(tmp_path: Path) -> None:
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0")
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    with TreeServer(registry.files) as server:
        config = config_in(tmp_path, server.url, auto_check_update=True)
        with Client(config) as client:
            client.install("acme/slack")
        registry.release("acme/slack", "1.1.0")
        registry.publish()
        told = Told()
        with UpdateWatcher(told, config=config, interval=3600, chance=lambda: 0.0):
            assert told.something.wait(60)
        assert [(each.version, each.newest) for each in told.all[0]] == [("1.0.0", "1.1.0")]
        held = Held()
        server.instead["metadata/timestamp.json"] = held
        watcher = UpdateWatcher(told, config=config, interval=3600, chance=lambda: 0.0)
        assert watcher.start()
        assert held.reached.wait(60)
        looking = watcher._thread
        assert looking is not None
        stopping = threading.Thread(target=watcher.stop)
        stopping.start()
        assert watcher._stopping.wait(60)  # or the answer might come before the end
        held.released.set()
        stopping.join(60)
        looking.join(60)
        assert not [thread for thread in threading.enumerate() if thread.name == "updates of sealdex"]
        assert len(told.all) == 1
