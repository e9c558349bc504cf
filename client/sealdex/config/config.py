"""A host's effective configuration for one run: `sealdex.config.document` overridden by variables and options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sealdex.config.document import (
    CATCH_ALL,
    ConfigDocument,
    DownloadSection,
    EnvironmentSection,
    RegistrySection,
    config_problems,
    registry_for,
    url_problem,
)
from sealdex.config.host_facts import detect_environment
from sealdex.config.layers import sections_of, with_layers
from sealdex.config.toml_reader import parse_toml, read_toml_text
from sealdex.errors import ConfigError, NoRegistryError, NotFoundError
from sealdex.log import Log
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.environment import Environment
from sealdex.paths import CONFIG_VARIABLE, config_file, store_folder
from sealdex.record import Record
from sealdex.store.cache_policy import CacheLimits
from sealdex.store.layout import Store
from sealdex.transport.types import TransportSettings

_log = Log("sealdex.config")

__all__ = [
    "CATCH_ALL",
    "MAX_ROOT_BYTES",
    "Config",
    "ConfigDocument",
    "DownloadSection",
    "EnvironmentSection",
    "RegistrySection",
    "load_config",
    "parse_config",
    "registry_for",
    "url_problem",
]

MAX_ROOT_BYTES = 512 * 1024


class Config(Record, frozen=True):
    """The effective configuration of one run.

    Args:
        path: the file it was read from, or would be written to.
        store: the host's folder of caches and installations.
        document: the file's content, overridden by environment variables and options.
        origins: where each setting that isn't a default comes from: the file, ``$VARIABLE`` or ``--set``.
    """

    path: Path
    store: Path
    document: ConfigDocument = ConfigDocument()
    origins: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def registries(self) -> Mapping[str, RegistrySection]:
        """Registry name to its section, in file order."""
        return self.document.registries

    @property
    def environment(self) -> Environment:
        """The detected environment with the configured additions."""
        added = self.document.environment
        return detect_environment().with_additions(added.labels, frozenset(added.tags), added.host_version)

    def trust_folder(self, name: str) -> Path:
        """Return where a registry's verified metadata is cached; it is never a trust anchor."""
        return Path(Store(self.store).trust_folder(name))

    @property
    def cache_limits(self) -> CacheLimits:
        """The limits of the cache."""
        said = self.document.cache
        days = said.max_age_days
        return CacheLimits(said.max_bytes, None if days is None else days * 86400, said.eviction)

    @property
    def builtin_folder(self) -> Path:
        """Folder of preinstalled archives, whether it exists or not."""
        stated = self.document.install.builtin
        return self.path.parent / stated if stated is not None else Path(Store(self.store).builtin_folder)

    @property
    def transport_settings(self) -> TransportSettings:
        """Timeouts, retries and limits of requests."""
        limits = self.document.download
        return TransportSettings(
            connect_timeout=limits.connect_timeout,
            read_timeout=limits.timeout,
            no_progress_window=limits.no_progress_window,
            retries=limits.retry,
            first_contact_window=limits.first_contact_window,
            max_bytes_per_second=limits.max_bytes_per_second,
            min_bytes_per_second=limits.min_bytes_per_second,
            ca_bundle=self.path.parent / limits.ca_bundle if limits.ca_bundle is not None else None,
        )

    def registry_for(self, namespace: str) -> str:
        """Return the one registry that a namespace is looked up in.

        Raises:
            NoRegistryError: no registry is configured, or none claims the namespace.
        """
        found = registry_for(self.registries, namespace)
        if found is not None:
            return found
        if not self.registries:
            raise NoRegistryError(
                "no registry is configured",
                subject=str(self.path),
                hint="sealdex registry add NAME URL --root FILE",
            )
        raise NoRegistryError(
            f"no registry is configured for namespace '{namespace}'",
            subject=str(self.path),
            untouched="no registry was asked, because none may replace another",
            hint=f"add '{namespace}' to `namespaces` of the registry it belongs to; see: sealdex registry list",
        )

    def section(self, name: str) -> RegistrySection:
        """Return a registry's section.

        Raises:
            NotFoundError: there is no registry of that name; the nearest name is suggested.
        """
        found = self.registries.get(name)
        if found is not None:
            return found
        from sealdex.similar import most_similar  # noqa: PLC0415  # only for a typo

        near = most_similar(name, self.registries)
        raise NotFoundError(
            f"there is no registry '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""),
            subject=str(self.path),
            hint="sealdex registry list",
        )

    def root_bytes(self, name: str) -> bytes:
        """Read the trust root of a registry.

        Raises:
            ConfigError: the file can't be read or is too large to be a root.
        """
        path = self.path.parent / self.section(name).root
        hint = f"sealdex registry remove {name}, then add the registry again with --root FILE or --fingerprint SHA256"
        try:
            with path.open("rb") as file:
                data = file.read(MAX_ROOT_BYTES + 1)
        except OSError as error:
            raise ConfigError(
                f"the trust root of registry '{name}' can't be read: {error.strerror}", subject=str(path), hint=hint
            ) from error
        if len(data) > MAX_ROOT_BYTES:
            raise ConfigError(
                f"the trust root of registry '{name}' is larger than {MAX_ROOT_BYTES} bytes",
                subject=str(path),
                hint=hint,
            )
        return data


