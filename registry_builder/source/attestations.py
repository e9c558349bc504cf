"""Sigstore bundles in a source tree, held to ``[attestations]`` of registry.toml: who signed them, and what they cover.

The signatures are verified by `sealdex.trust.sigstore_bundles`; its library is loaded when the first bundle is met.
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
from registry_builder.source.gate import Gate, UnreadableError
from registry_builder.source.tree import SourcePlugin
from sealdex.config.attestation_policy import AttestationPolicy
from sealdex.errors import SealdexError
from sealdex.trust.sigstore_bundles import BundleVerifier, SignedBy

EXTRA = "sealdex-builder[sigstore]"


class AttestationChecks:
    """Verifies bundles of one source tree.

    Args:
        tree: its folder, which the path of a private deployment's trust root is relative to.
        policy: ``[attestations]``; None accepts nobody and requires nothing.
    """

    def __init__(self, tree: Path, policy: AttestationPolicy | None) -> None:
        self._tree = tree
        self._policy = policy or AttestationPolicy()

    @functools.cached_property
    def _verifier(self) -> BundleVerifier:
        stated = self._policy.trusted_root
        return BundleVerifier(self._tree / stated if stated is not None else None, install=EXTRA)

    def is_judged(self, namespace: str) -> bool:
        """Tell whether registry.toml accepts anybody's bundles for a namespace, so that they are verified."""
        return bool(self._policy.accepted_for(namespace))

    def verify(self, namespace: str, data: bytes, digests: Collection[str]) -> SignedBy | None:
        """Verify a bundle; None where nobody's are accepted for the namespace, so that none can be judged.

        Raises:
            VerificationError: it isn't signed by whom registry.toml accepts, or covers none of the digests; or the
                extra isn't installed.
            ConfigError: the trust root can't be read.
        """
        accepted = self._policy.accepted_for(namespace)
        return self._verifier.verify(data, digests, accepted) if accepted else None

    def problem(self, plugin: SourcePlugin, version: str, name: str) -> str | None:
        """Say what is wrong with an attached bundle whose file is as its event states it, or None."""
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
        """Return the digests of a release's artifacts that need a bundle and that no verified one covers."""
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
        """Return what a bundle covers: nothing where it isn't as it must be, which `problem` tells of."""
        if stored_attachment_problem(self._tree, plugin.folder, version, name, sha256) is not None:
            return frozenset()
        try:
            data = Gate(self._tree).read(attachment_path(plugin.folder, version, name), MAX_ATTACHMENT_BYTES)
            signed = self.verify(plugin.id.namespace, data, digests)
        except (UnreadableError, SealdexError):
            return frozenset()
        return signed.digests if signed is not None else frozenset()


def missing_bundle(plugin: SourcePlugin, version: str, sha256: str) -> str:
    """Say that an artifact needs a bundle, and how it gets one."""
    source = next(a.source for a in plugin.releases[version].artifacts if a.sha256 == sha256)
    return (
        f"{source} has no Sigstore bundle that counts, and registry.toml requires one of {plugin.id.namespace}: "
        f"sealdex-builder attest {plugin.id}@{version} BUNDLE"
    )


__all__ = ["EXTRA", "AttestationChecks", "missing_bundle"]
