"""Many processes at once: starts commands together and waits for all of them.

    python crowd.py FILE      # JSON: a list of {"argv": [...], "env": {...}, "log": "..."}

Prints JSON: ``wall_s`` from the first start to the last end, ``cpu_s`` of all of them with their children, ``failed``:
the last lines of those that failed.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    commands = json.loads(Path(sys.argv[1]).read_bytes())
    null = os.open(os.devnull, os.O_RDONLY)
    began = time.perf_counter()
    children = {}
    for command in commands:
        log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        pid = os.posix_spawn(command["argv"][0], command["argv"], command["env"], file_actions=actions)
        os.close(log)
        children[pid] = command["log"]
    failed = []
    while children:
        pid, status = os.wait()
        log = children.pop(pid)
        if os.waitstatus_to_exitcode(status):
            failed.append(Path(log).read_text(errors="replace")[-2000:])
    wall = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "failed": failed}))


if __name__ == "__main__":
    main()
