"""Installs bundles: verifies everything from the root that this host trusts, then installs the lock, without a request.

What is carried is proved by the host's own memory of the newest state, before anything changes; then the lock is
installed as `sealdex.project` does it, with the bundle in the registry's place. `sealdex.bundle` makes bundles.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sealdex.client import Client
from sealdex.config.config import Config, RegistrySection
from sealdex.config.edit import add_registry, replace_file
from sealdex.download.bundle.anchor import (
    Pinned,
    address_of,
    check_addition,
    given_root,
    name_here,
    trusted_root,
)
from sealdex.download.bundle.container import Bundle, BundleHead, CarriedRegistry, damaged, open_bundle
from sealdex.download.bundle.proof import prove
from sealdex.download.mirror.selection import LockedRelease, Selection, check_selection
from sealdex.errors import (
    ConfigError,
    InstallError,
    NoMatchError,
    NotFoundError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from sealdex.events import Observer
from sealdex.lockfile.lock_file import LOCK_NAME, LockDocument, parse_lock
from sealdex.lockfile.project_file import WANTED_NAME
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, choose_artifact
from sealdex.model.plugin import Mark
from sealdex.model.precedence import is_prerelease, version_sort_key
from sealdex.project import Ensured, Project
from sealdex.store.hashing import hash_of_regular
from sealdex.store.layout import Store
from sealdex.store.staging import staging_folder
from sealdex.transport import Transport

PROJECT_FOLDER = "bundle"
"""In the store: where the lock of a bundle is recorded, if no folder is named."""

_NOTHING = "nothing was installed"


@dataclass(frozen=True, slots=True)
class InstalledBundle:
    """What installing a bundle did.

    Attributes:
        head: what the bundle says of itself.
        sha256: of the file.
        ensured: each plugin of the lock, dependencies first.
        folder: where the lock is recorded.
        registries: near name to the name here.
        added: the registry that was added to config.toml; None if it was there.
        passed_over: newer releases that the registry has signed for this host, by plugin.
        changed: whether anything is another than before.
        kept_wanted: whether another ``sealdex.toml`` is in the folder, which was left as it is.
    """

    head: BundleHead
    sha256: str
    ensured: Ensured
    folder: Path
    registries: Mapping[str, str]
    added: Pinned | None
    passed_over: Mapping[PluginId, str]
    changed: bool
    kept_wanted: bool


def install_bundle(
    config: Config,
    path: Path,
    *,
    root: Path | None = None,
    root_fingerprint: str | None = None,
    sha256: str | None = None,
    folder: Path | None = None,
    name: str | None = None,
    address: str | None = None,
    allow_downgrade: bool = False,
    observer: Observer | None = None,
    on_yanked: Callable[[PluginId, str, Mark], None] | None = None,
) -> InstalledBundle:
    """Install what a bundle carries, without a request to any registry; the same bundle again changes nothing.

    Nothing in the bundle sets trust: it starts from the root given here, or from that of the configured registry.

    Args:
        config: this host's configuration; a registry that it doesn't have is added to it, with the root given.
        path: the bundle.
        root: the root metadata that the user trusts.
        root_fingerprint: instead: its SHA-256; the file itself may be the bundle's.
        sha256: of the bundle, as told by whoever made it; another file is refused unopened.
        folder: where the lock is recorded; default: in the store.
        name: of a registry that isn't configured here; default: as where the bundle was made.
        address: likewise: where it is from here on; default: where the bundle was made from.
        allow_downgrade: replace plugins in use by older releases.
        observer: told about waits and progress.
        on_yanked: called with releases that were yanked, before they are installed.

    Raises:
        UsageError: no root is known, or another than the one that is configured.
        VerificationError: the bundle is damaged, is older than what this host has verified, lacks something or has what
            wasn't signed; or it would replace a plugin by an older one. Nothing was changed.
        NoMatchError: a locked release doesn't fit this host, or the bundle wasn't made for it.
        InstallError: as `sealdex.client.Client.install`.
    """
    path = path.resolve()
    digest = hash_of_regular(path)
    if digest is None:
        raise NotFoundError(f"there is no file {path} that can be read", subject=str(path), untouched=_NOTHING)
    if sha256 is not None and digest != sha256.strip().lower().removeprefix("sha256:"):
        raise VerificationError(
            f"{path} has the SHA-256 {digest}, not {sha256}",
            subject=str(path),
            untouched=_NOTHING,
            hint="copy it again, or ask whoever made it: somebody may have put another in its place",
        )
    store = Store(config.store)
    with open_bundle(path) as bundle, _staged(store, path) as staging, _forgetting(config) as new_trust:
        document = _lock_of(bundle)
        if (root is not None or root_fingerprint is not None) and len(bundle.head.registries) != 1:
            raise UsageError(
                "the bundle has plugins of several registries: --root and --fingerprint name one",
                subject=str(path),
                untouched=_NOTHING,
                hint="add each first: sealdex registry add NAME ADDRESS --root FILE --no-check",
            )
        names = [name_here(config, each, bundle) for each in bundle.head.registries]
        if root is None and root_fingerprint is None and None in names:
            raise UsageError(
                "trust has to start somewhere: give --root FILE or --fingerprint SHA256, or add the registry first",
                subject=str(path),
                untouched=_NOTHING,
                hint="get the root or its fingerprint from the registry's owners, over a way that you trust",
            )
        known = [each for each in names if each is not None]
        if len(set(known)) != len(known):
            raise damaged(path, "two of its registries have plugins of one")
        sections: dict[str, RegistrySection] = {}
        added: Pinned | None = None
        with Transport(config.transport_settings) as transport:
            for number, (carried, here) in enumerate(zip(bundle.head.registries, names, strict=True)):
                tree = staging / str(number)
                tree.mkdir()
                bundle.unpack(number, tree)
                url = tree.resolve().as_uri() + "/"
                given = given_root(root, root_fingerprint, url, transport, path)
                if here is None and given is not None:
                    added = Pinned(name or carried.name, address_of(address or carried.source), given)
                    check_addition(config, added, path)
                called = here or (added.name if added is not None else "")
                data = trusted_root(config, here, given)
                pinned = staging / f"{number}.root.json"
                pinned.write_bytes(data)
                section = config.registries.get(called) or RegistrySection(url=url, root=str(pinned))
                sections[called] = msgspec.structs.replace(
                    section, url=url, root=str(pinned), auth=None, mirrors=(), partial=False
                )
                new_trust.append(called)
                prove(config, called, url, data, tree, _selection(carried, document, bundle), transport, path)
        _gather(staging, len(names))
        project = staging / "project"
        project.mkdir()
        (project / LOCK_NAME).write_bytes(bundle.lock)
        if bundle.wanted is not None:
            (project / WANTED_NAME).write_bytes(bundle.wanted)
        with Client(_config_of(config, sections, staging / "files"), observer=observer) as client:
            _refuse_downgrades(client, document, path, allowed=allow_downgrade)
            documents = client.documents([block.id for block in document.plugin])
            passed_over = dict(_passed_over(client, document, documents))
            try:
                ensured = Project(project, client).ensure(
                    document, fallback=False, is_current=False, on_yanked=on_yanked
                )
            except UnavailableError as error:
                raise _lacking(bundle, error) from error
        target = folder if folder is not None else config.store / PROJECT_FOLDER
        if added is not None:
            add_registry(config, added.name, added.url, (), added.root)
        new_trust.clear()
        changed, kept_wanted = _record(bundle, target, is_ours=folder is None)
    changed = changed or added is not None or any(e.action != "keep" or e.previous for e in ensured.installed)
    here_by_near = {
        each.name: here or (added.name if added is not None else "")
        for each, here in zip(bundle.head.registries, names, strict=True)
    }
    return InstalledBundle(bundle.head, digest, ensured, target, here_by_near, added, passed_over, changed, kept_wanted)


@contextmanager
def _staged(store: Store, path: Path) -> Iterator[Path]:
    try:
        with staging_folder(store) as staging:
            yield staging
    except OSError as error:
        raise InstallError(
            f"{path} can't be read, or the store not be written: {error.strerror}",
            subject=str(path),
            untouched=_NOTHING,
            hint="check the medium, the room and the permissions, and run it again",
        ) from error


@contextmanager
def _forgetting(config: Config) -> Iterator[list[str]]:
    """Remove the trust of registries that a refused bundle brought, and that this host didn't know before."""
    there = {path.name for path in config.trust_folder("x").parent.glob("*")}
    new: list[str] = []
    try:
        yield new
    finally:
        for name in new:
            if name and config.trust_folder(name).name not in there:
                shutil.rmtree(config.trust_folder(name), ignore_errors=True)


