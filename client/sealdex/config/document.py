"""The client's ``config.toml``: its sections, their validation, and the registry of a namespace. Pure.

    [registries.public]
    url = "https://plugins.example.org/"
    root = "roots/public.root.json"          # relative to this file; the trust anchor on every run

    [registries.team]
    url = "https://team.example.org/plugins/"
    root = "roots/team.root.json"
    namespaces = ["acme", "team-*"]          # default: all that no other registry claims
    auth = { type = "bearer", token_env = "TEAM_TOKEN" }     # see `AuthSection`; never the secret itself
    mirrors = ["https://mirror.example.org/", "file:///srv/mirror/"]     # asked in this order after url

    [auth."https://artifacts.example.org/team/"]             # for what a registry names at another address
    type = "netrc"

    [environment]
    labels = { gpu = "a100" }
    tags = ["cuda-11.8"]
    host_version = "3.2.0"

    [download]
    concurrent = 3

    [attestations]                           # see `sealdex.config.attestation_policy`
    required = ["acme"]

    [cache]
    max_bytes = "10GiB"                      # or bytes as a number, which 0.1.0 reads too
    max_age_days = 90
    eviction = "lru"

A namespace belongs to one registry and is never looked up in another: otherwise a publisher there could replace a
private plugin (dependency confusion). Explicit patterns take precedence over ``*``; among explicit ones the first in
the file counts.
"""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from sealdex.config.attestation_policy import AttestationPolicy, policy_problems
from sealdex.model.decode import FieldProblem
from sealdex.model.ids import IdentifierPart, NamespacePattern
from sealdex.model.selectors import LabelKey, LabelValue, Tag
from sealdex.model.sizes import size_extra
from sealdex.model.versions import VersionText

CATCH_ALL = "*"

_Name = Annotated[str, Meta(min_length=1, max_length=1024)]


class AuthSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``auth`` of a registry: where its credentials are kept, never the credentials themselves.

    Attributes:
        type: ``bearer``, ``basic``, ``netrc``, ``sigv4``, ``certificate``, ``command``, ``keyring``, ``cookies`` or
            ``query``.
        token_env, token_file: of ``bearer``: the environment variable or the file with the token.
        user, password_env, password_file: of ``basic``; the user also of ``keyring``.
        netrc_file: of ``netrc``; default: ``$NETRC`` or ``~/.netrc``.
        region, profile: of ``sigv4``, for S3; keys are found as AWS's own tools find them (needs sealdex[s3]).
        command, timeout: of ``command``: a credential helper with its arguments, and the seconds that it may take
            (docs/private.md).
        service: of ``keyring``: what the entry is for; default: the address. With ``user``, it is that user's password;
            without, a token, kept under the name ``token``. Needs sealdex[keyring].
        cookies_env, cookies_file: of ``cookies``: signed cookies, ``NAME=VALUE``, one a line.
        query_env, query_file: of ``query``: a signed query that is added to each address, or a signed address.
        cert_file, key_file: the PEM files of a client certificate, of ``certificate`` and beside any other type;
            without ``key_file`` the key is in ``cert_file``.
        key_passphrase_env, key_passphrase_file: of an encrypted key: the variable or the file with its passphrase.

    Files are relative to the configuration file's folder.
    """

    type: Annotated[
        str,
        Meta(
            pattern=r"^(bearer|basic|netrc|sigv4|certificate|command|keyring|cookies|query)\Z",
            extra={
                "expects": "one of 'bearer', 'basic', 'netrc', 'sigv4', 'certificate', 'command', 'keyring', 'cookies' "
                "and 'query'"
            },
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
    command: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=64)] | None = None
    timeout: Annotated[float, Meta(gt=0, le=3600)] | None = None
    service: _Name | None = None
    cookies_env: _Name | None = None
    cookies_file: _Name | None = None
    query_env: _Name | None = None
    query_file: _Name | None = None
    cert_file: _Name | None = None
    key_file: _Name | None = None
    key_passphrase_env: _Name | None = None
    key_passphrase_file: _Name | None = None


class RegistrySection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[registries.NAME]``.

    Attributes:
        url: where the published tree is read: https, http or file; no user, password or query.
        root: file of the trust root, relative to the configuration file's folder.
        namespaces: the namespaces that are looked up in this registry only.
        auth: how to authenticate; default: not at all.
        max_staleness: the age up to which expired metadata is used, such as ``90d``, ``36h`` or ``2w``; default: what
            has expired is refused (docs/air-gap.md).
        mirrors: further addresses of the same registry, in order of preference after ``url``.
        partial: the addresses have a part of the registry: choose among the releases that are there, and say which
            newer ones are not. Default: a release that isn't there is an error.
    """

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    root: Annotated[str, Meta(min_length=1, max_length=1024)]
    namespaces: Annotated[tuple[NamespacePattern, ...], Meta(min_length=1)] = (CATCH_ALL,)
    auth: AuthSection | None = None
    max_staleness: (
        Annotated[
            str,
            Meta(
                pattern=r"^[1-9][0-9]{0,4}[hdw]\Z", extra={"expects": "a number of hours, days or weeks: '36h', '90d'"}
            ),
        ]
        | None
    ) = None
    mirrors: tuple[Annotated[str, Meta(min_length=1, max_length=2048)], ...] = ()
    partial: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, in order of preference."""
        return (self.url, *self.mirrors)


def max_staleness_of(section: RegistrySection) -> timedelta | None:
    """Return the age up to which a registry's expired metadata is used, or None."""
    return None if section.max_staleness is None else parse_age(section.max_staleness)


