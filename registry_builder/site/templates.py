"""The templates and assets of the site: where they come from, their hashed names, and rendering.

`site_templates/` of this program has all of them; a file with the same path in the source tree's ``site/`` folder
replaces one, and further files in ``site/assets/`` are published too. Templates run in a sandbox: one that comes with a
pull request can lay out what a page shows, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from registry_builder.site._compiled_templates import CompiledTemplates
from registry_builder.site._languages import ENGLISH
from registry_builder.site._words import CATALOGUE_NAME, Words, words_of
from registry_builder.site.urls import address, is_translated, language_folder, link
from registry_builder.source.allowed_secrets import is_allowed, refusal
from registry_builder.source.config import SiteSection
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.secrets.scan import secrets_of_bytes
from registry_builder.source.text import without_mark
from sealdex.errors import ConfigError, SealdexError

OVERRIDES = "site"
IsStored = Callable[[str], bool]
LAYOUT = 4
"""Increased when this package lays pages out differently with the same templates, so that all are rewritten."""

ASSET_FOLDERS = ("assets", "vendor")
LANGUAGES = "languages"
_ASSET_ENDINGS = frozenset({".css", ".js", ".svg", ".png", ".webp", ".woff2", ".txt"})
_THEME = "theme.css"
_HASH_LENGTH = 12
MAX_OWN_BYTES = 16 * 1024 * 1024  # of one file in site/


@dataclass(frozen=True)
class Asset:
    """A file that pages load: its key in the published tree has a digest of its bytes."""

    name: str
    key: str
    data: bytes


class Templates:
    """All templates and assets of one registry's site.

    Args:
        tree: the source tree, whose ``site/`` folder overrides.
        section: ``[site]`` of registry.toml, for logo and colours.
        more: further assets by name.
        allow_secrets: patterns of files that may hold secrets.
        is_stored: returns whether an asset is already published under its key.

    Raises:
        ConfigError: a file of ``site/`` is refused; the logo that registry.toml names isn't in ``site/``.
    """

    def __init__(
        self,
        tree: Path,
        section: SiteSection,
        more: Mapping[str, bytes] | None = None,
        *,
        allow_secrets: Collection[str] = (),
        is_stored: IsStored = lambda _key: False,
    ) -> None:
        own = OwnFiles(tree, allow_secrets)
        languages = tuple(dict.fromkeys(section.languages))
        sources = {tag: message_files(own, tag) for tag in languages}
        self.words = {tag: words_of(tag, found) for tag, found in sources.items()}
        scripts = {f"words.{tag}.js": data for tag, words in self.words.items() if (data := words.script()) is not None}
        self.assets = _assets(own, section, {**scripts, **(more or {})}, is_stored)
        self.logo = section.logo
        self.fingerprint = _fingerprint(own, self.assets, sources)
        self._first = languages[0]
        self._environments = {tag: self._environment(own, words) for tag, words in self.words.items()}

    def _environment(self, own: OwnFiles, words: Words) -> _Sandbox:
        made = _Sandbox(
            loader=ChoiceLoader([_OwnLoader(own), FileSystemLoader(own_folder())]),
            autoescape=True,  # whatever the file's name
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
            bytecode_cache=CompiledTemplates(),
            extensions=["jinja2.ext.i18n"],
        )
        # newstyle: values are escaped, messages are not, so that what authors write never is markup
        made.install_gettext_callables(  # type: ignore[attr-defined]  # of the extension
            words.catalogue.gettext, words.catalogue.ngettext, newstyle=True
        )
        made.globals["has_asset"] = self.assets.__contains__
        made.globals["in_language"] = in_language
        made.globals["anchor"] = anchor
        made.globals["marked"] = marked
        made.globals["date"] = words.date
        return made

    def render(
        self,
        template: str,
        page: str,
        values: Mapping[str, Any],
        *,
        base: str | None = None,
        language: str | None = None,
    ) -> bytes:
        """Render ``template`` as the file ``page`` of the published tree.

        Templates have ``to(key)``, the link to another file of the tree, ``asset(name)``, ``date(timestamp)``,
        ``in_language(tag)``, ``anchor(text, address)`` and ``marked(tag, text)``, which are values of messages, and
        gettext's ``_()`` and ``ngettext()``. `to` leads to pages in the page's own language.

        Args:
            template: its name.
            page: the key that the result is stored under.
            values: what it shows.
            base: the path of the site, for a page that is served for any URL and so can't have relative links.
            language: of the page; the site's first by default.

        Raises:
            SealdexError: the template is wrong.
        """
        language = language or self._first
        prefix = "" if language == self._first else language_folder(language)

        def to(key: str) -> str:
            if prefix and is_translated(key):
                key = prefix + key
            return link(key, page=page) if base is None else base + address(key)

        def asset(name: str) -> str:
            return to(self._key_of(name))

        try:
            found = self._environments[language].get_template(template)
            return found.render(values, page=page, to=to, asset=asset, language=language).encode()
        except UnreadableError as error:
            raise SealdexError(str(error), subject=template) from error
        except TemplateError as error:
            place = f", line {line}" if (line := getattr(error, "lineno", None)) else ""
            raise SealdexError(
                f"the template {template} can't be rendered for {page}{place}: {error}",
                subject=template,
                hint=f"if {OVERRIDES}/{template} of the source tree overrides it, compare it with the original",
            ) from error

    def _key_of(self, name: str) -> str:
        if name not in self.assets:
            raise TemplateError(f"there is no asset {name}")
        return self.assets[name].key


def anchor(text: str, address: str | None) -> Markup:
    """Return a link as a value of a message; its text alone where there is no address."""
    return Markup('<a href="{}">{}</a>').format(address, text) if address else Markup.escape(text)


def marked(tag: str, text: str) -> Markup:
    """Return a text in an element, as a value of a message: ``marked("code", "stable")``."""
    return Markup("<{0}>{1}</{0}>").format(tag, text)


def in_language(tag: str) -> Markup:
    """Return the attributes of an element whose text is in another language than its page; none for an empty tag."""
    return Markup(' lang="{}" dir="auto"').format(tag) if tag else Markup("")


def is_asset(name: str) -> bool:
    """Return whether a file in a folder of assets is published, by its suffix."""
    return Path(name).suffix in _ASSET_ENDINGS


def is_template(name: str) -> bool:
    """Return whether a file in ``site/`` is a template, by its suffix."""
    return name.endswith(".j2")


class OwnFiles:
    """The files of a source tree's ``site/`` folder, opened by the gate.

    Args:
        tree: the source tree.
        allow_secrets: patterns of files that may hold secrets.
    """

    def __init__(self, tree: Path, allow_secrets: Collection[str] = ()) -> None:
        self._allowed = allow_secrets
        self._folder = tree / OVERRIDES
        self._gate = Gate(tree)
        self.is_there = self._gate.is_there(self._folder)

    def read(self, name: str) -> bytes | None:
        """Return a file of ``site/``; None if there is none.

        Raises:
            UnreadableError: it is refused; the text begins with its path.
        """
        path = self._folder / name
        if not self._gate.is_there(path):
            return None
        try:
            return self._gate.read(path, MAX_OWN_BYTES)
        except UnreadableError as error:
            raise UnreadableError(error.reason, f"{OVERRIDES}/{name}") from error

    def refuse_secrets(self, name: str, data: bytes) -> None:
        """Refuse a file that contains what may not be published.

        Raises:
            UnreadableError: it does; the text begins with its path.
        """
        path = f"{OVERRIDES}/{name}"
        found = secrets_of_bytes(path, data)
        if found and not is_allowed(self._allowed, path):
            raise UnreadableError(refusal(path, found[0]), path)

    def includable(self) -> list[str]:
        """Return the names of all files that a template may include, sorted: all in ``site/`` that aren't assets."""
        found, folders = [], [""]
        while folders:
            part = folders.pop()
            with suppress(UnreadableError):  # what can't be listed or opened can't be included either
                for each in self._gate.entries(self._folder / part, lambda _path, _why: None):
                    name = f"{part}/{each.name}".lstrip("/")
                    if not each.is_folder:
                        found.append(name)
                    elif name not in ASSET_FOLDERS:
                        folders.append(name)
        return sorted(found)

    def has(self, name: str) -> bool:
        """Return whether anything of this name is in ``site/``."""
        return self._gate.is_there(self._folder / name)

    def names(
        self, part: str, wanted: Callable[[str], bool], refused: Callable[[str, str], None] | None = None
    ) -> list[str]:
        """Return the names of files in a folder of ``site/``, sorted.

        Args:
            part: the folder; empty for ``site/`` itself.
            wanted: returns for a name whether the file counts.
            refused: called with path and reason of files that count but are refused.

        Raises:
            UnreadableError: the folder can't be listed, or a file is refused and ``refused`` isn't given.
        """
        folder = self._folder / part
        if not self._gate.is_there(folder):
            return []

        def refuse(path: str, why: str) -> None:
            name = self._gate.relative(path)
            if not wanted(name.rpartition("/")[2]):
                return
            if refused is None:
                raise UnreadableError(why, name)
            refused(name, why)

        try:
            found = self._gate.entries(folder, refuse)
        except UnreadableError as error:
            raise UnreadableError(error.reason, error.path or self._gate.relative(folder)) from error
        return [each.name for each in found if not each.is_folder and wanted(each.name)]