def _lock_of(bundle: Bundle) -> LockDocument:
    try:
        document = parse_lock(bundle.lock.decode(), f"{LOCK_NAME} of {bundle.path}")
        plugins = {str(block.id) for block in document.plugin}
    except (ConfigError, ValueError) as error:
        raise damaged(bundle.path, str(error)) from error
    carried = [plugin for registry in bundle.head.registries for plugin in registry.plugins]
    if sorted(carried) != sorted(plugins):
        raise damaged(bundle.path, f"its {LOCK_NAME} names other plugins than it has")
    return document


def _selection(carried: CarriedRegistry, document: LockDocument, bundle: Bundle) -> Selection:
    mine = set(carried.plugins)
    locked = tuple(_locked(block.id, document) for block in document.plugin if block.name in mine)
    try:
        return check_selection(Selection(platforms=bundle.head.platforms, locked=locked))
    except UsageError as error:
        raise damaged(bundle.path, error.message) from error


def _locked(plugin: PluginId, document: LockDocument) -> LockedRelease:
    block = document.by_id[plugin]
    return LockedRelease(str(plugin), block.version, block.manifest.sha256)


def _gather(staging: Path, count: int) -> None:
    """Put the files of all archives into one folder, in which archives and manifests are looked for by digest."""
    files = staging / "files" / "plugins"
    files.mkdir(parents=True)
    for number in range(count):
        for namespace in sorted((staging / str(number) / "plugins").glob("*")):
            if not (files / namespace.name).exists():
                namespace.rename(files / namespace.name)


