"""Gets the files of chosen releases: preinstalled, cached, by delta or whole download; all of them verified."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from sealdex.config.config import Config
from sealdex.download._disk_space import Need, require_room
from sealdex.download.copies import Copies, limits_of
from sealdex.download.download import Pin, download
from sealdex.download.locations import MANIFEST_NAME, artifact_pin, artifact_url, file_url
from sealdex.download.preinstalled import Builtin
from sealdex.download.ready_tree import GivenUpError, ReadyTree
from sealdex.errors import SealdexError, UnavailableError, VerificationError
from sealdex.events import Observer
from sealdex.log import Log
from sealdex.model.files import file_list_name
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, ReleaseEntry, release_folder
from sealdex.resolve import Choice
from sealdex.store.cache import ContentCache
from sealdex.store.installations import installed_versions
from sealdex.store.layout import Store
from sealdex.store.manifests import MAX_MANIFEST_BYTES
from sealdex.transport import Transport
from sealdex.transport.begun import Begun

if TYPE_CHECKING:
    from sealdex.trust.registries import Registries

_log = Log("sealdex.download")

_Result = TypeVar("_Result")


class NotHereError(UnavailableError):
    """A file is neither in the cache nor preinstalled, and may not be fetched because nobody signed it."""

    def __init__(self, plugin: PluginId, version: str, name: str) -> None:
        self.what = f"{name} of {plugin} {version} is neither in the cache nor preinstalled"
        super().__init__(
            f"{self.what}, and no registry could be reached to check it",
            subject=f"{plugin} {version}",
            untouched="nothing was installed, and nothing was downloaded",
            hint="to see which registries answer: sealdex doctor; run the command again when they do",
        )
        self.plugin = plugin


class Obtained(Struct, frozen=True):
    """A release's archive, or the tree assembled by a delta download; and the bytes fetched for it."""

    what: Path | ReadyTree
    fetched_bytes: int
    reused_bytes: int


