"""What is live on GitHub Pages: read by the realm's url, never from a cache, and held to what was remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from registry_builder.baseline.documents import TamperedError
from registry_builder.baseline.state import PublishedReader, PublishedState, RolledBackError
from registry_builder.publication.context import Publisher
from registry_builder.storage import Storage
from registry_builder.storage.headers import TIMESTAMP_KEY
from registry_builder.storage.http import UrlStorage
from sealdex.errors import VerificationError

WORKERS = 16
NOT_DEPLOYED = "nothing was deployed"
_FIRST = (
    "if this registry was never deployed, once and by hand: publish --first-publish (in the workflow: run it with "
    "first_publish); else find out why the url doesn't serve it"
)
STALE = (
    "a cache may still serve an earlier deployment: run it again in ten minutes; if somebody else deployed there, "
    "find out who"
)


class NotDeployableError(VerificationError):
    """A tree may not be deployed in place of what is live."""

    code = "not-deployable"


def is_pages(publisher: Publisher) -> bool:
    """Return whether a publisher writes into the folder of a realm on GitHub Pages."""
    return publisher.tree.config.realms[publisher.realm].is_pages and not publisher.storage.is_read_only


@contextmanager
def stale_answers() -> Iterator[None]:
    """Add to an error about an old response that it may come from a cache."""
    try:
        yield
    except RolledBackError as error:
        raise error.again(STALE) from error
    except TamperedError as error:
        if error.key != TIMESTAMP_KEY:
            raise
        raise error.again(advice=STALE) from error


def by_url(publisher: Publisher) -> UrlStorage:
    """Return what is live as readers see it, asked for past caches."""
    url = publisher.tree.config.realms[publisher.realm].url
    if url is None:
        raise RuntimeError("registry.toml was read without its checks")
    return UrlStorage(url, fresh=True)


def reader_of(publisher: Publisher, storage: Storage) -> PublishedReader:
    """Return a reader of what is live, that takes expired metadata as well."""
    return replace(publisher, storage=storage, workers=WORKERS, allow_expired=True).reader(publisher.clock())


def check_first(state: PublishedState | None, live: Storage, *, first_publish: bool) -> None:
    """Refuse to go on where nothing is live, unless a person said that this is the first; and the other way round.

    Raises:
        NotDeployableError: the two don't go together.
    """
    if state is None and not first_publish:
        raise NotDeployableError(
            f"{live.description} has no {TIMESTAMP_KEY}, so there is nothing to publish on top of",
            subject=live.description,
            untouched=NOT_DEPLOYED,
            hint=_FIRST,
        )
    if state is not None and first_publish:
        raise NotDeployableError(
            f"version {state.timestamp.version} of {TIMESTAMP_KEY} is live at {live.description}: this isn't the first",
            subject=live.description,
            untouched=NOT_DEPLOYED,
            hint="publish without --first-publish",
        )


__all__ = [
    "NOT_DEPLOYED",
    "STALE",
    "WORKERS",
    "NotDeployableError",
    "by_url",
    "check_first",
    "is_pages",
    "reader_of",
    "stale_answers",
]
