"""``--help`` in another language: click's formatter with translated texts, and lines measured in columns, not letters.

click wraps at spaces, which Chinese has none of, and counts a wide character as one column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import click

from sealdex.cli.output import Output
from sealdex.text import width_of

_NOT_FIRST = "，。；：、！？）》」』”’…·,.;:!?)]}%"  # noqa: RUF001  # marks of Chinese that begin no line
_NOT_LAST = "（《「『“‘([{"  # noqa: RUF001  # marks of Chinese that end no line
_EXTRA = re.compile(r"(.*?)  \[([^\]]+)\]", re.DOTALL)  # what click puts behind the help of an option
_GAP = 2


class SpokenContext(click.Context):
    """The context of a command whose help is shown in the language of its output."""

    def make_formatter(self) -> click.HelpFormatter:
        """Return click's own formatter, or one that translates."""
        formatter = super().make_formatter()
        out = self.find_object(Output)
        if out is None or not out.is_translated:
            return formatter
        return SpokenFormatter(out.say, formatter.width)


class SpokenFormatter(click.HelpFormatter):
    """Formats help in another language.

    Args:
        say: translates a text.
        width: of a line, in columns.
    """

    def __init__(self, say: Callable[[str], str], width: int) -> None:
        super().__init__(width=width)
        self._say = say

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line that shows how a command is called."""
        super().write_usage(prog, args, prefix if prefix is not None else self._say("Usage:"))

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        self.write(f"{'':{self.current_indent}}{self._say(f'{heading}:')}\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with a backspace is kept line by line."""
        columns = max(self.width - self.current_indent, 11)
        shown = []
        for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
            lines = paragraph.splitlines()
            if lines and lines[0].strip() == "\b":
                shown.append([self._line(line) for line in lines[1:]])
            else:
                shown.append(list(wrapped(self._say(" ".join(paragraph.split())), columns)))
        for number, lines in enumerate(shown):
            if number:
                self.write("\n")
            for line in lines:
                self.write(f"{'':{self.current_indent}}{line}\n")

    def _line(self, line: str) -> str:
        core = line.strip()
        return line[: len(line) - len(line.lstrip())] + self._say(core)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = _GAP) -> None:
        """Write terms and what they mean, as two columns."""
        rows = list(rows)
        first = min(max(width_of(term) for term, _ in rows), col_max) + col_spacing
        columns = max(self.width - first - self.current_indent, 10)
        for term, meaning in rows:
            lines = list(wrapped(self._meaning(meaning), columns))
            self.write(f"{'':{self.current_indent}}{term}")
            if not lines:
                self.write("\n")
                continue
            room = first - width_of(term)
            self.write(" " * room if room >= col_spacing else "\n" + " " * (first + self.current_indent))
            self.write(lines[0] + "\n")
            for line in lines[1:]:
                self.write(f"{'':{first + self.current_indent}}{line}\n")

    def _meaning(self, text: str) -> str:
        found = _EXTRA.fullmatch(" ".join(text.split()) if "  [" not in text else text)
        if found is None:
            return self._say(" ".join(text.split()))
        return f"{self._say(' '.join(found[1].split()))}  [{self._say(found[2])}]"


def wrapped(text: str, columns: int) -> Iterator[str]:
    """Cut a text into lines of at most so many columns, between words or between wide characters."""
    line = ""
    for piece in _pieces(text):
        if line and width_of((line + piece).rstrip()) > columns:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """Yield the parts of a text between which a line may end."""
    start = 0
    for place, (before, after) in enumerate(pairwise(text), 1):
        is_wide = width_of(before) > 1 or width_of(after) > 1
        may_end = before == " " or (is_wide and after not in _NOT_FIRST and after != " " and before not in _NOT_LAST)
        if may_end:
            yield text[start:place]
            start = place
    yield text[start:]
