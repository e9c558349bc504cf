"""Badges: small SVG files for READMEs elsewhere. Pure; no font is measured, so they are the same everywhere."""

from __future__ import annotations

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

    @property
    def text(self) -> str:
        """The text for screen readers."""
        return f"{self.label}: {self.value}"


def plugin_badges(view: PluginView, document: IndexDocument) -> dict[str, Badge]:
    """Return the badges ``version`` and ``platforms`` of a plugin."""
    latest = view.latest
    release = document.release(latest.version) if latest else None
    version = latest.version if latest else "yanked" if document.releases else "none yet"
    names = platform_names(release) if release else ()
    colour = _GOOD if latest and not view.deprecated else _DULL
    return {
        "version": _badge(view, "version", version, colour),
        "platforms": _badge(view, "platforms", " | ".join(names) or ("any" if release else "none"), colour),
    }


def _badge(view: PluginView, label: str, value: str, colour: str) -> Badge:
    shown = value if len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 1]}…"
    split = _text_width(label) + 15
    return Badge(plugin_file(view.plugin, f"{label}.svg"), label, shown, colour, split, split + _text_width(shown) + 15)


def _text_width(text: str) -> int:
    return round(sum(4.3 if c in _NARROW else 9.6 if c in _WIDE else 7.0 for c in text))
