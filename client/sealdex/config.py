"""``config.toml`` of the client: registries and their namespaces, the environment, limits of downloads.

    [registries.public]
    url = "https://plugins.example.org/"
    root = "roots/public.root.json"          # relative to this file; trust starts from these bytes, on every run

    [registries.team]
    url = "https://team.example.org/plugins/"
    root = "roots/team.root.json"
    namespaces = ["acme", "team-*"]          # left out: everything that no other registry claims

    [environment]
    labels = { gpu = "a100" }
    tags = ["cuda-11.8"]
    host_version = "3.2.0"

    [download]
    concurrent = 3

    [cache]
    max_bytes = 10_737_418_240
    max_age_days = 90
    eviction = "lru"

A namespace belongs to one registry and is never looked up in another, whatever that other one offers: otherwise who may
publish there could stand in for a private plugin (dependency confusion). Explicit patterns beat ``*``; among explicit
ones the first in the file counts.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from sealdex.config_layers import sections_of, with_layers
from sealdex.errors import ConfigError, NotFoundError
from sealdex.model.decode import DocumentError, FieldProblem, read_values
from sealdex.model.environment import Environment, detect_environment
from sealdex.model.ids import IdentifierPart
from sealdex.model.selectors import LabelKey, LabelValue, Tag
from sealdex.model.versions import VersionText
from sealdex.places import config_file, store_folder
from sealdex.store.cache_policy import CacheLimits
from sealdex.store.layout import Store
from sealdex.transport.types import TransportSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CATCH_ALL = "*"
MAX_ROOT_BYTES = 512 * 1024

NamespacePattern = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9*]([a-z0-9._*-]*[a-z0-9*])?\Z",
        max_length=64,
        extra={"expects": "a namespace such as 'acme', or a pattern such as 'team-*' or '*'"},
    ),
]


class RegistrySection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[registries.NAME]``.

    Attributes:
        url: where the published tree is read: https, http or file; no user, password or query.
        root: file of the trust root, relative to the configuration file's folder.
        namespaces: what is looked up here and nowhere else.
    """

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    root: Annotated[str, Meta(min_length=1, max_length=1024)]
    namespaces: Annotated[tuple[NamespacePattern, ...], Meta(min_length=1)] = (CATCH_ALL,)


class EnvironmentSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[environment]``: what detection can't know. Labels override detected ones."""

    labels: dict[LabelKey, LabelValue] = {}
    tags: tuple[Tag, ...] = ()
    host_version: VersionText | None = None


class DownloadSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[download]``.

    Attributes:
        connect_timeout: seconds for a connection and its TLS handshake.
        timeout: seconds without a byte after which a connection is given up and tried again.
        no_progress_window: seconds without progress, over all tries, that end a download.
        first_contact_window: seconds within which a host must be reached for the first time, over all tries.
        retry: how often one request is tried again before it has failed, progress counting anew; 0: never. Left out:
            as often as `no_progress_window` lasts, which ends it in any case.
        concurrent: index documents or artifacts fetched at the same time.
        max_plugin_size: bytes that one artifact may have at most, above all where its size isn't signed.
        max_bytes_per_second: limit over all downloads together.
        ca_bundle: PEM file of certificate authorities, relative to the configuration file's folder.
    """

    connect_timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 20.0
    no_progress_window: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    first_contact_window: Annotated[float, Meta(ge=0, le=86400)] = 3.0
    retry: Annotated[int, Meta(ge=0, le=1000)] | None = None
    concurrent: Annotated[int, Meta(ge=1, le=64)] = 3
    max_plugin_size: Annotated[int, Meta(gt=0)] = 16 * 1024**3
    max_bytes_per_second: Annotated[int, Meta(gt=0)] | None = None
    ca_bundle: str | None = None


class CacheSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[cache]``: what the cache of downloads may hold. It is brought within these limits after installs.

    Attributes:
        max_bytes: of all files together.
        max_age_days: days since its last use after which a file goes; left out: none goes for its age.
        eviction: who goes first when there is too much: ``lru``, ``lfu`` or ``fifo``.
    """

    max_bytes: Annotated[int, Meta(ge=0)] = 10 * 1024**3
    max_age_days: Annotated[float, Meta(gt=0)] | None = None
    eviction: Annotated[
        str, Meta(pattern=r"^(lru|lfu|fifo)\Z", extra={"expects": "one of 'lru', 'lfu' and 'fifo'"})
    ] = "lru"


class InstallSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[install]``.

    Attributes:
        require_signed: refuse archives that nobody signed, whatever a command says.
        builtin: folder of preinstalled archives with their ``sealdex.lock``, relative to the configuration file's
            folder; ``<store>/builtin`` when left out.
    """

    require_signed: bool = True
    builtin: Annotated[str, Meta(min_length=1)] | None = None


class UpdateSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[update]``.

    Attributes:
        auto_check_update: have commands that ask a registry anyway say what is outdated.
        update_check_interval: seconds between two such looks.
    """

    auto_check_update: bool = False
    update_check_interval: Annotated[float, Meta(ge=0)] = 86400.0


class RuntimeSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[runtime]``.

    Attributes:
        load_timeout: seconds that a plugin may take to load and initialise.
        metrics_file: where commands add their metrics, for node-exporter; relative to the configuration file's folder.
    """

    load_timeout: Annotated[float, Meta(gt=0, le=86400)] = 30.0
    metrics_file: str | None = None


class ConfigDocument(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """The whole of ``config.toml``."""

    registries: dict[IdentifierPart, RegistrySection] = {}
    environment: EnvironmentSection = field(default_factory=EnvironmentSection)
    download: DownloadSection = field(default_factory=DownloadSection)
    cache: CacheSection = field(default_factory=CacheSection)
    install: InstallSection = field(default_factory=InstallSection)
    update: UpdateSection = field(default_factory=UpdateSection)
    runtime: RuntimeSection = field(default_factory=RuntimeSection)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration as it holds for one run.

    Args:
        path: the file it was read from, or would be written to.
        store: the host's folder of caches and installations.
        document: what the file says, with environment variables and options over it.
        origins: where each setting that isn't a default is from: the file, ``$VARIABLE`` or ``--set``.
    """

    path: Path
    store: Path
    document: ConfigDocument = ConfigDocument()  # noqa: RUF009  # frozen, so one for all is right
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)

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
        """Return where a registry's verified metadata is cached; it is never an anchor of trust."""
        return Path(Store(self.store).trust_folder(name))

    @property
    def cache_limits(self) -> CacheLimits:
        """What the cache may hold."""
        said = self.document.cache
        days = said.max_age_days
        return CacheLimits(said.max_bytes, None if days is None else days * 86400, said.eviction)

    @property
    def builtin_folder(self) -> Path:
        """Folder of preinstalled archives, whether it is there or not."""
        stated = self.document.install.builtin
        return self.path.parent / stated if stated is not None else Path(Store(self.store).builtin_folder)

    @property
    def transport_settings(self) -> TransportSettings:
        """How patient and how greedy requests are."""
        limits = self.document.download
        return TransportSettings(
            connect_timeout=limits.connect_timeout,
            read_timeout=limits.timeout,
            no_progress_window=limits.no_progress_window,
            retries=limits.retry,
            first_contact_window=limits.first_contact_window,
            max_bytes_per_second=limits.max_bytes_per_second,
            ca_bundle=self.path.parent / limits.ca_bundle if limits.ca_bundle is not None else None,
        )

    def registry_for(self, namespace: str) -> str:
        """Return the one registry that a namespace is looked up in.

        Raises:
            NotFoundError: no registry is configured, or none claims the namespace.
        """
        found = registry_for(self.registries, namespace)
        if found is not None:
            return found
        if not self.registries:
            raise NotFoundError(
                "no registry is configured",
                subject=str(self.path),
                hint="sealdex registry add NAME URL --root FILE",
            )
        raise NotFoundError(
            f"no registry is configured for namespace '{namespace}'",
            subject=str(self.path),
            untouched="no registry was asked, so that none can stand in for another",
            hint=f"add '{namespace}' to `namespaces` of the registry it belongs to; see: sealdex registry list",
        )

    def section(self, name: str) -> RegistrySection:
        """Return a registry's section.

        Raises:
            NotFoundError: there is no registry of that name; the nearest name is given.
        """
        found = self.registries.get(name)
        if found is not None:
            return found
        import difflib  # noqa: PLC0415  # only for a typo

        near = difflib.get_close_matches(name, self.registries, n=1)
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
        hint = f"sealdex registry remove {name}, then add it again with --root FILE or --fingerprint SHA256"
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


