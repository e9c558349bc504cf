"""Signers by URI: loaded on first use, each once, and checked against the public halves in registry.toml.

``file2:`` keys are read here, because securesystemslib reads only unencrypted ones and cuts a path at ``#`` and
``?``, and ``env:VARIABLE`` keys, the text of a PEM file in the environment of a CI job. Every other URI (``hsm:``,
``awskms:``, ``gcpkms:``, ``azurekms:``, ``hv:`` ...) is left to securesystemslib.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.exceptions import KeyMismatchError, UnverifiedSignatureError, VerificationError
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, Signer, SigstoreSigner, SSlibKey

import sealdex.trust.sigstore_key  # noqa: F401  # registers Sigstore identities as a kind of key
from registry_builder.signing.keystore import FILE_SCHEME, KEYS_VARIABLE, key_file
from registry_builder.signing.passphrase import Prompt, find_passphrase
from registry_builder.source.config import KeySection, RegistryConfig
from sealdex.errors import ConfigError, SealdexError
from sealdex.log import Log, hide
from sealdex.trust.key_libraries import load_for
from sealdex.trust.sigstore_bundles import is_installed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_log = Log("registry_builder.signing")

_PROOF = b"sealdex"
"""What a private key signs when it is loaded, to show that it belongs to its public half."""

ENVIRONMENT_SCHEME = "env:"
SIGSTORE_SCHEME = "sigstore:"
SIGSTORE_KEY_TYPE = "sigstore-oidc"
SIGSTORE_EXTRA = "sealdex-builder[sigstore]"


class Reach(NamedTuple):
    """Whether a key can sign on this machine, and if not, why."""

    here: bool
    reason: str = ""


def public_key(section: KeySection) -> Key:
    """Return the public half that registry.toml states.

    Raises:
        ConfigError: the key's type is not supported.
    """
    keyval = {"public": section.public}
    if section.keytype == SIGSTORE_KEY_TYPE:
        keyval = {"identity": section.identity or "", "issuer": section.issuer or ""}
    values = {"keytype": section.keytype, "scheme": section.scheme, "keyval": keyval}
    try:
        return Key.from_dict(section.keyid, values)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"key {section.keyid[:12]} of registry.toml has an unknown type: {error}") from error


def load_signer(config: RegistryConfig, tree: Path, name: str, *, prompt: Prompt | None = None) -> Signer:
    """Load the private half of a key.

    Args:
        config: the registry's configuration.
        tree: the source tree, which private keys must not be in.
        name: the key's name in registry.toml.
        prompt: asks for a passphrase or PIN; None in non-interactive runs.

    Raises:
        ConfigError: there is no such key, isn't available here, can't be decrypted, or isn't the one in registry.toml.
    """
    section = config.keys.get(name)
    if section is None:
        raise ConfigError(f"there is no [keys.{name}] in registry.toml", subject=name)
    public = public_key(section)
    if section.uri.startswith(FILE_SCHEME):
        return _file_signer(name, section, key_file(section.uri, config, tree), public, prompt)
    if section.uri.startswith(ENVIRONMENT_SCHEME):
        return _crypto_signer(name, section, _from_environment(name, section.uri), section.uri, public, prompt)
    if section.uri.startswith(SIGSTORE_SCHEME):
        SIGNER_FOR_URI_SCHEME[SigstoreSigner.SCHEME] = SigstoreSigner  # securesystemslib doesn't register it itself
    try:
        load_for(section.uri)
        return Signer.from_priv_key_uri(section.uri, public, _pin_of(name, prompt))
    except SealdexError:
        raise
    except Exception as error:  # each signer raises its own library's errors, and documents none of them
        raise _unusable(name, f"{section.uri}: {error or type(error).__name__}") from error


def _file_signer(name: str, section: KeySection, path: Path, public: Key, prompt: Prompt | None) -> Signer:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(name, f"{path}: {error.strerror or error}") from error
    return _crypto_signer(name, section, data, str(path), public, prompt)


def _pin_of(name: str, prompt: Prompt | None) -> Prompt:
    """Return a prompt for a token's PIN, which is found like a passphrase."""
    return lambda secret: find_passphrase(f"{name} ({secret})", prompt).decode()


def _from_environment(name: str, uri: str) -> bytes:
    variable = uri.removeprefix(ENVIRONMENT_SCHEME)
    text = os.environ.get(variable)
    if not text:
        raise _unusable(name, f"the variable {variable} is not set")
    for line in (text, *text.split()):
        hide(line if len(line) > _LONG else None)  # not what every PEM file has
    return text.encode()


