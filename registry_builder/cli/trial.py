"""The ``test`` command: tries out plugins as they are, as a report for people, as JSON and as JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # written here, never read
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from registry_builder import source
from registry_builder.cli.options import ALLOW_FILE, example, shown
from registry_builder.cli.plugin_argument import NamedPlugin, named_plugin
from registry_builder.source.release_template import TEMPLATE_NAME
from registry_builder.trial import TIMEOUT_S, Step, Trial, try_plugin
from sealdex.cli.group import output_of, output_options
from sealdex.cli.number_option import Seconds
from sealdex.cli.output import Output
from sealdex.errors import NotFoundError
from sealdex.model.ids import PluginId
from sealdex.text import clean_lines, counted, without_controls


@click.command(
    name="test",
    epilog=example(
        "sealdex-builder test acme/slack",
        "sealdex-builder test --junit report.xml",
    ),
)
@click.argument("plugins", nargs=-1, metavar="[NS/NAME]...")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit XML report to this file.")
@click.option(
    "--timeout",
    default=TIMEOUT_S,
    show_default=True,
    type=Seconds(min=0.1),
    help="Seconds for each step that runs the plugin's code; ten times as long for its own tests.",
)
@click.option("--no-tests", is_flag=True, help="Don't run the plugin's own tests.")
@ALLOW_FILE
@output_options
@click.pass_context
def test(
    ctx: click.Context,
    plugins: tuple[str, ...],
    junit: Path | None,
    timeout: float,
    no_tests: bool,
    allow_files: tuple[str, ...],
) -> int:
    """Try out plugins as they are: pack, publish with throw-away keys, install, load, run.

    Each plugin is given by NS/NAME or the path of its folder; by default the one of the current folder, else all with a
    release.yaml. Its code is run, with your rights: loaded as a host does it, through the stages of a job, and as a
    service until it is healthy; then its own tests, by pytest. Examples in its schemas are checked. Everything happens
    in a temporary folder: the source tree, your keys and your store stay as they are.
    """
    out = output_of(ctx)
    tree = ctx.meta.get("registry_builder.tree")
    wanted = [named_plugin(text, tree) for text in plugins] or _all(tree)
    trials = []
    for each in wanted:
        allowed = (*allow_files, *source.read_config(each.tree).policy.allow_files)
        out.line(f"{each.id}  {shown(each.folder)}", style="bold")

        def on_step(step: Step) -> None:
            show_step(out, step)

        trials.append(
            try_plugin(
                each.folder,
                each.id,
                tree=each.tree,
                allow_files=allowed,
                timeout=timeout,
                run_tests=not no_tests,
                on_step=on_step,
            )
        )
    failed = [trial for trial in trials if not trial.passed]
    out.line(f"{counted(len(trials), 'plugin')}, {len(failed)} failed")
    if junit is not None:
        junit.write_bytes(junit_report(trials))
    out.result({"passed": not failed, "plugins": [_document(trial) for trial in trials]})
    return 1 if failed else 0


def _all(tree: Path | None) -> list[NamedPlugin]:
    root = source.find_tree(tree or Path.cwd())
    here = Path.cwd().resolve()
    found = [
        NamedPlugin(path.parent, PluginId(path.parent.parent.name, path.parent.name), root)
        for path in sorted((root / "plugins").glob(f"*/*/{TEMPLATE_NAME}"))
    ]
    own = [each for each in found if here.is_relative_to(each.folder.resolve())]
    if not found:
        raise NotFoundError(
            f"no plugin in {root} has a {TEMPLATE_NAME}", subject=str(root), hint="sealdex-builder new TYPE NS/NAME"
        )
    return own or found


def show_step(out: Output, step: Step) -> None:
    """Show a step and its outcome."""
    detail = clean_lines(step.detail) or [""]
    out.line(f"  {step.outcome:<8} {step.name:<9} {detail[0]}")
    for line in detail[1:]:
        out.line(f"           {'':<9} {line}")
    for line in clean_lines(step.output):
        out.line(f"           | {line}")


def _document(trial: Trial) -> dict[str, Any]:
    return {
        "plugin": str(trial.plugin),
        "version": trial.version,
        "passed": trial.passed,
        "steps": [
            {
                "step": step.name,
                "outcome": step.outcome,
                "detail": step.detail,
                "seconds": round(step.seconds, 3),
                "output": step.output,
            }
            for step in trial.steps
        ],
    }


def junit_report(trials: Sequence[Trial]) -> bytes:
    """Return a report in the form of JUnit's XML: a suite a plugin, a case a step."""
    root = ET.Element("testsuites")
    for trial in trials:
        count = {name: sum(step.outcome == name for step in trial.steps) for name in ("failed", "skipped")}
        suite = ET.SubElement(
            root,
            "testsuite",
            name=str(trial.plugin),
            tests=str(len(trial.steps)),
            failures=str(count["failed"]),
            errors="0",
            skipped=str(count["skipped"]),
            time=f"{sum(step.seconds for step in trial.steps):.3f}",
        )
        for step in trial.steps:
            took = f"{step.seconds:.3f}"
            case = ET.SubElement(suite, "testcase", classname=str(trial.plugin), name=step.name, time=took)
            detail = without_controls(step.detail)
            if step.outcome == "failed":
                output = "\n".join(map(without_controls, step.output.splitlines()))
                ET.SubElement(case, "failure", message=detail).text = output
            elif step.outcome == "skipped":
                ET.SubElement(case, "skipped", message=detail)
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


__all__ = ["junit_report", "show_step", "test"]
