"""Invalidates in CloudFront, after a publish, the files that were replaced: pages, bundle, timestamp.json.

Optional: without it clients see a new page within the minute that its Cache-Control allows, and a new release at
once, because timestamp.json is always revalidated. All other files have unique names and are never invalidated.

Source: "Invalidate files" in the CloudFront developer guide, and the API reference of CreateInvalidation, for quotas,
the form of paths and the meaning of CallerReference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from registry_builder.publication.context import Publisher
from registry_builder.storage import headers_for
from registry_builder.storage.headers import IMMUTABLE

MAX_PATHS = 3000
"""CloudFront's quota of paths in progress per distribution; above it, one wildcard invalidates everything."""

_INDEX = "index.html"


def paths_of(keys: Iterable[str], url: str) -> list[str]:
    """Return the paths to invalidate for files that were written: the replaced ones, as clients request them.

    Args:
        keys: storage keys of files that were written.
        url: the public URL, whose path is used.
    """
    base = urlsplit(url).path.strip("/")
    prefix = f"/{base}/" if base else "/"
    paths: list[str] = []
    for key in keys:
        if headers_for(key).cache_control == IMMUTABLE:
            continue
        folder, slash, name = key.rpartition("/")
        paths.append(f"{prefix}{quote(key)}")
        if name == _INDEX:  # by either URL
            paths.append(f"{prefix}{quote(folder)}{slash}")
    return sorted(paths) if len(paths) <= MAX_PATHS else [f"{prefix}*"]


def invalidate(publisher: Publisher, written: Mapping[str, str]) -> tuple[list[str], str | None]:
    """Invalidate the replaced files in the realm's CloudFront distribution.

    Repeating the call, such as in a retry, makes no second invalidation: files and contents identify it.

    Args:
        publisher: of the realm; without ``cloudfront`` in registry.toml does nothing.
        written: key of each file that was written to something that identifies its content, such as a digest.

    Returns:
        The paths that CloudFront accepted, and what went wrong, for a warning: the publish itself succeeded.
    """
    section = publisher.tree.config.realms[publisher.realm]
    if section.cloudfront is None or section.url is None:
        return [], None
    paths = paths_of(written, section.url)
    if not paths:
        return [], None
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # a folder needs no boto3

    contents = "\n".join(f"{key} {content}" for key, content in sorted(written.items()))
    try:
        _client().create_invalidation(
            DistributionId=section.cloudfront,
            InvalidationBatch={
                "Paths": {"Quantity": len(paths), "Items": paths},
                "CallerReference": f"sealdex-{publisher.realm}-{hashlib.sha256(contents.encode()).hexdigest()[:32]}",
            },
        )
    except (BotoCoreError, ClientError) as error:
        return [], (
            f"published, but CloudFront distribution {section.cloudfront} did not invalidate {len(paths)} paths: "
            f"{error}; new releases are visible at once, pages within a minute"
        )
    return paths, None


def _client() -> Any:
    import boto3  # noqa: PLC0415  # a folder needs none

    return boto3.session.Session().client("cloudfront", region_name="us-east-1")  # CloudFront's API is there


__all__ = ["MAX_PATHS", "invalidate", "paths_of"]
