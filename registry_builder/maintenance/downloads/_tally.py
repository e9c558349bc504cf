"""Counts downloads in the answers of logs: which release, which day, each of them once. Pure.

A download is what begins a file: a whole answer (200), or a range from its first byte. What a log says without the
range's start (S3, nginx's *combined*) is added up by file and day: as many downloads as whole files were sent.

The same request in two logs counts once. It is known by its id, which CloudFront and S3 give each; without one, by its
line: as often as it stands in the log where it stands most often. Kept of it are 64 bits of Python's keyed hash, in
memory and for this run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import unquote

from registry_builder.maintenance.downloads._log_lines import Answer
from sealdex.model.ids import PluginId

_ARTIFACT = re.compile(r"(?:(?P<prefix>.*)/)?plugins/(?P<ns>[^/]+)/(?P<name>[^/]+)/(?P<version>[^/]+)/(?P<file>[^/]+)")
_WHOLE, _PART = 200, 206

Artifacts = Callable[[PluginId], Mapping[tuple[str, str], int | None]]
"""Version and file to size of a plugin's artifacts in the published tree; empty for one that isn't this realm's."""


@dataclass(frozen=True)
class Places:
    """Where the realm's files are in the logs.

    Attributes:
        prefixes: what may stand before ``plugins/``, without slashes at its ends.
        bucket: of S3 logs; None for any.
    """

    prefixes: frozenset[str]
    bucket: str | None = None


@dataclass
class Tally:
    """What was counted.

    Attributes:
        downloads: release and day to downloads, once `finish` was called.
        days: of all answers to our client.
        repeated: answers that stand in more than one log, and counted once.
        unknown: answers for files that the realm's index doesn't have.
        elsewhere: answers for files below another prefix or in another bucket.
    """

    places: Places
    artifacts: Artifacts
    downloads: Counter[tuple[PluginId, str, date]] = field(default_factory=Counter)
    days: set[date] = field(default_factory=set)
    repeated: int = 0
    unknown: int = 0
    elsewhere: int = 0
    _seen: dict[int, int] = field(default_factory=dict)
    _parts: Counter[tuple[PluginId, str, str, date]] = field(default_factory=Counter)

    def add(self, log: Iterable[tuple[Answer, bytes]]) -> None:
        """Count the answers of one log."""
        here: Counter[int] = Counter()
        for answer, line in log:
            self.days.add(answer.day)
            if answer.method != "GET" or answer.status not in {_WHOLE, _PART}:
                continue
            named = self._release(answer)
            if named is None:
                continue
            identity = hash(line) if answer.id is None else hash(("id", answer.id))
            here[identity] += 1
            if (answer.id is not None and here[identity] > 1) or here[identity] <= self._seen.get(identity, 0):
                self.repeated += 1
            else:
                self._seen[identity] = here[identity]
                self._count(answer, *named)

    def finish(self) -> None:
        """Add what was sent in parts whose place isn't known."""
        for (plugin, version, file, day), sent in self._parts.items():
            size = self.artifacts(plugin)[version, file]
            if size and sent >= size:
                self.downloads[plugin, version, day] += sent // size
        self._parts.clear()

    def _count(self, answer: Answer, plugin: PluginId, version: str, file: str, size: int | None) -> None:
        is_whole = answer.status == _WHOLE
        if not answer.says_ranges and answer.size is not None and size and (not is_whole or answer.size < size):
            self._parts[plugin, version, file, answer.day] += min(answer.size, size)
        elif is_whole or answer.start == 0:
            self.downloads[plugin, version, answer.day] += 1

    def _release(self, answer: Answer) -> tuple[PluginId, str, str, int | None] | None:
        once = unquote(answer.path)
        known = fits = False
        for path in (answer.path, once, unquote(once)):  # S3 encodes keys twice
            match = _ARTIFACT.fullmatch(path.lstrip("/"))
            if match is None:
                continue
            known = True
            if (match["prefix"] or "").strip("/") not in self.places.prefixes:
                continue
            if self.places.bucket is not None and answer.bucket not in {None, self.places.bucket}:
                continue
            fits = True
            plugin = PluginId(match["ns"], match["name"])
            artifacts = self.artifacts(plugin)
            if (match["version"], match["file"]) in artifacts:
                return plugin, match["version"], match["file"], artifacts[match["version"], match["file"]]
        self.unknown += known and fits
        self.elsewhere += known and not fits
        return None


__all__ = ["Artifacts", "Places", "Tally"]
