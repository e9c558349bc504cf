r"""Names of one realm's plugins in what another realm publishes: in texts, fields, READMEs, attachments and the site.

A *name* is what only a reader of the realm can know, and what no ordinary word is:

- ``namespace/name`` of a plugin, in any case of letters, also with ``\`` or ``%2F`` between the parts, as a part of a
  path or an address (``plugins/namespace/name/1.0.0/``), or with a version or file ending behind it;
- ``namespace/*``, where all plugins of the namespace are in that realm;
- where that realm is published or read: its bucket, its ``url``.

A namespace or a name alone is not: ``engine`` is a word. Names of the public realm, and of plugins that were in it
once, are known to everybody. ``allow_names`` of ``[policy]`` lists names that others may mention.

Findings never repeat the name: they are shown where the public plugin's readers can see them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from registry_builder.source.attachments import attachment_path
from registry_builder.source.config import CONFIG_NAME, RegistryConfig
from registry_builder.source.readme_file import read_readme
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.tree import Problem, Severity, SourcePlugin, SourceTree
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.model.plugin import StatusEvent

PUBLIC_REALM = "public"
MESSAGE = (
    "names a plugin of another realm, which readers of this one may not know: leave it out, move the plugin, or list "
    "the name in allow_names of [policy] in registry.toml"
)
_PART = r"[A-Za-z0-9._-]+"
_BETWEEN = r"(?:/|\\{1,2})"
_ESCAPED = re.compile("%(?:2f|5c)", re.IGNORECASE)
_RUN = re.compile(rf"(?<![A-Za-z0-9._-]){_PART}(?:{_BETWEEN}(?:{_PART}|\*))+")
_SPLIT = re.compile(_BETWEEN)
_ENDING = re.compile(
    r"(?:-v?[0-9]+(?:\.[0-9]+)+.*)?(?:\.(?:json|ya?ml|md|zip|tar|gz|tgz|zst|html?|svg|atom|xml|txt|git|bundle))*$"
)
_MAX_TEXT = 4 * 1024 * 1024
_SKIPPED = frozenset({"format", "realm", "$schema", "sha256", "from_realm", "to_realm", "versions"})


class Text(NamedTuple):
    """A text that is published: its file, the field or nothing, and whether it is published as it is."""

    file: str
    where: str
    text: str
    is_published: bool


class PrivateNames:
    """Tells which names in a text are those of plugins that readers of a realm may not know.

    Args:
        tree: the source tree; of a part of one, what a text mentions is looked up when it is needed.
    """

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._allowed = {name.lower() for name in tree.config.policy.allow_names}
        self._known: dict[PluginId, str | None] = {}
        self._namespaces: dict[str, set[str]] = {}
        self._places: dict[str, list[str]] = {}
        for plugin, source in tree.plugins.items():
            self._namespaces.setdefault(plugin.namespace, set()).add(source.plugin.realm)
        self.any = len(tree.config.realms) > 1 or any(
            source.plugin.realm not in tree.config.realms for source in tree.plugins.values()
        )

    def lines(self, text: str, realm: str) -> list[int]:
        """Return the lines, counted from 1, in which ``text`` has a name that readers of ``realm`` may not know."""
        if "%" in text:
            text = _ESCAPED.sub("/", text)
        if realm not in self._places:
            self._places[realm] = places_of(self._tree.config, realm)
        return sorted({text.count("\n", 0, at) + 1 for at in self._found(text, realm)})

    def is_foreign(self, plugin: PluginId, realm: str) -> bool:
        """Return whether readers of ``realm`` may not know that a plugin exists."""
        its = self._realm_of(plugin)
        return its is not None and its not in {realm, PUBLIC_REALM} and str(plugin) not in self._allowed

    def _found(self, text: str, realm: str) -> Iterator[int]:
        runs = _RUN.finditer(text) if "/" in text or "\\" in text else ()
        for match in runs:
            parts = [part.strip("._-").lower() for part in _SPLIT.split(match[0])]
            if any(self._is_name(namespace, name, realm) for namespace, name in pairwise(parts)):
                yield match.start()
        lower = text.lower()
        for place in self._places[realm]:
            at = lower.find(place)
            while at >= 0:
                if not lower[at + len(place) : at + len(place) + 1].isalnum():
                    yield at
                at = lower.find(place, at + 1)

    def _is_name(self, namespace: str, name: str, realm: str) -> bool:
        if name == "*":
            realms = self._namespaces.get(namespace, set())
            return bool(realms) and self._tree.complete and not realms & {realm, PUBLIC_REALM}
        plugin = PluginId(namespace, name)
        if self._realm_of(plugin) is not None:
            return self.is_foreign(plugin, realm)
        bare = _ENDING.sub("", name)
        return bare != name and bool(bare) and self.is_foreign(PluginId(namespace, bare), realm)

    def _realm_of(self, plugin: PluginId) -> str | None:
        source = self._tree.plugins.get(plugin)
        if source is None and not self._tree.complete and plugin not in self._known:
            self._known[plugin] = None
            if (self._tree.root / "plugins" / plugin.namespace / plugin.name).is_dir():
                from registry_builder.source.load import load_tree  # noqa: PLC0415  # load imports much of YAML

                found = load_tree(self._tree.root, only=[plugin]).plugins.get(plugin)
                self._known[plugin] = _hidden_in(found) if found is not None else None
        return _hidden_in(source) if source is not None else self._known.get(plugin)


def _hidden_in(source: SourcePlugin) -> str:
    """Return the realm whose readers alone know a plugin: the public one where it ever was there."""
    was_public = any(event.action == "move" and event.from_realm == PUBLIC_REALM for event in source.status.events)
    return PUBLIC_REALM if was_public else source.plugin.realm


def places_of(config: RegistryConfig, realm: str) -> list[str]:
    """Return how texts would name where other realms than ``realm`` and the public one are published and read."""
    own = _place_of(config.realms[realm].url) if realm in config.realms else ""
    found: set[str] = set()
    for name, section in config.realms.items():
        if name in {realm, PUBLIC_REALM}:
            continue
        if (place := _place_of(section.url)) and not own.startswith(place):
            found.add(place)
        if section.storage.startswith("s3://"):
            found.add(section.storage.partition("?")[0].rstrip("/").lower())
    return sorted(found)


def _place_of(url: str | None) -> str:
    if not url:
        return ""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}".rstrip("/").lower()


# --- what a plugin publishes -----------------------------------------------------------------------------------------


def name_problems(
    source: SourcePlugin, document: IndexDocument | None, names: PrivateNames, *, dependencies: bool = True
) -> Iterator[Problem]:
    """Yield where a plugin names plugins of other realms: errors in what isn't published yet, else warnings.

    Args:
        source: the plugin.
        document: its published index document.
        names: what is a name.
        dependencies: whether ``dependencies`` count, which `lint` reports by itself.
    """
    if not names.any:
        return
    seen: set[tuple[str, str]] = set()
    realm = source.plugin.realm
    for text in _texts(source, document, lambda value: _may_name(value, names, realm)):
        if text.where == "dependencies" and not dependencies:
            continue
        lines = names.lines(text.text, realm)
        if lines and (text.file, text.where) not in seen:
            seen.add((text.file, text.where))
            severity: Severity = "warning" if text.is_published else "error"
            where = text.where or f"line {lines[0]}"
            yield Problem(text.file, where, MESSAGE, severity)


def _may_name(value: Struct, names: PrivateNames, realm: str) -> bool:
    """Return False where no text of a document names anything: most don't, and one look at its JSON tells."""
    text = encode_json(value).decode()
    return "\\" in text or bool(names.lines(text, realm))  # an escape may stand before a name, or inside it


