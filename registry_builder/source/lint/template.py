"""Lint of working copies: release.yaml, from which the next release is made. Reads it, imports and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator

from registry_builder.source.lint.schemas import SchemaChecks
from registry_builder.source.release_template import TEMPLATE_NAME, checked_template
from registry_builder.source.safe_open import Gate
from registry_builder.source.tree import Problem, SourceTree


def template_problems(tree: SourceTree) -> Iterator[Problem]:
    """Yield what is wrong with each plugin's ``release.yaml``; `release` and `pack` would refuse it.

    Nothing of it is published, so publishing doesn't ask.
    """
    gate, schemas = Gate(tree.root), SchemaChecks()
    for plugin in tree.plugins.values():
        path = plugin.folder / TEMPLATE_NAME
        if not gate.is_there(path):
            continue
        file = f"plugins/{plugin.id}/{TEMPLATE_NAME}"
        release, problems = checked_template(gate, path)
        yield from (Problem(file, each.path, each.message) for each in problems)
        if release is not None and not problems:
            schemas.add(file, release)
    yield from (Problem(file, where, message) for file, where, message in schemas.problems())


__all__ = ["template_problems"]
