"""Whole commands killed at moments drawn at random: the old state or the new, and the next command needs no help."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.killing import kills_of

NONE: dict[str, Any] = {"in-use": {"acme/app": None, "acme/base": None}, "installed": []}
KILLS = 6


def of(app: str | None, base: str | None, *installed: str) -> dict[str, Any]:
    return {"in-use": {"acme/app": app, "acme/base": base}, "installed": sorted(f"acme/{each}" for each in installed)}


ONE = of("1.0.0", "1.0.0", "app@1.0.0", "base@1.0.0")
TWO = of("2.0.0", "2.0.0", "app@2.0.0", "base@2.0.0")
BOTH = of("2.0.0", "2.0.0", "app@1.0.0", "app@2.0.0", "base@1.0.0", "base@2.0.0")
ALL = BOTH["installed"]
OLD_AND_NEW: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "install": (NONE, TWO),
    "ensure": (ONE, BOTH),
    "update": (ONE, BOTH),
    "rollback": (BOTH, ONE),
    "use": (BOTH, {**BOTH, "in-use": {"acme/app": "2.0.0", "acme/base": "1.0.0"}}),
    "uninstall": (BOTH, of("2.0.0", None, "app@1.0.0", "app@2.0.0")),
    "cache-gc": (BOTH, BOTH),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are steps of a forked child")
@pytest.mark.parametrize("command", OLD_AND_NEW)
def test_killed_at_any_moment(command: str, tmp_path: Path) -> None:
    old, new = OLD_AND_NEW[command]
    for kill in kills_of(command, tmp_path, KILLS):
        after, again = kill["after"], kill["again"]
        # Between the decision and its last rename, a kill may leave some plugins switched, or gone, and others not yet.
        for plugin, version in after["in-use"].items():
            assert version in {old["in-use"][plugin], new["in-use"][plugin]}, kill
        assert set(old["installed"]) & set(new["installed"]) <= set(after["installed"]), kill
        assert set(after["installed"]) <= {*old["installed"], *new["installed"]}, kill
        assert after["damaged"] == [], kill
        assert {"in-use": again["in-use"], "installed": again["installed"]} == new, kill
        assert again["disagreements"] == [], kill
        assert (again["cached"] == []) == (command == "cache-gc"), kill
