"""What the addresses of a registry have of it, as far as they are mirrors of a part and say so in ``mirror.json``.

That file is unsigned. It words errors about what is missing; it is heeded where releases are chosen only if the host's
configuration says ``partial = true``, since whoever writes it could otherwise have an older release chosen.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealdex.config.config import Config
from sealdex.config.edit import replace_file
from sealdex.download.mirror.record import MAX_RECORD_BYTES, RECORD_NAME, MirrorRecord, parse_record
from sealdex.download.mirror.selection import Picked, Want, described, locked_of, named_wants, pick, wants_of_namespace
from sealdex.errors import NoRegistryError, NotOnMirrorError, SealdexError, UnavailableError
from sealdex.log import Log
from sealdex.model.decode import decode_as, encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry
from sealdex.model.ranges import parse_range
from sealdex.transport import Addresses, HttpStatusError, Transport, public_url

if TYPE_CHECKING:
    from sealdex.trust import Registries

_log = Log("sealdex.download")

_KEPT = "mirrors.json"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_WORDS = 300

Records = Mapping[str, MirrorRecord | None]
"""What each address says of itself; None: nothing, or that it has everything."""


class Shelf:
    """What one mirror's record says that it has; pure.

    Args:
        record: of a mirror of a part.
    """

    def __init__(self, record: MirrorRecord) -> None:
        self._record = record
        self._picked: dict[PluginId, Mapping[str, Picked]] = {}
        self._named = named_wants(record.selection)
        self._locked = locked_of(record.selection)

    def has_plugin(self, plugin: PluginId) -> bool:
        """Say whether anything of a plugin was asked for."""
        return bool(self._wants(plugin)) or plugin in self._locked

    def has(self, document: IndexDocument, release: ReleaseEntry, artifact: ArtifactEntry | None) -> bool:
        """Say whether a release was selected, and its artifact for a host, if it is one that mirrors copy."""
        if document.id not in self._picked:
            selection = self._record.selection
            locked = self._locked.get(document.id, {})
            picked = pick(document, self._wants(document.id), locked, selection)
            self._picked[document.id] = {each.release.version: each for each in picked}
        found = self._picked[document.id].get(release.version)
        if found is None:
            return False
        is_copied = artifact is not None and artifact.format != "oci" and artifact.url is None
        return not is_copied or artifact in found.artifacts

    def _wants(self, plugin: PluginId) -> Sequence[Want]:
        selection = self._record.selection
        wants = list(self._named.get(plugin, ()))
        if not selection.names_plugins:
            wants += wants_of_namespace(selection, plugin.namespace)
        for text in self._record.needed.get(str(plugin), ()):
            with suppress(ValueError):  # what can't be read isn't there
                wants.append(Want(parse_range(text)))
        return wants

    @property
    def words(self) -> str:
        """The selection for people: "selection of 2026-11-28, linux/arm64, latest 3"."""
        day = self._record.made_at[:10]
        parts = [f"selection of {day}" if _DAY.fullmatch(day) else "selection", *described(self._record.selection)]
        text = ", ".join(parts)
        return text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]}..."


def lacking(shelves: Collection[Shelf | None], has: Callable[[Shelf], bool]) -> Shelf | None:
    """Return the first of several mirrors that don't have something; None if one has it, or may have it. Pure."""
    if not shelves or any(shelf is None or has(shelf) for shelf in shelves):
        return None
    return next(shelf for shelf in shelves if shelf is not None)


