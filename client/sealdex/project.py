"""A project: resolves its `sealdex.toml` to its `sealdex.lock`, and installs what the lock says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sealdex.client import Client
from sealdex.config.toml_reader import read_toml_text
from sealdex.disk import replace
from sealdex.download.fetcher import NotHereError
from sealdex.download.locations import MANIFEST_NAME
from sealdex.download.preinstalled import Builtin
from sealdex.errors import (
    InstallError,
    NoMatchError,
    NotFoundError,
    SealdexError,
)
from sealdex.lockfile import freshness
from sealdex.lockfile.lock_file import (
    LOCK_NAME,
    LockDocument,
    LockedPlugin,
    lock_text,
    locked_plugin,
    locked_versions,
    read_lock,
)
from sealdex.lockfile.project_file import WANTED_NAME, WantedDocument, read_wanted
from sealdex.lockfile.staleness import Difference, differences, staleness
from sealdex.lockfile.voucher import BY_LOCK, Voucher
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry, choose_artifact
from sealdex.model.plugin import Mark
from sealdex.record import Record
from sealdex.resolve import Choice, Keeping, Policy
from sealdex.resolve.resolver import in_order
from sealdex.results import Installed, Planned, Trust
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store

if TYPE_CHECKING:
    from sealdex.install.batch import Vouch


class StaleLockError(SealdexError):
    """A lock is out of date with ``sealdex.toml`` and must not be updated; ``reasons`` has all reasons."""

    code = "stale-lock"

    def __init__(self, path: Path, reasons: Sequence[str]) -> None:
        super().__init__(
            "\n".join([f"{path.name} is out of date with {WANTED_NAME}", *reasons]),
            subject=str(path),
            untouched="nothing was installed",
            hint="to bring it up to date: sealdex lock; to install what it says anyway: --frozen",
            details={"reasons": list(reasons)},
        )


class Locked(Record, frozen=True):
    """The result of locking: its path, its content, the differences from before, and whether it was written.

    ``unreadable`` says why the previous lock couldn't be read, if so; then the differences aren't known.
    """

    path: Path
    document: LockDocument
    differences: tuple[Difference, ...]
    is_written: bool
    unreadable: str | None = None


class Ensured(Record, frozen=True):
    """The result for each plugin of a lock, dependencies first; and which of them were yanked.

    ``unasked``: for each plugin that was verified by the lock alone, why its registry couldn't be reached.
    """

    installed: tuple[Installed, ...]
    yanked: Mapping[PluginId, Mark]
    unasked: Mapping[PluginId, SealdexError] = msgspec.field(default_factory=dict)


class _Vouching(NamedTuple):
    """The choices of a lock, who signed each, what confirms others, and what was asked so far."""

    choices: list[Choice]
    trust_of: Callable[[PluginId], Trust]
    vouch: Vouch
    voucher: Voucher


@contextmanager
def _missing_explained(voucher: Voucher) -> Iterator[None]:
    """Say of a missing file why its registry couldn't be asked."""
    try:
        yield
    except NotHereError as missing:
        if (why := voucher.unasked.get(missing.plugin)) is None:
            raise
        raise why.restated(untouched=f"nothing was installed, and {missing.what}") from missing


