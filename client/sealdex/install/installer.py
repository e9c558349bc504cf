"""Resolving, downloading and installing in one go: what `sealdex.client.Client` installs with.

The steps are elsewhere: `installed_constraints` chooses beside what stays, `batch` downloads and deploys, `fallback`
and `preinstalled` serve where no registry can be asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealdex.download.fetcher import NotHereError
from sealdex.errors import NoMatchError, NoRegistryError, NotFoundError, UnavailableError
from sealdex.install.archive_path import format_of
from sealdex.install.batch import Vouch, install_chosen, install_request
from sealdex.install.install import action_for
from sealdex.install.installed_constraints import resolve_beside
from sealdex.install.transaction import Job, deploy, finish_killed, pins
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, ReleaseEntry, choose_artifact
from sealdex.resolve import Choice, Keeping, Policy, Request, Resolution
from sealdex.results import Installed, Planned, Trust
from sealdex.store.database import State
from sealdex.store.dependants import in_use, needs
from sealdex.store.layout import Store
from sealdex.store.transaction import facts_of

if TYPE_CHECKING:
    from sealdex.install.local_archive import LocalArchive
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
            return [msgspec.structs.replace(each, undelivered=undelivered) for each in serving]

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
        from sealdex.install.preview import preview_chosen  # noqa: PLC0415  # only who previews pays for it

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
        """Install an archive of this host's disk; see `sealdex.client.Client.install_archive`."""
        from sealdex.install import local_archive  # noqa: PLC0415  # most is installed from registries

        if (signed := self._signed(file, identity)) is not None:
            self._queries.cache.add_file(file, signed.digest)
            done = self.install(
                [signed.request],
                make_current=True,
                pin=pin,
                fallback=False,
                on_resolved=None,
                cascade=False,
                force=False,
            )
            return next(each for each in done if each.choice.plugin == signed.request.plugin)
        config = self._queries.config
        local_archive.require_allowed(config, file, allowed=allow_unsigned)
        finish_killed(self._store)
        stated = local_archive.parse_identity(identity) if identity is not None else None
        with local_archive.opened(self._store, file, stated) as local:
            choice = _choice_of(local)
            if (policy := config.document.attestations) is not None and policy.required:
                from sealdex.install.attestations import refuse_unsigned  # noqa: PLC0415  # few hosts require attestations

                refuse_unsigned(config, choice.plugin)
            trust = Trust(local_archive.REGISTRY, None, None)
            request = install_request(choice, trust)
            job = Job(msgspec.structs.replace(request, manifest=local.manifest), local.path, pin)
            deployed = deploy(self._store, [job], command=f"install {file.name} as {choice.plugin}@{local.version}")[0]
        if deployed.result.action != "keep":
            self._observer.unpacked(choice, deployed.result.seconds)
        self._observer.installed(choice, deployed.result.action)
        previous = deployed.before if deployed.before != local.version else None
        return Installed(choice, trust, deployed.result.action, deployed.result.installation, previous)

    def _signed(self, file: Path, identity: str | None) -> _Signed | None:
        """Return which release of a configured registry a file is, by its digest alone; None: it is of none.

        Raises:
            VerificationError: as `sealdex.queries.RegistryQueries.answers`.
            NoMatchError: it is a release's artifact for other hosts.
        """
        from sealdex.install import local_archive  # noqa: PLC0415  # most is installed from registries

        if not self._queries.config.registries or format_of(file.name) is None:
            return None
        digest = local_archive.digest_of(file)
        if identity is not None:
            plugins = [local_archive.parse_identity(identity)[0]]
        else:
            plugins = local_archive.plugins_meant(file, local_archive.told_by(file), self._plugins_named)
        for plugin, answer in self._queries.answers(plugins).items():
            if not isinstance(answer, IndexDocument):
                continue  # not there, or nobody can be asked: then nobody vouches for it
            for release in answer.releases:
                if digest not in {artifact.sha256 for artifact in release.artifacts}:
                    continue
                fitting, mismatches = choose_artifact(release, self._queries.environment)
                if fitting is None or fitting.sha256 != digest:
                    others = f"{fitting.file} is" if fitting is not None else "none is"
                    raise NoMatchError(
                        f"{file.name} is signed as a file of {plugin} {release.version}, but not for this host: "
                        f"{' or '.join(map(str, mismatches)) or others}",
                        subject=str(file),
                        untouched="nothing was installed",
                        hint=f"sealdex install {plugin}@{release.version}",
                    )
                return _Signed(digest, Request(plugin, f"={release.version}"))
        return None

    def _plugins_named(self, name: str) -> list[PluginId]:
        """Return the plugins of that name in the registries' catalogs, as far as they can be asked."""
        try:
            found = self._queries.search(name)
        except (NotFoundError, UnavailableError):
            return []
        return [each.row.id for each in found if each.row.name == name]

    def preview_archive(self, file: Path, *, identity: str | None, allow_unsigned: bool) -> Planned:
        """Inspect an archive of this host's disk, and say what installing it would do."""
        from sealdex.install import local_archive  # noqa: PLC0415  # most is installed from registries

        if (signed := self._signed(file, identity)) is not None:
            planned = self.preview(
                [signed.request], make_current=True, pin=None, on_resolved=None, cascade=False, force=False
            )
            return next(each for each in planned if each.choice.plugin == signed.request.plugin)
        config = self._queries.config
        local_archive.require_allowed(config, file, allowed=allow_unsigned)
        named = local_archive.parse_identity(identity) if identity is not None else None
        from tempfile import TemporaryDirectory  # noqa: PLC0415  # so too

        with TemporaryDirectory(prefix="sealdex-") as folder, local_archive.opened(Store(folder), file, named) as local:
            choice = _choice_of(local)
            if (policy := config.document.attestations) is not None and policy.required:
                from sealdex.install.attestations import refuse_unsigned  # noqa: PLC0415  # few hosts require attestations

                refuse_unsigned(config, choice.plugin)
            trust = Trust(local_archive.REGISTRY, None, None)
            action = action_for(self._store, install_request(choice, trust))
            before = facts_of(self._store, choice.plugin).version
        return Planned(choice, trust, action, before if before != local.version else None)

    def _without_registry(
        self, asked: Sequence[Request], error: UnavailableError | NoRegistryError, command: str, *, make_current: bool
    ) -> list[Installed]:
        """Be content with what is installed, else with what the host came with; else raise what was caught."""
        from sealdex.install.fallback import fall_back  # noqa: PLC0415  # registries answer, mostly

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
        return [msgspec.structs.replace(each, unreachable=error.message) for each in done]


class _Signed(msgspec.Struct, frozen=True):
    """A file that a registry has signed: its digest, and the request for its release."""

    digest: str
    request: Request


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
