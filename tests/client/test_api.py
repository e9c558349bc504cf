"""The Python API: every verb of the command line, as methods and as coroutines; ended from outside without loss."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.plugin_registry import PluginRegistry, sha256

from sealdex import AsyncClient, CancelledError, Client, Observer, TimedOutError, UsageError
from sealdex.cli.command_table import COMMANDS
from sealdex.config.environment_file import OtherHost
from sealdex.errors import NotFoundError
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.store.dependants import BreaksDependantsError
from sealdex.store.file_lock import FileLock
from sealdex.transport.stop import Stop

SLACK = PluginId("acme", "slack")


@pytest.fixture
def made(tmp_path: Path) -> PluginRegistry:
    registry = PluginRegistry()
    registry.release("acme/base", "1.0.0")
    registry.release("acme/slack", "1.0.0", dependencies={"acme/base": "^1"})
    registry.release("acme/slack", "1.1.0", dependencies={"acme/base": "^1"})
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    return registry


@pytest.fixture
def config(made: PluginRegistry, tmp_path: Path) -> Path:
    url = made.write(tmp_path / "published")
    path = tmp_path / "config.toml"
    path.write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')
    return path


@pytest.fixture
def client(config: Path, tmp_path: Path) -> Iterator[Client]:
    with Client(config, store=tmp_path / "store") as made:
        yield made


def test_a_plugin_s_life_by_methods_alone(client: Client) -> None:
    client.install("acme/slack@1.0.0", pin=True)
    assert [(str(each.plugin), each.newest, each.pinned) for each in client.outdated()] == [
        ("acme/slack", "1.1.0", True)
    ]
    assert client.update().kept[SLACK].startswith("pinned to 1.0.0")
    client.unpin("acme/slack")
    assert [each.after for each in client.update(dry_run=True).differences] == ["1.1.0"]
    client.update("acme/slack")
    assert client.path("acme/slack").name == "1.1.0"
    assert {each.path for each in client.list()} == {Path(os.fspath(each)) for each in client.list()}
    client.use("acme/slack", "1.0.0")
    client.disable("acme/slack")
    before, after = client.enable("acme/slack").plugins[SLACK]
    assert (before.enabled, after.enabled, after.version) == (False, True, "1.0.0")
    assert client.pin("acme/slack", "1.1.0").plugins[SLACK][1].pin == "1.1.0"
    done = client.rollback()
    assert [change.command for change in done.changes] == ["use acme/slack 1.1.0 --pin"]
    assert [change.command for change in client.history(2)] == ["rollback", "use acme/slack 1.1.0 --pin"]
    with pytest.raises(BreaksDependantsError):
        client.uninstall("acme/base")
    client.uninstall("acme/base", cascade=True)
    assert client.list() == []
    assert client.gc(max_bytes=0).kept == 0


def test_a_project_is_locked_and_ensured(client: Client, tmp_path: Path) -> None:
    (tmp_path / "sealdex.toml").write_text('[plugins]\n"acme/slack" = "^1"\n')
    assert client.lock(tmp_path).is_written
    assert [str(each.choice) for each in client.ensure(str(tmp_path)).installed] == [
        "acme/base 1.0.0",
        "acme/slack 1.1.0",
    ]
    assert {each.action for each in client.ensure(tmp_path, frozen=True).installed} == {"keep"}


def test_a_registry_is_added_and_removed(made: PluginRegistry, tmp_path: Path) -> None:
    with Client(tmp_path / "new.toml", store=tmp_path / "store") as client:
        added = client.add_registry("team", made.write(tmp_path / "published"), root=tmp_path / "root.json")
        assert added.state is not None
        assert list(client.registries()) == []  # as the configuration was when the client was made
        with pytest.raises(UsageError, match="no trusted root"):
            client.add_registry("other", "https://plugins.example/")
    with Client(tmp_path / "new.toml", store=tmp_path / "store") as client:
        assert list(client.registries()) == ["team"]
        client.install("acme/slack")
        client.remove_registry("team")
    with Client(tmp_path / "new.toml", store=tmp_path / "store") as client:
        assert list(client.registries()) == []
        with pytest.raises(NotFoundError):
            client.remove_registry("team")


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("install", (["acme/slack"],)),
        ("resolve", (3,)),
        ("locate", (None,)),
        ("info", (["acme/slack"],)),
        ("uninstall", (b"acme/slack",)),
        ("use", ("acme",)),
        ("enable", ()),
        ("update", (3,)),
        ("rollback", ("12",)),
        ("lock", (3,)),
        ("ensure", (["."],)),
    ],
)
def test_a_wrong_argument_is_a_usage_error(client: Client, verb: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(UsageError):
        getattr(client, verb)(*arguments)


def test_a_destination_may_be_a_text_and_nothing_else(client: Client, tmp_path: Path) -> None:
    [fetched] = client.fetch("acme/slack", to=str(tmp_path / "files"))
    assert fetched.path == tmp_path / "files/slack.zip"
    with pytest.raises(UsageError, match=r"fetch\(to=...\) takes Path . str . None, not int"):
        client.fetch("acme/slack", to=3)  # type: ignore[arg-type]  # what a caller without types gives


def test_every_command_that_concerns_plugins_has_a_method() -> None:
    elsewhere = {
        "registry": "registries add_registry remove_registry",
        "cache": "gc",
        "url": "locate",
    }
    others = set("run ps stop logs job mirror bundle config doctor env completion gateway status".split())  # noqa: SIM905  # shorter
    for command in set(COMMANDS) - others:
        for method in elsewhere.get(command, command).split():
            assert callable(getattr(Client, method)), method
            assert inspect.iscoroutinefunction(getattr(AsyncClient, method)), method


# --- ended from outside ----------------------------------------------------------------------------------------------


def test_a_stop_ends_what_runs_and_what_begins_until_it_is_resumed() -> None:
    now = [0.0]
    stop = Stop(lambda: now[0])
    stop.check()
    with stop.within(10), stop.within(5):
        now[0] = 6
        with pytest.raises(TimedOutError, match="5 s"):
            stop.check()
    stop.check()
    stop.cancel()
    with pytest.raises(CancelledError):
        stop.sleep(3600)
    stop.resume()
    stop.sleep(0)


class _Switch(Observer):
    """Calls something at the first event of a kind."""

    def __init__(self, event: str) -> None:
        self.reached = threading.Event()
        self.then: Any = None
        self._event = event

    def __getattribute__(self, name: str) -> Any:
        if name == super().__getattribute__("_event"):
            self.reached.set()
            if self.then is not None:
                self.then()
        return super().__getattribute__(name)


@pytest.mark.parametrize("event", ["planning", "downloading", "unpacking"])
def test_an_install_that_is_cancelled_leaves_nothing(config: Path, tmp_path: Path, event: str) -> None:
    observer = _Switch(event)
    with Client(config, store=tmp_path / "store", observer=observer) as client:
        client.install("acme/base")
        observer.then = client.cancel
        with pytest.raises(CancelledError):
            client.install("acme/slack")
        with pytest.raises(CancelledError):  # as everything until it is resumed
            client.install("acme/slack")
        client.resume()
        assert [each.id for each in client.list()] == [("acme", "base")]
        assert {each.name for each in (tmp_path / "store/staging").iterdir()} <= {"guard"}
        observer.then = None
        client.install("acme/slack")
        assert client.path("acme/slack").name == "1.1.0"


def test_a_limit_ends_a_wait_for_a_server_and_no_installed_version_stands_in(
    made: PluginRegistry, tmp_path: Path
) -> None:
    """A fallback is for registries that can't be reached, and not for callers who have no time."""
    url = made.write(tmp_path / "published")
    (tmp_path / "config.toml").write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')
    with Client(tmp_path / "config.toml", store=tmp_path / "store") as client:
        client.install("acme/slack")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system takes connections; nobody answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        (tmp_path / "config.toml").write_text(f'[registries.public]\nurl = "{address}"\nroot = "root.json"\n')
        with (
            Client(tmp_path / "config.toml", store=tmp_path / "store") as client,
            client.within(0.3),
            pytest.raises(TimedOutError, match=r"within 0\.3 s"),
        ):
            client.install("acme/slack")


