"""The command ``job run``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.foreign_output import Unwritten, stdout_for_the_document
from sealdex.cli.group import LazyGroup, examples
from sealdex.cli.log_handler import shown_logs
from sealdex.runtime.errors import PluginError
from sealdex.runtime.process.signals import ended_by_signals
from sealdex.text import clean

if TYPE_CHECKING:
    from sealdex.runtime.job_schema import CommandResult, PluginExecutionResult


@click.group(cls=LazyGroup)
def job() -> None:
    """Run jobs: commands with plugins that are called before and after them."""


@job.command("run", epilog=examples("sealdex job run build.toml", "sealdex job run build.json --json"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@client_command
def run(context: Context, file: Path) -> None:
    """Install and load a job's plugins, then run its stages: before, commands, on_success or on_failure, after.

    FILE is TOML, or JSON if its name ends in .json. The output of the commands goes to stdout; with --json it goes to
    stderr, and the results of all stages go to stdout.
    """
    from sealdex.runtime.job_schema import PluginExecutionResult, as_plain, load_job, what_ran  # noqa: PLC0415  # `job --help` needn't wait
    from sealdex.runtime.jobs import run_job  # noqa: PLC0415  # `job --help` needn't wait for all that installs

    out = context.out
    asked = load_job(file)

    def show(line: str) -> None:
        if out.logs_json:
            out.log("info", line, source=asked.job_id)
        elif out.mode == "json":
            out.stderr.write(clean(line) + "\n")
        else:
            out.answer(line)

    def tell(result: PluginExecutionResult | CommandResult) -> None:
        if isinstance(result, PluginExecutionResult):
            said = "done" if result.success else f"FAILED: {result.error_message}"
            out.line(f"{result.stage}: {result.plugin_id} {result.version} {said}")
        else:
            out.line(f"$ {result.command}: exit code {result.exit_code}")

    # output of plugins, and of programs that they start, must not get into the JSON document
    printing = stdout_for_the_document(out) if out.mode == "json" else nullcontext()
    unwritten = Unwritten()
    with ended_by_signals(), shown_logs(out), printing, context.client("installing the job's plugins") as client:
        done = run_job(asked, client=client, on_line=unwritten.passing(show), on_result=unwritten.passing(tell))
    unwritten.settle()
    for warning in done.warnings:
        out.warn(warning)
    if not done.success:
        raise PluginError(
            f"job {done.job_id} failed: {done.error_message}",
            subject=str(file),
            untouched=what_ran(asked, done),
            details=as_plain(done),
        )
    out.line(f"job {done.job_id} succeeded")
    out.result(as_plain(done))
