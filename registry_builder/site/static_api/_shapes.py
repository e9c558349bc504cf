"""The documents of ``api/v1/`` as structs; `openapi` makes their schemas of these. Fields are only ever added."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

API_FORMAT = 1

Format = Annotated[int, Meta(ge=1, description="The format of this document; fields may be added without another one.")]
Address = Annotated[
    str,
    Meta(
        min_length=1,
        description="A URI reference (RFC 3986): absolute, or relative to the address of this document.",
        extra_json_schema={"format": "uri-reference"},
    ),
]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, 64 lower-case hexadecimal digits.")]
Bytes = Annotated[int, Meta(ge=0, description="Size in bytes.")]


class Signed(Struct, frozen=True, omit_defaults=True):
    """The signed document that outranks this one: where they differ, that one is right.

    Attributes:
        target: its TUF target path, or the file of TUF metadata that everything is signed by.
        address: where it is; missing if its address changes while this document stays.
        sha256: its digest, if it has an address.
    """

    target: str
    address: Address | None = None
    sha256: Digest | None = None


class Mark(Struct, frozen=True, omit_defaults=True):
    """Who did something, when and why; ``use`` names the plugin to use instead."""

    at: str
    by: str
    why: str = ""
    use: str | None = None


class Moved(Struct, frozen=True, omit_defaults=True):
    """The realm that has later releases of a plugin, with its address if that is known."""

    realm: str
    at: str
    by: str
    why: str = ""
    url: str | None = None


class File(Struct, frozen=True, omit_defaults=True):
    """A file that signed metadata pins; without an address it isn't on this mirror."""

    size: Bytes
    sha256: Digest
    address: Address | None = None


class Attached(Struct, frozen=True, omit_defaults=True):
    """A further file of a release: a report, an SBOM, a statement."""

    name: str
    kind: str
    size: Bytes
    sha256: Digest
    address: Address | None = None


class Artifact(Struct, frozen=True, omit_defaults=True):
    """One downloadable file of a release, and the environments it is for.

    Attributes:
        file: its name.
        format: ``zip``, ``tar.gz``, ``tar.zst``, ``file``, or ``oci`` for an image, whose address is ``oci:``.
        address: where it is; missing if it isn't on this mirror.
        size: missing where it isn't known, as of images.
        selector, tags: what the environment has to be; without them it is for all.
        bin: the program that it brings, as a path after unpacking.
    """

    file: str
    format: str
    sha256: Digest
    address: Address | None = None
    size: Bytes | None = None
    selector: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    bin: str | None = None


class _Release(Struct, frozen=True, omit_defaults=True, kw_only=True):
    version: str
    channels: Annotated[tuple[str, ...], Meta(description="``stable``, ``beta`` and others that it is in.")]
    artifacts: Annotated[tuple[Artifact, ...], Meta(description="The first that fits the environment is the one.")]
    manifest: Annotated[File, Meta(description="The signed manifest: entry point, schemas, resources.")]
    released_at: Annotated[str | None, Meta(description="When its author made it, UTC.")] = None
    selector: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    min_host_version: str | None = None
    dependencies: dict[str, str] = {}
    yanked: Annotated[Mark | None, Meta(description="Set if it isn't to be used any more.")] = None
    rollout: Annotated[int, Meta(description="The share of hosts that are offered it, in per cent.")] = 100
    attachments: tuple[Attached, ...] = ()


class ReleaseDetails(_Release, frozen=True, omit_defaults=True, kw_only=True):
    """A release of a plugin, in the document of the plugin.

    Attributes:
        details: the document of this release.
    """

    details: Address


class PluginDetails(Struct, frozen=True, omit_defaults=True):
    """A plugin with all its releases, newest version first.

    Attributes:
        latest: the version that is shown as the newest; missing if every release is yanked.
        channels: channel to its newest version.
        versions: all versions, newest first.
    """

    format: Format
    signed: Signed
    id: str
    namespace: str
    name: str
    type: str
    summary: str
    versions: tuple[str, ...]
    releases: tuple[ReleaseDetails, ...]
    latest: str | None = None
    channels: dict[str, str] = {}
    description: str | None = None
    license: str | None = None
    keywords: tuple[str, ...] = ()
    owners: tuple[dict[str, str], ...] = ()
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None
    icon: str | None = None
    links: dict[str, str] = {}
    deprecated: Mark | None = None
    moved_to: Moved | None = None


class DownloadPlugin(_Release, frozen=True, omit_defaults=True, kw_only=True):
    """One release: what to download, and what it must be. Its manifest never changes.

    Attributes:
        id: the plugin.
        plugin: the document of the plugin.
        download_url, checksum, size: address, SHA-256 and bytes of the artifact, where one is for every environment.
    """

    format: Format
    signed: Signed
    id: str
    plugin: Address
    download_url: Address | None = None
    checksum: Digest | None = None
    size: Bytes | None = None


class PluginRow(Struct, frozen=True, omit_defaults=True):
    """A plugin in the list.

    Attributes:
        latest: the newest release; missing if every release is yanked.
        channels: channel to its newest version.
        releases: how many there are.
        deprecated: why, while it is; ``use`` names the plugin to use instead.
        details: the document of the plugin.
    """

    id: str
    type: str
    summary: str
    details: Address
    releases: int
    latest: str | None = None
    updated_at: str | None = None
    license: str | None = None
    keywords: tuple[str, ...] = ()
    channels: dict[str, str] = {}
    deprecated: str | None = None
    use: str | None = None


class PluginList(Struct, frozen=True):
    """The plugins, by id; or, of a large registry, the addresses of the parts of the list.

    Attributes:
        plugins: empty if there are parts.
        shards: the parts, in order: a plugin is in the one whose number is the first four bytes of the SHA-256 of its
            id, modulo how many there are. Empty if all plugins are here.
    """

    format: Format
    signed: tuple[Signed, ...]
    plugins: tuple[PluginRow, ...]
    shards: tuple[Address, ...]


class Shard(Struct, frozen=True):
    """One part of the list of plugins, by id."""

    format: Format
    signed: Signed
    shard: Annotated[int, Meta(ge=0)]
    shards: Annotated[int, Meta(ge=1)]
    plugins: tuple[PluginRow, ...]


class Change(Struct, frozen=True, omit_defaults=True):
    """Something that happened, with its time as whoever did it stated it."""

    at: str
    kind: Literal["released", "yanked", "deprecated", "moved"]
    id: str
    details: Address
    version: str | None = None
    why: str | None = None
    use: str | None = None


class Changes(Struct, frozen=True):
    """What changed lately, newest first.

    Attributes:
        complete_since: the list is complete from this time on; null if nothing is left out. Releases that state no
            time aren't in it.
    """

    format: Format
    signed: Signed
    complete_since: str | None
    changes: tuple[Change, ...]


class Gone(Struct, frozen=True):
    """What stands where a document was. The signed document still says what holds.

    Attributes:
        gone: why.
    """

    format: Format
    gone: Annotated[str, Meta(min_length=1)]
    signed: Signed
