"""ETags as stores and proxies spell them: quoted or not, weak or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef


def opaque(etag: str) -> str:
    """Return what stands between the quotes of a tag."""
    return etag.removeprefix("W/").strip('"')


def tag_of(head: HeadObjectOutputTypeDef | None) -> str | None:
    """Return what stands between the quotes of the tag that a HEAD answered with, None for no object."""
    return None if head is None else opaque(head.get("ETag", ""))
