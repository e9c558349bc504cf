"""Many small files over one connection: in order, and given up wherever an answer isn't the plain one."""

from __future__ import annotations

import contextlib
import gzip
import random
import socketserver
import threading

import pytest
from support.ports import nobody_listens
from support.tree_server import TreeServer

from sealdex.transport import Transport, TransportSettings

FILES = {f"f/{number}": b"%d" % number * number for number in range(1, 60)}


def read(url: str, *wanted: tuple[str, int]) -> dict[str, bytes | None]:
    with Transport() as transport:
        pipeline = transport.pipeline(url)
        assert pipeline is not None
        asked = [(path, f"{url}/{path}", size) for path, size in wanted]
        return {key: data for key, data in pipeline.read(asked) if key is not None}


def test_all_files_come_in_order_with_one_request_each() -> None:
    with TreeServer(FILES) as server:
        found = read(server.url, *((path, len(data)) for path, data in FILES.items()))
        assert found == FILES
        assert list(found) == list(FILES)
        assert server.requests == list(FILES)


@pytest.mark.parametrize("instead", [404, 503, b"another length", b"", 301])
def test_what_is_not_the_plain_answer_is_given_up_and_the_rest_comes(instead: bytes | int) -> None:
    with TreeServer(FILES) as server:
        server.instead["f/7"] = instead
        found = read(server.url, *((path, len(data)) for path, data in FILES.items()))
        assert found == {**FILES, "f/7": None}


def test_a_gzipped_answer_is_unfolded_to_exactly_the_expected_size() -> None:
    packed = {"f/3": gzip.compress(b"333"), "f/5": gzip.compress(bytes(9_000_000)), "f/6": b"666666"}
    packed["f/7"] = gzip.compress(b"7777777")[:-4]  # cut off
    with TreeServer({**FILES, **packed}) as server:
        server.gzipped.update(packed)
        found = read(server.url, *((f"f/{number}", number) for number in range(2, 10)))
        assert found == {
            "f/2": b"22", "f/3": b"333", "f/4": b"4444", "f/5": None, "f/6": None, "f/7": None,
            "f/8": b"8" * 8, "f/9": b"9" * 9,
        }  # fmt: skip
        assert server.requests == [f"f/{number}" for number in range(2, 10)]


def test_an_answer_in_another_coding_is_given_up() -> None:
    with TreeServer(FILES) as server:
        server.coding = "br"
        server.gzipped.add("f/3")
        assert read(server.url, ("f/2", 2), ("f/3", 3), ("f/4", 4)) == {"f/2": b"22", "f/3": None, "f/4": b"4444"}


def test_answers_of_all_sizes_are_cut_out_whole() -> None:
    sizes = [1, 300_000, 5, 262_144, 262_143, 1 << 20, 70_000, 0, 16_384, 900_000, 3]
    files = {
        f"f/{number}": random.Random(number).randbytes(size)  # noqa: S311  # test data
        for number, size in enumerate(sizes)
    }
    with TreeServer(files) as server:
        assert read(server.url, *((path, len(data)) for path, data in files.items())) == files
        assert server.requests == list(files)


def test_a_head_without_end_is_not_read() -> None:
    """Holds the mirror: a head of megabytes."""
    with socketserver.TCPServer(("127.0.0.1", 0), _EndlessHead) as server, Transport() as transport:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        pipeline = transport.pipeline(url)
        assert pipeline is not None
        assert list(pipeline.read([("a", f"{url}a", 1)])) == [("a", None)]
        server.shutdown()
        thread.join()


class _EndlessHead(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(1 << 16)
        with contextlib.suppress(OSError):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + b"x: y\r\n" * 100_000)


def test_a_longer_answer_than_signed_is_not_read() -> None:
    with TreeServer({**FILES, "f/3": bytes(1 << 20)}) as server:
        assert read(server.url, ("f/2", 2), ("f/3", 3)) == {"f/2": b"22", "f/3": None}


def test_nothing_is_lost_where_nobody_listens() -> None:
    with nobody_listens() as port:
        found = read(f"http://127.0.0.1:{port}", ("f/2", 2), ("f/3", 3), ("f/4", 4))
    assert found == {"f/2": None, "f/3": None, "f/4": None}


def test_a_gap_in_what_is_wanted_gives_the_caller_a_turn() -> None:
    with TreeServer(FILES) as server, Transport() as transport:
        pipeline = transport.pipeline(server.url)
        assert pipeline is not None
        wanted = [None, ("a", f"{server.url}/f/1", 1), None]
        assert sorted(pipeline.read(wanted), key=str) == [("a", b"1"), (None, None), (None, None)]


def test_where_each_file_needs_a_request_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Transport().pipeline("file:///srv/") is None
    assert Transport(TransportSettings(max_bytes_per_second=1000)).pipeline("http://127.0.0.1:1/") is None
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:2")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert Transport().pipeline("http://registry.example/") is None
