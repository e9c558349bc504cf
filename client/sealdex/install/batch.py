"""Installs chosen releases as one change: fetches what is missing, deploys everything, reports each outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from msgspec.structs import replace

from sealdex.download.fetcher import ArtifactFetcher, NotHereError, Obtained
from sealdex.download.locations import image_reference
from sealdex.events import Observer
from sealdex.install.install import needs_archive
from sealdex.install.plan import NO_FILES, ChangedMeanwhileError, InstallRequest, has_files
from sealdex.install.transaction import Deployed, Job, deploy
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry
from sealdex.resolve import Choice
from sealdex.results import InstallAction, Installed, InstallOutcome, Trust
from sealdex.store.dependants import OnBroken
from sealdex.store.installations import IMAGE_FORMAT, current_version_named, find_installation
from sealdex.store.layout import Store
from sealdex.store.writable import can_write

Vouch = Callable[[Sequence[Choice]], Mapping[PluginId, tuple[Choice, Trust]]]
"""Returns what may be installed of releases that turn out to be missing, and who signed it."""


def install_chosen(
    store: Store,
    fetcher: ArtifactFetcher,
    observer: Observer,
    choices: Sequence[Choice],
    trusts: Mapping[PluginId, Trust],
    command: str,
    *,
    make_current: bool,
    pin: bool | None,
    vouch: Vouch | None = None,
    on_broken: OnBroken | None = None,
) -> list[Installed]:
    """Fetch what is missing, then install all of it as one change.

    Downloads hold no locks, so another process may remove an installed version that wasn't fetched before the change
    begins. It is then fetched as if it had been missing, so this can happen at most once for a plugin.

    Args:
        store: where to install.
        fetcher: brings the files.
        observer: told about progress and outcomes.
        choices: the releases, dependencies first.
        trusts: which registry and role signed each plugin's metadata; for the receipts.
        command: the request as text, for the history.
        make_current: switch ``current`` to these versions.
        pin: pin the requested plugins (True), or unpin them (False).
        vouch: asked about what is missing, where `choices` and `trusts` were not yet confirmed by a registry.
        on_broken: as `sealdex.install.transaction.deploy`.

    Raises:
        NotHereError: something is missing that no registry has signed; it is never fetched.
        BreaksDependantsError: as `sealdex.install.transaction.deploy`.
        VerificationError, UnavailableError, InstallError: nothing was changed.
    """
    fickle: set[PluginId] = set()
    while True:
        try:
            return _install(
                store, fetcher, observer, choices, trusts, command, fickle,
                make_current=make_current, pin=pin, vouch=vouch, on_broken=on_broken,
            )  # fmt: skip
        except ChangedMeanwhileError as changed:  # noqa: PERF203  # another try is a try in a loop
            if changed.plugin in fickle:
                raise
            fickle.add(changed.plugin)


def _install(
    store: Store,
    fetcher: ArtifactFetcher,
    observer: Observer,
    choices: Sequence[Choice],
    trusts: Mapping[PluginId, Trust],
    command: str,
    fickle: Collection[PluginId],
    *,
    make_current: bool,
    pin: bool | None,
    vouch: Vouch | None,
    on_broken: OnBroken | None,
) -> list[Installed]:
    requests = {choice.plugin: install_request(choice, trusts[choice.plugin]) for choice in choices}
    missing = [choice for choice in choices if needs_archive(store, requests[choice.plugin]) or choice.plugin in fickle]
    if vouch is not None and missing:
        vouched = vouch(missing)
        choices = [vouched[c.plugin][0] if c.plugin in vouched else c for c in choices]
        missing = [vouched[choice.plugin][0] for choice in missing]
        trusts = {**trusts, **{plugin: trust for plugin, (_, trust) in vouched.items()}}
        requests = {choice.plugin: install_request(choice, trusts[choice.plugin]) for choice in choices}
    kept = None
    if not missing and pin is None and not can_write(Path(store.change_lock)):
        kept = _as_they_are(store, choices, trusts, make_current=make_current)
    if kept is not None:
        return kept
    with ExitStack() as until_installed:
        archives, manifests = _obtained(fetcher, missing, trusts, until_installed)
        jobs = [
            Job(
                replace(request, manifest=manifests.get(request.manifest_sha256)),
                archives[request.artifact.sha256].what if request.artifact.sha256 in archives else None,
                pin if choice.requested else None,
                lambda done, total, choice=choice: observer.unpacking(choice, done, total),  # type: ignore[misc]  # mypy can't infer a lambda with a default
            )
            for choice in choices
            for request in (requests[choice.plugin],)
        ]
        deployed = {
            job.request.plugin: done
            for job, done in zip(
                jobs,
                deploy(store, jobs, command=command, make_current=make_current, on_broken=on_broken),
                strict=True,
            )
        }
    done = [
        _installed(
            choice,
            trusts[choice.plugin],
            deployed[choice.plugin],
            archives.get(choice.artifact.sha256) if choice.artifact is not None else None,
            make_current=make_current,
        )
        for choice in choices
    ]
    for each in done:
        if each.installation is not None:
            result = deployed[each.choice.plugin].result
            if result.action != "keep":
                observer.unpacked(each.choice, result.seconds)
            observer.installed(each.choice, each.action)
    return done


def _as_they_are(
    store: Store,
    choices: Sequence[Choice],
    trusts: Mapping[PluginId, Trust],
    *,
    make_current: bool,
) -> list[Installed] | None:
    """Return the installations in a store that can't be written; None if something would have to be changed."""
    done = []
    for choice in choices:
        trust = trusts[choice.plugin]
        found = find_installation(store, choice.plugin, choice.release.version)
        in_use = current_version_named(store, choice.plugin)
        if found is None or (make_current and in_use != choice.release.version):
            return None
        done.append(Installed(choice, trust, "keep", found, image=found.image))
    return done


