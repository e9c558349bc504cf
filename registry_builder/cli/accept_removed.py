"""``--accept-removed``, and the error of `publish` and `diff` that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from registry_builder import publication
from registry_builder.cli.options import PLUGIN_ID

if TYPE_CHECKING:
    from registry_builder.publication.publish import PublishResult

ACCEPT_REMOVED = click.option(
    "--accept-removed",
    multiple=True,
    metavar="NS/NAME",
    type=PLUGIN_ID,
    help="Publish this plugin although the source tree lacks published events of it; may be repeated.",
)


def refuse_held(results: Sequence[PublishResult], *, dry_run: bool) -> None:
    """Raise if plugins were left as published because the source tree lacks published events.

    Called after the result was printed, so that the result is complete either way.

    Raises:
        NotAllPublishedError: with every plugin and event.
    """
    if any(result.plan.held for result in results):
        raise publication.NotAllPublishedError(results, dry_run=dry_run)


__all__ = ["ACCEPT_REMOVED", "refuse_held"]
