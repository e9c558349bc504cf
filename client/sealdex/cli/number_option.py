"""The values of options that are numbers with a fraction; for both command lines."""

from __future__ import annotations

import math
from typing import Any

import click

_YEAR_S = 366 * 86400


class Finite(click.FloatRange):
    """A number; neither ``inf`` nor ``nan``, which compare with nothing and which JSON doesn't have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it as click does, and refuse what isn't finite."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Seconds(Finite):
    """A number of seconds, a year at most: no timer of a system takes any number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it as `Finite` does, and refuse what can't be waited for."""
        seconds = super().convert(value, param, ctx)
        if seconds > _YEAR_S:
            self.fail(f"{value} seconds are more than a year ({_YEAR_S}).", param, ctx)
        return seconds
