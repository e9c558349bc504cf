"""A project: its `sealdex.toml` resolved to its `sealdex.lock`, and what that says brought into the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sealdex.artifacts import MANIFEST_NAME
from sealdex.builtin import Builtin
from sealdex.client import Client
from sealdex.config_edit import replace_file
from sealdex.deploying import finish_killed, pins
from sealdex.errors import (
    InstallError,
    NoMatchError,
    NoRegistryError,
    NotFoundError,
    SealdexError,
    UnavailableError,
)
from sealdex.install import InstallRequest, needs_archive
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry, choose_artifact
from sealdex.model.plugin import Mark
from sealdex.project import stamp
from sealdex.project.lock_file import LOCK_NAME, LockDocument, LockedPlugin, lock_text, locked_plugin, read_lock
from sealdex.project.staleness import Difference, differences, staleness
from sealdex.project.vouching import agreed
from sealdex.project.wanted import WANTED_NAME, WantedDocument, read_wanted
from sealdex.resolve import Choice, Keeping, Policy
from sealdex.resolve.solving import in_order
from sealdex.results import Installed, Trust
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store

BY_LOCK = "sealdex.lock"
"""Stands in receipts as what vouched for an installation when no registry could be asked."""


class StaleLockError(SealdexError):
    """A lock isn't what ``sealdex.toml`` asks for, and may not be made anew; ``reasons`` says all of why."""

    code = "stale-lock"

    def __init__(self, path: Path, reasons: Sequence[str]) -> None:
        super().__init__(
            "\n".join([f"{path.name} is not what {WANTED_NAME} asks for", *reasons]),
            subject=str(path),
            untouched="nothing was installed",
            hint="sealdex lock brings it up to date; --frozen installs what it says all the same",
        )
        self.details = {"reasons": list(reasons)}


@dataclass(frozen=True, slots=True)
class Locked:
    """A lock that was made: where it is, what it says now, what differs from before, whether it was written."""

    path: Path
    document: LockDocument
    differences: tuple[Difference, ...]
    is_written: bool


@dataclass(frozen=True, slots=True)
class Ensured:
    """What became of each plugin of a lock, dependencies first; the marks of those that were yanked since.

    ``unreachable`` says why no registry could be asked, where only the lock's digests vouch for what was installed.
    """

    installed: tuple[Installed, ...]
    yanked: Mapping[PluginId, Mark]
    unreachable: str | None = None


@dataclass(frozen=True, slots=True)
class _Vouched:
    """What may be installed and on whose word; which of it was yanked; why no registry could be asked."""

    choices: list[Choice]
    trusts: dict[PluginId, Trust]
    yanked: dict[PluginId, Mark]
    unreachable: str | None = None


