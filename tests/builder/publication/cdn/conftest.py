"""The fixture of the CDN's tests: nginx before the S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.caching_cdn import caching_cdn
from support.s3_server import S3Server


@pytest.fixture
def cdn(tmp_path: Path, s3_server: S3Server, s3_uri: str) -> Iterator[str]:
    """The address of the published tree as the CDN gives it."""
    with caching_cdn(s3_server.endpoint, tmp_path / "cdn") as address:
        yield f"{address}/{s3_uri.removeprefix('s3://').partition('?')[0]}"
