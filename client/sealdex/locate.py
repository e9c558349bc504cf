"""Which releases a host would take, where their files are and what they must be: for this host or for others.

Nothing is downloaded but signed metadata. Whoever fetches a file at such an address must compare its SHA-256.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from sealdex.download.locations import artifact_url, image_reference
from sealdex.errors import NotFoundError, SealdexError, UsageError
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.queries import RegistryQueries
from sealdex.resolve import Choice, Policy, Request, Resolution, parse_request
from sealdex.resolve.requests import UNKNOWN_HOST
from sealdex.results import Located

if TYPE_CHECKING:
    from sealdex.config.environment_file import OtherHost


@dataclass(frozen=True, slots=True)
class Answer:
    """What one host would take.

    Attributes:
        host: which host.
        located: its releases, dependencies first; empty if there is an error.
        error: why there is no answer for it.
    """

    host: OtherHost
    located: tuple[Located, ...] = ()
    error: SealdexError | None = None


def locate(
    queries: RegistryQueries, requests: Sequence[Request], policy: Policy | None = None, *, dependencies: bool = False
) -> list[Located]:
    """Return what this host would take for the requests.

    Args:
        queries: this host's view of its registries.
        requests: what is asked for.
        policy: channel, pre-releases, yanked releases, staged rollouts.
        dependencies: return what the requested plugins depend on, too.

    Raises:
        NotFoundError, NoMatchError, VerificationError, UnavailableError: as `RegistryQueries.resolve`.
    """
    return [*_located(queries, queries.resolve(*requests, policy=policy), dependencies=dependencies)]


def locate_for(
    queries: RegistryQueries,
    hosts: Iterable[OtherHost],
    requests: Sequence[Request],
    policy: Policy | None = None,
    *,
    dependencies: bool = False,
) -> Iterator[Answer]:
    """Yield what each of other hosts would take; one that gets no answer doesn't keep the others from theirs.

    What is installed here, and pinned here, says nothing of another host and isn't asked.

    Args:
        queries: this host's view of the registries, whose documents are read once for all.
        hosts: whom to answer for.
        requests: what is asked for those that state no requests of their own.
        policy: channel, pre-releases, yanked releases; a rollout is decided by each host's own id.
        dependencies: as `locate`.

    Raises:
        VerificationError, UnavailableError: as `RegistryQueries.refresh`: then no host gets an answer.
    """
    documents = _Documents(queries)
    policy = policy or Policy()
    known: dict[object, tuple[tuple[Located, ...], SealdexError | None]] = {}
    for host in hosts:
        here = msgspec.structs.replace(policy, host=host.host_id or UNKNOWN_HOST)
        environment = host.environment
        key = (
            tuple(sorted(environment.labels.items())),
            environment.tags,
            environment.host_version,
            host.host_id,
            host.requests,
        )
        if key not in known:
            known[key] = _answer(queries, documents, host, requests, here, dependencies=dependencies)
        located, error = known[key]
        yield Answer(host, located, error)


def _answer(
    queries: RegistryQueries,
    documents: _Documents,
    host: OtherHost,
    requests: Sequence[Request],
    policy: Policy,
    *,
    dependencies: bool,
) -> tuple[tuple[Located, ...], SealdexError | None]:
    if not host.requests and not requests:
        return (), UsageError("nothing is asked for this host: name plugins, or give it 'requests'", subject=host.name)
    try:
        asked = [*map(parse_request, host.requests)] or requests
        found = queries.resolve_elsewhere(asked, host.environment, documents, policy)
        return tuple(_located(queries, found, dependencies=dependencies)), None
    except (NotFoundError, UsageError) as error:
        return (), error


class _Documents:
    """Signed documents, each asked for once."""

    def __init__(self, queries: RegistryQueries) -> None:
        self._queries = queries
        self._known: dict[PluginId, IndexDocument | None] = {}

    def __call__(self, plugins: Collection[PluginId]) -> Mapping[PluginId, IndexDocument | None]:
        missing = [plugin for plugin in plugins if plugin not in self._known]
        if missing:
            self._known.update(self._queries.documents(missing))
        return {plugin: self._known[plugin] for plugin in plugins}


def _located(queries: RegistryQueries, found: Resolution, *, dependencies: bool) -> Iterator[Located]:
    for choice in found if dependencies else found.requested:
        yield located(queries, choice)


def located(queries: RegistryQueries, choice: Choice) -> Located:
    """Return where the file of a chosen release is: the address that this host would ask first of its registry.

    Raises:
        VerificationError: the signed document names a file or an address that clients must not read.
    """
    trust, artifact, version = queries.trust(choice.plugin), choice.artifact, choice.release.version
    if artifact is None:
        return Located(choice, trust)
    if artifact.format == "oci":
        return Located(choice, trust, image=image_reference(choice.plugin, version, artifact))
    if artifact.url is None:  # as nearly always, and nothing that downloads has to be imported for it
        first = queries.registries.addresses_of(choice.plugin).in_turn()[0]
        return Located(choice, trust, artifact_url(first, choice.plugin, version, artifact))
    return Located(choice, trust, queries.fetcher.address_of(choice))


__all__ = ["Answer", "locate", "locate_for", "located"]
