"""The path of each page in the published tree, and the relative links between pages. Pure.

    index.html  search.html  404.html  feed.xml  robots.txt  sitemap.xml  sitemap/<shard>.xml
    api/v1/  api/services/  api/models/                plain JSON for programs, by `static_api`
    api/stats.json                                     downloads, by `sealdex-builder stats`; pages read it
    assets/images/                                     images of READMEs that the source tree keeps
    search/images.json                                 which plugins have any, for the next publish
    search/catalogue.json                              the catalog's shards, and which snapshot the pages show
    verify/  docs/                                     how to verify the registry; the JSON documents
    docs/compare/                                      two releases of a plugin, compared by script
    docs/namespaces.json  docs/keywords.json           all names of an index, with counts and where its pages begin
    site/<language>/...                                the same pages in further languages
    namespaces/  keywords/                             indexes; namespaces/<namespace>/feed.xml
    types/<type>/  keywords/<keyword>/  <namespace>/   lists, each page with an index.json beside it
    <list>/from/...                                    further pages of a list
    <namespace>/<name>/                                plugin: index.html feed.xml version.svg platforms.svg
    <namespace>/<name>/<version>/                      release

Links are relative, so that the site works under any prefix, on a mirror and from another host.
"""

from __future__ import annotations

from typing import Literal, NamedTuple
from urllib.parse import quote

from sealdex.model.ids import PluginId

HOME = "index.html"
SEARCH = "search.html"
NOT_FOUND = "404.html"
FEED = "feed.xml"
ROBOTS = "robots.txt"
SITEMAP = "sitemap.xml"
CATALOGUE = "search/catalogue.json"
IMAGES = "search/images.json"
VERIFY = "verify/index.html"
DOCUMENTS = "docs/index.html"
ANSWERS = ("api/v1/", "api/services/", "api/models/", "api/rewrites/")

COMPARE = "docs/compare/index.html"
OFFLINE_VERIFIER = "verify/verify.html"
"""The page that verifies, in one file to be saved: the same for all registries."""

_INDEX = "index.html"
_NOT_PAGES = ("plugins/", "targets/", "metadata/")  # where an artifact may have any name


ListKind = Literal["type", "keyword", "namespace"]
IndexName = Literal["keywords", "namespaces"]


class ListName(NamedTuple):
    """A list of plugins: those of a type, with a keyword, or in a namespace."""

    kind: ListKind
    value: str


def is_answer(key: str) -> bool:
    """Return whether a file of the published tree is one of the documents of ``api/``, which `static_api` makes."""
    return key.startswith(ANSWERS)


def plugin_folder(plugin: PluginId) -> str:
    """Return the folder of a plugin's pages.

    A plugin may be named ``index.html``; it can't have a folder in the place of its namespace's page.
    """
    if plugin.name == _INDEX:
        return f"namespaces/{plugin.namespace}/plugins/{plugin.name}"
    return f"{plugin.namespace}/{plugin.name}"


def plugin_page(plugin: PluginId) -> str:
    """Return the key of a plugin's page."""
    return f"{plugin_folder(plugin)}/{_INDEX}"


def release_page(plugin: PluginId, version: str) -> str:
    """Return the key of a release's page."""
    return f"{plugin_folder(plugin)}/{version}/{_INDEX}"


def plugin_file(plugin: PluginId, name: str) -> str:
    """Return the key of a file beside a plugin's page: ``feed.xml``, a badge, ``dependents.json``."""
    return f"{plugin_folder(plugin)}/{name}"


def namespace_feed(namespace: str) -> str:
    """Return the key of a namespace's feed. Not in the namespace's own folder: a plugin may be named feed.xml."""
    return f"namespaces/{namespace}/{FEED}"


def list_page(name: ListName, first: PluginId | None = None) -> str:
    """Return the key of a page of a list; ``first`` is the first entry of a page other than the first."""
    folder = {"type": "types/", "keyword": "keywords/", "namespace": ""}[name.kind] + name.value
    if first is None:
        return f"{folder}/{_INDEX}"
    if name.kind == "namespace":
        return f"namespaces/{name.value}/from/{first.name}/{_INDEX}"
    return f"{folder}/from/{first.namespace}/{first.name}/{_INDEX}"


def list_document(page: str) -> str:
    """Return the key of the JSON document beside a page of a list.

    That of a namespace is elsewhere, because a plugin may be named index.json.
    """
    folder = page.removesuffix(f"/{_INDEX}")
    return f"{folder}/index.json" if "/" in folder else f"namespaces/{folder}/index.json"


def index_page(name: IndexName, first: str | None = None) -> str:
    """Return the key of a page of the index of all ``namespaces`` or ``keywords``."""
    # `from` is not a folder of its own here: there may be a keyword with that name
    return f"{name}/{_INDEX}" if first is None else f"docs/{name}/{first}/{_INDEX}"


def index_document(name: IndexName) -> str:
    """Return the key of the JSON document of an index of all ``namespaces`` or ``keywords``."""
    return f"docs/{name}.json"


def language_folder(language: str) -> str:
    """Return the folder of the pages in a language other than the first, with its slash."""
    return f"site/{language}/"


def is_translated(key: str) -> bool:
    """Return whether a file of the published tree is a page that every language of the site has."""
    return key.endswith(".html") and key not in {NOT_FOUND, OFFLINE_VERIFIER} and not key.startswith(_NOT_PAGES)


def may_be_page(key: str) -> bool:
    """Return whether a file of a folder can be the site's: nothing that is signed, and nothing that a mirror says."""
    return key != "mirror.json" and not key.startswith((*_NOT_PAGES, "sigstore/"))


def sitemap_page(shard: int) -> str:
    """Return the key of a part of the sitemap."""
    return f"sitemap/{shard:03x}.xml"


def address(key: str) -> str:
    """Return the URL of a published file below the site's root, percent-encoded; for a page, its folder's."""
    folder, _, name = key.rpartition("/")
    path = (f"{folder}/" if folder else "") if name == _INDEX else key
    return quote(path, safe="/~@=")


def link(key: str, *, page: str) -> str:
    """Return the relative link from ``page`` to ``key``."""
    return "../" * page.count("/") + address(key) or "./"
