"""docs/examples/nginx-cache.conf as it stands, in a real nginx before a registry that changes, fails and goes away."""

from __future__ import annotations

import contextlib
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.nginx_server import nginx
from support.tree_server import TreeServer
from support.trust_scene import SLACK
from support.tuf_repository import TufRepository

from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry

EXAMPLE = Path(__file__).parents[2] / "docs/examples/nginx-cache.conf"


def example(upstream: str, folder: Path) -> str:
    """The documented file with what it says to change changed, but for the port."""
    text = EXAMPLE.read_text()
    for said, here in (
        ("https://plugins.example.org", upstream.rstrip("/")),
        ("/var/cache/nginx/sealdex", str(folder)),
    ):
        assert said in text
        text = text.replace(said, here)
    return text


def status(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


@pytest.mark.slow
def test_the_documented_cache_keeps_what_never_changes_and_asks_for_what_does(tmp_path: Path) -> None:
    repository = TufRepository()
    repository.add(SLACK, "1.0.0")
    repository.publish()

    def newest(host: str) -> str:
        """What a host reads that has read nothing, or only what it had before."""
        with Transport() as transport:
            found = TrustedRegistry("p", address, repository.pinned_root, tmp_path / host, transport).index(SLACK)
        assert found is not None
        return found.releases[0].version

    with (
        TreeServer(repository.files) as upstream,
        nginx(tmp_path / "nginx", http=example(upstream.url, tmp_path / "kept")) as address,
    ):
        assert newest("first") == "1.0.0"
        asked = len(upstream.requests)
        assert newest("second") == "1.0.0"
        again = [path.lstrip("/") for path in upstream.requests[asked:]]
        assert not [path for path in again if path.startswith(("targets/", "metadata/1.", "plugins/"))], again

        # a new release is seen; a missing file is missing for seconds only
        assert status(f"{address}/plugins/late")[0] == 404
        repository.files["plugins/late"] = b"0123456789"
        repository.add(SLACK, "2.0.0")
        repository.publish()
        while newest("first") != "2.0.0" or status(f"{address}/plugins/late")[0] != 200:
            time.sleep(0.25)
        assert status(f"{address}/plugins/late", Range="bytes=2-4") == (206, b"234")

        # an upstream that fails, and then nobody at all: what is kept is served
        assert newest("third") == "2.0.0"
        upstream.instead = {"metadata/timestamp.json": 503}
        time.sleep(1.1)  # past the second for which the timestamp is held
        assert newest("fourth") == "2.0.0"
        upstream.__exit__(None, None, None)
        time.sleep(1.1)
        assert newest("fifth") == "2.0.0"


def test_the_documented_cache_keeps_what_is_published_with_no_cache(tmp_path: Path) -> None:
    tree = tmp_path / "tree/metadata"
    tree.mkdir(parents=True)
    (tree / "timestamp.json").write_bytes(b"{}")
    published = f"root {tree.parent}; add_header Cache-Control 'no-cache, max-age=0';"
    with contextlib.ExitStack() as upstream:
        conf = example(upstream.enter_context(nginx(tmp_path / "up", server=published)), tmp_path / "kept")
        with nginx(tmp_path / "nginx", http=conf) as address:
            assert status(f"{address}/metadata/timestamp.json") == (200, b"{}")
            upstream.close()
            assert status(f"{address}/metadata/timestamp.json") == (200, b"{}")
