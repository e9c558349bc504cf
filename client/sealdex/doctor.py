"""Diagnoses a host: configuration, registries, clock, store, locks, disk, cache; each finding has a remedy.

Nothing is changed except by refreshing metadata. A finding is ``ok``, ``warning`` (it works, but may not for long) or
``problem``; a problem has the exit code of a command that fails because of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal, NamedTuple

from sealdex.config.config import Config
from sealdex.config.credentials import credentials_of
from sealdex.config.document import max_staleness_of, registry_for
from sealdex.errors import SealdexError, VerificationError
from sealdex.events import Observer
from sealdex.paths import store_folder
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import STALE_PART_S, is_over, partial_files
from sealdex.store.database import State
from sealdex.store.dependants import broken_now, in_use
from sealdex.store.installations import installations, look_over
from sealdex.store.layout import Store
from sealdex.store.ownership import loose_places
from sealdex.store.plugin_status import ENABLED, STATUS_WORDS, statuses
from sealdex.store.verify import verify_standing, worse_than_extra
from sealdex.store.yanked import format_mark, yanked_releases
from sealdex.text import counted
from sealdex.transport import Document, Transport
from sealdex.trust.registries import Registries
from sealdex.trust.registry import TrustedRegistry, TrustState

FindingState = Literal["ok", "warning", "problem"]
EXPIRES_SOON = timedelta(hours=36)
CLOCK_TOLERANCE_S = 300.0
LOW_DISK_BYTES, FULL_DISK_BYTES = 2**30, 64 * 2**20
_SHOWN = 5
_MAX_TIMESTAMP_BYTES = 16_384
_CONFIG_REMEDY = "chmod go-w, or chown, what others can write to"


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        check: ``config``, ``trust``, ``expiry``, ``reachability``, ``addresses``, ``clock``, ``store``, ``plugins``,
            ``dependencies``, ``yanked``, ``locks``, ``disk`` or ``cache``.
        subject: what was checked: a registry's name, a path.
        state: ``ok``, ``warning`` or ``problem``.
        detail: what was found.
        remedy: how to fix it; empty if nothing is wrong.
        exit_code: of a problem; 0 otherwise.
    """

    check: str
    subject: str
    state: FindingState
    detail: str
    remedy: str = ""
    exit_code: int = 0


def examine(
    load: Callable[[], Config], *, is_deep: bool = False, observer: Observer | None = None, now: float | None = None
) -> list[Finding]:
    """Run all checks.

    Args:
        load: reads the configuration.
        is_deep: hash installed files instead of comparing sizes and modes.
        observer: told about waits and retries.
        now: seconds since the epoch; default: the current time.
    """
    try:
        config = load()
    except SealdexError as error:
        return [
            _problem("config", error.subject or "config.toml", error),
            *_host(Path(store_folder()), is_deep=is_deep),
        ]
    with_registries = list(config.registries)
    found = [Finding("config", str(config.path), "ok", counted(len(with_registries), "registry", "registries"))]
    if not with_registries:
        found[0] = Finding(
            "config",
            str(config.path),
            "warning",
            "no registry is configured",
            "sealdex registry add NAME URL --root FILE",
        )
    found += _loose("config", _configuration(config), _CONFIG_REMEDY)
    moment = time.time() if now is None else now
    with _transport(config, observer) as transport:
        registries = Registries(config, transport, observer or Observer())
        for name in with_registries:
            found += _registry(config, registries, transport, name, moment)
        with suppress(SealdexError):  # errors were found above; earlier recorded yanks are reported anyway
            trusted = {each.subject for each in found if each.check == "trust" and each.state == "ok"}
            named = in_use(Store(config.store))
            registries.documents([p for p in named if registry_for(config.registries, p.namespace) in trusted])
    found += _host(config.store, is_deep=is_deep)
    found += _cache(config)
    return found


