"""Taking out of a text what a terminal would obey instead of show."""

from __future__ import annotations

import re

# Whole escape sequences go first, so that "\\x1b[31m" doesn't leave "[31m" behind: CSI; the string sequences (OSC, DCS,
# SOS, PM, APC) up to their terminator or the end; and the two-character ones.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]"
)
# C0 and C1 controls and DEL; zero-width marks, which hide parts of a name; direction overrides, which reorder what is
# read; lone surrogates, which no stream can encode.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")


def without_controls(text: str) -> str:
    """Return the text on one line: sequences and controls removed, breaks and tabs turned into spaces."""
    return _CONTROLS.sub("", _BREAKS.sub(" ", _SEQUENCES.sub("", text)))
