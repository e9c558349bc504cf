"""Drawings on a plugin's page, as points on a canvas: its releases over time, and what evaluations measured. Pure.

They follow from the index document alone and not from today, so that a page changes only with its plugin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sealdex.model.index import IndexDocument
from sealdex.model.precedence import is_prerelease, version_sort_key

WIDTH, HEIGHT = 300, 96
_EDGE = 6
_MAX_CHARTS = 8
_MAX_POINTS = 60


@dataclass(frozen=True)
class Point:
    """A release on a drawing: where it stands, and what is said of it."""

    x: float
    y: float
    version: str
    value: str = ""
    prerelease: bool = False


@dataclass(frozen=True)
class Timeline:
    """Releases from the first to the last, at distances that are those of their dates."""

    points: tuple[Point, ...]
    first: str
    last: str


@dataclass(frozen=True)
class Chart:
    """One metric on one data set, release by release; ``line`` is its points as SVG has them."""

    metric: str
    dataset: str
    points: tuple[Point, ...]
    low: str
    high: str

    @property
    def line(self) -> str:
        """The points of a polyline."""
        return " ".join(f"{point.x:g},{point.y:g}" for point in self.points)


def timeline(document: IndexDocument) -> Timeline | None:
    """Return the releases that state a time; None where fewer than three do."""
    dated = sorted((r.released_at[:10], version_sort_key(r.version), r) for r in document.releases if r.released_at)
    days = [_day(day) for day, _, _ in dated]
    if len(dated) < 3 or None in days or days[0] == days[-1]:
        return None
    first, last = days[0] or 0, days[-1] or 0
    points = tuple(
        Point(_place(day or 0, first, last, WIDTH), 18, release.version, date, is_prerelease(release.version))
        for day, (date, _, release) in zip(days, dated, strict=True)
    )
    return Timeline(points, dated[0][0], dated[-1][0])


def charts(document: IndexDocument) -> tuple[Chart, ...]:
    """Return a chart for each metric that two releases or more have on the same data set."""
    measured: dict[tuple[str, str], dict[str, float]] = {}
    for release in reversed(document.releases):  # oldest first, and of two evaluations of one release the later counts
        if release.yanked is None:
            for evaluation in release.evaluations:
                for metric, value in evaluation.metrics.items():
                    measured.setdefault((metric, evaluation.dataset or ""), {})[release.version] = value
    found = [_chart(*name, values) for name, values in sorted(measured.items()) if len(values) > 1]
    return tuple(found[:_MAX_CHARTS])


def _chart(metric: str, dataset: str, values: dict[str, float]) -> Chart:
    shown = list(values.items())[-_MAX_POINTS:]
    low, high = min(value for _, value in shown), max(value for _, value in shown)
    points = tuple(
        Point(
            _place(number, 0, len(shown) - 1, WIDTH),
            round(HEIGHT - _place(value, low, high, HEIGHT), 1),
            version,
            f"{value:.6g}",
        )
        for number, (version, value) in enumerate(shown)
    )
    return Chart(metric, dataset, points, f"{low:.6g}", f"{high:.6g}")


def _place(value: float, low: float, high: float, length: int) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(_EDGE + share * (length - 2 * _EDGE), 1)


def _day(date: str) -> int | None:
    try:
        return datetime.strptime(date, "%Y-%m-%d").toordinal()  # noqa: DTZ007  # a day alone
    except ValueError:
        return None


def column(names: Sequence[str], most: int) -> tuple[tuple[str, ...], int]:
    """Return what fits into one column of the drawing of dependencies, and how many don't."""
    return tuple(names[:most]), max(0, len(names) - most)


__all__ = ["HEIGHT", "WIDTH", "Chart", "Point", "Timeline", "charts", "column", "timeline"]
