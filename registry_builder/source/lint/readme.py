"""Lint of what loading postponed because it may be published: READMEs, and links that leave their plugin's folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator

from registry_builder.source.allowed_secrets import allowance, is_allowed, refusal
from registry_builder.source.readme_file import read_readme
from registry_builder.source.safe_open import UnreadableError
from registry_builder.source.secrets.scan import secrets_of_bytes
from registry_builder.source.text import text_problem
from registry_builder.source.tree import Problem, Severity, SourcePlugin
from sealdex.model.index import FilePin, IndexDocument

_README = re.compile(r"/README(\.[A-Za-z0-9-]+)?\.md$")


def readme_problems(
    plugin: SourcePlugin, document: IndexDocument | None, allowed: Collection[str]
) -> Iterator[Problem]:
    """Yield what is wrong with a plugin's READMEs: errors, or warnings if this README is already published.

    Args:
        plugin: the plugin.
        document: its published document; None if nothing is published, or that isn't known.
        allowed: patterns of files that may hold secrets.
    """
    yield from _of_readme(plugin, None, document.readme if document is not None else None, allowed)
    for language in plugin.readme_i18n:
        pin = document.readme_i18n.get(language) if document is not None else None
        yield from _of_readme(plugin, language, pin, allowed)


def _of_readme(
    plugin: SourcePlugin, language: str | None, pin: FilePin | None, allowed: Collection[str]
) -> Iterator[Problem]:
    name = f"README.{language}.md" if language else "README.md"
    file = f"plugins/{plugin.id}/{name}"
    try:
        readme = read_readme(plugin, language)
    except UnreadableError as error:
        yield Problem(file, "", str(error))
        return
    if readme is None:
        return
    is_published = pin is not None and pin.sha256 in {
        hashlib.sha256(data).hexdigest() for data in (readme.raw, readme.plain)
    }
    severity: Severity = "warning" if is_published else "error"
    found = [problem.message for problem in plugin.pending if problem.file == file]
    if problem := text_problem(readme.raw, name):
        found.append(problem)
    for secret in secrets_of_bytes(file, readme.raw):
        if is_allowed(allowed, file):
            yield Problem(file, "", allowance(file, secret), "warning")
        else:
            found.append(refusal(file, secret))
    for message in found:
        yield Problem(file, "", message, severity)


def pending_problems(plugin: SourcePlugin, document: IndexDocument | None) -> Iterator[Problem]:
    """Yield postponed problems, except the README's: errors for what isn't published, else warnings."""
    there = {entry.version for entry in document.releases} if document is not None else set()
    published = {plugin.files[version] for version in plugin.releases if version in there}
    releases = set(plugin.files.values())
    for problem in plugin.pending:
        if _README.search(problem.file):
            continue
        known = problem.file in published if problem.file in releases else document is not None
        yield Problem(problem.file, problem.where, problem.message, "warning" if known else "error")


__all__ = ["pending_problems", "readme_problems"]
