"""What titles, keywords and names of languages may consist of, in any script. Pure.

Letters of every script are welcome; what could make a text look like another one isn't: control characters, direction
overrides, unassigned code points, and forms that Unicode writes in more than one way (NFC is the one that counts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta

from sealdex.lazy import regex

MAX_TITLE_LENGTH = 80
MAX_KEYWORD_BYTES = 240
"""Of UTF-8: a keyword is the name of a folder of the published pages, and file systems allow 255."""

Keyword = Annotated[
    str,
    Meta(
        # what ASCII has besides letters, digits and joints; `keyword_problem` knows the other scripts
        pattern=r"^[^\s\x00-*,/:-@A-Z\[-^`{-\x9f]+$(?!\n)",
        max_length=64,
        examples=["speech", "ros-2", "\u8bed\u97f3"],
        extra={"expects": "a keyword in lower case, such as 'speech', 'ros-2' or '\u8bed\u97f3'"},
    ),
]
Title = Annotated[
    str,
    Meta(
        pattern=r"^\S(.*\S)?$(?!\n)",
        max_length=MAX_TITLE_LENGTH,
        examples=["Slack messages", "\u7fa4\u804a\u6e38\u620f"],
        extra={"expects": f"one line of at most {MAX_TITLE_LENGTH} characters, without space around it"},
    ),
]
LanguageTag = Annotated[
    str,
    Meta(
        pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$(?!\n)",
        max_length=11,
        examples=["en", "zh", "zh-Hant", "pt-BR"],
        extra={"expects": "the tag of a language, such as 'en', 'zh', 'zh-Hant' or 'pt-BR'"},
    ),
]

_GROUPS = regex(r"[._+-]")
_JOINERS = "\u200c\u200d"  # ZWNJ and ZWJ: Persian, Indic scripts and emoji can't be written without them


def keyword_problem(keyword: str) -> str | None:
    """Return what is wrong with a keyword and what to write, or None.

    A keyword consists of groups of letters, marks and digits of any script, in lower case and in NFC, joined by one of
    ``.``, ``_``, ``+`` and ``-``.
    """
    if not all(_GROUPS.split(keyword)):
        return f"'{keyword}' must be letters and digits in groups joined by one of '.', '_', '+' or '-'"
    if keyword.isascii():
        return None  # its pattern has the rest
    if problem := _form_problem(keyword):
        return problem
    import unicodedata  # noqa: PLC0415  # only for text beyond ASCII

    for char in keyword:
        kind = unicodedata.category(char)
        if kind[0] not in "LM" and kind != "Nd" and char not in "._+-":
            return f"contains {_shown(char)}, which is neither a letter nor a digit: leave it out or write '-'"
    if any(unicodedata.category(group[0])[0] == "M" for group in _GROUPS.split(keyword)):
        return f"'{keyword}' has a mark without a letter before it"
    if keyword != keyword.lower():
        return f"'{keyword}' must be in lower case: write '{keyword.lower()}'"
    if len(keyword.encode()) > MAX_KEYWORD_BYTES:
        return f"has {len(keyword.encode())} bytes in UTF-8, at most {MAX_KEYWORD_BYTES} are allowed: shorten it"
    return None


def line_problem(text: str) -> str | None:
    """Return what is wrong with a line that people read (a title, a translated summary), or None."""
    if text.isascii() and text.isprintable():
        return None
    return _form_problem(text)


def _form_problem(text: str) -> str | None:
    import unicodedata  # noqa: PLC0415  # only for text beyond ASCII

    for at, char in enumerate(text):
        if char in _JOINERS and 0 < at < len(text) - 1 and not text[at - 1].isspace():
            continue
        kind = unicodedata.category(char)
        if kind in {"Cc", "Cf", "Zl", "Zp", "Cs"}:
            return f"contains {_shown(char)}, which isn't seen and changes how text is read: remove it"
        if kind in {"Cn", "Co"}:
            return f"contains {_shown(char)}, which has no meaning in Unicode {unicodedata.unidata_version}: remove it"
    composed = unicodedata.normalize("NFC", text)
    return None if composed == text else f"is not in Unicode's composed form (NFC): write '{composed}'"


def _shown(char: str) -> str:
    import unicodedata  # noqa: PLC0415  # only for text beyond ASCII

    name = unicodedata.name(char, "")
    return f"U+{ord(char):04X}{f' ({name})' if name else ''}"


def wording_problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field path, problem) for keywords, titles and translations among the plain values of a ``plugin.yaml``.

    What isn't text is left to the types.
    """
    keywords = values.get("keywords")
    for number, keyword in enumerate(keywords if isinstance(keywords, list | tuple) else ()):
        if isinstance(keyword, str) and (problem := keyword_problem(keyword)):
            yield f"keywords[{number}]", problem
    title = values.get("title")
    if isinstance(title, str) and (problem := line_problem(title)):
        yield "title", problem
    for name in ("title_i18n", "summary_i18n"):
        texts = values.get(name)
        for language, text in texts.items() if isinstance(texts, Mapping) else ():
            if isinstance(text, str) and (problem := line_problem(text)):
                yield f"{name}.{language}" if str(language).isidentifier() else f'{name}["{language}"]', problem


__all__ = [
    "MAX_KEYWORD_BYTES",
    "MAX_TITLE_LENGTH",
    "Keyword",
    "LanguageTag",
    "Title",
    "keyword_problem",
    "line_problem",
    "wording_problems",
]
