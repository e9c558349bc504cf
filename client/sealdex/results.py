"""What the client's questions are answered with: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sealdex.model.catalogue import CatalogueRow
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.resolve import Choice
from sealdex.store.installations import Installation, trust_in_words
from sealdex.store.verify import Finding


@dataclass(frozen=True, slots=True)
class Trust:
    """On whose word something is believed.

    Attributes:
        registry: the registry's name in the configuration.
        signed_by: the role that signed the index document: ``packages``, or that of a claimed namespace;
            ``sealdex.lock`` or ``builtin`` where only the digests of a lock vouch for it; None for an archive that
            nobody signed.
        root_version: version of the trust root under which it verified; None for all but the first.
    """

    registry: str
    signed_by: str | None
    root_version: int | None

    @property
    def is_signed(self) -> bool:
        """Whether a registry vouches, so that files may be fetched; a lock's word counts for what is here already."""
        return self.root_version is not None

    def __str__(self) -> str:
        return trust_in_words(self.signed_by, self.root_version)


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a search and the registry it is from; ``rank`` 0 is best."""

    row: CatalogueRow
    registry: str
    rank: int


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """All that is signed of one plugin."""

    document: IndexDocument
    trust: Trust


@dataclass(frozen=True, slots=True)
class Installed:
    """What became of one release.

    Attributes:
        choice: the release, as resolved.
        trust: who signed it.
        action: ``unpack``, ``repair``, ``keep``; ``fallback`` for an installed version that serves since the registry
            can't be reached; ``image`` for a container image, which puts nothing into the store; ``nothing`` for a
            release without files that was recorded, in a folder with its receipt alone.
        installation: what is in the store now; None for an image.
        previous: the version that was current before, if another one was.
        image: the pinned reference of a container image.
        unreachable: of a fallback: why the registry couldn't be asked, or didn't deliver.
        undelivered: of a fallback: the releases that the registry named and whose files it didn't deliver, as
            ``NS/NAME VERSION``; empty if it couldn't be asked.
        bytes_fetched: of the release, from the server; 0 for what was in the cache.
        bytes_reused: content of files that another installed version had.
    """

    choice: Choice
    trust: Trust
    action: str
    installation: Installation | None = None
    previous: str | None = None
    image: str | None = None
    unreachable: str | None = None
    undelivered: tuple[str, ...] = ()
    bytes_fetched: int = 0
    bytes_reused: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A downloaded and verified artifact.

    Attributes:
        choice: the release, as resolved.
        trust: who signed it.
        path: its place in the folder asked for, or in the cache; None for a container image, which isn't downloaded.
        image: the pinned reference of a container image.
    """

    choice: Choice
    trust: Trust
    path: Path | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """An installation that was hashed again, and what differs from what was installed.

    Attributes:
        plugin, version, path: what was looked at, and where.
        findings: how it differs.
        installation: as its receipt tells; None where that can't be read, which is a finding as well.
    """

    plugin: PluginId
    version: str
    path: str
    findings: tuple[Finding, ...]
    installation: Installation | None

    @property
    def is_whole(self) -> bool:
        """Whether all files are as they were installed; a file too many, which the plugin may have written, is none."""
        return all(finding.kind == "extra" for finding in self.findings)
