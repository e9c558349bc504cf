"""Kills one operation on a store before each of its steps in turn, and tells what each kill left.

    python kill_runner.py SCENARIO FOLDER

A step is a change to the file system, as the interpreter's audit events announce it (create, write-open, rename,
link, unlink, mkdir, rmdir, chmod), or a transaction of the store's database, which opens it. For each number N a child
process is forked that sends itself SIGKILL when its Nth step is announced; the parent looks at the store, runs the
operation again and looks once more. One line of JSON a kill; the last line is of the child that had fewer than N steps
and ran through.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.installing import PLUGIN, make_release, state

from sealdex.errors import NotFoundError
from sealdex.install import install
from sealdex.store.changes import remove, switch
from sealdex.store.layout import Store

_STEPS = {
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.symlink",
    "os.link",
    "os.chmod",
    "os.truncate",
    "sqlite3.connect",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def scenarios(folder: Path) -> dict[str, tuple[Callable[[Store], object], Callable[[Store], object]]]:
    """Return (what was done before, what is killed) by name."""
    one, two = make_release(folder / "archives", "1.0.0"), make_release(folder / "archives", "2.0.0")

    def nothing(_: Store) -> None: ...

    def install_one(store: Store) -> object:
        return install(store, one[1], one[0])

    def install_two(store: Store) -> object:
        return install(store, two[1], two[0])

    def install_both(store: Store) -> object:
        return install_one(store), install_two(store)

    def damage_one(store: Store) -> None:
        install_one(store)
        (Path(store.version_folder(PLUGIN, "1.0.0")) / "lib/a").write_bytes(b"damaged")

    def remove_version(version: str) -> Callable[[Store], object]:
        def act(store: Store) -> None:
            with contextlib.suppress(NotFoundError):  # the killed run had removed it: what is asked for is so
                remove(store, PLUGIN, version)

        return act

    return {
        "first": (nothing, install_one),
        "upgrade": (install_one, install_two),
        "repair": (damage_one, install_one),
        "switch": (install_both, lambda store: switch(store, PLUGIN, "1.0.0")),
        "remove-current": (install_both, remove_version("2.0.0")),
        "remove-other": (install_both, remove_version("1.0.0")),
        "remove-last": (install_one, remove_version("1.0.0")),
    }


def kill_before_step(number: int) -> None:
    """Have this process killed when its step of that number is announced."""
    left = number

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _STEPS or (event == "open" and isinstance(args[2], int) and args[2] & _WRITES):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


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
        after = state(store)
        act(store)
        sys.stdout.write(json.dumps({"step": number, "died": died, "after": after, "again": state(store)}) + "\n")
        shutil.rmtree(store.root)


if __name__ == "__main__":
    main()