def _crypto_signer(
    name: str, section: KeySection, data: bytes, path: str, public: Key, prompt: Prompt | None
) -> Signer:
    if not isinstance(public, SSlibKey):
        raise _unusable(name, f"this URI doesn't fit a {section.keytype} key")
    private = _decrypt(name, path, data, prompt)
    try:
        signer = CryptoSigner(private, public)
        public.verify_signature(signer.sign(_PROOF), _PROOF)  # securesystemslib before 1.6 takes any private key
        return signer  # noqa: TRY300  # the two lines above are what may fail
    except (KeyMismatchError, UnverifiedSignatureError, VerificationError, ValueError) as error:
        raise ConfigError(
            f"{path} is not the private half of key '{name}' in registry.toml: {error}",
            subject=name,
            untouched="nothing was signed",
            hint=f"check whether {KEYS_VARIABLE} names this registry's key folder",
        ) from error


def _decrypt(name: str, path: str, data: bytes, prompt: Prompt | None) -> PrivateKeyTypes:
    passphrase = find_passphrase(name, prompt) if is_encrypted(data) else None
    try:
        return load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "the passphrase is wrong, or the file is damaged" if passphrase is not None else str(error)
        raise _unusable(name, f"{path}: {reason}") from error


def is_encrypted(pem: bytes) -> bool:
    """Return whether a PEM file holds an encrypted key (PKCS #8, or the traditional form)."""
    return b"ENCRYPTED" in pem


def _unusable(name: str, reason: str) -> ConfigError:
    return ConfigError(
        f"key '{name}' can't sign here: {reason}",
        subject=name,
        untouched="nothing was signed",
        hint=f"set {KEYS_VARIABLE} to the folder that contains it, or run this where the key is; "
        "sealdex-builder keys list shows which keys are available",
    )


_LONG = 15


class Keyring:
    """The keys of one registry on this machine; each signer is loaded at most once, so users are asked once."""

    def __init__(self, config: RegistryConfig, tree: Path, *, prompt: Prompt | None = None) -> None:
        self._config = config
        self._tree = tree
        self._prompt = prompt
        self._signers: dict[str, Signer] = {}

    def signer(self, name: str) -> Signer:
        """Return the signer of a key; see `load_signer`."""
        if name not in self._signers:
            self._signers[name] = load_signer(self._config, self._tree, name, prompt=self._prompt)
            section = self._config.keys[name]
            _log.info(
                "signing.key", "key {key} ({key_id}) is at {uri}", key=name, key_id=section.keyid, uri=section.uri
            )
        return self._signers[name]

    def signer_for(self, keyid: str) -> Signer | None:
        """Return the signer of the key with that id, or None if registry.toml doesn't have that key.

        Raises:
            ConfigError: it is in registry.toml but can't sign here.
        """
        name = next((n for n, section in self._config.keys.items() if section.keyid == keyid), None)
        return None if name is None else self.signer(name)

    def name_of(self, keyid: str) -> str | None:
        """Return the name of the key with that id."""
        return next((n for n, section in self._config.keys.items() if section.keyid == keyid), None)

    def reach(self, name: str) -> Reach:
        """Return whether a key could sign here, without asking anyone for a passphrase."""
        section = self._config.keys.get(name)
        if section is None:
            return Reach(here=False, reason="it is not in registry.toml")
        try:
            if section.uri.startswith(SIGSTORE_SCHEME):
                # to find out more would open a browser, or spend a workflow's token
                here = is_installed()
                said = "a login is needed" if here else f"pip install '{SIGSTORE_EXTRA}'"
                return Reach(here=here, reason=f"{section.identity}: {said}")
            if not section.uri.startswith(FILE_SCHEME):
                self.signer(name)
                return Reach(here=True)
            path = key_file(section.uri, self._config, self._tree)
            encrypted = is_encrypted(path.read_bytes())
        except SealdexError as error:
            return Reach(here=False, reason=error.message)
        except OSError as error:
            return Reach(here=False, reason=f"{path}: {error.strerror or error}")
        return Reach(here=True, reason="encrypted: its passphrase is needed" if encrypted else "")


__all__ = ["Keyring", "Reach", "is_encrypted", "load_signer", "public_key"]
