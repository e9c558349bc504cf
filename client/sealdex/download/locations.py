"""The address and pin of an artifact, and references of container images. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from sealdex.download.download import Pin
from sealdex.errors import VerificationError
from sealdex.lazy import regex
from sealdex.model.ids import PluginId, file_name_problem
from sealdex.model.index import ArtifactEntry, release_folder
from sealdex.model.plugin import Attachment

_IMAGE = regex(r"[a-z0-9]+(_[A-Za-z0-9_]+)?([.:/-][A-Za-z0-9_]+)*@sha256:(?P<digest>[0-9a-f]{64})")
MANIFEST_NAME = "manifest.json"


def artifact_url(registry_url: str, plugin: PluginId, version: str, artifact: ArtifactEntry) -> str:
    """Return the address of an artifact: in the published tree, or the external address in the index.

    Raises:
        VerificationError: the index names a file or an address that clients must not read.
    """
    if artifact.url is None:
        return file_url(registry_url, plugin, version, artifact.file)
    return _outside_url(artifact.url, plugin, version)


def attachment_url(registry_url: str, plugin: PluginId, version: str, attachment: Attachment) -> str:
    """Return the address of an attachment; as `artifact_url`."""
    if attachment.url is None:
        return file_url(registry_url, plugin, version, attachment.name)
    return _outside_url(attachment.url, plugin, version)


def _outside_url(url: str, plugin: PluginId, version: str) -> str:
    # even a signed index must not make this host read local files, or send credentials from netrc
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc:
        raise VerificationError(
            f"{plugin} {version} has an address that is not allowed: {url[:200]}",
            subject=f"{plugin} {version}",
            untouched="nothing was downloaded or installed",
            hint="only http:// and https:// addresses without a user are allowed; report this to the plugin's owners",
        )
    return url


def file_url(registry_url: str, plugin: PluginId, version: str, name: str) -> str:
    """Return the address of a file of a release in the published tree, percent-encoded.

    Raises:
        VerificationError: the name could lead out of the release's folder.
    """
    if problem := file_name_problem(name):
        raise VerificationError(
            f"{plugin} {version} names a file '{name[:200]}', which {problem}",
            subject=f"{plugin} {version}",
            untouched="nothing was downloaded or installed",
        )
    base = registry_url if registry_url.endswith("/") else f"{registry_url}/"
    # '+' too: it is allowed in a version, and some stores read it as a blank
    return base + quote(f"{release_folder(plugin, version)}/{name}", safe="/")


def artifact_pin(artifact: ArtifactEntry, max_bytes: int) -> Pin:
    """Return the pin of a download; ``max_bytes`` is this host's limit, mainly for those without a signed size."""
    return Pin(artifact.sha256, artifact.size, max_bytes)


def image_reference(plugin: PluginId, version: str, artifact: ArtifactEntry) -> str:
    """Return the reference of a container image, pinned by digest: ``harbor.example/x@sha256:...``.

    Raises:
        VerificationError: it isn't a reference by digest, or has another digest than the pinned one.
    """
    match = _IMAGE.fullmatch(artifact.url or "")
    if match is None or match["digest"] != artifact.sha256:
        raise VerificationError(
            f"{plugin} {version} names a container image that is not pinned by its digest",
            subject=f"{plugin} {version}",
            untouched="nothing was pulled or installed",
            hint="report this to the plugin's owners",
        )
    return match[0]
