"""What a run under load came to, as figures and as a page. Pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Line = Mapping[str, Any]
"""What one operation was, as `benchmarks.load_agents` writes it."""

_SHOWN = 20
PERCENTILES = (50, 90, 95, 99)
GROWTH = 0.05
"""Memory counts as flat if its median grew by less than this from the second sixth of the soak to the last."""
GROWTH_KIB = 4096


@dataclass(frozen=True)
class Publish:
    """One publish: what was visible from when on, and what it took."""

    plugin: str
    version: str
    visible: float
    seconds: float
    rss_bytes: int


@dataclass(frozen=True)
class Run:
    """All that was seen.

    Attributes:
        start, soak: the lines of the agents that were started at once, and of the soak.
        first, second: the summaries of both.
        published: publishes in order; the first ones are those of the beginning.
        failed_publishes: what publishes said that failed.
        injected: faults by kind.
        requests: how many requests the proxy answered during the soak.
        proxy: memory in KiB of the process with the proxy, over the soak.
        proxy_files: its open files when nobody was served, before the soak and after it.
        loads: the machine's load average, over the soak.
        hosts: how many hosts there were.
        about: the machine, and how it was run.
    """

    start: Sequence[Line]
    soak: Sequence[Line]
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    published: Sequence[Publish]
    failed_publishes: Sequence[str]
    injected: Mapping[str, int]
    requests: int
    proxy: Sequence[int]
    proxy_files: tuple[int, int]
    loads: Sequence[float]
    hosts: int
    about: Mapping[str, str]


@dataclass(frozen=True)
class Flat:
    """How a process's memory and open files were in the second sixth of the soak and in the last."""

    who: str
    rss: tuple[int, int]
    fds: tuple[int, int]
    is_flat: bool = field(init=False)

    def __post_init__(self) -> None:
        grown = self.rss[1] - self.rss[0]
        flat = grown <= max(GROWTH * self.rss[0], GROWTH_KIB) and self.fds[1] <= self.fds[0]
        object.__setattr__(self, "is_flat", flat)


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that so many per cent are not above (the nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * part / 100) - 1)]


