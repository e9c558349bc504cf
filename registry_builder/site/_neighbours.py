"""What a plugin needs and what needs it, as a drawing: boxes in three columns, joined by lines. Pure.

Direct neighbours alone: what these need in turn would change the page with releases of other plugins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry_builder.site.plugin_view import LinkedPlugin

_MOST = 8
_ROW, _BOX = 38, 30
_WIDTHS = (250, 220, 250)
_GAP = 50
_LETTERS = (30, 26)  # that a box has room for: a neighbour's, the plugin's own


@dataclass(frozen=True)
class Box:
    """A plugin in its place; ``more`` counts those that a last box stands for."""

    x: float
    y: float
    width: float
    height: float
    text: str
    title: str
    page: str | None = None
    more: int = 0

    @property
    def middle(self) -> float:
        """Where its lines end."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class DependencyDrawing:
    """The boxes, the lines between them as paths, and the size of the canvas."""

    boxes: tuple[Box, ...]
    plugin: Box
    lines: tuple[str, ...]
    width: float
    height: float


def dependency_drawing(
    plugin: str, needs: Sequence[LinkedPlugin], needed_by: Sequence[LinkedPlugin]
) -> DependencyDrawing | None:
    """Return the drawing; None for a plugin that needs nothing and that nothing needs."""
    if not needs and not needed_by:
        return None
    rows = max(1, *(min(len(side), _MOST) + (len(side) > _MOST) for side in (needs, needed_by)))
    height = rows * _ROW
    at = _WIDTHS[0] + _GAP if needs else 0  # an empty column takes no room
    own = Box(at, (height - _BOX) / 2, _WIDTHS[1], _BOX, _short(plugin, _LETTERS[1]), plugin)
    left = _column(needs, 0, height)
    right = _column(needed_by, at + _WIDTHS[1] + _GAP, height)
    lines = [_line(box.x + box.width, box.middle, own.x, own.middle) for box in left]
    lines += [_line(own.x + own.width, own.middle, box.x, box.middle) for box in right]
    width = at + _WIDTHS[1] + (_GAP + _WIDTHS[2] if needed_by else 0)
    return DependencyDrawing((*left, *right), own, tuple(lines), width, height)


def _column(side: Sequence[LinkedPlugin], x: float, height: float) -> list[Box]:
    shown = list(side[:_MOST])
    more = len(side) - len(shown)
    top = (height - (len(shown) + (more > 0)) * _ROW) / 2 + (_ROW - _BOX) / 2
    boxes = [
        Box(
            x,
            top + number * _ROW,
            _WIDTHS[0],
            _BOX,
            _short(each.id, _LETTERS[0]),
            f"{each.id} {each.note}".strip(),
            each.page,
        )
        for number, each in enumerate(shown)
    ]
    if more:
        boxes.append(Box(x, top + len(shown) * _ROW, _WIDTHS[0], _BOX, "", "", more=more))
    return boxes


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (x1 + x2) / 2
    return f"M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


__all__ = ["Box", "DependencyDrawing", "dependency_drawing"]
