"""What holds for all tests: budgets of examples, and hypothesis measures no time, since these machines are noisy.

The profile is ``local``, or ``ci`` where the variable CI is set; ``pytest -m hypothesis --hypothesis-profile=long`` is
what the scheduled workflow runs. None has a fixed seed: a run that repeats the last one's examples finds nothing that
that one didn't. What any of them finds stays in its test as an ``@example``.

Tests marked ``slow`` are begun first, shared out over the processes of ``pytest -n``: one that is begun last would run
alone at the end.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import settings
from support.budgets import PROFILES
from support.s3_server import S3Server, WeedMissingError, shared_s3_server

from sealdex import log

# Compiled modules are kept whatever the environment says: a run begins Python two thousand times, and pytest rewrites
# the test modules in each of its processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Commands are tested in English, whatever the locale of whoever runs the tests; those of other languages set their own.
os.environ.pop("LANGUAGE", None)
if os.environ.get("LC_ALL"):
    os.environ["LC_ALL"] = "C.UTF-8"
os.environ["LC_MESSAGES"] = "C"

# Servers of the tests are on this machine, where no proxy of it leads; tests of proxies name their own.
if any(os.environ.get(name) for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())):
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join((*filter(None, [os.environ.get(name)]), "127.0.0.1", "localhost", "::1"))

# A suite that is started by nohup is told to ignore this signal, which programs would inherit; tests of it send it.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# What else this machine tells programs is none of the tests' business: those that want something of it set it.
_OF_THE_MACHINE = ("ACTIONS_", "AWS_", "GH_", "GIT_", "GITHUB_", "RUNNER_", "XDG_")
_OF_TERMINALS = {"CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR"}
for name in [each for each in os.environ if each.startswith(_OF_THE_MACHINE) or each in _OF_TERMINALS]:
    del os.environ[name]
os.environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "GIT_CONFIG_GLOBAL"), os.devnull)
os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "GIT_CONFIG_NOSYSTEM": "1", "TERM": "xterm"}
# but for whose checkout this is: git reads none of somebody else's, unless it is told to
os.environ |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
os.umask(0o022)
if len(tempfile.gettempdir()) > 60:  # sockets are made there, whose paths may have about a hundred characters
    os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"  # noqa: S108  # what is made in it has random names

for name, count in PROFILES.items():
    settings.register_profile(name, deadline=None, max_examples=count, print_blob=name != "local")
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests at the front of each of the equal parts that ``--dist worksteal`` begins with."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = [item for item in items if not item.get_closest_marker("slow")]
    parts = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = -(-len(fast) // parts)
    items[:] = [item for part in range(parts) for item in (*slow[part::parts], *fast[part * size : (part + 1) * size])]


def pytest_collection_finish() -> None:
    """Leave what thousands of collected tests consist of out of every later collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _forget_secrets() -> Iterator[None]:
    """Let a test's secrets go with it: 1234, the PIN of another test, may stand in a digest of this one's log."""
    yield
    log._secrets.clear()


@pytest.fixture(autouse=True, scope="session")
def _patient_with_bundles() -> Iterator[None]:
    """Wait for a bundle of metadata that a busy machine brings late: requests are counted, and it saves some."""
    with patch("sealdex.trust._fetcher.BUNDLE_GRACE_S", 60.0):
        yield


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS server that all workers of a run share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each worker has its own base in the run's
    folder = folder / "s3-server"
    folder.mkdir(exist_ok=True)
    try:
        with shared_s3_server(folder) as server:
            yield server
            if hasattr(signal, "setitimer"):  # pytest-timeout's, of this process's last test:
                signal.setitimer(signal.ITIMER_REAL, 0)  # the others' tests, waited for here, have times of their own
    except WeedMissingError as error:
        if os.environ.get("CI"):
            raise  # a run that is to prove something must not pass by leaving S3 out
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def s3_bucket(s3_server: S3Server) -> str:
    """A bucket of this worker that anonymous readers may read from, as a CDN would."""
    bucket = f"public-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{secrets.token_hex(4)}"
    s3_server.client().create_bucket(Bucket=bucket)
    return bucket
