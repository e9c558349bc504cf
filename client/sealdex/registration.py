"""Adds a registry to a host's configuration, and removes it: metadata is verified before anything is written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sealdex.config
from sealdex import trust
from sealdex.config import MAX_ROOT_BYTES, ConfigDocument, auth_problem, credentials_for, url_problem
from sealdex.config.config import Config, RegistrySection
from sealdex.config.document import max_staleness_of, mirror_problems
from sealdex.config.toml_reader import read_given
from sealdex.errors import SealdexError, UnavailableError, UsageError
from sealdex.events import Observer
from sealdex.model.decode import DocumentError, read_values
from sealdex.transport import GENERAL_HINTS, Addresses, Transport
from sealdex.transport.stop import Stop
from sealdex.trust import TrustedRegistry, TrustState

_UNTOUCHED = "no registry was added"
_HELP = "sealdex registry add --help"


@dataclass(frozen=True, slots=True)
class Added:
    """A registry that was added.

    Attributes:
        name, section: as the configuration has it.
        root_version: of the root that is pinned now.
        fingerprint: SHA-256 of that root, in hex.
        state: what was verified; None if the registry wasn't asked.
    """

    name: str
    section: RegistrySection
    root: bytes
    root_version: int
    fingerprint: str
    state: TrustState | None


def add_registry(
    config: Config,
    name: str,
    addresses: Sequence[str],
    *,
    root: Path | None = None,
    fingerprint: str | None = None,
    namespaces: Sequence[str] = (),
    auth: Mapping[str, Any] | None = None,
    max_staleness: str | None = None,
    partial: bool = False,
    check: bool = True,
    observer: Observer | None = None,
    stop: Stop | None = None,
) -> Added:
    """Add a registry by its addresses and its trusted root.

    Args:
        config: the configuration, whose file is edited.
        name: what the registry is called on this host.
        addresses: where it is, in order of preference; folders of this host too.
        root: its root metadata, obtained from its owners over a trusted channel.
        fingerprint: instead of that: the SHA-256 of the root that is fetched.
        namespaces: patterns of the namespaces that are looked up there only; empty: all that no other registry claims.
        auth: where its credentials are kept, as ``auth`` of config.toml says it.
        max_staleness: up to which age expired metadata is used, such as ``90d``.
        partial: it is a mirror of a part.
        check: ask the registry before anything is written.
        observer: told about waits and retries.
        stop: ends it.

    Raises:
        UsageError: not exactly one of root and fingerprint; a name, address or pattern that isn't valid, or is taken.
        ConfigError: the configuration can't be edited.
        VerificationError, UnavailableError: as `sealdex.trust.TrustedRegistry.refresh`; nothing was written.
    """
    if (root is None) == (fingerprint is None):
        raise UsageError(
            "no trusted root: give either --root FILE or --fingerprint SHA256",
            subject=name,
            untouched=_UNTOUCHED,
            hint="get the file or its fingerprint from the registry's owners over a channel that you trust",
        )
    if not addresses:
        raise UsageError("no address was given", subject=name, untouched=_UNTOUCHED, hint=_HELP)
    told = observer or Observer()
    address, *mirrors = (_address(name, url) for url in addresses)
    section = _section(name, address, mirrors, namespaces, auth, max_staleness, partial=partial)
    written = config.path.read_text(encoding="utf-8") if config.path.exists() else ""
    sealdex.config.with_registry(written, name, section)  # or raise
    with Transport(
        config.transport_settings,
        credentials=credentials_for(
            {name: section, **config.registries}, config.path.parent, config.document.auth, told.waiting
        ),
        on_retry=told.retrying,
        stop=stop,
    ) as transport:
        places = Addresses(section.addresses, lambda url, error: told.left(name, url, error))
        data = _root_bytes(transport, places, root, fingerprint)
        version = trust.check_root(data)
        state = None
        if check:
            trusted = TrustedRegistry(
                name,
                places,
                data,
                config.trust_folder(name),
                transport,
                on_wait=told.waiting,
                max_staleness=max_staleness_of(section),
            )
            state = _checked(trusted)
    sealdex.config.add_registry(
        config,
        name,
        address,
        tuple(namespaces),
        data,
        section.auth,
        section.max_staleness,
        section.mirrors,
        partial=partial,
    )
    return Added(name, section, data, version, hashlib.sha256(data).hexdigest(), state)


def remove_registry(config: Config, name: str) -> RegistrySection:
    """Remove a registry, its root and its cached metadata; what was installed from it is kept.

    Raises:
        NotFoundError: there is none of that name.
        ConfigError: the configuration can't be edited.
    """
    section = sealdex.config.remove_registry(config, name)
    shutil.rmtree(config.trust_folder(name), ignore_errors=True)
    return section


def _address(name: str, url: str) -> str:
    if "://" not in url and Path(url).is_dir():
        url = Path(url).resolve().as_uri() + "/"
    if problem := url_problem(url):
        raise UsageError(
            f"'{url}' {problem}",
            subject=name,
            untouched=_UNTOUCHED,
            hint="use an address such as https://plugins.example.org/ or an existing folder",
        )
    return url


def _section(
    name: str,
    url: str,
    mirrors: list[str],
    namespaces: Sequence[str],
    auth: Mapping[str, Any] | None,
    max_staleness: str | None,
    *,
    partial: bool,
) -> RegistrySection:
    section: dict[str, Any] = {"url": url, "root": f"roots/{name}.root.json"}
    if mirrors:
        section["mirrors"] = mirrors
    if partial:
        section["partial"] = True
    if namespaces:
        section["namespaces"] = list(namespaces)
    if auth is not None:
        section["auth"] = dict(auth)
    if max_staleness is not None:
        section["max_staleness"] = max_staleness
    try:
        document = read_values({"registries": {name: section}}, ConfigDocument)
    except DocumentError as error:
        raise UsageError(
            "; ".join(f"{_option_of(problem.path)} {problem.message}" for problem in error.problems),
            subject=name,
            untouched=_UNTOUCHED,
            hint=_HELP,
        ) from error
    made = document.registries[name]
    if made.auth is not None and (problem := auth_problem(made.auth, made.url)):
        raise UsageError(f"auth {problem}", subject=name, untouched=_UNTOUCHED, hint=_HELP)
    if problems := list(mirror_problems(name, made)):
        raise UsageError(
            "; ".join(f"an ADDRESS {problem.message}" for problem in problems),
            subject=name,
            untouched=_UNTOUCHED,
            hint=_HELP,
        )
    return made


def _option_of(path: str) -> str:
    if path.endswith(".max_staleness"):
        return "--max-staleness"
    return "a --namespace" if ".namespaces" in path else "NAME"


def _root_bytes(transport: Transport, addresses: Addresses, root: Path | None, fingerprint: str | None) -> bytes:
    if root is None:
        return addresses.fetch(lambda url: trust.fetch_root_by_fingerprint(url, fingerprint or "", transport))
    try:
        return read_given(root, MAX_ROOT_BYTES)
    except OSError as error:
        raise UsageError(
            f"the root can't be read: {error.strerror or error}", subject=str(root), untouched=_UNTOUCHED
        ) from error


def _checked(registry: TrustedRegistry) -> TrustState:
    """Fetch and verify the registry's metadata before anything is written to the configuration."""
    was_there = registry.folder.exists()
    try:
        return registry.refresh()
    except SealdexError as error:
        if not was_there:
            shutil.rmtree(registry.folder, ignore_errors=True)
        hint = None
        if isinstance(error, UnavailableError):
            known = error.hint if error.hint is not None and error.hint not in GENERAL_HINTS else "check the address"
            hint = f"{known}; to add it without asking: --no-check"
        raise error.restated(untouched=_UNTOUCHED, hint=hint) from error
