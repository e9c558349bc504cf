"""``--accept-removed``, and how `publish` and `diff` end where it would be needed."""

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
    help="Publish this plugin although the source tree lacks events of it that are published; may be repeated.",
)


def refuse_held(results: Sequence[PublishResult], *, dry_run: bool) -> None:
    """Fail when plugins were left as they are published because the source tree lacks published events.

    Called after the answer was written, so that it holds what was done all the same.

    Raises:
        NotAllPublishedError: with every plugin and event.
    """
    if any(result.plan.held for result in results):
        raise publication.NotAllPublishedError(results, dry_run=dry_run)


__all__ = ["ACCEPT_REMOVED", "refuse_held"]
