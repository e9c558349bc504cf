"""Kills one change of a whole set before each of its steps, as `support.kill_runner` does with a single plugin.

    python kill_sets.py SCENARIO FOLDER

A line of JSON a kill: what is seen at once (``after``), what the next command of any kind makes of it (``settled``),
and what the same command leads to when it is run again (``again``).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.installing import make_release
from support.kill_runner import kill_before_step

from sealdex.deploying import Job, deploy, finish_killed
from sealdex.errors import UsageError
from sealdex.model.ids import PluginId
from sealdex.store.installations import current_version_named, installations
from sealdex.store.layout import Store
from sealdex.store.set_change import roll_back
from sealdex.store.state import State
from sealdex.store.verify import verify_installation

PLUGINS = (PluginId("acme", "app"), PluginId("other", "tool"))


def jobs(folder: Path, version: str, plugins: tuple[PluginId, ...] = PLUGINS, *, pin: bool | None = None) -> list[Job]:
    """Return what installs one version of several plugins; all from the same archive."""
    archive, request = make_release(folder, version, {"bin/tool": b"a" * 300})
    return [Job(replace(request, plugin=plugin), archive, pin) for plugin in plugins]


def state(store: Store) -> dict[str, Any]:
    """Return versions in use, all versions, what is damaged or left over, pins, and the phases of all changes."""
    found = installations(store)
    staging = Path(store.staging_folder)
    return {
        "current": [current_version_named(store, plugin) for plugin in PLUGINS],
        "installed": [f"{i.namespace}/{i.name} {i.version}" for i in found],
        "damaged": [str(finding) for i in found for finding in verify_installation(i)],
        "staging": sorted(p.name for p in staging.iterdir() if p.name != "guard") if staging.is_dir() else [],
        "pins": [row.pin for row in State(store).plugins().values()],
        "unfinished": [change.phase for change in State(store).unfinished()],
        "history": [change.command for change in State(store).history()],
    }


def scenarios(folder: Path) -> dict[str, tuple[Callable[[Store], object], Callable[[Store], object]]]:
    """Return (what was done before, what is killed) by name."""
    one, two = jobs(folder / "archives", "1.0.0"), jobs(folder / "archives", "2.0.0", pin=True)

    def install_one(store: Store) -> object:
        return deploy(store, one, command="one")

    def install_two(store: Store) -> object:
        return deploy(store, two, command="two")

    def both(store: Store) -> object:
        return install_one(store), install_two(store)

    def back(store: Store) -> object:
        finish_killed(store)
        try:
            return roll_back(store, to=1)
        except UsageError:  # the killed run had got so far that there is nothing left to take back
            return None

    return {"first": (lambda _: None, install_one), "upgrade": (install_one, install_two), "rollback": (both, back)}


def main() -> None:
    """Run one scenario; see the module's docstring."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    prepare, act = scenarios(folder)[name]
    template = Store(folder / "template")
    Path(template.root).mkdir()
    prepare(template)
    number, died = 0, True
    while died:
        number += 1
        store = Store(folder / f"store-{number}")
        shutil.copytree(template.root, store.root, symlinks=True)
        child = os.fork()
        if child == 0:
            kill_before_step(number)
            act(store)
            os._exit(0)
        died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        seen = {"step": number, "died": died, "after": state(store)}
        finish_killed(store)
        seen["settled"] = state(store)
        act(store)
        seen["again"] = state(store)
        sys.stdout.write(json.dumps(seen) + "\n")
        shutil.rmtree(store.root)


if __name__ == "__main__":
    main()
