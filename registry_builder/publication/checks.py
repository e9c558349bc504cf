"""The last look at what is about to be published for ever: lint of the new releases, and only of those.

`validate` looks at the whole tree; this is for trees that nobody validated. Pure but for reading artifacts.
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
from registry_builder.source.tree import Problem, SourcePlugin, SourceTree
from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.model.plugin import PluginStatus
from sealdex.model.versions import same_version_key, version_clash


class InvalidReleasesError(SealdexError):
    """New releases have errors; ``problems`` names all of them."""

    code = "invalid"

    def __init__(self, problems: list[Problem]) -> None:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(
            f"what is to be published has errors: {problems[0]}{more}",
            subject=problems[0].file,
            untouched="nothing was published",
            hint="sealdex-builder validate shows all of them",
        )
        self.problems = problems


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
    """Return the events that attach Sigstore bundles to these releases; the others are about what is left out here."""
    return PluginStatus(events=tuple(e for e in status.events if e.kind == "sigstore-bundle" and e.version in versions))


def _pending_of(plugin: SourcePlugin, versions: set[str], *, is_new: bool) -> tuple[Problem, ...]:
    """Return what was put off in loading and is about what is new."""
    releases = set(plugin.files.values())
    new = {plugin.files[version] for version in versions}
    return tuple(p for p in plugin.pending if (p.file in new if p.file in releases else is_new))


def check_readmes(tree: SourceTree, plan: PublishPlan) -> None:
    """Look at the READMEs that the plan would publish.

    Raises:
        InvalidReleasesError: one of them can't be published as it is.
    """
    allowed = tree.config.policy.allow_files
    plugins = (tree.plugins[PluginId(*upload.key.split("/")[1:3])] for upload in plan.readmes)
    found = [problem for plugin in plugins for problem in readme_problems(plugin, None, allowed)]
    if errors := [problem for problem in found if problem.severity == "error"]:
        raise InvalidReleasesError(errors)


def check_documents(tree: SourceTree, changes: Iterable[PluginChange]) -> None:
    """Look for secrets in what people wrote into the documents that are to be published.

    Raises:
        InvalidReleasesError: there are some that aren't published yet.
    """
    allowed = tree.config.policy.allow_files
    found = (each for change in changes for each in document_secrets(change.source, change.published, allowed))
    if errors := [problem for problem in found if problem.severity == "error"]:
        raise InvalidReleasesError(errors)


def check_attachments(tree: SourceTree, plan: PublishPlan) -> None:
    """Look at the attachments that the plan would publish: plain files inside the tree, as their events state them.

    Sigstore bundles are verified, where registry.toml says whose are accepted.

    Raises:
        InvalidReleasesError: one of them isn't.
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
