"""Sets environment variables of this process for a block, and puts back what was there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_changing = threading.RLock()


@contextmanager
def process_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a block, and put back what was there.

    They are the process's own, so two threads that set some wait for each other.
    """
    if not values:
        yield
        return
    with _changing:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