def registry_for(registries: Mapping[str, RegistrySection], namespace: str) -> str | None:
    """Return the name of the registry that a namespace belongs to, or None.

    The first explicit pattern that matches, in file order; else the catch-all. Terminating: whoever gets None or a name
    asks nobody else.
    """
    fallback: str | None = None
    for name, section in registries.items():
        for pattern in section.namespaces:
            if _is_catch_all(pattern):
                fallback = fallback or name
            elif _pattern(pattern).fullmatch(namespace):
                return name
    return fallback


@functools.lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


def _is_catch_all(pattern: str) -> bool:
    return not pattern.strip("*")


def load_config(
    path: Path | str | None = None, store: Path | str | None = None, options: Mapping[str, str] | None = None
) -> Config:
    """Read the configuration; a file that doesn't exist says nothing, and nothing is wrong with that.

    Environment variables stand over the file and options over both, see `sealdex.config_layers`.

    Args:
        path: the file; ``$SEALDEX_CONFIG`` or the user's configuration folder when left out.
        store: the store; ``$SEALDEX_STORE`` or the user's data folder when left out.
        options: settings by name: ``{"download.timeout": "5"}``.

    Raises:
        UsageError: an option names no setting.
        ConfigError: it can't be read or is wrong; every problem is named.
    """
    where = Path(config_file() if path is None else path).absolute()
    try:
        text = where.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't be read: {error}", subject=str(where)) from error
    sections = sections_of(ConfigDocument)
    values, origins = with_layers(_toml(text, str(where)), sections, os.environ, options or {}, str(where))
    changed = [f"{key} from {origin}" for key, origin in origins.items() if origin != str(where)]
    return Config(
        path=where,
        store=Path(store_folder() if store is None else store).absolute(),
        document=_read_document(values, " with ".join([str(where), *changed])),
        origins=origins,
    )


def parse_config(text: str, subject: str = "config.toml") -> ConfigDocument:
    """Read the text of a configuration file strictly.

    Raises:
        ConfigError: not TOML, or fields are wrong; all of them are named.
    """
    return _read_document(_toml(text, subject), subject)


def _toml(text: str, subject: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not valid TOML: {error}", subject=subject) from error


def _read_document(values: Mapping[str, Any], subject: str) -> ConfigDocument:
    try:
        document = read_values(values, ConfigDocument)
        problems = config_problems(document)
    except DocumentError as error:
        problems = error.problems
    if problems:
        raise ConfigError("\n".join(map(str, problems)), subject=subject, hint=f"edit {subject}")
    return document


def config_problems(document: ConfigDocument) -> list[FieldProblem]:
    """Return what the types don't express: addresses that can't be read, a second catch-all."""
    problems: list[FieldProblem] = []
    catch_all: str | None = None
    for name, section in document.registries.items():
        if problem := url_problem(section.url):
            problems.append(FieldProblem(f"registries.{name}.url", problem))
        if any(map(_is_catch_all, section.namespaces)):
            if catch_all is not None:
                problems.append(
                    FieldProblem(
                        f"registries.{name}.namespaces",
                        f"is '*', but '{catch_all}' takes every namespace already: "
                        "name the namespaces of one of them (registry add --namespace NAMESPACE)",
                    )
                )
            catch_all = catch_all or name
    return problems


def url_problem(url: str) -> str | None:
    """Say why a registry can't lie at an address, or None when it can."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a property that checks
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme not in {"https", "http", "file"}:
        return "must be an https://, http:// or file:// address"
    if parts.scheme != "file" and not parts.hostname:
        return "names no host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or password: ~/.netrc is the place for them"
    if parts.query or parts.fragment:
        return "must not have a query or a fragment"
    if any(c.isspace() or not c.isprintable() for c in url):
        return "contains white space or control characters"
    return None
