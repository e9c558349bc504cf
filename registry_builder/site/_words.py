"""The words of the interface in one language: gettext messages, and dates and numbers as its readers write them.

They are in ``languages/<tag>/messages.po`` beside the templates, and in the source tree's ``site/``, whose messages
win and which may add a language. Babel reads them; English needs none, since the messages themselves are English.
"""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from registry_builder.site._languages import ENGLISH
from sealdex.errors import ConfigError
from sealdex.model.decode import encode_json

CATALOGUE_NAME = "messages.po"


def N_(message: str) -> str:  # noqa: N802  # gettext's own name for it
    """Mark a message that is translated where it is used."""
    return message


_MONTHS = (
    N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June"), N_("July"), N_("August"),
    N_("September"), N_("October"), N_("November"), N_("December"),
)  # fmt: skip
Message = str | Sequence[Any]  # with its forms, where it counts
_VALUE = re.compile(r"%\(\w+\)s|%%|\{\w+\}")
_PLURAL = re.compile(r"[n0-9%=!<>&|?:() +-]+")


class Words:
    """What the interface says in one language.

    Args:
        language: its tag.
        catalogue: its messages.
        scripts: the messages of scripts: message, or both forms of one that counts, to its translations.
        plural: how a script finds the form for a number ``n``, as an expression of C.
    """

    def __init__(
        self,
        language: str,
        catalogue: gettext.NullTranslations,
        scripts: Mapping[str, Sequence[str]] | None = None,
        plural: str = "(n != 1)",
    ) -> None:
        self.language = language
        self.catalogue = catalogue
        self._scripts = dict(scripts or {})
        self._plural = plural
        self._locale = _known_locale(language) if language != ENGLISH else ENGLISH

    def say(self, message: str, **values: Any) -> str:
        """Return a message with its values: ``say("Page %(number)s", number=3)``."""
        said = self.catalogue.gettext(message)
        return said % values if values else said

    def count(self, one: str, many: str, n: int, **values: Any) -> str:
        """Return a message that counts: ``count("%(n)s release", "%(n)s releases", 3)``."""
        return self.catalogue.ngettext(one, many, n) % {"n": self.number(n), **values}

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number as readers write it, with so many digits behind the point: ``1,234``, ``4.2``."""
        if self.language == ENGLISH:
            return f"{value:,.{digits}f}"
        from babel.numbers import format_decimal  # noqa: PLC0415  # only registries with a second language

        return format_decimal(value, "#,##0" + ("." + "0" * digits if digits else ""), locale=self._locale or ENGLISH)

    def date(self, timestamp: str | None) -> str:
        """``21 November 2026`` of ``2026-11-21T12:00:00Z``; empty if there is none."""
        if not timestamp:
            return ""
        year, month, day = timestamp[:10].split("-")
        if not 1 <= int(month) <= 12:
            return timestamp[:10]
        name = self.say(_MONTHS[int(month) - 1])
        return self.say("%(day)s %(month)s %(year)s", day=int(day), month=name, year=year)

    def script(self) -> bytes | None:
        """Return the script with which scripts find their messages; None where they are English."""
        if self.language == ENGLISH:
            return None
        return (
            b"globalThis.sealdexWords = {language: "
            + encode_json(self.language)
            + b", messages: "
            + encode_json(self._scripts)
            + f", form: (n) => Number({self._plural})}};\n".encode()
        )


ENGLISH_WORDS = Words(ENGLISH, gettext.NullTranslations())


def words_of(language: str, sources: Sequence[tuple[str, bytes]]) -> Words:
    """Return the words of a language.

    Args:
        language: its tag.
        sources: files of messages with the names of their files; of two with one message the later one counts.

    Raises:
        ConfigError: there is none, or one can't be read.
    """
    if not sources and language == ENGLISH:
        return ENGLISH_WORDS
    if not sources:
        raise ConfigError(
            f"the site has no words in the language '{language}'",
            subject="registry.toml",
            untouched="nothing was written",
            hint=f"write site/languages/{language}/{CATALOGUE_NAME}, or remove it from site.languages",
        )
    from babel.messages import catalog, mofile, pofile  # noqa: PLC0415  # only registries with a second language

    locale = _known_locale(language)  # which has the forms of plurals too: a file's own expression isn't used
    whole = catalog.Catalog(locale=locale, fuzzy=False)
    scripts: dict[str, Sequence[str]] = {}
    for name, data in sources:
        try:
            read = pofile.read_po(io.BytesIO(data), locale=locale, abort_invalid=True)
        except Exception as error:  # of Babel: PoFileError, UnicodeError, ValueError, UnknownLocaleError
            raise ConfigError(
                f"{name} is not a valid file of messages: {error}", subject=name, untouched="nothing was written"
            ) from error
        for message in read:
            if not message.id or message.fuzzy or not message.string:
                continue
            if problem := _value_problem(message.id, message.string):
                raise ConfigError(
                    f"{name}, line {message.lineno}: {problem}",
                    subject=name,
                    untouched="nothing was written",
                    hint="keep the names in %(...)s and {...} as they are in the message",
                )
            whole.add(message.id, message.string, context=message.context)
            if any(place.endswith(".js") for place, _ in message.locations):
                key = message.id if isinstance(message.id, str) else message.id[0]
                scripts[key] = [message.string] if isinstance(message.string, str) else list(message.string)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, whole)
    compiled.seek(0)
    plural = whole.plural_expr
    if not _PLURAL.fullmatch(plural):  # Babel checked it; it becomes part of a script
        plural = "0"
    return Words(language, gettext.GNUTranslations(compiled), scripts, plural)


def _value_problem(message: Message, said: Message) -> str | None:
    """Return which value a translation has that its message lacks; it would fail where it is said."""
    known = {value for form in _forms(message) for value in _VALUE.findall(form)}
    for form in _forms(said):
        if strange := set(_VALUE.findall(form)) - known:
            return f"the message has no value {min(strange)}"
        if known and "%" in _VALUE.sub("", form) and any(value.startswith("%") for value in known):
            return "a percent sign alone must be written %%"
    return None


def _forms(text: Message) -> Sequence[str]:
    return [text] if isinstance(text, str) else list(map(str, text))


def _known_locale(language: str) -> str | None:
    """Return a tag as Babel writes it; None for a language that it doesn't know: its plurals are then as in English."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415  # only registries with a second language

    try:
        return str(Locale.parse(language, sep="-"))
    except (UnknownLocaleError, ValueError):
        return None


def language_name(tag: str) -> str:
    """Return the name that speakers of a language have for it: ``English``, ``中文``; its tag if there is none."""
    if tag == ENGLISH:
        return "English"
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415  # only registries with a second language

    try:
        return Locale.parse(tag, sep="-").get_display_name(tag.replace("-", "_")) or tag
    except (UnknownLocaleError, ValueError):
        return tag


__all__ = ["CATALOGUE_NAME", "ENGLISH_WORDS", "N_", "Words", "language_name", "words_of"]
