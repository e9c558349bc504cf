"""The account of a registry at AWS as one CloudFormation template: buckets, CloudFront, roles, keys, logs. Pure.

Buckets and keys are retained when the stack is deleted. Everything that S3 and IAM decide by comes from
`registry_builder.storage.access_policy` and `registry_builder.authoring.cloud.github_identity`; the same registry.toml
gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import jinja2

from registry_builder.authoring.cloud._stack_policies import (
    bucket_policy,
    distribution_arn,
    hub_store_id,
    policy_yaml,
    realm_roles,
)
from registry_builder.authoring.cloud._stack_realms import (
    DEFAULT_REGION,
    NOTHING,
    StackRealm,
    check_section,
    stack_realms,
)
from registry_builder.authoring.cloud.github_identity import Repository
from registry_builder.source.config import RealmSection, RegistryConfig
from registry_builder.source.realms import PUBLIC_REALM
from sealdex.errors import UsageError

LOG_FIELDS: Final = (
    "date", "time", "cs-method", "cs-uri-stem", "sc-status", "sc-bytes", "sc-range-start", "cs(User-Agent)",
    "x-edge-request-id",
)  # fmt: skip
"""What is logged of a request: what `stats` counts by, and nothing that says who asked."""
KMS_KEYS: Final = ("packages", "catalog", "online")
"""The keys that ``--kms`` makes: as development keys have it, ``online`` signs snapshot and timestamp."""
BODY_BYTES: Final = 51_200
"""The largest template that CloudFormation takes in a request; a larger one goes by way of a bucket."""

_TEMPLATES = Path(__file__).parents[1] / "templates"
_ERROR_SECONDS = 5
_LOG_DAYS = 90
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True)
class StackWish:
    """What a template is to hold.

    Attributes:
        realms: their names; empty for all that are in S3.
        repository: ``OWNER/NAME`` on GitHub, the default of the stack's parameters; None leaves them open.
        owner_id, repository_id: their numbers on GitHub, likewise.
        kms: make keys in KMS for the online roles.
        validators: make a role for pull requests, for realms that can't be read without credentials.
        recovery: make the break-glass role of `recover`.
    """

    realms: tuple[str, ...] = ()
    repository: str | None = None
    owner_id: int | None = None
    repository_id: int | None = None
    kms: bool = False
    validators: bool = False
    recovery: bool = False


@dataclass(frozen=True)
class Stack:
    """A template, and what to know of it.

    Attributes:
        text: YAML.
        region: where the stack is created.
        realms: the names of its realms.
        parameters: which have to be given when the stack is created.
        notes: what isn't in it, and why.
    """

    text: str
    region: str
    realms: tuple[str, ...]
    parameters: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def account_template(config: RegistryConfig, wish: StackWish) -> Stack:
    """Return the template of a registry's account.

    Raises:
        NotFoundError: there is no such realm.
        ConfigError: the storages of two realms overlap.
        UsageError: registry.toml or the wish has what a template can't hold; every reason is listed.
    """
    github = _repository(wish)
    realms, region, left_out = stack_realms(config, wish.realms)
    logs = region == DEFAULT_REGION and any(realm.has_cdn for realm in realms)
    keys = [f"{name.capitalize()}Key" for name in KMS_KEYS] if wish.kms else []
    text = (
        _environment()
        .get_template("aws/stack.yaml.j2")
        .render(
            registry=config.registry.name,
            region=region,
            command="".join(f" {option}" for option in _options(wish)),
            github=github,
            realms=_views(config, realms, wish, keys),
            cdn=any(realm.has_cdn for realm in realms),
            logs=logs,
            log_fields=LOG_FIELDS,
            log_days=_LOG_DAYS,
            kms=[
                {"id": key, "name": name, "description": f"Sealdex registry {config.registry.name}: {name}"}
                for key, name in zip(keys, KMS_KEYS, strict=False)
            ],
            error_seconds=_ERROR_SECONDS,
            content_policy=_CONTENT_POLICY,
            function=_function("pages"),
            hub_function=_function("model_hub"),
        )
    )
    names = tuple(realm.name for realm in realms)
    return Stack(text, region, names, _parameters(realms, github), _notes(realms, region, left_out, text))


def _function(name: str) -> str:
    return (_TEMPLATES / f"aws/{name}.js").read_text(encoding="utf-8").rstrip("\n")


def check_new(storage: str, url: str | None, wish: StackWish) -> None:
    """Check that the template of a registry with one realm could be made, before there is a registry.toml.

    Raises:
        ConfigError: the storage is not a valid address.
        UsageError: as `account_template`.
    """
    _repository(wish)
    check_section(PUBLIC_REALM, RealmSection(storage=storage, url=url))


def _views(
    config: RegistryConfig, realms: Sequence[StackRealm], wish: StackWish, keys: Sequence[str]
) -> list[dict[str, object]]:
    """Return what the template needs of each realm."""
    views: list[dict[str, object]] = []
    before = "AccessLogBucketPolicy"  # deliveries are made one after the other: at once they conflict
    for realm in realms:
        readers = realm.section.readers
        group = None
        if readers is not None and readers.key_group is not None:
            group = f"!Ref {realm.id}KeyGroup" if realm.makes_key_group else json.dumps(readers.key_group)
        views.append(
            {
                "name": realm.name,
                "id": realm.id,
                "label": realm.label,
                "bucket": realm.place.bucket,
                "prefix": realm.place.prefix,
                "host": realm.host if realm.has_cdn else None,
                "cdn": realm.has_cdn,
                "key_group": group,
                "new_key_group": realm.makes_key_group,
                "hub_store": hub_store_id(realm) if realm.has_hub else None,
                "bucket_policy": bucket_policy(realm, recovery=wish.recovery),
                "distribution_arn": distribution_arn(realm),
                "log_source": f"sealdex-${{{realm.id}Distribution}}",
                "log_after": before,
                "roles": realm_roles(
                    config,
                    realm,
                    made_keys=keys,
                    validators=wish.validators and realm.is_private,
                    recovery=wish.recovery,
                ),
            }
        )
        if realm.has_cdn:
            before = f"{realm.id}LogDelivery"
    return views


def _parameters(realms: Sequence[StackRealm], github: Repository) -> tuple[str, ...]:
    given = {
        "GitHubOwner": github.owner,
        "GitHubRepository": github.name,
        "GitHubOwnerId": github.owner_id,
        "GitHubRepositoryId": github.id,
    }
    needed = [name for name, value in given.items() if not value]
    needed += [f"{realm.id}Certificate" for realm in realms if realm.host is not None and realm.has_cdn]
    needed += [f"{realm.id}ReadersKey" for realm in realms if realm.makes_key_group]
    return tuple(needed)


def _notes(realms: Sequence[StackRealm], region: str, left_out: Sequence[str], text: str) -> tuple[str, ...]:
    notes = []
    if left_out:
        notes.append(f"not in the template: {', '.join(left_out)}")
    if region != DEFAULT_REGION and any(realm.has_cdn for realm in realms):
        notes.append(
            f"no logs are kept: CloudFront's can be set up in {DEFAULT_REGION} alone, and the buckets are in {region}"
        )
    if len(text.encode()) > BODY_BYTES:
        notes.append(
            f"the template is larger than the {BODY_BYTES} bytes that a request may have: add --s3-bucket BUCKET to "
            "`aws cloudformation deploy`, or give --realm, and make one template for each"
        )
    return tuple(notes)


def _repository(wish: StackWish) -> Repository:
    problems = []
    owner, _, name = (wish.repository or "/").partition("/")
    if wish.repository is not None and not (_OWNER.fullmatch(owner) and _NAME.fullmatch(name)):
        problems.append(f"--repository {wish.repository!r} is not OWNER/NAME as GitHub writes it")
    for option, number in (("--owner-id", wish.owner_id), ("--repository-id", wish.repository_id)):
        if number is not None and number < 1:
            problems.append(f"{option} {number} is not a number of GitHub's")
    if problems:
        raise UsageError("; ".join(problems), untouched=NOTHING)
    ids = ("" if number is None else str(number) for number in (wish.owner_id, wish.repository_id))
    return Repository(owner, name, *ids)


def _options(wish: StackWish) -> list[str]:
    """Return the options that make this template again."""
    options = [f"--realm {name}" for name in wish.realms]
    if wish.repository is not None:
        options.append(f"--repository {wish.repository}")
    if wish.owner_id is not None:
        options.append(f"--owner-id {wish.owner_id}")
    if wish.repository_id is not None:
        options.append(f"--repository-id {wish.repository_id}")
    options += [f"--{name}" for name in ("kms", "validators", "recovery") if getattr(wish, name)]
    return options


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701  # the result is YAML, never HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = lambda value: json.dumps(value, ensure_ascii=False)  # a string of YAML too
    environment.filters["policy"] = policy_yaml
    return environment


__all__ = ["BODY_BYTES", "KMS_KEYS", "LOG_FIELDS", "Stack", "StackWish", "account_template", "check_new"]
