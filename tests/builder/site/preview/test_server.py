"""The local web server over real sockets: headers, ranges, conditions, and what must never be served."""

from __future__ import annotations

import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from registry_builder.site.preview.server import running_server, serve
from registry_builder.storage import Body, headers_for
from registry_builder.storage.folder import FolderStorage
from registry_builder.storage.headers import disposition_for
from sealdex.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHIVE = "plugins/acme/slack/1.0.0+b.1/slack.zip"
CONTENT = bytes(range(256)) * 4096  # 1 MiB, several of the server's chunks
SECRET = b"outside of the published folder"

Reply = tuple[int, http.client.HTTPMessage, bytes]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published folder, with a secret beside it and traps in it."""
    outside = tmp_path_factory.mktemp("serve")
    (outside / "secret.txt").write_bytes(SECRET)
    folder = outside / "published"
    storage = FolderStorage(folder)
    for key, data in {
        ARCHIVE: CONTENT,
        "metadata/timestamp.json": b'{"signed": 1}',
        "metadata/1.root.json": b'{"signed": 2}',
        "metadata/recent.bundle": b"bundle",
        "index.html": b"<h1>registry</h1>",
        "acme/slack/index.html": b"<h1>slack</h1>",
        "plugins/acme/slack/1.0.0+b.1/evil.html": b"<script>alert(1)</script>",
        "empty.txt": b"",
    }.items():
        storage.put_new(key, Body.of_bytes(data, headers_for(key)))
    (folder / ".hidden").write_bytes(SECRET)
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "linked").symlink_to(outside)
    (folder / "inner.txt").symlink_to("empty.txt")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    outside.joinpath("published-too").mkdir()
    (outside / "published-too" / "secret.txt").write_bytes(SECRET)
    (folder / "sibling").symlink_to(outside / "published-too")
    return folder


@pytest.fixture(scope="module")
def base_url(root: Path) -> Iterator[str]:
    with running_server(root) as url:
        yield url


@pytest.fixture
def connection(base_url: str) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(base_url).netloc)) as opened:
        yield opened


def ask(connection: http.client.HTTPConnection, path: str, *, method: str = "GET", **headers: str) -> Reply:
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()


def ask_raw(base_url: str, target: str) -> bytes:
    """Send a request line as it is, which no HTTP client would, and read until the server closes."""
    host, port = urlsplit(base_url).netloc.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
        reply = b""
        while chunk := connection.recv(1 << 16):
            reply += chunk
    return reply


@pytest.mark.parametrize(
    "key",
    [ARCHIVE, "metadata/timestamp.json", "metadata/1.root.json", "metadata/recent.bundle", "acme/slack/index.html"],
)
def test_a_file_has_the_headers_of_its_key(connection: http.client.HTTPConnection, root: Path, key: str) -> None:
    for method in ("GET", "HEAD"):
        status, headers, data = ask(connection, f"/{key}", method=method)
        assert status == HTTPStatus.OK
        assert data == ((root / key).read_bytes() if method == "GET" else b"")
        assert (headers["Content-Type"], headers["Cache-Control"]) == headers_for(key)
        assert headers.get("Content-Disposition") == disposition_for(key)
        assert headers["Content-Length"] == str((root / key).stat().st_size)
        assert headers["Accept-Ranges"] == "bytes"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["ETag"].startswith('"')


@pytest.mark.parametrize(("path", "key"), [("/", "index.html"), ("/acme/slack/", "acme/slack/index.html")])
def test_a_folder_is_its_page(connection: http.client.HTTPConnection, root: Path, path: str, key: str) -> None:
    status, headers, data = ask(connection, path)
    assert (status, data) == (HTTPStatus.OK, (root / key).read_bytes())
    assert headers["Content-Type"].startswith("text/html")


def test_a_folder_without_its_slash_is_sent_to_its_page(connection: http.client.HTTPConnection) -> None:
    status, headers, _ = ask(connection, "/acme/slack")
    assert (status, headers["Location"]) == (HTTPStatus.MOVED_PERMANENTLY, "/acme/slack/")


def test_an_encoded_name_is_found(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "/plugins/acme/slack/1.0.0%2Bb.1/slack.zip?query=ignored")[2] == CONTENT


@pytest.mark.parametrize(
    "path", ["/metadata/2.root.json", "/metadata/", "/metadata", "/acme", "/nothing/", "/plugins/"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_missing_is_404_and_no_page(connection: http.client.HTTPConnection, path: str, method: str) -> None:
    """A missing next root ends a client's walk through the roots; a page with status 200 would break it."""
    status, headers, data = ask(connection, path, method=method)
    assert (status, data) == (HTTPStatus.NOT_FOUND, b"")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Access-Control-Allow-Origin"] == "*"


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_browser_is_shown_the_page_of_what_is_missing_and_clients_never(
    connection: http.client.HTTPConnection, root: Path
) -> None:
    assert ask(connection, "/acme/nothing/", Accept=BROWSER)[2] == b""  # a tree without pages
    (root / "404.html").write_text("<h1>There is no such page</h1>")
    status, headers, data = ask(connection, "/acme/nothing/", Accept=BROWSER)
    assert (status, data) == (HTTPStatus.NOT_FOUND, b"<h1>There is no such page</h1>")
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("text/html; charset=utf-8", "no-store")
    status, headers, data = ask(connection, "/acme/nothing/", Accept=BROWSER, method="HEAD")
    assert (status, headers["Content-Length"], data) == (HTTPStatus.NOT_FOUND, "30", b"")
    assert ask(connection, "/acme/nothing/", Accept="*/*")[2] == b""
    for path in ("/metadata/2.root.json", "/targets/catalog/x.json", "/plugins/acme/slack/9.0.0/x.zip"):
        assert ask(connection, path, Accept=BROWSER)[::2] == (HTTPStatus.NOT_FOUND, b"")
    (root / "404.html").unlink()


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.txt",
        "/acme/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/acme%2f..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "/../published-too/secret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/%2Fetc/passwd",
        "{outside}/secret.txt",
        "/{outside}/secret.txt",
        "//{outside}/secret.txt",
        "/.hidden",
        "/.sealdex-tmp/",
        "/.sealdex-tmp/lock",
        "/acme/.%2e/.hidden",
        "/link.txt",
        "/linked/secret.txt",
        "/sibling/secret.txt",
        "/loop",
        "/index.html%00.txt",
        "/index.html/",
        "/index.html/x",
        "/./index.html",
        "/acme//slack/index.html",
        "/acme/slack/../slack/index.html",
        "/" + "x" * 5000,
        "/" + "x/" * 3000,
        "/%ff%fe",
        "http://127.0.0.1/secret.txt",
        "*",
    ],
)
def test_nothing_but_published_files_is_served(base_url: str, root: Path, target: str) -> None:
    """Attack: a reader who can send any bytes asks for what lies outside the folder, is hidden, or would block."""
    reply = ask_raw(base_url, target.replace("{outside}", str(root.parent)))
    assert reply.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert SECRET not in reply
    assert b"root:" not in reply


