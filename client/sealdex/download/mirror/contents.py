"""Which files a selected release consists of: their keys in the published tree, pins and addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sealdex.download.locations import image_reference
from sealdex.download.mirror.selection import Picked, Selection
from sealdex.errors import SealdexError
from sealdex.model.files import file_list_name
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, readme_key, release_folder


class MirrorFile(NamedTuple):
    """One immutable file of a mirror.

    Attributes:
        key: its place in the published tree; of what is elsewhere, the place where the registry would have it.
        sha256: of its bytes.
        size: in bytes; None for an artifact at an address whose length isn't known.
        url: where it is when the registry doesn't have it in its own tree.
        what: the release that it belongs to, for messages.
    """

    key: str
    sha256: str
    size: int | None
    url: str | None
    what: str


class MirrorImage(NamedTuple):
    """A container image of a selected release; images are named and never copied."""

    plugin: str
    version: str
    reference: str


def files_of(document: IndexDocument, picked: Picked, selection: Selection) -> Iterator[MirrorFile]:
    """Yield the files of one release: manifest, artifacts with their lists of files, attachments."""
    plugin, release = document.id, picked.release
    what, folder = f"{plugin} {release.version}", release_folder(plugin, release.version)
    yield MirrorFile(f"{folder}/manifest.json", release.manifest.sha256, release.manifest.size, None, what)
    for artifact in picked.artifacts:
        yield MirrorFile(f"{folder}/{artifact.file}", artifact.sha256, artifact.size, artifact.url, what)
        if (listed := artifact.file_list) is not None:
            yield MirrorFile(f"{folder}/{file_list_name(artifact.file)}", listed.sha256, listed.size, None, what)
    for attachment in release.attachments:
        if attachment.url is None or selection.artifacts == "all":
            key = f"{folder}/{attachment.name}"
            yield MirrorFile(key, attachment.sha256, attachment.size, attachment.url, what)


def readme_of(document: IndexDocument) -> Iterator[MirrorFile]:
    """Yield the READMEs of a plugin, in all its languages."""
    pins = {pin.sha256: pin for pin in (document.readme, *document.readme_i18n.values()) if pin is not None}
    for readme in pins.values():
        yield MirrorFile(readme_key(document.id, readme.sha256), readme.sha256, readme.size, None, str(document.id))


def images_of(plugin: PluginId, picked: Picked) -> Iterator[MirrorImage]:
    """Yield the container images of one release; a reference without the signed digest is left out."""
    for artifact in picked.images:
        try:
            reference = image_reference(plugin, picked.release.version, artifact)
        except SealdexError:
            continue  # an installation refuses it, and says why
        yield MirrorImage(str(plugin), picked.release.version, reference)


__all__ = ["MirrorFile", "MirrorImage", "files_of", "images_of", "readme_of"]
