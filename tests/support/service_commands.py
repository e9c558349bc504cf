"""What a command about services returns in tests: its exit code and its JSON document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Command = Callable[..., tuple[int, Any]]
