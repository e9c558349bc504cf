"""What the stack of an account made: what registry.toml gets of it, and what GitHub has to be told.

The input is what ``aws cloudformation describe-stacks`` prints.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from registry_builder.authoring.cloud._stack_realms import resource_id
from registry_builder.authoring.cloud.github_identity import Task, environment_of
from registry_builder.authoring.cloud.stack import KMS_KEYS
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.config import CONFIG_NAME, read_config, read_config_text
from registry_builder.source.realm_sections import UNCHANGED, with_realm
from sealdex.errors import ConfigError, UsageError
from sealdex.model.decode import decode_as

_TASKS: Mapping[Task, str] = {"publish": "PublisherRole", "refresh": "RefresherRole", "validate": "ValidatorsRole"}
_READY = re.compile(r"(?:CREATE|UPDATE|IMPORT|UPDATE_ROLLBACK)_COMPLETE|UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_DOMAIN = re.compile(r"[a-z0-9.-]{4,253}")
_ARN = re.compile(r"arn:aws:(?:iam|kms|cloudfront):[a-z0-9-]*:[0-9]{12}:[A-Za-z0-9+=,.@_/-]+")


class _Output(msgspec.Struct, frozen=True, rename={"key": "OutputKey", "value": "OutputValue"}):
    key: str
    value: str


class _Stack(msgspec.Struct, frozen=True, rename={"name": "StackName", "status": "StackStatus", "outputs": "Outputs"}):
    name: str
    status: str
    outputs: tuple[_Output, ...] = ()


class _Described(msgspec.Struct, frozen=True, rename={"stacks": "Stacks"}):
    stacks: Annotated[tuple[_Stack, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Adopted:
    """What registry.toml took over from a stack, or would.

    Attributes:
        stack: its name.
        fields: what was added, as ``realms.NAME.FIELD``, and each value.
        commands: what GitHub has to be told, and which keys can be added.
        notes: what is left to do elsewhere.
    """

    stack: str
    fields: Mapping[str, str]
    commands: tuple[str, ...]
    notes: tuple[str, ...]


def adopt_stack(tree: Path, described: bytes) -> Adopted:
    """Write what the stack made into registry.toml, where it isn't yet; everything else stays as it is.

    Raises:
        UsageError: it isn't what ``describe-stacks`` prints of one finished stack of this registry.
        ConfigError: registry.toml says something else already, or can't be edited.
    """
    stack = _finished(described)
    found = {output.key: output.value for output in stack.outputs}
    config, text = read_config(tree), read_config_text(tree)
    region = _checked(found, "StackRegion", _ID)
    fields: dict[str, str] = {}
    commands: list[str] = []
    notes: list[str] = []
    for realm, section in config.realms.items():
        start = resource_id(realm)
        if f"{start}Bucket" not in found:
            continue
        values: dict[str, str] = {}
        if (distribution := _checked(found, f"{start}Distribution", _ID)) is not None:
            values["cloudfront"] = distribution
            domain = _checked(found, f"{start}Domain", _DOMAIN)
            if section.url is None:
                values["url"] = f"https://{domain}/"
            elif domain is not None and domain not in section.url:
                notes.append(f"point the name of {section.url} at {domain} (a CNAME or ALIAS record)")
        if (role := _checked(found, f"{start}RecoveryRole", _ARN)) is not None:
            values["recovery_role"] = role
        if (store := _checked(found, f"{start}HubStore", _ARN)) is not None:
            values["key_value_store"] = store
        text = with_realm(text, realm, values)
        before = {field: getattr(section, field) for field in values}
        fields |= {f"realms.{realm}.{field}": value for field, value in values.items() if before[field] != value}
        commands += _variables(found, realm, start, region)
        if (pair := _checked(found, f"{start}KeyPair", _ID)) is not None:
            notes.append(f"the CloudFront-Key-Pair-Id of readers of {realm} is {pair}")
    if not any(f"{resource_id(realm)}Bucket" in found for realm in config.realms):
        raise UsageError(
            f"stack {stack.name} has nothing of a realm in registry.toml",
            untouched=UNCHANGED,
            hint="name the registry's own: aws cloudformation describe-stacks --stack-name NAME",
        )
    for name in KMS_KEYS:
        if (arn := _checked(found, f"{name.capitalize()}Key", _ARN)) is not None:
            commands.append(f"sealdex-builder keys add kms-{name} awskms:{arn}")
    if text != read_config_text(tree):
        replace_file(tree / CONFIG_NAME, text.encode())
    return Adopted(stack.name, fields, tuple(commands), tuple(notes))


def _finished(described: bytes) -> _Stack:
    hint = "aws cloudformation describe-stacks --stack-name NAME | sealdex-builder cloud outputs -"
    try:
        stacks = decode_as(described, _Described).stacks
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"this is not what describe-stacks prints: {error}", untouched=UNCHANGED, hint=hint) from error
    if len(stacks) > 1:
        names = ", ".join(stack.name for stack in stacks[:5])
        raise UsageError(f"these are several stacks ({names}, ...)", untouched=UNCHANGED, hint=hint)
    if not _READY.fullmatch(stacks[0].status):
        raise UsageError(
            f"stack {stacks[0].name} is not finished, its status is {stacks[0].status}",
            untouched=UNCHANGED,
            hint=f"aws cloudformation describe-stack-events --stack-name {shlex.quote(stacks[0].name)} says why",
        )
    return stacks[0]


def _checked(found: Mapping[str, str], key: str, form: re.Pattern[str]) -> str | None:
    """Return an output; it becomes part of commands and of registry.toml, so it has to look like what it is."""
    value = found.get(key)
    if value is not None and not form.fullmatch(value):
        raise ConfigError(f"the stack's output {key} is not what it should be: {value!r}", untouched=UNCHANGED)
    return value


def _variables(found: Mapping[str, str], realm: str, start: str, region: str | None) -> list[str]:
    commands: list[str] = []
    for task, suffix in _TASKS.items():
        role = _checked(found, start + suffix, _ARN)
        if role is None:
            continue
        environment = environment_of(task, realm)
        commands.append(f"gh variable set SEALDEX_AWS_ROLE --env {environment} --body {role}")
        if region is not None:
            commands.append(f"gh variable set SEALDEX_AWS_REGION --env {environment} --body {region}")
    return commands


__all__ = ["Adopted", "adopt_stack"]
