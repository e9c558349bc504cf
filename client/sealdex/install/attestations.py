"""Verifies that an accepted identity has attested a release: checks the release's Sigstore bundles.

The index document pins the bundles, so they are those that the registry published. Which identities are accepted is
decided by this host, in ``[attestations]`` of config.toml, not by the registry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sealdex.config.attestation_policy import AcceptedIdentity, AttestationPolicy
from sealdex.errors import ConfigError, VerificationError
from sealdex.install.plan import NO_FILES
from sealdex.model.ids import PluginId
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store
from sealdex.trust.sigstore_bundles import SIGSTORE_KIND, BundleRefusedError, BundleVerifier, SignedBy

if TYPE_CHECKING:
    from sealdex.config.config import Config
    from sealdex.queries import RegistryQueries
    from sealdex.resolve import Choice


class Attested(NamedTuple):
    """The attestation of an artifact: the bundle's name, the identity that signed it and that identity's issuer."""

    bundle: str
    identity: str
    issuer: str


def attested(queries: RegistryQueries, plugin: PluginId, version: str, sha256: str) -> Attested:
    """Verify that an accepted identity vouches for an artifact of a release.

    Args:
        queries: fetches the index document and the bundles that it pins.
        plugin: the plugin.
        version: its release.
        sha256: of the artifact.

    Raises:
        ConfigError: no identity is accepted here for the namespace.
        BundleRefusedError: there is no bundle, or none is accepted; each is named with the reason. Or the extra isn't
            installed.
        VerificationError: the artifact isn't one of the release, or as `sealdex.queries.RegistryQueries.info`.
        NotFoundError, UnavailableError: as `sealdex.queries.RegistryQueries.info`.
    """
    policy, name = policy_of(queries.config), f"{plugin} {version}"
    accepted = policy.accepted_for(plugin.namespace)
    if not accepted:
        raise ConfigError(
            f"no identity is accepted here for Sigstore bundles of {plugin.namespace}",
            subject=str(queries.config.path),
            untouched="nothing was verified",
            hint="add [[attestations.accept]] with identity and issuer to config.toml",
        )
    if sha256 == NO_FILES.sha256:
        raise BundleRefusedError(
            f"{name} has no files that a bundle could attest", subject=name, untouched="nothing was changed"
        )
    release = queries.info(plugin).document.release(version)
    if release is None or sha256 not in {artifact.sha256 for artifact in release.artifacts}:
        raise VerificationError(
            f"the installed artifact of {name} is not one of the artifacts in its registry",
            subject=name,
            hint=f"sealdex install {plugin}@{version}",
        )
    bundles = [attachment.name for attachment in release.attachments if attachment.kind == SIGSTORE_KIND]
    if not bundles:
        raise BundleRefusedError(f"{name} has no Sigstore bundle", subject=name, untouched="nothing was changed")
    stated = policy.trusted_root
    verifier = BundleVerifier(queries.config.path.parent / stated if stated is not None else None)
    reasons = []
    for bundle in bundles:
        found = _verified(verifier, queries.attachment(plugin, version, bundle), sha256, accepted)
        if isinstance(found, SignedBy):
            return Attested(bundle, found.identity, found.issuer)
        reasons.append(f"{bundle}: {found.message}")
    raise BundleRefusedError(
        f"no accepted identity has attested {name}: {'; '.join(reasons)}",
        subject=name,
        untouched="nothing was changed",
        hint=f"accepted identities are listed in [attestations] of {queries.config.path}",
    )


def _verified(
    verifier: BundleVerifier, data: bytes, sha256: str, accepted: Sequence[AcceptedIdentity]
) -> SignedBy | BundleRefusedError:
    try:
        return verifier.verify(data, [sha256], accepted)
    except BundleRefusedError as error:
        return error  # another bundle may be accepted


def require_attestations(queries: RegistryQueries, choices: Sequence[Choice]) -> None:
    """Refuse to install releases that no accepted identity has attested, where attestations are required.

    Releases that are already installed with the same artifact are not checked again, nor are container images, since
    nothing of them is installed.

    Raises:
        ConfigError, VerificationError, NotFoundError, UnavailableError: as `attested`.
    """
    policy, store = policy_of(queries.config), Store(queries.config.store)
    for choice in choices:
        artifact = choice.artifact
        if artifact is None or not policy.is_required(choice.plugin.namespace):
            continue
        installed = find_installation(store, choice.plugin, choice.release.version)
        if installed is None or installed.artifact_sha256 != artifact.sha256:
            attested(queries, choice.plugin, choice.release.version, artifact.sha256)


def refuse_unsigned(config: Config, plugin: PluginId) -> None:
    """Refuse a local archive where an attestation is required.

    Raises:
        VerificationError: its namespace requires attestations.
    """
    if policy_of(config).is_required(plugin.namespace):
        raise VerificationError(
            f"a local archive of {plugin} has no attestation, and config.toml requires one for {plugin.namespace}",
            subject=str(plugin),
            untouched="nothing was installed",
            hint="install it from its registry, or change `required` of [attestations]",
        )


def policy_of(config: Config) -> AttestationPolicy:
    """Return the attestation policy of a configuration."""
    return config.document.attestations or AttestationPolicy()


def requiring_attestations(config: Config) -> Config:
    """Return the configuration with attestations required for every namespace."""
    policy = msgspec.structs.replace(policy_of(config), required=("*",))
    return dataclasses.replace(config, document=msgspec.structs.replace(config.document, attestations=policy))


__all__ = [
    "Attested",
    "attested",
    "policy_of",
    "refuse_unsigned",
    "require_attestations",
    "requiring_attestations",
]
