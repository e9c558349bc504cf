"""Whose Sigstore bundles are accepted for which namespaces: the same section in registry.toml and config.toml. Pure.

    [attestations]
    required = ["acme"]                          # namespaces that require a bundle for every artifact
    trusted_root = "sigstore/trusted_root.json"  # of a private deployment; default: Sigstore's own

    [[attestations.accept]]
    namespaces = ["acme"]                        # default: all
    identity = "https://github.com/acme/*"       # * stands for any characters
    issuer = "https://token.actions.githubusercontent.com"

An identity is the account that signed the bundle: a mail address, or the workflow of a repository, such as
``https://github.com/acme/slack/.github/workflows/release.yml@refs/tags/v1.2.0``. The issuer confirmed that identity.
"""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

import functools
import re
from collections.abc import Collection, Iterator
from typing import Annotated

from msgspec import Meta, Struct

from sealdex.lazy import regex
from sealdex.model.decode import FieldProblem
from sealdex.model.ids import NamespacePattern

_URI = regex(r"[a-z][a-z0-9+.-]*://[^/*]+/[^/*]+/.*")
_MAIL = regex(r"[^@]+@[^@*]+")


class AcceptedIdentity(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[[attestations.accept]]``: an identity or a pattern of identities, and its issuer."""

    identity: Annotated[str, Meta(min_length=3, max_length=1024)]
    issuer: Annotated[str, Meta(pattern=r"^https://[^\s*]+\Z", extra={"expects": "an https:// address"})]
    namespaces: Annotated[tuple[NamespacePattern, ...], Meta(min_length=1)] = ("*",)

    def matches(self, identity: str) -> bool:
        """Return whether an identity matches the pattern as a whole."""
        return _pattern(self.identity).fullmatch(identity) is not None


class AttestationPolicy(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[attestations]``.

    Attributes:
        accept: the identities whose bundles are accepted.
        required: namespaces in which each artifact must have an accepted bundle.
        trusted_root: file of a private deployment's trust root, relative to the file that names it; default:
            Sigstore's public one, as shipped with the library `sigstore`.
    """

    accept: tuple[AcceptedIdentity, ...] = ()
    required: tuple[NamespacePattern, ...] = ()
    trusted_root: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None

    def accepted_for(self, namespace: str) -> tuple[AcceptedIdentity, ...]:
        """Return the identities accepted for a namespace."""
        return tuple(each for each in self.accept if _among(namespace, each.namespaces))

    def is_required(self, namespace: str) -> bool:
        """Return whether a namespace requires accepted bundles."""
        return _among(namespace, self.required)


def policy_problems(policy: AttestationPolicy | None) -> Iterator[FieldProblem]:
    """Yield problems that the types don't express: patterns that match strangers, requirements that can't be met."""
    if policy is None:
        return
    for i, each in enumerate(policy.accept):
        if "*" in each.identity and not (_URI if "://" in each.identity else _MAIL).fullmatch(each.identity):
            yield FieldProblem(
                f"attestations.accept[{i}].identity",
                f"'{each.identity}' would accept strangers: write host and owner in full before the first '*', "
                "as in https://github.com/acme/*, or the domain of mail addresses, as in *@example.org",
            )
    for i, pattern in enumerate(policy.required):
        if not any(_among(pattern.replace("*", "-"), each.namespaces) for each in policy.accept):
            yield FieldProblem(
                f"attestations.required[{i}]",
                f"no identity is accepted for '{pattern}': add [[attestations.accept]]",
            )


def _among(namespace: str, patterns: Collection[str]) -> bool:
    return any(_pattern(pattern).fullmatch(namespace) for pattern in patterns)


@functools.lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


__all__ = ["AcceptedIdentity", "AttestationPolicy", "policy_problems"]
