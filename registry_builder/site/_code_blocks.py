"""Colours of code in READMEs, made when the page is: by Pygments, as spans with classes, without any script.

A block goes through the sanitiser as a placeholder and is put back afterwards: what Pygments returns is spans and
escaped text, and the sanitiser would take the classes off.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

# A block of C of 20,000 characters, nearly all line breaks, takes 47 seconds. So much is coloured of a block and
# of a text, in characters: what these bounds let through takes seconds, whatever it is. Pages are the same on every
# machine, so a clock can't be the bound.
_MAX_BLOCK = 8_000
_MAX_SLOW_BLOCK = 2_000
_MAX_TEXT = 60_000
_SLOW_FACTOR = 4
_PREFIX = "h-"
# what READMEs are written in; the lexers of hundreds of others are never run on foreign text
_LANGUAGES = frozenset({
    "bash", "c", "c++", "console", "cpp", "cs", "csharp", "css", "diff", "docker", "dockerfile", "go", "golang", "html",
    "ini", "java", "javascript", "js", "json", "kotlin", "lua", "make", "makefile", "nginx", "php", "powershell",
    "proto", "protobuf", "ps1", "py", "pycon", "python", "rb", "ruby", "rs", "rust", "sh", "shell", "shell-session",
    "sql", "swift", "toml", "ts", "typescript", "xml", "yaml", "yml", "zsh",
})  # fmt: skip
# whose lexers were seen to take time that grows with the square
_SLOW = frozenset({
    "bash", "c", "c++", "console", "cpp", "cs", "csharp", "docker", "dockerfile", "java", "make", "makefile", "sh",
    "shell", "shell-session", "zsh",
})  # fmt: skip


class CodeBlocks:
    """The coloured blocks of one text.

    Args:
        source: the text; the placeholders follow from it, so no text can hold its own.
    """

    def __init__(self, source: bytes) -> None:
        self._mark = hashlib.sha256(b"code blocks\n" + source).hexdigest()
        self._blocks: list[str] = []
        self._left = _MAX_TEXT

    def take(self, token: Token) -> None:
        """Take the code out of a fence, if it is in a language that is coloured."""
        language = token.info.strip().partition(" ")[0].lower()
        is_slow = language in _SLOW
        size = len(token.content)
        cost = max(size, 100) * (_SLOW_FACTOR if is_slow else 1)
        if language not in _LANGUAGES or size > (_MAX_SLOW_BLOCK if is_slow else _MAX_BLOCK) or cost > self._left:
            return
        self._left -= cost
        self._blocks.append(coloured(token.content, language))
        token.content = self._placeholder(len(self._blocks) - 1)

    def put(self, html: str) -> str:
        """Put the coloured code back into sanitised HTML."""
        for number, block in enumerate(self._blocks):
            html = html.replace(self._placeholder(number), block, 1)
        return html

    def _placeholder(self, number: int) -> str:
        return f"{self._mark}{number:04d}"


@lru_cache(maxsize=512)
def coloured(code: str, language: str) -> str:
    """Return code as HTML: escaped text in spans whose classes begin with ``h-``."""
    from pygments import highlight  # noqa: PLC0415  # few pages have code that wasn't coloured before
    from pygments.formatters.html import HtmlFormatter  # noqa: PLC0415  # with the line before
    from pygments.lexers import get_lexer_by_name  # noqa: PLC0415  # of Pygments, see above

    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    made: str = highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix=_PREFIX))
    return made


__all__ = ["CodeBlocks", "coloured"]
