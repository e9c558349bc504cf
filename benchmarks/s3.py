"""The S3 server of the tests (SeaweedFS), with what benchmarks need besides: requests counted by the server itself."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the server is started in one place, for tests and for this

from support.s3_server import S3Server, s3_server  # needs the path above

BUCKET = "bench"
_INLINE_BYTES = 65_536  # smaller objects are stored beside their names: a million files of 4 KiB fewer
_REQUESTS = re.compile(r'SeaweedFS_s3_request_total\{bucket="bench",code="\d+",type="([A-Z]+)"\} (\d+)')


@dataclass(frozen=True)
class CountingServer:
    """A running server with the bucket `BUCKET`.

    Attributes:
        server: where it is and how to sign for it.
        metrics: address of its counters, in Prometheus's text format.
    """

    server: S3Server
    metrics: str

    def requests(self) -> Counter[str]:
        """Return how many requests the S3 server has answered so far in the bucket, by verb."""
        with urllib.request.urlopen(self.metrics) as answer:
            text = answer.read().decode()
        counted: Counter[str] = Counter()
        for verb, number in _REQUESTS.findall(text):
            counted[verb] += int(number)
        return counted

    def storage(self, prefix: str) -> str:
        """Return the ``storage`` of a realm below ``prefix``, as registry.toml states it."""
        return f"s3://{BUCKET}/{prefix}?endpoint_url={self.server.endpoint}&region=us-east-1"


@contextlib.contextmanager
def counting_server(folder: Path) -> Iterator[CountingServer]:
    """Run a server with its data in ``folder``, an existing empty folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with s3_server(folder, options=(f"-metricsPort={port}", f"-filer.saveToFilerLimit={_INLINE_BYTES}")) as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield CountingServer(server, f"http://127.0.0.1:{port}/metrics")
