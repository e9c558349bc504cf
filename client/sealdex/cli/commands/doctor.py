"""``doctor`` and ``status``: what is wrong on this host, each problem with its remedy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.findings import document_of, exit_code_of, problems_of, show_findings, summary_of
from sealdex.cli.group import examples
from sealdex.cli.refused_config import refused_configs
from sealdex.errors import SealdexError
from sealdex.store.layout import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealdex.doctor import Finding


class DoctorError(SealdexError):
    """`sealdex doctor` or `sealdex status` found problems on this host."""

    code = "problems-found"


@click.command(epilog=examples("sealdex doctor", "sealdex doctor --deep", "sealdex doctor --json"))
@click.option("--deep", is_flag=True, help="Hash installed files instead of comparing sizes and modes only.")
@client_command
def doctor(context: Context, *, deep: bool) -> None:
    """Check configuration, registries, clock, store, plugins, dependencies, locks, disk and cache.

    For each registry: whether it can be reached, whether its metadata is trusted, and for how long.

    Each finding comes with a fix. Warnings don't change the exit code; problems do, and the most serious one decides: 4
    for failed verification, 5 for what can't be reached, otherwise 1. Without the network: sealdex status.
    """
    from sealdex.doctor import examine  # noqa: PLC0415  # tuf and its cryptography

    with context.observer("looking") as observer:
        findings = [*examine(context.config, is_deep=deep, observer=observer), *_refused(context)]
    show_findings(context.out, findings)
    _end(context, findings)


@click.command(epilog=examples("sealdex status", "sealdex status --json"))
@client_command
def status(context: Context) -> None:
    """Show in a table whether this host's plugins and registries are in order; makes no request.

    Problems are plugins that failed to load (status 2) or don't take their configuration, dependencies that aren't met,
    releases that were yanked after they were installed, installations that were changed, metadata that has expired, and
    files that others can write to. Each comes with its fix. Exit codes are those of doctor, which asks the registries
    as well.
    """
    from sealdex.doctor import standing  # noqa: PLC0415  # tuf and its cryptography

    found, counts = standing(context.config)
    findings = [*found, *_refused(context)]
    show_findings(context.out, findings)
    _end(context, findings, **counts)


def _refused(context: Context) -> list[Finding]:
    """Return the plugins that don't take the configuration which is kept for them."""
    from sealdex.doctor import Finding  # noqa: PLC0415  # tuf and its cryptography

    with suppress(SealdexError):  # a configuration that can't be read is a finding already
        return [
            Finding(
                "settings",
                str(plugin),
                "problem",
                f"{version} does not take its configuration: {'; '.join(problems)}",
                f"sealdex config plugin {plugin} edit",
                1,
            )
            for plugin, version, problems in refused_configs(Store(context.config().store))
        ]
    return []


def _end(context: Context, findings: Sequence[Finding], **more: Any) -> None:
    """Answer in json mode, and fail if there are problems.

    Raises:
        DoctorError: there are.
    """
    document = {**document_of(findings), **more}
    if not (problems := problems_of(findings)):
        context.out.result(document)
        return
    error = DoctorError(
        summary_of(findings),
        untouched="nothing was changed",
        hint=problems[0].remedy or None,
        details=document,
    )
    error.exit_code = exit_code_of(findings)  # type: ignore[misc]  # of this one error
    context.out.beside_error = document
    raise error
