"""Diagnoses a host: configuration, registries, clock, store, locks, disk, cache; each finding has a remedy.

Nothing is changed except by refreshing metadata. A finding is ``ok``, ``warning`` (it works, but may not for long) or
``problem``; a problem has the exit code of a command that fails because of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sealdex._host_checks import Finding, FindingState, loose, of_host, of_store, problem_of
from sealdex.config.config import Config
from sealdex.config.credentials import credentials_of
from sealdex.config.document import max_staleness_of, registry_for
from sealdex.errors import SealdexError, VerificationError
from sealdex.events import Observer
from sealdex.paths import store_folder
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import STALE_PART_S, is_over, partial_files
from sealdex.store.dependants import in_use
from sealdex.store.layout import Store
from sealdex.text import counted
from sealdex.transport import Document, Transport
from sealdex.trust.registries import Registries
from sealdex.trust.registry import TrustedRegistry, TrustState

EXPIRES_SOON = timedelta(hours=36)
CLOCK_TOLERANCE_S = 300.0
_MAX_TIMESTAMP_BYTES = 16_384
_CONFIG_REMEDY = "chmod go-w, or chown, what others can write to"


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
            problem_of("config", error.subject or "config.toml", error),
            *of_host(Path(store_folder()), is_deep=is_deep),
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
    found += loose("config", _configuration(config), _CONFIG_REMEDY)
    with _transport(config, observer) as transport:
        registries = Registries(config, transport, observer or Observer())
        for name in with_registries:
            found += _registry(config, registries, transport, name, now)
        with suppress(SealdexError):  # errors were found above; earlier recorded yanks are reported anyway
            trusted = {each.subject for each in found if each.check == "trust" and each.state == "ok"}
            named = in_use(Store(config.store))
            registries.documents([p for p in named if registry_for(config.registries, p.namespace) in trusted])
    found += of_host(config.store, is_deep=is_deep)
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
        found.append(problem_of("config", error.subject or "config.toml", error))
    else:
        root, names = config.store, list(config.registries)
        found += loose("config", _configuration(config), _CONFIG_REMEDY)
        moment = time.time() if now is None else now
        with _transport(config, None) as transport:
            registries = Registries(config, transport, Observer(), offline=True)
            for name in names:
                found += _known(registries, name, moment)
    found += of_store(root)
    return found, {"registries": len(names), "plugins": len(in_use(Store(root)))}


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


def _registry(
    config: Config, registries: Registries, transport: Transport, name: str, said_now: float | None
) -> Iterator[Finding]:
    answers: dict[str, Document | SealdexError] = {}
    moments: dict[str, float] = {}
    for url in config.section(name).addresses:
        try:
            answers[url] = transport.read(f"{url.rstrip('/')}/metadata/timestamp.json", max_bytes=_MAX_TIMESTAMP_BYTES)
        except SealdexError as error:  # each address is asked
            answers[url] = error
        moments[url] = time.time() if said_now is None else said_now  # other addresses may take minutes
    given = [url for url, answer in answers.items() if not isinstance(answer, SealdexError)]
    for url, answer in answers.items():
        if not isinstance(answer, SealdexError):
            yield Finding("reachability", name, "ok", url)
        elif given:
            yield Finding("reachability", name, "warning", f"{url}: {answer.message}", answer.hint or "")
        else:
            yield problem_of("reachability", name, answer)
    if not given:
        return
    now, answer = moments[given[0]], answers[given[0]]
    if not isinstance(answer, SealdexError):
        yield from _clock(name, answer.date, now)
    try:
        state = registries.refresh(name)
    except SealdexError as error:
        yield problem_of("trust", name, error)
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
        yield problem_of("trust", name, error)
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


def _configuration(config: Config) -> Iterator[Path]:
    """Yield the files and folders that define what this host trusts: configuration, roots and preinstalled archives."""
    yield from (config.path.parent, config.path)
    for section in config.registries.values():
        root = config.path.parent / section.root
        yield from (root.parent, root)
    yield from (config.builtin_folder, config.builtin_folder / "sealdex.lock")


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
        "cache",
        str(cache.root),
        state,
        "; ".join(problems) or "within its limits",
        "sealdex cache gc" if problems else "",
    )


__all__ = ["CLOCK_TOLERANCE_S", "EXPIRES_SOON", "Finding", "examine", "standing"]