# --- asyncio ---------------------------------------------------------------------------------------------------------


def test_coroutines_do_what_methods_do(config: Path, tmp_path: Path) -> None:
    async def life() -> None:
        async with AsyncClient(config, store=tmp_path / "store") as client:
            await client.install("acme/slack@1.0.0")
            [outdated] = await client.outdated()
            assert outdated.newest == "1.1.0"
            one, two = await asyncio.gather(client.info("acme/slack"), client.info("acme/base"))
            assert (one.document.name, two.document.name) == ("slack", "base")
            hosts = [OtherHost(name=name, environment=Environment()) for name in "ab"]
            assert [each.host.name async for each in client.locate_for(hosts, "acme/slack")] == ["a", "b"]
            with pytest.raises(NotFoundError):
                await client.install("acme/nothing")

    asyncio.run(life())


def test_a_cancelled_task_has_ended_and_the_next_one_works(config: Path, tmp_path: Path) -> None:
    observer = _Switch("planning")

    async def life() -> None:
        async with AsyncClient(config, store=tmp_path / "store", observer=observer) as client:
            go_on = threading.Event()
            observer.then = go_on.wait
            task = asyncio.create_task(client.install("acme/slack"))
            waiting = asyncio.create_task(client.install("acme/base"))
            await asyncio.to_thread(observer.reached.wait)
            observer.then = None
            task.cancel()
            waiting.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await client.list() == []
            await client.install("acme/slack")
            assert len(await client.list()) == 2

    asyncio.run(life())


def test_a_coroutine_doesn_t_block_the_loop(config: Path, tmp_path: Path) -> None:
    observer = _Switch("planning")

    async def life() -> int:
        async with AsyncClient(config, store=tmp_path / "store", observer=observer) as client:
            go_on = threading.Event()
            observer.then = go_on.wait
            task = asyncio.create_task(client.install("acme/slack"))
            turns = 0
            while turns < 5:
                await asyncio.sleep(0)
                turns += observer.reached.is_set()
            go_on.set()
            await task
            return turns

    assert asyncio.run(life()) == 5


@pytest.mark.parametrize("waits_for", ["trust/public/lock", "the file's lock"])
def test_a_call_that_waits_for_another_process_ends_when_it_is_cancelled(
    made: PluginRegistry, config: Path, tmp_path: Path, waits_for: str
) -> None:
    store = tmp_path / "store"
    path = store / waits_for
    if waits_for == "the file's lock":
        digest = sha256(made.files["plugins/acme/base/1.0.0/base.zip"])
        path = store / "cache/sha256" / digest[:2] / f"{digest}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = threading.Event()

    class Waits(Observer):
        def waiting(self, why: str) -> None:
            del why
            waiting.set()

    with Client(config, store=store, observer=Waits()) as client, FileLock(path):

        def cancel() -> None:
            assert waiting.wait(60)
            client.cancel()

        ending = threading.Thread(target=cancel)
        ending.start()
        with pytest.raises(CancelledError):
            client.install("acme/base")
        ending.join()
        assert client.list() == []
