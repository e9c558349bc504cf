"""Kills an operation on a store before its steps, once a step, and tells what each kill left.

    python kill_runner.py SCENARIO FOLDER [KILLS [edges|moments]]

A step is a change to the file system, as the interpreter's audit events announce it (create, write-open, rename,
link, unlink, mkdir, rmdir, chmod), or a transaction of the store's database, which opens it. For each number N a child
process is forked that sends itself SIGKILL when its Nth step is announced; then the store is looked at, what was killed
is done again, and the store is looked at once more. Without KILLS that is done for each step in turn, until a child
ran through; with it, for so many steps drawn at random. With ``edges`` the first step and the last are among them, and
one that no child comes to. With ``moments``, the kills come from outside, at random moments of the time that a whole
run takes: between two steps too, and where it has several processes. One line of JSON a kill, with the looks by their
names.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Scenario:
    """What is done before, what is killed and done again, and what is looked at.

    ``settle`` is done between the kill and the repetition, and looked at as well, where it is given.
    """

    prepare: Callable[[Store], object]
    act: Callable[[Store], object]
    look: Callable[[Store], Any]
    settle: Callable[[Store], object] | None = None


def _at_each_step(do: Callable[[], None]) -> None:
    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in _STEPS or (event == "open" and isinstance(args[2], int) and args[2] & _WRITES):
            do()

    sys.addaudithook(hook)


def _kill_before_step(number: int) -> None:
    left = number

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _at_each_step(step)


def _forked(act: Callable[[], object], printed: Path | None = None) -> signal.Signals | None:
    """Do something in a child, whose output goes to a file where one is named; return the signal that killed it.

    Raises:
        RuntimeError: it failed in another way; the text has its output.
    """
    child = os.fork()
    if child == 0:
        try:
            if printed is not None:
                output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.dup2(output, 1)
                os.dup2(output, 2)
            act()
        except BaseException:  # noqa: BLE001  # the child's end says it, whatever it was
            sys.excepthook(*sys.exc_info())
            _flush()
            os._exit(1)
        _flush()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        said = printed.read_text() if printed is not None else ""
        raise RuntimeError(f"the child ended with {os.WEXITSTATUS(status)}\n{said}")
    return signal.Signals(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else None


def _killed_amid(act: Callable[[], object], seconds: float) -> bool:
    """Do something in a child that is killed from outside after so long; return whether it still ran.

    Raises:
        RuntimeError: it failed before.
    """
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            act()
        except BaseException:  # noqa: BLE001  # the child's end says it, whatever it was
            os._exit(1)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)  # or what is left of it
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"the child ended with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _repeated(act: Callable[[], object], note: Path) -> dict[str, Any]:
    """Do what was killed again, and return how that ended and what it printed.

    Raises:
        RuntimeError: it failed, or was killed itself, which nothing here does.
    """
    if (by := _forked(act, note)) is not None:
        raise RuntimeError(f"the repetition was killed by {by.name}, which nobody here sent\n{note.read_text()}")
    return {"exit": 0, "printed": note.read_text()}


def _steps_of(act: Callable[[], object], note: Path) -> int:
    """Count the steps of something, done in a child."""

    def counted() -> None:
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1

        _at_each_step(step)
        act()
        note.write_text(str(steps))

    _forked(counted)
    return int(note.read_text())


def _numbers(kills: int | None, count: Callable[[], int], *, edges: bool) -> Iterator[int]:
    if kills is None:
        number = 0
        while True:
            number += 1
            yield number
    steps = count()
    # where threads take turns, a run may have fewer steps than the one that was counted: one kill comes early
    early = random.choice(range(1, max(1, steps // 4) + 1))  # noqa: S311  # a moment
    others = [step for step in range(1, steps + 1) if step != early]
    chosen = random.sample(others, min(kills - 1, len(others)))
    yield from sorted({early, *chosen, *((1, steps, steps + 1) if edges else ())})


def run(
    scenario: Scenario, folder: Path, kills: int | None = None, *, at_moments: bool = False, edges: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield what was seen after each kill; see the module's docstring."""
    template = Store(folder / "template")
    Path(template.root).mkdir()
    scenario.prepare(template)

    def copy(name: str) -> Store:
        store = Store(folder / name)
        shutil.copytree(template.root, store.root, symlinks=True)
        return store

    def steps() -> int:
        store = copy("counted")
        return _steps_of(lambda: scenario.act(store), folder / "steps")

    duration = 0.0
    if at_moments:
        store, start = copy("timed"), time.monotonic()
        _forked(lambda: scenario.act(store), folder / "timed-output")
        duration = time.monotonic() - start
    for number in range(kills or 0) if at_moments else _numbers(kills, steps, edges=edges):
        store = copy(f"store-{number}")

        def killed(store: Store = store, number: int = number) -> None:
            _kill_before_step(number)
            scenario.act(store)

        if at_moments:
            died = _killed_amid(lambda store=store: scenario.act(store), random.random() * duration)  # type: ignore[misc]  # noqa: S311  # as below; moments
        else:
            died = _forked(killed) is not None
        seen = {"step": number, "died": died, "after": scenario.look(store)}
        if scenario.settle is not None:
            scenario.settle(store)
            seen["settled"] = scenario.look(store)
        seen["repetition"] = _repeated(lambda store=store: scenario.act(store), folder / "repetition")  # type: ignore[misc]  # mypy can't infer a lambda with a default
        seen["again"] = scenario.look(store)
        yield seen
        shutil.rmtree(store.root)
        if kills is None and not seen["died"]:
            return


def main() -> None:
    """Run one scenario; see the module's docstring."""
    from support.kill_scenarios import scenarios  # noqa: PLC0415  # it imports from here

    faulthandler.enable()
    name, folder, *kills = sys.argv[1:]
    scenario, how, many = scenarios(Path(folder))[name], kills[1:], int(kills[0]) if kills else None
    for seen in run(scenario, Path(folder), many, at_moments=how == ["moments"], edges=how == ["edges"]):
        sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
