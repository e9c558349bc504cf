"""The final check before publishing: lint of the new releases, and only of those.

`validate` checks the whole tree; this is for trees that weren't validated. Pure except for reading artifacts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from registry_builder.baseline.diff import PluginChange
from registry_builder.publication.plan import PublishPlan
from registry_builder.source.attachments import stored_attachment_problem
from registry_builder.source.attestations import AttestationChecks
from registry_builder.source.lint.readme import readme_problems
from registry_builder.source.lint.secrets import document_secrets
from registry_builder.source.lint.tree import lint_tree
from registry_builder.source.private_names import PrivateNames, name_problems
from registry_builder.source.tree import Problem, SourcePlugin, SourceTree
from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.model.plugin import PluginStatus
from sealdex.model.versions import same_version_key, version_clash


class InvalidReleasesError(SealdexError):
    """New releases have errors; ``problems`` lists all of them."""

    code = "invalid"

    def __init__(self, problems: list[Problem]) -> None:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(
            f"the releases to publish have errors: {problems[0]}{more}",
            subject=problems[0].file,
            untouched="nothing was published",
            hint="sealdex-builder validate lists all of them",
        )
        self.problems = problems


def check_names(tree: SourceTree, changes: Iterable[PluginChange]) -> None:
    """Refuse to publish a name of another realm's plugin; what is published already stays.

    Raises:
        InvalidReleasesError: a text that isn't published yet has one; it isn't repeated.
    """
    names = PrivateNames(tree)
    if not names.any:
        return
    problems = [
        problem
        for change in changes
        for problem in name_problems(change.source, change.published, names)
        if problem.severity == "error"
    ]
    if problems:
        raise InvalidReleasesError(problems)


def check_new_releases(tree: SourceTree, plan: PublishPlan) -> None:
    """Lint the releases that the plan would publish for the first time.

    Raises:
        InvalidReleasesError: one of them has an error.
    """
    new: dict[PluginId, set[str]] = {}
    for plugin, version in plan.new_releases:
        new.setdefault(plugin, set()).add(version)
    plugins = {
        plugin: replace(
            tree.plugins[plugin],
            releases={v: r for v, r in tree.plugins[plugin].releases.items() if v in versions},
            status=_bundles_of(tree.plugins[plugin].status, versions),
            pending=_pending_of(tree.plugins[plugin], versions, is_new=plugin in plan.new_plugins),
        )
        for plugin, versions in new.items()
    }
    part = SourceTree(tree.root, tree.config, plugins, problems=(), complete=False)
    errors = [problem for problem in lint_tree(part, check_texts=False) if problem.severity == "error"]
    kept: dict[PluginId, set[str]] = {}
    for plugin, version in plan.kept:
        kept.setdefault(plugin, set()).add(version)
    for plugin, versions in new.items():
        source = tree.plugins[plugin]
        published = {same_version_key(v): v for v in {*source.releases, *kept.get(plugin, ())} - versions}
        errors += (
            Problem(source.files[version], "version", version_clash(version, other))
            for version in sorted(versions)
            if (other := published.get(same_version_key(version))) is not None
        )
    if errors:
        raise InvalidReleasesError(errors)


def _bundles_of(status: PluginStatus, versions: set[str]) -> PluginStatus:
    """Return the events that attach Sigstore bundles to these releases; other events aren't relevant here."""
    return PluginStatus(events=tuple(e for e in status.events if e.kind == "sigstore-bundle" and e.version in versions))


def _pending_of(plugin: SourcePlugin, versions: set[str], *, is_new: bool) -> tuple[Problem, ...]:
    """Return problems that loading postponed and that concern what is new."""
    releases = set(plugin.files.values())
    new = {plugin.files[version] for version in versions}
    return tuple(p for p in plugin.pending if (p.file in new if p.file in releases else is_new))


def check_readmes(tree: SourceTree, plan: PublishPlan) -> None:
    """Check the READMEs that the plan would publish.

    Raises:
        InvalidReleasesError: one of them can't be published as it is.
    """
    allowed = tree.config.policy.allow_files
    plugins = (tree.plugins[PluginId(*upload.key.split("/")[1:3])] for upload in plan.readmes)
    found = [problem for plugin in plugins for problem in readme_problems(plugin, None, allowed)]
    if errors := [problem for problem in found if problem.severity == "error"]:
        raise InvalidReleasesError(errors)


def check_documents(tree: SourceTree, changes: Iterable[PluginChange]) -> None:
    """Look for secrets in the documents that would be published.

    Raises:
        InvalidReleasesError: there are some that aren't published yet.
    """
    allowed = tree.config.policy.allow_files
    found = (each for change in changes for each in document_secrets(change.source, change.published, allowed))
    if errors := [problem for problem in found if problem.severity == "error"]:
        raise InvalidReleasesError(errors)


def check_attachments(tree: SourceTree, plan: PublishPlan) -> None:
    """Check the attachments that the plan would publish: plain files inside the tree that match their events.

    Sigstore bundles are verified if registry.toml has accepted identities.

    Raises:
        InvalidReleasesError: one of them is not valid.
    """
    problems = []
    attestations = AttestationChecks(tree.root, tree.config.attestations)
    for upload in plan.attachments:
        _, namespace, name, version, file = upload.key.split("/")
        plugin = tree.plugins[PluginId(namespace, name)]
        problem = stored_attachment_problem(
            tree.root, plugin.folder, version, file, upload.sha256, tree.config.policy.allow_files
        )
        bundles = {(e.version, e.name) for e in plugin.status.events if e.kind == "sigstore-bundle"}
        if problem is None and (version, file) in bundles:
            problem = attestations.problem(plugin, version, file)
        if problem is not None:
            number = next(
                i for i, event in enumerate(plugin.status.events) if (event.version, event.name) == (version, file)
            )
            problems.append(Problem(*plugin.event_place(number, "name"), problem))
    if problems:
        raise InvalidReleasesError(problems)
