"""Reads the dates in header fields of HTTP. Pure.

The form that RFC 9110 asks for is read here. The two obsolete ones, and what else there is, is left to ``email.utils``,
which reads all of them; importing it takes longer than all requests of an installation.
"""

from __future__ import annotations

from datetime import datetime, timezone

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SIGNS = {3: ",", 4: " ", 7: " ", 11: " ", 16: " ", 19: ":", 22: ":"}
_CHARS = 29


def http_date(text: str) -> datetime:
    """Return the time of a date such as ``Sun, 06 Nov 1994 08:49:37 GMT``; without a zone if it says none.

    Raises:
        ValueError: it isn't a date. Odd ones raise what ``email.utils.parsedate_to_datetime`` does: TypeError,
            IndexError or OverflowError.
    """
    digits = text[5:7] + text[12:16] + text[17:19] + text[20:22] + text[23:25]
    if (
        len(text) == _CHARS
        and text.endswith(" GMT")
        and text[:3] in _DAYS
        and text[8:11] in _MONTHS
        and digits.isascii()
        and digits.isdecimal()
        and text[12] != "0"  # whose century they guess
        and all(text[at] == sign for at, sign in _SIGNS.items())
    ):
        month = _MONTHS.index(text[8:11]) + 1
        clock = (int(text[17:19]), int(text[20:22]), int(text[23:25]))
        return datetime(int(text[12:16]), month, int(text[5:7]), *clock, tzinfo=timezone.utc)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # for servers that write other dates

    return parsedate_to_datetime(text)
