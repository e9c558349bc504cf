"""The log of a command as a test reads it: JSON lines of stderr by their event, asked for by fields."""

from __future__ import annotations

import json
from typing import Any


class LogLines(list[dict[str, Any]]):
    """The entries of a log, in order; other lines, of people's notes, are left out."""

    @classmethod
    def of(cls, text: str) -> LogLines:
        return cls(json.loads(line) for line in text.splitlines() if line.startswith("{"))

    def of_event(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the entries of an event that have these fields."""
        return [
            each
            for each in self
            if each.get("event") == event and all(each.get(name) == value for name, value in fields.items())
        ]

    def one(self, event: str, **fields: object) -> dict[str, Any]:
        """Return the only entry of an event with these fields."""
        found = self.of_event(event, **fields)
        assert len(found) == 1, (event, fields, found, sorted({str(each.get("event")) for each in self}))
        return found[0]