class Project:
    """The two files in a folder, and the client that resolves and installs for them.

    Args:
        folder: the folder of ``sealdex.toml`` and ``sealdex.lock``.
        client: for the registries and the store.
    """

    def __init__(self, folder: Path, client: Client) -> None:
        self.folder = folder
        self.lock_path = folder / LOCK_NAME
        self._client = client
        self._store = Store(client.config.store)

    @property
    def wanted(self) -> WantedDocument:
        """``sealdex.toml``, read now; raises as `read_wanted`."""
        return read_wanted(self.folder / WANTED_NAME)

    def locked(self) -> LockDocument | None:
        """Return ``sealdex.lock``, or None if there is none; raises ConfigError, FormatTooNewError."""
        with suppress(NotFoundError):
            return read_lock(self.lock_path)
        return None

    def lock(
        self, *, upgrade: bool = False, upgrade_plugins: Collection[PluginId] = (), dry_run: bool = False
    ) -> Locked:
        """Resolve the requests and write the lock; locked releases are kept as long as they fit.

        Args:
            upgrade: upgrade everything to the newest fitting releases.
            upgrade_plugins: upgrade these plugins.
            dry_run: write nothing.

        Raises:
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `Client.resolve`; nothing was written.
            ConfigError: ``sealdex.toml`` is invalid. An invalid lock is re-created, see `locked_versions`.
        """
        wanted = self.wanted
        versions, unreadable = locked_versions(self.lock_path)
        before = (self.locked() if unreadable is None else None) or LockDocument()
        unknown = sorted(str(plugin) for plugin in set(upgrade_plugins) - set(versions) - set(wanted.requests))
        if unknown:
            raise NotFoundError(
                f"{', '.join(unknown)} is neither in {WANTED_NAME} nor in {LOCK_NAME}",
                subject=str(self.folder),
                untouched="nothing was changed",
            )
        preferred = {
            plugin: version for plugin, version in versions.items() if not upgrade and plugin not in upgrade_plugins
        }
        resolution = self._client.resolve(
            *wanted.requests.values(),
            policy=Policy(),
            keeping=Keeping(preferred=preferred),
            platforms=wanted.environments(self._client.environment),
        )
        blocks = [
            locked_plugin(
                choice, self._client.queries.trust(choice.plugin).registry, wanted.requests.get(choice.plugin)
            )
            for choice in resolution
        ]
        after = LockDocument(plugin=tuple(sorted(blocks, key=lambda block: block.name)))
        text = lock_text(after)
        is_new = unreadable is not None or not self._says(text)
        if is_new and not dry_run:
            from sealdex.config.edit import replace_file  # noqa: PLC0415  # an up-to-date lock isn't written

            replace_file(self.lock_path, text.encode())
            self.lock_path.chmod(0o644)
        found = tuple(differences(before, after)) if unreadable is None else ()
        return Locked(self.lock_path, after, found, is_new and not dry_run, unreadable)

    def _says(self, text: str) -> bool:
        """Return whether the lock has this text, with any line ends."""
        try:
            return read_toml_text(self.lock_path).replace("\r\n", "\n") == text
        except FileNotFoundError:
            return False

    def up_to_date(self, *, locked: bool = False, frozen: bool = False, dry_run: bool = False) -> LockDocument:
        """Return the lock, updated if it is out of date.

        Args:
            locked: fail if it is out of date or missing.
            frozen: don't check whether it is.
            dry_run: write nothing.

        Raises:
            StaleLockError: it is out of date, and `locked`.
            NotFoundError: it is missing, and `locked` or `frozen`.
        """
        if frozen:
            return read_lock(self.lock_path)
        if locked:
            found: LockDocument | None = read_lock(self.lock_path)
        else:
            found = self.locked()
        wanted = self.wanted
        reasons = [f"there is no {LOCK_NAME}"]
        if found is not None:
            reasons = staleness(wanted.requests, found, wanted.environments(self._client.environment))
            if not reasons:
                return found
        if locked:
            raise StaleLockError(self.lock_path, reasons)
        return self.lock(dry_run=dry_run).document

    def ensure(
        self,
        lock: LockDocument,
        *,
        fallback: bool = True,
        is_current: bool = True,
        on_yanked: Callable[[PluginId, str, Mark], None] | None = None,
        config_path: str | None = None,
    ) -> Ensured:
        """Install exactly what a lock says and switch to it, as one change; without requests if all is in place.

        What has to be installed is compared with the registry's signed metadata. If the registry can't be reached, the
        lock's digests are trusted for cached and preinstalled archives; see `sealdex.lockfile.voucher`.

        Args:
            lock: what to install.
            fallback: whether the lock alone may be trusted.
            is_current: whether the lock is known to be up to date with ``sealdex.toml``.
            on_yanked: called with releases that were yanked, before they are installed.
            config_path: the configuration file, if not the user's own.

        Raises:
            NoMatchError: a release of the lock doesn't fit this host.
            VerificationError: the registry has signed something else under that version; nothing was installed.
            UnavailableError: something is missing and can't be fetched; nothing was installed.
            InstallError: as `Client.install`; or a plugin is pinned to another version here.
        """
        self._begin_asking(lock)
        from sealdex.install.transaction import finish_killed  # noqa: PLC0415  # while the registry is being asked

        finish_killed(self._store)
        vouching = self._vouching(lock, fallback=fallback, on_yanked=on_yanked)
        voucher = vouching.voucher
        with _missing_explained(voucher):
            installed = self._client.install_choices(
                vouching.choices,
                vouching.trust_of,
                command="ensure",
                vouch=vouching.vouch,
                force=True,  # a lock is self-contained; other plugins in use that need other versions are reported
            )
        if is_current:
            in_place = [each.installation for each in installed if each.installation is not None]
            freshness.keep(self._store, str(self.folder), config_path, in_place)
        yanked = {plugin: each.yanked for plugin, each in voucher.found.items() if each.yanked is not None}
        return Ensured(tuple(installed), yanked, voucher.unasked)

    def preview(
        self,
        lock: LockDocument,
        *,
        fallback: bool = True,
        on_yanked: Callable[[PluginId, str, Mark], None] | None = None,
    ) -> tuple[list[Planned], Mapping[PluginId, SealdexError]]:
        """Return what `ensure` would do, without doing it, and which registries couldn't be reached; raises as that."""
        vouching = self._vouching(lock, fallback=fallback, on_yanked=on_yanked)
        with _missing_explained(vouching.voucher):
            planned = self._client.preview_choices(vouching.choices, vouching.trust_of, force=True)
        return planned, vouching.voucher.unasked

    def export(self, lock: LockDocument, folder: Path) -> list[Path]:
        """Write a folder of preinstalled archives: the lock, and this host's verified archives and manifests.

        Raises:
            as `ensure`.
        """
        choices = self._choices(lock)
        self._voucher(lock, fallback=False).vouch(choices)
        from sealdex.config.edit import replace_file  # noqa: PLC0415  # as in `lock`

        target = Builtin(folder)
        written = []
        with self._client.files_of(choices) as files:
            for choice, file, manifest in files:
                for name, source in (
                    (None if choice.artifact is None else choice.artifact.file, file),
                    (MANIFEST_NAME, manifest),
                ):
                    if source is not None and name is not None:
                        place = target.place(choice.plugin, choice.release.version, name)
                        place.parent.mkdir(parents=True, exist_ok=True)
                        draft = place.with_name(f".{place.name}.new")
                        shutil.copyfile(source, draft)
                        replace(draft, place)
                        written.append(place)
        replace_file(target.lock, lock_text(lock).encode())
        return [*written, target.lock]

    # --- parts of ensure ---------------------------------------------------------------------------------------------

    def _begin_asking(self, lock: LockDocument) -> None:
        """Begin the requests for a host that has nothing installed, so that all of the lock has to be confirmed."""
        if Path(self._store.plugins_folder).exists():
            return
        with suppress(NoMatchError):  # which is told later, and nobody is asked
            self._client.queries.begin_asking([choice.plugin for choice in self._choices(lock)])

    def _vouching(
        self, lock: LockDocument, *, fallback: bool, on_yanked: Callable[[PluginId, str, Mark], None] | None
    ) -> _Vouching:
        """Choose from a lock for this host, and have everything confirmed that isn't installed yet."""
        choices = self._choices(lock)
        self._heed_pins(choices)
        registries = {block.id: block.registry for block in lock.plugin}
        voucher = self._voucher(lock, fallback=fallback)
        told: set[PluginId] = set()

        def vouch(missing: Sequence[Choice]) -> dict[PluginId, tuple[Choice, Trust]]:
            found = voucher.vouch(missing)
            for plugin, each in found.items():
                if each.yanked is not None and on_yanked is not None and plugin not in told:
                    told.add(plugin)
                    on_yanked(plugin, each.choice.release.version, each.yanked)
            return {plugin: (each.choice, each.trust) for plugin, each in found.items()}

        vouched = vouch([choice for choice in choices if self._needs_a_word(choice, registries)])
        return _Vouching(
            [vouched[choice.plugin][0] if choice.plugin in vouched else choice for choice in choices],
            lambda plugin: vouched[plugin][1] if plugin in vouched else self._trust_here(lock, plugin),
            vouch,
            voucher,
        )

    def _choices(self, lock: LockDocument) -> list[Choice]:
        """Return the choices of a lock for this host, dependencies first."""
        here = self._here()
        blocks = lock.by_id
        needs = {
            plugin: [d for name in block.dependencies if (d := parse_plugin_id(name)) in blocks]
            for plugin, block in blocks.items()
        }
        choices = []
        for plugin in in_order(needs):
            block = blocks[plugin]
            artifact, mismatches = choose_artifact(block.release, here)
            if artifact is None and mismatches:
                why = " or ".join(map(str, mismatches[:4]))
                raise NoMatchError(
                    f"{plugin} {block.version}, which is locked, doesn't fit this host: {why}",
                    subject=str(plugin),
                    untouched="nothing was installed",
                    hint=f"list this host under [[platforms]] in {WANTED_NAME} and lock again (see sealdex env)",
                )
            choices.append(_choice(block, artifact, tuple(needs[plugin])))
        return choices

    def _here(self) -> Environment:
        here = self._client.environment
        with suppress(NotFoundError):  # a lock may come without its sealdex.toml
            here = self.wanted.here(here)
        return here

    def _heed_pins(self, choices: Sequence[Choice]) -> None:
        from sealdex.install.transaction import pins  # noqa: PLC0415  # as in `ensure`

        pinned = pins(self._store)
        for choice in choices:
            version = pinned.get(choice.plugin)
            if version is not None and version != choice.release.version:
                raise InstallError(
                    f"{choice.plugin} is pinned to {version} on this host, but the lock has {choice.release.version}",
                    subject=str(choice.plugin),
                    untouched="nothing was installed",
                    hint=f"sealdex use {choice.plugin} --unpin",
                )

    def _needs_a_word(self, choice: Choice, registries: Mapping[PluginId, str]) -> bool:
        """Return whether a choice must be confirmed by its registry: all that are not already installed."""
        from sealdex.install.batch import install_request  # noqa: PLC0415  # as in `ensure`
        from sealdex.install.install import needs_archive  # noqa: PLC0415  # so too

        request = install_request(choice, Trust(registries[choice.plugin], None, None))
        return needs_archive(self._store, request)

    def _voucher(self, lock: LockDocument, *, fallback: bool) -> Voucher:
        registries = {block.id: block.registry for block in lock.plugin}
        queries = self._client.queries
        return Voucher(queries, queries.builtin, registries, self._here(), fallback=fallback)

    def _trust_here(self, lock: LockDocument, plugin: PluginId) -> Trust:
        """Return who signed what is already installed, from its receipt."""
        block = lock.by_id[plugin]
        found = find_installation(self._store, plugin, block.version)
        if found is None:
            return Trust(block.registry, BY_LOCK, None)
        return Trust(found.registry, found.signed_by, found.root_version)


def _choice(block: LockedPlugin, artifact: ArtifactEntry | None, needs: tuple[PluginId, ...]) -> Choice:
    return Choice(
        block.id, block.release, block.document, artifact, requested=block.wanted is not None, dependencies=needs
    )


__all__ = ["BY_LOCK", "Ensured", "Locked", "Project", "StaleLockError"]
