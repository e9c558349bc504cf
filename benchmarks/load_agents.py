"""Agents and hosts under load: processes forked from this one, each with a store of its own.

    python load_agents.py PLAN      PLAN: the fields of `Plan`, in JSON

An *agent* starts, installs a plugin into an empty store, proves it whole and ends. A *host* is one process with one
client that lives as long as the soak, and updates, searches, looks up, verifies and installs again at a bounded rate.
Each appends a line of JSON for everything that it did to ``out``: ``who``, ``op``, ``began`` (seconds since the epoch),
``s`` (how long), ``outcome`` (``done`` or an error's code), and of a host ``rss`` in KiB and ``fds``. What is printed
sums up.

They are forked from a process that has imported the client, so that their work is measured and not the start of Python.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sealdex.client
import sealdex.transport._http  # what a client would import at its first request
import sealdex.trust.registries
from sealdex.config.config import load_config
from sealdex.errors import SealdexError
from sealdex.update import update_installed

REGISTRY = "bench"
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_CALM_LIMIT_S = 300.0
_POLL_S = 0.02
_CHOICES = ("update",) * 5 + ("search", "look up", "verify", "install again")


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        config: the configuration of all of them.
        folder: where their stores are.
        out: the file with a line for each operation.
        plugins: what they install.
        alive: at most so many processes at once, hosts included.
        agents: how many to start as fast as `alive` allows.
        seconds: how long to go on then, with `rate` agents a second and `hosts` hosts.
        rate: agents started a second.
        hosts: processes that live all the time.
        interval: seconds between two operations of a host.
        calm: a file that appears when no faults are injected any more and nothing is published: hosts then end.
        seed: of the choices.
    """

    config: str
    folder: str
    out: str
    plugins: tuple[str, ...]
    alive: int
    agents: int = 0
    seconds: float = 0.0
    rate: float = 1.0
    hosts: int = 0
    interval: float = 2.0
    calm: str = ""
    seed: int = 0


@dataclass
class Pool:
    """The processes that are alive, and how many were at most."""

    alive: set[int] = field(default_factory=set)
    most: int = 0
    started: int = 0
    died: int = 0

    def fork(self, work: Callable[[], None]) -> None:
        """Start a process that does this and ends."""
        pid = os.fork()
        if pid == 0:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # a forked child must end here, whatever happens
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        self.alive.add(pid)
        self.started += 1
        self.most = max(self.most, len(self.alive))

    def reap(self, *, wait: bool) -> None:
        """Take leave of those that have ended; with `wait`, of one at least."""
        while self.alive:
            pid, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
            if pid == 0:
                return
            self.alive.discard(pid)
            self.died += os.waitstatus_to_exitcode(status) != 0
            wait = False


