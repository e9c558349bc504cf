"""Commands of ours that are killed before one of their renames, each of which makes something visible."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

from support.killing import drawn

KILLS = 4
PROGRAM = """
import os, signal, sys
from pathlib import Path
left, rename = [int(sys.argv[1])], os.replace

def replace(path, target, **more):
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(path, target, **more)
    left[0] -= 1  # those that find no folder yet don't count

os.replace = replace
sys.argv = ["sealdex", *sys.argv[2:]]
from sealdex.cli.main import main
main()
"""


def killed_before(rename: int, arguments: Sequence[object]) -> bool:
    """Run a command that dies before its nth rename; return whether it came so far."""
    command = [sys.executable, "-c", PROGRAM, str(rename), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


def moments(renames: int) -> list[int]:
    """Return the renames to die at: all of them with KILLS=all, else the last ones and some others."""
    return drawn(range(renames), KILLS, always={renames - 1, renames - 2})


def renames_of(arguments: Sequence[object]) -> int:
    """Count the renames of a whole run, by what it says when they are counted down from far above."""
    program = PROGRAM.replace("main()\n", "\ntry:\n    main()\nfinally:\n    print('renames', 10**6 - left[0])\n")
    done = subprocess.run(
        [sys.executable, "-c", program, str(10**6), *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.rpartition("renames ")[2])


__all__ = ["killed_before", "moments", "renames_of"]
