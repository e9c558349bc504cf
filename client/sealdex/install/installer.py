"""Resolving, downloading and installing in one go: what `sealdex.client.Client` installs with.

The steps are elsewhere: `installed_constraints` chooses beside what stays, `batch` downloads and deploys, `fallback`
and `preinstalled` serve where no registry can be asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from sealdex.download.fetcher import NotHereError
from sealdex.errors import NoRegistryError, UnavailableError
from sealdex.install.batch import Vouch, install_chosen, install_request
from sealdex.install.fallback import fall_back
from sealdex.install.install import action_for
from sealdex.install.installed_constraints import resolve_beside
from sealdex.install.local_archive import REGISTRY as LOCAL_REGISTRY
from sealdex.install.local_archive import LocalArchive, opened, parse_identity, require_allowed
from sealdex.install.preview import preview_chosen
from sealdex.install.transaction import Job, deploy, finish_killed, pins
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, ReleaseEntry
from sealdex.resolve import Choice, Keeping, Policy, Request, Resolution
from sealdex.results import Installed, Planned, Trust
from sealdex.store.database import State
from sealdex.store.dependants import in_use, needs
from sealdex.store.layout import Store
from sealdex.store.transaction import facts_of

if TYPE_CHECKING:
    from sealdex.queries import RegistryQueries


class Installer:
    """Installs releases into the store of a host.

    Args:
        queries: asks the registries, and says where the host keeps its files.
    """

    def __init__(self, queries: RegistryQueries) -> None:
        self._queries = queries
        self._store = queries.store
        self._observer = queries.observer

    def install(
        self,
        asked: Sequence[Request],
        policy: Policy | None = None,
        *,
        make_current: bool,
        pin: bool | None,
        fallback: bool,
        on_resolved: Callable[[Resolution], None] | None,
        cascade: bool,
        force: bool,
    ) -> list[Installed]:
        """Resolve requests and install what was chosen; see `sealdex.client.Client.install`."""
        finish_killed(self._store)
        keeping = self._held(asked, pin)
        command = f"install {' '.join(map(str, asked))}"
        resolution: Resolution | None = None
        try:
            resolution = self.resolve_beside(asked, keeping, policy, cascade=cascade, free=force or not make_current)
            if on_resolved is not None:
                on_resolved(resolution)
            return self.install_choices(
                resolution.choices,
                self._queries.trust,
                command=command,
                make_current=make_current,
                pin=pin,
                force=force,
            )
        except (UnavailableError, NoRegistryError) as error:
            if not fallback:
                raise
            serving = self._without_registry(asked, error, command, make_current=make_current)
            if resolution is None:
                return serving
            present = {(each.choice.plugin, each.choice.release.version) for each in serving}
            undelivered = tuple(
                f"{choice.plugin} {choice.release.version}"
                for choice in resolution.choices
                if choice.requested and (choice.plugin, choice.release.version) not in present
            )
            return [replace(each, undelivered=undelivered) for each in serving]

    def preview(
        self,
        asked: Sequence[Request],
        policy: Policy | None = None,
        *,
        make_current: bool,
        pin: bool | None,
        on_resolved: Callable[[Resolution], None] | None,
        cascade: bool,
        force: bool,
    ) -> list[Planned]:
        """Resolve requests and say what installing them would do; see `sealdex.client.Client.preview`."""
        keeping = self._held(asked, pin)
        resolution = self.resolve_beside(asked, keeping, policy, cascade=cascade, free=force or not make_current)
        if on_resolved is not None:
            on_resolved(resolution)
        return self.preview_choices(
            resolution.choices, self._queries.trust, make_current=make_current, pin=pin, force=force
        )

    def preview_choices(
        self,
        choices: Sequence[Choice],
        trust_of: Callable[[PluginId], Trust],
        *,
        make_current: bool = True,
        pin: bool | None = None,
        force: bool = False,
    ) -> list[Planned]:
        """Say what installing chosen releases would do; see `sealdex.client.Client.preview_choices`."""
        trusts = {choice.plugin: trust_of(choice.plugin) for choice in choices}
        return preview_chosen(
            self._store, self._queries.fetcher, choices, trusts,
            make_current=make_current, pin=pin, on_broken=self._observer.breaking if force else None,
        )  # fmt: skip

    def _held(self, asked: Sequence[Request], pin: bool | None) -> Keeping:
        """Return the pins that hold while these are installed; those of the requested plugins don't, if they change."""
        named = {request.plugin for request in asked} if pin is not None else set()
        held = {plugin: version for plugin, version in pins(self._store).items() if plugin not in named}
        return Keeping(pinned=held, pinned_since=State(self._store).pinned_since() if held else {})

    def resolve_beside(
        self,
        requests: Sequence[Request],
        keeping: Keeping,
        policy: Policy | None = None,
        *,
        cascade: bool = False,
        free: bool = False,
    ) -> Resolution:
        """Choose releases so that what is installed goes on to work; see `sealdex.client.Client.resolve_beside`."""
        if free:
            return self._queries.resolve(*requests, policy=policy, keeping=keeping)
        versions = {plugin: installation.version for plugin, installation in in_use(self._store).items()}
        return resolve_beside(
            lambda asked, kept: self._queries.resolve(*asked, policy=policy, keeping=kept),
            requests,
            keeping,
            [need for need in needs(self._store) if need.is_met_by(versions.get(need.on))],
            cascade=cascade,
        )

    def install_choices(
        self,
        choices: Sequence[Choice],
        trust_of: Callable[[PluginId], Trust],
        *,
        command: str,
        make_current: bool,
        pin: bool | None = None,
        vouch: Vouch | None = None,
        force: bool = False,
    ) -> list[Installed]:
        """Install releases that were chosen, as one change; see `sealdex.client.Client.install_choices`."""
        if (policy := self._queries.config.document.attestations) is not None and policy.required:
            from sealdex.install.attestations import require_attestations  # noqa: PLC0415  # few hosts require them

            require_attestations(self._queries, choices)
        trusts = {choice.plugin: trust_of(choice.plugin) for choice in choices}
        with self._queries.cache_held():
            return install_chosen(
                self._store, self._queries.fetcher, self._observer, choices, trusts, command,
                make_current=make_current, pin=pin, vouch=vouch,
                on_broken=self._observer.breaking if force else None,
            )  # fmt: skip

    def install_archive(self, file: Path, *, identity: str | None, allow_unsigned: bool, pin: bool | None) -> Installed:
        """Install an archive that nobody signed; see `sealdex.client.Client.install_archive`."""
        config = self._queries.config
        require_allowed(config, file, allowed=allow_unsigned)
        finish_killed(self._store)
        with opened(self._store, file, parse_identity(identity) if identity is not None else None) as local:
            choice = _choice_of(local)
            if (policy := config.document.attestations) is not None and policy.required:
                from sealdex.install.attestations import refuse_unsigned  # noqa: PLC0415  # few hosts require attestations

                refuse_unsigned(config, choice.plugin)
            trust = Trust(LOCAL_REGISTRY, None, None)
            request = install_request(choice, trust)
            job = Job(msgspec.structs.replace(request, manifest=local.manifest), local.path, pin)
            done = deploy(self._store, [job], command=f"install {file.name} as {choice.plugin}@{local.version}")[0]
        previous = done.before if done.before != local.version else None
        return Installed(choice, trust, done.result.action, done.result.installation, previous)

    def preview_archive(self, file: Path, *, identity: str | None, allow_unsigned: bool) -> Planned:
        """Inspect an archive that nobody signed, and say what installing it would do."""
        config = self._queries.config
        require_allowed(config, file, allowed=allow_unsigned)
        named = parse_identity(identity) if identity is not None else None
        with TemporaryDirectory(prefix="sealdex-") as folder, opened(Store(folder), file, named) as local:
            choice = _choice_of(local)
            if (policy := config.document.attestations) is not None and policy.required:
                from sealdex.install.attestations import refuse_unsigned  # noqa: PLC0415  # few hosts require attestations

                refuse_unsigned(config, choice.plugin)
            trust = Trust(LOCAL_REGISTRY, None, None)
            action = action_for(self._store, install_request(choice, trust))
            before = facts_of(self._store, choice.plugin).version
        return Planned(choice, trust, action, before if before != local.version else None)

    def _without_registry(
        self, asked: Sequence[Request], error: UnavailableError | NoRegistryError, command: str, *, make_current: bool
    ) -> list[Installed]:
        """Be content with what is installed, else with what the host came with; else raise what was caught."""
        try:
            return fall_back(self._store, asked, error, command=command, make_current=make_current)
        except (UnavailableError, NoRegistryError):
            from sealdex.install.preinstalled import preinstalled  # noqa: PLC0415  # only for who has nothing better

            found = preinstalled(self._queries.builtin, asked, self._queries.environment)
            if found is None:
                raise
        choices, trusts = found
        try:
            done = self.install_choices(
                choices, trusts.__getitem__, command=f"{command} (builtin)", make_current=make_current
            )
        except NotHereError as missing:
            raise error.restated(untouched=f"nothing was installed, and {missing.what}") from missing
        return [replace(each, unreachable=error.message) for each in done]


def _choice_of(local: LocalArchive) -> Choice:
    """Return the release that an archive of this host's says it is, as if a registry had it."""
    release = ReleaseEntry(
        local.version,
        FilePin(len(local.manifest), hashlib.sha256(local.manifest).hexdigest()),
        artifacts=(local.artifact,),
        dependencies=local.dependencies,
    )
    document = IndexDocument(1, *local.plugin, "", "", (release,))
    return Choice(local.plugin, release, document, local.artifact, requested=True)
