"""``registry.toml``: the registry's name, realms, roles, keys and policy, as strict structs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct, field

from registry_builder.source.documents import newer_format
from registry_builder.source.hub_ids import one_id_twice
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import conflict_problem, convert_command, other_encoding, without_mark
from sealdex.config.attestation_policy import AttestationPolicy, policy_problems
from sealdex.config.toml_reader import toml_values
from sealdex.errors import ConfigError, NotFoundError
from sealdex.model.decode import DocumentError, FieldProblem, read_values
from sealdex.model.ids import FileName, IdentifierPart, PluginType, Sha256, parse_plugin_id
from sealdex.model.sizes import size_extra
from sealdex.model.wording import LanguageTag

CONFIG_NAME = "registry.toml"
CONFIG_FORMAT = 1
KEY_GROUP_OF_STACK = "stack"
_NO_STORAGE = re.compile(r"realms\.([^.]+)\.storage")
MAX_CONFIG_BYTES = 4 * 1024 * 1024
OfflineRole = Literal["root", "targets"]
OnlineRole = Literal["packages", "catalog", "snapshot", "timestamp"]
OFFLINE_ROLES: tuple[OfflineRole, ...] = get_args(OfflineRole)
ONLINE_ROLES: tuple[OnlineRole, ...] = get_args(OnlineRole)
ROLES = (*OFFLINE_ROLES, *ONLINE_ROLES)

Days = Annotated[int, Meta(ge=1, le=3650)]
Colour = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$(?!\n)", extra={"expects": "a colour such as #8c2f1b"})]

Arn = Annotated[
    str,
    Meta(
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(?:root|(?:role|user)/[\w+=,.@/-]{1,576})$(?!\n)",
        extra={"expects": "an ARN such as arn:aws:iam::123456789012:role/NAME"},
    ),
]


StoreArn = Annotated[
    str,
    Meta(
        pattern=r"^arn:aws:cloudfront::[0-9]{12}:key-value-store/[0-9a-f-]{36}$(?!\n)",
        extra={"expects": "an ARN such as arn:aws:cloudfront::123456789012:key-value-store/ID"},
    ),
]


class RegistrySection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[registry]``.

    Attributes:
        name: short name, also of the folder for development keys.
        id: random, so that two registries with the same name don't share keys.
        types: plugin types beyond the built-in ones.
        max_artifact_size: maximum size of any artifact, in bytes or as ``2GiB``; also while downloading one of unknown
            size.
        ingest: whether publish copies artifacts from their URLs into the store.
    """

    name: IdentifierPart
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}$(?!\n)", extra={"expects": "8 hexadecimal digits"})]
    title: str | None = None
    description: str | None = None
    types: tuple[PluginType, ...] = ()
    max_artifact_size: Annotated[int, Meta(gt=0, extra=size_extra(1))] = 2 * 1024**3
    ingest: bool = False


class ReadersSection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[realms.NAME.readers]``: who may read a private realm, and how; either or both.

    Attributes:
        principals: IAM roles, users and accounts that read straight from S3.
        key_group: the CloudFront key group whose keys sign readers' cookies and addresses below ``url``; ``stack`` is
            the one that the stack of ``cloud template`` makes.
    """

    principals: tuple[Arn, ...] = ()
    key_group: (
        Annotated[
            str,
            Meta(pattern=r"^[A-Za-z0-9-]{1,64}$(?!\n)", extra={"expects": "the id of a CloudFront key group"}),
        ]
        | None
    ) = None


class RealmSection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[realms.NAME]``: one complete TUF repository.

    Attributes:
        storage: where it is published.
        url: where clients read the storage's files.
        cloudfront: the distribution behind ``url``, in which replaced pages are invalidated after a publish.
        key_value_store: where CloudFront's function finds the Model Hub's files; kept up to date by complete publishes.
        folder_in_ci: allow a folder on a workflow's runner, which is discarded: a later step takes the folder along.
        exclusive: for a store without conditional writes: a lock object in their place, and one publisher at a time.
        readers: who may read it, if not everybody.
        recovery_role: the break-glass role that the bucket's policy lets overwrite published files.
    """

    storage: Annotated[str, Meta(min_length=1, examples=["folder:published", "s3://bucket/prefix", "pages:published"])]
    url: str | None = None
    cloudfront: (
        Annotated[
            str, Meta(pattern=r"^[A-Z0-9]{1,64}$(?!\n)", extra={"expects": "a distribution's id such as E2EXAMPLE"})
        ]
        | None
    ) = None
    key_value_store: StoreArn | None = None
    folder_in_ci: bool = False
    exclusive: bool = False
    readers: ReadersSection | None = None
    recovery_role: Arn | None = None

    @property
    def is_pages(self) -> bool:
        """Whether it is deployed to GitHub Pages: from a folder, as a whole."""
        return self.storage.startswith("pages:")

    @property
    def is_s3(self) -> bool:
        """Whether it is published to S3."""
        return self.storage.startswith("s3:")


