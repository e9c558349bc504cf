"""One verified state of a registry: an unforked ``tuf.ngclient.Updater`` and queries on its trusted metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote

from tuf.api import exceptions
from tuf.api.metadata import Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient.config import UpdaterConfig

from sealdex.errors import ConfigError, SealdexError, UnavailableError, VerificationError
from sealdex.log import Log
from sealdex.model.foreign_json import json_values
from sealdex.transport import Addresses, Transport
from sealdex.trust._fetcher import CachedMetadata, OfflineFetcher, OnlineFetcher
from sealdex.trust._updater import DatedUpdater
from sealdex.trust.errors import as_sealdex_error, mixed_up, unusable_folder
from sealdex.trust.role_marks import REALM_FIELD, mark_problem
from sealdex.trust.signed_time import Judgement, signed_at_of

_log = Log("sealdex.trust")
T = TypeVar("T")


class TrustSession:
    """Refreshes once, then answers which targets are signed. Not thread-safe; the caller holds the folder's lock.

    Args:
        registry: the registry's name, for messages.
        addresses: of the registry.
        below: where the metadata is below each of them, with trailing slash.
        metadata_folder: ngclient's folder; created.
        root: the pinned root metadata, the only trust anchor.
        transport: fetches; None to work from the cached metadata without any request.
        fetch_ahead: request everything that a refresh needs at once. If False, only ngclient's own requests are made.
        limit: ``max_staleness``, see `sealdex.trust.signed_time`.
        clock: this host's time; by default the system's.
        disbelieved: a timestamp whose stated time isn't believed, see `DatedUpdater`.

    Raises:
        ConfigError: ``root`` is not valid, self-signed root metadata.
    """

    def __init__(
        self,
        registry: str,
        addresses: Addresses,
        below: str,
        metadata_folder: Path,
        root: bytes,
        transport: Transport | None,
        *,
        fetch_ahead: bool = True,
        limit: timedelta | None = None,
        clock: datetime | None = None,
        disbelieved: tuple[int, datetime] | None = None,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._disbelieved = disbelieved
        self._registry = registry
        self._url = addresses.all[0] + below
        self._folder = metadata_folder
        self._root = root
        self._fetch_ahead = fetch_ahead
        self._config = UpdaterConfig()
        self._cache = CachedMetadata(metadata_folder)
        self._realm = _realm_of(root)
        self._fetcher: OnlineFetcher | OfflineFetcher = (
            OfflineFetcher(self._cache, self._url)
            if transport is None
            else OnlineFetcher(transport, addresses, below, self._config.targets_max_length, self._realm, self._cache)
        )
        self._is_strict = False
        self._updater = self._new_updater()
        self._logged: dict[str, Signed] = {}

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date and verify them.

        Raises:
            VerificationError, UnavailableError: see ``sealdex.trust.errors``.
        """
        if isinstance(self._fetcher, OfflineFetcher) or not self._fetcher.addresses.are_several:
            self._refresh_once()
        else:
            self._refresh_somewhere(self._fetcher)
        self._log_roles(self.top_level)

    def _refresh_somewhere(self, fetcher: OnlineFetcher) -> None:
        """Take the state of the first address that has a valid one: first of those that haven't expired.

        An expired one counts within ``max_staleness``, where no address has another.
        """
        failures: dict[str, SealdexError] = {}
        expired: list[str] = []
        waiting = fetcher.addresses.usable()
        while waiting:
            url = waiting.pop(0)
            if (error := self._failure_at(fetcher, url, is_strict=self._limit is not None)) is None:
                return
            failures[url] = error
            if self._limit is not None and isinstance(error.__cause__, exceptions.ExpiredMetadataError):
                expired.append(url)
            elif waiting or expired:
                fetcher.addresses.leave(url, error)
        for url in expired:
            if (error := self._failure_at(fetcher, url, is_strict=False)) is None:
                return
            failures[url] = error
        raise fetcher.addresses.verdict(list(failures.items()))

    def _failure_at(self, fetcher: OnlineFetcher, url: str, *, is_strict: bool) -> SealdexError | None:
        try:
            self._refresh_at(fetcher, url, is_strict=is_strict)
        except (VerificationError, UnavailableError) as error:
            return error
        return None

    def _refresh_at(self, fetcher: OnlineFetcher, url: str, *, is_strict: bool) -> None:
        fetcher.use(url)
        self._is_strict = is_strict
        self._updater = self._new_updater()
        self._refresh_once()

    def _refresh_once(self) -> None:
        if self._fetch_ahead and isinstance(self._fetcher, OnlineFetcher):
            next_root = self._cache.newest_root(self.root.version) + 1
            self._fetcher.first_round(
                {
                    "timestamp.json": self._config.timestamp_max_length,
                    f"{next_root}.root.json": self._config.root_max_length,
                },
                # With a cached snapshot little is missing, and it is smaller than the bundle.
                bundle=self._cache.read(Snapshot.type) is None,
            )
        self._verified(self._updater.refresh, again=self._start_over)
        self._check_marks(self.top_level)
        self._check_snapshot_time()
        if isinstance(self._fetcher, OnlineFetcher):
            self._fetcher.keep_validators()

    def target_infos(self, paths: Iterable[str]) -> dict[str, TargetFile | None]:
        """Return the signed length and hashes of targets by path; None for unsigned ones.

        Missing delegated metadata is requested in one round per level of delegation, however many paths there are.
        """
        wanted = list(dict.fromkeys(paths))
        with self._companions(wanted):
            infos = {p: self._verified(lambda p=p: self._updater.get_targetinfo(p)) for p in wanted}  # type: ignore[misc]  # mypy can't infer a lambda with a default
        trusted = self._updater.trusted
        walked = dict.fromkeys(role for p in wanted for role, _ in _walk(trusted, p) if role in trusted)
        self._check_marks(walked)
        self._log_roles(walked)
        return infos

    def load_all_roles(self) -> None:
        """Load and verify every role that is delegated to and that the snapshot lists, level by level."""
        waiting = [Targets.type]
        while waiting:
            parents, waiting = waiting, []
            children = [(child, parent) for parent in parents for child in self._delegates(parent)]
            with self._ahead_of([child for child, _ in children]):
                for child, parent in children:
                    self._verified(lambda child=child, parent=parent: self._updater.load(child, parent))  # type: ignore[misc]  # mypy can't infer a lambda with a default
                    waiting.append(child)
            self._check_marks(child for child, _ in children)

    def signed_paths(self) -> Iterator[str]:
        """Yield the target paths of all roles that are loaded; of a path that several roles sign, as often."""
        for targets in self._updater.loaded.values():
            yield from targets.targets

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the bytes of each metadata file that was verified, as the registry publishes them.

        ``timestamp.json`` comes last. Roots are those from the pinned one on.
        """
        roots = self._folder / "root_history"
        for version in range(_version_of(self._root), self.root.version + 1):
            yield (
                f"{version}.root.json",
                self._root if version == _version_of(self._root) else ((roots / f"{version}.root.json").read_bytes()),
            )
        for role in (*self._updater.loaded, Snapshot.type):
            yield f"{self._updater.trusted[role].version}.{quote(role, safe='')}.json", self._bytes_of(role)
        yield "timestamp.json", self._bytes_of(Timestamp.type)

    def _bytes_of(self, role: str) -> bytes:
        data = self._cache.read(role)
        if data is None or self._cache.version(role) != self._updater.trusted[role].version:
            raise mixed_up(self._registry, f"{role}.json in the trust folder", "was changed while it was read")
        return data

    def _delegates(self, parent: str) -> list[str]:
        """Return the roles that one delegates to, as far as the snapshot lists them and they aren't loaded."""
        trusted = self._updater.trusted
        targets, snapshot = trusted[parent], trusted[Snapshot.type]
        if not isinstance(targets, Targets) or not isinstance(snapshot, Snapshot) or targets.delegations is None:
            return []
        named: Iterable[str] = targets.delegations.roles or ()
        if targets.delegations.succinct_roles is not None:
            named = targets.delegations.succinct_roles.get_roles()
        return [role for role in named if f"{role}.json" in snapshot.meta]

    @contextmanager
    def _ahead_of(self, roles: list[str]) -> Iterator[None]:
        """Have the files of these roles fetched together when the first of them is asked for."""
        snapshot = self._updater.trusted[Snapshot.type]
        if isinstance(self._fetcher, OfflineFetcher) or not isinstance(snapshot, Snapshot):
            yield
            return
        wanted = {role: snapshot.meta[f"{role}.json"].version for role in roles}
        self._fetcher.companions = lambda: (
            f"{version}.{quote(role, safe='')}.json"
            for role, version in wanted.items()
            if role not in self._updater.trusted and self._cache.version(role) != version
        )
        try:
            yield
        finally:
            self._fetcher.companions = tuple

    def signer(self, path: str) -> str | None:
        """Return the top-level delegate of ``targets`` under which the path is signed, or None.

        For a hashed bin that is the role that delegates to the bins; for ``targets`` itself it is ``targets``. Makes no
        request: the path must have been passed to ``target_infos`` before.
        """
        for role, top in _walk(self._updater.trusted, path):
            targets = self._updater.trusted.get(role)
            if isinstance(targets, Targets) and path in targets.targets:
                return top
        return None

    def _check_snapshot_time(self) -> None:
        try:
            made = signed_at_of(self._updater.trusted[Snapshot.type].unrecognized_fields)
        except ValueError as error:
            raise mixed_up(self._registry, "snapshot.json", str(error)) from error
        judgement = self.judgement
        if made is not None and judgement.is_stated and made > judgement.signed_at:
            raise mixed_up(self._registry, "snapshot.json", "says that it was signed after the timestamp that names it")

    @property
    def judgement(self) -> Judgement:
        """As of when the timestamp was judged; after `refresh`."""
        if self._updater.judgement is None:
            raise RuntimeError("refresh() comes first")
        return self._updater.judgement

    @property
    def root(self) -> Root:
        """The newest verified root."""
        return cast("Root", self._updater.trusted[Root.type])

    @property
    def top_level(self) -> Mapping[str, Signed]:
        """Root, timestamp, snapshot and targets by name, as verified."""
        return {r: self._updater.trusted[r] for r in (Root.type, Timestamp.type, Snapshot.type, Targets.type)}

    def _log_roles(self, roles: Iterable[str]) -> None:
        """Log those that weren't before."""
        new = [role for role in roles if role not in self._logged]
        self._logged.update({role: self._updater.trusted[role] for role in new})
        fetched = self._fetcher.handed if isinstance(self._fetcher, OnlineFetcher) else ()
        if _log.is_info:
            from sealdex.trust._role_log import log_roles  # noqa: PLC0415  # only for who reads the log

            log_roles(self._registry, self._logged, new, self._cache, fetched)

    def _new_updater(self) -> DatedUpdater:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            updater = DatedUpdater(
                str(self._folder), self._url, fetcher=self._fetcher, config=self._config, bootstrap=self._root
            )
            updater.limit, updater.clock, updater.disbelieved = self._limit, self._clock, self._disbelieved
            updater.is_strict = self._is_strict
        except exceptions.RepositoryError as error:
            raise ConfigError(
                f"the trust root configured for registry '{self._registry}' is not signed by its own keys: {error}",
                hint="get root.json again from the registry's owners, then: sealdex registry add NAME URL --root FILE",
            ) from error
        except OSError as error:  # ngclient writes the root before anything else
            raise unusable_folder(error, f"registry '{self._registry}'", str(self._folder)) from error
        return updater

    def _start_over(self) -> None:
        self._updater = self._new_updater()
        self._updater.refresh()

    def _verified(self, action: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Run an action of ngclient; if a bad bundle or a wrong file made it fail, again without that."""
        try:
            while True:
                try:
                    return action()
                except exceptions.RepositoryError as error:  # noqa: PERF203  # the loop is the retry
                    if isinstance(self._fetcher, OfflineFetcher) or not self._may_help(self._fetcher, error):
                        raise
                    action = again or action
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError) as error:
            raise as_sealdex_error(
                error,
                registry=self._registry,
                trusted=self._updater.trusted,
                last=self._fetcher.last,
                judgement=self._updater.judgement,
            ) from error

    def _may_help(self, fetcher: OnlineFetcher, error: exceptions.RepositoryError) -> bool:
        """Drop the bundle, or the address that a file is wrong at; return whether to try again."""
        if fetcher.drop_bundle():
            return True
        # what has expired has the same date everywhere
        return not isinstance(error, exceptions.ExpiredMetadataError) and fetcher.ask_another()

    def _check_marks(self, roles: Iterable[str]) -> None:
        """Refuse cached files that belong to another role; fetched files are checked when they arrive."""
        for role in roles:
            problem = mark_problem(self._updater.trusted[role].unrecognized_fields, role, self._realm)
            if problem is not None:
                self._cache.drop(role)
                raise mixed_up(self._registry, f"{role}.json in the trust folder", f"is out of place: {problem}")

    @contextmanager
    def _companions(self, paths: list[str]) -> Iterator[None]:
        if isinstance(self._fetcher, OfflineFetcher) or not self._fetch_ahead or len(paths) < 2:
            yield
            return
        self._fetcher.companions = lambda: self._missing_files(paths)
        try:
            yield
        finally:
            self._fetcher.companions = tuple

    def _missing_files(self, paths: list[str]) -> Iterator[str]:
        """Names of the metadata files that the look-up of each path needs next and the cache doesn't have."""
        trusted = self._updater.trusted
        snapshot = trusted.get(Snapshot.type)
        if not isinstance(snapshot, Snapshot):
            return
        needed = (next((role for role, _ in _walk(trusted, path) if role not in trusted), None) for path in paths)
        for role in dict.fromkeys(needed):
            meta = snapshot.meta.get(f"{role}.json")
            if role is not None and meta is not None and self._cache.version(role) != meta.version:
                yield f"{meta.version}.{quote(role, safe='')}.json"


def _realm_of(root: bytes) -> str | None:
    try:
        realm = json_values(root)["signed"].get(REALM_FIELD)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # not a root at all, which ngclient is about to report
    return realm if isinstance(realm, str) else None


def _version_of(root: bytes) -> int:
    return int(json_values(root)["signed"]["version"])


def _walk(trusted: Mapping[str, Signed], path: str) -> Iterator[tuple[str, str]]:
    """Yield the roles responsible for a path, in TUF's order (preorder, depth first), with the top-level delegate.

    Ends after yielding a role that isn't loaded, since its delegations aren't known.
    """
    stack = [(Targets.type, Targets.type)]
    visited: set[str] = set()
    while stack:
        role, top = stack.pop()
        if role in visited:
            continue
        visited.add(role)
        yield role, top
        targets = trusted.get(role)
        if not isinstance(targets, Targets):
            return
        children: list[tuple[str, str]] = []
        for child, terminating in targets.delegations.get_roles_for_target(path) if targets.delegations else ():
            children.append((child, child if role == Targets.type else top))
            if terminating:
                stack.clear()
                break
        stack.extend(reversed(children))