def test_a_pipe_does_not_hold_the_server_up(base_url: str, root: Path) -> None:
    """Attack: someone who can write to the folder puts a named pipe there; opening one waits for a writer."""
    try:
        assert ask_raw(base_url, "/pipe").startswith(b"HTTP/1.1 404 ")
    except TimeoutError:
        os.close(os.open(root / "pipe", os.O_RDWR))  # lets the server go, so that this test fails and doesn't hang
        raise


@pytest.mark.parametrize("target", ["/index.html", "/inner.txt"])
def test_the_raw_reader_does_reach_files(base_url: str, target: str) -> None:
    assert ask_raw(base_url, target).startswith(b"HTTP/1.1 200 ")


def test_a_redirect_never_leads_to_another_host(base_url: str) -> None:
    """Attack: a link to //evil.example/%2e%2e that a server turns into a redirect to that host."""
    for target in ("//evil.example", "//evil.example/..", "/\\evil.example", "//acme/slack"):
        assert b"evil.example" not in ask_raw(base_url, target)
        assert b"HTTP/1.1 404 " in ask_raw(base_url, target)


def test_what_authors_upload_is_not_a_page(connection: http.client.HTTPConnection) -> None:
    """Attack: an author uploads a page among the artifacts, to run scripts on the browse site's origin."""
    _, headers, _ = ask(connection, "/plugins/acme/slack/1.0.0+b.1/evil.html")
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(connection: http.client.HTTPConnection, method: str) -> None:
    status, headers, _ = ask(connection, "/index.html", method=method)
    assert (status, headers["Allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, HEAD")


SIZE = len(CONTENT)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        (f"bytes=-{SIZE + 5}", 0, SIZE),
        (f"bytes=5-{SIZE + 99}", 5, SIZE),
        ("BYTES= 5-300000 ", 5, 300001),
    ],
)
def test_a_range(connection: http.client.HTTPConnection, asked: str, start: int, end: int) -> None:
    status, headers, data = ask(connection, f"/{ARCHIVE}", Range=asked)
    assert status == HTTPStatus.PARTIAL_CONTENT
    assert data == CONTENT[start:end]
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert headers["Content-Length"] == str(end - start)
    assert headers["ETag"]


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
def test_a_range_behind_the_end(connection: http.client.HTTPConnection, asked: str) -> None:
    status, headers, data = ask(connection, f"/{ARCHIVE}", Range=asked)
    assert (status, data) == (HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"")
    assert headers["Content-Range"] == f"bytes */{SIZE}"


