"""Checks Sigstore bundles of a source tree against ``[attestations]`` of registry.toml: signers, and what they cover.

The signatures are verified by `sealdex.trust.sigstore_bundles`; its library is imported for the first bundle.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path

from registry_builder.source.attachments import (
    MAX_ATTACHMENT_BYTES,
    attachment_path,
    stored_attachment_problem,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.tree import SourcePlugin
from sealdex.config.attestation_policy import AttestationPolicy
from sealdex.errors import SealdexError
from sealdex.trust.sigstore_bundles import BundleVerifier, SignedBy

EXTRA = "sealdex-builder[sigstore]"


class AttestationChecks:
    """Verifies bundles of one source tree.

    Args:
        tree: its folder; the path of a private deployment's trust root is relative to it.
        policy: ``[attestations]``; None accepts no signer and requires nothing.
    """

    def __init__(self, tree: Path, policy: AttestationPolicy | None) -> None:
        self._tree = tree
        self._policy = policy or AttestationPolicy()

    @functools.cached_property
    def _verifier(self) -> BundleVerifier:
        stated = self._policy.trusted_root
        return BundleVerifier(self._tree / stated if stated is not None else None, install=EXTRA)

    def is_judged(self, namespace: str) -> bool:
        """Return whether registry.toml accepts any signers for a namespace, so that its bundles are verified."""
        return bool(self._policy.accepted_for(namespace))

    def verify(self, namespace: str, data: bytes, digests: Collection[str]) -> SignedBy | None:
        """Verify a bundle; None if no signers are accepted for the namespace, so that it can't be verified.

        Raises:
            VerificationError: it isn't signed by an accepted identity, or covers none of the digests; or the
                extra isn't installed.
            ConfigError: the trust root can't be read.
        """
        accepted = self._policy.accepted_for(namespace)
        return self._verifier.verify(data, digests, accepted) if accepted else None

    def problem(self, plugin: SourcePlugin, version: str, name: str) -> str | None:
        """Return what is wrong with an attached bundle whose file matches its event, or None."""
        release = plugin.releases.get(version)
        if release is None:
            return None  # reported already
        try:
            data = Gate(self._tree).read(attachment_path(plugin.folder, version, name), MAX_ATTACHMENT_BYTES)
            self.verify(plugin.id.namespace, data, {artifact.sha256 for artifact in release.artifacts})
        except UnreadableError as error:
            return str(error)
        except SealdexError as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
        return None

    def uncovered(self, plugin: SourcePlugin, version: str) -> list[str]:
        """Return the digests of a release's artifacts that need a bundle but aren't covered by a verified one."""
        if not self._policy.is_required(plugin.id.namespace):
            return []
        release = plugin.releases[version]
        digests = {artifact.sha256 for artifact in release.artifacts}
        covered: set[str] = set()
        for event in plugin.status.events:
            if event.kind == "sigstore-bundle" and event.version == version and event.name is not None:
                covered |= self._covered(plugin, version, event.name, event.sha256 or "", digests)
        return sorted(digests - covered)

    def _covered(
        self, plugin: SourcePlugin, version: str, name: str, sha256: str, digests: Collection[str]
    ) -> frozenset[str]:
        """Return what a bundle covers: nothing if it is invalid, which `problem` reports."""
        if stored_attachment_problem(self._tree, plugin.folder, version, name, sha256) is not None:
            return frozenset()
        try:
            data = Gate(self._tree).read(attachment_path(plugin.folder, version, name), MAX_ATTACHMENT_BYTES)
            signed = self.verify(plugin.id.namespace, data, digests)
        except (UnreadableError, SealdexError):
            return frozenset()
        return signed.digests if signed is not None else frozenset()


def missing_bundle(plugin: SourcePlugin, version: str, sha256: str) -> str:
    """Return the message that an artifact needs a bundle, with the command that adds it."""
    source = next(a.source for a in plugin.releases[version].artifacts if a.sha256 == sha256)
    return (
        f"{source} has no accepted Sigstore bundle, which registry.toml requires for {plugin.id.namespace}: "
        f"sealdex-builder attest {plugin.id}@{version} BUNDLE"
    )


__all__ = ["EXTRA", "AttestationChecks", "missing_bundle"]
