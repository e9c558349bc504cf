"""Lint of a source tree's ``site/`` folder: its files can be read and published, and its templates parse."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import jinja2

from registry_builder.site._words import words_of
from registry_builder.site.templates import (
    ASSET_FOLDERS,
    OVERRIDES,
    IsStored,
    OwnFiles,
    is_asset,
    is_stored_asset,
    is_template,
    message_files,
)
from registry_builder.source.allowed_secrets import allowance, is_allowed, refusal
from registry_builder.source.safe_open import UnreadableError
from registry_builder.source.secrets.scan import secrets_of_bytes
from registry_builder.source.text import POINTER_PROBLEM, conflict_problem, is_lfs_pointer, text_problem, without_mark
from registry_builder.source.tree import Problem, SourceTree
from sealdex.errors import ConfigError

_TEXTS = frozenset({".css", ".js", ".svg", ".txt"})


def site_problems(tree: SourceTree, is_stored: IsStored = lambda _key: False) -> list[Problem]:
    """Return what is wrong with the source tree's own templates, assets and logo.

    Args:
        tree: the source tree.
        is_stored: returns whether an asset is already published under its key.
    """
    return sorted(set(_problems(tree, is_stored)))


def _problems(tree: SourceTree, is_stored: IsStored) -> Iterator[Problem]:
    own = OwnFiles(tree.root)
    refused: list[Problem] = []

    def refuse(path: str, why: str) -> None:
        refused.append(Problem(path, "", why))

    logo = tree.config.site.logo
    for part in ("", *ASSET_FOLDERS):
        try:
            names = own.names(part, is_asset if part else lambda name: is_template(name) or name == logo, refuse)
        except UnreadableError as error:
            yield Problem(f"{OVERRIDES}/{part}", "", str(error))
            continue
        for name in names:
            yield from _of_file(own, f"{part}/{name}".lstrip("/"), tree.config.policy.allow_files, is_stored)
    for language in tree.config.site.languages:
        try:
            words_of(language, message_files(own, language))
        except ConfigError as error:  # noqa: PERF203  # each language by itself
            yield Problem("registry.toml", "site.languages", f"{error.message}: {error.hint or 'correct the file'}")
    yield from refused
    if logo is not None and not own.has(logo):
        yield Problem("registry.toml", "site.logo", f"is '{logo}', but there is no file {OVERRIDES}/{logo}")


def _of_file(own: OwnFiles, name: str, allowed: Collection[str], is_stored: IsStored) -> Iterator[Problem]:
    path = f"{OVERRIDES}/{name}"
    try:
        data = own.read(name) or b""
    except UnreadableError as error:
        yield Problem(path, "", error.reason)
        return
    if name.endswith(".j2"):
        if problem := text_problem(data, path):
            yield Problem(path, "", problem)
            return
        try:
            jinja2.Environment(autoescape=True).parse(without_mark(data).decode())
        except jinja2.TemplateSyntaxError as error:
            yield Problem(path, f"line {error.lineno}", f"is not a valid template: {error}")
    for secret in secrets_of_bytes(path, data):
        if is_allowed(allowed, path):
            yield Problem(path, "", allowance(path, secret), "warning")
        else:
            known = is_stored_asset(name.rpartition("/")[2], data, is_stored)
            yield Problem(path, "", refusal(path, secret), "warning" if known else "error")
    if is_lfs_pointer(data):
        yield Problem(path, "", POINTER_PROBLEM)
    elif Path(name).suffix in _TEXTS and (problem := conflict_problem(data)):
        yield Problem(path, "", problem)


__all__ = ["site_problems"]
