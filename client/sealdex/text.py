"""Text for people: removes control characters, formats numbers with their nouns, measures columns. Imports little."""

from __future__ import annotations

# Whole escape sequences go first, so that "\\x1b[31m" doesn't leave "[31m" behind: CSI; the string sequences (OSC, DCS,
# SOS, PM, APC) up to their terminator or the end; and the two-character ones.
_SEQUENCES = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]"
)
# C0 and C1 controls and DEL; zero-width marks, which hide parts of a name; direction overrides, which reorder what is
# read; lone surrogates, which no stream can encode.
_CONTROLS = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
_JOINERS = "\u200c\u200d"  # between letters: Persian and Indic scripts, and emoji of several parts, need them
_BREAKS = "[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Format a number with its noun.

    Args:
        number: how many.
        one: the noun for one of them.
        many: the noun for any other number; default: ``one`` with an s.
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def clean(text: str) -> str:
    """Return one line of text without escape sequences, control characters and direction overrides.

    Breaks become spaces, so that a value can't pretend to be a line of its own.
    """
    if text.isprintable():  # none of what is removed below is
        return text
    return without_controls(text)


def clean_title(text: str) -> str:
    """Like `clean` for what isn't an identifier: joiners between two characters stay, as some scripts need them."""
    if not any(joiner in text for joiner in _JOINERS):
        return clean(text)
    import re  # noqa: PLC0415  # few texts need it

    parts = [part if part in _JOINERS else without_controls(part) for part in re.split(f"([{_JOINERS}])", text) if part]
    return re.sub(rf"(?<![^\s{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?![^\s{_JOINERS}])", "", "".join(parts))


def clean_lines(text: str) -> list[str]:
    """Like `clean` for text of several lines, such as caveats; tabs become spaces."""
    return [clean(line) for line in text.expandtabs(4).splitlines()]


def without_controls(text: str) -> str:
    """Return the text on one line: sequences and controls removed, breaks and tabs turned into spaces."""
    import re  # noqa: PLC0415  # few texts need it, and every command loads this module

    return re.sub(_CONTROLS, "", re.sub(_BREAKS, " ", re.sub(_SEQUENCES, "", text)))


def width_of(text: str) -> int:
    """Return how many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata  # noqa: PLC0415  # only for text beyond ASCII

    columns = last = 0
    for char in text:
        if char == "\ufe0f":  # the character before it is shown as an emoji, two columns wide
            columns, last = columns + (last == 1), 2
        elif unicodedata.category(char) not in {"Mn", "Me", "Cf"}:
            last = 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
            columns += last
    return columns


def cut(text: str, columns: int) -> str:
    """Return a text of at most so many columns, with an ellipsis where something was cut off."""
    if width_of(text) <= columns:
        return text
    while width_of(text) > columns - 1:
        text = text[:-1]
    return text + "…"
