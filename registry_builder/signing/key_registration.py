"""Creates keys and writes their public halves into registry.toml, keeping its comments and order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

import msgspec
import tomlkit
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.signer import AWSSigner, HSMSigner, SigstoreSigner, SSlibKey
from tomlkit import TOMLDocument
from tomlkit.items import Table

from registry_builder.signing.keystore import FILE_SCHEME, key_file, key_folder, write_private_file
from registry_builder.signing.passphrase import Prompt, find_passphrase
from registry_builder.source.config import (
    CONFIG_NAME,
    KeySection,
    NamespaceSection,
    RegistryConfig,
    RoleSection,
    read_config_text,
)
from sealdex import disk
from sealdex.config.toml_reader import toml_values
from sealdex.errors import ConfigError, SealdexError, UsageError
from sealdex.model.decode import read_values
from sealdex.trust.key_libraries import load_for

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
KeyKind = Literal["ed25519", "ecdsa-p256", "rsa-pss"]
KEY_KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
_RSA_BITS = 3072  # NIST SP 800-57 part 1: 128 bits of security, like the two others

_NOT_WRITTEN = "registry.toml was not changed"
_KEY_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


def create_key(
    tree: Path, config: RegistryConfig, name: str, *, kind: KeyKind = "ed25519", passphrase: bytes | None
) -> tuple[KeySection, Path]:
    """Create a key pair: the private half as a PEM file in the key folder, the public half as the returned section.

    Args:
        tree: the source tree, which the key folder must not be in.
        config: its configuration.
        name: the key's name in registry.toml and of its file.
        kind: one of `KEY_KINDS`.
        passphrase: encrypts the file; None leaves it unencrypted, for development keys.

    Returns:
        The section for registry.toml and the file that was written.

    Raises:
        UsageError: the name or kind is not valid, or the passphrase is empty.
        ConfigError: the key exists already, or the key folder is inside the tree.
    """
    if not _KEY_NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a valid key name: use lower-case letters and digits in groups joined by '.', '_' or '-'"
        )
    if passphrase is not None and not passphrase:
        raise UsageError("the passphrase is empty", untouched="no key was created")
    if name in config.keys:
        raise ConfigError(
            f"key '{name}' is already in {CONFIG_NAME}",
            subject=name,
            untouched="no key was created",
            hint="choose another name; a key is replaced by a ceremony, never overwritten",
        )
    private_key, scheme = _generate(kind)
    uri = f"{FILE_SCHEME}{name}.pem"
    path = key_file(uri, config, tree)
    write_private_file(path, _pem(private_key, passphrase))
    return _section(uri, private_key, scheme), path


def import_key(config: RegistryConfig, name: str, uri: str, *, prompt: Prompt | None = None) -> KeySection:
    """Return the section of a key that exists elsewhere; its public half is read from where the private one is.

    Args:
        config: the registry's configuration.
        name: the key's name in registry.toml.
        uri: ``hsm:2?label=TOKEN`` (PKCS#11, EC keys; the module is $PYKCS11LIB), ``awskms:KEY``, ``env:VARIABLE``, or
            ``sigstore:?identity=WHO&issuer=https://...`` (with ``&ambient=false`` for a person with a browser).
        prompt: asks for a PIN or passphrase.

    Raises:
        UsageError: the name is not valid, or keys can't be read from such a URI.
        ConfigError: the name is taken, or the key can't be read.
    """
    if not _KEY_NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a valid key name: use lower-case letters, digits, '.', '_' and '-'")
    if name in config.keys:
        raise ConfigError(f"key '{name}' is already in {CONFIG_NAME}", subject=name, untouched=_NOT_WRITTEN)
    scheme = uri.partition(":")[0]
    try:
        load_for(uri)
        if scheme == "hsm":
            parts = urlsplit(uri)
            label = parse_qs(parts.query).get("label", [None])[0]
            found, public = HSMSigner.import_(
                int(parts.path) if parts.path else None,
                label,
                lambda secret: find_passphrase(f"{name} ({secret})", prompt).decode(),
            )
            return _public_section(found, public)
        if scheme == "awskms":
            return _public_section(*AWSSigner.import_(uri.partition(":")[2]))
        if scheme == "env":
            return _environment_section(name, uri, prompt)
        if scheme == "sigstore":
            return _sigstore_section(uri)
    except SealdexError:
        raise
    except Exception as error:  # each signer raises its own library's errors, and documents none of them
        raise ConfigError(
            f"key '{name}' can't be read from {uri}: {error or type(error).__name__}",
            subject=name,
            untouched=_NOT_WRITTEN,
        ) from error
    raise UsageError(
        f"keys can't be read from '{uri}'",
        untouched=_NOT_WRITTEN,
        hint="use hsm:2?label=TOKEN, awskms:KEY, env:VARIABLE or sigstore:?identity=WHO&issuer=URL; "
        "create key files with: sealdex-builder keys create NAME",
    )


def _sigstore_section(uri: str) -> KeySection:
    said = {key: values[-1] for key, values in parse_qs(urlsplit(uri).query).items()}
    identity, issuer = said.get("identity", ""), said.get("issuer", "")
    if not identity or "*" in identity or not issuer.startswith("https://"):
        raise UsageError(
            f"'{uri}' has no identity and issuer",
            untouched=_NOT_WRITTEN,
            hint="write sigstore:?identity=kim@example.org&issuer=https://accounts.example.org&ambient=false, "
            "or the identity of one workflow; percent-encode special characters as %XX",
        )
    private, public = SigstoreSigner.import_(identity, issuer, said.get("ambient", "true") == "true")
    return KeySection(
        uri=private,
        keyid=public.keyid,
        keytype=public.keytype,
        scheme=public.scheme,
        identity=identity,
        issuer=issuer,
    )


def _environment_section(name: str, uri: str, prompt: Prompt | None) -> KeySection:
    return section_of_pem(name, uri, os.environ.get(uri.partition(":")[2], "").encode(), prompt)


def section_of_pem(name: str, uri: str, data: bytes, prompt: Prompt | None = None) -> KeySection:
    """Return the section of a private key in a PEM file.

    Raises:
        ConfigError: its type is not supported, or it is encrypted and there is no passphrase.
        ValueError, TypeError: it is not a private key.
    """
    private = serialization.load_pem_private_key(data, find_passphrase(name, prompt) if b"ENCRYPTED" in data else None)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return _section(uri, private, "ed25519")
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        return _section(uri, private, "ecdsa-sha2-nistp256")
    if isinstance(private, rsa.RSAPrivateKey):
        return _section(uri, private, "rsassa-pss-sha256")
    raise ConfigError(f"key '{name}' has a type that is not supported", subject=name, untouched=_NOT_WRITTEN)


def _generate(kind: KeyKind) -> tuple[PrivateKeyTypes, str]:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate(), "ed25519"
    if kind == "ecdsa-p256":
        return ec.generate_private_key(ec.SECP256R1()), "ecdsa-sha2-nistp256"
    if kind == "rsa-pss":
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS), "rsassa-pss-sha256"
    raise UsageError(f"'{kind}' is not a key type: use one of {', '.join(KEY_KINDS)}")


def _pem(private_key: PrivateKeyTypes, passphrase: bytes | None) -> bytes:
    return private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase),
    )


def _section(uri: str, private_key: PrivateKeyTypes, scheme: str) -> KeySection:
    return _public_section(uri, SSlibKey.from_crypto(private_key.public_key(), scheme=scheme))


def _public_section(uri: str, public: SSlibKey) -> KeySection:
    return KeySection(
        uri=uri, keyid=public.keyid, keytype=public.keytype, scheme=public.scheme, public=public.keyval["public"]
    )


def unchecked_config(tree: Path) -> RegistryConfig:
    """Read registry.toml without checking that every key of a role exists: they are about to be created.

    Raises:
        ConfigError: it can't be read or is not valid.
    """
    path = tree / CONFIG_NAME
    try:
        return read_values(toml_values(read_config_text(tree)), RegistryConfig)
    except ValueError as error:  # DocumentError is one
        raise ConfigError(f"can't be read: {error}", subject=str(path)) from error


def register_keys(
    tree: Path, sections: Mapping[str, KeySection], roles: Mapping[str, Iterable[str]] | None = None
) -> None:
    """Write ``[keys.NAME]`` sections, and the keys of roles, into registry.toml; everything else stays as it is.

    Args:
        tree: the source tree.
        sections: key name to section.
        roles: role to the names of all its keys; roles that aren't named here stay as they are.
    """
    path = tree / CONFIG_NAME
    document = tomlkit.parse(read_config_text(tree))
    keys: Any = document.setdefault("keys", tomlkit.table(is_super_table=True))
    for name, section in sections.items():
        keys[name] = _toml(section)
    for role, names in (roles or {}).items():
        role_table: Any = document.setdefault("roles", tomlkit.table(is_super_table=True)).setdefault(
            role, tomlkit.table()
        )
        role_table["keys"] = list(names)
    _write(path, document)


def write_sections(
    tree: Path,
    roles: Mapping[str, RoleSection],
    namespaces: Mapping[str, NamespaceSection],
    released: Iterable[str],
) -> None:
    """Write what a finished ceremony changed into registry.toml; everything else stays as it is.

    Args:
        tree: the source tree.
        roles: role to its section.
        namespaces: claimed namespace to its section.
        released: namespaces whose section is removed.
    """
    path = tree / CONFIG_NAME
    document = tomlkit.parse(read_config_text(tree))
    for name, role in roles.items():
        table: Any = document["roles"]
        for key, value in msgspec.to_builtins(role).items():
            table[name][key] = value
    claims: Any = document.setdefault("namespaces", tomlkit.table(is_super_table=True)) if namespaces else None
    for name, section in namespaces.items():
        claims[name] = tomlkit.item(msgspec.to_builtins(section))
    for name in released:
        existing: Any = document["namespaces"]
        existing.remove(name)
    _write(path, document)


def _write(path: Path, document: TOMLDocument) -> None:
    # beside and renamed: an interrupted write must not leave half a registry.toml
    beside = path.with_name(f".{CONFIG_NAME}.{os.getpid()}")
    beside.write_text(tomlkit.dumps(document), encoding="utf-8")
    disk.replace(beside, path)


def _toml(section: KeySection) -> Table:
    table = tomlkit.table()
    table["uri"] = section.uri
    table["keyid"] = section.keyid
    table["keytype"] = section.keytype
    table["scheme"] = section.scheme
    if section.public:
        table["public"] = tomlkit.string(section.public, multiline="\n" in section.public)
    else:
        table["identity"] = section.identity
        table["issuer"] = section.issuer
    table.add(tomlkit.nl())
    return table


__all__ = [
    "KEY_KINDS",
    "create_key",
    "import_key",
    "key_folder",
    "register_keys",
    "section_of_pem",
    "unchecked_config",
    "write_sections",
]
