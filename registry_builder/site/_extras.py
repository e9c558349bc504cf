"""What a plugin's pages show that isn't in its index document: changelogs, and what Sigstore bundles say.

Read from files that the document pins. Bounded: a page must not grow with every release, and what is left out is on the
pages of the releases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from registry_builder.compile.manifest import manifest_key
from registry_builder.site._languages import language_of
from registry_builder.site._provenance import MAX_BUNDLE_BYTES, Provenance, provenance_of
from registry_builder.site._readme_html import render_readme
from registry_builder.site._words import Words
from registry_builder.site.document_source import Shelf
from registry_builder.site.plugin_view import ChangeView
from registry_builder.site.urls import release_page
from sealdex.errors import SealdexError
from sealdex.model.index import IndexDocument, ReleaseEntry

Judge = Callable[[str, bytes, Collection[str]], object | None]
"""Verifies a bundle for a namespace and digests: None where the registry accepts nobody's, raises if it is refused."""

_MAX_CHANGES = 15
_MAX_CHANGES_BYTES = 48 * 1024
_BUNDLE = "sigstore-bundle"


def changes_of(shelf: Shelf, document: IndexDocument, words: Words) -> tuple[tuple[ChangeView, ...], bool]:
    """Return the changelogs of the newest releases, newest first, and whether releases were left out."""
    found: list[ChangeView] = []
    size = 0
    for number, release in enumerate(document.releases):
        if len(found) == _MAX_CHANGES or size > _MAX_CHANGES_BYTES:
            return tuple(found), True
        if not shelf.held.has(manifest_key(document.id, release.version)):
            continue
        text = (shelf.manifest(document.id, release).changelog or "").strip()
        size += len(text)
        if text:
            html = render_readme(text.encode(), document.name, words=words, prefix=f"change-{number}-")
            page, when = release_page(document.id, release.version), release.released_at
            language = language_of(text, document.language)
            shown = "" if language == words.language else language
            found.append(ChangeView(release.version, words.date(when), when or "", page, html, shown))
    return tuple(found), False


def provenance_of_release(
    shelf: Shelf, document: IndexDocument, release: ReleaseEntry | None, judge: Judge | None
) -> tuple[Provenance, ...]:
    """Return what the Sigstore bundles of a release say of where it was built."""
    found: list[Provenance] = []
    for attachment in release.attachments if release is not None else ():
        if attachment.kind != _BUNDLE or attachment.size > MAX_BUNDLE_BYTES or release is None:
            continue
        data = shelf.attachment(document, release, attachment)
        said = provenance_of(data) if data is not None else None
        if data is None or said is None:
            continue
        found.append(replace(said, verified=_verifies(judge, document, release, data)))
    return tuple(dict.fromkeys(found))


def _verifies(judge: Judge | None, document: IndexDocument, release: ReleaseEntry, bundle: bytes) -> bool:
    if judge is None:
        return False
    try:
        return judge(document.namespace, bundle, {each.sha256 for each in release.artifacts}) is not None
    except SealdexError:
        return False  # the page says then that it wasn't verified


__all__ = ["Judge", "changes_of", "provenance_of_release"]
