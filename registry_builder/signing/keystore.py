"""The key folder, which holds private key files. Always outside the source tree, which is shared and public.

    $SEALDEX_KEYS, or else
    $XDG_DATA_HOME/sealdex-builder/keys/<registry.name>-<registry.id>/      (~/.local/share without XDG_DATA_HOME)
        root-1.pem      one PEM file (PKCS #8) per key, mode 0600, in a folder of mode 0700

A relative ``file2:`` URI of registry.toml names a file in this folder, so the same registry.toml works for everyone.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from registry_builder.source.config import RegistryConfig
from sealdex.errors import ConfigError
from sealdex.paths import home_folder

KEYS_VARIABLE = "SEALDEX_KEYS"
FILE_SCHEME = "file2:"


def key_folder(config: RegistryConfig, tree: Path) -> Path:
    """Return the registry's key folder on this machine; it need not exist yet.

    Raises:
        ConfigError: it would be inside the source tree.
    """
    folder = keys_base(tree)
    if os.environ.get(KEYS_VARIABLE):
        return folder
    return _outside(folder / f"{config.registry.name}-{config.registry.id}", tree)


def keys_base(tree: Path) -> Path:
    """Return the folder that $SEALDEX_KEYS names, or else the one that has a folder for each registry.

    Raises:
        ConfigError: it would be inside the source tree.
    """
    if stated := os.environ.get(KEYS_VARIABLE):
        return _outside(Path(stated).expanduser(), tree)
    data_home = os.environ.get("XDG_DATA_HOME")
    base = Path(data_home) if data_home else Path(home_folder()) / ".local" / "share"
    return _outside(base / "sealdex-builder" / "keys", tree)


def key_file(uri: str, config: RegistryConfig, tree: Path) -> Path:
    """Return the file that a ``file2:`` URI names: in the key folder unless the path is absolute.

    Raises:
        ConfigError: it would be inside the source tree.
    """
    named = Path(uri.removeprefix(FILE_SCHEME)).expanduser()
    return _outside(named if named.is_absolute() else key_folder(config, tree) / named, tree)


def write_private_file(path: Path, data: bytes) -> None:
    """Write a private key with a mode that only its owner can read.

    Raises:
        ConfigError: a file with that name exists; it is left alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError):  # a folder that belongs to someone else but is writable
        path.parent.chmod(0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(
            f"a private key exists already in {path}",
            subject=str(path),
            untouched="it was not overwritten",
            hint="choose another key name, or move the file away if the key is no longer needed",
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _outside(path: Path, tree: Path) -> Path:
    # resolved: a symbolic link must not put a key into the tree under another name
    if path.resolve().is_relative_to(tree.resolve()):
        raise ConfigError(
            f"the key folder or file {path} is inside the source tree {tree}",
            subject=str(path),
            untouched="no key was read or written",
            hint=f"private keys must not be in the source tree: set {KEYS_VARIABLE} to a folder elsewhere",
        )
    return path
