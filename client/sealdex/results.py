"""The results of the client's operations: plain data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from sealdex.record import Record
from sealdex.store.installations import format_trust

if TYPE_CHECKING:
    from pathlib import Path

    from sealdex.model.catalog import CatalogRow
    from sealdex.model.ids import PluginId
    from sealdex.model.index import IndexDocument
    from sealdex.resolve import Choice
    from sealdex.store.installations import Installation
    from sealdex.store.verify import Finding

InstallAction = Literal["unpack", "repair", "keep"]
"""What installing does with a release's folder: it isn't there, it is there and damaged, it is there and whole."""
InstallOutcome = Literal[InstallAction, "fallback", "image", "nothing"]
"""What became of a release, see `Installed`."""


class Trust(Record, frozen=True):
    """Which registry and role signed something.

    Attributes:
        registry: the registry's name in the configuration.
        signed_by: the role that signed the index document: ``packages``, or that of a claimed namespace;
            ``sealdex.lock`` or ``builtin`` if it was verified by the digests of a lock alone; None for an unsigned
            archive.
        root_version: version of the trust root it was verified with; None without a registry.
    """

    registry: str
    signed_by: str | None
    root_version: int | None

    @property
    def is_signed(self) -> bool:
        """Whether a registry signed it, so that files may be fetched; a lock alone is enough only for local files."""
        return self.root_version is not None

    def __str__(self) -> str:
        return format_trust(self.signed_by, self.root_version)


class Found(Record, frozen=True):
    """One row of a search, with its registry.

    Attributes:
        rank: 0 for a plugin of exactly that name or title, higher for worse matches.
        meant: the words that this was found by, where nothing matches those that were asked.
        not_on_mirror: why its registry, which is declared partial, doesn't have it, in words; else None.
    """

    row: CatalogRow
    registry: str
    rank: int
    meant: str | None = None
    not_on_mirror: str | None = None


class AllFound(list[Found]):
    """The rows of a search, in its order.

    Attributes:
        total: how many matched; more than there are here if only so many were asked for.
    """

    def __init__(self, found: Iterable[Found] = (), total: int = 0) -> None:
        super().__init__(found)
        self.total = total


class PluginInfo(Record, frozen=True):
    """Everything that is signed about one plugin."""

    document: IndexDocument
    trust: Trust


class Installed(Record, frozen=True):
    """The result for one release.

    Attributes:
        choice: the release, as resolved.
        trust: who signed it.
        action: ``unpack``, ``repair``, ``keep``; ``fallback`` for an installed version that is used because the
            registry can't be reached; ``image`` for a container image, which isn't pulled; ``nothing`` for a release
            without files. Both are recorded, in a folder with only a receipt.
        installation: what is in the store now.
        previous: the version that was current before, if it was another one.
        image: the pinned reference of a container image.
        unreachable: for a fallback: why the registry couldn't be reached, or didn't deliver.
        undelivered: for a fallback: the releases whose files the registry didn't deliver, as ``NS/NAME VERSION``;
            empty if it couldn't be reached.
        bytes_fetched: bytes of the release read from the server; 0 if it was in the cache.
        bytes_reused: total size of files that another installed version had.
    """

    choice: Choice
    trust: Trust
    action: InstallOutcome
    installation: Installation | None = None
    previous: str | None = None
    image: str | None = None
    unreachable: str | None = None
    undelivered: tuple[str, ...] = ()
    bytes_fetched: int = 0
    bytes_reused: int = 0


class Planned(Record, frozen=True):
    """What an installation would do with one release.

    Attributes:
        choice: the release, as resolved.
        trust: who signed it.
        action: as in `Installed`.
        previous: the version in use that it would replace, if that is another one.
        image: the pinned reference of a container image.
        bytes_to_fetch: bytes of its artifact that would be downloaded; None if its size isn't stated.
        may_be_less: files of an installed version may save some of those bytes.
    """

    choice: Choice
    trust: Trust
    action: InstallOutcome
    previous: str | None = None
    image: str | None = None
    bytes_to_fetch: int | None = 0
    may_be_less: bool = False


class Fetched(Record, frozen=True):
    """A downloaded and verified artifact.

    Attributes:
        choice: the release, as resolved.
        trust: who signed it.
        path: its path in the requested folder, or in the cache; None for a container image, which isn't downloaded.
        image: the pinned reference of a container image.
        address: the address that it would be asked for first, whether or not it was cached.
    """

    choice: Choice
    trust: Trust
    path: Path | None = None
    image: str | None = None
    address: str | None = None


class Located(Record, frozen=True):
    """Where the file of a release is, and what it must be; nothing was downloaded.

    Attributes:
        choice: the release, as resolved.
        trust: who signed it.
        address: where its file is: at the registry, or at the author's address; None without a file.
        image: the pinned reference of a container image.
    """

    choice: Choice
    trust: Trust
    address: str | None = None
    image: str | None = None

    @property
    def sha256(self) -> str | None:
        """The signed SHA-256 of the file, in hex; of an image: its digest."""
        return self.choice.artifact.sha256 if self.choice.artifact is not None else None

    @property
    def size(self) -> int | None:
        """The signed size of the file in bytes; None if it isn't stated."""
        return self.choice.artifact.size if self.choice.artifact is not None else None


class Checked(Record, frozen=True):
    """An installation that was hashed, and its differences.

    Attributes:
        plugin, version, path: what was checked.
        findings: how it differs.
        installation: from its receipt; None if that can't be read, which is a finding too.
    """

    plugin: PluginId
    version: str
    path: Path
    findings: tuple[Finding, ...]
    installation: Installation | None

    @property
    def is_whole(self) -> bool:
        """Whether all files are as they were installed; extra files, which the plugin may have written, don't count."""
        return all(finding.kind == "extra" for finding in self.findings)
