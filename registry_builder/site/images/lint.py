"""Lint of images in a tree: the record can be read, each file is what it records, and none is stale."""

from __future__ import annotations

from collections.abc import Iterator

from registry_builder.site.images.update import addresses_in
from registry_builder.source.readme_images import (
    IMAGES_FOLDER,
    RECORD_NAME,
    images_folder,
    read_image,
    read_record,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.tree import Problem, SourcePlugin, SourceTree

_UPDATE = "sealdex-builder images update"


def image_problems(tree: SourceTree) -> list[Problem]:
    """Return what is wrong with images of READMEs: an error for what wouldn't be shown, a warning for what is stale."""
    return [problem for plugin in tree.plugins.values() if plugin.has_images for problem in _problems(plugin)]


def _problems(plugin: SourcePlugin) -> Iterator[Problem]:
    place = f"plugins/{plugin.id}/{IMAGES_FOLDER}"
    record = f"{place}/{RECORD_NAME}"
    try:
        images = read_record(plugin)
        entries = Gate(plugin.root).entries(images_folder(plugin), lambda _path, _why: None)
    except UnreadableError as error:
        yield Problem(record, "", f"{error}: correct it, or remove it and run {_UPDATE} {plugin.id}")
        return
    for image in {image.file: image for image in images.values()}.values():
        try:
            read_image(plugin, image)
        except UnreadableError as error:  # noqa: PERF203  # each file by itself
            yield Problem(f"{place}/{image.file}", "", f"{error}; or get it again: {_UPDATE} {plugin.id}")
    named = {RECORD_NAME, *(image.file for image in images.values())}
    for found in entries:
        if found.name not in named and not found.name.startswith("."):
            yield Problem(f"{place}/{found.name}", "", f"is not in {RECORD_NAME} and is ignored: remove it", "warning")
    try:
        stale = set(images) - set(addresses_in(plugin))
    except UnreadableError:
        return  # reported already
    for address in sorted(stale):
        message = f"no README shows it any more: {_UPDATE} --prune {plugin.id}"
        yield Problem(record, f'images["{address}"]', message, "warning")


__all__ = ["image_problems"]
