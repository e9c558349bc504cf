"""The client as a Python object: search, look up, resolve, install, fetch, verify.

    from sealdex import Client

    with Client() as client:
        for installed in client.install("acme/slack@^1.2"):
            print(installed.installation, installed.trust)

Everything is verified before it is returned or written; see `sealdex.trust` and `sealdex.download.download` for how.
Each registry is refreshed once, when it is first used; a long-running program calls `Client.refresh`. A client is
thread-safe; processes are synchronized by locks in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from sealdex.arguments import path_of, plugin_of, requests_of
from sealdex.config.config import Config
from sealdex.events import Observer, unguarded
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.model.release import PublishedManifest
from sealdex.queries import RegistryQueries
from sealdex.resolve import Choice, Keeping, Policy, Request, Resolution
from sealdex.results import AllFound, Checked, Fetched, Installed, Planned, PluginInfo, Trust
from sealdex.store.installations import Installation, current, installations

if TYPE_CHECKING:
    from sealdex.install.batch import Vouch
    from sealdex.install.installer import Installer
    from sealdex.resolve.search import Query
    from sealdex.trust import TrustState


class Client:
    """A host's view of its registries and its store.

    Args:
        config: a configuration, or the path of ``config.toml``; default: the user's own.
        store: overrides the store of the configuration; ignored if `config` is a `Config`.
        observer: told about waits, retries and progress.
        offline: make no requests: the last trusted state is used if it hasn't expired, and files come from the cache
            and the folder of preinstalled archives.

    Attributes:
        queries: the queries to the registries alone, without the installations.
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

    def __enter__(self) -> Client:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.queries.close()

    @cached_property
    def _installer(self) -> Installer:
        from sealdex.install.installer import Installer  # noqa: PLC0415  # questions need none of it

        return Installer(self.queries)

    @property
    def config(self) -> Config:
        """The configuration of the client."""
        return self.queries.config

    @property
    def observer(self) -> Observer:
        """The observer of waits, retries and progress."""
        return unguarded(self.queries.observer)

    @property
    def offline(self) -> bool:
        """Whether no request is made."""
        return self.queries.offline

    @property
    def environment(self) -> Environment:
        """The labels and tags of this host, as selectors see them."""
        return self.queries.environment

    # --- questions to the registries ---------------------------------------------------------------------------------

    def refresh(self, name: str) -> TrustState:
        """Bring a registry's metadata up to date, and return what is trusted now.

        Raises:
            NotFoundError: no such registry is configured.
            VerificationError, UnavailableError: as `sealdex.trust.TrustedRegistry.refresh`.
        """
        return self.queries.refresh(name)

    def search(self, query: Query | str, *, registry: str | None = None, limit: int | None = None) -> AllFound:
        """Search the catalogs of all registries, or of one, best match first; see `RegistryQueries.search`.

        Raises:
            NotFoundError: no such registry, none at all, or it publishes no catalog.
            VerificationError, UnavailableError: as `refresh`.
        """
        return self.queries.search(query, registry=registry, limit=limit)

    def documents(self, plugins: Collection[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return the signed documents of several plugins, each from its own registry; None for those that don't exist.

        Raises:
            NotFoundError: no registry is configured for a namespace.
            VerificationError, UnavailableError: as `refresh`.
        """
        return self.queries.documents(plugins)

    def info(self, plugin: PluginId | str) -> PluginInfo:
        """Return everything that is signed about a plugin.

        Raises:
            NotFoundError: its registry doesn't have it; the nearest names are suggested.
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
            NotFoundError: no such plugin, release or attachment; the existing ones are named.
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
        """Choose releases for the requests and their dependencies; see `RegistryQueries.resolve`.

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
        """Install releases and their dependencies, dependencies first: either all of them or none.

        All artifacts are downloaded and verified before the first is unpacked, and all are unpacked before the first is
        switched to. Intact installations are kept; damaged ones are replaced. Pinned plugins stay at their version. A
        container image is not pulled: it is only named, with its pinned digest, for the container runtime. A release
        without artifacts is recorded with a receipt, and its dependencies are installed.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            policy: channel, pre-releases, yanked releases, staged rollouts.
            make_current: switch ``current`` of the requested plugins and their dependencies to these versions.
            pin: pin the requested plugins to these versions (True), or unpin them (False).
            fallback: if the registry can't be reached, or none is configured, fall back to installed versions that
                satisfy the requests (their action is ``fallback``), and otherwise to preinstalled archives.
            on_resolved: called with what will be installed, before anything is downloaded.
            cascade: if an installed plugin needs another version of something than the requested one, update it to a
                release that fits.
            force: install anyway; the observer is told what that breaks.

        Raises:
            BreaksDependantsError: an installed plugin would lose something it needs; nothing was installed.
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `resolve`; nothing was installed.
            InstallError: disk full, no permission, another artifact under the same version.
        """
        asked = requests_of(requests)
        self.queries.begin_asking(request.plugin for request in asked)
        return self._installer.install(
            asked,
            policy,
            make_current=make_current,
            pin=pin,
            fallback=fallback,
            on_resolved=on_resolved,
            cascade=cascade,
            force=force,
        )

    def preview(
        self,
        *requests: Request | str,
        policy: Policy | None = None,
        make_current: bool = True,
        pin: bool | None = None,
        on_resolved: Callable[[Resolution], None] | None = None,
        cascade: bool = False,
        force: bool = False,
    ) -> list[Planned]:
        """Return what `install` would do with the same arguments, without installing or downloading anything.

        Only the registry's metadata is brought up to date, as by any question. Attestations aren't verified.

        Raises:
            BreaksDependantsError, NotFoundError, NoMatchError, VerificationError, UnavailableError: as `install`.
        """
        return self._installer.preview(
            requests_of(requests),
            policy,
            make_current=make_current,
            pin=pin,
            on_resolved=on_resolved,
            cascade=cascade,
            force=force,
        )

    def preview_choices(
        self, choices: Sequence[Choice], trust_of: Callable[[PluginId], Trust], *, force: bool = False
    ) -> list[Planned]:
        """Return what `install_choices` would do, without doing it; used by `preview` and a project's dry run.

        Raises:
            NotHereError: something that no registry has signed is neither in the cache nor preinstalled.
            BreaksDependantsError, InstallError: as `install_choices`.
        """
        return self._installer.preview_choices(choices, trust_of, force=force)

    def preview_archive(
        self, path: Path | str, *, identity: str | None = None, allow_unsigned: bool = False
    ) -> Planned:
        """Return what `install_archive` would do, without doing it; raises as that."""
        return self._installer.preview_archive(
            path_of(path, "an archive"), identity=identity, allow_unsigned=allow_unsigned
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
        """Choose releases as `resolve` does, without breaking installed plugins that are not changed.

        Args:
            requests: what is asked for.
            keeping: as `resolve`.
            policy: as `resolve`.
            cascade: as `install`.
            free: ignore what is installed.
        """
        return self._installer.resolve_beside(requests, keeping, policy, cascade=cascade, free=free)

    def install_archive(
        self, path: Path | str, *, identity: str | None = None, allow_unsigned: bool = False, pin: bool | None = None
    ) -> Installed:
        """Install an archive from this host's disk, and switch to it.

        If a configured registry has signed its digest, it is installed as that release, with its dependencies.
        Otherwise it is unsigned.

        Args:
            path: a zip, tar.gz or tar.zst.
            identity: ``NS/NAME@VERSION``; default: from the archive's ``manifest.json`` or ``service.json``.
            allow_unsigned: confirms that this is intended.
            pin: as `install`.

        Raises:
            VerificationError: the configuration refuses unsigned archives (``require_signed``, the default), it isn't
                allowed, or the archive is unsafe; nothing was installed.
            UsageError: the archive's plugin and version aren't known. NoMatchError: it is signed, and for other hosts.
            NotFoundError, InstallError: no such file; as `install`.
        """
        with self.queries.cache_held():
            return self._installer.install_archive(
                path_of(path, "an archive"), identity=identity, allow_unsigned=allow_unsigned, pin=pin
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
        """Install chosen releases as one change; used by `install` and a project's ``ensure``.

        Args:
            choices: the releases, dependencies first.
            trust_of: returns which registry and role signed a plugin's metadata; for the receipts.
            command: the request as text, for the history.
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
        self,
        *requests: Request | str,
        to: Path | str | None = None,
        policy: Policy | None = None,
        dependencies: bool = False,
    ) -> list[Fetched]:
        """Download and verify the artifacts of releases for this environment without installing them.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            to: the destination folder; default: only into the cache.
            policy: channel, pre-releases, yanked releases.
            dependencies: also fetch the dependencies.

        Raises:
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `resolve`; nothing was written.
            InstallError: a different file has that name, or the disk is full.
        """
        from sealdex.download.export import export_artifacts  # noqa: PLC0415  # questions need none of it

        folder = path_of(to, "the destination") if to is not None else None
        with self.queries.cache_held():
            resolution = self.resolve(*requests, policy=policy)
            chosen = [choice for choice in resolution if dependencies or choice.requested]
            return export_artifacts(self.queries.fetcher, self.queries.cache, chosen, self.queries.trust, folder)

    @contextmanager
    def files_of(self, choices: Sequence[Choice]) -> Iterator[list[tuple[Choice, Path | None, Path]]]:
        """Yield the paths of the artifact (None: it has none to download) and manifest of releases, both verified.

        They aren't evicted from the cache during the context.

        Raises:
            VerificationError, UnavailableError, InstallError: as `fetch`.
        """
        from sealdex.download.export import held_files  # noqa: PLC0415  # questions need none of it

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
            plugin: the plugin.
            version: its version; None for all.
            others: more plugins, in the same change.
            cascade: also remove everything that depends on them.
            force: remove them even if something depends on them; the observer is told what that breaks.

        Raises:
            NotFoundError: it isn't installed.
            BreaksDependantsError: an installed plugin needs it; nothing was removed.
            InstallError: a service or another process uses it, or a file system error; nothing was removed.
        """
        from sealdex.install.uninstall import uninstall  # noqa: PLC0415  # questions need none of it

        going = [(plugin_of(name), wanted) for name, wanted in ((plugin, version), *others)]
        return uninstall(
            self._store, going, cascade=cascade, on_broken=self.queries.observer.breaking if force else None
        )

    def current(self, plugin: PluginId | str) -> Installation | None:
        """Return the installation in use, or None."""
        return current(self._store, plugin_of(plugin))

    def path(self, plugin: PluginId | str, version: str | None = None) -> Path:
        """Return the folder of an installation: the one in use, or that of a version.

        Raises:
            NotFoundError: it isn't installed.
        """
        if version is None and (found := self.current(plugin)) is not None:
            return found.path
        from sealdex.install.check import installations_of  # noqa: PLC0415  # questions need none of it

        return installations_of(self._store, plugin_of(plugin), version)[-1].path

    def verify(self, plugin: PluginId | str | None = None, version: str | None = None) -> list[Checked]:
        """Hash installations and compare them with what was installed; those removed meanwhile are left out.

        Anything in the place of an installation without a readable receipt is damaged, and is returned too.

        Raises:
            NotFoundError: the plugin or version isn't installed.
        """
        from sealdex.install.check import verify_installed  # noqa: PLC0415  # questions need none of it

        return verify_installed(self._store, None if plugin is None else plugin_of(plugin), version)

    # last, because below it `list` in an annotation would mean this
    def list(self) -> list[Installation]:
        """Return what is installed, by name and version."""
        return installations(self._store)
