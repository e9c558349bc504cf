"""Which registry here a bundle's archive is of, and which root proves it: nothing that is carried sets these."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sealdex.config.config import MAX_ROOT_BYTES, Config, RegistrySection, url_problem
from sealdex.config.edit import with_registry
from sealdex.download.bundle.container import Bundle, CarriedRegistry, damaged
from sealdex.errors import ConfigError, NoRegistryError, UnavailableError, UsageError
from sealdex.model.ids import parse_plugin_id
from sealdex.transport import Transport
from sealdex.trust import check_root, fetch_root_by_fingerprint, fingerprint

_NOTHING = "nothing was installed"


class Pinned(NamedTuple):
    """A registry that this installation added to config.toml: its name, address and root."""

    name: str
    url: str
    root: bytes


def name_here(config: Config, carried: CarriedRegistry, bundle: Bundle) -> str | None:
    """Return the registry that the plugins of one archive are looked up in on this host; None if there is none."""
    names: set[str | None] = set()
    for plugin in carried.plugins:
        try:
            names.add(config.registry_for(parse_plugin_id(plugin).namespace))
        except NoRegistryError:  # noqa: PERF203  # each is asked about by itself
            names.add(None)
    if len(names) != 1:
        raise UsageError(
            f"the plugins of registry '{carried.name}' are looked up in several registries here",
            subject=str(bundle.path),
            untouched=_NOTHING,
            hint="see `namespaces` of each: sealdex registry list",
        )
    return names.pop()


def given_root(root: Path | None, wanted: str | None, url: str, transport: Transport, path: Path) -> bytes | None:
    """Return the root that the user names, by a file or by its fingerprint; None for neither.

    Args:
        root: the file.
        wanted: its SHA-256; the bytes may be the bundle's.
        url: where the unpacked archive is.
        transport: reads that.
        path: of the bundle, for messages.

    Raises:
        UsageError: both are given.
        VerificationError: it is not valid root metadata, or the bundle has none of that fingerprint.
    """
    if root is not None and wanted is not None:
        raise UsageError("give --root or --fingerprint, not both", untouched=_NOTHING)
    if root is not None:
        with root.open("rb") as file:
            data = file.read(MAX_ROOT_BYTES)
    elif wanted is not None:
        try:
            data = fetch_root_by_fingerprint(url, wanted, transport)
        except UnavailableError as error:
            raise damaged(path, "it has no root metadata of that fingerprint") from error
    else:
        return None
    check_root(data)
    return data


def trusted_root(config: Config, here: str | None, given: bytes | None) -> bytes:
    """Return the root that everything is verified from: the configured one; else the one given."""
    if here is None:
        if given is None:
            raise AssertionError("unreachable: one of the two was asked for above")
        return given
    configured = config.root_bytes(here)
    if given is not None and given != configured:
        raise UsageError(
            f"registry '{here}' is configured with another root (SHA-256 {fingerprint(configured)})",
            subject=here,
            untouched=_NOTHING,
            hint="leave --root and --fingerprint out to go on from the configured root, or find out which is right",
        )
    return configured


def address_of(stated: str) -> str:
    """Return the address that a registry is added with.

    Raises:
        UsageError: it is not a valid one.
    """
    url = Path(stated).resolve().as_uri() + "/" if "://" not in stated and Path(stated).is_dir() else stated
    if problem := url_problem(url):
        raise UsageError(
            f"'{stated}' {problem}",
            untouched=_NOTHING,
            hint="say where the registry is from here on: --address https://plugins.example.org/",
        )
    return url


def check_addition(config: Config, added: Pinned, path: Path) -> None:
    """Find out now whether config.toml can take the registry."""
    text = config.path.read_text(encoding="utf-8") if config.path.exists() else ""
    try:
        with_registry(text, added.name, RegistrySection(url=added.url, root=f"roots/{added.name}.root.json"))
    except (UsageError, ConfigError) as error:
        raise UsageError(
            f"the registry can't be added to {config.path}: {error.message}",
            subject=str(path),
            untouched=_NOTHING,
            hint="choose another name with --name, or add it first: sealdex registry add NAME ADDRESS --root FILE",
        ) from error


__all__ = ["Pinned", "address_of", "check_addition", "given_root", "name_here", "trusted_root"]