def test_no_range_of_nothing(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "/empty.txt")[0] == HTTPStatus.OK
    assert ask(connection, "/empty.txt", Range="bytes=0-")[0] == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


@pytest.mark.parametrize(
    "asked", ["bytes=5-4", "bytes=-", "bytes=", "bytes=a-b", "lines=0-1", "bytes=0-1,4-5", "0-1", "bytes=0-" + "9" * 20]
)
def test_a_range_that_is_not_understood_is_ignored(connection: http.client.HTTPConnection, asked: str) -> None:
    status, _, data = ask(connection, f"/{ARCHIVE}", Range=asked)
    assert (status, data) == (HTTPStatus.OK, CONTENT)


def test_head_ignores_ranges(connection: http.client.HTTPConnection) -> None:
    status, headers, _ = ask(connection, f"/{ARCHIVE}", method="HEAD", Range="bytes=0-1")
    assert (status, headers["Content-Length"]) == (HTTPStatus.OK, str(SIZE))


def test_a_resumed_download_gets_the_same_file_or_all_of_it(connection: http.client.HTTPConnection) -> None:
    _, headers, _ = ask(connection, f"/{ARCHIVE}", method="HEAD")
    for condition, status in {
        headers["ETag"]: HTTPStatus.PARTIAL_CONTENT,
        headers["Last-Modified"]: HTTPStatus.PARTIAL_CONTENT,
        '"another"': HTTPStatus.OK,
        f"W/{headers['ETag']}": HTTPStatus.OK,
        "Thu, 01 Jan 1970 00:00:00 GMT": HTTPStatus.OK,
    }.items():
        assert ask(connection, f"/{ARCHIVE}", Range="bytes=5-9", If_Range=condition)[0] == status


