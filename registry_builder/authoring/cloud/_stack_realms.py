"""The realms of an account's template: their buckets, addresses and readers, checked. Every problem at once. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from registry_builder.source.config import KEY_GROUP_OF_STACK, RealmSection, RegistryConfig
from registry_builder.source.realms import PUBLIC_REALM, check_realm
from registry_builder.storage import bucket_of, place_of, region_of
from registry_builder.storage.access_policy import Place
from sealdex.errors import UsageError

DEFAULT_REGION = "us-east-1"
"""Where CloudFront's certificates and logs are set up, wherever the buckets are."""
NOTHING = "nothing was written"

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.()/-]+")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]")
_HOST = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
_CLOUDFRONT = ".cloudfront.net"
_SIMPLE = re.compile(r"[a-z][a-z0-9]*")
_LONG = 20


@dataclass(frozen=True)
class StackRealm:
    """One realm of a template.

    Attributes:
        name: in registry.toml.
        id: begins the names of its resources; of the name alone, since a resource that is renamed is made again.
        label: part of names in the account, at most 20 characters.
        place: bucket and prefix.
        section: in registry.toml.
        host: of its url, if that isn't CloudFront's own.
        is_private: only its readers may read it.
        answers_hub: the Model Hub's addresses are answered too (``[api] model_hub``), which CloudFront has to rewrite.
    """

    name: str
    id: str
    label: str
    place: Place
    section: RealmSection
    host: str | None
    is_private: bool
    answers_hub: bool = False

    @property
    def has_hub(self) -> bool:
        """Whether the stack makes the function and the store that answer at the Model Hub's addresses."""
        return self.answers_hub and self.has_cdn

    @property
    def has_cdn(self) -> bool:
        """Whether CloudFront is in front of it: not where readers are IAM principals alone, who read from S3."""
        readers = self.section.readers
        return readers is None or readers.key_group is not None

    @property
    def makes_key_group(self) -> bool:
        """Whether the stack makes the key group of its readers."""
        readers = self.section.readers
        return readers is not None and readers.key_group == KEY_GROUP_OF_STACK


def resource_id(realm: str) -> str:
    """Return what the names of a realm's resources begin with; two realms never have the same."""
    joined = "".join(part.capitalize() for part in re.split(r"[._-]", realm))
    if _SIMPLE.fullmatch(realm):
        return joined
    return f"{joined}X{hashlib.sha256(realm.encode()).hexdigest()[:6]}"  # `a-b` and `a.b` join alike


def stack_realms(config: RegistryConfig, names: Sequence[str]) -> tuple[list[StackRealm], str, list[str]]:
    """Return the realms of a template, the region of their buckets, and which realms were left out.

    Args:
        config: registry.toml.
        names: of realms; empty for all that are in S3.

    Raises:
        NotFoundError: there is no such realm.
        ConfigError: the storages of two realms overlap.
        UsageError: a template can't hold what registry.toml says; every reason is listed.
    """
    for name in names or config.realms:
        check_realm(config, name)
    chosen = list(dict.fromkeys(names)) or [name for name, section in config.realms.items() if section.is_s3]
    if not chosen:
        raise UsageError(
            "no realm of registry.toml is in S3, and the template is for realms there",
            untouched=NOTHING,
            hint='write storage = "s3://BUCKET?region=us-east-1" below [realms.public] in registry.toml',
        )
    problems: list[str] = []
    realms: list[StackRealm] = []
    for name in chosen:
        section = config.realms[name]
        realm, wrong = _realm(name, section)
        problems += wrong
        if realm is not None:
            realms.append(replace(realm, answers_hub=config.api.model_hub))
    problems += _shared(realms)
    regions = {realm.name: region_of(realm.section.storage) or DEFAULT_REGION for realm in realms}
    if len(set(regions.values())) > 1:
        listed = ", ".join(f"{name} in {region}" for name, region in regions.items())
        problems.append(
            f"a stack is in one region, and buckets are in several ({listed}): give --realm, and make one template for "
            "each"
        )
    _refuse(problems)
    return realms, next(iter(regions.values())), [name for name in config.realms if name not in chosen]