class _OwnLoader(BaseLoader):
    """Gives Jinja the source tree's templates: Jinja must not open files itself."""

    def __init__(self, own: OwnFiles) -> None:
        self._own = own

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, None]:  # noqa: ARG002
        """See `jinja2.BaseLoader.get_source`."""
        if template.startswith("/") or "\\" in template or ".." in template.split("/"):
            raise TemplateNotFound(template)
        data = self._own.read(template)
        if data is None:
            raise TemplateNotFound(template)
        self._own.refuse_secrets(template, data)
        try:
            return without_mark(data).decode(), None, None
        except UnicodeDecodeError as error:
            raise UnreadableError("is not in UTF-8", f"{OVERRIDES}/{template}") from error


class _Sandbox(ImmutableSandboxedEnvironment):
    """Caches which attributes of which types are safe: it depends on nothing else, and a site asks very often."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._safe: dict[tuple[type, str], bool] = {}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """See `SandboxedEnvironment.is_safe_attribute`."""
        asked = (type(obj), attr)
        if asked not in self._safe:
            self._safe[asked] = super().is_safe_attribute(obj, attr, value)
        return self._safe[asked]


def own_folder() -> Path:
    """Return the folder of this program's own templates."""
    # beside the package in a checkout, inside it when installed
    here = Path(__file__).resolve().parent.parent
    return next(f for f in (here / "site_templates", here.parent / "site_templates") if f.is_dir())


