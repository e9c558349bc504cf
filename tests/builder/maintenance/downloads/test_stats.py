"""``sealdex-builder stats``: from logs to numbers, each download once, and none in another realm's file."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.nginx_server import nginx
from support.source_trees import Tree

from registry_builder.maintenance.audit import audit_realm
from registry_builder.maintenance.downloads._log_lines import Answer
from registry_builder.maintenance.downloads._tally import Places, Tally
from registry_builder.maintenance.downloads.stats import count_downloads, merged, publish_stats
from registry_builder.maintenance.gc import plan_gc
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.storage import LostRaceError, Storage
from registry_builder.storage.forwarding import ForwardingStorage
from sealdex.errors import SealdexError
from sealdex.model.decode import encode_json
from sealdex.model.downloads import STATS_KEY, DownloadStats
from sealdex.model.ids import PluginId
from sealdex.transport import Transport

SLACK = "/plugins/acme/slack/1.0.0/slack-1.0.0.bin"
SIZE = len("acme/slack 1.0.0\n")


def line(
    path: str = SLACK, *, day: int = 20, status: int = 200, sent: int = SIZE, agent: str = "sealdex", **more: str
) -> str:
    method, ip, second = more.get("method", "GET"), more.get("ip", "198.51.100.7"), more.get("second", "00")
    when = f"{day:02}/Nov/2026:12:00:{second} +0000"
    return f'{ip} - - [{when}] "{method} {path} HTTP/1.1" {status} {sent} "-" "{agent}"\n'


@pytest.fixture
def live(tree: Tree) -> Tree:
    publish_realm(open_publisher(tree.load(), "public"))
    return tree


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, name: str = "access.log") -> Path:
        path = tmp_path / "logs" / name
        path.parent.mkdir(exist_ok=True)
        data = "".join(lines).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def test_what_counts(live: Tree, log: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = log(
        line(),
        line(day=21, ip="2001:db8::1"),
        line(f"{SLACK}?x=1", day=21),
        line("/plugins/acme/mail/0.1.0/mail-0.1.0.bin"),
        line(status=304, sent=0),
        line(status=404),
        line(status=503),
        line(method="HEAD"),
        line(agent="curl/8.5"),
        line("/plugins/acme/slack/1.0.0/manifest.json"),
        line("/metadata/timestamp.json"),
        line("/plugins/acme/slack/9.9.9/slack-9.9.9.bin"),
        line("/plugins/%2e%2e/%2e%2e/%3Cscript%3E/x"),
        line("/plugins/名前/プラグイン/1.0.0/x.bin"),
        line(f"/elsewhere{SLACK}"),
    )
    told = document(live.root, capsys, "stats", path)
    assert told["stats"]["plugins"] == {
        "acme/mail": {"0.1.0": {"2026-11-20": 1}},
        "acme/slack": {"1.0.0": {"2026-11-20": 1, "2026-11-21": 2}},
    }
    assert (told["stats"]["first_day"], told["stats"]["last_day"]) == ("2026-11-20", "2026-11-21")
    assert (told["downloads"], told["unknown"], told["elsewhere"], told["repeated"]) == (4, 4, 1, 0)
    assert told["written"] is told["published"] is None
    assert "198.51" not in json.dumps(told)
    assert "2001:db8" not in json.dumps(told)


def tally(*answers: tuple[int, int | None, bool, int], size: int = 100) -> int:
    """Downloads of answers: status, start, whether the log says ranges, and bytes sent."""
    counts = Tally(Places(frozenset({""})), lambda _: {("1.0.0", "x.zip"): size})
    lines = [
        (
            Answer(date(2026, 11, 20), "GET", "/plugins/a/b/1.0.0/x.zip", status, sent, start, says_ranges=says),
            f"{number}".encode(),
        )
        for number, (status, start, says, sent) in enumerate(answers)
    ]
    counts.add(lines)
    counts.finish()
    return counts.downloads[PluginId("a", "b"), "1.0.0", date(2026, 11, 20)]


@pytest.mark.parametrize(
    ("answers", "downloads"),
    [
        ([(206, 0, True, 25), (206, 25, True, 25), (206, 50, True, 50)], 1),  # in ranges
        ([(200, None, True, 40), (206, 40, True, 60)], 1),  # interrupted, and continued
        ([(206, 40, True, 60)], 0),  # an update by what differs
        ([(206, None, False, 25)] * 4, 1),  # the same, where the log doesn't say which range
        ([(200, None, False, 40), (206, None, False, 60)], 1),
        ([(206, None, False, 30)] * 2, 0),
        ([(206, None, False, 60)] * 7, 4),
        ([(206, None, False, 10**17)], 1),  # more than there is: no more than a whole file
        ([(200, None, False, 10**17)], 1),
    ],
)
def test_a_download_in_ranges_counts_once(answers: list[tuple[int, int | None, bool, int]], downloads: int) -> None:
    assert tally(*answers) == downloads


def test_the_same_log_twice_counts_once(
    live: Tree, log: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two requests that look alike are two in one log; in two logs they are the same."""
    morning = [line(), line(), line(second="01")]
    log(*morning, name="a.log")
    log(*morning, name="a.log.gz")
    evening = log(*morning, line(second="02"), name="evening.log")  # the same log, later in the day
    told = document(live.root, capsys, "stats", evening.parent, evening)
    assert (told["logs"], told["downloads"], told["repeated"]) == (3, 4, 6)


