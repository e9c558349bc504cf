"""Lint of secrets in documents: plugin.yaml, release files, events. All of these are published."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from registry_builder.source.allowed_secrets import allowance, is_allowed, refusal
from registry_builder.source.secrets.text import Secret, secrets_in
from registry_builder.source.tree import Problem, Severity, SourcePlugin
from sealdex.model.decode import encode_json
from sealdex.model.index import IndexDocument

# a text of a JSON document that is an address with a password; one in the midst of a text is most often an example
_LOGIN = re.compile(rb'(?<!\\)"(https?://[^\s"/?#@:]*):[^\s"/?#@]+(@[^\s"/?#@]+)', re.IGNORECASE)


def document_secrets(
    plugin: SourcePlugin, document: IndexDocument | None, allowed: Collection[str]
) -> Iterator[Problem]:
    """Yield secrets in a plugin's documents; those that are already published are warnings.

    Args:
        plugin: the plugin.
        document: its published document; None if nothing is published, or that isn't known.
        allowed: patterns of files that may hold secrets.
    """
    there = {entry.version for entry in document.releases} if document is not None else set()
    texts = [(f"plugins/{plugin.id}/plugin.yaml", encode_json(plugin.plugin))]
    if plugin.status.events:
        texts.append((f"plugins/{plugin.id}/status.json", encode_json(plugin.status)))
    texts += ((plugin.files[v], encode_json(r)) for v, r in plugin.releases.items() if v not in there)
    for file, data in texts:
        for secret in (*secrets_in(data), *_passwords(data)):
            if is_allowed(allowed, file):
                yield Problem(file, "", allowance(file, secret._replace(line=0)), "warning")
            else:
                severity: Severity = "warning" if _is_published(secret, document) else "error"
                yield Problem(file, "", refusal(file, secret._replace(line=0)), severity)


def _is_published(secret: Secret, document: IndexDocument | None) -> bool:
    """Return whether the published document contains the same; called only if a secret was found."""
    if document is None:
        return False
    data = encode_json(document)
    return secret.shown in {each.shown for each in (*secrets_in(data, limit=1000), *_passwords(data))}


def _passwords(data: bytes) -> Iterator[Secret]:
    for found in _LOGIN.finditer(data):
        shown = b":...".join(found.groups()).decode("utf-8", "replace")
        yield Secret("the password of an address", 0, shown)


__all__ = ["document_secrets"]
