"""One run of a command line, as tests look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Ran(NamedTuple):
    """Exit code and what was written."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What json mode answered."""
        return json.loads(self.out)


Run = Callable[..., Ran]