def parse_age(text: str) -> timedelta:
    """Return the time that ``36h``, ``90d`` or ``2w`` stands for.

    Raises:
        ValueError: it is written otherwise.
    """
    if not re.fullmatch("[1-9][0-9]{0,4}[hdw]", text):
        raise ValueError(f"'{text}' is not a valid age: write a number of hours, days or weeks, such as 36h or 90d")
    return timedelta(hours=int(text[:-1]) * {"h": 1, "d": 24, "w": 168}[text[-1]])


class EnvironmentSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[environment]``: what can't be detected. Labels override detected ones."""

    labels: dict[LabelKey, LabelValue] = {}
    tags: tuple[Tag, ...] = ()
    host_version: VersionText | None = None


class DownloadSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[download]``.

    Attributes:
        connect_timeout: seconds for a connection and its TLS handshake.
        timeout: seconds without data before a connection is retried.
        no_progress_window: seconds without progress, over all attempts, after which a download fails.
        first_contact_window: seconds within which a host must be reached for the first time, over all attempts.
        retry: retries of a request that makes no progress (0 disables); progress resets the count. Default: no limit
            other than `no_progress_window`, which always applies.
        concurrent: index documents or artifacts fetched at the same time.
        max_plugin_size: maximum bytes of one artifact, mainly for those whose size isn't signed.
        max_bytes_per_second: limit over all downloads together.
        min_bytes_per_second: a request slower than this on average is aborted; 0 disables.
        ca_bundle: PEM file of certificate authorities, relative to the configuration file's folder.
    """

    connect_timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 20.0
    no_progress_window: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    first_contact_window: Annotated[float, Meta(ge=0, le=86400)] = 3.0
    retry: Annotated[int, Meta(ge=0, le=1000)] | None = None
    concurrent: Annotated[int, Meta(ge=1, le=64)] = 3
    max_plugin_size: Annotated[int, Meta(gt=0, extra=size_extra(1))] = 16 * 1024**3
    max_bytes_per_second: Annotated[int, Meta(gt=0, extra=size_extra(1))] | None = None
    min_bytes_per_second: Annotated[int, Meta(ge=0, extra=size_extra())] = 256
    ca_bundle: str | None = None


class CacheSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[cache]``: the limits of the download cache, enforced after installs.

    Attributes:
        max_bytes: maximum size of all files together.
        max_age_days: days since its last use after which a file is removed; default: no age limit.
        eviction: which files are removed first when over the limit: ``lru``, ``lfu`` or ``fifo``.
    """

    max_bytes: Annotated[int, Meta(ge=0, extra=size_extra())] = 10 * 1024**3
    max_age_days: Annotated[float, Meta(gt=0)] | None = None
    eviction: Annotated[
        str, Meta(pattern=r"^(lru|lfu|fifo)\Z", extra={"expects": "one of 'lru', 'lfu' and 'fifo'"})
    ] = "lru"


class InstallSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[install]``.

    Attributes:
        require_signed: refuse unsigned archives, whatever the command's options.
        builtin: folder of preinstalled archives with their ``sealdex.lock``, relative to the configuration file's
            folder; default: ``<store>/builtin``.
        resolve_timeout: seconds that the search for releases that fit together may take, not counting requests to
            registries.
    """

    require_signed: bool = True
    builtin: Annotated[str, Meta(min_length=1)] | None = None
    resolve_timeout: Annotated[float, Meta(gt=0, le=86400)] = 60.0


class UpdateSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[update]``.

    Attributes:
        auto_check_update: commands that ask a registry anyway also show outdated plugins.
        update_check_interval: seconds between two such checks.
    """

    auto_check_update: bool = False
    update_check_interval: Annotated[float, Meta(ge=0)] = 86400.0


class RuntimeSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[runtime]``.

    Attributes:
        load_timeout: seconds that a plugin may take to load and initialize.
        metrics_file: file for metrics of commands, for node-exporter; relative to the configuration file's folder.
    """

    load_timeout: Annotated[float, Meta(gt=0, le=86400)] = 30.0
    metrics_file: str | None = None


class ConfigDocument(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """The whole of ``config.toml``."""

    registries: dict[IdentifierPart, RegistrySection] = {}
    auth: dict[str, AuthSection] = {}
    environment: EnvironmentSection = field(default_factory=EnvironmentSection)
    download: DownloadSection = field(default_factory=DownloadSection)
    cache: CacheSection = field(default_factory=CacheSection)
    install: InstallSection = field(default_factory=InstallSection)
    update: UpdateSection = field(default_factory=UpdateSection)
    runtime: RuntimeSection = field(default_factory=RuntimeSection)
    # variables and options can't change this section: accepted identities must be written in the file
    attestations: AttestationPolicy | None = None


def registry_for(registries: Mapping[str, RegistrySection], namespace: str) -> str | None:
    """Return the name of the registry that a namespace belongs to, or None.

    The first explicit pattern that matches, in file order; else the catch-all. The answer is final: no other registry
    is asked.
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
    """Return problems that the types don't express: invalid addresses, a second catch-all."""
    problems: list[FieldProblem] = []
    catch_all: str | None = None
    for name, section in document.registries.items():
        if problem := url_problem(section.url):
            problems.append(FieldProblem(f"registries.{name}.url", problem))
        elif section.auth is not None and (problem := auth_problem(section.auth, section.url)):
            problems.append(FieldProblem(f"registries.{name}.auth", problem))
        problems += mirror_problems(name, section)
        if any(map(_is_catch_all, section.namespaces)):
            if catch_all is not None:
                problems.append(
                    FieldProblem(
                        f"registries.{name}.namespaces",
                        f"is '*', but '{catch_all}' already takes every namespace: "
                        "list the namespaces of one of them (registry add --namespace NAMESPACE)",
                    )
                )
            catch_all = catch_all or name
    problems += _address_problems(document)
    problems += policy_problems(document.attestations)
    return problems


