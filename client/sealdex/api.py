"""The Python API: a host's client with everything that the command line does; `sealdex.async_api` for ``asyncio``.

    from sealdex import Client

    with Client() as client:
        client.install("acme/slack@^1.2")
        for each in client.outdated():
            print(each.plugin, each.version, each.newest)

`sealdex.client` is the floor below: what an installation asks its registries, and installing.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex import client as base
from sealdex._arguments import checked
from sealdex.arguments import path_of, plugin_of, requests_of
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sealdex.config.document import RegistrySection
    from sealdex.config.environment_file import OtherHost
    from sealdex.errors import NoRegistryError, UnavailableError
    from sealdex.locate import Answer
    from sealdex.model.ids import PluginId
    from sealdex.model.index import IndexDocument
    from sealdex.model.plugin import Mark
    from sealdex.project import Ensured, Locked
    from sealdex.registration import Added
    from sealdex.resolve import Choice, Policy, Request
    from sealdex.results import Located, PluginInfo, Trust
    from sealdex.store.cache_gc import Tidied
    from sealdex.store.cache_policy import EvictionOrder
    from sealdex.store.change import Change
    from sealdex.store.dependants import Broken
    from sealdex.store.rollback import RolledBack
    from sealdex.store.switch import Switched
    from sealdex.update import Outdated, Updated


@checked
class Client(base.Client):
    """A host's view of its registries, its store and its projects.

    A client keeps what it has verified: each registry is asked once, when it is first needed, and all answers are of
    that state until `refresh`. The configuration is read when the client is made. What is installed is read from the
    store at each call, so that changes by other processes are seen.

    Thread-safe. Every method raises errors of `sealdex.errors`, all of them `SealdexError`; an argument of a wrong type
    or form is a `UsageError`. A method that raises has changed nothing, unless it says otherwise.

    Args:
        config: a configuration, or the path of ``config.toml``; default: the user's own.
        store: overrides the store of the configuration; ignored if `config` is a `Config`.
        observer: told about waits, retries and progress.
        offline: make no requests: the last trusted state is used if it hasn't expired, and files come from the cache
            and the folder of preinstalled archives.
    """

    def __enter__(self) -> Client:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    # --- ending what takes long --------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End what this client does in other threads, with `CancelledError`; also what is called until `resume`.

        An operation ends where nothing is lost, also while it waits for a server that sends nothing, or for another
        process; in a TLS handshake, and while a proxy is being reached, at the latest after
        ``download.connect_timeout``. Once an installation is being switched to, it is finished.
        """
        self.queries.stop.cancel()

    def resume(self) -> None:
        """Let calls be made again after `cancel`."""
        self.queries.stop.resume()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Give the calls in a ``with`` block so many seconds, all of them together, then raise `TimedOutError`.

        It holds for other threads' calls of this client meanwhile, too.
        """
        with self.queries.stop.within(seconds):
            yield

    # --- more questions to the registries -----------------------------------------------------------------------------

    def answers(
        self, plugins: Collection[PluginId]
    ) -> dict[PluginId, IndexDocument | UnavailableError | NoRegistryError | None]:
        """As `documents`, with the error instead of the document if a plugin's registry couldn't be reached.

        Raises:
            VerificationError: as `refresh`.
        """
        return self.queries.answers(plugins)

    def known(self, plugin: PluginId) -> PluginInfo | None:
        """Return the last verified document of a plugin, verified again without a request; None if not possible."""
        return self.queries.known(plugin)

    def trust(self, plugin: PluginId) -> Trust:
        """Return which registry and role signed a plugin's document; raises as `documents`."""
        return self.queries.trust(plugin)

    def locate(
        self, *requests: Request | str, policy: Policy | None = None, dependencies: bool = False
    ) -> builtins.list[Located]:
        """Return where the files are that would be installed, and what they must be; download nothing.

        Args:
            requests: ``NS/NAME`` or ``NS/NAME@RANGE``.
            policy: channel, pre-releases, yanked releases, staged rollouts.
            dependencies: also of the dependencies.

        Raises:
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `resolve`.
        """
        from sealdex.locate import locate  # noqa: PLC0415  # few ask

        asked = requests_of(requests)
        return locate(self.queries, asked, policy, dependencies=dependencies)

    def locate_for(
        self,
        hosts: Iterable[OtherHost],
        *requests: Request | str,
        policy: Policy | None = None,
        dependencies: bool = False,
    ) -> Iterator[Answer]:
        """Yield what each of other hosts would take, as `locate` does for this one; see `sealdex.locate.locate_for`.

        Args:
            hosts: as `sealdex.config.environment_file.read_hosts` reads them.
            requests: for the hosts that have no requests of their own.
            policy: as `locate`.
            dependencies: as `locate`.

        Raises:
            VerificationError, UnavailableError: as `refresh`: then no host gets an answer.
        """
        from sealdex.locate import locate_for  # noqa: PLC0415  # few ask

        asked = requests_of(requests)
        return locate_for(self.queries, hosts, asked, policy, dependencies=dependencies)

    def located(self, choice: Choice) -> Located:
        """Return where the file of a release is, after `resolve`; raises as `locate`."""
        from sealdex.locate import located  # noqa: PLC0415  # few ask

        return located(self.queries, choice)

    # --- which versions are in use -----------------------------------------------------------------------------------

    def use(
        self, plugin: PluginId | str, version: str | None = None, *, pin: bool | None = None, force: bool = False
    ) -> Switched:
        """Switch to an installed version, and pin or unpin it; see `sealdex.store.switch.use_version`.

        Raises:
            UsageError, NotFoundError, BreaksDependantsError, InstallError: as there.
        """
        from sealdex.store.switch import use_version  # noqa: PLC0415  # each verb imports what it alone needs

        return use_version(self._store, plugin_of(plugin), version, pin, self._breaking(force=force))

    def pin(self, plugin: PluginId | str, version: str | None = None) -> Switched:
        """Keep a plugin at the version in use, or at another installed one; raises as `use`."""
        return self.use(plugin, version, pin=True)

    def unpin(self, plugin: PluginId | str) -> Switched:
        """Let a plugin be updated again; raises as `use`."""
        return self.use(plugin, pin=False)

    def enable(self, *plugins: PluginId | str, force: bool = False) -> Switched:
        """Allow hosts to load plugins again; a status of error is cleared. Raises as `use`."""
        from sealdex.store.switch import set_enabled  # noqa: PLC0415  # each verb imports what it alone needs

        return set_enabled(self._store, _plugins(plugins), enabled=True, on_broken=self._breaking(force=force))

    def disable(self, *plugins: PluginId | str) -> Switched:
        """Stop hosts from loading plugins; they stay installed and are still updated. Raises as `use`."""
        from sealdex.store.switch import set_enabled  # noqa: PLC0415  # each verb imports what it alone needs

        return set_enabled(self._store, _plugins(plugins), enabled=False)

    def rollback(self, to: int | None = None, *, force: bool = False) -> RolledBack:
        """Undo the last change that is still in effect, or all after change ``to``; 0: all.

        Raises:
            UsageError: there is no such change, or it is already undone.
            NotFoundError, BreaksDependantsError, VerificationError, InstallError: as
                `sealdex.store.rollback.roll_back`.
        """
        from sealdex.install.rollback import roll_back_with_cache  # noqa: PLC0415  # each verb imports what it alone needs

        if to is not None and (not isinstance(to, int) or isinstance(to, bool) or to < 0):
            raise UsageError("a change is named by its number, as history() has it", hint="rollback(to=12)")
        return roll_back_with_cache(self._store, to, on_broken=self._breaking(force=force))

    def history(self, limit: int | None = None) -> builtins.list[Change]:
        """Return the changes made to the store, newest first; at most ``limit``."""
        from sealdex.store.database import State  # noqa: PLC0415  # each verb imports what it alone needs

        return State(self._store).history(-1 if limit is None else limit)

    # --- keeping up --------------------------------------------------------------------------------------------------

    def outdated(self, policy: Policy | None = None) -> builtins.list[Outdated]:
        """Return the plugins in use with a newer release that fits this host; see `sealdex.update.outdated`.

        Raises:
            VerificationError, UnavailableError: as `refresh`.
        """
        from sealdex.update import outdated  # noqa: PLC0415  # each verb imports what it alone needs

        return outdated(self, policy)

    def update(
        self,
        *plugins: PluginId | str,
        policy: Policy | None = None,
        dry_run: bool = False,
        cascade: bool = False,
        force: bool = False,
    ) -> Updated:
        """Update all plugins in use, or those that are named; see `sealdex.update.update_installed`.

        Raises:
            NotFoundError, NoMatchError, VerificationError, UnavailableError, InstallError: as there.
        """
        from sealdex.update import update_installed  # noqa: PLC0415  # each verb imports what it alone needs

        named = _plugins(plugins) if plugins else ()
        return update_installed(self, named, policy=policy, dry_run=dry_run, cascade=cascade, force=force)

    # --- projects ----------------------------------------------------------------------------------------------------

    def lock(
        self,
        folder: Path | str = ".",
        *,
        upgrade: bool = False,
        upgrade_plugins: Sequence[PluginId | str] = (),
        dry_run: bool = False,
    ) -> Locked:
        """Resolve a folder's ``sealdex.toml`` into its ``sealdex.lock``; see `sealdex.project.Project.lock`.

        Raises:
            NotFoundError, NoMatchError, ConfigError, VerificationError, UnavailableError: as there.
        """
        from sealdex.project import Project  # noqa: PLC0415  # each verb imports what it alone needs

        if isinstance(upgrade_plugins, str):
            raise UsageError("upgrade_plugins is a list of plugins", hint="upgrade_plugins=['acme/slack']")
        upgraded = [plugin_of(plugin) for plugin in upgrade_plugins]
        project = Project(path_of(folder, "the project's folder"), self)
        return project.lock(upgrade=upgrade, upgrade_plugins=upgraded, dry_run=dry_run)

    def ensure(
        self,
        folder: Path | str = ".",
        *,
        locked: bool = False,
        frozen: bool = False,
        fallback: bool = True,
        on_yanked: Callable[[PluginId, str, Mark], None] | None = None,
    ) -> Ensured:
        """Install exactly what a folder's ``sealdex.lock`` says, and switch to it, as one change.

        Args:
            folder: the folder of ``sealdex.toml`` and ``sealdex.lock``.
            locked: fail if the lock is out of date or missing, instead of updating it.
            frozen: don't check whether it is out of date.
            fallback: trust the lock's digests where a registry can't be reached.
            on_yanked: called with releases that were yanked, before they are installed.

        Raises:
            StaleLockError, NoMatchError, VerificationError, UnavailableError, InstallError: as
                `sealdex.project.Project.ensure`.
        """
        from sealdex.project import Project  # noqa: PLC0415  # each verb imports what it alone needs

        project = Project(path_of(folder, "the project's folder").absolute(), self)
        document = project.up_to_date(locked=locked, frozen=frozen)
        return project.ensure(document, fallback=fallback, is_current=not frozen, on_yanked=on_yanked)

    # --- the host itself ---------------------------------------------------------------------------------------------

    def registries(self) -> Mapping[str, RegistrySection]:
        """Return the registries of the configuration, by name."""
        return self.config.registries

    def add_registry(
        self,
        name: str,
        *addresses: str,
        root: Path | str | None = None,
        fingerprint: str | None = None,
        namespaces: Sequence[str] = (),
        auth: Mapping[str, Any] | None = None,
        max_staleness: str | None = None,
        partial: bool = False,
        check: bool = True,
    ) -> Added:
        """Add a registry to the configuration's file; see `sealdex.registration.add_registry`.

        This client goes on with the configuration that it was made with: make another one to use the registry.

        Raises:
            UsageError, ConfigError, VerificationError, UnavailableError: as there; nothing was written.
        """
        from sealdex.registration import add_registry  # noqa: PLC0415  # each verb imports what it alone needs

        return add_registry(
            self.config,
            name,
            addresses,
            root=path_of(root, "the root") if root is not None else None,
            fingerprint=fingerprint,
            namespaces=namespaces,
            auth=auth,
            max_staleness=max_staleness,
            partial=partial,
            check=check,
            observer=self.queries.observer,
            stop=self.queries.stop,
        )

    def remove_registry(self, name: str) -> RegistrySection:
        """Remove a registry from the configuration's file; what was installed from it is kept.

        Raises:
            NotFoundError: there is none of that name.
            ConfigError: the file can't be edited.
        """
        from sealdex.registration import remove_registry  # noqa: PLC0415  # each verb imports what it alone needs

        return remove_registry(self.config, name)

    def gc(
        self,
        *,
        max_bytes: int | None = None,
        max_age_days: float | None = None,
        eviction: EvictionOrder | None = None,
        dry_run: bool = False,
    ) -> Tidied:
        """Bring the cache within its limits; the configuration has those that aren't given."""
        from sealdex.store.cache_gc import tidy  # noqa: PLC0415  # each verb imports what it alone needs
        from sealdex.store.cache_policy import CacheLimits  # noqa: PLC0415  # each verb imports what it alone needs

        said = self.config.cache_limits
        limits = CacheLimits(
            said.max_bytes if max_bytes is None else max_bytes,
            said.max_age_s if max_age_days is None else max_age_days * 86400,
            eviction or said.eviction,
        )
        return tidy(self.queries.cache, limits, is_dry_run=dry_run)

    def _breaking(self, *, force: bool) -> Callable[[Sequence[Broken]], None] | None:
        return self.queries.observer.breaking if force else None


def _plugins(plugins: Sequence[PluginId | str]) -> builtins.list[PluginId]:
    if not plugins:
        raise UsageError("no plugin was given", hint="for example 'acme/slack'")
    return [plugin_of(plugin) for plugin in plugins]


__all__ = ["Client"]
