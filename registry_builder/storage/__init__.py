"""Where a registry is published to: a local folder or an S3 bucket, behind one protocol."""

from registry_builder.storage._factory import PAGES, folder_of, open_storage, place_of
from registry_builder.storage.headers import ObjectHeaders, headers_for
from registry_builder.storage.protocol import (
    Body,
    FileChangedError,
    LostRaceError,
    ObjectConflictError,
    ObjectMissingError,
    ObjectTooLargeError,
    PutOutcome,
    Storage,
    StoredObject,
    check_key,
)

__all__ = [
    "PAGES",
    "Body",
    "FileChangedError",
    "LostRaceError",
    "ObjectConflictError",
    "ObjectHeaders",
    "ObjectMissingError",
    "ObjectTooLargeError",
    "PutOutcome",
    "Storage",
    "StoredObject",
    "check_key",
    "folder_of",
    "headers_for",
    "open_storage",
    "place_of",
]
