"""Translates what is about to be shown: finds the message that a text was made from, and says it in another language.

Code says everything in English, errors too, so logs, ``--json`` and Python's callers always read the same. Only the
output layer translates. `scripts/messages.py` reads the messages from the sources and writes ``languages/TAG.json``:

    {"texts": {"nothing was installed": "未安装任何内容"},
     "templates": [["not", 7, ["", " is not on ", ""], [0, " 不在 ", 1, " 上"], 0]]}

A template has the word by which it is found, the number of its letters, the words between its values, what to say with
the values in their places, and whether its value is a number. What matches none is shown as it is. Pure.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    _Template = list[Any]  # letters of its own, words, parts, whether its value is a number

_ENOUGH = 8  # letters that a template must have to be trusted: "{0} of {1}" could be anybody's words
_LITTLE = 3
_DEEP = 4
_LONG = 4000
_MARKS = "'\"`()[]{}<>,;:.!?…·"
_BETWEEN = (("; ", "；"), (": ", "："), (" · ", " · "), (", ", "、"), (". ", "。"))  # noqa: RUF001  # Chinese marks


class Messages:
    """The messages of one language.

    Args:
        documents: of the files of all rooms whose messages may be shown.
    """

    def __init__(self, documents: Iterable[Any]) -> None:
        self._texts: dict[str, str] = {}
        self._templates: dict[str, list[_Template]] = {}
        for document in documents:
            self._texts.update(document["texts"])
            for key, *template in document["templates"]:
                self._templates.setdefault(key, []).append(template)

    @property
    def sample(self) -> str:
        """A text of this language, to try whether a stream can show it."""
        return next(iter(self._texts.values()), "")

    def say(self, text: str) -> str:
        """Return a text in this language; one that isn't known is returned as it is."""
        return self._say(text, 0) if len(text) < _LONG else text

    def _say(self, text: str, depth: int) -> str:
        core = text.strip()
        if not core:
            return text
        # a single word within a sentence is a name: of a channel, of a registry
        said = self._texts.get(core) if not depth or " " in core else None
        if said is None:
            said = self._by_template(core, depth)
        if said is None:
            said = self._by_parts(core, depth)
        if said is None:
            return text
        before, _, after = text.partition(core)
        return before + said + after

    def _by_template(self, text: str, depth: int) -> str | None:
        found: list[_Template] = []
        for key in {"", *words_of(text)}:
            found += self._templates.get(key, ())
        # the one with most letters of its own is the one that was meant
        for weight, words, parts, is_number in sorted(found, key=_weight, reverse=True):
            if depth and weight < _LITTLE and not is_number:
                continue
            values = match(words, text)
            begins = len(words[0]) > _LITTLE
            if values is not None and _is_meant(weight, values, begins=begins, is_number=bool(is_number)):
                if depth < _DEEP:
                    values = [self._say(value, depth + 1) for value in values]
                return _joined([values[part] if isinstance(part, int) else part for part in parts])
        return None

    def _by_parts(self, text: str, depth: int) -> str | None:
        if depth >= _DEEP:
            return None
        if text.endswith(")") and " (" in text:
            outside, _, inside = text[:-1].partition(" (")
            shown = self._say(outside, depth + 1), self._say(inside, depth + 1)
            if shown != (outside, inside):
                return f"{shown[0]}（{shown[1]}）"  # noqa: RUF001  # as Chinese writes them
        for mark, other in _BETWEEN:
            parts = text.split(mark)
            if len(parts) > 1:
                said = [self._say(part, depth + 1) for part in parts]
                if said != parts:
                    return other.join(said)
        return None


def words_of(text: str) -> set[str]:
    """Return the words of a text without the marks around them."""
    return {word.strip(_MARKS) for word in text.split(" ")}


def _weight(template: _Template) -> tuple[int, int]:
    return template[0], len(template[1])


def _is_meant(weight: int, values: list[str], *, begins: bool, is_number: bool) -> bool:
    """Return whether a text with these values was made from a template with so many letters of its own.

    The values of one with few letters, unless it ``begins`` with them, are single words but for the last:
    ``acme/slack needs acme/chat >=1 <2``.
    """
    if is_number:
        return values[0].isdigit()
    single = values[:-1] if weight >= _LITTLE else values
    return weight >= _ENOUGH or begins or not any(" " in value for value in single)


def _joined(parts: list[str]) -> str:
    """Join words and values, with a space between a Chinese character and a letter or digit, and none between two."""
    text = ""
    for part in parts:
        if text[-1:] == " " and _is_han(text[-2:-1]) and _is_han(part[:1]):
            text = text[:-1]
        if text and part and ((_is_han(text[-1]) and _is_latin(part[0])) or (_is_latin(text[-1]) and _is_han(part[0]))):
            text += " "
        text += part
    return text


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff"  # an empty text is below it


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalnum()


def match(words: list[str], text: str) -> list[str] | None:
    """Return the values that stand between words in a text; None if the text doesn't have them in this order."""
    first, *between, last = words
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return None
    values, place, end = [], len(first), len(text) - len(last)
    for word in between:
        found = text.find(word, place, end)
        if found < 0:
            return None
        values.append(text[place:found])
        place = found + len(word)
    return [*values, text[place:end]]
