"""Checks of this host for `sealdex.doctor`: its store, what is installed in it, locks and disk; nothing is asked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from sealdex.errors import SealdexError, VerificationError
from sealdex.store.database import State
from sealdex.store.dependants import broken_now, in_use
from sealdex.store.installations import installations, look_over
from sealdex.store.layout import Store
from sealdex.store.ownership import loose_places
from sealdex.store.plugin_status import ENABLED, STATUS_WORDS, statuses
from sealdex.store.verify import verify_standing, worse_than_extra
from sealdex.store.yanked import format_mark, yanked_releases
from sealdex.text import counted

FindingState = Literal["ok", "warning", "problem"]
LOW_DISK_BYTES, FULL_DISK_BYTES = 2**30, 64 * 2**20
_SHOWN = 5


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


def of_host(root: Path, *, is_deep: bool) -> Iterator[Finding]:
    """Check the store in a folder and its disk; with `is_deep` installed files are hashed, else sizes are compared."""
    store = Store(root)
    yield _disk(root)
    yield from loose("store", _folders_of(store), _store_remedy(root))
    yield from _installations(store, is_deep=is_deep)
    yield from _plugins(store)
    yield _state(store)
    yield from _dependencies(store)
    yield from _yanked(store)
    yield from _locks(store)


def of_store(root: Path) -> Iterator[Finding]:
    """Check what is installed: each plugin in use, and what is wrong; neither locks nor disk."""
    store = Store(root)
    yield from loose("store", _folders_of(store), _store_remedy(root))
    yield from _plugins(store, also_fine=True)
    yield from (each for each in _installations(store, is_deep=False) if each.state != "ok")
    yield _state(store)
    yield from _dependencies(store)
    yield from _yanked(store)


def _folders_of(store: Store) -> Iterator[Path]:
    """Yield the folders and files of a store that decide what is installed, run or trusted."""
    yield Path(store.root)
    with suppress(OSError):
        yield from sorted(Path(store.root).iterdir())
    found, _ = look_over(store)
    yield from sorted({place for each in found for place in (each.path, *list(each.path.parents)[:2])})


def _store_remedy(root: Path) -> str:
    return f"chmod -R go-w {root} and chown -R it to its user; then: sealdex verify"


def loose(check: str, places: Iterable[Path], remedy: str) -> Iterator[Finding]:
    """Yield a problem for each place that others than its user can write to."""
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
        "disk", str(root), "warning" if free < LOW_DISK_BYTES else "ok", detail, remedy if free < LOW_DISK_BYTES else ""
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
        return problem_of("store", store.state_file, error)
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


def problem_of(check: str, subject: str, error: SealdexError) -> Finding:
    """Return the finding that an error is."""
    security = "SECURITY: " if isinstance(error, VerificationError) else ""
    return Finding(check, subject, "problem", f"{security}{error.message}", error.hint or "", error.exit_code)
