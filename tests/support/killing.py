"""Runs `support.kill_runner` from a test: in a process of its own without threads, on a disk that costs no time.

With KILLS=all in the environment every step is a kill, and on the disk that the tests are on: the long look that a
scheduled workflow takes, and that a developer can take on a busy machine.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

_RUNNER = Path(__file__).with_name("kill_runner.py")
_MEMORY = Path("/dev/shm")  # noqa: S108  # Linux has it for this; a folder with a random name is made in it

ALL = os.environ.get("KILLS") == "all"
"""Whether every step is a kill."""
MOMENTS = 100
"""Kills at random moments with KILLS=all."""

_T = TypeVar("_T")


def drawn(steps: Sequence[_T], kills: int, always: Collection[_T] = ()) -> list[_T]:
    """Return the steps to kill at, in order: ``always`` and so many others at random; all of them with KILLS=all."""
    others = [step for step in steps if step not in always]
    chosen = others if ALL else random.sample(others, min(kills, len(others)))
    return [step for step in steps if step in always or step in chosen]


def kills_of(
    scenario: str, folder: Path, kills: int | None = None, *, at_moments: bool = False, edges: bool = False
) -> list[dict[str, Any]]:
    """Return what was seen after each kill: before every step, then after none; or before so many at random.

    With ``edges`` also before the first step, before the last and after none. With ``at_moments`` so many kills come at
    any time, from outside, and with KILLS=all a hundred.
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_RUNNER.parents[1]), *sys.path])}
    if ALL:
        kills, place = MOMENTS if at_moments else None, folder
    else:
        place = _MEMORY if os.access(_MEMORY, os.W_OK) else folder  # thousands of flushes to a real disk take long
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        command = [sys.executable, str(_RUNNER), scenario, scratch, *([str(kills)] if kills else [])]
        command += ["moments"] if at_moments else ["edges"] if edges and kills else []
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert ran.returncode == 0, ran.stderr
    seen = [json.loads(line) for line in ran.stdout.splitlines()]
    if at_moments:
        assert len(seen) == kills
    elif kills is None:
        assert [each["died"] for each in seen] == [True] * (len(seen) - 1) + [False]
    else:
        # where threads take turns, a run may have a few steps less than the one in which they were counted
        assert any(each["died"] for each in seen)
    return seen