def test_requests_with_an_id_count_once_even_in_one_log(
    live: Tree, log: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"time_iso8601": "2026-11-20T12:00:00Z", "request": f"GET {SLACK} HTTP/1.1", "status": 200}
    lines = [json.dumps({**values, "http_user_agent": "sealdex", "request_id": each}) for each in "aab"]
    told = document(live.root, capsys, "stats", log("\n".join(lines), name="x.json"))
    assert (told["downloads"], told["repeated"]) == (2, 1)


def test_a_file_is_merged_day_by_day(
    live: Tree, log: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "stats.json"
    first = log(line(), line(), line(day=21), name="1.log")
    assert call(live.root, "stats", first, "--output", out) == 0
    before = out.read_bytes()
    assert call(live.root, "stats", first, "--output", out) == 0
    assert out.read_bytes() == before
    second = log(line(), line(day=22), name="2.log")
    assert call(live.root, "stats", second, "--output", out) == 0
    found = json.loads(out.read_bytes())
    assert found["plugins"]["acme/slack"]["1.0.0"] == {"2026-11-20": 2, "2026-11-21": 1, "2026-11-22": 1}
    assert call(live.root, "stats", second, "--output", out, "--days", 1) == 0
    found = json.loads(out.read_bytes())
    assert (found["first_day"], found["plugins"]["acme/slack"]["1.0.0"]) == ("2026-11-22", {"2026-11-22": 1})
    assert call(live.root, "stats", second, "--output", out, "--replace") == 0
    assert json.loads(out.read_bytes())["first_day"] == "2026-11-20"
    out.write_text('{"format": 2}')
    capsys.readouterr()
    assert call(live.root, "stats", second, "--output", out) == 1
    assert "has format 2" in capsys.readouterr().err
    assert out.read_text() == '{"format": 2}'


def test_every_problem_is_told_with_file_and_line(
    live: Tree, log: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And never what stands in the line, which may be an address or a private name."""
    good = log(line(), name="good.log")
    cut = log(*[line(second=f"{second:02}") for second in range(60)], name="cut.log.gz")
    cut.write_bytes(cut.read_bytes()[:-30])
    log(
        line(),
        "garbled sealdex secret/name 198.51.100.7\n",
        line(second="07"),
        "sealdex" * 20_000 + "\n",
        name="bad.log",
    )
    log("no log\n", name="notes.txt")
    log("", name="empty.log")
    (good.parent / "wide.log").write_bytes(line().encode("utf-16"))
    (good.parent / "x.parquet").write_bytes(b"PAR1....")
    log(line().replace("2026", "2999"), name="future.log")
    capsys.readouterr()
    assert call(live.root, "stats", good.parent, "--publish") == 1
    err = " ".join(capsys.readouterr().err.split())
    for told in (
        "bad.log:2: the line is not a line of nginx",
        "bad.log:4: the line has more than 65536 bytes",
        "cut.log.gz:",
        "the gzip file ends in the middle",
        "notes.txt:1: is not a log of CloudFront",
        "wide.log: is in UTF-16",
        "x.parquet: is in Parquet",
        "future.log:1: the line is of 2999-11-20, which is in the future",
        "--skip-unreadable",
    ):
        assert told in err
    assert "198.51" not in err
    assert "secret" not in err
    assert not (live.root.parent / "published/public/api").exists()
    told = document(live.root, capsys, "stats", good.parent, "--skip-unreadable")
    assert told["downloads"] >= 2
    assert {Path(each["file"]).name for each in told["skipped"]} == {
        "bad.log", "cut.log.gz", "notes.txt", "wide.log", "x.parquet", "future.log",
    }  # fmt: skip
    assert call(live.root, "stats", tmp_path / "missing") == 3


def stats_in(storage: Storage) -> Any:
    return json.loads(storage.get(STATS_KEY, max_bytes=1 << 20).data)


def test_it_is_put_with_one_put_and_known_to_who_looks_after_the_store(
    tree: Tree, open_again: Callable[[], Storage], log: Callable[..., Path]
) -> None:
    publish_realm(open_publisher(tree.load(), "public", storage=open_again()))
    publisher = open_publisher(tree.load(), "public", storage=open_again())
    counted = count_downloads(publisher, [log(line())])
    before = publisher.storage.requests["PUT"]
    publish_stats(publisher, counted, days=90)
    assert publisher.storage.requests["PUT"] == before + 1
    publish_stats(publisher, counted, days=90)
    assert publisher.storage.requests["PUT"] == before + 1  # nothing changed
    assert stats_in(publisher.storage)["plugins"] == {"acme/slack": {"1.0.0": {"2026-11-20": 1}}}
    found = audit_realm(publisher)
    assert (found.problems, found.unreached, found.has_stats) == ((), (), True)
    plan = plan_gc(publisher, days=0, grace=0)
    assert STATS_KEY not in {each.key for each in (*plan.removable, *plan.marked)}
    tree.release("acme/slack", "1.1.0")
    publish_realm(open_publisher(tree.load(), "public", storage=open_again()))
    assert stats_in(publisher.storage)["plugins"] == {"acme/slack": {"1.0.0": {"2026-11-20": 1}}}


class Racing(ForwardingStorage):
    """Another count is written between reading and writing."""

    def __init__(self, storage: Storage, other: Callable[[], object]) -> None:
        super().__init__(storage)
        self.other: Callable[[], object] | None = other

    def put_if_match(self, *args: Any) -> str:
        other, self.other = self.other, None
        if other is not None:
            other()
        return super().put_if_match(*args)


def test_of_two_counts_at_once_none_is_lost(live: Tree, log: Callable[..., Path]) -> None:
    publisher = open_publisher(live.load(), "public")
    one = count_downloads(publisher, [log(line(), name="1.log")])
    two = count_downloads(publisher, [log(line(day=21), name="2.log")])
    plain = publisher.storage
    publisher.storage = Racing(plain, lambda: publish_stats(open_publisher(live.load(), "public"), two, days=90))
    publish_stats(publisher, one, days=90)
    assert stats_in(plain)["plugins"]["acme/slack"]["1.0.0"] == {"2026-11-20": 1, "2026-11-21": 1}

    class Losing(ForwardingStorage):
        def put_if_match(self, key: str, *_: Any) -> str:
            raise LostRaceError(key, "here")

    publisher.storage = Losing(plain)
    with pytest.raises(SealdexError, match="changed by others 5 times"):
        publish_stats(publisher, count_downloads(publisher, [log(line(day=22), name="3.log")]), days=90)


def test_no_name_of_another_realm_is_counted(
    tmp_path: Path, log: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Attack: who reads a realm's stats.json looks for names of others; the log is of a server that has both."""
    tree = Tree.make(tmp_path / "source", realms=("public", "team"))
    for name, realm in (("acme/slack", "public"), ("skunkworks/warpdrive", "team")):
        tree.plugin(name, realm=realm)
        tree.release(name, "1.0.0")
    for realm in ("public", "team"):
        publish_realm(open_publisher(tree.load(), realm))
    path = log(line(), line("/plugins/skunkworks/warpdrive/1.0.0/warpdrive-1.0.0.bin", sent=99))
    out = tmp_path / "out.json"
    # written there by mistake, or by whoever can write there
    earlier = DownloadStats(1, "", "2026-11-01", "2026-11-20", {"skunkworks/warpdrive": {"1.0.0": {"2026-11-20": 7}}})
    out.write_bytes(encode_json(earlier))
    told = document(tree.root, capsys, "stats", path, "--output", out, "--publish")
    published = (tmp_path / "published/public" / STATS_KEY).read_text()
    assert "warpdrive" not in f"{told}{out.read_text()}{published}"
    assert told["unknown"] == 1
    team = document(tree.root, capsys, "stats", path, "--realm", "team")
    assert list(team["stats"]["plugins"]) == ["skunkworks/warpdrive"]


def test_other_places_in_a_log_count_only_if_they_are_the_realms(
    live: Tree, log: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = live.root / "registry.toml"
    storage = '"folder:../published/public"'
    url = f'{storage}\nurl = "https://plugins.example/acme%20tools/"'
    config.write_text(config.read_text().replace(storage, url))
    path = log(line(f"/acme%20tools{SLACK}"), line(), line(f"/staging{SLACK}"))
    told = document(live.root, capsys, "stats", path)
    assert (told["downloads"], told["elsewhere"]) == (1, 2)
    assert document(live.root, capsys, "stats", path, "--prefix", "/staging/")["downloads"] == 1


def test_nothing_in_the_logs_is_said_and_not_published(
    live: Tree, log: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = log(line(agent="curl/8.5"))
    assert call(live.root, "stats", path) == 0
    assert "no answer in the logs was to sealdex" in capsys.readouterr().err
    assert call(live.root, "stats", path, "--publish") == 2
    config = live.root / "registry.toml"
    pages = '"pages:../published/public"\nurl = "https://acme.example/"'
    config.write_text(config.read_text().replace('"folder:../published/public"', pages))
    publisher = open_publisher(live.load(), "public")
    with pytest.raises(SealdexError, match="GitHub Pages"):
        publish_stats(publisher, count_downloads(open_publisher(live.load(), "public"), [log(line())]), days=1)


def test_merging_keeps_the_larger_number_and_the_last_days() -> None:
    def of(last: str, **days: int) -> DownloadStats:
        numbers = {f"2026-11-{day[1:]}": number for day, number in days.items()}
        return DownloadStats(
            1, "", "2026-11-01", last, {"a/b": {"1.0.0": numbers, "0.9.0": {}}, "x/y": {"1.0.0": numbers}}
        )

    both = merged(of("2026-11-20", d20=3, d19=1, d10=9), of("2026-11-19", d20=2, d19=4), {"a/b"}, days=5)
    assert both.plugins == {"a/b": {"1.0.0": {"2026-11-19": 4, "2026-11-20": 3}}}
    assert (both.first_day, both.last_day) == ("2026-11-16", "2026-11-20")


def test_nginx_writes_what_our_client_does_and_it_is_counted(
    live: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real server's log, combined and JSON, of whole answers, ranges, and requests that are no downloads."""
    plain, as_json = tmp_path / "logs.log", tmp_path / "json.log"
    http = (
        'log_format j escape=json \'{"time":"$time_iso8601","request":"$request","status":"$status",'
        '"range":"$http_range","bytes":"$body_bytes_sent","agent":"$http_user_agent","id":"$request_id"}\';'
    )
    server = f"root {tmp_path / 'published/public'}; access_log {plain} combined; access_log {as_json} j;"
    with nginx(tmp_path / "nginx", server=server, http=http) as address, Transport() as transport:
        url = f"{address}{SLACK}"
        for start in (0, 0, 5):
            with transport.stream(url, start=start) as stream:
                assert b"".join(stream.chunks())
        assert transport.read(f"{address}/metadata/timestamp.json", max_bytes=1 << 20)
        while any(path.read_text().count("\n") < 4 for path in (plain, as_json)):
            time.sleep(0.01)  # a request is logged when its answer is on its way
    for path in (plain, as_json):
        told = document(live.root, capsys, "stats", path)
        assert (told["downloads"], told["unknown"]) == (2, 0), path
