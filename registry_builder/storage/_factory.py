"""Opens the storage that the ``storage`` line of registry.toml names.

folder:../published                                a folder, relative to the source tree
pages:published                                    a folder that is deployed to GitHub Pages: see `github_pages`
s3://bucket/prefix                                 AWS; credentials and region as found by boto3
s3://bucket/prefix?endpoint_url=http://127.0.0.1:8333&region=us-east-1      any other S3 server
s3://bucket/prefix?encode=gzip                     documents and pages gzipped, for clients without a compressing CDN
"""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from registry_builder.storage._gzip import GZIP
from registry_builder.storage.access_policy import Place
from registry_builder.storage.folder import FolderStorage
from registry_builder.storage.protocol import check_key
from sealdex.errors import ConfigError, UsageError
from sealdex.log import Log

if TYPE_CHECKING:
    from pathlib import Path

    from registry_builder.storage.protocol import Storage

_log = Log("registry_builder.storage")

PAGES = "pages:"
_USER_INFO = re.compile(r"//[^/]*@")
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))
_S3_OPTIONS = frozenset({"encode", "endpoint_url", "region"})


def open_storage(uri: str, *, base: Path, exclusive: bool = False) -> Storage:
    """Open the storage that ``uri`` names; a relative folder is relative to ``base``, the source tree.

    ``exclusive`` is for S3 servers without conditional writes: see `registry_builder.storage.lock_object`.
    Nothing is contacted or created yet: that happens with the first read or write.

    Raises:
        ConfigError: the address is not a valid storage.
    """
    _log.info("storage.opened", "storage {storage}, relative to {base}", storage=uri, base=base)
    if (path := folder_of(uri)) is not None:
        if not path or "\x00" in path or path.startswith("//"):
            raise _refused(uri, "it has no folder")
        return FolderStorage(base / path)
    if uri.startswith("s3://"):
        from registry_builder.storage.s3 import S3Storage  # noqa: PLC0415  # brings boto3, which a folder doesn't need

        bucket, prefix, options = _parse_s3(uri)
        return S3Storage(
            bucket,
            prefix=prefix,
            endpoint_url=options.get("endpoint_url"),
            region=options.get("region"),
            encode="encode" in options,
            exclusive=exclusive,
        )
    raise _refused(uri, "its kind is unknown")


def folder_of(uri: str) -> str | None:
    """Return the folder that an address names, as written; None if it is not a folder."""
    for kind in ("folder:", PAGES):
        if uri.startswith(kind):
            return uri.removeprefix(kind)
    return None


def place_of(uri: str) -> tuple[str, ...]:
    """Return the location of a storage, outermost part first: a location inside another begins with that.

    Two addresses of the same location are equal: of the options, only the server counts.

    Raises:
        ConfigError: as `open_storage`.
    """
    if (path := folder_of(uri)) is not None:
        return ("folder", *PurePosixPath(posixpath.normpath(path)).parts)
    bucket, prefix, options = _parse_s3(uri)
    return ("s3", options.get("endpoint_url", "").rstrip("/"), bucket, *PurePosixPath(prefix).parts)


def bucket_of(uri: str) -> Place | None:
    """Return bucket, prefix and partition of an S3 address, as policies need them; None if it is not S3.

    Raises:
        ConfigError: as `open_storage`.
    """
    if not uri.startswith("s3://"):
        return None
    bucket, prefix, options = _parse_s3(uri)
    region = options.get("region", "")
    return Place(bucket, prefix, next((name for start, name in _PARTITIONS if region.startswith(start)), "aws"))


def region_of(uri: str) -> str | None:
    """Return the region of an S3 address; None if it names none, or is not S3.

    Raises:
        ConfigError: as `open_storage`.
    """
    return _parse_s3(uri)[2].get("region") if uri.startswith("s3://") else None


def _parse_s3(uri: str) -> tuple[str, str, dict[str, str]]:
    try:
        parts = urlsplit(uri)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        bucket = parts.hostname if parts.hostname == parts.netloc else None
    except ValueError as error:
        raise _refused(uri, str(error)) from error
    if not bucket:  # also 'user:password@bucket': credentials must not be in a committed file
        raise _refused(uri, "the bucket is missing, or has capitals, a port or credentials")
    options = dict(pairs)
    if len(options) != len(pairs) or not _S3_OPTIONS.issuperset(options) or not all(options.values()):
        raise _refused(uri, f"its options must be among {', '.join(sorted(_S3_OPTIONS))}, each once, with a value")
    if options.get("encode", GZIP) != GZIP:
        raise _refused(uri, f"the only value of encode is {GZIP}")
    if parts.fragment:
        raise _refused(uri, "it has a '#' part")
    prefix = unquote(parts.path).strip("/")
    if prefix:
        try:
            check_key(prefix)
        except UsageError as error:
            raise _refused(uri, f"its prefix {prefix!r} is not a relative path") from error
    return bucket, prefix, options


def _refused(uri: str, reason: str) -> ConfigError:
    shown = _USER_INFO.sub("//***@", uri)  # a secret that is there by mistake must not be logged too
    return ConfigError(
        f"can't publish to {shown!r}: {reason}",
        subject=shown,
        untouched="nothing was written",
        hint="write 'folder:PATH', 'pages:PATH' or 's3://BUCKET/PREFIX?endpoint_url=URL&region=NAME' as the storage "
        "in registry.toml; credentials come from the environment",
    )