def check_section(name: str, section: RealmSection) -> None:
    """Refuse a realm that a template can't hold.

    Raises:
        UsageError: every reason is listed.
    """
    _refuse(_realm(name, section)[1])


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise UsageError(
            "; ".join(problems), untouched=NOTHING, hint="change registry.toml, or name the other realms by --realm"
        )


def _realm(name: str, section: RealmSection) -> tuple[StackRealm | None, list[str]]:
    place = bucket_of(section.storage)
    if place is None:
        return None, [f"realms.{name}.storage is {section.storage}: the template is for realms in S3"]
    host, problems = _host(name, section.url)
    problems += [*_storage_problems(name, section.storage, place), *_reader_problems(name, section)]
    is_private = section.readers is not None
    return StackRealm(name, resource_id(name), _label(name), place, section, host, is_private=is_private), problems


def _storage_problems(name: str, storage: str, place: Place) -> Iterator[str]:
    field, region = f"realms.{name}.storage", region_of(storage)
    if place_of(storage)[1]:
        yield f"{field} has an endpoint_url: the template is for AWS"
    if region is not None and not _REGION.fullmatch(region):
        yield f"{field} has region={region}, which is not a region of AWS"
    elif place.partition != "aws":
        yield f"{field} has region={region}: what the template uses of CloudFront isn't in {place.partition}"
    if not _BUCKET.fullmatch(place.bucket):
        why = ": a dot breaks HTTPS to the bucket" if "." in place.bucket else ""
        yield f"{field} names bucket {place.bucket!r}: write 3 to 63 of a-z, 0-9 and '-', none at an end{why}"
    if place.prefix and not _PREFIX.fullmatch(place.prefix):
        yield f"{field} has the prefix {place.prefix!r}: policies hold only A-Z, a-z, 0-9 and !_.()-/ as they are"


def _reader_problems(name: str, section: RealmSection) -> Iterator[str]:
    if name != PUBLIC_REALM and section.readers is None:
        yield (
            f"realms.{name}.readers is missing, and CloudFront would serve the realm to everybody: write principals or "
            f'key_group = "{KEY_GROUP_OF_STACK}" below [realms.{name}.readers]'
        )


def _host(name: str, url: str | None) -> tuple[str | None, list[str]]:
    """Return the host that the distribution answers to, if it has a name of its own, and what is wrong with the url."""
    if url is None:
        return None, []
    field = f"realms.{name}.url is {url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        return None, [f"{field}: {error}"]
    problems = []
    if parts.scheme != "https":
        problems.append(f"{field}: it must begin with https://")
    if port is not None or parts.username is not None or parts.query or parts.fragment:
        problems.append(f"{field}: it may have neither port, user, query nor fragment")
    if parts.path.strip("/"):
        problems.append(f"{field}: the distribution serves at the top of its host, so the url may have no path")
    if not host.isascii():
        problems.append(f"{field}: write the host as DNS has it{_ascii_of(host)}")
    elif not _HOST.fullmatch(host):
        problems.append(f"{field}: its host is not a name in DNS")
    return (None if host.endswith(_CLOUDFRONT) else host), problems


def _ascii_of(host: str) -> str:
    try:
        return f": {host.encode('idna').decode()}"
    except UnicodeError:
        return ""


def _shared(realms: Sequence[StackRealm]) -> Iterator[str]:
    """Find realms with one bucket, whose publishers could list each other, or with one host."""
    for number, realm in enumerate(realms):
        for other in realms[:number]:
            if realm.place.bucket == other.place.bucket:
                yield (
                    f"realms.{other.name}.storage and realms.{realm.name}.storage are in bucket {realm.place.bucket}: "
                    "give each a bucket of its own; otherwise whoever may list one reads the names in the other"
                )
            if realm.host is not None and realm.host == other.host and realm.has_cdn and other.has_cdn:
                yield f"realms.{other.name}.url and realms.{realm.name}.url have one host, {realm.host}"


def _label(name: str) -> str:
    plain = re.sub(r"[._]", "-", name)
    if name == plain and len(name) <= _LONG:
        return name
    return f"{plain[: _LONG - 7].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


__all__ = ["DEFAULT_REGION", "NOTHING", "StackRealm", "check_section", "resource_id", "stack_realms"]
