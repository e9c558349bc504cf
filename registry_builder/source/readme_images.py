"""Images of a plugin's READMEs that are kept in the source tree: ``images/`` in the plugin's folder, and its record.

    images/images.json          address -> file, SHA-256, size in bytes, width and height in pixels
    images/<sha256>.png         or .jpg, .gif, .webp: by content

`sealdex-builder images update` writes both, and a review sees them. What a page shows is read here once more: a file
that isn't the recorded one, or no picture of these kinds, is not shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from registry_builder.source.documents import decode_document
from registry_builder.source.pictures import picture_of, picture_problem
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import without_mark
from registry_builder.source.tree import SourcePlugin
from sealdex.model.decode import DocumentError, encode_pretty

IMAGES_FOLDER = "images"
RECORD_NAME = "images.json"
RECORD_FORMAT = 1
MAX_IMAGE_BYTES = 5 * 1024 * 1024
MAX_IMAGES = 100
"""Of one plugin."""

_MAX_RECORD_BYTES = 1024 * 1024
_FILE = r"^[0-9a-f]{64}\.(png|jpg|gif|webp)$"


class StoredImage(Struct, frozen=True, forbid_unknown_fields=True):
    """One image: its file in ``images/``, and what it is."""

    file: Annotated[str, Meta(pattern=_FILE, description="The file beside this record: its SHA-256 and its kind.")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="Of the file, in lower-case hex.")]
    size: Annotated[int, Meta(ge=1, le=MAX_IMAGE_BYTES, description="Bytes.")]
    width: Annotated[int, Meta(ge=1, description="Pixels.")]
    height: Annotated[int, Meta(ge=1, description="Pixels.")]


class ImageRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """``images.json``: addresses as READMEs have them, to images."""

    format: int = RECORD_FORMAT
    images: dict[str, StoredImage] = {}


def images_folder(plugin: SourcePlugin) -> Path:
    """Return the folder of a plugin's images, whether it is there or not."""
    return plugin.folder / IMAGES_FOLDER


def image_key(image: StoredImage) -> str:
    """Return the place of an image in the published tree: of its content, so that plugins share it."""
    return f"assets/images/{image.file}"


def stored_image(data: bytes) -> StoredImage:
    """Return the record of an image that `picture_problem` accepts.

    Raises:
        ValueError: it isn't one.
    """
    found = picture_of(data)
    if found is None or (problem := picture_problem(data)) is not None:
        raise ValueError(problem if found is not None else "not a picture")
    digest = hashlib.sha256(data).hexdigest()
    return StoredImage(f"{digest}.{found.ending}", digest, len(data), found.width, found.height)


def record_bytes(images: Mapping[str, StoredImage]) -> bytes:
    """Return the record's file: sorted by address, so that a change is few lines of a diff."""
    return encode_pretty(ImageRecord(images=dict(sorted(images.items()))))


def read_record(plugin: SourcePlugin) -> Mapping[str, StoredImage]:
    """Return the images of a plugin by their addresses; none without a record.

    Raises:
        UnreadableError: it can't be read, or is not a valid record; the text says where.
    """
    data = record_data(plugin)
    if data is None:
        return {}
    try:
        record, problems = decode_document(without_mark(data), ImageRecord, is_json=True, newest_format=RECORD_FORMAT)
    except DocumentError as error:
        raise UnreadableError(
            "; ".join(f"{each.path}: {each.message}".lstrip(": ") for each in error.problems)
        ) from error
    if problems:
        raise UnreadableError("; ".join(each.message for each in problems))
    return record.images


def record_data(plugin: SourcePlugin) -> bytes | None:
    """Return the bytes of a plugin's record; None if it has none.

    Raises:
        UnreadableError: it can't be read.
    """
    path = images_folder(plugin) / RECORD_NAME
    if not plugin.has_images or not Gate(plugin.root).is_there(path):
        return None
    return Gate(plugin.root).read(path, _MAX_RECORD_BYTES)


def read_image(plugin: SourcePlugin, image: StoredImage) -> bytes:
    """Return a recorded image.

    Raises:
        UnreadableError: it is missing, isn't the recorded one, or isn't a picture that a page may load.
    """
    data = Gate(plugin.root).read(images_folder(plugin) / image.file, MAX_IMAGE_BYTES)
    if (problem := picture_problem(data)) is not None:
        raise UnreadableError(f"is not shown: {problem}")
    if stored_image(data) != image:
        raise UnreadableError(
            "is another file than the one that images.json records: sealdex-builder images update --refresh"
        )
    return data


__all__ = [
    "IMAGES_FOLDER",
    "MAX_IMAGES",
    "MAX_IMAGE_BYTES",
    "RECORD_NAME",
    "ImageRecord",
    "StoredImage",
    "image_key",
    "images_folder",
    "read_image",
    "read_record",
    "record_bytes",
    "record_data",
    "stored_image",
]
