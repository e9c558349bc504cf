"""What of a text may be logged: no secret, nothing that moves a cursor or begins a line, and not too much of it.

What was read as a secret is known (`sealdex.log.hide`) and goes wherever it stands. The rest goes by its form, for what
comes from elsewhere: another program's message, a server's redirect, a variable.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import cast
from urllib.parse import quote

from sealdex.text import clean

MASK = "***"
_MAX_CHARS = 2000
_MIN_HIDDEN, _MIN_OF_VARIABLE = 4, 8  # what is shorter occurs by chance

_NAMES = r"(?:passw(?:or)?d|passphrase|secret|token|signature|credential|api[-_]?key|access[-_]?key|pin-value)"
_VARIABLE = re.compile(rf"{_NAMES}|private[-_]?key", re.IGNORECASE)
_IS_PLACE = re.compile(r"_(?:FILE|PATH|DIR|URL|URI|ENV)$", re.IGNORECASE)

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), MASK),
    # the user and password of an address, and what a signed one carries behind its path
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#\"'<>]*@"), r"\1"),
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s?#\"'<>]*)[?#][^\s\"'<>]*"), rf"\1?{MASK}"),
    (
        re.compile(
            r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-amz-security-token)(\"?\s*[:=]\s*)\S.*", re.IGNORECASE
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"\b(bearer)\s+(?=\S*\d|\S{20})[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(Basic|BASIC|basic)\s+(?=\S*[A-Z0-9=])[A-Za-z0-9+/]{8,}={0,2}"), rf"\1 {MASK}"),
    (re.compile(rf"((?<![\w.-])[\w.-]*{_NAMES}[\w.-]*=)[^\s&;,\"']+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"(\"[\w.-]*{_NAMES}[\w.-]*\"\s*:\s*)\"[^\"]*\"", re.IGNORECASE), rf'\1"{MASK}"'),
    (
        re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|pypi-[\w-]{20,})"),
        MASK,
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), MASK),  # a JSON Web Token
)


def shown_value(value: object, secrets: Collection[str]) -> object:
    """Return a field as it may be logged: numbers and bools as they are, all else as redacted lines of text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if type(value) in {list, tuple, set, frozenset}:  # a plugin's id is a tuple too, and is shown as it names itself
        return [redacted(str(each), secrets) for each in cast("Iterable[object]", value)]
    return redacted(str(value), secrets)


def redacted(text: str, secrets: Collection[str]) -> str:
    """Return a text on one line, without control characters and secrets (those given too), cut where it is long."""
    # once more when cleaned: what was removed may have stood within a secret
    spellings = _spellings(secrets)
    text = _without(spellings, clean(_without(spellings, text)))
    if len(text) > _MAX_CHARS:
        text = (
            f"{text[:_MAX_CHARS].rpartition(' ')[0]} …"  # between words: half an address hides its password from rules
        )
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def _without(spellings: Iterable[str], text: str) -> str:
    for spelling in spellings:
        text = text.replace(spelling, MASK)
    return text


def _spellings(secrets: Collection[str]) -> list[str]:
    """Return every secret that is known, as it may be written, the longest first."""
    found = {spelling for secret in (*secrets, *_of_variables()) for spelling in _written(secret)}
    return sorted(found, key=len, reverse=True)


@lru_cache(maxsize=1024)
def _written(secret: str) -> tuple[str, ...]:
    if len(secret) < _MIN_HIDDEN:
        return ()
    encoded = secret.encode(errors="surrogateescape")
    return (secret, quote(encoded, safe=""), quote(encoded), base64.b64encode(encoded).decode())


def _of_variables() -> tuple[str, ...]:
    """Return the values of environment variables that hold secrets by their names."""
    return tuple(
        value
        for name, value in os.environ.items()
        if len(value) >= _MIN_OF_VARIABLE and _VARIABLE.search(name) and not _IS_PLACE.search(name)
    )
