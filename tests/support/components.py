"""Real parts that a test needs: in CI a missing one is a failure, on somebody's machine a skip that says why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_FAKETIME = "faketime/libfaketime.so.1"


def missing(component: str, remedy: str) -> None:
    """Fail in CI, skip elsewhere."""
    message = f"{component} is missing: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, remedy: str) -> str:
    """Return the path of a program, or see `missing`."""
    found = shutil.which(name)
    if found is None:
        missing(name, remedy)
    assert found is not None
    return found


def at_clock(spec: str) -> list[str]:
    """Return what begins a command whose programs have another clock, see `missing`; in libfaketime's words (``+9d``).

    Its program ``faketime`` isn't used: killed, it leaves a semaphore that a later one with its process id trips over.
    """
    wrapper = Path(program("faketime", "install faketime"))
    places = [found for below in ("lib", "lib64") for found in (wrapper.parent.parent / below).glob(_FAKETIME)]
    places += (wrapper.parent.parent / "lib").glob(f"*/{_FAKETIME}")
    if not places:
        missing("libfaketime.so.1", "install faketime")
    return ["env", f"LD_PRELOAD={places[0]}", f"FAKETIME={spec}"]


def real_data() -> Path | None:
    """Return the folder of real plugin metadata (``SEALDEX_DATA``), or None: a clone without it passes all the same."""
    default = Path(__file__).parent.parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("SEALDEX_DATA", default))
    return folder if folder.is_dir() else None