def flatness(who: str, sizes: Sequence[tuple[int, int]]) -> Flat:
    """Compare the second sixth of the samples (memory, open files) with the last; the first is for warming up."""
    sixth = max(1, len(sizes) // 6)
    early, late = sizes[sixth : 2 * sixth] or sizes, sizes[-sixth:]
    memory = [int(statistics.median(size for size, _ in part)) for part in (early, late)]
    files = [max(count for _, count in part) for part in (early, late)]
    return Flat(who, (memory[0], memory[1]), (files[0], files[1]))


def problems(run: Run) -> list[str]:
    """Return what must not be, whatever was injected; empty if all is as it should be."""
    lines = (*run.start, *run.soak)
    found = [f"a publish failed: {each}" for each in run.failed_publishes]
    found += [f"{each['who']}: not whole after: {each['op']}" for each in lines if each.get("whole") is False]
    found += [
        f"{each['who']}: {each['outcome']} without a fault: {each.get('why')}" for each in run.start if _failed(each)
    ]
    for line in run.soak:
        if line["op"] == "install cold" and not _failed(line):
            newest = newest_at(run.published, line["plugin"], line["began"])
            if number(line["version"]) < number(newest):
                found.append(f"{line['who']} got {line['plugin']} {line['version']}, and {newest} was visible before")
    current = 0
    for line in run.soak:
        if line["op"] == "last update" and not _failed(line):
            there = line["versions"].items()
            current += all(version == newest_at(run.published, plugin, line["began"]) for plugin, version in there)
    found += [f"{run.hosts - current} hosts didn't come up to date"] if current != run.hosts else []
    died = run.first["died"] + run.second["died"]
    found += [f"{died} processes died"] if died else []
    found += [f"{each.who}: memory or open files grew" for each in sizes(run) if not each.is_flat]
    return found


def newest_at(published: Sequence[Publish], plugin: str, moment: float) -> str:
    """Return the newest version of a plugin that was visible at a moment."""
    return max((each.version for each in published if each.plugin == plugin and each.visible <= moment), key=number)


def number(version: str) -> tuple[int, ...]:
    """Return a version of ours as numbers."""
    return tuple(map(int, version.split(".")))


def sizes(run: Run) -> list[Flat]:
    """Return how flat each process was that lived through the soak."""
    hosts = sorted({line["who"] for line in run.soak if "rss" in line})
    found = [
        flatness(who, [(line["rss"], line["fds"]) for line in run.soak if line["who"] == who and "rss" in line])
        for who in hosts
    ]
    if run.proxy:
        memory = flatness("server and proxy", [(each, 0) for each in run.proxy])
        found.append(replace(memory, fds=run.proxy_files))
    return found


def page(run: Run, *, remark: str = "") -> str:
    """Return docs/load-report.md."""
    wrong = problems(run)
    about, first = run.about, run.first
    done = sum(not _failed(line) for line in run.soak)
    failed = sorted(Counter((line["op"], line["outcome"]) for line in run.soak if _failed(line)).items())
    loads = f"{min(run.loads):.1f} to {max(run.loads):.1f}, median {statistics.median(run.loads):.1f}"
    cpu_ms, a_second = 1000 * first["cpu_s"] / max(1, first["started"]), first["started"] / first["wall_s"]
    injected = ", ".join(f"{count:,} {name}" for name, count in sorted(run.injected.items()))
    head = ("operation", "done", "failed", *(f"{each} %" for each in PERCENTILES), "slowest")
    judged = f"**{len(wrong)} wrong**: " + "; ".join(wrong[:_SHOWN]) if wrong else (
        "Nothing went wrong that no fault explains: every installation was whole, every agent got at least what was "
        "visible when it began, every host had the newest of everything at the end, no process died."
    )  # fmt: skip
    kinds = [(op, kind, f"{count:,}") for (op, kind), count in failed]
    return f"""\
# Under load

Written by `{about["command"]}` on {about["date"]}.
{about["machine"]}; load average of the machine during the soak: {loads}.
{remark}

{judged}

## Agents that start at once

{first["started"]:,} agents were started, at most {first["most_alive"]} alive at once, without faults. Each is a process
with an empty store: it refreshes from the pinned root, looks a plugin up, downloads, verifies, unpacks and proves it
whole. All of them took {first["wall_s"]:.1f} s: {a_second:.1f} agents a second, {cpu_ms:.0f} ms of CPU an agent.

{_table(head, _rows(run.start))}

## Soak

{about["soak"]}
{run.requests:,} requests were answered; {sum(run.injected.values()):,} answers were broken: {injected or "none"}.

{_table(head, _rows(run.soak))}

{done:,} of {len(run.soak):,} operations were done ({100 * done / max(1, len(run.soak)):.2f} %). Waits and retries for
faults are in their times. What failed, by kind (a byte that was changed in signed metadata is `verification`):

{_table(("operation", "error", "how many"), kinds) if kinds else "Nothing."}

{_publishes(run.published)}

## Memory and open files

Of the processes that lived through the soak, in its second sixth and in its last: the median of the memory, the most
open files. Flat is less than {100 * GROWTH:.0f} % or {GROWTH_KIB >> 10} MiB of growth, and no file more. The files of
server and proxy are those before the soak and after it, when nobody was served: during it they are connections.

{_table(("process", "memory then", "memory at the end", "files then", "files at the end", "flat"), _size_rows(run))}
"""


def _publishes(published: Sequence[Publish]) -> str:
    made = [each for each in published if each.seconds]
    if not made:
        return "Nothing was published meanwhile."
    seconds = [each.seconds for each in made]
    memory = max(each.rss_bytes for each in made) / 2**20
    return (
        f"{len(made)} releases were published meanwhile, each by a command of its own: {percentile(seconds, 50):.1f} s "
        f"in the median, {max(seconds):.1f} s at most, with at most {memory:.0f} MiB of memory."
    )


def _size_rows(run: Run) -> list[tuple[str, ...]]:
    return [
        (each.who, _mib(each.rss[0]), _mib(each.rss[1]), *map(str, each.fds), "yes" if each.is_flat else "**no**")
        for each in sizes(run)
    ]


def _failed(line: Line) -> bool:
    return bool(line["outcome"] != "done")


def _rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    rows = []
    for op in sorted({line["op"] for line in lines}):
        times = [line["s"] for line in lines if line["op"] == op and not _failed(line)]
        failed = sum(line["op"] == op and _failed(line) for line in lines)
        figures = [f"{percentile(times, part):.2f} s" for part in (*PERCENTILES, 100)] if times else [""] * 5
        rows.append((op, f"{len(times):,}", f"{failed:,}", *figures))
    return rows


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _mib(kib: int) -> str:
    return f"{kib / 1024:.1f} MiB"