def _texts(source: SourcePlugin, document: IndexDocument | None, is_wanted: Callable[[Struct], bool]) -> Iterator[Text]:
    """Yield every text that publishing a plugin makes known, of those documents that are wanted."""
    folder = f"plugins/{source.id}"
    about = msgspec.to_builtins(source.plugin) if is_wanted(source.plugin) else {}
    for name, value in about.items():
        if name not in _SKIPPED:
            was = document is not None and getattr(document, name, None) == getattr(source.plugin, name)
            yield from (Text(f"{folder}/plugin.yaml", where, text, was) for where, text in _strings(value, name))
    there = {entry.version for entry in document.releases} if document is not None else set()
    for version, release in source.releases.items():
        if not is_wanted(release):
            continue
        for where, text in _strings(msgspec.to_builtins(release), ""):
            yield Text(source.files[version], where, text, version in there)
    told = _told(document)
    for number, event in enumerate(source.status.events):
        if event.action == "move":
            continue  # shown to nobody who doesn't know the plugin
        file, _ = source.event_place(number, "")
        was = (event.at, event.by) in told
        for where, text in _strings(msgspec.to_builtins(event), ""):
            yield Text(file, where, text, was)
        yield from _attached(source, event, is_published=was)
    try:
        readme = read_readme(source)
    except UnreadableError:
        return  # reported elsewhere
    for language in source.readme_i18n:
        with suppress(UnreadableError):  # reported elsewhere
            if (translated := read_readme(source, language)) is not None:
                pin = document.readme_i18n.get(language) if document is not None else None
                text = translated.plain.decode(errors="replace")
                yield Text(f"{folder}/README.{language}.md", "", text, pin == translated.pin())
    if readme is not None:
        was = document is not None and document.readme is not None and readme.pin(document.readme) == document.readme
        yield Text(f"{folder}/README.md", "", readme.plain.decode(errors="replace"), was)


