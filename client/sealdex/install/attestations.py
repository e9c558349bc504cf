"""Whether an accepted identity vouches for what is installed or about to be: a release's Sigstore bundles, verified.

The index document pins the bundles, so they are what the registry published. Whose word counts is this host's own to
say, in ``[attestations]`` of config.toml, whatever the registry accepts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sealdex.config.attestation_policy import AcceptedIdentity, AttestationPolicy
from sealdex.errors import ConfigError, VerificationError
from sealdex.install.install import NO_FILES
from sealdex.model.ids import PluginId
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store
from sealdex.trust.sigstore_bundles import SIGSTORE_KIND, BundleRefusedError, BundleVerifier, SignedBy

if TYPE_CHECKING:
    from sealdex.config.config import Config
    from sealdex.queries import RegistryQueries
    from sealdex.resolve import Choice


class Attested(NamedTuple):
    """What vouches for an artifact: the bundle's name, who signed it, and who vouched for that identity."""

    bundle: str
    identity: str
    issuer: str


def attested(queries: RegistryQueries, plugin: PluginId, version: str, sha256: str) -> Attested:
    """Verify that an accepted identity vouches for an artifact of a release.

    Args:
        queries: asks the registry for the index document and the bundles that it pins.
        plugin: the plugin.
        version: its release.
        sha256: of the artifact.

    Raises:
        ConfigError: nobody's bundle is accepted here for the namespace.
        BundleRefusedError: there is no bundle, or none that counts; each is named with the reason. Or the extra isn't
            installed.
        VerificationError: the artifact isn't the release's, or as `sealdex.queries.RegistryQueries.info`.
        NotFoundError, UnavailableError: as `sealdex.queries.RegistryQueries.info`.
    """
    policy, name = policy_of(queries.config), f"{plugin} {version}"
    accepted = policy.accepted_for(plugin.namespace)
    if not accepted:
        raise ConfigError(
            f"nobody's Sigstore bundle is accepted here for {plugin.namespace}",
            subject=str(queries.config.path),
            untouched="nothing was verified",
            hint="add [[attestations.accept]] with identity and issuer to config.toml",
        )
    if sha256 == NO_FILES.sha256:
        raise BundleRefusedError(
            f"{name} has no files, which a bundle could be of", subject=name, untouched="nothing was changed"
        )
    release = queries.info(plugin).document.release(version)
    if release is None or sha256 not in {artifact.sha256 for artifact in release.artifacts}:
        raise VerificationError(
            f"what is installed of {name} is no artifact that its registry has",
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
        f"nobody who counts here vouches for {name}: {'; '.join(reasons)}",
        subject=name,
        untouched="nothing was changed",
        hint=f"whose word counts is said in [attestations] of {queries.config.path}",
    )


def _verified(
    verifier: BundleVerifier, data: bytes, sha256: str, accepted: Sequence[AcceptedIdentity]
) -> SignedBy | BundleRefusedError:
    try:
        return verifier.verify(data, [sha256], accepted)
    except BundleRefusedError as error:
        return error  # another bundle may do


def require_attestations(queries: RegistryQueries, choices: Sequence[Choice]) -> None:
    """Refuse releases that are about to be installed and that nobody who counts vouches for, where that is required.

    What is installed already with that very artifact isn't looked at again; a container image neither, since nothing of
    it is installed.

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
    """Refuse an archive that no registry has, where a bundle is required.

    Raises:
        VerificationError: its namespace is among those.
    """
    if policy_of(config).is_required(plugin.namespace):
        raise VerificationError(
            f"nobody vouches for an archive of {plugin}, and config.toml requires it of {plugin.namespace}",
            subject=str(plugin),
            untouched="nothing was installed",
            hint="install it from its registry, or change `required` of [attestations]",
        )


def policy_of(config: Config) -> AttestationPolicy:
    """Return what a configuration says of attestations."""
    return config.document.attestations or AttestationPolicy()


def requiring_attestations(config: Config) -> Config:
    """Return the configuration with attestations required of every namespace."""
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