def standing(load: Callable[[], Config], *, now: float | None = None) -> tuple[list[Finding], dict[str, int]]:
    """Return what is known of this host without a request: each registry and each plugin, and what is wrong.

    Args:
        load: reads the configuration.
        now: seconds since the epoch; default: the current time.

    Returns:
        The findings, and how many registries are configured and how many plugins are in use.
    """
    found: list[Finding] = []
    root, names = Path(store_folder()), list[str]()
    try:
        config = load()
    except SealdexError as error:
        found.append(_problem("config", error.subject or "config.toml", error))
    else:
        root, names = config.store, list(config.registries)
        found += _loose("config", _configuration(config), _CONFIG_REMEDY)
        moment = time.time() if now is None else now
        with _transport(config, None) as transport:
            registries = Registries(config, transport, Observer(), offline=True)
            for name in names:
                found += _known(registries, name, moment)
    store = Store(root)
    found += _loose("store", _folders_of(store), _store_remedy(root))
    found += _plugins(store, also_fine=True)
    found += (each for each in _installations(store, is_deep=False) if each.state != "ok")
    found.append(_state(store))
    found += _dependencies(store)
    found += _yanked(store)
    return found, {"registries": len(names), "plugins": len(in_use(store))}


class _transport:  # noqa: N801  # a context manager of one use
    def __init__(self, config: Config, observer: Observer | None) -> None:
        self._transport = Transport(
            config.transport_settings,
            credentials=credentials_of(config),
            on_retry=observer.retrying if observer else None,
        )

    def __enter__(self) -> Transport:
        return self._transport

    def __exit__(self, *_: object) -> None:
        self._transport.close()


# --- registries ------------------------------------------------------------------------------------------------------


def _registry(config: Config, registries: Registries, transport: Transport, name: str, now: float) -> Iterator[Finding]:
    answers: dict[str, Document | SealdexError] = {}
    for url in config.section(name).addresses:
        try:
            answers[url] = transport.read(f"{url.rstrip('/')}/metadata/timestamp.json", max_bytes=_MAX_TIMESTAMP_BYTES)
        except SealdexError as error:  # noqa: PERF203  # each address is asked
            answers[url] = error
    given = [answer for answer in answers.values() if not isinstance(answer, SealdexError)]
    for url, answer in answers.items():
        if not isinstance(answer, SealdexError):
            yield Finding("reachability", name, "ok", url)
        elif given:
            yield Finding("reachability", name, "warning", f"{url}: {answer.message}", answer.hint or "")
        else:
            yield _problem("reachability", name, answer)
    if not given:
        return
    yield from _clock(name, given[0].date, now)
    try:
        state = registries.refresh(name)
    except SealdexError as error:
        yield _problem("trust", name, error)
        return
    yield from _trusted(name, state, now)
    chosen = registries.addresses(name).chosen
    others = [
        url
        for url, answer in answers.items()
        if not isinstance(answer, SealdexError) and url.rstrip("/") != chosen.rstrip("/")
    ]
    for url in others:
        yield _other_address(config, transport, name, url, chosen, state)


def _known(registries: Registries, name: str, now: float) -> Iterator[Finding]:
    """Yield what was trusted of a registry when it was asked last."""
    try:
        state = registries.refresh(name)
    except VerificationError as error:
        yield _problem("trust", name, error)
    except SealdexError as error:
        yield Finding("trust", name, "warning", error.message, "sealdex doctor, with a network")
    else:
        yield from _trusted(name, state, now)


def _trusted(name: str, state: TrustState, now: float) -> Iterator[Finding]:
    yield Finding("trust", name, "ok", f"root v{state.root_version}, pinned {state.root_fingerprint[:16]}")
    role, expires = state.expires_first
    left = expires - datetime.fromtimestamp(now, timezone.utc)
    detail = f"{role} expires first, on {expires:%Y-%m-%d %H:%M} UTC"
    if left < EXPIRES_SOON:
        remedy = "tell the registry's operator that sealdex-builder refresh has not run; expired metadata is refused"
        yield Finding("expiry", name, "warning", detail, remedy)
    else:
        yield Finding("expiry", name, "ok", detail)


def _other_address(
    config: Config, transport: Transport, name: str, url: str, chosen: str, state: TrustState
) -> Finding:
    """Compare the state at another address, verified from the pinned root, with the one that is trusted."""
    with tempfile.TemporaryDirectory(prefix="sealdex-doctor-") as folder:
        limit = max_staleness_of(config.section(name))
        try:
            there = TrustedRegistry(
                name, url, config.root_bytes(name), Path(folder), transport, max_staleness=limit
            ).refresh()
        except SealdexError as error:
            return Finding("addresses", name, "warning", f"{url}: {error.message}", error.hint or "")
    if there.timestamp_version > state.timestamp_version:
        return Finding(
            "addresses",
            name,
            "warning",
            f"{url} has a newer state (timestamp {there.timestamp_version}) than {chosen}, which is used "
            f"(timestamp {state.timestamp_version})",
            f"bring {chosen} up to date, or list {url} before it in config.toml",
        )
    same = there.timestamp_version == state.timestamp_version
    return Finding("addresses", name, "ok", f"{url} has {'the same' if same else 'an older'} state")