def _assets(own: OwnFiles, section: SiteSection, more: Mapping[str, bytes], is_stored: IsStored) -> dict[str, Asset]:
    found = dict(more)
    for part in ASSET_FOLDERS:
        for path in sorted((own_folder() / part).glob("*")):
            if path.is_file() and is_asset(path.name):
                found[path.name] = path.read_bytes()
    try:
        for part in ASSET_FOLDERS:  # the source tree's files last, so that they win
            for name in own.names(part, is_asset):
                found[name] = data = own.read(f"{part}/{name}") or b""
                if not is_stored_asset(name, data, is_stored):
                    own.refuse_secrets(f"{part}/{name}", data)
        if theme := _theme(section):
            found[_THEME] = theme
        if section.logo is not None:
            found[section.logo] = _logo(own, section.logo)
    except UnreadableError as error:
        raise ConfigError(str(error), subject=OVERRIDES) from error
    return {name: _asset_of(name, data) for name, data in sorted(found.items())}


def message_files(own: OwnFiles, language: str) -> list[tuple[str, bytes]]:
    """Return the files of messages of a language with their names: this program's, then the source tree's."""
    name = f"{LANGUAGES}/{language}/{CATALOGUE_NAME}"
    found = []
    if (built_in := own_folder() / name).is_file():
        found.append((f"site_templates/{name}", built_in.read_bytes()))
    try:
        if (data := own.read(name)) is not None:
            own.refuse_secrets(name, data)
            found.append((f"{OVERRIDES}/{name}", data))
    except UnreadableError as error:
        raise ConfigError(str(error), subject=f"{OVERRIDES}/{name}") from error
    return found


def has_words(language: str) -> bool:
    """Return whether this program itself has words in a language."""
    return language == ENGLISH or (own_folder() / LANGUAGES / language / CATALOGUE_NAME).is_file()


def _logo(own: OwnFiles, name: str) -> bytes:
    data = own.read(name)
    if data is None:
        raise ConfigError(
            f"site.logo is '{name}', but there is no file {OVERRIDES}/{name}",
            subject=f"{OVERRIDES}/{name}",
            hint="put the image there, or remove the line from registry.toml",
        )
    return data


def is_stored_asset(name: str, data: bytes, is_stored: IsStored) -> bool:
    """Return whether an asset is published already; the storage is asked only about suspected secrets."""
    return bool(secrets_of_bytes(name, data)) and is_stored(_asset_of(name, data).key)


def _asset_of(name: str, data: bytes) -> Asset:
    stem, dot, ending = name.partition(".")
    digest = hashlib.sha256(data).hexdigest()[:_HASH_LENGTH]
    return Asset(name, f"assets/{stem}.{digest}{dot}{ending}", data)


def _theme(section: SiteSection) -> bytes:
    rules = []
    if section.accent:
        rules.append(f":root {{ --accent: {section.accent}; }}\n")
    if section.accent_dark or section.accent:
        rules.append(
            "@media (prefers-color-scheme: dark) {\n"
            f"  :root {{ --accent: {section.accent_dark or section.accent}; }}\n"
            "}\n"
        )
    return "".join(rules).encode()


def _includable(own: OwnFiles) -> Iterator[tuple[str, bytes]]:
    """Yield what a template may include, with its bytes; what can't be read can't be included, except for templates."""
    for name in sorted({*own.names("", is_template), *own.includable()}):
        try:
            yield name, own.read(name) or b""
        except UnreadableError:  # noqa: PERF203  # each file by itself
            if is_template(name):
                raise


def _fingerprint(
    own: OwnFiles, assets: Mapping[str, Asset], catalogues: Mapping[str, Sequence[tuple[str, bytes]]]
) -> str:
    digest = hashlib.sha256(str(LAYOUT).encode())
    try:
        templates = dict(_includable(own))
    except UnreadableError as error:
        raise ConfigError(str(error), subject=OVERRIDES) from error
    built_in = {path.name: path.read_bytes() for path in sorted(own_folder().glob("*.j2"))}
    for number, files in enumerate([templates, built_in] if templates or own.is_there else [built_in]):
        for name, data in sorted(files.items()):
            digest.update(f"{number} {name} {len(data)}\n".encode() + data)
    for tag, found in catalogues.items():
        for name, data in found:
            digest.update(f"{tag} {name} {len(data)}\n".encode() + data)
    for asset in assets.values():
        digest.update(f"{asset.key}\n".encode())
    return digest.hexdigest()
