"""Queries to the registries: search, look up, resolve. `sealdex.client.Client` has these and also installs.

Everything is verified before it is returned; see `sealdex.trust` and `sealdex.download.download` for how.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealdex import trust
from sealdex.arguments import plugin_of, requests_of
from sealdex.config.config import Config, load_config
from sealdex.config.credentials import credentials_of
from sealdex.config.document import registry_for
from sealdex.download.preinstalled import Builtin
from sealdex.errors import (
    CredentialsError,
    NoRegistryError,
    NotFoundError,
    NotOnMirrorError,
    SealdexError,
    UnavailableError,
    VerificationError,
)
from sealdex.events import Observer, guarded
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry, release_folder
from sealdex.model.release import PublishedManifest
from sealdex.resolve import (
    Documents,
    Keeping,
    Lacking,
    PassedOver,
    Policy,
    Request,
    Resolution,
    SearchBudget,
    UnknownPluginError,
    resolve,
)
from sealdex.results import AllFound, Found, PluginInfo, Trust
from sealdex.store.cache import ContentCache
from sealdex.store.host_id import host_id
from sealdex.store.installations import installed_versions
from sealdex.store.layout import Store
from sealdex.store.manifests import read_manifest
from sealdex.transport import CredentialsRefusedError, Transport, is_of_missing
from sealdex.transport.stop import Stop

if TYPE_CHECKING:
    from sealdex.download.fetcher import ArtifactFetcher
    from sealdex.download.mirror.holdings import Holdings
    from sealdex.resolve.search import Query
    from sealdex.trust import Registries, TrustState
    from sealdex.trust.catalog_rows import ReadRows


class RegistryQueries:
    """A host's view of its registries, independent of what is installed.

    Args:
        config: a configuration, or the path of ``config.toml``; default: the user's own.
        store: overrides the store of the configuration; ignored if `config` is a `Config`.
        observer: told about waits, retries and progress.
        offline: make no requests: the last trusted state is used if it hasn't expired, and files come from the cache
            and the folder of preinstalled archives.

    Attributes:
        store, cache, builtin: where the host keeps files.
        stop: ends what takes long.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        store: Path | str | None = None,
        observer: Observer | None = None,
        offline: bool = False,
    ) -> None:
        self.offline = offline
        self.config = config if isinstance(config, Config) else load_config(config, store)
        self.stop = Stop()
        self.observer = guarded(observer, self.stop)
        self.store = Store(self.config.store)
        self.cache = ContentCache(Path(self.store.cache_folder), self.stop.check)
        self.builtin = Builtin(self.config.builtin_folder)
        self._transport = Transport(
            self.config.transport_settings,
            credentials=credentials_of(self.config, self.observer.waiting),
            on_retry=self.observer.retrying,
            stop=self.stop,
        )
        self._opened: Registries | None = None
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._holdings: Holdings | None = None
        self._is_partial = any(section.partial for section in self.config.registries.values())
        self._fetcher: ArtifactFetcher | None = None

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @contextmanager
    def cache_held(self) -> Iterator[None]:
        """Protect cached files used in the block from eviction; then bring the cache within its limits."""
        before = self.cache.added
        with self.cache.holding():
            yield
        if self.cache.added == before:
            return
        from sealdex.store.cache_gc import is_over, tidy  # noqa: PLC0415  # only after a download

        if is_over(self.cache, self.config.cache_limits):
            with suppress(OSError):  # the request itself succeeded; `sealdex cache gc` reports what is wrong
                tidy(self.cache, self.config.cache_limits)

    @property
    def registries(self) -> Registries:
        """The registries, opened when first used."""
        with self._lock:
            if self._opened is None:
                self._opened = trust.Registries(self.config, self._transport, self.observer, offline=self.offline)
            return self._opened

    def begin_asking(self, plugins: Iterable[PluginId]) -> None:
        """Begin the requests that a question about these plugins starts with; call it only if that question follows.

        What has to be imported before their answers can be verified is imported meanwhile.
        """
        if self.offline or self._opened is not None:
            return
        from sealdex.trust.first_round import begin_first_round  # noqa: PLC0415  # nobody asks when all is in place

        found = {registry_for(self.config.registries, plugin.namespace) for plugin in plugins}
        names = sorted(name for name in found if name is not None and name not in self._asked)
        self._asked.update(names)
        begin_first_round(self.config, self._transport, names)

    @property
    def holdings(self) -> Holdings:
        """What mirrors of a part have; first needed where one is declared, or a file is missing."""
        from sealdex.download.mirror.holdings import Holdings  # noqa: PLC0415  # few hosts need it

        with self._lock:
            if self._holdings is None:
                self._holdings = Holdings(self.config, self._transport, lambda: self.registries, offline=self.offline)
            return self._holdings

    @property
    def fetcher(self) -> ArtifactFetcher:
        """Brings the files of releases; made when first used."""
        from sealdex.download.fetcher import ArtifactFetcher  # noqa: PLC0415  # a look-up needs none of it

        with self._lock:
            if self._fetcher is None:
                self._fetcher = ArtifactFetcher(
                    self.config,
                    self.store,
                    self.cache,
                    self.builtin,
                    self._transport,
                    lambda: self.registries,
                    self.observer,
                    self._explained,
                    offline=self.offline,
                )
            return self._fetcher

    @property
    def environment(self) -> Environment:
        """The labels and tags of this host, as selectors see them."""
        return self.config.environment

    def refresh(self, name: str) -> TrustState:
        """Bring a registry's metadata up to date, and return what is trusted now.

        Its mirrors are asked again what they have.

        Raises:
            NotFoundError: no such registry is configured.
            VerificationError, UnavailableError: as `sealdex.trust.TrustedRegistry.refresh`.
        """
        addresses = self.registries.addresses(name)
        with self._lock:
            if self._holdings is not None:
                self._holdings.forget(name)
            fetcher = self._fetcher
        if fetcher is not None:
            fetcher.copies.forget(addresses)
        return self.registries.refresh(name)

    # --- questions ---------------------------------------------------------------------------------------------------

    def search(self, query: Query | str, *, registry: str | None = None, limit: int | None = None) -> AllFound:
        """Search the catalogs, best match first.

        A registry's rows count only for the namespaces that are looked up there, so that no registry can show a plugin
        under a name that belongs to another registry. One whose credentials are missing or don't serve is passed over,
        and the observer told, as long as others answer.

        Args:
            query: words, or words and filters.
            registry: search only this one.
            limit: return only so many of them; ``total`` of the answer says how many there are.

        Raises:
            NotFoundError: no such registry, none at all, or it publishes no catalog.
            CredentialsError: those of this one, or of all, can't be read.
            VerificationError, UnavailableError: as `refresh`.
        """
        from sealdex.resolve.search import Query, search_parts  # noqa: PLC0415  # for searches alone
        from sealdex.trust.catalog_rows import CatalogRows  # noqa: PLC0415  # as search

        asked = Query(tuple(query.split())) if isinstance(query, str) else query
        names = [registry] if registry is not None else list(self.config.registries)
        if not names:
            self.config.registry_for("any")  # raises, with the advice to add one
        parts: list[ReadRows] = []
        home: list[str] = []
        skipped: list[SealdexError] = []
        for name in names:
            try:
                parts += self.registries.row_parts(name)
            except (CredentialsError, CredentialsRefusedError) as error:
                skipped.append(error)
                if len(skipped) == len(names):  # the only one, or the last of all
                    raise
                self.observer.skipping(name, error)
                continue
            home += [name] * (len(parts) - len(home))
        # together, so that what is rare, needed or nearest is so in all of them
        rows = CatalogRows(parts, are_kept=len(parts) <= len(names))
        hits, total = search_parts(rows, asked, limit)
        return AllFound(
            (
                Found(hit.row, home[rows.part_of(hit.at)], hit.rank, hit.meant, self._lacks_plugin(hit.row.id))
                for hit in hits
            ),
            total,
        )

    def _lacks_plugin(self, plugin: PluginId) -> str | None:
        return self.holdings.lacks_plugin(plugin) if self._is_partial else None

    def documents(self, plugins: Collection[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return the signed documents of several plugins, each from its own registry; None for those that don't exist.

        Raises:
            NotFoundError: no registry is configured for a namespace.
            VerificationError, UnavailableError: as `refresh`.
            NotOnMirrorError: a mirror of a part doesn't have one; None for it if the registry is declared partial.
        """
        self.begin_asking(plugins)
        try:
            return (self.holdings if self._is_partial else self.registries).documents(plugins)
        except UnavailableError as error:
            better = self.holdings.explained_for(error, plugins) if is_of_missing(error) else error
            if better is error:
                raise
            raise better from error

    def answers(
        self, plugins: Collection[PluginId]
    ) -> dict[PluginId, IndexDocument | UnavailableError | NoRegistryError | None]:
        """As `documents`, with the error instead of the document if a plugin's registry couldn't be reached.

        Raises:
            VerificationError: as `refresh`.
        """
        self.begin_asking(plugins)
        return self.registries.answers(plugins)

    def known(self, plugin: PluginId) -> PluginInfo | None:
        """Return the last verified document of a plugin, verified again without a request; None if not possible."""
        return self.registries.known(plugin)

    def trust(self, plugin: PluginId) -> Trust:
        """Return which registry and role signed a plugin's document; raises as `documents`."""
        return self.registries.trust(plugin)

    def info(self, plugin: PluginId | str) -> PluginInfo:
        """Return everything that is signed about a plugin.

        Raises:
            NotFoundError: its registry doesn't have it; the nearest names are suggested.
            VerificationError, UnavailableError: as `refresh`.
        """
        asked = plugin_of(plugin)
        document = self.documents([asked])[asked]
        if document is None:
            raise self._unknown(asked)
        return PluginInfo(document, self.registries.trust(asked))

    def manifest(self, plugin: PluginId | str, version: str) -> PublishedManifest:
        """Return the full manifest of a release, as its index document pins it.

        Raises:
            NotFoundError: no such plugin or release.
            VerificationError, UnavailableError: as `refresh`; or the manifest isn't the pinned one.
        """
        asked = plugin_of(plugin)
        document = self.info(asked).document
        release = document.release(version)
        if release is None:
            raise NotFoundError(
                f"{asked} has no release {version}",
                subject=str(asked),
                hint=f"to list its releases: sealdex info {asked}",
            )
        with self.cache_held():
            return read_manifest(self.fetcher.manifest_bytes(asked, release), asked, version)

    def attachment(self, plugin: PluginId | str, version: str, name: str) -> bytes:
        """Return a file that is attached to a release - a report, an SBOM, a statement - as its index document pins it.

        Raises:
            NotFoundError: no such plugin, release or attachment; the existing ones are named.
            VerificationError, UnavailableError: as `refresh`; or the file isn't the pinned one.
        """
        from sealdex.download.download import Pin, download  # noqa: PLC0415  # a look-up downloads no file
        from sealdex.download.locations import attachment_url, file_url  # noqa: PLC0415  # so too

        asked = plugin_of(plugin)
        release = self.info(asked).document.release(version)
        attached = {each.name: each for each in release.attachments} if release is not None else {}
        if name not in attached:
            raise NotFoundError(
                f"{asked} {version} has no attachment '{name}'; it has {', '.join(attached) or 'none'}",
                subject=str(asked),
                hint=f"sealdex info {asked}@{version}",
            )
        file = attached[name]
        if (path := self.builtin.find(asked, version, name, file.sha256)) is not None:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == file.sha256:
                return data
        pin = Pin(file.sha256, file.size, file.size)

        def from_address(base: str | None) -> bytes:
            url = attachment_url("", asked, version, file) if base is None else file_url(base, asked, version, name)
            return download(self._transport, url, pin, self.cache).read_bytes()

        addresses = self.registries.addresses_of(asked)
        with self.cache_held(), self._missing_explained(asked, version):
            if file.url is None:
                data = addresses.fetch(from_address)
            else:
                data = self.fetcher.copies.fetch(
                    addresses,
                    f"{release_folder(asked, version)}/{name}",
                    from_address,
                    are_expected=self.registries.is_partial(asked),
                )
        if hashlib.sha256(data).hexdigest() != pin.sha256:
            raise VerificationError(f"{name} changed in the cache while it was read", subject=str(self.cache.root))
        return data

    def _explained(self, error: SealdexError, plugin: PluginId, version: str, file: str | None = None) -> SealdexError:
        """Return the error to raise for a file of a release: of a mirror's selection, if that is why it is missing."""
        return self.holdings.explained(error, plugin, version, file) if is_of_missing(error) else error

    @contextmanager
    def _missing_explained(self, plugin: PluginId, version: str) -> Iterator[None]:
        try:
            yield
        except UnavailableError as error:
            if (better := self._explained(error, plugin, version)) is error:
                raise
            raise better from error

    def resolve(
        self,
        *requests: Request | str,
        policy: Policy | None = None,
        keeping: Keeping | None = None,
        platforms: Sequence[Environment] = (),
    ) -> Resolution:
        """Choose releases for the requests and their dependencies, for this host's environment.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            policy: channel, pre-releases, yanked releases, staged rollouts.
            keeping: pins, and the versions of a lock.
            platforms: the environments to choose for, instead of this host's.

        Raises:
            NotFoundError: no such plugin; NoMatchError: nothing fits, with the releases and the reasons against them,
                or nothing was found within the setting ``install.resolve_timeout``.
            VerificationError, UnavailableError: as `refresh`.
        """
        asked = requests_of(requests)
        policy = policy or Policy()
        if policy.host is None:
            policy = msgspec.structs.replace(policy, host=host_id(self.store))
        environments = platforms or (self.environment,)
        lacking = self._lacking if self._is_partial else None
        return self._resolve(asked, self.documents, environments, policy, keeping, lacking)

    def resolve_elsewhere(
        self, requests: Sequence[Request], environment: Environment, documents: Documents, policy: Policy
    ) -> Resolution:
        """Choose releases as `resolve` does for another host, of which nothing is known but its environment.

        Args:
            requests: what is asked for.
            environment: what selectors see of that host.
            documents: returns signed documents, in bulk: `documents`, or what keeps its answers.
            policy: as `resolve`; ``host`` is the id of that host.
        """
        lacking = self.holdings.lacks if self._is_partial else None
        return self._resolve(requests, documents, (environment,), policy, None, lacking)

    def _resolve(
        self,
        requests: Sequence[Request],
        documents: Documents,
        environments: Sequence[Environment],
        policy: Policy,
        keeping: Keeping | None,
        lacking: Lacking | None,
    ) -> Resolution:
        try:
            found = resolve(
                requests,
                documents,
                environments[0],
                policy,
                keeping=keeping,
                platforms=environments[1:],
                budget=SearchBudget(
                    time.monotonic, self.config.document.install.resolve_timeout, on_notice=self.observer.resolving
                ),
                lacking=lacking,
            )
        except UnknownPluginError as error:
            raise self._unknown(error.plugin) from error
        for choice in found:
            self._tell_lacking(choice.plugin, choice.release.version, choice.newer)
        return found

    def lacks(self, document: IndexDocument, release: ReleaseEntry) -> str | None:
        """Return why a registry that is declared partial doesn't have a release, in words; else None."""
        return self.holdings.lacks(document, release, None) if self._is_partial else None

    def _lacking(self, document: IndexDocument, release: ReleaseEntry, artifact: ArtifactEntry | None) -> str | None:
        """Say why a release isn't to be had for this host: its mirror lacks it, and it isn't installed."""
        why = self.holdings.lacks(document, release, artifact)
        if why is None or any(i.version == release.version for i in installed_versions(self.store, document.id)):
            return None
        return why

    def _tell_lacking(self, plugin: PluginId, version: str, newer: Sequence[PassedOver]) -> None:
        """Name the newest release that would have been taken, if a partial mirror had it."""
        for each in newer:
            if {reason.kind for reason in each.reasons} == {"mirror"}:
                self.observer.passed_over(plugin, version, each.version, each.reasons[0].words)
                return

    def name_passed_over(self, document: IndexDocument, version: str) -> None:
        """Tell the observer of a release that is newer than a version, and would fit, had its partial mirror it."""
        if not self._is_partial:
            return
        with suppress(NotFoundError, UnavailableError):  # then nothing newer would be taken
            self.resolve(Request(document.id, f">={version}"))

    def _unknown(self, plugin: PluginId) -> NotFoundError:
        if self._is_partial and (why := self.holdings.lacks_plugin(plugin)) is not None:
            return NotOnMirrorError(why, subject=str(plugin), untouched="nothing was installed")
        return self.registries.unknown(plugin)