class Project:
    """The two files in a folder, and the client that resolves and installs for them.

    Args:
        folder: where ``sealdex.toml`` and ``sealdex.lock`` lie.
        client: asks the registries and owns the store.
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
        """Return ``sealdex.lock``, or None where there is none; raises ConfigError, FormatTooNewError."""
        with suppress(NotFoundError):
            return read_lock(self.lock_path)
        return None

    def lock(
        self, *, upgrade: bool = False, upgrade_plugins: Collection[PluginId] = (), dry_run: bool = False
    ) -> Locked:
        """Resolve what is wanted and write the lock; what is locked already stays as it is where it still fits.

        Args:
            upgrade: take the newest of everything.
            upgrade_plugins: take the newest of these.
            dry_run: write nothing.

        Raises:
            NotFoundError, NoMatchError, VerificationError, UnavailableError: as `Client.resolve`; nothing was written.
            ConfigError: one of the two files is wrong.
        """
        wanted = self.wanted
        before = self.locked() or LockDocument()
        unknown = sorted(str(plugin) for plugin in set(upgrade_plugins) - set(before.by_id) - set(wanted.requests))
        if unknown:
            raise NotFoundError(
                f"{', '.join(unknown)} is neither in {WANTED_NAME} nor in {LOCK_NAME}",
                subject=str(self.folder),
                untouched="nothing was changed",
            )
        preferred = {
            plugin: block.version
            for plugin, block in before.by_id.items()
            if not upgrade and plugin not in upgrade_plugins
        }
        resolution = self._client.resolve(
            *wanted.requests.values(),
            policy=Policy(),
            keeping=Keeping(preferred=preferred),
            platforms=wanted.environments(self._client.environment),
        )
        blocks = [
            locked_plugin(choice, self._client.trust(choice.plugin).registry, wanted.requests.get(choice.plugin))
            for choice in resolution
        ]
        after = LockDocument(plugin=tuple(sorted(blocks, key=lambda block: block.name)))
        text = lock_text(after)
        is_new = not self.lock_path.exists() or self.lock_path.read_text(encoding="utf-8") != text
        if is_new and not dry_run:
            replace_file(self.lock_path, text.encode())
            self.lock_path.chmod(0o644)
        return Locked(self.lock_path, after, tuple(differences(before, after)), is_new and not dry_run)

    def up_to_date(self, *, locked: bool = False, frozen: bool = False) -> LockDocument:
        """Return the lock, made anew where it is stale.

        Args:
            locked: fail where it is stale, or isn't there.
            frozen: don't look whether it is.

        Raises:
            StaleLockError: it is stale, and `locked`.
            NotFoundError: it isn't there, and `locked` or `frozen`.
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
        return self.lock().document

    def ensure(
        self,
        lock: LockDocument,
        *,
        fallback: bool = True,
        is_current: bool = True,
        on_yanked: Callable[[PluginId, str, Mark], None] | None = None,
        config_path: str | None = None,
    ) -> Ensured:
        """Install just what a lock says and switch to it, as one change; where all of it is in place, ask nobody.

        What has to be installed is compared with what the registry signs. Where no registry can be reached, the lock's
        digests vouch for what lies in the cache or was preinstalled.

        Args:
            lock: what to install.
            fallback: whether the lock may vouch alone.
            is_current: whether the lock is known to be what ``sealdex.toml`` asks for.
            on_yanked: told of releases that were yanked since, before they are installed.
            config_path: the configuration file, if another than the user's own was named.

        Raises:
            NoMatchError: a release of the lock doesn't fit this host.
            VerificationError: the registry signs something else under that version; nothing was installed.
            UnavailableError: something is missing and can't be fetched; nothing was installed.
            InstallError: as `Client.install`; or a plugin is pinned to another version here.
        """
        finish_killed(self._store)
        choices = self._choices(lock)
        self._heed_pins(choices)
        registries = {block.id: block.registry for block in lock.plugin}
        missing = [choice for choice in choices if self._is_missing(choice, registries)]
        vouched = self._vouched(missing, registries, fallback=fallback)
        if on_yanked is not None:
            for choice in missing:
                if (mark := vouched.yanked.get(choice.plugin)) is not None:
                    on_yanked(choice.plugin, choice.release.version, mark)
        agreed_on = {choice.plugin: choice for choice in vouched.choices}
        installed = self._client.install_choices(
            [agreed_on.get(choice.plugin, choice) for choice in choices],
            lambda plugin: vouched.trusts.get(plugin) or self._trust_here(choices, plugin, registries),
            command="ensure",
        )
        if is_current:
            in_place = [each.installation for each in installed if each.installation is not None]
            stamp.keep(self._store, str(self.folder), config_path, in_place)
        return Ensured(tuple(installed), vouched.yanked, vouched.unreachable)

    def export(self, lock: LockDocument, folder: Path) -> list[Path]:
        """Write a folder of preinstalled archives: the lock, and this host's archives and manifests, all verified.

        Raises:
            as `ensure`.
        """
        choices = self._choices(lock)
        self._vouched(choices, {block.id: block.registry for block in lock.plugin}, fallback=False)
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
                        draft.replace(place)
                        written.append(place)
        replace_file(target.lock, lock_text(lock).encode())
        return [*written, target.lock]

    # --- parts of ensure ---------------------------------------------------------------------------------------------

    def _choices(self, lock: LockDocument) -> list[Choice]:
        """Return what a lock means for this host, dependencies first."""
        here = self._client.environment
        with suppress(NotFoundError):  # a lock may come without what it was made from
            here = self.wanted.here(here)
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
                raise NoMatchError(
                    f"{plugin} {block.version}, which is locked, doesn't fit this host: {' or '.join(mismatches[:4])}",
                    subject=str(plugin),
                    untouched="nothing was installed",
                    hint=f"list this host under [[platforms]] in {WANTED_NAME} and lock again (see sealdex env)",
                )
            choices.append(_choice(block, artifact, tuple(needs[plugin])))
        return choices

    def _heed_pins(self, choices: Sequence[Choice]) -> None:
        pinned = pins(self._store)
        for choice in choices:
            version = pinned.get(choice.plugin)
            if version is not None and version != choice.release.version:
                raise InstallError(
                    f"{choice.plugin} is pinned to {version} on this host, the lock says {choice.release.version}",
                    subject=str(choice.plugin),
                    untouched="nothing was installed",
                    hint=f"sealdex use {choice.plugin} --unpin",
                )

    def _is_missing(self, choice: Choice, registries: Mapping[PluginId, str]) -> bool:
        artifact = choice.artifact
        if artifact is None or artifact.format == "oci":
            return False
        manifest = choice.release.manifest.sha256
        request = InstallRequest(
            choice.plugin, choice.release.version, artifact, registries[choice.plugin], manifest, None, None
        )
        return needs_archive(self._store, request)

    def _vouched(self, missing: Sequence[Choice], registries: Mapping[PluginId, str], *, fallback: bool) -> _Vouched:
        """Compare what is missing with what is signed, or have the lock vouch for it."""
        if not missing:
            return _Vouched([], {}, {})
        try:
            documents = self._client.documents([choice.plugin for choice in missing])
            yanked: dict[PluginId, Mark] = {}
            vouched: list[Choice] = []
            for choice in missing:
                same, signed = agreed(choice, documents[choice.plugin])
                vouched.append(same)
                if signed.yanked is not None:
                    yanked[choice.plugin] = signed.yanked
            trusts = {choice.plugin: self._client.trust(choice.plugin) for choice in missing}
            return _Vouched(vouched, trusts, yanked)
        except (UnavailableError, NoRegistryError) as error:
            if not fallback:
                raise
            trusts = {choice.plugin: Trust(registries[choice.plugin], BY_LOCK, None) for choice in missing}
            return _Vouched(list(missing), trusts, {}, error.message)

    def _trust_here(self, choices: Sequence[Choice], plugin: PluginId, registries: Mapping[PluginId, str]) -> Trust:
        """Return on whose word what is installed already is believed, as its receipt says."""
        version = next(choice.release.version for choice in choices if choice.plugin == plugin)
        found = find_installation(self._store, plugin, version)
        if found is None:
            return Trust(registries[plugin], BY_LOCK, None)
        return Trust(found.registry, found.signed_by, found.root_version)


def _choice(block: LockedPlugin, artifact: ArtifactEntry | None, needs: tuple[PluginId, ...]) -> Choice:
    return Choice(
        block.id, block.release, block.document, artifact, requested=block.wanted is not None, dependencies=needs
    )


__all__ = ["BY_LOCK", "Ensured", "Locked", "Project", "StaleLockError"]