def _config_of(config: Config, sections: Mapping[str, RegistrySection], files: Path) -> Config:
    """Return the configuration in which the bundle stands in the place of its registries."""
    document = msgspec.structs.replace(
        config.document,
        registries={**config.registries, **sections},
        install=msgspec.structs.replace(config.document.install, builtin=str(files)),
    )
    return dataclasses.replace(config, document=document)


def _refuse_downgrades(client: Client, document: LockDocument, path: Path, *, allowed: bool) -> None:
    older = []
    for block in document.plugin:
        current = client.current(block.id)
        if current is not None and version_sort_key(block.version) < version_sort_key(current.version):
            older.append(f"{block.id} {block.version} in place of {current.version}")
    if older and not allowed:
        raise VerificationError(
            f"the bundle would replace plugins by older releases: {', '.join(older)}",
            subject=str(path),
            untouched=_NOTHING,
            hint="nobody signs which releases a lock names: ask whoever made it; if it is meant so: --allow-downgrade",
        )


def _passed_over(
    client: Client, document: LockDocument, documents: Mapping[PluginId, IndexDocument | None]
) -> Iterator[tuple[PluginId, str]]:
    """Yield the newest signed release of each plugin that is newer than the locked one and could be used here."""
    here = client.environment
    for block in document.plugin:
        signed = documents[block.id]
        newer = [
            release.version
            for release in (signed.releases if signed is not None else ())
            if release.yanked is None
            and not is_prerelease(release.version)
            and version_sort_key(release.version) > version_sort_key(block.version)
            and (choose_artifact(release, here)[0] is not None or not release.artifacts)
        ]
        if newer:
            yield block.id, max(newer, key=version_sort_key)


def _lacking(bundle: Bundle, error: UnavailableError) -> VerificationError | NoMatchError:
    if bundle.head.platforms:
        return NoMatchError(
            f"the bundle was made for {', '.join(bundle.head.platforms)}, and this host needs another artifact: "
            f"{error.message}",
            subject=str(bundle.path),
            untouched=_NOTHING,
            hint="have it made with this host's --platform (sealdex env), or without one",
        )
    return damaged(bundle.path, error.message)


def _record(bundle: Bundle, folder: Path, *, is_ours: bool) -> tuple[bool, bool]:
    """Write lock and ``sealdex.toml`` into a folder; say whether the lock is another, and whether a toml was kept."""
    try:
        kept = False
        if bundle.wanted is not None:
            wanted = folder / WANTED_NAME
            there = _bytes_of(wanted)
            kept = there is not None and there != bundle.wanted and not is_ours
            if there != bundle.wanted and not kept:
                _write(wanted, bundle.wanted)
        elif is_ours:
            (folder / WANTED_NAME).unlink(missing_ok=True)  # of an earlier bundle
        if _bytes_of(folder / LOCK_NAME) == bundle.lock:
            return False, kept
        _write(folder / LOCK_NAME, bundle.lock)
    except OSError as error:
        raise InstallError(
            f"the lock can't be recorded in {folder}: {error.strerror}",
            subject=str(folder),
            untouched="the plugins are installed",
            hint="name another folder: --project DIR",
        ) from error
    return True, kept


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    replace_file(path, data)
    path.chmod(0o644)


__all__ = ["PROJECT_FOLDER", "InstalledBundle", "Pinned", "install_bundle"]
