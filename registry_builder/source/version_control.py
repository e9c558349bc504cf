"""Which names are, on some file system, those of a version control's own files. Pure."""

from __future__ import annotations

import re
import unicodedata

# These contain URLs with passwords, and on a runner the token that fetched the checkout.
_VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".bzr", ".jj"})
_SHORT_NAME = re.compile(r"(git|hg|svn)~[0-9]+")  # their short names on Windows


def is_version_control(name: str) -> bool:
    """Return whether some file system treats a name as ``.git`` or the like.

    Windows ignores case and final dots and spaces; macOS ignores invisible characters.
    """
    if "git" not in name.casefold() and name[:1] != "." and "~" not in name and name.isascii():
        return False  # nearly all names
    seen = "".join(char for char in name if unicodedata.category(char) != "Cf").partition(":")[0]
    plain = seen.rstrip(" .").casefold()
    return plain in _VERSION_CONTROL or _SHORT_NAME.fullmatch(plain) is not None


__all__ = ["is_version_control"]
