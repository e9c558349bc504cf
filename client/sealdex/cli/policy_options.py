"""Options that say which releases may be chosen: channel, pre-releases, yanked ones, staged rollouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sealdex import resolve

if TYPE_CHECKING:
    from sealdex.resolve import Policy

F = TypeVar("F", bound=Callable[..., Any])


def policy_options(command: F) -> F:
    """Add ``--channel``, ``--pre``, ``--yanked`` and ``--ignore-rollout``; see `policy_of`."""
    for option in (
        click.option("--ignore-rollout", is_flag=True, help="Accept releases whose rollout doesn't include this host."),
        click.option(
            "--yanked", is_flag=True, help="Accept yanked releases. An exact version also accepts a yanked release."
        ),
        click.option("--pre", is_flag=True, help="Accept pre-releases."),
        click.option(
            "--channel", default="stable", show_default=True, help="The release channel of the requested plugins."
        ),
    ):
        command = option(command)
    return command


def policy_of(channel: str, pre: bool, yanked: bool, ignore_rollout: bool) -> Policy:
    """Return the policy that the options stand for."""
    return resolve.Policy(channel=channel, prereleases=pre, yanked=yanked, ignore_rollout=ignore_rollout)