class RoleSection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[roles.NAME]``: the keys, the threshold, the expiry, and how long before expiry it is re-signed."""

    keys: tuple[str, ...]
    threshold: Annotated[int, Meta(ge=1)] = 1
    expiry_days: Days
    signing_days: Days


class NamespaceSection(RoleSection, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[namespaces.NAME]``: a namespace that only a team's own keys may sign for; created by a ceremony."""

    expiry_days: Days = 365
    signing_days: Days = 60
    realm: IdentifierPart = "public"


class KeySection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[keys.NAME]``: where the private key is (a URI of securesystemslib's signers) and its public half.

    A relative ``file2:`` path is resolved in the key folder, which is never inside the source tree.

    Attributes:
        public: the public half; empty for a Sigstore identity, which has none.
        identity, issuer: of a Sigstore identity: the signer, and the OIDC issuer that confirms it.
    """

    uri: Annotated[str, Meta(pattern="^[a-z0-9]+:", extra={"expects": "a key URI such as file2:root-1.pem"})]
    keyid: Sha256
    keytype: str
    scheme: str
    public: str = ""
    identity: str | None = None
    issuer: str | None = None


class PolicySection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[policy]``: which warnings of ``validate`` are errors in this registry, and which secrets are allowed.

    Attributes:
        require_license, require_readme: whether a plugin without one is an error.
        allow_files: patterns of files that may contain keys or tokens, because they are meant to be public.
        allow_names: plugins of private realms, ``namespace/name``, that other realms may mention.
    """

    require_license: bool = False
    require_readme: bool = False
    allow_files: tuple[str, ...] = ()
    allow_names: tuple[str, ...] = ()


class SiteSection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[site]``: what the browse pages show about the registry itself.

    Attributes:
        title, description, links: name, one line about it, and URLs by label.
        logo: an image in the source tree's ``site/`` folder, shown beside the name.
        accent, accent_dark: the colour of links and marks on a light and on a dark background, as ``#rrggbb``.
        languages: the languages of the pages, by tag; the first is that of the pages at the top, the others are below
            ``site/<tag>/``.
        downloads: whether pages show what ``sealdex-builder stats --publish`` counted.
    """

    title: str | None = None
    description: str | None = None
    links: dict[str, str] = {}
    logo: FileName | None = None
    accent: Colour | None = None
    accent_dark: Colour | None = None
    languages: Annotated[tuple[LanguageTag, ...], Meta(min_length=1, max_length=16)] = ("en",)
    downloads: bool = False


HubId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$(?!\n)",
        max_length=128,
        extra={"expects": "an id such as nmt-m2m100: letters and digits, joined by '.', '_' or '-'"},
    ),
]


class ApiSection(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[api]``: whether the registry is published as plain JSON at stable addresses too (`docs/api.md`).

    Attributes:
        enabled: ``api/v1/``: plugins, releases, changes, and an OpenAPI description.
        model_hub: ``api/services/`` and ``api/models/``: what nodes of the Model Hub ask for.
        services, models: ids there, each with ``namespace/name``; others have their name as id, where only one has it.
    """

    enabled: bool = False
    model_hub: bool = False
    services: dict[HubId, str] = {}
    models: dict[HubId, str] = {}


class RegistryConfig(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The whole of ``registry.toml``."""

    format: Annotated[int, Meta(ge=1)] = CONFIG_FORMAT
    registry: RegistrySection
    realms: dict[IdentifierPart, RealmSection]
    roles: dict[str, RoleSection]
    keys: dict[str, KeySection] = {}
    namespaces: dict[IdentifierPart, NamespaceSection] = {}
    policy: PolicySection = field(default_factory=PolicySection)
    site: SiteSection = field(default_factory=SiteSection)
    api: ApiSection = field(default_factory=ApiSection)
    attestations: AttestationPolicy | None = None


def find_tree(start: Path) -> Path:
    """Return the nearest folder from ``start`` upwards that contains ``registry.toml``.

    Raises:
        NotFoundError: there is none.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise NotFoundError(
        f"no {CONFIG_NAME} in this folder or any folder above it",
        subject=str(start),
        hint="create a source tree with: sealdex-builder init DIR --dev-keys, or give one with --tree DIR",
    )


def read_config(tree: Path) -> RegistryConfig:
    """Read and check ``registry.toml``.

    Raises:
        ConfigError: it can't be read or is wrong; all problems are listed.
    """
    path = tree / CONFIG_NAME
    text = read_config_text(tree)
    try:
        values = toml_values(text)
    except ValueError as error:
        raise ConfigError(f"is not valid TOML: {error}", subject=str(path)) from error
    if (newer := newer_format(values, CONFIG_FORMAT)) is not None:
        raise ConfigError(str(newer), subject=str(path), untouched="nothing was changed")
    try:
        config = read_values(values, RegistryConfig)
        problems = config_problems(config)
    except DocumentError as error:
        problems = error.problems
    if problems:
        raise ConfigError(
            "; ".join(map(str, problems)), subject=str(path), untouched="nothing was changed", hint=_mended_by(problems)
        )
    return config


def _mended_by(problems: Iterable[FieldProblem]) -> str | None:
    """Return the command that adds a storage to a realm that lacks one."""
    for problem in problems:
        if match := _NO_STORAGE.fullmatch(problem.path):
            return f"sealdex-builder realm add {match[1]} --storage s3://BUCKET/PREFIX, or --storage folder:PATH"
    return None


def roles_without_keys(config: RegistryConfig) -> list[str]:
    """Return the roles that have no key: before a registry's first root, and a mistake after it."""
    return [name for name, section in config.roles.items() if not section.keys]


def read_config_text(tree: Path) -> str:
    """Return the text of ``registry.toml``, as needed by commands that edit it.

    Raises:
        ConfigError: it doesn't exist, can't be read, isn't in UTF-8, or has unresolved merge conflicts.
    """
    gate, path = Gate(tree), tree / CONFIG_NAME
    if not gate.is_there(path):
        raise ConfigError(f"the source tree has no {CONFIG_NAME}", subject=str(tree), hint="sealdex-builder init DIR")
    try:
        data = without_mark(gate.read(path, MAX_CONFIG_BYTES))
    except UnreadableError as error:
        raise ConfigError(f"{CONFIG_NAME} {error}", subject=str(path)) from error
    if (encoding := other_encoding(data)) is not None:
        raise ConfigError(
            f"{CONFIG_NAME} is not in UTF-8", subject=str(path), hint=convert_command(CONFIG_NAME, encoding)
        )
    if problem := conflict_problem(data):
        raise ConfigError(f"{CONFIG_NAME} {problem}", subject=str(path))
    return data.decode()


def config_problems(config: RegistryConfig) -> list[FieldProblem]:
    """Return problems that the types don't express: missing roles, unreachable thresholds, undefined keys."""
    problems = [FieldProblem(f"roles.{role}", "is missing") for role in ROLES if role not in config.roles]
    for name, role_section in config.roles.items():
        if name not in ROLES:
            problems.append(FieldProblem(f"roles.{name}", f"is not a role; roles are {', '.join(ROLES)}"))
            continue
        problems += [
            FieldProblem(f"roles.{name}.keys", f"names key '{key}', but there is no [keys.{key}]")
            for key in role_section.keys
            if key not in config.keys
        ]
        distinct = {config.keys[k].keyid for k in role_section.keys if k in config.keys}
        # no key at all: its first root isn't signed yet, and keys are made one by one before that
        if role_section.keys and config.keys and len(distinct) < role_section.threshold:
            problems.append(
                FieldProblem(
                    f"roles.{name}.threshold",
                    f"is {role_section.threshold}, but only {len(distinct)} different keys are listed",
                )
            )
        if name in OFFLINE_ROLES and role_section.threshold < 2:
            problems.append(
                FieldProblem(f"roles.{name}.threshold", "must be at least 2: one stolen key must not be enough")
            )
        if role_section.signing_days >= role_section.expiry_days:
            problems.append(FieldProblem(f"roles.{name}.signing_days", "must be less than expiry_days"))
    problems += _namespace_problems(config)
    problems += [
        FieldProblem(f"realms.{name}.url", "is missing: CloudFront invalidates paths below it")
        for name, realm in config.realms.items()
        if realm.cloudfront is not None and realm.url is None
    ]
    problems += [
        FieldProblem(f"realms.{name}.url", "is missing: each publish starts from what GitHub Pages serves there")
        for name, realm in config.realms.items()
        if realm.is_pages and realm.url is None
    ]
    problems += _readers_problems(config)
    problems += policy_problems(config.attestations)
    problems += _api_problems(config.api)
    if not config.realms:
        problems.append(FieldProblem("realms", "is empty: write [realms.public] with a storage"))
    return problems


def _api_problems(api: ApiSection) -> Iterator[FieldProblem]:
    for kind, stated in (("services", api.services), ("models", api.models)):
        for name, plugin in stated.items():
            if not _is_plugin(plugin):
                yield FieldProblem(f"api.{kind}.{name}", f"is '{plugin}': write NAMESPACE/NAME")
        for name, other in one_id_twice(stated):
            yield FieldProblem(f"api.{kind}.{name}", f"differs from '{other}' in case alone: choose another id")


def _is_plugin(text: str) -> bool:
    try:
        parse_plugin_id(text)
    except ValueError:
        return False
    return True


def _readers_problems(config: RegistryConfig) -> Iterator[FieldProblem]:
    for name, realm in config.realms.items():
        field_name = f"realms.{name}.readers"
        if realm.recovery_role is not None and not realm.is_s3:
            yield FieldProblem(f"realms.{name}.recovery_role", "is for realms in S3: the bucket's policy excepts it")
        if realm.exclusive and not realm.is_s3:
            yield FieldProblem(f"realms.{name}.exclusive", "is for realms in S3: a folder has a lock of its own")
        if realm.readers is None:
            continue
        if not realm.is_s3:
            yield FieldProblem(field_name, f"are for realms in S3; this one is published to {realm.storage}")
        if not realm.readers.principals and realm.readers.key_group is None:
            yield FieldProblem(field_name, "name nobody: write principals = [ARN, ...] or key_group = ID")
        if realm.readers.key_group in {None, KEY_GROUP_OF_STACK}:  # of a stack that may not be there yet
            continue
        if realm.cloudfront is None or realm.url is None:
            yield FieldProblem(f"{field_name}.key_group", "needs cloudfront and url: CloudFront checks what it signs")


def _namespace_problems(config: RegistryConfig) -> Iterator[FieldProblem]:
    for name, section in config.namespaces.items():
        for key in section.keys:
            if key not in config.keys:
                yield FieldProblem(f"namespaces.{name}.keys", f"names key '{key}', but there is no [keys.{key}]")
        if len({config.keys[k].keyid for k in section.keys if k in config.keys}) < section.threshold:
            yield FieldProblem(f"namespaces.{name}.threshold", f"is {section.threshold}: it has fewer keys than that")
        if section.signing_days >= section.expiry_days:
            yield FieldProblem(f"namespaces.{name}.signing_days", "must be less than expiry_days")
        if section.realm not in config.realms:
            yield FieldProblem(f"namespaces.{name}.realm", f"'{section.realm}' is not a realm of this file")


__all__ = [
    "CONFIG_NAME",
    "KEY_GROUP_OF_STACK",
    "OFFLINE_ROLES",
    "ONLINE_ROLES",
    "ROLES",
    "ApiSection",
    "KeySection",
    "NamespaceSection",
    "PolicySection",
    "ReadersSection",
    "RealmSection",
    "RegistryConfig",
    "RoleSection",
    "SiteSection",
    "config_problems",
    "find_tree",
    "read_config",
    "read_config_text",
    "roles_without_keys",
]
