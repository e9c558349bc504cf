"""The last look at what is about to be published for ever: lint of the new releases, and only of those.

`validate` looks at the whole tree; this is for trees that nobody validated. Pure but for reading artifacts.
"""

from __future__ import annotations

from dataclasses import replace

from registry_builder.plan import PublishPlan
from registry_builder.source.attachments import stored_attachment_problem
from registry_builder.source.lint import lint
from registry_builder.source.tree import Problem, Severity, SourceTree
from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.model.plugin import PluginStatus


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
            status=PluginStatus(),  # its events are about releases that are left out here
        )
        for plugin, versions in new.items()
    }
    part = SourceTree(tree.root, tree.config, plugins, problems=(), complete=False)
    if errors := [problem for problem in lint(part) if problem.severity is Severity.ERROR]:
        raise InvalidReleasesError(errors)


def check_attachments(tree: SourceTree, plan: PublishPlan) -> None:
    """Look at the attachments that the plan would publish: plain files inside the tree, as their events state them.

    Raises:
        InvalidReleasesError: one of them isn't.
    """
    problems = []
    for upload in plan.attachments:
        _, namespace, name, version, file = upload.key.split("/")
        folder = tree.plugins[PluginId(namespace, name)].folder
        if problem := stored_attachment_problem(tree.root, folder, version, file, upload.sha256):
            problems.append(Problem(f"plugins/{namespace}/{name}/status.json", "", problem))
    if problems:
        raise InvalidReleasesError(problems)
