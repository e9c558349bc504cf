"""Dates in header fields mean what ``email.utils`` reads in them."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from sealdex.transport.http_date import http_date


def outcome(read: object, text: str) -> object:
    """Return the time, its zone, or the kind of error."""
    try:
        moment = read(text)  # type: ignore[operator]
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        return type(error)
    return moment, moment.tzinfo


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sat, 29 Feb 2028 23:59:59 GMT",
        "Mon, 06 Nov 1994 08:49:37 GMT",  # a Sunday; nobody asks
        "Sun, 30 Feb 2027 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 0050 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun; 06 Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "0",
        "",
    ],
)
def test_a_date_means_what_email_reads_in_it(text: str) -> None:
    assert outcome(http_date, text) == outcome(parsedate_to_datetime, text)