def _obtained(
    fetcher: ArtifactFetcher, missing: Sequence[Choice], trusts: Mapping[PluginId, Trust], until: ExitStack
) -> tuple[dict[str, Obtained], dict[str, bytes]]:
    """Fetch what is missing; only what a registry signed is fetched over the network."""
    signed = [choice for choice in missing if trusts[choice.plugin].is_signed]
    unsigned = [choice for choice in missing if not trusts[choice.plugin].is_signed]
    here = fetcher.from_here()
    with_files = [choice for choice in unsigned if has_files(choice.artifact or NO_FILES)]
    archives, manifests = here.with_manifests(with_files, until)  # first, because it fails without a download
    for choice in unsigned:
        if choice not in with_files:
            with suppress(NotHereError):  # without files it needs no signature for them; its manifest is left out
                manifests[choice.release.manifest.sha256] = here.manifest_bytes(choice.plugin, choice.release)
    fetched, fetched_manifests = fetcher.with_manifests(signed, until)
    return {**archives, **fetched}, {**manifests, **fetched_manifests}


def install_request(choice: Choice, trust: Trust) -> InstallRequest:
    """Return the install request for a choice; of an image its pinned reference is recorded.

    Raises:
        VerificationError: the index names an image that isn't pinned by its digest.
    """
    artifact = choice.artifact or NO_FILES
    if artifact.format == IMAGE_FORMAT:
        reference = image_reference(choice.plugin, choice.release.version, artifact)
        artifact = ArtifactEntry(reference, artifact.sha256, IMAGE_FORMAT, 0)
    return InstallRequest(
        plugin=choice.plugin,
        version=choice.release.version,
        artifact=artifact,
        registry=trust.registry,
        manifest_sha256=choice.release.manifest.sha256,
        signed_by=trust.signed_by,
        root_version=trust.root_version,
    )


def _installed(
    choice: Choice, trust: Trust, done: Deployed, obtained: Obtained | None, *, make_current: bool
) -> Installed:
    previous = done.before if make_current and done.before != choice.release.version else None
    fetched, reused = (obtained.fetched_bytes, obtained.reused_bytes) if obtained is not None else (0, 0)
    return Installed(
        choice,
        trust,
        outcome_of(choice, done.result.action),
        done.result.installation,
        previous,
        done.result.installation.image,
        bytes_fetched=fetched,
        bytes_reused=reused,
    )


def outcome_of(choice: Choice, action: InstallAction) -> InstallOutcome:
    """Return what becomes of a release whose folder is unpacked, repaired or kept."""
    if action == "keep":
        return action
    if choice.artifact is None:
        return "nothing"
    return "image" if choice.artifact.format == IMAGE_FORMAT else action
