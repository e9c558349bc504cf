"""Makes the boto3 client of a bucket: its endpoint, its region, and how long it waits and tries again."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from sealdex.errors import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MAX_CONNECTIONS: Final = 64
_ATTEMPTS = 4  # of one request, with up to 1, 2 and 4 s between them


def open_client(endpoint_url: str | None, region: str | None) -> S3Client:
    """Return a client; None leaves endpoint or region to boto3.

    Raises:
        ConfigError: the endpoint is not a valid address.
    """
    core = botocore.session.get_session()
    core.register_component("data_loader", _service_models(core.get_config_variable("data_path")))
    session = boto3.session.Session(region_name=region, botocore_session=core)
    # boto3 reads these two itself; here they only decide the defaults for servers other than AWS.
    elsewhere = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    try:
        return session.client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=session.region_name or ("us-east-1" if elsewhere else None),
            config=Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                max_pool_connections=_MAX_CONNECTIONS,
                s3={"addressing_style": "path" if elsewhere else "auto"},
                # The checksums that matter are sent explicitly; some servers don't support others.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except ValueError as error:  # botocore's error for an invalid address
        raise ConfigError(
            f"can't use the S3 endpoint {elsewhere!r}: {error}",
            subject=elsewhere,
            untouched="nothing was contacted",
            hint="write endpoint_url (or AWS_ENDPOINT_URL_S3) as http://HOST:PORT or https://HOST",
        ) from error


@cache
def _service_models(folders: str | None) -> Loader:
    """Return what reads botocore's descriptions of services, and keeps them: those of S3 take longer than to ask it."""
    return create_loader(folders)