class Holdings:
    """What the mirrors of a host's registries have; thread-safe, and asked for when it is first needed.

    Args:
        config: the registries, and which of them are partial.
        transport: fetches.
        registries: gives documents and addresses.
        offline: use what partial mirrors said last.
    """

    def __init__(
        self, config: Config, transport: Transport, registries: Callable[[], Registries], *, offline: bool
    ) -> None:
        self._config = config
        self._transport = transport
        self._registries = registries
        self._offline = offline
        self._asking: dict[str, _Asking] = {}
        self._lock = threading.Lock()

    def forget(self, name: str) -> None:
        """Ask the addresses of a registry again what they have."""
        with self._lock:
            self._asking.pop(name, None)

    def documents(self, plugins: Collection[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return the index documents of plugins, as `Registries.documents`; None also for what a mirror lacks."""
        registries = self._registries()
        partial = list(dict.fromkeys(name for plugin in plugins if (name := self._partial(plugin)) is not None))
        for name in partial:
            self._ask(name)
        for name in partial:
            registries.open(name)  # while the mirror says what it has
        there = [plugin for plugin in plugins if self.lacks_plugin(plugin) is None]
        found = registries.documents(there)
        return {plugin: found.get(plugin) for plugin in plugins}

    def explained_for(self, error: UnavailableError, plugins: Collection[PluginId]) -> SealdexError:
        """Return the error for documents that couldn't be had: of a mirror's selection, if that is why."""
        for plugin in plugins:
            if (words := self._why(plugin, lambda shelf, plugin=plugin: shelf.has_plugin(plugin))) is not None:  # type: ignore[misc]  # mypy can't infer a lambda with a default
                return _not_there(str(plugin), words, error)
        return error

    def lacks_plugin(self, plugin: PluginId) -> str | None:
        """Return why a registry that is declared partial doesn't have a plugin, in words; else None."""
        name = self._partial(plugin)
        shelf = lacking(self._shelves(name), lambda each: each.has_plugin(plugin)) if name is not None else None
        return None if shelf is None else f"{plugin} is not on this mirror: {shelf.words}"

    def lacks(self, document: IndexDocument, release: ReleaseEntry, artifact: ArtifactEntry | None) -> str | None:
        """Return why a registry that is declared partial doesn't have a release for this host, in words; else None."""
        name = self._partial(document.id)
        if name is None:
            return None
        shelf = lacking(self._shelves(name), lambda each: each.has(document, release, artifact))
        return None if shelf is None else f"not on this mirror: {shelf.words}"

    def explained(self, error: SealdexError, plugin: PluginId, version: str, file: str | None = None) -> SealdexError:
        """Return the error for a file of a release that couldn't be had: of a mirror's selection, if that is why."""
        with suppress(SealdexError):
            document = self._registries().documents([plugin])[plugin]
            release = document.release(version) if document is not None else None
            if document is not None and release is not None:
                wanted = next((each for each in release.artifacts if each.file == file), None)
                if (words := self._why(plugin, lambda shelf: shelf.has(document, release, wanted))) is not None:
                    return _not_there(f"{plugin} {version}", words, error)
        return error

    def _why(self, plugin: PluginId, has: Callable[[Shelf], bool]) -> str | None:
        """Return the words of the mirrors that lack something, whether they are declared partial or not."""
        with suppress(SealdexError):
            shelf = lacking(self._shelves(self._config.registry_for(plugin.namespace)), has)
            return None if shelf is None else shelf.words
        return None

    def _partial(self, plugin: PluginId) -> str | None:
        """Return the registry of a plugin if it is declared partial."""
        try:
            name = self._config.registry_for(plugin.namespace)
        except NoRegistryError:
            return None
        return name if self._config.section(name).partial else None

    def _shelves(self, name: str) -> list[Shelf | None]:
        shelves, addresses = self._ask(name).shelves(), self._registries().addresses(name)
        return [shelves.get(url) for url in addresses.in_turn()]

    def _ask(self, name: str) -> _Asking:
        with self._lock:
            if name not in self._asking:
                kept = self._config.trust_folder(name) / _KEPT if self._config.section(name).partial else None
                transport = None if self._offline else self._transport
                self._asking[name] = _Asking(self._registries().addresses(name), transport, kept)
            return self._asking[name]


class _Asking:
    """Asks each address of a registry what it has, all at once, while others do something else."""

    def __init__(self, addresses: Addresses, transport: Transport | None, kept: Path | None) -> None:
        self._transport = transport
        self._kept = kept
        self._records: dict[str, MirrorRecord | None] = {}
        self._before: dict[str, MirrorRecord | None] = _read_kept(kept) if kept is not None else {}
        self._shelves: dict[str, Shelf | None] | None = None
        self._lock = threading.Lock()
        if transport is None:
            self._records, self._threads = self._before, []
            return
        usable = addresses.usable()
        self._threads = [
            threading.Thread(target=self._read, args=(transport, url), name=RECORD_NAME, daemon=True) for url in usable
        ]
        for thread in self._threads:
            thread.start()

    def shelves(self) -> Mapping[str, Shelf | None]:
        """Return what each address has, once all have answered."""
        with self._lock:
            if self._shelves is None:
                for thread in self._threads:
                    thread.join()
                self._shelves = {
                    url: None if record is None or record.selection.is_everything else Shelf(record)
                    for url, record in self._records.items()
                }
                if self._kept is not None and self._transport is not None and self._records != self._before:
                    with suppress(OSError):  # then it is known in this run only
                        replace_file(self._kept, encode_json(self._records))
            return self._shelves

    def _read(self, transport: Transport, url: str) -> None:
        """Read what an address says; for a registry that is declared partial, with the usual patience."""
        try:
            data = transport.read(url + RECORD_NAME, max_bytes=MAX_RECORD_BYTES, retry=self._kept is not None).data
            self._records[url] = parse_record(data, url + RECORD_NAME)
        except HttpStatusError:
            self._records[url] = None
        except SealdexError as error:
            _log.info("download.no_mirror_record", "{url}: {reason}", url=public_url(url), reason=error)
            self._records[url] = self._before.get(url)


def _read_kept(path: Path) -> dict[str, MirrorRecord | None]:
    try:
        return decode_as(path.read_bytes(), dict[str, MirrorRecord | None])
    except (OSError, msgspec.DecodeError):
        return {}


def _not_there(what: str, words: str, error: SealdexError) -> NotOnMirrorError:
    return NotOnMirrorError(
        f"{what} is not on this mirror: {words}\n{error.message}",
        subject=what,
        details=error.details,
        untouched="nothing was installed",
        hint="ask the mirror's operator for it; to accept older releases that the mirror has: partial = true for "
        "the registry in config.toml",
    )


__all__ = ["Holdings", "Shelf", "lacking"]
