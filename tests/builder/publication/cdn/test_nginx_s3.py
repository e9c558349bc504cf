"""docs/examples/nginx-s3.conf as it stands, in a real nginx before the S3 server to which a registry is published."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.nginx_server import nginx
from support.places import REPOSITORY
from support.s3_server import S3Server
from support.source_trees import Tree

from registry_builder.maintenance.downloads._log_lines import reader_for
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.storage import open_storage
from registry_builder.storage.listing import inventory_of
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry

EXAMPLE = REPOSITORY / "docs/examples/nginx-s3.conf"


def example(server: S3Server, prefix: str, log: Path) -> str:
    """The documented file with what it says to change changed, but for the port."""
    text = EXAMPLE.read_text()
    for said, here in (
        ("127.0.0.1:8333", server.endpoint.removeprefix("http://")),
        ("/acme-plugins/public$", f"/{prefix}$"),
        ("/var/log/nginx/registry.log", str(log)),
    ):
        assert said in text
        text = text.replace(said, here)
    return text


@pytest.fixture
def address(tmp_path: Path, tree: Tree, s3_server: S3Server, s3_uri: str) -> Iterator[str]:
    publish_realm(open_publisher(tree.load(), "public", storage=open_storage(s3_uri, base=tree.root)))
    prefix = s3_uri.removeprefix("s3://").partition("?")[0]
    with nginx(tmp_path / "nginx", http=example(s3_server, prefix, tmp_path / "registry.log")) as address:
        yield address


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send exactly this path, which no library has made tidy."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def test_the_documented_server_gives_out_a_registry(address: str, tree: Tree, s3_uri: str, tmp_path: Path) -> None:
    storage = open_storage(s3_uri, base=tree.root)
    keys = [listed.key for listed in inventory_of(storage).listed()]
    assert len(keys) > 60
    for key in keys:
        status, headers, body = ask(address, f"/{key}", Accept_Encoding="gzip, br")
        stored = storage.get(key, max_bytes=1 << 24)
        assert (status, body) == (200, stored.data), key
        assert headers["etag"] == stored.etag, key
        assert headers["etag"].startswith('"'), key  # strong
        assert "content-encoding" not in headers
        assert headers["cache-control"] == (
            "no-cache" if key == "metadata/timestamp.json" else headers["cache-control"]
        ), key
        assert "max-age" in headers["cache-control"] or key == "metadata/timestamp.json", key

    # pages, by either address; everything else that is missing is missing
    pages = [key for key in keys if key.endswith("/index.html") and key.count("/") == 2]
    page = next(key.removesuffix("index.html") for key in pages if key.startswith("acme/"))
    assert ask(address, "/")[2] == storage.get("index.html", max_bytes=1 << 24).data
    assert ask(address, f"/{page}?q=1")[2] == storage.get(f"{page}index.html", max_bytes=1 << 24).data
    moved = ask(address, f"/{page.rstrip('/')}")
    assert (moved[0], moved[1]["location"]) == (301, f"/{page}")
    for path in (
        "/metadata/", "/targets/", "/plugins/", "/metadata", "/metadata/99.root.json", "/nobody/", "/nothing.html",
        "/%E4%B8%AD%E6%96%87/", "/plugins/acme/", "/metadata/%2e%2e/%2e%2e/",
    ):  # fmt: skip
        status, headers, body = ask(address, path)
        assert status in {400, 404}, path
        assert b"<Error>" not in body, path  # of the S3 server
    assert ask(address, "/metadata/99.root.json")[0] == 404

    # downloads resume, and what is held is asked for by its tag
    artifact = next(key for key in keys if key.startswith("plugins/"))
    whole = ask(address, f"/{artifact}")
    etag = whole[1]["etag"]
    status, headers, part = ask(address, f"/{artifact}", Range="bytes=1-3", If_Range=etag)
    assert (status, part) == (206, whole[2][1:4])
    assert headers["content-range"] == f"bytes 1-3/{len(whole[2])}"
    held = ask(address, "/metadata/timestamp.json")[1]["etag"]
    assert ask(address, "/metadata/timestamp.json", If_None_Match=held)[0] == 304

    # a client verifies what it gets there
    root = (tree.root / "trust/public/1.root.json").read_bytes()
    with Transport() as transport:
        found = TrustedRegistry("p", address, root, tmp_path / "host", transport).index(next(iter(tree.load().plugins)))
    assert found is not None
    assert found.releases

    # the log has what downloads are counted by, and nobody's address
    lines = (tmp_path / "registry.log").read_text().splitlines()
    ours = [each for each in map(reader_for(lines[0]), lines) if each is not None]
    assert any(each.status == 200 and each.path == "/metadata/timestamp.json" for each in ours)
    assert all(each.says_ranges and each.id for each in ours)
    assert not any("127.0.0.1" in line for line in lines)


def test_nobody_writes_or_lists_through_the_documented_server(address: str, s3_server: S3Server) -> None:
    """Attack: a reader sends the S3 server a request of its own, by method, by query or by credentials."""
    for method in ("PUT", "DELETE", "POST"):
        assert ask(address, "/metadata/timestamp.json", method, Content_Length="0")[0] == 405
    for path in (
        "/?list-type=2", "/?acl", "/metadata/?list-type=2", "/metadata/?uploads", "/?policy",
        "//?list-type=2", "/%3Flist-type=2", "/metadata/%3Flist-type=2", "/a%0d%0aX:y/", "/..%2f..%2f?list-type=2",
    ):  # fmt: skip
        body = ask(address, path, Authorization="AWS test:x")[2]
        assert b"<ListBucketResult" not in body
        assert b"<Key>" not in body
        assert b"AccessControlPolicy" not in body
    override = "response-content-type=text/html&response-cache-control=no-store&response-content-disposition=attachment"
    status, headers, _ = ask(address, f"/metadata/timestamp.json?{override}")
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/json", "no-cache")
    assert "content-disposition" not in headers
