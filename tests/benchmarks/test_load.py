"""The run under load, a small form of it, and what its report must not pass over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.places import REPOSITORY

sys.path.insert(0, str(REPOSITORY))  # benchmarks are a folder of the checkout, not an installed package

from benchmarks.load import Options, measure
from benchmarks.load_report import Publish, Run, flatness, newest_at, page, percentile, problems


@pytest.mark.slow
def test_a_small_run_has_every_part_and_nothing_goes_wrong(tmp_path: Path) -> None:
    options = Options(
        seconds=2, agents=5, alive=3, rate=1, hosts=1, interval=0.3, publish_every=0.8, faults=0.03, plain_server=True
    )
    done = measure(options, tmp_path, "python -m benchmarks.load")
    # memory isn't judged by two seconds
    assert [each for each in problems(done) if "memory or open files" not in each] == []
    assert (done.first["started"], done.first["died"]) == (5, 0)
    assert done.first["most_alive"] <= 3
    assert done.second["most_alive"] <= 3
    assert [line["outcome"] for line in done.start] == ["done"] * 5
    assert {"install all", "last update"} <= {line["op"] for line in done.soak}
    text = page(done, remark="A remark.")
    for part in (
        "# Under load",
        "A remark.",
        "## Soak",
        "| install cold | 5 | 0 |",
        "| host-0 |",
        "| server and proxy |",
    ):
        assert part in text


LINE: dict[str, Any] = {"who": "agent-1", "op": "install cold", "began": 20.0, "s": 1.0, "outcome": "done"}


def seen(**changes: Any) -> Run:
    published = [Publish("a/b", "1.0.0", 0.0, 0.0, 0), Publish("a/b", "1.10.0", 10.0, 1.0, 2**20)]
    summary = {"started": 1, "most_alive": 1, "wall_s": 1.0, "cpu_s": 1.0, "died": 0}
    usual: dict[str, Any] = {
        "start": [{**LINE, "plugin": "a/b", "version": "1.0.0", "whole": True}],
        "soak": [],
        "first": summary,
        "second": summary,
        "published": published,
        "failed_publishes": [],
        "injected": {"slow": 2},
        "requests": 9,
        "proxy": [1000] * 6,
        "proxy_files": (5, 5),
        "loads": [1.0],
        "hosts": 0,
        "about": dict.fromkeys(("command", "date", "machine", "soak"), "-"),
    }
    return Run(**usual | changes)


def test_what_no_fault_explains_is_named() -> None:
    assert problems(seen()) == []
    old = {**LINE, "plugin": "a/b", "version": "1.0.0", "whole": True}
    last = {**LINE, "who": "host-0", "op": "last update", "whole": True, "versions": {"a/b": "1.0.0"}}
    for changed, said in (
        ({"soak": [old]}, "1.10.0 was visible before"),
        ({"soak": [{**old, "version": "1.10.0", "whole": False}]}, "not whole"),
        ({"start": [{**old, "outcome": "unavailable", "why": "no"}]}, "without a fault"),
        ({"hosts": 1}, "didn't come up to date"),
        ({"hosts": 1, "soak": [last]}, "didn't come up to date"),
        ({"second": {**seen().first, "died": 1}}, "1 processes died"),
        ({"failed_publishes": ["no disk"]}, "a publish failed: no disk"),
        ({"proxy_files": (5, 6)}, "memory or open files grew"),
        ({"proxy": [1000] * 5 + [9000]}, "memory or open files grew"),
    ):
        (problem,) = problems(seen(**changed))
        assert said in problem
        assert said in page(seen(**changed))
    failed = {**LINE, "plugin": "a/b", "outcome": "unavailable", "why": "a fault"}
    assert problems(seen(soak=[failed])) == []
    assert "| install cold | unavailable | 1 |" in page(seen(soak=[failed]))


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(each) for each in range(1, 101)]
    assert [percentile(values, part) for part in (50, 90, 99, 100)] == [50.0, 90.0, 99.0, 100.0]
    assert percentile([3.0], 50) == 3.0


def test_warming_up_does_not_count_as_growth() -> None:
    assert flatness("host", [(100, 5)] + [(90_000, 7)] * 11).is_flat
    assert not flatness("host", [(90_000, 7)] * 10 + [(99_000, 7)] * 2).is_flat
    assert not flatness("host", [(90_000, 7)] * 10 + [(90_000, 8)] * 2).is_flat
    assert not flatness("host", [(90_000, 7)] * 15 + [(90_000, 9), (90_000, 7), (90_000, 7)]).is_flat


def test_the_newest_is_what_was_visible_then() -> None:
    published = seen().published
    assert newest_at(published, "a/b", 9.0) == "1.0.0"
    assert newest_at(published, "a/b", 10.0) == "1.10.0"
