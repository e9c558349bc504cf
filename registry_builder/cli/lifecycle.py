"""The commands for released plugins: yank, deprecate, promote, evaluate, attest and their opposites."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import msgspec

from registry_builder import authoring
from registry_builder.cli.options import PLUGIN_ID, example, shown, tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.cli.size_option import Size
from sealdex.errors import UsageError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.versions import version_problem

if TYPE_CHECKING:
    from registry_builder.authoring.status_file import StatusChange

    _ReleaseType = click.ParamType["ReleaseName"]
else:
    _ReleaseType = click.ParamType  # not generic in older releases of click

F = TypeVar("F", bound=Callable[..., Any])


class ReleaseName(NamedTuple):
    """One release: plugin and version."""

    plugin: PluginId
    version: str


class ReleaseParam(_ReleaseType):
    """``namespace/name@version``, validated."""

    name = "ns/name@version"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ReleaseName:
        """Parse, or fail with what is wrong."""
        if isinstance(value, ReleaseName):
            return value
        plugin, _, version = str(value).partition("@")
        try:
            parsed = parse_plugin_id(plugin)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not version:
            self.fail(f"'{value}' has no version: write {parsed}@1.2.0", param, ctx)
        if problem := version_problem(version):
            self.fail(f"version '{version}' {problem}", param, ctx)
        return ReleaseName(parsed, version)


RELEASE = ReleaseParam()


def _said(command: F) -> F:
    """Add --why and --by, which every event has, and the output options."""
    for option in (
        click.option(
            "--by",
            metavar="WHO",
            help="Who does it; by default whom git names: GIT_COMMITTER_*, GIT_AUTHOR_*, user.name.",
        ),
        click.option("--why", default="", metavar="TEXT", help="The reason; it is public."),
    ):
        command = option(command)
    return output_options(command)


@click.command(epilog=example('sealdex-builder yank acme/slack@1.2.0 --why "loses messages, see #42"'))
@click.argument("release", metavar="NS/NAME@VERSION", type=RELEASE)
@_said
@click.pass_context
def yank(ctx: click.Context, release: ReleaseName, why: str, by: str | None) -> None:
    """Yank a release: it is no longer selected, except by an exact version."""
    _show(ctx, authoring.yank(tree_of(ctx), *release, why=why, by=by), f"yanked {_named(release)}")


@click.command(epilog=example("sealdex-builder unyank acme/slack@1.2.0"))
@click.argument("release", metavar="NS/NAME@VERSION", type=RELEASE)
@_said
@click.pass_context
def unyank(ctx: click.Context, release: ReleaseName, why: str, by: str | None) -> None:
    """Undo a yank."""
    _show(
        ctx,
        authoring.unyank(tree_of(ctx), *release, why=why, by=by),
        f"{_named(release)} is no longer yanked",
    )


@click.command(epilog=example('sealdex-builder deprecate acme/slack --use acme/chat --why "one plugin for all chats"'))
@click.argument("plugin", metavar="NS/NAME", type=PLUGIN_ID)
@click.option("--use", metavar="NS/NAME", type=PLUGIN_ID, help="The plugin to use instead.")
@_said
@click.pass_context
def deprecate(ctx: click.Context, plugin: PluginId, use: PluginId | None, why: str, by: str | None) -> None:
    """Deprecate a plugin: search lists it last, and names its successor."""
    instead = f", use {use} instead" if use is not None else ""
    change = authoring.deprecate(tree_of(ctx), plugin, use=use, why=why, by=by)
    _show(ctx, change, f"deprecated {plugin}{instead}")


@click.command(epilog=example("sealdex-builder undeprecate acme/slack"))
@click.argument("plugin", metavar="NS/NAME", type=PLUGIN_ID)
@_said
@click.pass_context
def undeprecate(ctx: click.Context, plugin: PluginId, why: str, by: str | None) -> None:
    """Undo a deprecation."""
    _show(
        ctx,
        authoring.undeprecate(tree_of(ctx), plugin, why=why, by=by),
        f"{plugin} is no longer deprecated",
    )


@click.command(epilog=example("sealdex-builder promote acme/slack@1.3.0-rc.1 --channel stable"))
@click.argument("release", metavar="NS/NAME@VERSION", type=RELEASE)
@click.option("--channel", required=True, help="The channel, such as stable.")
@_said
@click.pass_context
def promote(ctx: click.Context, release: ReleaseName, channel: str, why: str, by: str | None) -> None:
    """Add a release to one more channel."""
    change = authoring.promote(tree_of(ctx), *release, channel, why=why, by=by)
    _show(ctx, change, f"promoted {_named(release)} to channel {channel}")


@click.command(epilog=example("sealdex-builder demote acme/slack@1.3.0-rc.1 --channel stable"))
@click.argument("release", metavar="NS/NAME@VERSION", type=RELEASE)
@click.option("--channel", required=True, help="The channel, such as stable.")
@_said
@click.pass_context
def demote(ctx: click.Context, release: ReleaseName, channel: str, why: str, by: str | None) -> None:
    """Remove a release from a channel that it was promoted to."""
    change = authoring.demote(tree_of(ctx), *release, channel, why=why, by=by)
    _show(ctx, change, f"removed {_named(release)} from channel {channel}")


@click.command(
    epilog=example(
        "sealdex-builder evaluate vision/blob-model@1.0.0 report.json",
        "sealdex-builder evaluate vision/blob-model@1.0.0 --metric top1=0.83 --dataset imagenet-val",
        "sealdex-builder evaluate vision/blob-model@1.0.0 https://ci.example/7/report.json --sha256 D --size 812 \\",
        "  --metric top1=0.83",
    )
)
@click.argument("release", metavar="NS/NAME@VERSION", type=RELEASE)
@click.argument("report", required=False)
@click.option("--metric", "metrics", multiple=True, metavar="NAME=NUMBER", help="A result; may be repeated.")
@click.option("--dataset", help="The dataset that was used.")
@click.option("--evaluator", help="Who or what evaluated it.")
@click.option("--sha256", help="SHA-256 of a report at a URL.")
@click.option("--size", type=Size(), help="Exact size of a report at a URL, in bytes.")
@click.option("--name", help="The report's file name in the registry; by default its own.")
@_said
@click.pass_context
def evaluate(
    ctx: click.Context,
    release: ReleaseName,
    report: str | None,
    metrics: tuple[str, ...],
    dataset: str | None,
    evaluator: str | None,
    sha256: str | None,
    size: int | None,
    name: str | None,
    why: str,
    by: str | None,
) -> None:
    """Link evaluation results to a release: metrics, dataset, evaluator, and the REPORT itself.

    REPORT is a file or an https:// URL. "metrics" (numbers by name), "dataset" and "evaluator" at the top level
    of a JSON report are used by default. A file is published with the release and pinned by its index; a
    URL is pinned by --sha256 and --size. Searchable: sealdex search --min-metric top1=0.8.
    """
    change = authoring.evaluate(
        tree_of(ctx),
        *release,
        None if report is None else _report(report, sha256, size, name),
        metrics=dict(map(_metric, metrics)) or None,
        dataset=dataset,
        evaluator=evaluator,
        why=why,
        by=by,
    )
    measured = ", ".join(f"{k} {v:g}" for k, v in change.event.metrics.items()) if change.event else ""
    _show(ctx, change, f"evaluated {_named(release)}: {measured}")


@click.command(
    epilog=example(
        "sealdex-builder attest acme/slack@1.2.0 slack.cdx.json",
        "sealdex-builder attest acme/slack@1.2.0 provenance.sigstore.json",
        "sealdex-builder attest acme/slack@1.2.0 pen-test.pdf --kind report",
    )
)
@click.argument("release", metavar="NS/NAME@VERSION", type=RELEASE)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", help="Its kind; by default detected from its content.")
@_said
@click.pass_context
def attest(ctx: click.Context, release: ReleaseName, file: Path, kind: str | None, why: str, by: str | None) -> None:
    """Attach an attestation to a release: an in-toto statement, an SBOM (CycloneDX, SPDX) or a Sigstore bundle.

    The kind is detected from the content, and its structure is checked; a statement or bundle must be about an artifact
    of this release. The file is published with the release and pinned by its index.
    """
    change = authoring.attest(tree_of(ctx), *release, file, kind=kind, why=why, by=by)
    told = f" ({change.event.kind})" if change.event else ""
    _show(ctx, change, f"attached {file.name}{told} to {_named(release)}")


def _report(text: str, sha256: str | None, size: int | None, name: str | None) -> Any:
    if text.startswith(("https://", "http://")):
        return authoring.Report(url=text, sha256=sha256, size=size, name=name)
    if sha256 is not None or size is not None:
        raise UsageError("--sha256 and --size are only for a URL; for a file they are computed")
    return authoring.Report(path=Path(text), name=name)


def _metric(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not equals or not name or number - number != 0:  # neither infinite nor not a number
        raise UsageError(f"'{text}' is not a metric: write NAME=NUMBER", hint="for example: --metric top1=0.83")
    return name, number


def _named(release: ReleaseName) -> str:
    return f"{release.plugin} {release.version}"


def _show(ctx: click.Context, change: StatusChange, said: str) -> None:
    out = output_of(ctx)
    if change.event is None:
        out.line(change.note)
    else:
        out.line(f"{said}: {shown(change.file)}")
        for file in change.files:
            if file != change.file:
                out.line(f"wrote {shown(file)}: it now says where events are")
        out.note("next: commit it, then: sealdex-builder publish")
    out.result(
        {
            "plugin": str(change.plugin),
            "file": change.file,
            "files": list(change.files),
            "written": change.event is not None,
            "note": change.note,
            "event": msgspec.to_builtins(change.event) if change.event is not None else None,
        }
    )


__all__ = ["attest", "demote", "deprecate", "evaluate", "promote", "undeprecate", "unyank", "yank"]
