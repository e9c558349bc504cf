"""Where a registry is published to: a local folder or an S3 bucket, behind one protocol.

    protocol           what publishing asks of a storage: conditional writes, one compare-and-swap, one flush
    headers            Content-Type and Cache-Control of a published file, from its key alone
    folder             a local folder, with the conditional writes of an object store
    s3                 an S3 bucket, or a prefix in one
    access_policy      IAM and bucket policies: who may do what with which keys
    http               a published tree as its readers see it: by its url, read only
    listing            listing, streaming and deleting, for audit and gc
    recorder           notes what is put through it; for a dry run it only reads
    lock_object        a lock for stores without conditional writes
    forwarding         a storage over another one, to be subclassed
    overwriting        replaces what is there with other bytes, and remembers what it replaced
    _factory           from the storage line of registry.toml to an open storage
    _put_log           what the log says of a write
    _anonymous_file    a file without a name until it is whole
    _fsync             makes the names in a folder outlast a power failure
    _gzip              which files are stored gzipped
    _s3_client         the boto3 client of a bucket
    _s3_errors         what botocore raises, as one error with advice
    _s3_parts          uploads in parts, and their checksum
    _s3_tags           ETags as stores and proxies spell them

boto3 is imported when an S3 storage is opened, and not before.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.storage._factory import PAGES, bucket_of, folder_of, open_storage, place_of, region_of
    from registry_builder.storage.headers import ObjectHeaders, headers_for
    from registry_builder.storage.http import UrlStorage
    from registry_builder.storage.protocol import (
        AccessDeniedError,
        Body,
        Condition,
        ConditionsIgnoredError,
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
else:
    __getattr__, __dir__ = exports(__name__, {
        "_factory": ("PAGES", "bucket_of", "folder_of", "open_storage", "place_of", "region_of"),
        "headers": ("ObjectHeaders", "headers_for"),
        "http": ("UrlStorage",),
        "protocol": (
            "AccessDeniedError", "Body",
            "Condition", "ConditionsIgnoredError", "FileChangedError", "LostRaceError", "ObjectConflictError",
            "ObjectMissingError", "ObjectTooLargeError", "PutOutcome", "Storage", "StoredObject",
            "check_key",
        ),
    })  # fmt: skip

__all__ = [
    "PAGES",
    "AccessDeniedError",
    "Body",
    "Condition",
    "ConditionsIgnoredError",
    "FileChangedError",
    "LostRaceError",
    "ObjectConflictError",
    "ObjectHeaders",
    "ObjectMissingError",
    "ObjectTooLargeError",
    "PutOutcome",
    "Storage",
    "StoredObject",
    "UrlStorage",
    "bucket_of",
    "check_key",
    "folder_of",
    "headers_for",
    "open_storage",
    "place_of",
    "region_of",
]
