"""The Model Hub's documents as structs, with the fields of its design. Fields are only ever added."""

from __future__ import annotations

from msgspec import Struct

from registry_builder.site.static_api._shapes import Bytes, Digest, Format, Gone, Signed

__all__ = [
    "Checksum",
    "Format",
    "Gone",
    "HubModel",
    "Model",
    "ModelFile",
    "ModelVersion",
    "ServiceDetails",
    "ServiceRow",
    "ServiceVersion",
    "VersionRow",
]


class VersionRow(Struct, frozen=True):
    """A version of a service in the list.

    Attributes:
        size_bytes: null where it isn't known.
        created_at: when it was released, UTC; null if that isn't stated.
        stable: whether it is a final version in channel ``stable``.
    """

    version: str
    size_bytes: Bytes | None
    created_at: str | None
    stable: bool


class ServiceRow(Struct, frozen=True):
    """A service in the list of ``/api/services``; ``plugin`` is its name in this registry."""

    service_id: str
    service_name: str
    service_type: str
    latest_version: str | None
    versions: tuple[VersionRow, ...]
    plugin: str
    signed: Signed


class Model(Struct, frozen=True, omit_defaults=True):
    """A model within a service package."""

    model_id: str
    model_type: str | None = None
    version: str | None = None
    path: str | None = None


class ServiceVersion(Struct, frozen=True):
    """A version of a service, with the digest of its package."""

    version: str
    size_bytes: Bytes | None
    sha256: Digest
    models: tuple[Model, ...]
    created_at: str | None
    stable: bool


class ServiceDetails(Struct, frozen=True):
    """``/api/services/{id}``: newest version first. Yanked versions aren't in it."""

    service_id: str
    service_name: str
    service_type: str
    port: int | None
    description: str
    versions: tuple[ServiceVersion, ...]
    plugin: str
    signed: Signed


class Checksum(Struct, frozen=True):
    """``/api/services/{id}/{version}/checksum``."""

    service_id: str
    version: str
    sha256: Digest
    size_bytes: Bytes | None
    created_at: str | None
    signed: Signed


class ModelFile(Struct, frozen=True):
    """A file of a model, at ``/storage/models/{id}/{version}/{name}``."""

    name: str
    size_bytes: Bytes | None
    sha256: Digest


class ModelVersion(Struct, frozen=True):
    """A version of a model."""

    version: str
    created_at: str | None
    files: tuple[ModelFile, ...]


class HubModel(Struct, frozen=True):
    """A model, in the list and by itself. Deprecated, as the design has it: models come within services."""

    model_id: str
    model_name: str
    latest_version: str | None
    versions: tuple[ModelVersion, ...]
    plugin: str
    signed: Signed
    deprecated: bool = True
