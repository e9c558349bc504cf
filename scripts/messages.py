"""Brings the messages in other languages up to date: of the browse site, and of both command lines. `make messages`.

    .venv/bin/python scripts/messages.py            update site_templates/languages/*/messages.po, and those that
                                                    scripts/command_messages.py names, with what programs read
    .venv/bin/python scripts/messages.py TAG        the same, and begin a language

New messages are empty, gone ones are dropped. `tests/builder/site/test_site_words.py` and
`tests/client/cli/test_messages.py` fail until all are translated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages import catalog, extract, pofile

sys.path.insert(0, str(Path(__file__).resolve().parent))

import command_messages  # beside this script

HERE = Path(__file__).resolve().parent.parent
LANGUAGES = HERE / "site_templates" / "languages"
_KEYWORDS = {
    "say": None,
    "count": (1, 2),
    "N_": None,
    "sayCount": (1, 2),
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "refuse": (2,),  # chain.js: a link of the chain, and why
}
_SOURCES = (
    ("registry_builder/site/*.py", "python", {}),
    ("site_templates/*.j2", "jinja2", {"trim_blocks": "true", "lstrip_blocks": "true", "encoding": "utf-8"}),
    ("site_templates/assets/*.js", "javascript", {"parse_template_string": "true"}),
)


def messages() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Yield (file, message) for everything that the site says, in the order of files and lines."""
    for pattern, method, options in _SOURCES:
        for path in sorted(HERE.glob(pattern)):
            with path.open("rb") as file:
                for _, message, *_ in extract.extract(method, file, keywords=_KEYWORDS, options=options):
                    yield path.relative_to(HERE).as_posix(), message


def template() -> catalog.Catalog:
    """Return a catalog of all messages, without translations; places are files alone, so that it seldom changes."""
    made = catalog.Catalog(project="sealdex-builder", fuzzy=False)
    for file, message in messages():
        made.add(message, locations=[(file, 0)])
    return made


def read(path: Path, language: str) -> catalog.Catalog:
    """Return the catalog of a file."""
    with path.open("rb") as file:
        return pofile.read_po(file, locale=language.replace("-", "_"))


def update(path: Path, wanted: catalog.Catalog, language: str) -> catalog.Catalog:
    """Write a language's file, with the translations that it has, and return it."""
    made = catalog.Catalog(locale=language.replace("-", "_"), project=wanted.project, fuzzy=False)
    known = read(path, language) if path.is_file() else made
    for message in wanted:
        if message.id:
            old = known.get(message.id)
            string = old.string if old is not None and not old.fuzzy else None
            files = sorted({(file, 0) for file, _ in message.locations})
            made.add(message.id, string or None, locations=files, flags=message.flags)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'msgid ""\nmsgstr ""\n"Language: {language.replace("-", "_")}\\n"\n']
    lines.append(f'"Content-Type: text/plain; charset=utf-8\\n"\n"Plural-Forms: {made.plural_forms}\\n"\n')
    lines += [_entry(message, made.num_plurals) for message in made if message.id]
    path.write_text("".join(lines), encoding="utf-8")
    return made


def missing(found: catalog.Catalog) -> int:
    """Return how many messages of a catalog aren't translated."""
    return sum(
        1
        for message in found
        if message.id and (not message.string or (isinstance(message.string, tuple) and not all(message.string)))
    )


def _entry(message: catalog.Message, plurals: int) -> str:
    def line(name: str, text: str) -> str:
        return f"{name} {pofile.normalize(text, width=110)}\n"

    places = "\n" + "".join(f"#: {file}\n" for file, _ in message.locations)
    flags = places + (f"#, {', '.join(sorted(message.flags))}\n" if message.flags else "")
    if isinstance(message.id, tuple):
        forms = message.string if isinstance(message.string, tuple) else (message.string or "",)
        padded = (*forms, *[""] * plurals)[:plurals]  # a message without a translation comes with two
        head = flags + line("msgid", message.id[0]) + line("msgid_plural", message.id[1])
        return head + "".join(line(f"msgstr[{number}]", form or "") for number, form in enumerate(padded))
    return flags + line("msgid", message.id) + line("msgstr", str(message.string or ""))


def main() -> None:
    """Update every language."""
    for language in sorted({*(path.name for path in LANGUAGES.glob("*") if path.is_dir()), *sys.argv[1:]}):
        found = update(LANGUAGES / language / "messages.po", template(), language)
        print(f"pages, {language}: {missing(found)} messages to translate")
    for program in command_messages.ROOMS:
        wanted = command_messages.template(program)
        for language in sorted({*command_messages.languages(program), *sys.argv[1:]}):
            path = command_messages.place(program, language)
            found = update(path, wanted, language)
            path.with_suffix(".json").write_text(command_messages.written(found), encoding="utf-8")
            print(f"{program}, {language}: {missing(found)} messages to translate")


if __name__ == "__main__":
    main()