class ArtifactFetcher:
    """Brings the files of releases to this host; thread-safe.

    Args:
        config: limits of downloads.
        store, cache, builtin: where files are searched before the network is used.
        transport: fetches the rest.
        registries: returns addresses; called when the first is needed, since opening registries takes time.
        observer: told about waits and progress.
        explained: returns the error to raise for a file that its registry doesn't have.
        offline: fetch nothing.
        local_only: fetch nothing, because no registry signed what is needed.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        cache: ContentCache,
        builtin: Builtin,
        transport: Transport,
        registries: Callable[[], Registries],
        observer: Observer,
        explained: Callable[[SealdexError, PluginId, str, str], SealdexError],
        *,
        offline: bool,
        local_only: bool = False,
    ) -> None:
        self._config = config
        self._store = store
        self._cache = cache
        self._builtin = builtin
        self._transport = transport
        self._registries = registries
        self._observer = observer
        self._explained = explained
        self._offline = offline
        self._local_only = local_only
        self.copies = Copies(transport)
        """Which addresses have copies of what is elsewhere."""

    def from_here(self) -> ArtifactFetcher:
        """Return a fetcher of what no registry vouches for: it takes what is cached or preinstalled, and no more."""
        return ArtifactFetcher(
            self._config,
            self._store,
            self._cache,
            self._builtin,
            self._transport,
            self._registries,
            self._observer,
            self._explained,
            offline=self._offline,
            local_only=True,
        )

    def manifest_file(self, plugin: PluginId, release: ReleaseEntry) -> Path:
        """Return the path of the pinned manifest of a release; raises as `archives`."""
        pin = Pin(release.manifest.sha256, release.manifest.size, MAX_MANIFEST_BYTES)
        return self._file(plugin, release.version, MANIFEST_NAME, pin)

    def manifest_bytes(self, plugin: PluginId, release: ReleaseEntry) -> bytes:
        """Return the pinned manifest of a release, hashed again as it is read; raises as `archives`."""
        data = self.manifest_file(plugin, release).read_bytes()
        if hashlib.sha256(data).hexdigest() != release.manifest.sha256:
            raise VerificationError(
                f"the manifest of {plugin} {release.version} changed in the cache while it was read",
                subject=str(self._cache.root),
            )
        return data

    def with_manifests(
        self, choices: Sequence[Choice], until: ExitStack
    ) -> tuple[dict[str, Obtained], dict[str, bytes]]:
        """Get artifacts and, at the same time, the manifests of their releases; both by digest.

        Trees from delta downloads are in the staging folder until the given stack is closed.
        """
        if not choices:
            return {}, {}
        self._require_room(choices)
        pins = {choice.release.manifest.sha256: choice for choice in choices}
        if len(pins) == 1:
            (digest, only), *_ = pins.items()
            manifest = Begun(lambda _: self.manifest_bytes(only.plugin, only.release), MANIFEST_NAME)
            try:
                obtained = self._each(choices, lambda choice: self._obtain_one(choice, until))
            finally:
                manifest.wait()
            return obtained, {digest: manifest.result()}
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # one release needn't pay for it

        with ThreadPoolExecutor(self._config.document.download.concurrent) as pool:
            manifests = pool.map(lambda choice: self.manifest_bytes(choice.plugin, choice.release), pins.values())
            obtained = self._each(choices, lambda choice: self._obtain_one(choice, until))
            return obtained, dict(zip(pins, manifests, strict=True))

    def _require_room(self, choices: Sequence[Choice]) -> None:
        """Raise InstallError if there is certainly not enough space; possible delta downloads are checked later."""
        needs = []
        for choice in choices:
            artifact = choice.artifact
            if artifact is None or artifact.size is None or artifact.format == "oci":
                continue
            is_here = self._is_near(choice)
            if not is_here and artifact.file_list is not None and installed_versions(self._store, choice.plugin):
                continue
            so_far = 0 if is_here else self._cache.size_so_far(artifact.sha256)
            unpacked = 0 if artifact.files else artifact.size  # with a mapping the unpacked size is unknown
            needs.append(Need(str(choice), 0 if is_here else max(0, artifact.size - so_far), unpacked))
        require_room(needs, self._cache.root, Path(self._store.root))

    def _obtain_one(self, choice: Choice, until: ExitStack) -> Obtained:
        """Do a delta download if that is worthwhile, else download the whole archive."""
        artifact, plugin, version = choice.artifact, choice.plugin, choice.release.version
        if artifact is None:
            raise AssertionError("unreachable: only artifacts are fetched")
        is_here = (
            self._offline
            or self._local_only
            or self._cache.find(artifact.sha256, artifact.size) is not None
            or self._builtin.find(plugin, version, artifact.file, artifact.sha256) is not None
        )
        if not is_here and artifact.url is None and (listed := artifact.file_list) is not None:
            from sealdex.download.delta import from_pieces  # noqa: PLC0415  # only where there may be something to build on

            list_name = file_list_name(artifact.file)
            addresses = self._registries().addresses_of(plugin)

            def read_list() -> bytes:
                try:
                    return self._file(plugin, version, list_name, Pin(listed.sha256, listed.size)).read_bytes()
                except UnavailableError as error:
                    if not addresses.are_several:
                        raise
                    # all were asked for it: the address whose archive is at hand isn't left for that
                    raise GivenUpError(f"its list of files can't be had: {error}") from error

            tree = addresses.fetch(
                lambda base: from_pieces(
                    self._store,
                    self._transport,
                    plugin,
                    artifact,
                    artifact_url(base, plugin, version, artifact),
                    read_list,
                    self._cache,
                    progress=self._observer.downloading(choice),
                )
            )
            if tree is not None:
                until.callback(tree.close)
                return Obtained(tree, tree.fetched_bytes, tree.reused_bytes)
        path = self._download_one(choice)
        return Obtained(path, 0 if is_here else path.stat().st_size, 0)

    def address_of(self, choice: Choice) -> str | None:
        """Return the address that the artifact of a release would be asked for first; None if it isn't a file.

        Raises:
            VerificationError: the index names a file or an address that clients must not read.
        """
        artifact, plugin, version = choice.artifact, choice.plugin, choice.release.version
        if artifact is None or artifact.format == "oci":
            return None
        addresses = self._registries().addresses_of(plugin)
        if artifact.url is None:
            return artifact_url(addresses.in_turn()[0], plugin, version, artifact)
        key = f"{release_folder(plugin, version)}/{artifact.file}"
        elsewhere = artifact_url("", plugin, version, artifact)
        if self._offline:
            return elsewhere
        base = self.copies.place(addresses, key, are_expected=self._registries().is_partial(plugin))
        return elsewhere if base is None else file_url(base, plugin, version, artifact.file)

    def bytes_to_fetch(self, choice: Choice) -> tuple[int | None, bool]:
        """Return how many bytes of an artifact would be downloaded, and whether installed files may save some of them.

        Nothing is hashed: what only seems to be in the cache counts as being there. None: its size isn't stated.
        """
        artifact = choice.artifact
        if artifact is None or artifact.format == "oci" or self._is_near(choice):
            return 0, False
        if artifact.size is None:
            return None, False
        count = max(0, artifact.size - self._cache.size_so_far(artifact.sha256))
        return count, artifact.file_list is not None and bool(installed_versions(self._store, choice.plugin))

    def archives(self, choices: Iterable[Choice]) -> dict[str, Path]:
        """Download artifacts into the cache, several at once; return their paths by digest.

        Raises:
            VerificationError, UnavailableError, InstallError: as `sealdex.download.download.download`.
        """
        return self._each(choices, self._download_one)

    def _each(self, choices: Iterable[Choice], obtain: Callable[[Choice], _Result]) -> dict[str, _Result]:
        """Get artifacts, several at once; return the results by digest."""
        wanted = {
            choice.artifact.sha256: choice
            for choice in choices
            if choice.artifact is not None and choice.artifact.format != "oci"
        }
        if to_fetch := [choice for choice in wanted.values() if not self._is_near(choice)]:
            self._observer.planning(to_fetch)
        if len(wanted) < 2 or self._config.document.download.concurrent == 1:
            return {digest: obtain(choice) for digest, choice in wanted.items()}
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # one artifact needn't pay for it

        with ThreadPoolExecutor(self._config.document.download.concurrent) as pool:
            return dict(zip(wanted, pool.map(obtain, wanted.values()), strict=True))

    def _is_near(self, choice: Choice) -> bool:
        """Return whether an artifact seems to be here, without hashing it."""
        artifact = choice.artifact
        if artifact is None or self._cache.find(artifact.sha256, artifact.size) is not None:
            return True
        return self._builtin.seems_to_have(choice.plugin, choice.release.version, artifact.file)

    def _download_one(self, choice: Choice) -> Path:
        artifact = choice.artifact
        if artifact is None:
            raise AssertionError("unreachable: only artifacts are downloaded")
        began = time.monotonic()
        succeeded = False
        try:
            path = self._artifact_file(choice, artifact)
            succeeded = True
        finally:
            self._observer.downloaded(choice, time.monotonic() - began, is_well=succeeded)
        return path

    def _artifact_file(self, choice: Choice, artifact: ArtifactEntry) -> Path:
        return self._file(
            choice.plugin,
            choice.release.version,
            artifact.file,
            artifact_pin(artifact, self._config.document.download.max_plugin_size),
            choice,
        )

    def _file(self, plugin: PluginId, version: str, name: str, pin: Pin, choice: Choice | None = None) -> Path:
        """Return the path of a pinned file of a release: preinstalled, cached, or fetched.

        The registry is determined last, so that local files can be used without a configured registry.
        """
        if (path := self._builtin.find(plugin, version, name, pin.sha256)) is not None:
            _log_found(plugin, version, name, path, "preinstalled folder")
            return path
        if (path := self._cache.verified(pin.sha256, pin.size)) is not None:
            _log_found(plugin, version, name, path, "cache")
            return path
        if self._local_only:
            raise NotHereError(plugin, version, name)
        if self._offline:
            raise UnavailableError(
                f"offline, and {name} of {plugin} {version} is neither in the cache nor preinstalled",
                subject=f"{plugin} {version}",
                untouched="nothing was installed",
                hint=f"run it without --offline, or first: sealdex fetch {plugin}@{version} --cache-only",
            )

        def from_url(url: str) -> Path:
            return download(
                self._transport,
                url,
                pin,
                self._cache,
                progress=self._observer.downloading(choice) if choice is not None else None,
                on_wait=lambda: self._observer.waiting(f"another process is downloading {name}: waiting for it"),
            )

        addresses, also = self._registries().addresses_of(plugin), limits_of(pin.size)
        artifact = choice.artifact if choice is not None else None
        try:
            if artifact is None or artifact.url is None:
                return addresses.fetch(lambda base: from_url(file_url(base, plugin, version, name)), also=also)
            elsewhere = artifact_url("", plugin, version, artifact)
            return self.copies.fetch(
                addresses,
                f"{release_folder(plugin, version)}/{name}",
                lambda base: from_url(elsewhere if base is None else file_url(base, plugin, version, name)),
                are_expected=self._registries().is_partial(plugin),
                also=also,
            )
        except UnavailableError as error:
            if (better := self._explained(error, plugin, version, name)) is error:
                raise
            raise better from error


def _log_found(plugin: PluginId, version: str, name: str, path: Path, source: str) -> None:
    _log.info(
        "download.found",
        "{file} of {plugin} {version} is in the {source}, its digest is right: nothing is fetched",
        plugin=plugin,
        version=version,
        file=name,
        source=source,
        path=path,
    )
