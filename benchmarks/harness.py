"""Timing, alternation and arithmetic: commands become samples, samples become series, series become rows of a table."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.budgets import Budget

LAUNCHER = Path(__file__).with_name("launch.py")
LIMIT_S = 7200.0
"""A command that takes longer is ended: something hangs."""


class CommandFailedError(RuntimeError):
    """A measured command did not exit with 0; the message ends with what it wrote."""


@dataclass(frozen=True)
class Command:
    """What to run: an argument list, where, and which environment variables to add."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """What one run of a command took.

    Attributes:
        wall_s: seconds from spawning to the end.
        cpu_s: user and system seconds of the command and all its descendants that were waited for.
        rss_bytes: peak resident memory of the largest single process among them.
        output: what it wrote to stdout and stderr.
    """

    wall_s: float
    cpu_s: float
    rss_bytes: int
    output: str = ""


@dataclass(frozen=True)
class Side:
    """One of the sides that are compared: what to run in round ``n``, and what to do before it, unmeasured."""

    command: Callable[[int], Command]
    before: Callable[[int], None] | None = None
    after: Callable[[int, Sample], None] | None = None


def run(command: Command) -> Sample:
    """Run a command once through the launcher.

    Raises:
        CommandFailedError: it did not exit with 0.
    """
    log = command.cwd / ".benchmark.log"
    request = {
        "argv": list(command.argv),
        "cwd": str(command.cwd),
        "env": {**_environment(), **command.env},
        "log": str(log),
    }
    launcher = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(request)], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        answer, _ = launcher.communicate(timeout=LIMIT_S)
    except BaseException:
        os.killpg(launcher.pid, signal.SIGKILL)  # giving up on the run ends the command too
        launcher.wait()
        raise
    output = log.read_text(errors="replace")
    log.unlink()
    result = json.loads(answer)
    if result["status"] != 0:
        raise CommandFailedError(f"{' '.join(command.argv)} exited with {result['status']}:\n{output[-4000:]}")
    return Sample(result["wall_s"], result["cpu_s"], result["rss_bytes"], output)


def _environment() -> dict[str, str]:
    """Return our environment without what would make each start of Python recompile its modules."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def alternate(sides: Sequence[Side], rounds: int) -> list[list[Sample]]:
    """Run the sides in turn, A B A B ..., and return the samples of each side.

    What an earlier run still has to write back is synced before each run, so that no side pays for another.
    """
    samples: list[list[Sample]] = [[] for _ in sides]
    for number in range(rounds):
        for side, kept in zip(sides, samples, strict=True):
            if side.before is not None:
                side.before(number)
            os.sync()
            sample = run(side.command(number))
            if side.after is not None:
                side.after(number, sample)
            kept.append(sample)
    return samples


@dataclass(frozen=True)
class Series:
    """Values of several runs in one unit (``s``, ``ms``, ``µs``, ``MiB``, ``KB`` or a word for what is counted)."""

    values: tuple[float, ...]
    unit: str

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        text = f"{figure(self.median)} {self.unit}"
        return text if figure(low) == figure(high) else f"{text} ({figure(low)} to {figure(high)})"


def wall(samples: Sequence[Sample], *, per: int = 1, unit: str = "s") -> Series:
    """Wall times, divided by how many things a run handled."""
    return _times([sample.wall_s for sample in samples], per, unit)


def cpu(samples: Sequence[Sample], *, per: int = 1, unit: str = "s") -> Series:
    """CPU times of the process tree, divided by how many things a run handled."""
    return _times([sample.cpu_s for sample in samples], per, unit)


def rss(samples: Sequence[Sample]) -> Series:
    """Peak memory in MiB."""
    return Series(tuple(sample.rss_bytes / 2**20 for sample in samples), "MiB")


def _times(seconds: Sequence[float], per: int, unit: str) -> Series:
    factor = {"s": 1.0, "ms": 1e3, "µs": 1e6}[unit]
    return Series(tuple(value * factor / per for value in seconds), unit)


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of ours, and beside it a peer's, a budget, or both.

    Attributes:
        work: what was measured.
        ours: our figure.
        peer: the peer's, in the same unit.
        peer_name: what the peer is.
        budget: what is asked; a budget on the ratio needs a peer.
    """

    work: str
    ours: Series
    peer: Series | None = None
    peer_name: str = ""
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if self.peer is not None and self.peer.unit != self.ours.unit:
            raise ValueError(f"{self.work}: {self.ours.unit} can't be compared with {self.peer.unit}")
        if self.budget is not None and self.budget.unit != ("ratio" if self.budget.on_ratio else self.ours.unit):
            raise ValueError(f"{self.work}: the budget is in {self.budget.unit}, the figure in {self.ours.unit}")
        if self.budget is not None and self.budget.on_ratio and self.peer is None:
            raise ValueError(f"{self.work}: a budget on the ratio needs a peer")

    @property
    def ratio(self) -> float | None:
        """Our median divided by the peer's; below 1 means that ours takes less."""
        return None if self.peer is None else self.ours.median / self.peer.median

    @property
    def ratios(self) -> tuple[float, ...]:
        """The ratio of each round: neighbours in time see the same state of the machine."""
        if self.peer is None:
            return ()
        return tuple(a / b for a, b in zip(self.ours.values, self.peer.values, strict=False))

    @property
    def within(self) -> bool | None:
        """Whether the budget is kept; None without one."""
        if self.budget is None:
            return None
        value = self.ratio if self.budget.on_ratio else self.ours.median
        return value is not None and self.budget.allows(value)

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the table's columns."""
        ratio = ""
        if self.ratio is not None:
            ratio = f"{figure(self.ratio)} ({figure(min(self.ratios))} to {figure(max(self.ratios))})"
        peer = f"{self.peer_name}: {self.peer}" if self.peer is not None else ""
        within = {None: "", True: "yes", False: "**no**"}[self.within]
        return (self.work, str(self.ours), peer, ratio, str(self.budget or ""), within)


@dataclass(frozen=True)
class Section:
    """The rows of one piece of work."""

    title: str
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        return f"### {self.title}\n\n{table(self.rows)}"


HEADINGS = (
    "work",
    "ours: median (least to most)",
    "peer: median (least to most)",
    "ratio (least to most)",
    "budget",
    "within",
)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def figure(value: float) -> str:
    """Return a number with three significant digits; whole numbers from 100 on, with thousands set apart."""
    if value and abs(value) >= 99.95:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.6f}".rstrip("0")
