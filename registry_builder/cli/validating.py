"""What ``validate`` shows: problems by file, a count, and whether there was something to compare with."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from registry_builder.cli.reading import append, reader_storage
from registry_builder.source.lint import lint
from registry_builder.source.load import load_tree
from registry_builder.source.tree import Problem, Severity, SourceTree
from sealdex.cli.output import Output
from sealdex.errors import SealdexError, VerificationError
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.wording import counted


def validate_tree(
    out: Output,
    root: Path,
    plugins: Collection[PluginId],
    *,
    offline: bool,
    by_url: bool = False,
    summary: Path | None = None,
) -> int:
    """Lint a tree, or the named plugins of it, show everything and return the exit code."""
    tree = load_tree(root, only=plugins or None)
    compared = {} if offline else _published(out, tree, by_url=by_url)
    published = {plugin: document for documents in compared.values() for plugin, document in documents.items()}
    problems = lint(tree, published=published or None)
    if tree.complete:
        from registry_builder.site.lint_site import site_problems  # noqa: PLC0415  # needs Jinja2

        problems = sorted({*problems, *site_problems(tree)})
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    file = ""
    for problem in problems:
        if problem.file != file:
            file = problem.file
            out.answer(file)
        place = f"{problem.where}: " if problem.where else ""
        out.answer(f"  {problem.severity.value}: {place}{problem.message}")
    releases = sum(len(plugin.releases) for plugin in tree.plugins.values())
    held = f"{counted(len(tree.plugins), 'plugin')}, {counted(releases, 'release')}"
    found = f"{counted(len(errors), 'error')}, {counted(len(problems) - len(errors), 'warning')}"
    out.line(f"{held}: {found}", style="red" if errors else "green")
    if summary is not None:
        from registry_builder.markdown_summary import problems_markdown  # noqa: PLC0415  # as below

        append(summary, problems_markdown(problems, len(tree.plugins), releases))
    out.result(
        {
            "valid": not errors,
            "plugins": len(tree.plugins),
            "releases": releases,
            "errors": len(errors),
            "warnings": len(problems) - len(errors),
            "compared_with": sorted(compared),
            "problems": [_document(problem) for problem in problems],
        }
    )
    return 1 if errors else 0


def _published(out: Output, tree: SourceTree, *, by_url: bool) -> dict[str, dict[PluginId, IndexDocument]]:
    """Read what is published, realm by realm; what can't be reached is said and does without."""
    from registry_builder.published import published_documents  # noqa: PLC0415  # as above
    from registry_builder.publisher import open_publisher  # noqa: PLC0415  # brings boto3, which takes long to import
    from registry_builder.signing.trust import trust_folder  # noqa: PLC0415  # as above

    found: dict[str, dict[PluginId, IndexDocument]] = {}
    for realm in tree.config.realms:
        if not trust_folder(tree.root, realm).is_dir():
            continue  # without a trust root nothing can have been published
        try:
            # expired metadata is still signed: it says what was published, and validate grants no trust
            place = reader_storage(tree.config, realm, by_url=by_url)
            found[realm] = published_documents(open_publisher(tree, realm, storage=place, allow_expired=True))
        except VerificationError:
            raise
        except SealdexError as error:  # the other realms are still wanted
            out.warn(f"realm {realm} is not compared with what is published: {error.message}")
    return found


def _document(problem: Problem) -> dict[str, str]:
    return {
        "file": problem.file,
        "where": problem.where,
        "severity": problem.severity.value,
        "message": problem.message,
    }


__all__ = ["validate_tree"]