def load_config(
    path: Path | str | None = None, store: Path | str | None = None, options: Mapping[str, str] | None = None
) -> Config:
    """Read the configuration; the file need not exist.

    Environment variables override the file, and options override both; see `sealdex.config.layers`.

    Args:
        path: the file; default: ``$SEALDEX_CONFIG`` or in the user's configuration folder.
        store: the store; default: ``$SEALDEX_STORE`` or in the user's data folder.
        options: settings by name: ``{"download.timeout": "5"}``.

    Raises:
        UsageError: an option names a setting that doesn't exist.
        ConfigError: it can't be read or is invalid; every problem is named.
    """
    where = Path(config_file() if path is None else path).absolute()
    try:
        text = read_toml_text(where)
    except FileNotFoundError:
        text = ""
    sections = sections_of(ConfigDocument)
    values, origins = with_layers(_toml(text, str(where)), sections, os.environ, options or {}, str(where))
    changed = [f"{key} from {origin}" for key, origin in origins.items() if origin != str(where)]
    _log_origins(
        where, values, origins, chosen_by="--config" if path is not None else _chosen_by(), is_there=bool(text)
    )
    return Config(
        path=where,
        store=Path(store_folder() if store is None else store).absolute(),
        document=_read_document(values, " with ".join([str(where), *changed])),
        origins=origins,
    )


def _chosen_by() -> str:
    return f"${CONFIG_VARIABLE}" if os.environ.get(CONFIG_VARIABLE) else "the user's own"


def _log_origins(
    file: Path, values: Mapping[str, Any], origins: Mapping[str, str], *, chosen_by: str, is_there: bool
) -> None:
    if not _log.is_info:
        return
    state = "read" if is_there else "not there or empty, so the defaults hold"
    _log.info("config.file", "configuration {path} ({chosen_by}): {state}", path=file, chosen_by=chosen_by, state=state)
    for key, origin in sorted(origins.items()):
        section, _, field = key.partition(".")
        said = _log.info if origin != str(file) else _log.debug
        said("config.setting", "{key} = {value}, from {origin}", key=key, value=values[section][field], origin=origin)


def parse_config(text: str, subject: str = "config.toml") -> ConfigDocument:
    """Read the text of a configuration file strictly.

    Raises:
        ConfigError: not TOML, or fields are invalid; all of them are named.
    """
    return _read_document(_toml(text, subject), subject)


def _toml(text: str, subject: str) -> dict[str, Any]:
    return parse_toml(text, subject, f"edit {subject}")


def _read_document(values: Mapping[str, Any], subject: str) -> ConfigDocument:
    try:
        document = read_values(values, ConfigDocument)
        problems = config_problems(document)
    except DocumentError as error:
        problems = error.problems
    if problems:
        raise ConfigError("\n".join(map(str, problems)), subject=subject, hint=f"edit {subject}")
    return document