class Log:
    """Appends lines to the file that all processes share; each line is one write."""

    def __init__(self, path: str, who: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._who = who

    def timed(self, op: str, work: Callable[[], dict[str, Any]], **facts: Any) -> None:
        """Do something, and write how long it took and how it ended."""
        began, start = time.time(), time.perf_counter()
        try:
            said = {"outcome": "done", **work()}
        except SealdexError as error:
            said = {"outcome": error.code, "why": error.message[:300]}
        line = {"who": self._who, "op": op, "began": began, "s": round(time.perf_counter() - start, 4), **said, **facts}
        os.write(self._file, json.dumps(line).encode() + b"\n")


def install_cold(plan: Plan, number: int, plugin: str) -> None:
    """Be one agent."""
    store = Path(plan.folder) / f"agent-{number}"

    def work() -> dict[str, Any]:
        with sealdex.client.Client(load_config(plan.config, store)) as client:
            client.install(plugin, fallback=False)
            whole = all(each.is_whole for each in client.verify())
            return {"plugin": plugin, "version": _version(client, plugin), "whole": whole}

    Log(plan.out, f"agent-{number}").timed("install cold", work)
    shutil.rmtree(store, ignore_errors=True)


def live_on(plan: Plan, number: int, until: float) -> None:
    """Be one host, until nothing is published any more; then be brought up to date once more."""
    log, chance = Log(plan.out, f"host-{number}"), random.Random(f"{plan.seed}-{number}")
    with sealdex.client.Client(load_config(plan.config, Path(plan.folder) / f"host-{number}")) as client:
        log.timed("install all", lambda: _work(client, "install all", plan, chance), **_size())
        following = time.monotonic() + chance.random() * plan.interval
        while time.monotonic() < until:
            time.sleep(max(0.0, min(following, until) - time.monotonic()))
            op = chance.choice(_CHOICES)
            log.timed(op, lambda op=op: _work(client, op, plan, chance), **_size())  # type: ignore[misc]  # bound at once
            following = max(following + plan.interval, time.monotonic())
        end = time.monotonic() + _CALM_LIMIT_S
        while not Path(plan.calm).exists() and time.monotonic() < end:
            time.sleep(_POLL_S)
        log.timed("last update", lambda: _work(client, "last update", plan, chance), **_size())


def _work(client: sealdex.client.Client, op: str, plan: Plan, chance: random.Random) -> dict[str, Any]:
    plugin = chance.choice(plan.plugins)
    if op != "verify":
        client.refresh(REGISTRY)  # as a program does that lives for long
    if op == "install all":
        for each in plan.plugins:
            client.install(each, fallback=False)
    elif op == "search":
        return {"found": len(client.search("bench"))}
    elif op == "look up":
        client.info(plugin)
    elif op == "install again":
        if client.current(plugin) is not None:
            client.uninstall(plugin)
        client.install(plugin, fallback=False)
    elif op == "verify":
        return {"whole": all(each.is_whole for each in client.verify())}
    elif op == "last update":
        for each in plan.plugins:  # what a fault kept away
            client.install(each, fallback=False)
        whole = all(each.is_whole for each in client.verify())
        return {"whole": whole, "versions": {each: _version(client, each) for each in plan.plugins}}
    else:
        return {"updated": len(update_installed(client).differences)}
    return {}


def _version(client: sealdex.client.Client, plugin: str) -> str | None:
    found = client.current(plugin)
    return found.version if found is not None else None


def _size() -> dict[str, int]:
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_KIB
    return {"rss": resident, "fds": sum(1 for _ in Path("/proc/self/fd").iterdir())}


def main() -> None:
    given = json.loads(sys.argv[1])
    plan = Plan(**{**given, "plugins": tuple(given["plugins"])})
    chance, pool, began = random.Random(plan.seed), Pool(), time.monotonic()
    for number in range(plan.agents):
        while len(pool.alive) >= plan.alive:
            pool.reap(wait=True)
        plugin = plan.plugins[number % len(plan.plugins)]
        pool.fork(lambda number=number, plugin=plugin: install_cold(plan, number, plugin))  # type: ignore[misc]  # bound at once
    until = time.monotonic() + plan.seconds
    for number in range(plan.hosts):
        pool.fork(lambda number=number: live_on(plan, number, until))  # type: ignore[misc]  # bound at once
    held, number, following = 0, plan.agents, time.monotonic()
    while plan.seconds and time.monotonic() < until:
        pool.reap(wait=False)
        if time.monotonic() < following:
            time.sleep(_POLL_S)
        elif len(pool.alive) >= plan.alive:
            held += 1  # the rate is bounded by what is alive, too
            pool.reap(wait=True)
        else:
            plugin = chance.choice(plan.plugins)
            pool.fork(lambda number=number, plugin=plugin: install_cold(plan, number, plugin))  # type: ignore[misc]  # bound at once
            number += 1
            following = max(following + 1 / plan.rate, time.monotonic() - 1)
    while pool.alive:
        pool.reap(wait=True)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = {
        "wall_s": time.monotonic() - began,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "started": pool.started,
        "most_alive": pool.most,
        "died": pool.died,
        "held": held,
    }
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
