"""The client as a Python object: search, look up, resolve, install, fetch, verify.

    from sealdex import Client

    with Client() as client:
        for installed in client.install("acme/slack@^1.2"):
            print(installed.installation, installed.trust)

Everything is verified before it is returned or written; see `sealdex.trust` and `sealdex.download` for how. Each
registry is refreshed once, at the first question to it; a program that lives on calls `Client.refresh`. A client may be
shared by threads; processes are kept apart by locks in the store.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sealdex.access import credentials_of
from sealdex.artifacts import attachment_url, image_reference
from sealdex.builtin import Builtin
from sealdex.config import Config, load_config
from sealdex.copying import copy_verified
from sealdex.deploying import Job, deploy, finish_killed, pins
from sealdex.download import Pin, download
from sealdex.errors import NoRegistryError, NotFoundError, UnavailableError, UsageError, VerificationError
from sealdex.fallback import fall_back
from sealdex.installing import install_chosen, install_request
from sealdex.local_archive import REGISTRY as LOCAL_REGISTRY
from sealdex.local_archive import opened, parse_identity, require_allowed
from sealdex.manifests import read_manifest
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import FilePin, IndexDocument, ReleaseEntry
from sealdex.model.release import PublishedManifest
from sealdex.observing import Observer
from sealdex.obtaining import Obtainer
from sealdex.resolve import (
    Choice,
    Keeping,
    Policy,
    Request,
    Resolution,
    UnknownPluginError,
    nearest,
    parse_request,
    resolve,
)
from sealdex.results import Checked, Fetched, Found, Installed, PluginInfo, Trust
from sealdex.search import Query, search
from sealdex.store.cache import ContentCache
from sealdex.store.cache_upkeep import is_over, tidy
from sealdex.store.changes import require_installed
from sealdex.store.host import host_id
from sealdex.store.installations import Installation, current, installations, installed_versions
from sealdex.store.layout import Store
from sealdex.store.set_change import remove_versions
from sealdex.store.verify import verify_standing
from sealdex.transport import Transport

if TYPE_CHECKING:
    from sealdex.registries import Registries
    from sealdex.trust import TrustState

_Result = TypeVar("_Result")


def _tended(method: Callable[..., _Result]) -> Callable[..., _Result]:
    """Hold the cached files that a method uses until it ends; then bring the cache within its limits."""

    @functools.wraps(method)
    def tended(self: Client, *args: Any, **options: Any) -> _Result:
        before = self._cache.added
        with self._cache.holding():
            result = method(self, *args, **options)
        if self._cache.added > before and is_over(self._cache, self.config.cache_limits):
            with suppress(OSError):  # what was asked for is done; `sealdex cache gc` says what is wrong
                tidy(self._cache, self.config.cache_limits)
        return result

    return tended


class Client:
    """A host's view of its registries and its store.

    Args:
        config: a configuration, or the path of ``config.toml``; the user's own when left out.
        store: another store than the configuration's; ignored when `config` is a `Config`.
        observer: told of waits, retries and progress.
        offline: make no request: what was trusted last holds as long as it hasn't expired, and files come from the
            cache and the folder of preinstalled archives.
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
        self.observer = observer or Observer()
        self._store = Store(self.config.store)
        self._cache = ContentCache(Path(self._store.cache_folder))
        self._builtin = Builtin(self.config.builtin_folder)
        self._transport = Transport(
            self.config.transport_settings,
            credentials=credentials_of(self.config),
            on_retry=self.observer.retrying,
        )
        self._opened: Registries | None = None
        self._lock = threading.Lock()
        self._obtainer = Obtainer(
            self.config,
            self._store,
            self._cache,
            self._builtin,
            self._transport,
            lambda: self._registries,
            self.observer,
            offline=offline,
        )

    def __enter__(self) -> Client:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    @property
    def _registries(self) -> Registries:
        with self._lock:
            if self._opened is None:
                from sealdex.registries import Registries  # noqa: PLC0415  # tuf: what asks no registry needn't wait for it

                self._opened = Registries(self.config, self._transport, self.observer, offline=self.offline)
            return self._opened

    @property
    def environment(self) -> Environment:
        """The facts and labels of this host, as selectors see them."""
        return self.config.environment

    def refresh(self, name: str) -> TrustState:
        """Bring a registry's metadata up to date, and say what is trusted now.

        Raises:
            NotFoundError: no such registry is configured.
            VerificationError, UnavailableError: as `sealdex.trust.TrustedRegistry.refresh`.
        """
        return self._registries.refresh(name)

    # --- questions ---------------------------------------------------------------------------------------------------

    def search(self, query: Query | str, *, registry: str | None = None) -> list[Found]:
        """Search the catalogues, best match first.

        A registry's rows count only for the namespaces that are looked up there, so that none can show a stranger under
        a name that belongs to another.

        Args:
            query: words, or words and filters.
            registry: search only this one.

        Raises:
            NotFoundError: no such registry, none at all, or it publishes no catalogue.
            VerificationError, UnavailableError: as `refresh`.
        """
        asked = Query(tuple(query.split())) if isinstance(query, str) else query
        names = [registry] if registry is not None else list(self.config.registries)
        if not names:
            self.config.registry_for("any")  # raises, with the advice to add one
        found = [Found(hit.row, n, hit.rank) for n in names for hit in search(self._registries.rows(n), asked)]
        return sorted(found, key=lambda hit: (hit.row.deprecated is not None, hit.rank)) if len(names) > 1 else found

    def documents(self, plugins: Collection[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return what is signed of several plugins, each asked for in its own registry; None for what doesn't exist.

        Raises:
            NotFoundError: no registry is configured for a namespace.
            VerificationError, UnavailableError: as `refresh`.
        """
        return self._registries.documents(plugins)

    def trust(self, plugin: PluginId) -> Trust:
        """Return on whose word a plugin's document is believed; raises as `documents`."""
        return self._registries.trust(plugin)

    def info(self, plugin: PluginId | str) -> PluginInfo:
        """Return all that is signed of a plugin.

        Raises:
            NotFoundError: its registry doesn't have it; the nearest names are given.
            VerificationError, UnavailableError: as `refresh`.
        """
        asked = _plugin(plugin)
        document = self._registries.documents([asked])[asked]
        if document is None:
            raise self._registries.unknown(asked)
        return PluginInfo(document, self._registries.trust(asked))

    @_tended
    def manifest(self, plugin: PluginId | str, version: str) -> PublishedManifest:
        """Return the full manifest of a release, as its index document pins it.

        Raises:
            NotFoundError: no such plugin or release.
            VerificationError, UnavailableError: as `refresh`; or the manifest isn't the pinned one.
        """
        asked = _plugin(plugin)
        document = self.info(asked).document
        release = document.release(version)
        if release is None:
            raise NotFoundError(
                f"{asked} has no release {version}",
                subject=str(asked),
                hint=f"sealdex info {asked} lists its releases",
            )
        return read_manifest(self._obtainer.manifest_bytes(asked, release), asked, version)

    @_tended
    def attachment(self, plugin: PluginId | str, version: str, name: str) -> bytes:
        """Return a file that is attached to a release - a report, an SBOM, a statement - as its index document pins it.

        Raises:
            NotFoundError: no such plugin, release or attachment; those that there are are named.
            VerificationError, UnavailableError: as `refresh`; or the file isn't the pinned one.
        """
        asked = _plugin(plugin)
        release = self.info(asked).document.release(version)
        attached = {each.name: each for each in release.attachments} if release is not None else {}
        if name not in attached:
            raise NotFoundError(
                f"{asked} {version} has no attachment '{name}'; it has {', '.join(attached) or 'none'}",
                subject=str(asked),
                hint=f"sealdex info {asked}@{version}",
            )
        file = attached[name]
        url = attachment_url(self._registries.url_of(asked), asked, version, file)
        pin = Pin(file.sha256, file.size, file.size)
        data = download(self._transport, url, pin, self._cache).read_bytes()
        if hashlib.sha256(data).hexdigest() != pin.sha256:
            raise VerificationError(f"{name} changed in the cache while it was read", subject=str(self._cache.root))
        return data

    def resolve(
        self,
        *requests: Request | str,
        policy: Policy | None = None,
        keeping: Keeping | None = None,
        platforms: Sequence[Environment] = (),
    ) -> Resolution:
        """Choose releases for what is asked and everything that depends on, for this host's environment.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            policy: channel, pre-releases, yanked releases, staged rollouts.
            keeping: pins, and what a lock says.
            platforms: the environments to choose for in place of this host's.

        Raises:
            NotFoundError: no such plugin; NoMatchError: nothing fits, with what exists and why it was passed over.
            VerificationError, UnavailableError: as `refresh`.
        """
        asked = [parse_request(request) if isinstance(request, str) else request for request in requests]
        policy = policy or Policy()
        if policy.host is None:
            policy = msgspec.structs.replace(policy, host=host_id(self._store))
        here, *others = platforms or (self.environment,)
        try:
            return resolve(asked, self._registries.documents, here, policy, keeping=keeping, platforms=others)
        except UnknownPluginError as error:
            raise self._registries.unknown(error.plugin) from error

    # --- downloads and installations ---------------------------------------------------------------------------------

    def install(
        self,
        *requests: Request | str,
        policy: Policy | None = None,
        make_current: bool = True,
        pin: bool | None = None,
        fallback: bool = True,
        on_resolved: Callable[[Resolution], None] | None = None,
    ) -> list[Installed]:
        """Install releases and what they depend on, dependencies first: all of them, or nothing.

        All artifacts are downloaded and verified before the first is unpacked, and all are unpacked before the first is
        switched to. What is installed already and whole is kept; what is damaged is replaced. Pinned plugins stay at
        their version. A container image is pinned and named, and nothing is pulled: that is the container runtime's to
        do. A release without artifacts brings its dependencies only.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            policy: channel, pre-releases, yanked releases, staged rollouts.
            make_current: switch ``current`` of what was asked for and of its dependencies to these versions.
            pin: pin what was asked for to these versions (True), or take its pins away (False).
            fallback: where the registry can't be reached, or none is configured, be content with installed versions
                that satisfy the requests; their action is ``fallback``; and where those don't do, with what is
                preinstalled.
            on_resolved: told what will be installed, before anything is downloaded.

        Raises:
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `resolve`; nothing was installed.
            InstallError: no room, no permission, another artifact under the same version.
        """
        asked = [parse_request(request) if isinstance(request, str) else request for request in requests]
        finish_killed(self._store)
        held = pins(self._store)
        if pin is not None:
            held = {plugin: version for plugin, version in held.items() if plugin not in {r.plugin for r in asked}}
        command = f"install {' '.join(map(str, asked))}"
        try:
            resolution = self.resolve(*asked, policy=policy, keeping=Keeping(pinned=held))
            if on_resolved is not None:
                on_resolved(resolution)
            return self.install_choices(
                resolution.choices, self._registries.trust, command=command, make_current=make_current, pin=pin
            )
        except (UnavailableError, NoRegistryError) as error:
            if not fallback:
                raise
            return self._without_registry(asked, error, command, make_current=make_current)

    def _without_registry(
        self, asked: Sequence[Request], error: UnavailableError | NoRegistryError, command: str, *, make_current: bool
    ) -> list[Installed]:
        """Be content with what is installed, else with what the host came with; else raise what was caught."""
        try:
            return fall_back(self._store, asked, error, command=command, make_current=make_current)
        except (UnavailableError, NoRegistryError):
            from sealdex.project.preinstalled import preinstalled  # noqa: PLC0415  # only for who has nothing better

            found = preinstalled(self._builtin, asked, self.environment)
            if found is None:
                raise
        choices, trusts = found
        done = self.install_choices(
            choices, trusts.__getitem__, command=f"{command} (builtin)", make_current=make_current
        )
        return [replace(each, unreachable=error.message) for each in done]

    @_tended
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
        file = Path(path)
        require_allowed(self.config, file, allowed=allow_unsigned)
        finish_killed(self._store)
        with opened(self._store, file, parse_identity(identity) if identity is not None else None) as local:
            manifest_sha256 = hashlib.sha256(local.manifest).hexdigest()
            release = ReleaseEntry(
                local.version,
                FilePin(len(local.manifest), manifest_sha256),
                artifacts=(local.artifact,),
                dependencies=local.dependencies,
            )
            choice = Choice(
                local.plugin,
                release,
                IndexDocument(1, *local.plugin, "", "", (release,)),
                local.artifact,
                requested=True,
            )
            if (policy := self.config.document.attestations) is not None and policy.required:
                from sealdex.attesting import refuse_unsigned  # noqa: PLC0415  # as in install_choices

                refuse_unsigned(self.config, choice.plugin)
            trust = Trust(LOCAL_REGISTRY, None, None)
            request = install_request(choice, trust)
            if request is None:
                raise AssertionError("unreachable: a local archive is no image")
            job = Job(replace(request, manifest=local.manifest), local.path, pin)
            done = deploy(self._store, [job], command=f"install {file.name} as {choice.plugin}@{local.version}")[0]
        previous = done.before if done.before != local.version else None
        return Installed(choice, trust, done.result.action, done.result.installation, previous)

    @_tended
    def install_choices(
        self,
        choices: Sequence[Choice],
        trust_of: Callable[[PluginId], Trust],
        *,
        command: str,
        make_current: bool = True,
        pin: bool | None = None,
    ) -> list[Installed]:
        """Install releases that were chosen, as one change; `install` and a project's ``ensure`` end here.

        Args:
            choices: what, dependencies first.
            trust_of: on whose word each plugin's pins are believed; for the receipts.
            command: what was asked for, in words, for the history.
            make_current: as `install`.
            pin: as `install`.

        Raises:
            VerificationError, UnavailableError, InstallError: as `install`; nothing was changed.
        """
        if (policy := self.config.document.attestations) is not None and policy.required:
            from sealdex.attesting import require_attestations  # noqa: PLC0415  # few hosts require them

            require_attestations(self, choices)
        trusts = {choice.plugin: trust_of(choice.plugin) for choice in choices}
        return install_chosen(
            self._store, self._obtainer, self.observer, choices, trusts, command, make_current=make_current, pin=pin
        )

    @_tended
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
        resolution = self.resolve(*requests, policy=policy)
        chosen = [choice for choice in resolution if dependencies or choice.requested]
        archives = self._obtainer.archives(chosen)
        fetched: list[Fetched] = []
        for choice in chosen:
            trust = self._registries.trust(choice.plugin)
            if choice.artifact is None:
                continue
            if choice.artifact.format == "oci":
                image = image_reference(choice.plugin, choice.release.version, choice.artifact)
                fetched.append(Fetched(choice, trust, image=image))
                continue
            path = archives[choice.artifact.sha256]
            fetched.append(Fetched(choice, trust, path if to is None else copy_verified(path, to, choice.artifact)))
        return fetched

    def files_of(self, choices: Sequence[Choice]) -> list[tuple[Choice, Path | None, Path]]:
        """Return where the artifact (None: it has none to download) and the manifest of releases lie, both verified.

        Raises:
            VerificationError, UnavailableError, InstallError: as `fetch`.
        """
        archives = self._obtainer.archives(choices)
        found = []
        for choice in choices:
            manifest = self._obtainer.manifest_file(choice.plugin, choice.release)
            found.append((choice, archives.get(choice.artifact.sha256) if choice.artifact else None, manifest))
        return found

    def uninstall(self, plugin: PluginId | str, version: str | None = None) -> list[Installation]:
        """Remove one version of a plugin, or all of them; return what was removed.

        Raises:
            NotFoundError: it isn't installed.
            InstallError: a service or another process uses it, or the file system refuses; nothing was removed.
        """
        finish_killed(self._store)
        found = self._installed_of(plugin, version)
        versions = {_plugin(plugin): tuple(installation.version for installation in found)}
        remove_versions(self._store, f"uninstall {plugin}" + (f"@{version}" if version else ""), versions)
        return found

    def current(self, plugin: PluginId | str) -> Installation | None:
        """Return the installation in use, or None."""
        return current(self._store, _plugin(plugin))

    def path(self, plugin: PluginId | str, version: str | None = None) -> Path:
        """Return the folder of an installation: the one in use, or that of a version.

        Raises:
            NotFoundError: it isn't installed.
        """
        if version is None and (found := self.current(plugin)) is not None:
            return Path(found.path)
        return Path(self._installed_of(plugin, version)[-1].path)

    def verify(self, plugin: PluginId | str | None = None, version: str | None = None) -> list[Checked]:
        """Hash installations again and compare them with what was installed; what goes meanwhile is left out.

        Raises:
            NotFoundError: the plugin or version isn't installed.
        """
        found = installations(self._store) if plugin is None else self._installed_of(plugin, version)
        standing = [verify_standing(self._store, installation) for installation in found]
        checked = [Checked(each[0], tuple(each[1])) for each in standing if each is not None]
        if plugin is not None and not checked:
            self._installed_of(plugin, version)  # says what is there now
        return checked

    def _installed_of(self, plugin: PluginId | str, version: str | None) -> list[Installation]:
        asked = _plugin(plugin)
        if version is not None:
            return [require_installed(self._store, asked, version)]
        found = installed_versions(self._store, asked)
        if found:
            return found
        near = nearest(asked, {PluginId(*installation.id) for installation in installations(self._store)})
        raise NotFoundError(
            f"{asked} is not installed" + (f"; did you mean {' or '.join(map(str, near))}?" if near else ""),
            subject=str(asked),
            untouched="nothing was changed",
            hint=f"sealdex list shows what is; sealdex install {asked} installs it",
        )

    # last, because below it `list` in an annotation would mean this
    def list(self) -> list[Installation]:
        """Return what is installed, by name and version."""
        return installations(self._store)


def _plugin(plugin: PluginId | str) -> PluginId:
    if isinstance(plugin, PluginId):
        return plugin
    try:
        return parse_plugin_id(plugin)
    except ValueError as error:
        raise UsageError(str(error), subject=plugin, hint="write NAMESPACE/NAME, such as acme/slack") from error
