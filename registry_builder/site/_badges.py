"""Badges: small SVG files for READMEs elsewhere. Pure; no font is measured, so they are the same everywhere."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from registry_builder.site._platform_matrix import platform_names
from registry_builder.site.plugin_view import PluginView
from registry_builder.site.urls import plugin_file
from sealdex.model.index import IndexDocument

_GOOD, _DULL = "#2f6b3c", "#6b6257"
_MAX_VALUE = 40
# Widths in Verdana at 11 pixels, in classes; `textLength` in the SVG makes the text fit with any font.
_NARROW, _WIDE = "fijlrtI.,:;|'!1()[]- ", "mwMWQOGD@%"


@dataclass(frozen=True)
class Badge:
    """A label and a value; ``split`` is where the label ends and the value begins, in pixels like ``width``."""

    key: str
    label: str
    value: str
    colour: str
    split: int
    width: int
    title: str = ""

    @property
    def text(self) -> str:
        """The text for screen readers."""
        said = f"{self.label}: {self.value}"
        return f"{self.title}, {said}" if self.title else said


def plugin_badges(view: PluginView, document: IndexDocument) -> dict[str, Badge]:
    """Return the badges ``version`` and ``platforms`` of a plugin."""
    latest = view.latest
    release = document.release(latest.version) if latest else None
    version = latest.version if latest else "yanked" if document.releases else "none yet"
    shown = release or (document.releases[0] if document.releases else None)  # as the page shows of a yanked one
    names = platform_names(shown) if shown else ()
    colour = _GOOD if latest and not view.deprecated else _DULL
    return {
        "version": _badge(view, "version", version, colour),
        "platforms": _badge(view, "platforms", " | ".join(names) or ("any" if shown else "none yet"), colour),
    }


def _badge(view: PluginView, label: str, value: str, colour: str) -> Badge:
    shown = value if len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 1]}…"
    key = plugin_file(view.plugin, f"{label}.svg")
    split = _text_width(label) + 15
    return Badge(key, label, shown, colour, split, split + _text_width(shown) + 15, view.title)


def _text_width(text: str) -> int:
    return round(sum(map(_char_width, text)))


def _char_width(char: str) -> float:
    if char.isascii():
        return 4.3 if char in _NARROW else 9.6 if char in _WIDE else 7.0
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0.0
    return 11.0 if unicodedata.east_asian_width(char) in {"W", "F"} else 7.0