def _address_problems(document: ConfigDocument) -> Iterator[FieldProblem]:
    """Yield what is wrong with the tables of addresses."""
    urls = {section.url.rstrip("/"): name for name, section in document.registries.items() if section.auth is not None}
    known: dict[str, str] = {}
    for address, auth in document.auth.items():
        where = f'auth."{address}"'
        if (problem := url_problem(address)) or (problem := auth_problem(auth, address)):
            yield FieldProblem(where, problem)
        elif (name := urls.get(address.rstrip("/"))) is not None:
            yield FieldProblem(where, f"is the address of registry '{name}', which has an auth: remove one of both")
        elif (other := known.setdefault(address.rstrip("/"), address)) != address:
            yield FieldProblem(where, f"is there twice, as {other}")


def mirror_problems(name: str, section: RegistrySection) -> Iterator[FieldProblem]:
    """Yield what is wrong with the further addresses of a registry."""
    known = {section.url.rstrip("/")}
    for number, url in enumerate(section.mirrors):
        where = f"registries.{name}.mirrors[{number}]"
        if problem := url_problem(url):
            yield FieldProblem(where, problem)
        elif url.rstrip("/") in known:
            yield FieldProblem(where, f"is listed before: {url}")
        known.add(url.rstrip("/"))


_AUTH_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # exactly one of each group; any of the last
    "bearer": (("token_env", "token_file"), ()),
    "basic": (("user",), ("password_env", "password_file"), ()),
    "netrc": (("netrc_file",),),
    "sigv4": (("region",), ("profile",)),
    "certificate": (("cert_file",), ()),
    "command": (("command",), ("timeout",)),
    "keyring": (("service", "user"),),
    "cookies": (("cookies_env", "cookies_file"), ()),
    "query": (("query_env", "query_file"), ()),
}
_CERTIFICATE_FIELDS = ("cert_file", "key_file", "key_passphrase_env", "key_passphrase_file")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def auth_problem(auth: AuthSection, url: str) -> str | None:
    """Return what is wrong with the credentials of a registry at an address, or None."""
    parts = urlsplit(url)
    *needed, more = _AUTH_FIELDS[auth.type]
    given = {name for name in auth.__struct_fields__ if name != "type" and getattr(auth, name) is not None}
    for group in needed:
        if len(given.intersection(group)) != 1:
            return f"of type '{auth.type}' needs {' or '.join(group)}{'' if len(group) == 1 else ', one of both'}"
    if strangers := sorted(given.difference(more, _CERTIFICATE_FIELDS, *needed)):
        return f"of type '{auth.type}' has no {', '.join(strangers)}"
    of_certificate = given.intersection(_CERTIFICATE_FIELDS)
    if of_certificate and auth.cert_file is None:
        return f"has {', '.join(sorted(of_certificate))} without cert_file"
    if {"key_passphrase_env", "key_passphrase_file"} <= given:
        return "needs key_passphrase_env or key_passphrase_file, not both"
    if of_certificate and parts.scheme == "http":
        return "has a client certificate, which can't be shown over http://: the address must be https://"
    if parts.scheme not in {"https", "http"}:
        return "is only for https:// addresses: file:// needs no authentication"
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and auth.type != "sigv4":
        return "would be sent unencrypted over http://: the address must be https://"
    return None


def url_problem(url: str) -> str | None:
    """Return what is wrong with the address of a registry, or None."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # the property validates
    except ValueError as error:
        return f"is not a valid address: {error}"
    if parts.scheme not in {"https", "http", "file"}:
        return "must be an https://, http:// or file:// address"
    if parts.scheme != "file" and not parts.hostname:
        return "has no host name"
    if parts.username is not None or parts.password is not None:
        return 'must not contain a user or password: say where they are kept with auth, such as { type = "netrc" }'
    if parts.query or parts.fragment:
        return "must not have a query or a fragment"
    if any(c.isspace() or not c.isprintable() for c in url):
        return "contains white space or control characters"
    return None
