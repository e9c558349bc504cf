"""What a copy of a registry consists of: metadata and signed documents, each with its place in the published tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sealdex.errors import SealdexError
from sealdex.model.catalog import is_catalog_target, shard_target
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target
from sealdex.trust._documents import published_name
from sealdex.trust.registry import TrustedRegistry


class Published:
    """The verified files of a registry, as they are published; for mirrors, and for what is made of them.

    Args:
        registry: gives what is trusted.
    """

    def __init__(self, registry: TrustedRegistry) -> None:
        self._registry = registry

    def plugins(self) -> list[PluginId]:
        """Return every plugin that some role signs, sorted; all metadata is loaded and verified for it.

        Raises:
            VerificationError, UnavailableError: as `TrustedRegistry.refresh`.
        """
        with self._registry.session() as session:
            session.load_all_roles()
            found = {plugin for path in session.signed_paths() if (plugin := _plugin_of(path)) is not None}
        return sorted(found)

    def catalog_targets(self) -> list[str]:
        """Return the target paths of the catalog, sorted: shards with all rows, and those by name where there are some.

        Raises:
            VerificationError, UnavailableError: as `TrustedRegistry.refresh`.
        """
        infos, _ = self._registry.target_infos([shard_target(0)])
        if infos[shard_target(0)] is None:
            return []
        with self._registry.session() as session:
            return sorted({path for path in session.signed_paths() if is_catalog_target(path)})

    def metadata(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each metadata file that the questions so far have verified; the timestamp last.

        Raises:
            VerificationError, UnavailableError: as `TrustedRegistry.refresh`.
        """
        with self._registry.session() as session:
            yield from session.files()

    def targets(
        self,
        paths: Iterable[str],
        max_bytes: int,
        on_bad: Callable[[str, str, SealdexError], None] | None = None,
    ) -> dict[str, tuple[str, bytes]]:
        """Return, by target path, the place in the published tree and the verified bytes of what is signed.

        Args:
            paths: TUF target paths; those that nobody signs are left out.
            max_bytes: a larger file is refused before it is requested.
            on_bad: told target path, place and error of each that is missing or wrong, which is then left out.

        Raises:
            VerificationError, UnavailableError: as `TrustedRegistry.index`.
        """
        infos, digest_in_name = self._registry.target_infos(list(paths))
        signed = {info.path: info for info in infos.values() if info is not None}
        places = {path: f"targets/{published_name(info, digest_in_name)}" for path, info in signed.items()}
        found = self._registry.store.read(
            signed.values(),
            max_bytes,
            digest_in_name=digest_in_name,
            are_many=True,
            on_bad=None if on_bad is None else lambda path, error: on_bad(path, places[path], error),
        )
        return {path: (place, found[path]) for path, place in places.items() if path in found}


def _plugin_of(path: str) -> PluginId | None:
    """Return the plugin whose index document a target path names, or None."""
    folder, _, name = path.rpartition("/")
    plugin = PluginId(folder.removeprefix("index/"), name.removesuffix(".json"))
    return plugin if index_target(plugin) == path else None