def _clock(name: str, date: float | None, now: float) -> Iterator[Finding]:
    if date is None:
        return
    ahead = now - date
    if abs(ahead) <= CLOCK_TOLERANCE_S:
        yield Finding("clock", name, "ok", "agrees with the server's")
        return
    direction = "ahead of" if ahead > 0 else "behind"
    yield Finding(
        "clock",
        name,
        "problem",
        f"this host's clock is {abs(ahead):.0f} s {direction} the server's",
        "set the clock (timedatectl set-ntp true); whether metadata has expired is judged by it",
        1,
    )


# --- this host -------------------------------------------------------------------------------------------------------


def _host(root: Path, *, is_deep: bool) -> Iterator[Finding]:
    store = Store(root)
    yield _disk(root)
    yield from _loose("store", _folders_of(store), _store_remedy(root))
    yield from _installations(store, is_deep=is_deep)
    yield from _plugins(store)
    yield _state(store)
    yield from _dependencies(store)
    yield from _yanked(store)
    yield from _locks(store)


def _configuration(config: Config) -> Iterator[Path]:
    """Yield the files and folders that define what this host trusts: configuration, roots and preinstalled archives."""
    yield from (config.path.parent, config.path)
    for section in config.registries.values():
        root = config.path.parent / section.root
        yield from (root.parent, root)
    yield from (config.builtin_folder, config.builtin_folder / "sealdex.lock")


def _folders_of(store: Store) -> Iterator[Path]:
    """Yield the folders and files of a store that decide what is installed, run or trusted."""
    yield Path(store.root)
    with suppress(OSError):
        yield from sorted(Path(store.root).iterdir())
    found, _ = look_over(store)
    yield from sorted({place for each in found for place in (each.path, *list(each.path.parents)[:2])})


def _store_remedy(root: Path) -> str:
    return f"chmod -R go-w {root} and chown -R it to its user; then: sealdex verify"


def _loose(check: str, places: Iterable[Path], remedy: str) -> Iterator[Finding]:
    for place in loose_places(dict.fromkeys(places)):
        yield Finding(check, place.path, "problem", place.why, remedy, 4 if place.by_anyone else 1)


def _disk(root: Path) -> Finding:
    place = root
    while not place.exists():
        place = place.parent
    try:
        if root.exists():
            with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-"):
                pass
        elif not os.access(place, os.W_OK):
            raise PermissionError(13, "Permission denied")
        free = shutil.disk_usage(place).free
    except OSError as error:
        remedy = "check the owner and permissions of the folder, or move the store with SEALDEX_STORE"
        return Finding("disk", str(root), "problem", f"can't be written: {error.strerror or error}", remedy, 1)
    detail = f"{free / 2**30:.1f} GiB free"
    remedy = (
        "free some space: sealdex cache gc --max-bytes 0, sealdex uninstall NAMESPACE/NAME, or move the store with "
        "SEALDEX_STORE"
    )
    if free < FULL_DISK_BYTES:
        return Finding("disk", str(root), "problem", detail, remedy, 1)
    return Finding(
        "disk", str(root), "warning" if free < LOW_DISK_BYTES else "ok", detail, _if(free < LOW_DISK_BYTES, remedy)
    )


def _installations(store: Store, *, is_deep: bool) -> Iterator[Finding]:
    found, damaged = look_over(store)
    for each in damaged:
        name = f"{each.namespace}/{each.name}@{each.version}"
        yield Finding(
            "store", each.path, "problem", each.why, f"to replace it: sealdex install {name}; or remove it", 4
        )
    broken = len(damaged)
    for installation in found:
        standing = verify_standing(store, installation, quick=not is_deep)
        findings = worse_than_extra(standing[1]) if standing is not None else []
        if findings:
            broken += 1
            name = f"{installation.namespace}/{installation.name}@{installation.version}"
            shown = "; ".join(map(str, findings[:_SHOWN]))
            yield Finding(
                "store", name, "problem", f"differs from what was installed: {shown}", f"sealdex install {name}", 4
            )
    if not broken:
        how = "hashed" if is_deep else "sizes and modes compared; to hash them: sealdex doctor --deep"
        yield Finding("store", store.root, "ok", f"{counted(len(found), 'installation')} ({how})")


