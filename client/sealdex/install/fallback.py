"""The fallback when no registry can be reached: installed versions that satisfy the requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from sealdex.errors import NoRegistryError, UnavailableError
from sealdex.log import Log
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, ReleaseEntry
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version
from sealdex.resolve import Choice, Request
from sealdex.results import Installed, Trust
from sealdex.store.change import Facts
from sealdex.store.installations import Installation, current, installed_versions
from sealdex.store.layout import Store
from sealdex.store.transaction import change_facts

_log = Log("sealdex.install")


def fall_back(
    store: Store,
    requests: Sequence[Request],
    error: UnavailableError | NoRegistryError,
    *,
    command: str,
    make_current: bool = True,
) -> list[Installed]:
    """Return installed versions that satisfy all requests: the version in use if it does, else the newest that does.

    Args:
        store: where to look.
        requests: what is requested.
        error: why the registry couldn't be reached.
        command: the request as text, for the history, in case something has to be switched.
        make_current: switch to them.

    Raises:
        UnavailableError, NoRegistryError: as the given error, with what is missing: no installed version satisfies some
            request.
    """
    found: list[Installation] = []
    for request in requests:
        serving = satisfying(store, request)
        if serving is None:
            have = ", ".join(i.version for i in installed_versions(store, request.plugin))
            raise error.restated(
                untouched=f"nothing was installed, and no installed version of {request.plugin} satisfies the request "
                f"({f'installed: {have}' if have else 'none is installed'})"
            ) from error
        _log.info(
            "install.fallback",
            "{plugin}: installed {version} satisfies {range}; no registry can be reached: {reason}",
            plugin=request.plugin,
            version=serving.version,
            range=request.range,
            reason=error,
        )
        found.append(serving)
    before = {PluginId(*i.id): current(store, i.id) for i in found}
    if make_current:
        wishes = {PluginId(*i.id): _using(i.version) for i in found}
        change_facts(store, f"{command} (fallback)", wishes)
    return [_as_installed(i, before[PluginId(*i.id)], error, make_current=make_current) for i in found]


def satisfying(store: Store, request: Request) -> Installation | None:
    """Return the installation that satisfies a request: the one in use, else the newest in its range."""
    wanted = parse_range(request.range)
    in_use = current(store, request.plugin)
    candidates = [*installed_versions(store, request.plugin), *([in_use] if in_use is not None else [])]
    # a pre-release that is in use was requested once; one that is only installed was not
    fitting = [i for i in candidates if wanted.contains(parse_version(i.version), include_prereleases=i == in_use)]
    return fitting[-1] if fitting else None


def _using(version: str) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, version=version)


def _as_installed(
    installation: Installation,
    before: Installation | None,
    error: UnavailableError | NoRegistryError,
    *,
    make_current: bool,
) -> Installed:
    plugin = PluginId(*installation.id)
    artifact = ArtifactEntry(
        installation.artifact_file,
        installation.artifact_sha256,
        installation.artifact_format,
        installation.artifact_size,
        bin=installation.bin,
    )
    release = ReleaseEntry(installation.version, FilePin(0, installation.manifest_sha256), artifacts=(artifact,))
    document = IndexDocument(1, *plugin, "", "", (release,))
    previous = before.version if before is not None and make_current and before != installation else None
    return Installed(
        Choice(plugin, release, document, artifact, requested=True),
        Trust(installation.registry, installation.signed_by, installation.root_version),
        "fallback",
        installation,
        previous,
        unreachable=error.message,
    )
