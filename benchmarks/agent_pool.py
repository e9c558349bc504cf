"""Many agents at once: processes that each install a plugin into an empty store, all started at the same moment.

    python agent_pool.py COUNT FOLDER CONFIG PLUGIN

Prints JSON: ``wall_s`` from the start signal to the end of the last, ``cpu_s`` of all of them, ``failed``: what those
said that failed. They are forked from one process that has imported the client, so what is measured is their work and
not two hundred starts of Python.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import sealdex.client
import sealdex.transport._http  # what a client would import at its first request
import sealdex.trust.registries
from sealdex.config.config import load_config


def main() -> None:
    count, folder, config, plugin = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    wait, start = os.pipe()
    children = [_child(wait, start, config, folder / str(number), plugin) for number in range(count)]
    os.close(wait)
    began = time.perf_counter()
    os.close(start)  # the end of the pipe, which all of them read
    failed = []
    for number, pid in enumerate(children):
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status):
            log = folder / f"{number}.log"
            failed.append(log.read_text() if log.exists() else f"agent {number} ended with {status}")
    wall = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "failed": failed}))


def _child(wait: int, start: int, config: str, store: Path, plugin: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.close(start)
    os.read(wait, 1)
    try:
        with sealdex.client.Client(load_config(config, store)) as client:
            done = client.install(plugin, fallback=False)
            if [each.action for each in done] != ["unpack"] or not client.verify()[0].is_whole:
                raise RuntimeError(f"installed otherwise: {done}")  # noqa: TRY301  # it ends as any other failure
    except BaseException as error:  # noqa: BLE001  # a forked child must end here, whatever happens
        store.with_name(f"{store.name}.log").write_text(f"{type(error).__name__}: {error}")
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
