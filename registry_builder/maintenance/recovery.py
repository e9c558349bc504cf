"""Republishes from the source tree, over a storage that a thief wrote to with stolen online keys.

A publish builds on the published state, so a thief's releases would stay. Here nothing is built on it: every online
role is re-signed from the source tree, with the keys of its newest root. The storage is only compared,
so that people see what the thief changed, and new version numbers are higher than its own, as far as those are sane.
What a claimed namespace's own keys signed stays, because the thief doesn't have those keys.

Clients recover automatically, even with the thief's versions: python-tuf drops its timestamp and snapshot
once a new root names other keys for them (TUF specification 5.3.11, recovery from fast-forward attacks). So
the keys must have been rotated by a ceremony before, and `recover` checks that they were.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from registry_builder.baseline.diff import Sources, plugin_change, survey
from registry_builder.baseline.state import PublishedReader, PublishedState, RoleFile, TargetRole
from registry_builder.compile.index import Ingestion
from registry_builder.maintenance._break_glass import check_break_glass
from registry_builder.maintenance._untrusted_state import (
    HIGHEST_VERSION,
    pins_of,
    plugin_differences,
    read_remains,
    versions_seen,
)
from registry_builder.publication.bundle_update import put_bundle
from registry_builder.publication.checks import check_attachments
from registry_builder.publication.claims import unsigned_claims
from registry_builder.publication.commit import Committed, RetryState, commit
from registry_builder.publication.context import Attempt, Publisher
from registry_builder.publication.ingest import ingest
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.publish import changed_release, retry_races, versions_after
from registry_builder.publication.site_update import put_site
from registry_builder.publication.store_proof import StoreProof
from registry_builder.publication.uploads import (
    FileListSource,
    TreeFile,
    Upload,
    attachment_files,
    index_files,
    readme_files,
    release_files,
)
from registry_builder.signing.metadata import bin_bits, bin_names, claim_role, claims_of
from registry_builder.source.realms import check_leaks, plugins_of
from registry_builder.storage import Body, headers_for
from registry_builder.storage.overwriting import MendingStorage
from sealdex.errors import ConfigError, SealdexError
from sealdex.model.index import index_target

_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RELEASE_FILES = ":(glob)plugins/*/*/releases/*"
_GIT_SECONDS = 120
_NO_HISTORY = (
    "the source tree is not in a git repository that git can read here, so it can't be checked whether releases were "
    "changed"
)
_SHALLOW = (
    "this clone is shallow, so it can't be checked whether releases were changed before its first commit: "
    "git fetch --unshallow"
)


@dataclass
class RecoveryResult:
    """What `recover` found and did.

    Attributes:
        plan: what it wrote or would write.
        differences: how the storage differed from the source tree, one line each.
        moved: role to the version last seen from this machine and the one found in the storage, if they differ.
        unreadable: files that the storage's metadata names but that are missing or damaged.
        edited: release files that were changed or removed after they were committed, which must not happen.
        still_counts: roles whose keys signed the storage's metadata and are still trusted.
        unchecked: artifacts whose file isn't in the source tree, so that they were left unchanged.
        replaced: keys of files that had other bytes.
        versions: of ``timestamp``, ``snapshot`` and ``targets`` after it; empty if nothing was written.
        warnings: warnings for the user, although it succeeded.
    """

    plan: PublishPlan
    differences: list[str] = field(default_factory=list)
    moved: dict[str, tuple[int, int]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    still_counts: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def committed(self) -> bool:
        """Whether anything was written."""
        return bool(self.versions)


def recover_realm(publisher: Publisher, *, apply: bool, not_stolen: Collection[str] = ()) -> RecoveryResult:
    """Republish a realm from the source tree, or report what that would change.

    Args:
        publisher: see `open_publisher`; its tree is complete.
        apply: whether to write.
        not_stolen: roles whose keys are kept although they signed the storage's metadata: ``timestamp``, ``snapshot``,
            ``packages``, ``catalog``. All of them if the store was damaged without any key.

    Raises:
        ConfigError: the realm is on GitHub Pages, the tree has errors or isn't whole, keys that signed its metadata are
            still trusted, or this role may not replace published files; nothing was written.
        ReleaseChangedError: a release that a claimed namespace's team signed was changed in the tree.
        SealdexError: a claimed namespace's own signature is needed and missing; nothing was written.
        UnavailableError: the storage doesn't answer, or ignores the conditions of a write; nothing was written.
    """
    _check_place(publisher)
    _check_tree(publisher)
    with StoreProof() as proof:
        result, _ = retry_races(lambda: _Attempt(publisher, proof).run(apply=apply, not_stolen=not_stolen))
    return result


def _check_place(publisher: Publisher) -> None:
    """Refuse what is on GitHub Pages: its storage is a folder, which says nothing of what is live."""
    if publisher.tree.config.realms[publisher.realm].is_pages:
        raise ConfigError(
            f"realm {publisher.realm} is on GitHub Pages, where recover can neither compare nor replace what is live",
            subject=publisher.storage.description,
            untouched="nothing was written",
            hint="replace the keys with a ceremony, take the site down, have publishers forget it, and run publish "
            "--first-publish: keys/README.md has the commands",
        )


def _check_tree(publisher: Publisher) -> None:
    tree = publisher.tree
    errors = [problem for problem in tree.problems if problem.severity == "error"]
    if errors or not tree.complete:
        raise ConfigError(
            f"the source tree is incomplete: {errors[0] if errors else 'only some plugins were loaded'}",
            subject=str(tree.root),
            untouched="nothing was written",
            hint="plugins that are missing from the tree would be unpublished; see sealdex-builder validate",
        )


class _Attempt:
    def __init__(self, publisher: Publisher, proof: StoreProof) -> None:
        self._proof = proof
        self._now = publisher.clock()
        self._seen = publisher.memory.load() if publisher.memory is not None else None
        self._remains = read_remains(publisher, self._seen)
        self._claims = {
            f"metadata/{claim.version}.{role}.json": claim.data
            for namespace, role in claims_of(publisher.trust.targets_role).items()
            if (claim := self._remains.claims.get(namespace)) is not None
        }
        own = {f"metadata/{version}.root.json" for version in publisher.trust.roots}
        own |= {f"metadata/{version}.targets.json" for version in publisher.trust.targets}
        self._storage = MendingStorage(publisher.storage, {*own, *self._claims})
        self._publisher = replace(publisher, storage=self._storage)

    def run(self, *, apply: bool, not_stolen: Collection[str]) -> RecoveryResult:
        publisher = self._publisher
        plugins = plugins_of(publisher.tree, publisher.realm, None)
        check_leaks(publisher.tree, publisher.realm, list(plugins.values()))
        ingestion = Ingestion(enabled=publisher.tree.config.registry.ingest)
        sources = Sources(plugins, is_complete=True, ingestion=ingestion)
        with publisher.reader(self._now) as reader:
            state = self._state(len(plugins))
            reader.adopt(state)
            attempt = self._plan(sources, state, reader)
            plan = attempt.plan
            result = self._compared(sources, plan)
            if not apply:
                return result
            self._check_keys(not_stolen)
            if self._storage.lock is not None:
                self._proof.give(publisher, state)  # takes it: whoever publishes now is left in peace
            self._storage.replaced += check_break_glass(publisher)
            self._proof.give(publisher, state)
            if plan.ingest:
                config = publisher.tree.config.registry
                sizes = ingest(
                    plan.ingest,
                    self._storage,
                    max_bytes=config.max_artifact_size,
                    workers=publisher.workers,
                    notice=publisher.notice,
                )
                attempt = self._plan(sources.with_sizes(sizes), state, reader)
                plan = attempt.plan
            result.plan = plan
            result.unchecked = _absent(plan.artifacts)
            committed = self._commit(_with_files_here(plan), state)
            result.versions = versions_after(state, committed)
            result.replaced = sorted(self._storage.replaced)
            result.warnings += [*map(str, plan.waiting), *committed.warnings]
            try:
                put_bundle(publisher, None, committed)
                put_site(attempt, snapshot=committed.versions["snapshot"], every_page=True)
            except SealdexError as error:  # past the commit point; the next publish repairs it, and nothing trusts it
                result.warnings.append(f"published, but bundle or pages could not be written: {error.message}")
        return result

    # --- what is there ------------------------------------------------------------------------------------------------

    def _state(self, plugins: int) -> PublishedState:
        """Return a state to publish on that trusts only what the teams of claimed namespaces signed."""
        trust, remains = self._publisher.trust, self._remains
        bits = max(bin_bits(plugins), self._publisher.min_bits)
        seen = versions_seen(self._seen)

        def floor(role: str) -> int:
            return max(remains.versions.get(role, 0), seen.get(role, 0))

        claims = {
            namespace: TargetRole(claim.version, claim.role.expires, pins_of(claim.role))
            for namespace, claim in remains.claims.items()
        }
        versions = {role: floor(role) for role in ("packages", "catalog", *bin_names(bits))}
        if "snapshot" in remains.still_counts:
            # clients keep their snapshot, and reject a new one that lacks a name
            versions |= {role: floor(role) for role in remains.versions if role not in {"snapshot", "timestamp"}}
        versions |= {claim_role(namespace): claim.version for namespace, claim in claims.items()}
        return PublishedState(
            etag=remains.etag,
            root_version=remains.published_root or min(trust.roots),
            timestamp=RoleFile(floor("timestamp"), _LONG_AGO, b""),
            snapshot=RoleFile(floor("snapshot"), _LONG_AGO, b""),
            versions=versions,
            targets=RoleFile(0, _LONG_AGO, b""),
            targets_role=trust.targets_role,
            packages=RoleFile(floor("packages"), _LONG_AGO, b""),
            packages_role=trust.targets_role,  # delegates to no bins, so every bin is re-signed
            bits=bits,
            catalog=TargetRole(floor("catalog"), _LONG_AGO, {}),
            bins={name: TargetRole(floor(name), _LONG_AGO, {}) for name in bin_names(bits)},
            claims=claims,
        )

    def _compared(self, sources: Sources, plan: PublishPlan) -> RecoveryResult:
        remains, seen = self._remains, versions_seen(self._seen)
        there = {**remains.versions, **dict.fromkeys(remains.beyond, HIGHEST_VERSION)}
        edited, unsure = edited_releases(self._publisher.tree.root)
        result = RecoveryResult(
            plan,
            differences=list(plugin_differences(remains, sources, self._publisher.storage)),
            moved={role: (seen[role], there[role]) for role in seen if there.get(role, seen[role]) != seen[role]},
            unreadable=sorted(remains.unreadable),
            edited=edited,
            still_counts=sorted(remains.still_counts),
            unchecked=_absent(plan.artifacts),
        )
        result.warnings += [unsure] if unsure is not None else []
        return result

    def _check_keys(self, not_stolen: Collection[str]) -> None:
        counting = sorted(set(self._remains.still_counts) - set(not_stolen))
        if counting:
            raise ConfigError(
                f"the keys that signed the published {', '.join(counting)} are still trusted",
                subject=self._publisher.storage.description,
                untouched="nothing was written",
                hint="if they were stolen, replace them with a ceremony first (keys/README.md); if not: "
                + " ".join(f"--not-stolen {role}" for role in counting),
            )

    # --- what is to be there ------------------------------------------------------------------------------------------

    def _plan(self, sources: Sources, state: PublishedState, reader: PublishedReader) -> Attempt:
        publisher = self._publisher
        claims = publisher.decide_claims(state, survey(sources, state, reader), self._now)
        if claims.blocked:  # no older targets metadata is to be trusted that could stay in force until it is signed
            raise unsigned_claims(replace(each, plugins=()) for each in claims.waiting)
        plan = publisher.plan(state, claims, sources.ingestion, self._now)
        if plan.violations:
            raise changed_release(plan)
        # unchanged documents need no new signature of the team, but the files may be missing
        signed = [
            plugin_change(source, sources.compile(plugin, None), None)
            for plugin, source in sources.plugins.items()
            if plugin.namespace in state.claims and sources.own(plugin)[0] == state.pin(index_target(plugin))
        ]
        manifests, artifacts, to_copy = release_files(signed, publisher.tree.root, sources.ingestion)
        plan = replace(
            plan,
            manifests=(*plan.manifests, *manifests),
            artifacts=(*plan.artifacts, *artifacts),
            ingest=(*plan.ingest, *to_copy),
            readmes=(*plan.readmes, *readme_files(signed)),
            attachments=(*plan.attachments, *attachment_files(signed)),
            indexes=(*plan.indexes, *index_files(signed)),
        )
        check_attachments(publisher.tree, plan)
        return Attempt(publisher, sources, reader, state, self._now, claims.found, plan)

    def _commit(self, plan: PublishPlan, state: PublishedState) -> Committed:
        first = min(self._publisher.trust.roots)
        known = {f"metadata/{first}.root.json": self._publisher.trust.roots[first], **self._claims}
        for key, data in known.items():
            self._storage.put_new(key, Body.of_bytes(data, headers_for(key)))
        return commit(self._publisher, plan, state, self._now, RetryState(proof=self._proof))


def _absent(uploads: Iterable[Upload]) -> list[str]:
    return sorted(upload.key for upload in uploads if not _is_here(upload))


def _with_files_here(plan: PublishPlan) -> PublishPlan:
    return replace(plan, artifacts=tuple(filter(_is_here, plan.artifacts)))


def _is_here(upload: Upload) -> bool:
    content = upload.content
    file = content.archive if isinstance(content, FileListSource) else content
    return not isinstance(file, TreeFile) or file.path.exists()


def edited_releases(tree: Path) -> tuple[list[str], str | None]:
    """Return the release files that were changed or removed after they were committed, and why that isn't sure.

    A thief who could commit might put bad digests into the source tree too; releases never change, so git reveals it.
    Merges are compared with each of their parents: git shows nothing of them by itself.
    """
    found: set[str] = set()
    for command in (
        ["log", "-m", "--format=", "--name-only", "--no-renames", "--diff-filter=MD", "--relative"],
        ["diff", "HEAD", "--name-only", "--no-renames", "--diff-filter=MD", "--relative"],
    ):
        said = _git(tree, *command, "--", _RELEASE_FILES)
        if said is None:
            return [], _NO_HISTORY
        found.update(filter(None, said.splitlines()))
    shallow = _git(tree, "rev-parse", "--is-shallow-repository")
    return sorted(found), None if shallow is not None and shallow.strip() == "false" else _SHALLOW


def _git(tree: Path, *args: str) -> str | None:
    """Return what git prints; None if it fails."""
    try:
        done = subprocess.run(
            ["git", *args], cwd=tree, capture_output=True, text=True, check=False, timeout=_GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


__all__ = ["RecoveryResult", "edited_releases", "recover_realm"]
