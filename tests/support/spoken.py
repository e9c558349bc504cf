"""Commands in another language: messages of both programs, and what a text is called in them."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from types import ModuleType

from support.places import REPOSITORY

from sealdex.cli.messages import Messages

PROGRAMS = ("sealdex", "sealdex-builder")


@cache
def script(name: str) -> ModuleType:
    """Return a module of scripts/."""
    folder = str(REPOSITORY / "scripts")
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@cache
def chinese() -> Messages:
    """Return the messages that the builder has, which has all of the client's too."""
    rooms = [script("command_messages").ROOMS[program] for program in PROGRAMS]
    return Messages(json.loads((room / "cli/languages/zh.json").read_text(encoding="utf-8")) for room in rooms)


def is_chinese(text: str) -> bool:
    """Return whether a text has a Chinese character."""
    return any("\u4e00" <= char <= "\u9fff" for char in text)
