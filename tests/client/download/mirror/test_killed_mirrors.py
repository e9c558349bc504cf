"""Mirrors killed before any step and at any moment: readers see the old or the new state; the next run needs no help.

KILLS=all takes every step, and a hundred moments.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.killing import ALL, kills_of
from support.mirror_scene import NEW, OLD

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are steps of a forked child"),
]
KILLS = 3
NONE = "none"
STATES = {
    "mirror-first": {NONE, NEW},
    "mirror-update": {OLD, NEW},
    "mirror-import": {OLD, NEW},
    "mirror-prune": {NEW},
    "mirror-processes": {OLD, NEW},
}
AT_STEPS = [command for command in STATES if command != "mirror-processes"]


def check(command: str, kills: list[dict[str, Any]]) -> None:
    for kill in kills:
        after, again = kill["after"], kill["again"]
        assert after["state"] in STATES[command], kill
        assert after["state"] == NONE or after["verify"] == [0, ""], kill
        assert again == {"state": NEW, "verify": [0, ""], "extra": again["extra"], "left": []}, kill
        assert command != "mirror-prune" or again["extra"] == 0, kill


@pytest.mark.parametrize("command", AT_STEPS)
def test_killed_before_any_step(command: str, tmp_path: Path) -> None:
    check(command, kills_of(command, tmp_path, KILLS))


@pytest.mark.parametrize("command", STATES if ALL else ["mirror-processes"])
def test_killed_at_any_moment(command: str, tmp_path: Path) -> None:
    check(command, kills_of(command, tmp_path, KILLS, at_moments=True))
