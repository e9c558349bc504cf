"""The client as a Python object: search, look up, resolve, install, fetch, verify.

    from sealdex import Client

    with Client() as client:
        for installed in client.install("acme/slack@^1.2"):
            print(installed.installation, installed.trust)

Everything is verified before it is returned or written; see `sealdex.trust` and `sealdex.download.download` for how.
Each registry is refreshed once, at the first question to it; a program that lives on calls `Client.refresh`. A client
may be shared by threads; processes are kept apart by locks in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from sealdex.config.config import Config
from sealdex.download.export import export_artifacts, held_files
from sealdex.errors import NoRegistryError, UnavailableError
from sealdex.events import Observer
from sealdex.install.batch import Vouch
from sealdex.install.check import installations_of, verify_installed
from sealdex.install.installer import Installer
from sealdex.install.uninstall import uninstall
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.model.release import PublishedManifest
from sealdex.queries import RegistryQueries, plugin_of
from sealdex.resolve import Choice, Keeping, Policy, Request, Resolution, parse_request
from sealdex.resolve.search import Query
from sealdex.results import Checked, Fetched, Found, Installed, PluginInfo, Trust
from sealdex.store.installations import Installation, current, installations

if TYPE_CHECKING:
    from sealdex.trust import TrustState


class Client:
    """A host's view of its registries and its store.

    Args:
        config: a configuration, or the path of ``config.toml``; the user's own when left out.
        store: another store than the configuration's; ignored when `config` is a `Config`.
        observer: told of waits, retries and progress.
        offline: make no request: what was trusted last holds as long as it hasn't expired, and files come from the
            cache and the folder of preinstalled archives.

    Attributes:
        queries: the questions to the registries alone, for what needs nothing of the store.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        store: Path | str | None = None,
        observer: Observer | None = None,
        offline: bool = False,
    ) -> None:
        self.queries = RegistryQueries(config, store=store, observer=observer, offline=offline)
        self._store = self.queries.store
        self._installer = Installer(self.queries)

    def __enter__(self) -> Client:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self.queries.close()

    @property
    def config(self) -> Config:
        """The configuration that the client was made with."""
        return self.queries.config

    @property
    def observer(self) -> Observer:
        """What is told of waits, retries and progress."""
        return self.queries.observer

    @property
    def offline(self) -> bool:
        """Whether no request is made."""
        return self.queries.offline

    @property
    def environment(self) -> Environment:
        """The facts and labels of this host, as selectors see them."""
        return self.queries.environment

    # --- questions to the registries ---------------------------------------------------------------------------------

    def refresh(self, name: str) -> TrustState:
        """Bring a registry's metadata up to date, and say what is trusted now.

        Raises:
            NotFoundError: no such registry is configured.
            VerificationError, UnavailableError: as `sealdex.trust.TrustedRegistry.refresh`.
        """
        return self.queries.refresh(name)

    def search(self, query: Query | str, *, registry: str | None = None) -> list[Found]:
        """Search the catalogues of all registries, or of one, best match first; see `RegistryQueries.search`.

        Raises:
            NotFoundError: no such registry, none at all, or it publishes no catalogue.
            VerificationError, UnavailableError: as `refresh`.
        """
        return self.queries.search(query, registry=registry)

    def documents(self, plugins: Collection[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return what is signed of several plugins, each asked for in its own registry; None for what doesn't exist.

        Raises:
            NotFoundError: no registry is configured for a namespace.
            VerificationError, UnavailableError: as `refresh`.
        """
        return self.queries.documents(plugins)

    def answers(
        self, plugins: Collection[PluginId]
    ) -> dict[PluginId, IndexDocument | UnavailableError | NoRegistryError | None]:
        """As `documents`, with the error in place of the document where a plugin's registry couldn't be asked.

        Raises:
            VerificationError: as `refresh`.
        """
        return self.queries.answers(plugins)

    def known(self, plugin: PluginId) -> PluginInfo | None:
        """Return what was verified last of a plugin, verified again without a request; None where that can't be."""
        return self.queries.known(plugin)

    def trust(self, plugin: PluginId) -> Trust:
        """Return on whose word a plugin's document is believed; raises as `documents`."""
        return self.queries.trust(plugin)

    def info(self, plugin: PluginId | str) -> PluginInfo:
        """Return all that is signed of a plugin.

        Raises:
            NotFoundError: its registry doesn't have it; the nearest names are given.
            VerificationError, UnavailableError: as `refresh`.
        """
        return self.queries.info(plugin)

    def manifest(self, plugin: PluginId | str, version: str) -> PublishedManifest:
        """Return the full manifest of a release, as its index document pins it.

        Raises:
            NotFoundError: no such plugin or release.
            VerificationError, UnavailableError: as `refresh`; or the manifest isn't the pinned one.
        """
        return self.queries.manifest(plugin, version)

    def attachment(self, plugin: PluginId | str, version: str, name: str) -> bytes:
        """Return a file that is attached to a release - a report, an SBOM, a statement - as its index document pins it.

        Raises:
            NotFoundError: no such plugin, release or attachment; those that there are are named.
            VerificationError, UnavailableError: as `refresh`; or the file isn't the pinned one.
        """
        return self.queries.attachment(plugin, version, name)

    def resolve(
        self,
        *requests: Request | str,
        policy: Policy | None = None,
        keeping: Keeping | None = None,
        platforms: Sequence[Environment] = (),
    ) -> Resolution:
        """Choose releases for what is asked and everything that depends on; see `RegistryQueries.resolve`.

        Raises:
            NotFoundError: no such plugin; NoMatchError: nothing fits, or nothing was found in time.
            VerificationError, UnavailableError: as `refresh`.
        """
        return self.queries.resolve(*requests, policy=policy, keeping=keeping, platforms=platforms)

    # --- installing --------------------------------------------------------------------------------------------------

    def install(
        self,
        *requests: Request | str,
        policy: Policy | None = None,
        make_current: bool = True,
        pin: bool | None = None,
        fallback: bool = True,
        on_resolved: Callable[[Resolution], None] | None = None,
        cascade: bool = False,
        force: bool = False,
    ) -> list[Installed]:
        """Install releases and what they depend on, dependencies first: all of them, or nothing.

        All artifacts are downloaded and verified before the first is unpacked, and all are unpacked before the first is
        switched to. What is installed already and whole is kept; what is damaged is replaced. Pinned plugins stay at
        their version. A container image is pinned and named, and nothing is pulled: that is the container runtime's to
        do. A release without artifacts brings its dependencies, and is recorded with its receipt alone.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            policy: channel, pre-releases, yanked releases, staged rollouts.
            make_current: switch ``current`` of what was asked for and of its dependencies to these versions.
            pin: pin what was asked for to these versions (True), or take its pins away (False).
            fallback: where the registry can't be reached, or none is configured, be content with installed versions
                that satisfy the requests; their action is ``fallback``; and where those don't do, with what is
                preinstalled.
            on_resolved: told what will be installed, before anything is downloaded.
            cascade: where an installed plugin needs another version of something than the one that is asked for, bring
                it to a release that fits.
            force: install it all the same; the observer is told what that breaks.

        Raises:
            BreaksDependantsError: an installed plugin would be left without what it needs; nothing was installed.
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `resolve`; nothing was installed.
            InstallError: no room, no permission, another artifact under the same version.
        """
        return self._installer.install(
            [parse_request(request) if isinstance(request, str) else request for request in requests],
            policy,
            make_current=make_current,
            pin=pin,
            fallback=fallback,
            on_resolved=on_resolved,
            cascade=cascade,
            force=force,
        )

    def resolve_beside(
        self,
        requests: Sequence[Request],
        keeping: Keeping,
        policy: Policy | None = None,
        *,
        cascade: bool = False,
        free: bool = False,
    ) -> Resolution:
        """Choose releases as `resolve` does, and so that what is installed and stays as it is goes on to work.

        Args:
            requests: what is asked for.
            keeping: as `resolve`.
            policy: as `resolve`.
            cascade: as `install`.
            free: don't look at what is installed.
        """
        return self._installer.resolve_beside(requests, keeping, policy, cascade=cascade, free=free)

    def install_archive(
        self, path: Path | str, *, identity: str | None = None, allow_unsigned: bool = False, pin: bool | None = None
    ) -> Installed:
        """Install an archive from this host's disk that nobody signed, and switch to it.

        Args:
            path: a zip, tar.gz or tar.zst.
            identity: ``NS/NAME@VERSION``; left out: the archive's own ``manifest.json`` says it.
            allow_unsigned: that this is meant.
            pin: as `install`.

        Raises:
            VerificationError: the configuration refuses unsigned archives (``require_signed``, the default), it isn't
                allowed, or the archive is unsafe; nothing was installed.
            UsageError: it isn't known what the archive is.
            NotFoundError, InstallError: no such file; as `install`.
        """
        with self.queries.cache_held():
            return self._installer.install_archive(
                Path(path), identity=identity, allow_unsigned=allow_unsigned, pin=pin
            )

    def install_choices(
        self,
        choices: Sequence[Choice],
        trust_of: Callable[[PluginId], Trust],
        *,
        command: str,
        make_current: bool = True,
        pin: bool | None = None,
        vouch: Vouch | None = None,
        force: bool = False,
    ) -> list[Installed]:
        """Install releases that were chosen, as one change; `install` and a project's ``ensure`` end here.

        Args:
            choices: what, dependencies first.
            trust_of: on whose word each plugin's pins are believed; for the receipts.
            command: what was asked for, in words, for the history.
            make_current: as `install`.
            pin: as `install`.
            vouch: asked about what turns out to be missing; see `sealdex.install.batch.install_chosen`.
            force: as `install`.

        Raises:
            BreaksDependantsError, VerificationError, UnavailableError, InstallError: as `install`; nothing was changed.
        """
        return self._installer.install_choices(
            choices, trust_of, command=command, make_current=make_current, pin=pin, vouch=vouch, force=force
        )

    def fetch(
        self, *requests: Request | str, to: Path | None = None, policy: Policy | None = None, dependencies: bool = False
    ) -> list[Fetched]:
        """Download the artifacts of releases for this environment, verified, without installing them.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            to: the folder to put them in; only into the cache when left out.
            policy: channel, pre-releases, yanked releases.
            dependencies: what the releases depend on as well.

        Raises:
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `resolve`; nothing was written.
            InstallError: a different file of that name is there, or no room.
        """
        with self.queries.cache_held():
            resolution = self.resolve(*requests, policy=policy)
            chosen = [choice for choice in resolution if dependencies or choice.requested]
            return export_artifacts(self.queries.fetcher, self.queries.cache, chosen, self.trust, to)

    @contextmanager
    def files_of(self, choices: Sequence[Choice]) -> Iterator[list[tuple[Choice, Path | None, Path]]]:
        """Yield where the artifact (None: it has none to download) and the manifest of releases lie, both verified.

        Nobody takes them out of the cache as long as the context lasts.

        Raises:
            VerificationError, UnavailableError, InstallError: as `fetch`.
        """
        with held_files(self.queries.fetcher, self.queries.cache, choices) as files:
            yield files

    # --- what is installed -------------------------------------------------------------------------------------------

    def uninstall(
        self,
        plugin: PluginId | str,
        version: str | None = None,
        *others: tuple[PluginId | str, str | None],
        cascade: bool = False,
        force: bool = False,
    ) -> list[Installation]:
        """Remove one version of a plugin, or all of them; return what was removed.

        Args:
            plugin: which.
            version: which of it; None for all.
            others: more of them, in the same change.
            cascade: whatever depends on what goes, as well.
            force: remove it whatever depends on it; the observer is told what that breaks.

        Raises:
            NotFoundError: it isn't installed.
            BreaksDependantsError: an installed plugin needs it; nothing was removed.
            InstallError: a service or another process uses it, or the file system refuses; nothing was removed.
        """
        going = [(plugin_of(name), wanted) for name, wanted in ((plugin, version), *others)]
        return uninstall(self._store, going, cascade=cascade, on_broken=self.observer.breaking if force else None)

    def current(self, plugin: PluginId | str) -> Installation | None:
        """Return the installation in use, or None."""
        return current(self._store, plugin_of(plugin))

    def path(self, plugin: PluginId | str, version: str | None = None) -> Path:
        """Return the folder of an installation: the one in use, or that of a version.

        Raises:
            NotFoundError: it isn't installed.
        """
        if version is None and (found := self.current(plugin)) is not None:
            return Path(found.path)
        return Path(installations_of(self._store, plugin_of(plugin), version)[-1].path)

    def verify(self, plugin: PluginId | str | None = None, version: str | None = None) -> list[Checked]:
        """Hash installations again and compare them with what was installed; what goes meanwhile is left out.

        What stands where an installation should and has no readable receipt is damaged, and among what is returned.

        Raises:
            NotFoundError: the plugin or version isn't installed.
        """
        return verify_installed(self._store, None if plugin is None else plugin_of(plugin), version)

    # last, because below it `list` in an annotation would mean this
    def list(self) -> list[Installation]:
        """Return what is installed, by name and version."""
        return installations(self._store)
