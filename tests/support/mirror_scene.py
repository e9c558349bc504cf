"""A registry in two states, as folders and an archive, and commands about a mirror of it: what is killed."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from support.command_scene import do, run
from support.kill_runner import Scenario
from support.plugin_registry import PluginRegistry

from sealdex.download.mirror import _fetch_all
from sealdex.store.layout import Store

MIRROR = "mirror"
OLD, NEW = "old", "new"


class MirrorScene:
    """Makes what the scenarios need, when the first of them is prepared.

    Args:
        folder: where to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def scenarios(self) -> dict[str, Scenario]:
        """Return the scenarios by name."""
        old, both = partial(self._create, OLD), self._both
        update = partial(self._create, NEW)
        return {
            "mirror-first": Scenario(self._nothing, update, self._look),
            "mirror-update": Scenario(old, update, self._look),
            "mirror-import": Scenario(old, self._import, self._look),
            "mirror-prune": Scenario(both, self._prune, self._look),
            "mirror-processes": Scenario(old, _with_processes(update), self._look),
        }

    def _make(self) -> None:
        if self._folder.exists():
            return
        self._folder.mkdir(parents=True)
        os.environ["SEALDEX_CONFIG"] = str(self._folder / "config.toml")
        registry = PluginRegistry()
        registry.release("acme/slack", "1.0.0")
        for state in (OLD, NEW):
            data = random.Random(state).randbytes(20_000)  # noqa: S311  # test data
            registry.release("acme/base", "1.0.0" if state == OLD else "2.0.0", {"data": data})
            registry.publish()
            registry.write(self._folder / state)
        (self._folder / "root.json").write_bytes(registry.root)
        do(Store(self._folder / "near"), "mirror", "create", *self._trusting(NEW), str(self._folder / "new.tar"))

    def _trusting(self, *words: str) -> tuple[str, ...]:
        return ("--root", str(self._folder / "root.json"), *(str(self._folder / word) for word in words))

    def _nothing(self, _: Store) -> None:
        self._make()

    def _create(self, state: str, store: Store) -> None:
        self._make()
        do(store, "mirror", "create", *self._trusting(state), str(Path(store.root) / MIRROR))

    def _both(self, store: Store) -> None:
        """Leave a mirror with files of a state before the previous one, and some that nobody selected."""
        self._create(NEW, store)
        for number in range(3):
            (Path(store.root) / MIRROR / f"plugins/acme/gone-{number}").mkdir()
            (Path(store.root) / MIRROR / f"plugins/acme/gone-{number}/file").write_bytes(b"old")

    def _import(self, store: Store) -> None:
        do(store, "mirror", "import", *self._trusting("new.tar"), str(Path(store.root) / MIRROR))

    def _prune(self, store: Store) -> None:
        do(store, "mirror", "prune", str(Path(store.root) / MIRROR), "--yes")

    def _look(self, store: Store) -> dict[str, Any]:
        """Return which state readers see, what ``mirror verify`` says of it, and what lies about."""
        mirror = Path(store.root) / MIRROR
        timestamp = mirror / "metadata/timestamp.json"
        if not timestamp.is_file():
            return {"state": "none"}
        verified = run(store, "mirror", "verify", *self._trusting(), str(mirror), "--json")
        states = {self._digest(self._folder / state / "metadata/timestamp.json"): state for state in (OLD, NEW)}
        own = {path.name for path in (mirror / ".sealdex-mirror").iterdir()}
        return {
            "state": states.get(self._digest(timestamp), "neither"),
            "verify": (verified.code, verified.err),
            "extra": verified.document["extra"] if verified.code == 0 else None,
            "left": sorted(own & {"staging", "cache", "import"}),
        }

    @staticmethod
    def _digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _with_processes(act: Callable[[Store], object]) -> Callable[[Store], object]:
    def acting(store: Store) -> object:
        _fetch_all._MANY = 1  # in a process that is forked for it
        return act(store)

    return acting
