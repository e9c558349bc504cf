"""The interface in other languages: nothing bypasses the messages, all are translated, and a folder adds a language."""

from __future__ import annotations

import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages import catalog, pofile
from support.places import REPOSITORY
from support.site_pages import Publish, dead_links, pages_of
from support.source_trees import Tree

from registry_builder.site._format import format_size
from registry_builder.site._words import ENGLISH_WORDS, language_name, words_of
from registry_builder.site.lint import site_problems
from sealdex.errors import ConfigError

PLACEHOLDER = re.compile(r"%\(\w+\)s|%%|\{\w+\}")
SHOWN = {"alt", "aria-label", "content", "data-copy", "data-label", "placeholder", "title"}
WITHIN = {"a", "code", "span", "wbr", "time"}
# names: of plugins, types, licenses, files, formats, channels, and of this program
NAMES = re.compile(
    r"\b(acme|plugins|published|public|team|slack|mail|base|chat|core|notify|service|stable|sealdex|toml|python|sbom|sha|"
    r"readme|mit|source|bin|root|targets|packages|catalog|snapshot|timestamp|application|json|tells|a channel|file|"
    r"verify.html|english|linux|amd64|cpu|integer|what|does|rc|ns|kb)\b",
    re.IGNORECASE,
)


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("messages_script", REPOSITORY / "scripts" / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wanted() -> catalog.Catalog:
    """All that the site says."""
    found: catalog.Catalog = script().template()
    assert len(found) > 300
    return found


@pytest.mark.parametrize("language", sorted(path.name for path in (REPOSITORY / "site_templates/languages").iterdir()))
def test_every_message_is_translated_with_its_values(wanted: catalog.Catalog, language: str) -> None:
    with (REPOSITORY / "site_templates/languages" / language / "messages.po").open("rb") as file:
        found = pofile.read_po(file, locale=language, abort_invalid=True)
    ids = {message.id for message in wanted if message.id}
    assert {message.id for message in found if message.id} == ids, "run scripts/messages.py"
    for message in found:
        if not message.id:
            continue
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        one, many = message.id if isinstance(message.id, tuple) else (message.id, message.id)
        values = {*PLACEHOLDER.findall(str(one)), *PLACEHOLDER.findall(str(many))}
        for form in forms:
            assert form, message.id
            assert set(PLACEHOLDER.findall(str(form))) == values, message.id


def test_a_new_message_has_as_many_forms_as_its_language_counts(tmp_path: Path) -> None:
    """Chinese has one: two of them, even empty ones, made a catalogue that can't be read."""
    made = catalog.Catalog(fuzzy=False)
    made.add(("%(n)s box", "%(n)s boxes"), locations=[("x.js", 0)])
    for language, forms in (("zh", 1), ("en", 2), ("ru", 3), ("ar", 6)):
        path = tmp_path / language / "messages.po"
        for _ in range(2):  # begun, and brought up to date
            script().update(path, made, language)
            assert path.read_text().count("msgstr[") == forms, language
            with path.open("rb") as file:
                assert len(pofile.read_po(file, locale=language, abort_invalid=True)) == 1


class _Shown(HTMLParser):
    """The texts of a page that people read, but code. A link within a sentence doesn't end it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._code = 0
        self._is_new = True
        self._sentence = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_new |= tag not in WITHIN
        self._code += tag in {"code", "pre", "kbd", "svg"}
        values = dict(attrs)
        if values.get("lang") == "en":
            return  # said to be in English: a badge
        technical = tag == "meta" and values.get("name", "") != "description"
        self.texts += [value or "" for name, value in attrs if name in SHOWN and not technical]

    def handle_endtag(self, tag: str) -> None:
        self._is_new |= tag not in WITHIN
        self._code -= tag in {"code", "pre", "kbd", "svg"}

    def handle_data(self, data: str) -> None:
        if self._code:
            return
        if self._is_new:
            self._sentence = len(self.texts)
            self.texts.append("")
        self._is_new = False
        self.texts[self._sentence] += data


def pseudo(tree: Tree, wanted: catalog.Catalog) -> None:
    """Add a language in which every message stands in brackets."""
    made = catalog.Catalog(locale="eo", fuzzy=False)
    for message in wanted:
        if isinstance(message.id, tuple):
            made.add(message.id, tuple(f"\u27e6{form}\u27e7" for form in message.id), locations=message.locations)
        elif message.id:
            made.add(message.id, f"\u27e6{message.id}\u27e7", locations=message.locations)
    folder = tree.root / "site/languages/eo"
    folder.mkdir(parents=True)
    with (folder / "messages.po").open("wb") as file:
        pofile.write_po(file, made)
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["en", "eo"]\n')


def test_nothing_that_people_read_bypasses_the_messages(
    tree: Tree, run: Publish, site: Path, wanted: catalog.Catalog
) -> None:
    """In a language that a folder of the tree adds, and that marks what went through the messages."""
    pseudo(tree, wanted)
    schema = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1, "default": 3}}}
    why = {"at": "2026-11-21T12:00:00Z", "by": "1", "why": "2"}
    tree.release(
        "acme/slack", "1.1.0", config_schema=schema, caveats="1", changelog="2", min_host_version="1.0.0",
        selector={"match_labels": {"os": "linux", "arch": "amd64"}}, dependencies={"acme/base": "^1.0"}, rollout=50,
    )  # fmt: skip
    tree.release("acme/slack", "1.2.0-rc.1", resources={"cpu": "1"})
    tree.status(
        "acme/slack",
        {"action": "evaluate", "version": "1.1.0", "metrics": {"1": 2}, **why},
        {"action": "yank", "version": "1.0.0", **why},
        {"action": "deprecate", "use": "team/mail", **why},
    )
    assert run().warnings == []
    pages = sorted((site / "site/eo").rglob("*.html"))
    assert len(pages) > 15
    assert dead_links(site) == []
    bypassed = []
    for path in pages:
        read = _Shown()
        read.feed(path.read_text())
        for text in read.texts:
            said = text
            while "\u27e6" in said:
                said, before = re.sub("\u27e6[^\u27e6\u27e7]*\u27e7", " ", said), said
                assert said != before, text
            if re.search(r"[A-Za-z]{2,}", NAMES.sub("", said)):
                bypassed.append((path.relative_to(site).as_posix(), text.strip()[:80]))
    assert bypassed == [], "\n".join(sorted({text for _, text in bypassed}))


def test_what_a_script_says_within_another_message_is_found_too(wanted: catalog.Catalog) -> None:
    """Babel passes over a call within the values of another one: it would be said in English."""
    read = {
        (Path(place).name, message.id if isinstance(message.id, str) else message.id[0])
        for message in wanted
        for place, _ in message.locations
    }
    said = re.compile(r'\bsay(?:Count)?\(\s*"((?:\\.|[^"\\])*)"')
    scripts = sorted((REPOSITORY / "site_templates/assets").glob("*.js"))
    code = {path.name: re.sub("^ *//.*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE) for path in scripts}
    found = {(name, text) for name, text_of in code.items() for text in said.findall(text_of)}
    assert len(found) > 80
    assert found - read == set()


def test_no_script_says_anything_that_bypasses_the_messages() -> None:
    literal = re.compile(
        r"""(?P<call>(?:say|sayCount)\(\s*)?(?P<quote>["'`])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)"""
    )
    found = []
    for path in sorted((REPOSITORY / "site_templates/assets").glob("*.js")):
        if path.name == "chain.js":
            continue  # reasons of the chain of trust, as in verify.html, which is the same file everywhere
        code = re.sub(r"(?m)^\s*//.*$|/\*.*?\*/|\s//\s.*$", "", path.read_text(), flags=re.DOTALL)
        code = re.sub(r"(?:say|sayCount)\((?:\s*\"(?:[^\"\\]|\\.)*\",?){1,2}", "", code)
        for match in literal.finditer(code):
            text = match["text"]
            if re.search(r"^[A-Z][a-z]+(?: |$|:)|^[a-z]+ [a-z]+ [a-z]+", text) and text not in {"Enter", "Esc"}:
                found.append((path.name, text))
    assert found == []


def test_no_script_shows_what_a_browser_says_or_writes_as_its_own_reader_would() -> None:
    """A browser's messages are English and its own language is its reader's, whatever the page's is."""
    said = re.compile(r"error\??\.message|String\(error\)")
    apart = re.compile(r"technical|(?:SaidError|UnreadError|unreached)\(")
    own = re.compile(r"toLocale\w*\(\s*\)|Intl\.\w+\(\s*(?:undefined|\[\])?\s*[,)]|toFixed\(|to(?:Date|Time)String\(")
    found = []
    for path in sorted((REPOSITORY / "site_templates/assets").glob("*.js")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if own.search(line) or (said.search(line) and not apart.search(line)):
                found.append(f"{path.name}:{number}: {line.strip()}")
    assert found == []


def test_feeds_and_numbers_are_in_the_first_language(tree: Tree, run: Publish, site: Path) -> None:
    tree.plugin("acme/slack", summary="Messages", summary_i18n={"zh": "\u6d88\u606f"})
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["zh", "en"]\n')
    assert run().warnings == []
    for key in ("feed.xml", "acme/slack/feed.xml", "namespaces/acme/feed.xml"):
        feed = (site / key).read_text()
        assert "\uff1a\u65b0\u7248\u672c</title>" in feed
        assert "<summary>\u6d88\u606f</summary>" in feed
    page = (site / "404.html").read_text()
    assert re.findall(r'<section lang="(\w+)" data-below="([^"]*)"', page) == [("zh", "/"), ("en", "/site/en/")]
    data = b'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Copy"\nmsgstr "Kopieren"\n'
    german = words_of("de", [("site/languages/de/messages.po", data)])
    assert german.count("%(n)s byte", "%(n)s bytes", 1234) == "1.234 bytes"
    assert format_size(4_200_000, german) == "4,2 MB"


def test_pages_in_each_language_lead_to_each_other_and_stay_in_it(tree: Tree, run: Publish, site: Path) -> None:
    tree.plugin(
        "acme/slack", readme="# slack\n", summary="Messages", summary_i18n={"zh": "\u6d88\u606f"}, keywords=["chat"]
    )
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["en", "zh"]\n')
    assert run().warnings == []
    english, chinese = ((site / place / "acme/slack/index.html").read_text() for place in ("", "site/zh"))
    assert '<html lang="en">' in english
    assert '<html lang="zh">' in chinese
    assert '<p class="lead">\u6d88\u606f</p>' in chinese  # of the page's own language, so not marked
    assert '<p class="lead">Messages</p>' in english
    assert 'hreflang="zh" lang="zh">\u4e2d\u6587</a>' in english
    assert (
        '<link rel="alternate" hreflang' not in english
    )  # whole addresses alone count, and the site doesn't know its own
    assert "2026\u5e7411\u670821\u65e5" in chinese
    assert 'href="../../../../site/zh/types/notify/"' in chinese
    assert re.search(r'src="\.\./\.\./\.\./\.\./assets/words\.[0-9a-f]+\.zh\.js"', chinese)
    assert "words.zh" not in english
    assert dead_links(site) == []
    assert set(pages_of(site)) >= {"site/zh/index.html", "site/zh/search.html", "site/zh/docs/compare/index.html"}
    assert not (site / "site/zh/acme/slack/version.svg").exists()
    tree.release("acme/slack", "1.1.0")
    one = run("acme/slack")
    assert one.requests["PUT"] == 12  # further languages wait for a publish of all
    assert not [key for key in one.pages if key.startswith("site/")]
    assert "site/zh/acme/slack/1.1.0/index.html" in run().pages


def test_a_site_that_knows_its_address_tells_search_engines_of_translations(
    tree: Tree, run: Publish, site: Path
) -> None:
    tree.plugin("acme/slack")
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["en", "zh"]\n')
    old = (tree.root / "registry.toml").read_text()
    new = old.replace("[realms.public]", '[realms.public]\nurl = "https://plugins.example/a/"')
    (tree.root / "registry.toml").write_text(new)
    assert run().warnings == []
    for place in ("", "site/zh/"):
        said = (site / place / "acme/slack/index.html").read_text()
        assert f'<link rel="canonical" href="https://plugins.example/a/{place}acme/slack/">' in said
        for tag, other in (("en", ""), ("zh", "site/zh/")):
            address = f"https://plugins.example/a/{other}acme/slack/"
            assert f'<link rel="alternate" hreflang="{tag}" href="{address}">' in said


def test_a_language_without_words_is_refused_with_what_to_write(tree: Tree, run: Publish) -> None:
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["en", "fr"]\n')
    result = run()
    assert result.committed
    assert len(result.warnings) == 1
    assert "no words in the language 'fr'" in result.warnings[0]
    found = [problem for problem in site_problems(tree.load()) if problem.where == "site.languages"]
    assert ["site/languages/fr/messages.po" in problem.message for problem in found] == [True]


def test_attack_a_file_of_messages_brings_no_code_into_scripts() -> None:
    # Attack: who may change messages, but no script, puts code into the expression of plurals and into messages.
    start = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    head = start + '"Plural-Forms: nplurals=2; plural={};\\n"\n\n'
    message = '#: x.js\nmsgid "Copy"\nmsgstr "</script>\\"};alert(1);({{\\""\n'
    for expression in ("alert(1)", "n;alert(1)", "(n != 1)", "constructor"):
        data = (head.format(expression) + message.replace("{{", "{")).encode()
        try:
            made = words_of("eo", [("site/languages/eo/messages.po", data)]).script()
        except ConfigError:
            continue
        assert made is not None
        outside = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", made)
        assert b"alert" not in outside
        assert b"constructor" not in outside


@pytest.mark.parametrize(
    ("said", "why"), [("%(m)s", "no value %(m)s"), ("100 % %(n)s", "written %%"), ("{n}", "no value {n}")]
)
def test_a_translation_that_could_not_be_said_is_refused(said: str, why: str) -> None:
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    with pytest.raises(ConfigError) as caught:
        words_of("zh", [("site/x.po", f'{head}msgid "Page %(n)s"\nmsgstr "{said}"\n'.encode())])
    assert why in caught.value.message


def test_a_file_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"site/x\.po is not a valid file of messages"):
        words_of("eo", [("site/x.po", b'msgid "a"\nmsgstr "\xff"\n')])


def test_a_language_that_babel_does_not_know_has_words_too() -> None:
    data = b'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Copy"\nmsgstr "Kopi"\n'
    made = words_of("xx", [("site/languages/xx/messages.po", data)])
    assert made.say("Copy") == "Kopi"
    assert made.count("%(n)s plugin", "%(n)s plugins", 2) == "2 plugins"


def test_words_of_english_are_the_messages_themselves() -> None:
    assert ENGLISH_WORDS.script() is None
    assert ENGLISH_WORDS.count("%(n)s plugin", "%(n)s plugins", 1234) == "1,234 plugins"
    assert ENGLISH_WORDS.date("2026-11-21T12:00:00Z") == "21 November 2026"
    assert ENGLISH_WORDS.date("2026-99-21T12:00:00Z") == "2026-99-21"
    assert [language_name(tag) for tag in ("en", "zh", "pt-BR", "xx")][:2] == ["English", "\u4e2d\u6587"]
