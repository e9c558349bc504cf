"""The ``stats`` command: downloads by release and day from access logs, for people, as a file, and for the pages."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import maintenance, publication
from registry_builder.cli.options import example, reader_storage, shown, tree_of
from registry_builder.cli.realms import tree_without_plugins
from registry_builder.source.atomic_write import replace_file
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError
from sealdex.model.decode import encode_json
from sealdex.model.downloads import MAX_STATS_BYTES, NOTE, STATS_KEY
from sealdex.text import counted

if TYPE_CHECKING:
    from sealdex.cli.output import Output
    from sealdex.model.downloads import DownloadStats

_SHOWN = 20
_RECENT_DAYS = 30


@click.command(
    epilog=example(
        "aws s3 sync s3://acme-logs/cloudfront/ logs",
        "sealdex-builder stats logs",
        "sealdex-builder stats logs --publish",
    )
)
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--realm", default="public", show_default=True, help="The realm whose releases are counted.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write stats.json to this file, merged with what is in it.",
)
@click.option("--publish", is_flag=True, help=f"Put it into the realm's store as {STATS_KEY}, where pages read it.")
@click.option("--replace", is_flag=True, help="Start again instead of merging with earlier numbers.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3660), help="How many days are kept.")
@click.option("--prefix", help="The path before plugins/ in the logs; by default that of the realm's url or storage.")
@click.option("--skip-unreadable", is_flag=True, help="Count without lines and files that can't be read.")
@output_options
@click.pass_context
def stats(
    ctx: click.Context,
    logs: tuple[Path, ...],
    realm: str,
    output: Path | None,
    publish: bool,
    replace: bool,
    days: int,
    prefix: str | None,
    skip_unreadable: bool,
) -> None:
    """Count downloads by release and day, in logs of CloudFront, S3 and nginx, plain or gzipped.

    LOGS are files, or folders of files. Only answers to sealdex count: whole ones, or the first range of those that
    were fetched in ranges. Addresses are neither kept nor written. Give all logs of a day together: of a day that was
    counted before, the larger number stays.
    """
    out = output_of(ctx)
    tree = tree_without_plugins(tree_of(ctx))
    publisher = publication.open_publisher(
        tree, realm, storage=reader_storage(tree.config, realm, by_url=False), allow_expired=True
    )
    with out.progress("reading logs"):
        found = maintenance.count_downloads(publisher, logs, prefix=prefix, skip_unreadable=skip_unreadable)
    for problem in found.problems:
        out.warn(f"skipped {problem}")
    current = found.stats
    if output is not None or publish:
        if current is None:
            raise UsageError("the logs have no answer to sealdex, so there is nothing to write")
        if output is not None:
            current = _write(output, found, days=days, replace=replace)
        if publish:
            current = maintenance.publish_stats(publisher, found, days=days, replace=replace)
    _show(out, found, current)
    if output is not None:
        out.line(f"{shown(output)}: written")
    if publish:
        out.line(f"{publisher.storage.description}: {STATS_KEY} is published")
        if not tree.config.site.downloads:
            out.note("pages don't show it yet: write downloads = true below [site] in registry.toml, and publish")
    out.result(
        {
            "realm": realm,
            "logs": found.logs,
            "downloads": found.downloads,
            "repeated": found.repeated,
            "unknown": found.unknown,
            "elsewhere": found.elsewhere,
            "skipped": [{"file": each.file, "line": each.line, "reason": each.message} for each in found.problems],
            "written": output,
            "published": STATS_KEY if publish else None,
            "stats": current,
        }
    )


def _write(output: Path, found: maintenance.Counted, *, days: int, replace: bool) -> DownloadStats:
    old = None
    if output.exists() and not replace:
        with output.open("rb") as file:
            old = maintenance.read_stats(file.read(MAX_STATS_BYTES + 1), shown(output))
    if found.stats is None:
        raise AssertionError  # the caller has looked
    result = maintenance.merged(found.stats, old, found.plugins, days=days)
    replace_file(output, encode_json(result))
    return result


def _show(out: Output, found: maintenance.Counted, current: DownloadStats | None) -> None:
    if current is not None:
        since = str(date.fromisoformat(current.last_day) - timedelta(days=_RECENT_DAYS - 1))
        rows = [
            (plugin, version, sum(number for day, number in numbers.items() if day >= since), sum(numbers.values()))
            for plugin, releases in current.plugins.items()
            for version, numbers in releases.items()
        ]
        rows.sort(key=lambda row: (-row[2], -row[3]))
        if rows:
            out.table(
                ["PLUGIN", "RELEASE", f"{_RECENT_DAYS} DAYS", "ALL"],
                [[plugin, version, str(recent), str(total)] for plugin, version, recent, total in rows[:_SHOWN]],
            )
        if len(rows) > _SHOWN:
            out.line(f"... and {counted(len(rows) - _SHOWN, 'release')} more")
        out.line(f"{current.first_day} to {current.last_day}: {NOTE}")
    out.line(f"{counted(found.logs, 'log')}: {counted(found.downloads, 'download')}")
    if found.repeated:
        out.note(f"{counted(found.repeated, 'answer')} appeared in the logs more than once, and was counted once")
    if found.unknown:
        out.note(f"{counted(found.unknown, 'answer')} for files that the realm doesn't have: not counted")
    if found.elsewhere:
        out.note(
            f"{counted(found.elsewhere, 'answer')} below another prefix or in another bucket: not counted (--prefix)"
        )
    if current is None:
        out.note("no answer in the logs was to sealdex: are these the logs of the place that the realm's url names?")


__all__ = ["stats"]
