"""Reads what is installed from the receipts; imports little (see `sealdex.store.layout`).

A version folder appears under its name only when it is complete, including its receipt. So reading needs no lock and
never sees a partial installation.
"""

from __future__ import annotations

import os

from sealdex.model.foreign_json import json_values
from sealdex.model.precedence import version_sort_key
from sealdex.store.layout import CURRENT_NAME, FILES_NAME, RECEIPT_FOLDER, RECEIPT_NAME, Store

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from sealdex.store.layout import Plugin

RECEIPT_FORMAT = 1
IMAGE_FORMAT = "oci"
"""The format of a container image: nothing of it is in the store, and the file's name is its pinned reference."""
_MAX_LINK_BYTES = 256
_MAX_RECEIPT_BYTES = 1 << 20
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


class Installation:
    """One installed release, as described by its receipt. ``os.fspath`` of it is its folder as text.

    Attributes:
        namespace, name, version: the release.
        path: its folder, as a `Path`.
        registry: name of the registry it came from.
        artifact: file name, format, size in bytes and SHA-256 of what was unpacked.
        manifest_sha256: digest of the release's full manifest.
        signed_by: the role that signed the index document; ``sealdex.lock`` if it was verified by a lock alone; None
            for an unsigned local archive.
        root_version: version of the trust root it was verified with; None if there was none.
        installed_at: UTC time, such as ``2026-11-21T12:00:00Z``.
        bin: path of its program inside, or None.
        file_count, unpacked_bytes: number and total size of its files.
        files_sha256: digest of ``.sealdex/files.json``, which lists them.
    """

    __slots__ = (
        "_folder", "artifact_file", "artifact_format", "artifact_sha256", "artifact_size", "bin", "file_count",
        "files_sha256", "installed_at", "manifest_sha256", "name", "namespace", "registry", "root_version", "signed_by",
        "unpacked_bytes", "version",
    )  # fmt: skip

    def __init__(
        self,
        *,
        namespace: str,
        name: str,
        version: str,
        path: str | os.PathLike[str],
        registry: str,
        artifact_file: str,
        artifact_format: str,
        artifact_size: int,
        artifact_sha256: str,
        manifest_sha256: str,
        signed_by: str | None,
        root_version: int | None,
        installed_at: str,
        bin: str | None,  # noqa: A002  # the manifest's word for it
        file_count: int,
        unpacked_bytes: int,
        files_sha256: str,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.version = version
        self._folder = os.fspath(path)
        self.registry = registry
        self.artifact_file = artifact_file
        self.artifact_format = artifact_format
        self.artifact_size = artifact_size
        self.artifact_sha256 = artifact_sha256
        self.manifest_sha256 = manifest_sha256
        self.signed_by = signed_by
        self.root_version = root_version
        self.installed_at = installed_at
        self.bin = bin
        self.file_count = file_count
        self.unpacked_bytes = unpacked_bytes
        self.files_sha256 = files_sha256

    @property
    def id(self) -> Plugin:
        """(namespace, name)."""
        return (self.namespace, self.name)

    @property
    def path(self) -> Path:
        """Its folder."""
        from pathlib import Path  # noqa: PLC0415  # `list` and `path` have no time for it

        return Path(self._folder)

    def __fspath__(self) -> str:
        return self._folder

    @property
    def image(self) -> str | None:
        """The reference of a container image, pinned by its digest; None for everything else."""
        return self.artifact_file if self.artifact_format == IMAGE_FORMAT else None

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes, sorted by name; the path as text."""
        return {name: self._folder if name == "path" else getattr(self, name) for name in _NAMES}

    def receipt(self) -> bytes:
        """Return the receipt: JSON of all attributes except the path."""
        values = {"format": RECEIPT_FORMAT, **{name: getattr(self, name) for name in _STATED}}
        import json  # noqa: PLC0415  # only who writes one

        return json.dumps(values, indent=2).encode() + b"\n"

    def __repr__(self) -> str:
        return f"<Installation {self.namespace}/{self.name} {self.version}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Installation) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((self._folder, self.artifact_sha256))


_STATED = tuple(sorted(set(Installation.__slots__) - {"_folder"}))
"""What a receipt states."""
_NAMES = tuple(sorted((*_STATED, "path")))
_TEXT, _NUMBER = (str,), (int,)
_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_STATED, _TEXT),
    **dict.fromkeys(("artifact_size", "file_count", "unpacked_bytes"), _NUMBER),
    "signed_by": (str, type(None)),
    "bin": (str, type(None)),
    "root_version": (int, type(None)),
}


def format_trust(signed_by: str | None, root_version: int | None) -> str:
    """Return who signed an installation, as text."""
    if signed_by is None:
        return "unsigned"
    return f"pinned by {signed_by}" if root_version is None else f"signed by {signed_by}, root v{root_version}"


def installations(store: Store) -> list[Installation]:
    """Return all installations, by namespace, name and version (oldest first); for damaged ones see `look_over`."""
    return look_over(store)[0]


class Damaged:
    """Something in the place of an installation that can't be read as one.

    Attributes:
        namespace, name, version: of its place.
        path: the folder, or whatever is there instead.
        why: text that continues a sentence beginning with the path.
    """

    __slots__ = ("name", "namespace", "path", "version", "why")

    def __init__(self, plugin: Plugin, version: str, path: str, why: str) -> None:
        self.namespace, self.name = plugin
        self.version = version
        self.path = path
        self.why = why

    def as_dict(self) -> dict[str, str]:
        """Return all attributes, sorted by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def look_over(store: Store, plugin: Plugin | None = None) -> tuple[list[Installation], list[Damaged]]:
    """Return all installations, and everything else in the place of one; of one plugin only, if given."""
    found, damaged = [], []
    places = _version_folders(store) if plugin is None else _versions_of(store, plugin)
    for of, version, path in places:
        installation = _read(of, version, path)
        if installation is not None:
            found.append(installation)
        elif os.path.lexists(path):  # otherwise another process has just removed it
            why = "is a link that leads elsewhere" if os.path.islink(path) else "has no readable receipt"  # noqa: PTH114  # see layout
            damaged.append(Damaged(of, version, path, why))
    return sorted(found, key=lambda i: (i.namespace, i.name, version_sort_key(i.version))), damaged


def installed_versions(store: Store, plugin: Plugin) -> list[Installation]:
    """Return the installations of one plugin, oldest version first."""
    store.plugin_folder(plugin)  # raises if that can't be the name of one
    return look_over(store, plugin)[0]


def find_installation(store: Store, plugin: Plugin, version: str) -> Installation | None:
    """Return the installation of exactly that version, or None."""
    store.plugin_folder(plugin)  # raises if that can't be the name of one
    try:
        folder = store.version_folder(plugin, version)
    except ValueError:
        return None  # no folder can have that name, so no version of that name is installed
    return _read(plugin, version, folder)


def installation_in(path: str, plugin: Plugin, version: str) -> Installation | None:
    """Return the installation described by the receipt in a folder; None if there is none of exactly that version."""
    return _read(plugin, version, path)


def version_stated_in(path: str) -> str | None:
    """Return the version named by the receipt in a folder, whatever the folder's name; None without a receipt."""
    version = (_receipt(path) or {}).get("version")
    return version if isinstance(version, str) else None


def current(store: Store, plugin: Plugin) -> Installation | None:
    """Return the installation in use, or None.

    If that version is gone (a removal was killed half-way), this is the newest remaining one: the next change to the
    plugin makes it current.
    """
    version = current_version_named(store, plugin)
    if version is None:
        return None
    folder = os.path.join(store.plugin_folder(plugin), version)  # noqa: PTH118  # see layout
    return _read(plugin, version, folder) or next(reversed(installed_versions(store, plugin)), None)


def current_version_named(store: Store, plugin: Plugin) -> str | None:
    """Return the version that ``current`` names, whether it is installed or not."""
    link = store.current_link(plugin)
    try:
        version = os.readlink(link)  # noqa: PTH115  # see layout
    except FileNotFoundError:
        return None
    except (OSError, AttributeError):  # not a link but a file, written where links can't be made
        try:
            with open(link, encoding="ascii", errors="replace") as file:  # noqa: PTH123  # see layout
                version = file.read(_MAX_LINK_BYTES).strip()
        except OSError:  # a folder: the store was copied with links followed
            version = str((_receipt(link) or {}).get("version"))
    try:
        store.version_folder(plugin, version)
    except ValueError:
        return None  # it doesn't name a version beside it; ignore it
    return version


def _version_folders(store: Store) -> Iterator[tuple[Plugin, str, str]]:
    root = store.plugins_folder
    for namespace in _names_in(root):
        for name in _names_in(os.path.join(root, namespace)):  # noqa: PTH118  # see layout
            yield from _versions_of(store, (namespace, name))


def _versions_of(store: Store, plugin: Plugin) -> Iterator[tuple[Plugin, str, str]]:
    folder = os.path.join(store.plugins_folder, *plugin)  # noqa: PTH118  # see layout
    for version in _names_in(folder):
        yield plugin, version, os.path.join(folder, version)  # noqa: PTH118  # see layout


def _names_in(folder: str) -> list[str]:
    """Return the names of the folders in a folder, including links to folders."""
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry in found if entry.name != CURRENT_NAME and _is_folder(entry))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that can't be followed
        return True


def _receipt(folder: str) -> dict[str, Any] | None:
    try:
        # others may have put a pipe there, which must not block
        fd = os.open(os.path.join(folder, RECEIPT_FOLDER, RECEIPT_NAME), os.O_RDONLY | _NO_FOLLOW)  # noqa: PTH118  # see layout
        with open(fd, "rb") as file:  # noqa: PTH123  # see layout
            values = json_values(file.read(_MAX_RECEIPT_BYTES))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _read(plugin: Plugin, version: str, path: str) -> Installation | None:
    values = None if os.path.islink(path) else _receipt(path)  # noqa: PTH114  # see layout
    if values is None:
        return None
    fields = {name: values.get(name) for name in _FIELD_TYPES}
    if any(type(fields[name]) not in types for name, types in _FIELD_TYPES.items()):
        return None
    if (fields["namespace"], fields["name"], fields["version"]) != (*plugin, version):
        return None
    return Installation(path=path, **fields)  # type: ignore[arg-type]  # each was compared with its type above


def files_list_path(installation: Installation) -> str:
    """Return the path of an installation's list of files."""
    return os.path.join(installation, RECEIPT_FOLDER, FILES_NAME)  # noqa: PTH118  # see layout
