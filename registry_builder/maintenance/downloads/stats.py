"""A realm's download numbers: counted from logs for what its own index has, merged, and put into its store.

    logs + the realm's verified index -> stats.json -> api/stats.json of the store, past every commit point

Merging takes, of each release and day, the larger number. So counting a day's logs twice changes nothing, and no list
of what was counted has to be kept; but the logs of one day have to be given together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.maintenance.downloads._log_files import LogProblem, log_files
from registry_builder.maintenance.downloads._tally import Places, Tally
from registry_builder.publication.context import Publisher
from registry_builder.signing.metadata import bin_names
from registry_builder.storage import Body, LostRaceError, ObjectMissingError, bucket_of, headers_for
from sealdex.errors import NotFoundError, SealdexError, UsageError
from sealdex.model.decode import DocumentError, encode_json, read_wire
from sealdex.model.downloads import MAX_STATS_BYTES, NOTE, STATS_FORMAT, STATS_KEY, DownloadStats
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target
from sealdex.model.precedence import version_sort_key

_ATTEMPTS = 5
_UNTOUCHED = "nothing was counted or written"


class LogError(SealdexError):
    """Logs can't be read; `problems` names each file and line."""

    code = "logs"

    def __init__(self, problems: Collection[LogProblem]) -> None:
        super().__init__(
            "\n".join(map(str, problems)),
            subject=str(next(iter(problems)).file),
            untouched=_UNTOUCHED,
            hint="correct or leave out these files, or count without what can't be read: --skip-unreadable",
        )
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Counted:
    """What logs say.

    Attributes:
        stats: None if the logs have no answer to our client.
        logs: how many files were read.
        downloads: in all of them.
        repeated, unknown, elsewhere: see `Tally`.
        problems: what was skipped.
        plugins: the realm's plugins, for `merged`.
    """

    stats: DownloadStats | None
    logs: int
    downloads: int
    repeated: int
    unknown: int
    elsewhere: int
    problems: tuple[LogProblem, ...]
    plugins: frozenset[str]


def count_downloads(
    publisher: Publisher, paths: Iterable[Path], *, prefix: str | None = None, skip_unreadable: bool = False
) -> Counted:
    """Count the downloads of a realm's releases in logs. Reads logs and published documents; writes nothing.

    Args:
        publisher: see `open_publisher`; nothing is signed or written.
        paths: logs, or folders of logs.
        prefix: what stands before ``plugins/`` in the logs' paths; by default what ``url`` and ``storage`` say.
        skip_unreadable: count without the lines and files that can't be read.

    Raises:
        LogError: a log can't be read.
        NotFoundError: a log doesn't exist, or nothing is published.
        VerificationError: the published state isn't what the trust root vouches for.
    """
    logs = log_files(paths, publisher.clock().date() + timedelta(days=1))
    with publisher.reader(publisher.clock()) as reader:
        state = reader.open()
        if state is None:
            raise NotFoundError(f"nothing is published in {publisher.storage.description} yet", subject=publisher.realm)
        index = _Index(state, reader)
        tally = Tally(_places(publisher, prefix), index.artifacts)
        problems: list[LogProblem] = []
        for log in logs:
            tally.add(log)
            problems += log.problems
        if problems and not skip_unreadable:
            raise LogError(problems)
        tally.finish()
    return Counted(
        stats=_document(tally),
        logs=len(logs),
        downloads=tally.downloads.total(),
        repeated=tally.repeated,
        unknown=tally.unknown,
        elsewhere=tally.elsewhere,
        problems=tuple(problems),
        plugins=frozenset(map(str, index.plugins)),
    )


class _Index:
    """The realm's own plugins, and of those that logs name their artifacts."""

    def __init__(self, state: PublishedState, reader: PublishedReader) -> None:
        reader.load_bins(bin_names(state.bits))
        named = (target.removeprefix("index/").removesuffix(".json").split("/") for target, _ in state.pins())
        self.plugins = frozenset(PluginId(*parts) for parts in named)
        self._state, self._reader = state, reader
        self._artifacts: dict[PluginId, dict[tuple[str, str], int | None]] = {}

    def artifacts(self, plugin: PluginId) -> Mapping[tuple[str, str], int | None]:
        if plugin not in self.plugins:
            return {}
        if plugin not in self._artifacts:
            pin = self._state.pin(index_target(plugin))
            documents = self._reader.documents.indexes({plugin: pin}) if pin is not None else {}
            self._artifacts[plugin] = {
                (release.version, artifact.file): artifact.size
                for document in documents.values()
                for release in document.releases
                for artifact in release.artifacts
                if artifact.url is None
            }
        return self._artifacts[plugin]


def _places(publisher: Publisher, prefix: str | None) -> Places:
    section = publisher.tree.config.realms[publisher.realm]
    place = bucket_of(section.storage)
    bucket = place.bucket if place is not None else None
    if prefix is not None:
        return Places(frozenset({prefix.strip("/")}), bucket)
    prefixes = {unquote(urlsplit(section.url).path).strip("/")} if section.url is not None else set()
    if place is not None:
        prefixes.add(place.prefix)
    return Places(frozenset(prefixes or {""}), bucket)


