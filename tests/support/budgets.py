"""How many examples a property test tries: more in CI than here, many more in the scheduled run.

A test that states its own number multiplies it: ``@settings(max_examples=examples(300))``. The profiles are registered
in ``tests/conftest.py``.
"""

from __future__ import annotations

from hypothesis import settings

USUAL = 100
"""Examples of a property that states no number of its own, on a developer's machine."""
PROFILES = {"local": USUAL, "ci": 2 * USUAL, "long": 50 * USUAL}
"""By profile, what those are."""


def examples(here: int, *, slow: bool = False) -> int:
    """Return how many examples the profile in force makes of that many on a developer's machine.

    Args:
        here: on a developer's machine.
        slow: a test that reads and writes files or asks servers: it tries twice as many where others try four times.
    """
    in_force = settings.default
    more = (in_force.max_examples if in_force is not None else USUAL) / USUAL
    return round(here * (more**0.5 if slow else more))
