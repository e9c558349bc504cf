"""How `status` and `doctor` show what they found, on both programs: one table, one JSON shape, one rule for exit codes.

    {"healthy": false, "findings": [{"check", "subject", "state", "detail", "remedy", "exit_code"}, …], …}

``state`` is ``ok``, ``warning`` (it works, but may not for long), ``problem`` or ``unknown`` (what is asked can't say).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sealdex.text import counted, width_of

if TYPE_CHECKING:
    from sealdex.cli.output import Output, Style

_STYLES: dict[str, Style | None] = {"warning": "yellow", "problem": "red", "unknown": "dim"}
_MARKS = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM", "unknown": "unknown"}
_GRAVEST = (4, 5)
"""Exit codes that decide, the first before the second; any other problem is 1."""


class Finding(Protocol):
    """One thing that was looked at; see `sealdex.doctor.Finding`."""

    @property
    def check(self) -> str: ...  # noqa: D102  # see the class
    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102
    @property
    def remedy(self) -> str: ...  # noqa: D102
    @property
    def exit_code(self) -> int: ...  # noqa: D102


def show_findings(out: Output, findings: Iterable[Finding]) -> None:
    """Show findings as a table; below each that has one, its remedy."""
    rows = [((out.say(_MARKS[f.state]), f.check, f"{f.subject}: {out.say(f.detail)}"), f) for f in findings]
    if not rows:
        return
    widths = [max(width_of(row[column]) for row, _ in rows) for column in range(2)]
    for row, finding in rows:
        mark = row[0] + " " * (widths[0] - width_of(row[0]))
        line = f"{mark}  {row[1]:{widths[1]}}  {row[2]}"
        out.line(line, style=_STYLES.get(finding.state), is_said=True)
        if finding.remedy:
            out.line(f"{'':{widths[0]}}  {'':{widths[1]}}  -> {out.advice(out.say(finding.remedy))}", is_said=True)


def document_of(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what both commands of both programs say in json mode; more may stand beside it."""
    return {
        "healthy": not problems_of(findings),
        "findings": [
            {
                "check": f.check,
                "subject": f.subject,
                "state": f.state,
                "detail": f.detail,
                "remedy": f.remedy,
                "exit_code": f.exit_code,
            }
            for f in findings
        ],
    }


def problems_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return those that are problems."""
    return [finding for finding in findings if finding.state == "problem"]


def exit_code_of(findings: Iterable[Finding]) -> int:
    """Return the exit code: 0 without problems; 4 for failed verification, 5 for what can't be reached, else 1."""
    codes = {finding.exit_code for finding in problems_of(findings)}
    return next((code for code in _GRAVEST if code in codes), 1 if codes else 0)


def summary_of(findings: Iterable[Finding]) -> str:
    """Return the problems in a line."""
    problems = problems_of(findings)
    return f"{counted(len(problems), 'problem')}: {', '.join(f'{each.check} ({each.subject})' for each in problems)}"