def test_not_modified(connection: http.client.HTTPConnection) -> None:
    path = "/metadata/timestamp.json"
    _, headers, _ = ask(connection, path)
    etag, modified = headers["ETag"], headers["Last-Modified"]
    for request in (
        {"If_None_Match": etag},
        {"If_None_Match": f'"x", W/{etag}'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": modified},
        {"If_None_Match": etag, "Range": "bytes=0-1"},
    ):
        status, headers, data = ask(connection, path, **request)
        assert (status, data) == (HTTPStatus.NOT_MODIFIED, b"")
        assert (headers["ETag"], headers["Cache-Control"]) == (etag, "no-cache")
    for request in (
        {"If_None_Match": '"x"'},
        {"If_None_Match": '"x"', "If_Modified_Since": modified},
        {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If_Modified_Since": "yesterday"},
    ):
        assert ask(connection, path, **request)[0] == HTTPStatus.OK


def test_a_new_timestamp_has_a_new_tag(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    key = "metadata/timestamp.json"
    storage.put_mutable(key, Body.of_bytes(b"one", headers_for(key)))
    with running_server(tmp_path) as url, closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
        etag = ask(connection, f"/{key}")[1]["ETag"]
        storage.put_mutable(key, Body.of_bytes(b"two", headers_for(key)))  # of the same length, at the same time
        status, _, data = ask(connection, f"/{key}", If_None_Match=etag)
    assert (status, data) == (HTTPStatus.OK, b"two")


def test_a_file_replaced_while_it_is_read_stays_the_one_it_was(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    old = os.urandom(32 << 20)  # more than socket buffers hold, so the server has to wait for the reader
    storage.put_mutable("x.bin", Body.of_bytes(old, headers_for("x.bin")))
    with running_server(tmp_path) as url, closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
        connection.request("GET", "/x.bin")
        reply = connection.getresponse()
        storage.put_mutable("x.bin", Body.of_bytes(b"new", headers_for("x.bin")))
        assert reply.read() == old


def test_many_connections_at_once(base_url: str) -> None:
    connections = [http.client.HTTPConnection(urlsplit(base_url).netloc) for _ in range(20)]
    for connection in connections:  # all are open and wait for an answer before the first one is read
        connection.request("GET", f"/{ARCHIVE}")
    for connection in reversed(connections):
        with closing(connection):
            assert connection.getresponse().read() == CONTENT


def test_answers_go_out_at_once(base_url: str, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Without TCP_NODELAY each small answer waits for an acknowledgement: 23 requests a second, not thousands."""
    served: list[socket.socket] = []
    accept = socket.socket.accept

    def recorded(listener: socket.socket) -> tuple[socket.socket, object]:
        connection, address = accept(listener)
        served.append(connection)
        return connection, address

    monkeypatch.setattr(socket.socket, "accept", recorded)
    with running_server(root) as url, closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
        ask(connection, "/index.html")
        assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0 for each in served] == [True]


def test_a_reader_that_leaves_does_not_stop_the_others(base_url: str) -> None:
    with closing(http.client.HTTPConnection(urlsplit(base_url).netloc)) as leaving:
        leaving.request("GET", f"/{ARCHIVE}")
    with closing(http.client.HTTPConnection(urlsplit(base_url).netloc)) as staying:
        assert ask(staying, f"/{ARCHIVE}")[2] == CONTENT


def test_a_stopped_server_closes_its_connections(root: Path) -> None:
    answered = []
    for _ in range(3):  # somebody else may take its port at once
        with running_server(root) as url:
            connection = http.client.HTTPConnection(urlsplit(url).netloc)
            ask(connection, "/index.html")
        assert connection.sock.recv(1) == b""
        connection.close()
        with socket.socket() as later:
            answered.append(later.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) != errno.ECONNREFUSED)
    assert not all(answered)


def test_no_folder_no_server(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="missing"):
        serve(tmp_path / "missing")


def test_a_port_that_is_taken(root: Path, base_url: str) -> None:
    with pytest.raises(UnavailableError, match="can't listen") as caught:
        serve(root, port=urlsplit(base_url).port or 0)
    assert "--port" in (caught.value.hint or "")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(root: Path, sent: signal.Signals) -> None:
    script = (
        "import sys; from pathlib import Path; from registry_builder.site.preview.server import serve\n"
        "serve(Path(sys.argv[1]), on_ready=lambda url: print(url, flush=True))\n"
        "print('ended')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
            assert ask(connection, "/index.html")[0] == HTTPStatus.OK  # and stays open, idle
            process.send_signal(sent)
            output, errors = process.communicate()
    assert (process.returncode, output, errors) == (0, "ended\n", "")
