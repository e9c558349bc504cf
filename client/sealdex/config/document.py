"""What ``config.toml`` of the client says: its sections, what is wrong with them, which registry a namespace has. Pure.

    [registries.public]
    url = "https://plugins.example.org/"
    root = "roots/public.root.json"          # relative to this file; trust starts from these bytes, on every run

    [registries.team]
    url = "https://team.example.org/plugins/"
    root = "roots/team.root.json"
    namespaces = ["acme", "team-*"]          # left out: everything that no other registry claims
    auth = { type = "bearer", token_env = "TEAM_TOKEN" }     # see `AuthSection`; never the secret itself

    [environment]
    labels = { gpu = "a100" }
    tags = ["cuda-11.8"]
    host_version = "3.2.0"

    [download]
    concurrent = 3

    [attestations]                           # see `sealdex.config.attestation_policy`
    required = ["acme"]

    [cache]
    max_bytes = 10_737_418_240
    max_age_days = 90
    eviction = "lru"

A namespace belongs to one registry and is never looked up in another, whatever that other one offers: otherwise who may
publish there could stand in for a private plugin (dependency confusion). Explicit patterns beat ``*``; among explicit
ones the first in the file counts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from sealdex.config.attestation_policy import AttestationPolicy, policy_problems
from sealdex.model.decode import FieldProblem
from sealdex.model.ids import IdentifierPart, NamespacePattern
from sealdex.model.selectors import LabelKey, LabelValue, Tag
from sealdex.model.versions import VersionText

CATCH_ALL = "*"

_Name = Annotated[str, Meta(min_length=1, max_length=1024)]


class AuthSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``auth`` of a registry: where its credentials are, never they themselves.

    Attributes:
        type: ``bearer``, ``basic``, ``netrc`` or ``sigv4``.
        token_env, token_file: of ``bearer``: the environment variable or the file with the token.
        user, password_env, password_file: of ``basic``.
        netrc_file: of ``netrc``; ``$NETRC`` or ``~/.netrc`` when left out.
        region, profile: of ``sigv4``, for S3; keys come from where AWS's own tools have them (needs sealdex[s3]).

    Files are relative to the configuration file's folder.
    """

    type: Annotated[
        str,
        Meta(
            pattern=r"^(bearer|basic|netrc|sigv4)\Z",
            extra={"expects": "one of 'bearer', 'basic', 'netrc' and 'sigv4'"},
        ),
    ]
    token_env: _Name | None = None
    token_file: _Name | None = None
    user: _Name | None = None
    password_env: _Name | None = None
    password_file: _Name | None = None
    netrc_file: _Name | None = None
    region: _Name | None = None
    profile: _Name | None = None


class RegistrySection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[registries.NAME]``.

    Attributes:
        url: where the published tree is read: https, http or file; no user, password or query.
        root: file of the trust root, relative to the configuration file's folder.
        namespaces: what is looked up here and nowhere else.
        auth: what to say to be let in; nothing when left out.
    """

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    root: Annotated[str, Meta(min_length=1, max_length=1024)]
    namespaces: Annotated[tuple[NamespacePattern, ...], Meta(min_length=1)] = (CATCH_ALL,)
    auth: AuthSection | None = None


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
        min_bytes_per_second: a request that waits for less on the whole is given up; 0: none is.
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
    min_bytes_per_second: Annotated[int, Meta(ge=0)] = 256
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
        resolve_timeout: seconds that the search for releases that fit each other may take, without the wait for what
            registries say.
    """

    require_signed: bool = True
    builtin: Annotated[str, Meta(min_length=1)] | None = None
    resolve_timeout: Annotated[float, Meta(gt=0, le=86400)] = 60.0


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
    # no section that variables and options could change: whose word counts is written down, not passed along
    attestations: AttestationPolicy | None = None


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


def config_problems(document: ConfigDocument) -> list[FieldProblem]:
    """Return what the types don't express: addresses that can't be read, a second catch-all."""
    problems: list[FieldProblem] = []
    catch_all: str | None = None
    for name, section in document.registries.items():
        if problem := url_problem(section.url):
            problems.append(FieldProblem(f"registries.{name}.url", problem))
        elif section.auth is not None and (problem := auth_problem(section.auth, section.url)):
            problems.append(FieldProblem(f"registries.{name}.auth", problem))
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
    problems += policy_problems(document.attestations)
    return problems


_AUTH_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # of each group exactly one; of the last any
    "bearer": (("token_env", "token_file"), ()),
    "basic": (("user",), ("password_env", "password_file"), ()),
    "netrc": (("netrc_file",),),
    "sigv4": (("region",), ("profile",)),
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def auth_problem(auth: AuthSection, url: str) -> str | None:
    """Say what is wrong with the credentials of a registry at an address, or None."""
    parts = urlsplit(url)
    *needed, more = _AUTH_FIELDS[auth.type]
    given = {name for name in auth.__struct_fields__ if name != "type" and getattr(auth, name) is not None}
    for group in needed:
        if len(given.intersection(group)) != 1:
            return f"of type '{auth.type}' needs {' or '.join(group)}{'' if len(group) == 1 else ', one of both'}"
    if strangers := sorted(given.difference(more, *needed)):
        return f"of type '{auth.type}' has no {', '.join(strangers)}"
    if parts.scheme not in {"https", "http"}:
        return "is for https:// addresses: here nobody asks who reads"
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and auth.type != "sigv4":
        return "would be sent unencrypted over http://: the address must be https://"
    return None


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
        return 'must not contain a user or password: name where they are with auth, such as { type = "netrc" }'
    if parts.query or parts.fragment:
        return "must not have a query or a fragment"
    if any(c.isspace() or not c.isprintable() for c in url):
        return "contains white space or control characters"
    return None