def _document(tally: Tally) -> DownloadStats | None:
    if not tally.days:
        return None
    plugins: dict[str, dict[str, dict[str, int]]] = {}
    for (plugin, version, day), number in tally.downloads.items():
        plugins.setdefault(str(plugin), {}).setdefault(version, {})[str(day)] = number
    return _sorted(str(min(tally.days)), str(max(tally.days)), plugins)


def merged(new: DownloadStats, old: DownloadStats | None, plugins: Collection[str], *, days: int) -> DownloadStats:
    """Return both together: of each release and day the larger number, of the last days only. Pure.

    Args:
        new: just counted.
        old: what there was.
        plugins: those of the realm; others aren't taken over.
        days: how many days are kept.
    """
    both = [each for each in (old, new) if each is not None]
    last = max(each.last_day for each in both)
    since = str(date.fromisoformat(last) - timedelta(days=days - 1))
    found: dict[str, dict[str, dict[str, int]]] = {}
    for each in both:
        for plugin, releases in each.plugins.items():
            if plugin not in plugins:
                continue
            for version, numbers in releases.items():
                for day, number in numbers.items():
                    if since <= day <= last and number:
                        held = found.setdefault(plugin, {}).setdefault(version, {})
                        held[day] = max(held.get(day, 0), number)
    return _sorted(max(since, min(each.first_day for each in both)), last, found)


def _sorted(first: str, last: str, plugins: Mapping[str, Mapping[str, Mapping[str, int]]]) -> DownloadStats:
    return DownloadStats(
        STATS_FORMAT,
        NOTE,
        first,
        last,
        {
            plugin: {version: dict(sorted(releases[version].items())) for version in sorted(releases, key=_order)}
            for plugin, releases in sorted(plugins.items())
        },
    )


def _order(version: str) -> tuple[object, str]:
    return version_sort_key(version), version


def read_stats(data: bytes, what: str) -> DownloadStats:
    """Decode a ``stats.json``.

    Raises:
        SealdexError: it isn't one, or of a newer format.
    """
    try:
        return read_wire(data, DownloadStats, newest_format=STATS_FORMAT, what=what)
    except (DocumentError, ValueError) as error:
        raise SealdexError(
            f"{what} is not a document of download numbers: {error}",
            subject=what,
            untouched="it is as it was",
            hint="to write over it: --replace",
        ) from error


def publish_stats(publisher: Publisher, counted: Counted, *, days: int, replace: bool = False) -> DownloadStats:
    """Put the numbers into the store, merged with those that are there: one PUT, none if nothing changed.

    Nothing signs or trusts the file. It is swapped like the timestamp, so that of two counts at once none is lost.

    Raises:
        UsageError: the realm is deployed to GitHub Pages; or the logs have nothing to say.
        SealdexError: what is there isn't a ``stats.json``, and ``replace`` isn't given; or others keep on writing.
        LockedError: another publisher holds the lock of a store that looks at no conditions.
        UnavailableError: the storage doesn't answer.
    """
    if publisher.tree.config.realms[publisher.realm].is_pages:
        raise UsageError(
            f"realm {publisher.realm} is on GitHub Pages, where each deployment replaces all files and no log is kept",
            subject=publisher.realm,
            untouched="nothing was written",
            hint=f"write a file with --output, and put it beside the deployed ones as {STATS_KEY}",
        )
    if counted.stats is None:
        raise UsageError("the logs have no answer to sealdex, so there is nothing to publish", untouched=_UNTOUCHED)
    lock = publisher.storage.lock
    with lock.held() if lock is not None else nullcontext():
        return _merge(publisher, counted.stats, counted.plugins, days=days, replace=replace)


def _merge(
    publisher: Publisher, new: DownloadStats, plugins: Collection[str], *, days: int, replace: bool
) -> DownloadStats:
    for _ in range(_ATTEMPTS):
        old, etag = None, None
        try:
            stored = publisher.storage.get(STATS_KEY, max_bytes=MAX_STATS_BYTES)
        except ObjectMissingError:
            stored = None
        if stored is not None:
            etag = stored.etag
            old = None if replace else read_stats(stored.data, STATS_KEY)
        stats = merged(new, old, plugins, days=days)
        data = encode_json(stats)
        if stored is not None and stored.data == data:
            return stats
        try:
            publisher.storage.put_if_match(STATS_KEY, Body.of_bytes(data, headers_for(STATS_KEY)), etag)
        except LostRaceError:
            continue
        return stats
    raise SealdexError(
        f"{STATS_KEY} was changed by others {_ATTEMPTS} times meanwhile",
        subject=STATS_KEY,
        untouched="it has their numbers",
        hint="run it again",
    )


__all__ = ["Counted", "LogError", "count_downloads", "merged", "publish_stats", "read_stats"]
