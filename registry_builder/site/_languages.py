"""Which language a text of a plugin is in, and which of several a reader of a page gets. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from sealdex.model.catalog import CatalogRow
from sealdex.model.index import IndexDocument
from sealdex.text import clean_title

ENGLISH = "en"
UNKNOWN = "und"  # BCP 47: not determined
_ENOUGH = 0.2  # of the letters: Chinese text names things in Latin letters, seldom the reverse

# what the name of a letter in Unicode begins with, and the language that is mostly written with it
_SCRIPTS = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "THAI": "th",
    "HEBREW": "he",
    "GREEK": "el",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "CYRILLIC": UNKNOWN,
    "ARABIC": UNKNOWN,
    "DEVANAGARI": UNKNOWN,
}


class Worded(NamedTuple):
    """A text and its language: empty where it is that of the page."""

    text: str
    language: str = ""


Described = CatalogRow | IndexDocument


def title_of(plugin: Described, page: str = ENGLISH) -> Worded | None:
    """Return a plugin's title for a page in the language ``page``; None if it has none."""
    if (found := _translated(plugin.title_i18n, page)) is not None:
        return _worded(*found, page)
    if plugin.title is None:
        return None
    return _worded(plugin.title, language_of(plugin.title, plugin.language), page)


def summary_of(plugin: Described, page: str = ENGLISH) -> Worded:
    """Return a plugin's summary for a page in the language ``page``."""
    if (found := _translated(plugin.summary_i18n, page)) is not None:
        return _worded(*found, page)
    return _worded(plugin.summary, language_of(plugin.summary, plugin.language), page)


def language_of(text: str, stated: str | None = None) -> str:
    """Return the language of a text: the stated one, else what its script tells, else English."""
    if stated:
        return stated
    if text.isascii():
        return ENGLISH
    letters = [char for char in text[:2000] if char.isalpha()]
    counts: dict[str, int] = {}
    for char in letters:
        language = _SCRIPTS.get(unicodedata.name(char, "").partition(" ")[0])
        if language is not None:
            counts[language] = counts.get(language, 0) + 1
    if not counts or sum(counts.values()) < _ENOUGH * len(letters):
        return ENGLISH
    if "ja" in counts and "zh" in counts:  # Japanese has Han characters too, Chinese no Kana
        return "ja"
    return max(counts, key=lambda language: counts[language])


def nearest_language(offered: Mapping[str, object], wanted: str) -> str | None:
    """Return the offered tag for a wanted one: the same, its language without region, or another region of it."""
    if wanted in offered:
        return wanted
    base = wanted.partition("-")[0]
    if base in offered:
        return base
    return next((tag for tag in sorted(offered) if tag.partition("-")[0] == base), None)


def _translated(texts: Mapping[str, str], page: str) -> tuple[str, str] | None:
    tag = nearest_language(texts, page)
    return (texts[tag], tag) if tag is not None else None


def _worded(text: str, language: str, page: str) -> Worded:
    return Worded(clean_title(text), "" if language == page else language)


__all__ = ["ENGLISH", "UNKNOWN", "Described", "Worded", "language_of", "nearest_language", "summary_of", "title_of"]
