"""``doctor``: diagnoses problems on this host and suggests fixes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.refused_config import refused_configs
from sealdex.errors import SealdexError
from sealdex.store.layout import Store
from sealdex.text import counted

if TYPE_CHECKING:
    from sealdex.cli.output import Style
    from sealdex.doctor import FindingState

_STYLES: dict[FindingState, Style | None] = {"ok": None, "warning": "yellow", "problem": "red"}
_MARKS: dict[FindingState, str] = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM"}


class DoctorError(SealdexError):
    """`sealdex doctor` found problems on this host."""

    code = "problems-found"


@click.command(epilog=examples("sealdex doctor", "sealdex doctor --deep", "sealdex doctor --json"))
@click.option("--deep", is_flag=True, help="Hash installed files instead of comparing sizes and modes only.")
@client_command
def doctor(context: Context, *, deep: bool) -> None:
    """Check configuration, registries, clock, store, dependencies, locks, disk and cache.

    For each registry: whether it can be reached, whether its metadata is trusted, and for how long.

    Each finding comes with a fix. Warnings don't change the exit code; problems do, and the most serious one decides: 4
    for failed verification, 5 for what can't be reached, otherwise 1.
    """
    from sealdex.doctor import Finding, examine  # noqa: PLC0415  # tuf and its cryptography

    out = context.out
    with context.observer("looking") as observer:
        findings = examine(context.config, is_deep=deep, observer=observer)
    with suppress(SealdexError):  # a configuration that can't be read is a finding already
        findings += [
            Finding(
                "settings", str(plugin), "problem", f"{version} does not take its configuration: {'; '.join(problems)}",
                f"sealdex config plugin {plugin} edit", 1,
            )
            for plugin, version, problems in refused_configs(Store(context.config().store))
        ]  # fmt: skip
    problems = [finding for finding in findings if finding.state == "problem"]
    document = {"healthy": not problems, "findings": [finding._asdict() for finding in findings]}
    for finding in findings:
        line = f"{_MARKS[finding.state]:8} {finding.check:12} {finding.subject}: {finding.detail}"
        out.line(line, style=_STYLES[finding.state])
        if finding.remedy:
            out.line(f"{'':8} {'':12} -> {finding.remedy}")
    if not problems:
        out.result(document)
        return
    error = DoctorError(
        f"{counted(len(problems), 'problem')}: {', '.join(f'{each.check} ({each.subject})' for each in problems)}",
        untouched="nothing was changed",
        hint=problems[0].remedy or None,
        details=document,
    )
    codes = {each.exit_code for each in problems}
    error.exit_code = next((code for code in (4, 5) if code in codes), 1)  # type: ignore[misc]  # of this one error
    raise error
