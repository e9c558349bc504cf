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

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sealdex.download.export import copy_verified
from sealdex.download.fetcher import NotHereError
from sealdex.download.locations import image_reference
from sealdex.errors import NoRegistryError, NotFoundError, UnavailableError
from sealdex.install.batch import Vouch, install_chosen, install_request
from sealdex.install.fallback import fall_back
from sealdex.install.local_archive import REGISTRY as LOCAL_REGISTRY
from sealdex.install.local_archive import opened, parse_identity, require_allowed
from sealdex.install.transaction import Job, deploy, finish_killed, pins
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, ReleaseEntry
from sealdex.model.precedence import version_sort_key
from sealdex.queries import Asking, plugin_of, tended
from sealdex.resolve import (
    Choice,
    Keeping,
    Policy,
    Request,
    Resolution,
    nearest,
    parse_request,
)
from sealdex.results import Checked, Fetched, Installed, Trust
from sealdex.store.activation import require_installed
from sealdex.store.dependants import dependants_of, in_use, needs
from sealdex.store.installations import Installation, current, installations, installed_versions, look_over
from sealdex.store.transaction import remove_versions
from sealdex.store.verify import unreadable_finding, verify_standing


class Client(Asking):
    """A host's view of its registries and its store; what it is given and may be asked: `sealdex.queries.Asking`."""

    def __enter__(self) -> Client:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

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
        asked = [parse_request(request) if isinstance(request, str) else request for request in requests]
        finish_killed(self._store)
        held = pins(self._store)
        if pin is not None:
            held = {plugin: version for plugin, version in held.items() if plugin not in {r.plugin for r in asked}}
        command = f"install {' '.join(map(str, asked))}"
        resolution: Resolution | None = None
        try:
            resolution = self.resolve_beside(
                asked, Keeping(pinned=held), policy, cascade=cascade, free=force or not make_current
            )
            if on_resolved is not None:
                on_resolved(resolution)
            return self.install_choices(
                resolution.choices,
                self._registries.trust,
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
        if free:
            return self.resolve(*requests, policy=policy, keeping=keeping)
        from sealdex.install.installed_constraints import resolve_beside  # noqa: PLC0415  # only who changes something needs it

        versions = {plugin: installation.version for plugin, installation in in_use(self._store).items()}
        return resolve_beside(
            lambda asked, kept: self.resolve(*asked, policy=policy, keeping=kept),
            requests,
            keeping,
            [need for need in needs(self._store) if need.is_met_by(versions.get(need.on))],
            cascade=cascade,
        )

    def _without_registry(
        self, asked: Sequence[Request], error: UnavailableError | NoRegistryError, command: str, *, make_current: bool
    ) -> list[Installed]:
        """Be content with what is installed, else with what the host came with; else raise what was caught."""
        try:
            return fall_back(self._store, asked, error, command=command, make_current=make_current)
        except (UnavailableError, NoRegistryError):
            from sealdex.install.preinstalled import preinstalled  # noqa: PLC0415  # only for who has nothing better

            found = preinstalled(self._builtin, asked, self.environment)
            if found is None:
                raise
        choices, trusts = found
        try:
            done = self.install_choices(
                choices, trusts.__getitem__, command=f"{command} (builtin)", make_current=make_current
            )
        except NotHereError as missing:
            error.untouched = f"nothing was installed, and {missing.what}"
            raise error from missing
        return [replace(each, unreachable=error.message) for each in done]

    @tended
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
                from sealdex.install.attestations import refuse_unsigned  # noqa: PLC0415  # as in install_choices

                refuse_unsigned(self.config, choice.plugin)
            trust = Trust(LOCAL_REGISTRY, None, None)
            request = install_request(choice, trust)
            if request is None:
                raise AssertionError("unreachable: a local archive is no image")
            job = Job(replace(request, manifest=local.manifest), local.path, pin)
            done = deploy(self._store, [job], command=f"install {file.name} as {choice.plugin}@{local.version}")[0]
        previous = done.before if done.before != local.version else None
        return Installed(choice, trust, done.result.action, done.result.installation, previous)

    @tended
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
        if (policy := self.config.document.attestations) is not None and policy.required:
            from sealdex.install.attestations import require_attestations  # noqa: PLC0415  # few hosts require them

            require_attestations(self, choices)
        trusts = {choice.plugin: trust_of(choice.plugin) for choice in choices}
        return install_chosen(
            self._store, self._obtainer, self.observer, choices, trusts, command,
            make_current=make_current, pin=pin, vouch=vouch,
            on_broken=self.observer.breaking if force else None,
        )  # fmt: skip

    @tended
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
            if to is None:
                self._cache.spared.add(choice.artifact.sha256)
            fetched.append(Fetched(choice, trust, path if to is None else copy_verified(path, to, choice.artifact)))
        return fetched

    @contextmanager
    def files_of(self, choices: Sequence[Choice]) -> Iterator[list[tuple[Choice, Path | None, Path]]]:
        """Yield where the artifact (None: it has none to download) and the manifest of releases lie, both verified.

        Nobody takes them out of the cache as long as the context lasts.

        Raises:
            VerificationError, UnavailableError, InstallError: as `fetch`.
        """
        with self._cache.holding():
            archives = self._obtainer.archives(choices)
            found = []
            for choice in choices:
                manifest = self._obtainer.manifest_file(choice.plugin, choice.release)
                found.append((choice, archives.get(choice.artifact.sha256) if choice.artifact else None, manifest))
            yield found

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
        finish_killed(self._store)
        going = [(plugin, version), *others]
        found: dict[tuple[PluginId, str], Installation] = {}
        for name, wanted in going:
            for installation in self._installed_of(name, wanted):
                found[plugin_of(name), installation.version] = installation
        if cascade:
            whole = {
                each
                for each in {name for name, _ in found}
                if all((each, i.version) in found for i in installed_versions(self._store, each))
            }
            for dependant in dependants_of(self._store, whole):
                found.update({(dependant, i.version): i for i in installed_versions(self._store, dependant)})
        versions: dict[PluginId, tuple[str, ...]] = {}
        for name, gone in found:
            versions[name] = (*versions.get(name, ()), gone)
        asked = " ".join(f"{name}" + (f"@{wanted}" if wanted else "") for name, wanted in going)
        remove_versions(
            self._store,
            f"uninstall {asked}",
            versions,
            on_broken=self.observer.breaking if force else None,
            hint="--cascade uninstalls those as well, --force uninstalls it all the same",
        )
        return list(found.values())

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
        return Path(self._installed_of(plugin, version)[-1].path)

    def verify(self, plugin: PluginId | str | None = None, version: str | None = None) -> list[Checked]:
        """Hash installations again and compare them with what was installed; what goes meanwhile is left out.

        What stands where an installation should and has no readable receipt is damaged, and among what is returned.

        Raises:
            NotFoundError: the plugin or version isn't installed.
        """
        asked = None if plugin is None else plugin_of(plugin)
        found, unreadable = look_over(self._store, asked)
        standing = [verify_standing(self._store, each) for each in found if version is None or each.version == version]
        checked = [
            Checked(PluginId(*each.id), each.version, each.path, tuple(findings), each)
            for each, findings in filter(None, standing)
        ]
        checked += [
            Checked(PluginId(each.namespace, each.name), each.version, each.path, (unreadable_finding(each),), None)
            for each in unreadable
            if version is None or each.version == version
        ]
        if plugin is not None and not checked:
            self._installed_of(plugin, version)  # says what is there now
        return sorted(checked, key=lambda each: (each.plugin, version_sort_key(each.version)))

    def _installed_of(self, plugin: PluginId | str, version: str | None) -> list[Installation]:
        asked = plugin_of(plugin)
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