def _plugins(store: Store, *, also_fine: bool = False) -> Iterator[Finding]:
    """Yield the plugins in use that a host couldn't load (status 2); with `also_fine` all of them."""
    known, used = statuses(store), in_use(store)
    failed = 0
    for plugin, installation in sorted(used.items()):
        status, error, pin = known.get((plugin.namespace, plugin.name), ENABLED)
        name, marks = f"{plugin.namespace}/{plugin.name}", ", pinned" if pin == installation.version else ""
        if STATUS_WORDS[status] == "error":
            failed += 1
            why = (error or "a host could not load it").splitlines()[0]
            remedy = f"once that is mended: sealdex enable {name}; or return: sealdex rollback"
            yield Finding("plugins", f"{name}@{installation.version}", "problem", why, remedy, 1)
        elif also_fine:
            yield Finding("plugins", f"{name}@{installation.version}", "ok", f"{STATUS_WORDS[status]}{marks}")
    if not failed and not also_fine:
        yield Finding("plugins", store.root, "ok", "no plugin in use failed to load")


def _state(store: Store) -> Finding:
    try:
        unfinished = State(store).unfinished()
    except SealdexError as error:
        return _problem("store", store.state_file, error)
    if unfinished:
        detail = f"{len(unfinished)} changes were interrupted"
        return Finding("store", store.state_file, "warning", detail, "the next install finishes or undoes them")
    return Finding("store", store.state_file, "ok", "can be read")


def _dependencies(store: Store) -> Iterator[Finding]:
    try:
        broken = broken_now(store)
    except SealdexError:  # `_state` reports what is wrong
        return
    for each in broken:
        remedy = f"{each.fix}, or sealdex update {each.need.plugin}"
        yield Finding("dependencies", str(each.need.plugin), "problem", str(each), remedy, 1)
    if not broken:
        yield Finding("dependencies", store.root, "ok", "all dependencies of the plugins in use are satisfied")


def _yanked(store: Store) -> Iterator[Finding]:
    known = yanked_releases(store)
    standing = {(*plugin, installation.version) for plugin, installation in in_use(store).items()}
    found = [installation for installation in installations(store) if (*installation.id, installation.version) in known]
    for each in found:
        name = f"{each.namespace}/{each.name}"
        is_used = (*each.id, each.version) in standing
        why = format_mark(known[each.namespace, each.name, each.version])
        detail = f"{'in use' if is_used else 'installed'}, and {why}"
        remedy = f"sealdex update {name}" if is_used else f"sealdex uninstall {name}@{each.version}"
        yield Finding("yanked", f"{name}@{each.version}", "problem", detail, remedy, 1)
    if not found:
        yield Finding("yanked", store.root, "ok", "no installed release is known to be yanked")


def _locks(store: Store) -> Iterator[Finding]:
    from filelock import FileLock, Timeout  # noqa: PLC0415  # only here

    held: list[str] = []
    folder = Path(store.change_lock).parent
    paths = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    for path in paths:
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:  # noqa: PERF203  # each lock is tried by itself
            held.append(path.relative_to(folder).as_posix())
        except OSError as error:
            remedy = "check the owner and permissions of the store"
            yield Finding("locks", str(path), "problem", f"can't be taken: {error.strerror or error}", remedy, 1)
            return
    if held:
        remedy = "wait for it; a lock ends with the process that holds it, so removing the files would not help"
        yield Finding("locks", ", ".join(held), "warning", "held: another sealdex is running", remedy)
    else:
        yield Finding("locks", str(folder), "ok", "none is held")


def _cache(config: Config) -> Iterator[Finding]:
    cache = ContentCache(Path(Store(config.store).cache_folder))
    stale = [digest for digest, _, written in partial_files(cache) if time.time() - written > STALE_PART_S]
    problems = []
    if is_over(cache, config.cache_limits):
        problems.append("is over its limits")
    if stale:
        problems.append(f"has {len(stale)} abandoned downloads")
    state: FindingState = "warning" if problems else "ok"
    yield Finding(
        "cache", str(cache.root), state, "; ".join(problems) or "within its limits", _if(problems, "sealdex cache gc")
    )


def _problem(check: str, subject: str, error: SealdexError) -> Finding:
    security = "SECURITY: " if isinstance(error, VerificationError) else ""
    return Finding(check, subject, "problem", f"{security}{error.message}", error.hint or "", error.exit_code)


def _if(condition: object, text: str) -> str:
    return text if condition else ""
