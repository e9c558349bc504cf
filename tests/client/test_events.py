"""Observers: what they raise breaks nothing, and what they return is used."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from support.plugin_registry import PluginRegistry

from sealdex import Client, Observer, Progress
from sealdex.events import guarded


class Broken(Observer):
    """Raises whatever it is told."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)

        def fail(*_args: object, **_options: object) -> None:
            raise RuntimeError(f"no {name}")

        return fail


class BrokenProgress:
    def start(self, total: int | None) -> None:  # noqa: ARG002  # the protocol's
        raise OSError("terminal gone")

    def advance(self, n: int) -> None:  # noqa: ARG002  # as above
        raise OSError("terminal gone")

    def finish(self) -> None:
        raise OSError("terminal gone")


class Watching(Observer):
    def downloading(self, choice: object) -> Progress:  # noqa: ARG002  # as above
        return BrokenProgress()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0")
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    url = registry.write(tmp_path / "published")
    path = tmp_path / "config.toml"
    path.write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')
    return path


@pytest.mark.parametrize("observer", [Broken(), Watching()], ids=["observer", "progress"])
def test_an_observer_that_raises_breaks_no_installation(
    config: Path, tmp_path: Path, observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sealdex")
    with Client(config, store=tmp_path / "store", observer=observer) as client:
        assert client.observer is observer
        done = client.install("acme/slack")
        assert [each.action for each in done] == ["unpack"]
        assert [check.is_whole for check in client.verify()] == [True]
        client.uninstall("acme/slack", force=True)
    told = [record.getMessage() for record in caplog.records if "the operation goes on" in record.getMessage()]
    assert any("RuntimeError: no planning" in line or "OSError: terminal gone" in line for line in told)
    assert len(told) == len(set(told))  # once for each method


def test_an_observer_is_guarded_once_and_may_stop_by_what_is_no_exception() -> None:
    class Impatient(Observer):
        def waiting(self, why: str) -> None:  # noqa: ARG002  # as above
            raise KeyboardInterrupt

    once = guarded(Impatient())
    assert guarded(once) is once
    with pytest.raises(KeyboardInterrupt):
        once.waiting("for nothing")