def _attached(source: SourcePlugin, event: StatusEvent, *, is_published: bool) -> Iterator[Text]:
    if event.name is None or event.version is None or event.url is not None:
        return
    path = attachment_path(source.folder, event.version, event.name)
    try:
        data = Gate(source.root).read(path, _MAX_TEXT)
    except UnreadableError:
        return  # missing is reported elsewhere, and what is larger isn't text
    if b"\0" not in data[:8000]:
        file = path.relative_to(source.root).as_posix() if path.is_relative_to(source.root) else event.name
        yield Text(file, "", data.decode(errors="replace"), is_published)


def _told(document: IndexDocument | None) -> set[tuple[str, str]]:
    if document is None:
        return set()
    marks = [document.deprecated, *(entry.yanked for entry in document.releases)]
    found = {(mark.at, mark.by) for mark in marks if mark is not None}
    found |= {(each.at, each.by) for each in document.taken_back}
    return found | {(each.at, each.by) for entry in document.releases for each in entry.evaluations}


def _strings(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield (field, text) for each text in a value; keys count as texts, and stand in no field's name."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if where:
                yield where, str(key)
            if key not in _SKIPPED:
                yield from _strings(each, where or str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each, where)


# --- what all realms publish -----------------------------------------------------------------------------------------


def shared_problems(tree: SourceTree, names: PrivateNames, realms: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Yield where registry.toml and site/, which every realm's pages show, name plugins of one realm.

    Args:
        tree: a complete source tree.
        names: what is a name.
        realms: the realms whose pages are made; all by default.
    """
    chosen = realms or tuple(tree.config.realms)
    if not names.any:
        return
    config = tree.config
    shown = {
        "registry": (config.registry.title, config.registry.description),
        "site": (config.site.title, config.site.description, *config.site.links, *config.site.links.values()),
    }
    for where, texts in shown.items():
        if any(names.lines(text, realm) for text in texts if text for realm in chosen):
            yield Problem(CONFIG_NAME, where, MESSAGE)
    for number, (namespace, section) in enumerate(config.namespaces.items()):
        if section.realm in chosen and names.lines(f"{namespace}/*", section.realm):
            yield Problem(
                CONFIG_NAME,
                f"namespaces[{number}].realm",
                f"is '{section.realm}', but no plugin of that namespace is for its readers, and its targets metadata "
                "names it: claim it in the realm of its plugins",
            )
    for file, text in _site_texts(tree):
        for realm in chosen:
            if lines := names.lines(text, realm):
                yield Problem(file, f"line {lines[0]}", MESSAGE)
                break


def _site_texts(tree: SourceTree) -> Iterator[tuple[str, str]]:
    folder = tree.root / "site"
    gate = Gate(tree.root)
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        try:
            data = gate.read(path, _MAX_TEXT)
        except UnreadableError:
            continue  # `registry_builder.site.lint` reports it
        if b"\0" not in data[:8000]:
            yield path.relative_to(tree.root).as_posix(), data.decode(errors="replace")


__all__ = ["MESSAGE", "PrivateNames", "name_problems", "places_of", "shared_problems"]
