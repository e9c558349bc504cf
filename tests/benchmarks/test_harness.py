"""The arithmetic of the benchmarks, and that budgets are declared once. Nothing depends on how long anything takes."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from support.places import REPOSITORY

ROOT = REPOSITORY
sys.path.insert(0, str(ROOT))  # benchmarks are a folder of the checkout, not an installed package

from benchmarks import budgets, harness  # noqa: E402  # needs the path above
from benchmarks.__main__ import MODULES  # noqa: E402  # the same
from benchmarks.agents import CROWD, crowd_result  # noqa: E402  # the same
from benchmarks.budgets import Budget  # noqa: E402  # the same
from benchmarks.delayed import delayed  # noqa: E402  # the same
from benchmarks.harness import (  # noqa: E402  # the same
    Command,
    CommandFailedError,
    Row,
    Sample,
    Series,
    Side,
    alternate,
    cpu,
    figure,
    rss,
    run,
    table,
    wall,
)
from benchmarks.report import END, begin_of, replaced  # noqa: E402  # the same
from benchmarks.slow_server import Served, sequential_rounds, slow_server  # noqa: E402  # the same
from benchmarks.synthetic import plugin_name, release_counts, release_values, version_name  # noqa: E402  # the same
from benchmarks.wheelfile import write_wheel  # noqa: E402  # the same

MIB = 2**20


def test_a_series_is_its_median_and_its_extremes() -> None:
    assert Series((3.0, 1.0, 2.0), "s").median == 2.0
    assert str(Series((3.0, 1.0, 2.0), "s")) == "2 s (1 to 3)"
    assert str(Series((4.0, 2.0), "s")) == "3 s (2 to 4)"
    assert str(Series((7.0, 7.0), "PUTs")) == "7 PUTs"


def test_samples_become_series_per_thing_handled() -> None:
    samples = [Sample(2.0, 1.0, 10 * MIB), Sample(4.0, 3.0, 30 * MIB)]
    assert wall(samples, per=1000, unit="ms").values == (2.0, 4.0)
    assert cpu(samples).values == (1.0, 3.0)
    assert rss(samples).median == 20.0


def test_the_ratio_is_that_of_medians_and_its_range_that_of_rounds() -> None:
    row = Row("work", Series((1.0, 2.0, 9.0), "s"), Series((2.0, 4.0, 3.0), "s"), "peer")
    assert row.ratio == pytest.approx(2 / 3)
    assert row.ratios == (0.5, 0.5, 3.0)
    assert row.within is None


@pytest.mark.parametrize(
    ("budget", "ours", "within"),
    [
        (Budget(1.0, "ratio"), 2.0, True),
        (Budget(1.0, "ratio", strict=True), 2.0, False),
        (Budget(1.0, "ratio"), 2.1, False),
        (Budget(2.0, "s"), 2.0, True),
        (Budget(2.0, "s", strict=True), 2.0, False),
    ],
)
def test_a_budget_is_kept_or_not(budget: Budget, ours: float, within: bool) -> None:
    assert Row("work", Series((ours,), "s"), Series((2.0,), "s"), "peer", budget).within is within


def test_a_budget_in_another_unit_or_without_its_peer_is_refused() -> None:
    with pytest.raises(ValueError, match="the budget is in MiB"):
        Row("work", Series((1.0,), "s"), budget=Budget(1, "MiB"))
    with pytest.raises(ValueError, match="needs a peer"):
        Row("work", Series((1.0,), "s"), budget=Budget(1, "ratio"))
    with pytest.raises(ValueError, match="can't be compared"):
        Row("work", Series((1.0,), "s"), Series((1.0,), "ms"), "peer")


def test_the_table_is_markdown_with_one_line_a_row() -> None:
    rows = [
        Row("a | b", Series((1.0,), "s"), Series((2.0,), "s"), "tar", Budget(1, "ratio")),
        Row("memory", Series((90.0,), "MiB"), budget=Budget(80, "MiB")),
    ]
    lines = table(rows).splitlines()
    assert lines[2] == r"| a \| b | 1 s | tar: 2 s | 0.5 (0.5 to 0.5) | ≤ 1 | yes |"
    assert lines[3] == "| memory | 90 MiB |  |  | ≤ 80 MiB | **no** |"
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.000012345, "0.000012"), (0.1234, "0.123"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_sides_are_run_in_turn_and_prepared_each_time(tmp_path: Path) -> None:
    order: list[str] = []

    def side(name: str) -> Side:
        return Side(
            command=lambda number: Command([sys.executable, "-c", f"print('{name}{number}')"], tmp_path),
            before=lambda number: order.append(f"before {name}{number}"),
            after=lambda _number, sample: order.append(sample.output.strip()),
        )

    samples = alternate([side("A"), side("B")], 2)
    assert order == ["before A0", "A0", "before B0", "B0", "before A1", "A1", "before B1", "B1"]
    assert [len(kept) for kept in samples] == [2, 2]


def test_a_run_counts_descendants_and_reports_failure(tmp_path: Path) -> None:
    eats = "b = bytearray(64 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1"
    sample = run(Command(["sh", "-c", f"{sys.executable} -c '{eats}'; true"], tmp_path))
    assert sample.rss_bytes > 64 * MIB  # of the grandchild
    assert sample.wall_s > 0
    with pytest.raises(CommandFailedError, match=r"exited with 3:\nwhat went wrong"):
        run(Command(["sh", "-c", "echo what went wrong >&2; exit 3"], tmp_path))


def test_a_run_that_is_given_up_ends_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LIMIT_S", 0.5)
    holds_a_lock = (
        "import fcntl, pathlib, time\n"
        "lock = open('lock', 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "time.sleep(20)\n"
        "pathlib.Path('lived on').touch()\n"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        run(Command([sys.executable, "-c", holds_a_lock], tmp_path))
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it when its holder has ended
    assert not (tmp_path / "lived on").exists()


def test_commands_may_keep_compiled_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    says = Command([sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"], tmp_path)
    assert run(says).output.strip() == "False"


def test_requests_that_overlap_are_one_round() -> None:
    def served(start: float, end: float) -> Served:
        return Served("/", 200, start, end, 1)

    assert sequential_rounds([]) == 0
    assert sequential_rounds([served(0, 1), served(0.1, 1.1), served(0.2, 1.2)]) == 1
    assert sequential_rounds([served(0, 1), served(1, 2), served(1.1, 2.1), served(2.2, 3)]) == 3
    # a slow one beside two in turn takes nothing away
    assert sequential_rounds([served(0, 5), served(0, 1), served(1, 2)]) == 2


def test_a_synthetic_registry_adds_up_and_is_the_same_each_time() -> None:
    counts = release_counts(400, 2000)
    assert sum(counts) == 2000
    assert min(counts) >= 1
    assert max(counts) > 20  # few plugins have many releases, as in the index it is modelled on
    assert counts == release_counts(400, 2000)
    assert len({plugin_name(number) for number in range(50_000)}) == 50_000
    assert len({version_name(number) for number in range(2000)}) == 2000
    assert release_values(3, 1) == release_values(3, 1)
    with pytest.raises(ValueError, match="at least"):
        release_counts(10, 9)


def test_a_report_replaces_what_stood_between_the_markers() -> None:
    first, second = begin_of("install"), begin_of("update")
    page = f"above\n{first}\nold\n{END}\nbetween\n{second}\nold\n{END}\nbelow\n"
    once = replaced(page, "new\n", begin=second)
    assert once == f"above\n{first}\nold\n{END}\nbetween\n{second}\n\nnew\n\n{END}\nbelow\n"
    assert replaced(replaced(page, "x", begin=second), "new\n", begin=second) == once
    with pytest.raises(ValueError, match="markers"):
        replaced("no markers", "new", begin=first)


def test_every_budget_that_is_measured_is_declared_once() -> None:
    declared = [value for value in vars(budgets).values() if isinstance(value, Budget)]
    assert len(declared) == len(budgets.ALL)
    assert {id(budget) for budget in declared} == {id(budget) for budget in budgets.ALL.values()}
    # these are the design's; whoever loosens one here has to loosen it there
    actual = {name: dataclasses.astuple(budget) for name, budget in budgets.ALL.items()}
    asked = {
        "install: wall": (1.0, "ratio", False),
        "install: memory": (80, "MiB", False),
        "look-up: rounds": (4, "rounds", False),
        "look-up: bytes": (200, "KB", False),
        "look-up: memory": (100, "MiB", False),
        "start: wall": (1.9, "ratio", False),
        "first second: wall": (1.1, "ratio", False),
        "first second: delayed": (1.0, "ratio", True),
        "agents: uv": (2.0, "ratio", False),
        "agents: pip": (0.5, "ratio", False),
        "publish one: PUTs": (12, "PUTs", False),
        "publish one: CPU": (3.0, "s", True),
        "build: time a package": (1.0, "ratio", True),
        "search page: a query": (100, "ms", True),
    }
    assert {name: actual.get(name) for name in asked} == asked


def test_no_benchmark_declares_a_budget_of_its_own_and_none_is_left_unmeasured() -> None:
    names = {name for name, value in vars(budgets).items() if isinstance(value, Budget)}
    used: set[str] = set()
    for path in (ROOT / "benchmarks").glob("*.py"):
        text = path.read_text()
        if path.name != "budgets.py":
            assert "Budget(" not in text, f"{path.name}: budgets belong into budgets.py"
            used |= {name for name in names if re.search(rf"\b{name}\b", text)}
    assert used == names


def test_many_processes_are_started_at_once_and_one_that_fails_ends_the_run(tmp_path: Path) -> None:
    def crowd(*scripts: str) -> str:
        commands = [
            {"argv": ["/bin/sh", "-c", script], "env": {}, "log": str(tmp_path / str(number))}
            for number, script in enumerate(scripts)
        ]
        listed = tmp_path / "commands.json"
        listed.write_text(json.dumps(commands))
        return subprocess.run([sys.executable, CROWD, listed], capture_output=True, text=True, check=True).stdout

    assert set(crowd_result(crowd("true", "echo hello"))) == {"wall_s", "cpu_s"}
    with pytest.raises(RuntimeError, match="1 agents failed, the first: no room"):
        crowd_result(crowd("true", "echo no room; exit 3"))


def test_bytes_arrive_a_round_trip_later(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    with slow_server(tmp_path, 0) as server, delayed(server.url, 0.2) as far:
        began = time.monotonic()
        with urllib.request.urlopen(f"{far}/file") as answer:
            assert len(answer.read()) == 100_000
    assert time.monotonic() - began >= 0.4  # the connection, and the request


def test_a_wheel_of_the_benchmarks_is_one_that_installers_take(tmp_path: Path) -> None:
    digest = write_wheel(tmp_path, "bench_tool", "1.0.0", b"VALUE = 7\n")
    assert len(digest) == 64
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(tmp_path / "t"), *map(str, tmp_path.glob("*.whl"))], check=True)
    assert (tmp_path / "t" / "bench_tool.py").read_bytes() == b"VALUE = 7\n"


def test_the_page_has_a_place_for_every_benchmark() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text()
    for name in MODULES:
        assert page.count(begin_of(name)) == 1
        replaced(page, "new", begin=begin_of(name))
