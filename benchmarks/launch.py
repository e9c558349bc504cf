"""Run one command and print what it took, as JSON; started by `benchmarks.harness` as a small process of its own.

A child's peak memory as the kernel counts it starts at that of the process which spawned it, so the one that spawns has
to be small: this imports next to nothing (about 10 MiB, the floor of every figure).
"""

import json
import os
import sys
import time


def main() -> None:
    request = json.loads(sys.argv[1])
    os.chdir(request["cwd"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    actions = [
        (os.POSIX_SPAWN_DUP2, null, 0),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
    ]
    start = time.perf_counter()
    pid = os.posix_spawnp(request["argv"][0], request["argv"], request["env"], file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    result = {
        "status": os.waitstatus_to_exitcode(status),
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "rss_bytes": usage.ru_maxrss * 1024,  # the kernel counts in KiB
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
