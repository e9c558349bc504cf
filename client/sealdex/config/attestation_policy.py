"""Whose Sigstore bundles are accepted for which namespaces: the same words in registry.toml and in config.toml. Pure.

    [attestations]
    required = ["acme"]                          # namespaces of which nothing is taken without a bundle
    trusted_root = "sigstore/trusted_root.json"  # of a private deployment; Sigstore's own when left out

    [[attestations.accept]]
    namespaces = ["acme"]                        # all of them when left out
    identity = "https://github.com/acme/*"       # * stands for any characters
    issuer = "https://token.actions.githubusercontent.com"

An identity is who logged in when the bundle was signed: a mail address, or the workflow of a repository, such as
``https://github.com/acme/slack/.github/workflows/release.yml@refs/tags/v1.2.0``. The issuer is who says so.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from typing import Annotated

from msgspec import Meta, Struct

from sealdex.model.decode import FieldProblem
from sealdex.model.ids import NamespacePattern

_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^/*]+/[^/*]+/.*")
_MAIL = re.compile(r"[^@]+@[^@*]+")


class AcceptedIdentity(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[[attestations.accept]]``: one identity, or a pattern of them, and who must have vouched for it."""

    identity: Annotated[str, Meta(min_length=3, max_length=1024)]
    issuer: Annotated[str, Meta(pattern=r"^https://[^\s*]+\Z", extra={"expects": "an https:// address"})]
    namespaces: Annotated[tuple[NamespacePattern, ...], Meta(min_length=1)] = ("*",)

    def matches(self, identity: str) -> bool:
        """Tell whether an identity is this one, or fits the pattern as a whole."""
        return _pattern(self.identity).fullmatch(identity) is not None


class AttestationPolicy(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[attestations]``.

    Attributes:
        accept: whose bundles count.
        required: namespaces of which each artifact must have a bundle that counts.
        trusted_root: file of a private deployment's trust root, relative to the file that says so; Sigstore's public
            one, as the library `sigstore` has it, when left out.
    """

    accept: tuple[AcceptedIdentity, ...] = ()
    required: tuple[NamespacePattern, ...] = ()
    trusted_root: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None

    def accepted_for(self, namespace: str) -> tuple[AcceptedIdentity, ...]:
        """Return whose bundles count for a namespace."""
        return tuple(each for each in self.accept if _among(namespace, each.namespaces))

    def is_required(self, namespace: str) -> bool:
        """Tell whether nothing of a namespace is taken without a bundle that counts."""
        return _among(namespace, self.required)


def policy_problems(policy: AttestationPolicy | None) -> Iterator[FieldProblem]:
    """Yield what the types don't express: patterns that strangers fit as well, requirements that nothing can meet."""
    if policy is None:
        return
    for i, each in enumerate(policy.accept):
        if "*" in each.identity and not (_URI if "://" in each.identity else _MAIL).fullmatch(each.identity):
            yield FieldProblem(
                f"attestations.accept[{i}].identity",
                f"'{each.identity}' would accept strangers: name host and owner in full before the first '*', "
                "as in https://github.com/acme/*, or the domain of mail addresses, as in *@example.org",
            )
    for i, pattern in enumerate(policy.required):
        if not any(_among(pattern.replace("*", "-"), each.namespaces) for each in policy.accept):
            yield FieldProblem(
                f"attestations.required[{i}]",
                f"nobody's bundle is accepted for '{pattern}': add [[attestations.accept]]",
            )


def _among(namespace: str, patterns: Collection[str]) -> bool:
    return any(_pattern(pattern).fullmatch(namespace) for pattern in patterns)


@functools.lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


__all__ = ["AcceptedIdentity", "AttestationPolicy", "policy_problems"]
