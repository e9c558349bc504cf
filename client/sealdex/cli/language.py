"""Which languages whoever runs a command reads, by locale as gettext understands it. Pure; imports nothing.

A language has a file ``languages/TAG.json`` in the rooms of both command lines; English has none, it is in the source.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Mapping

ENGLISH = "en"
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides
VARIABLES = ("LANGUAGE", *_LOCALE)
_NONE = ("C", "POSIX")
_TRADITIONAL = ("tw", "hk", "mo")  # who reads these characters isn't helped by Simplified ones
_WINDOWS_CHINESE = 0x04
_WINDOWS_SIMPLIFIED = {0x0004: "zh_Hans", 0x0804: "zh_CN", 0x1004: "zh_SG"}


def languages(environ: Mapping[str, str], windows: int | None = None) -> list[str]:
    """Return tags such as ``zh``, the best one first; what isn't available is to be passed over.

    Args:
        environ: ``LANGUAGE`` is a list in order of preference, which counts unless the locale is ``C``; else the locale
            is ``LC_ALL``, ``LC_MESSAGES`` or ``LANG``.
        windows: the LANGID of the user's interface on Windows, which counts where none of these is set.
    """
    locale = next((environ[name] for name in _LOCALE if environ.get(name)), "")
    if locale.partition(".")[0] in _NONE:
        return [ENGLISH]
    asked = [each for each in (environ.get("LANGUAGE") or locale).split(":") if each]
    if not asked and windows is not None:
        is_chinese = windows & 0x3FF == _WINDOWS_CHINESE
        asked = [_WINDOWS_SIMPLIFIED.get(windows, "zh_Hant")] if is_chinese else []
    return [*dict.fromkeys(tag for each in asked for tag in _tags(each)), ENGLISH]


def _tags(locale: str) -> list[str]:
    """Return the tags that a locale such as ``zh_CN.UTF-8`` stands for, the nearest one first."""
    name = locale.partition(".")[0].partition("@")[0].replace("-", "_")
    if name in _NONE:
        return [ENGLISH]
    language, *more = name.lower().split("_")
    if language == "zh" and ("hant" in more or ("hans" not in more and any(each in _TRADITIONAL for each in more))):
        return ["zh-Hant"]
    return ["-".join([language, *more]), language]
