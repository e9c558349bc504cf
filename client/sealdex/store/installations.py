"""What is installed: read from the receipts, quickly and without importing much (see `sealdex.store.layout`).

A version folder appears under its name only when it is whole, its receipt in it. So reading takes no lock, and what
is read is never half of something.
"""

from __future__ import annotations

import json
import os

from sealdex.model.foreign_json import json_values
from sealdex.model.precedence import version_sort_key
from sealdex.store.layout import CURRENT_NAME, FILES_NAME, RECEIPT_FOLDER, RECEIPT_NAME, Store

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from sealdex.store.layout import Plugin

RECEIPT_FORMAT = 1
_MAX_LINK_BYTES = 256
_MAX_RECEIPT_BYTES = 1 << 20
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


class Installation:
    """One installed release, as its receipt tells.

    Attributes:
        namespace, name, version: which release.
        path: its folder.
        registry: name of the registry it came from.
        artifact: file name, format, size in bytes and SHA-256 of what was unpacked.
        manifest_sha256: of the release's full manifest.
        signed_by: the role that signed the index document; ``sealdex.lock`` where a lock alone vouched for it; None
            for an unsigned local archive.
        root_version: version of the trust root it was verified under; None as above.
        installed_at: UTC time, such as ``2026-11-21T12:00:00Z``.
        bin: path of its program inside, or None.
        file_count, unpacked_bytes: of its files.
        files_sha256: of ``.sealdex/files.json``, which names them.
    """

    __slots__ = (
        "artifact_file", "artifact_format", "artifact_sha256", "artifact_size", "bin", "file_count", "files_sha256",
        "installed_at", "manifest_sha256", "name", "namespace", "path", "registry", "root_version", "signed_by",
        "unpacked_bytes", "version",
    )  # fmt: skip

    def __init__(
        self,
        *,
        namespace: str,
        name: str,
        version: str,
        path: str,
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
        self.path = path
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

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes, in the order of their names."""
        return {name: getattr(self, name) for name in self.__slots__}

    def receipt(self) -> bytes:
        """Return the receipt: JSON of all but the path, which is where it lies."""
        values = {"format": RECEIPT_FORMAT, **self.as_dict()}
        del values["path"]
        return json.dumps(values, indent=2).encode() + b"\n"

    def __repr__(self) -> str:
        return f"<Installation {self.namespace}/{self.name} {self.version}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Installation) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((self.path, self.artifact_sha256))


_TEXT, _NUMBER = (str,), (int,)
_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(Installation.__slots__, _TEXT),
    **dict.fromkeys(("artifact_size", "file_count", "unpacked_bytes"), _NUMBER),
    "signed_by": (str, type(None)),
    "bin": (str, type(None)),
    "root_version": (int, type(None)),
}
del _FIELD_TYPES["path"]


def trust_in_words(signed_by: str | None, root_version: int | None) -> str:
    """Say on whose word an installation is believed."""
    if signed_by is None:
        return "unsigned"
    return f"pinned by {signed_by}" if root_version is None else f"signed by {signed_by}, root v{root_version}"


def installations(store: Store) -> list[Installation]:
    """Return all installations, by namespace, name and version (oldest first); `look_over` tells the damaged ones."""
    return look_over(store)[0]


class Damaged:
    """What stands where an installation should be and can't be read as one.

    Attributes:
        namespace, name, version: of its place.
        path: the folder, or what is there in its stead.
        why: in words, as the rest of a sentence that begins with the path.
    """

    __slots__ = ("name", "namespace", "path", "version", "why")

    def __init__(self, plugin: Plugin, version: str, path: str, why: str) -> None:
        self.namespace, self.name = plugin
        self.version = version
        self.path = path
        self.why = why

    def as_dict(self) -> dict[str, str]:
        """Return all attributes, in the order of their names."""
        return {name: getattr(self, name) for name in self.__slots__}


def look_over(store: Store, plugin: Plugin | None = None) -> tuple[list[Installation], list[Damaged]]:
    """Return all installations, and everything else that stands in the place of one; of one plugin only, if given."""
    found, damaged = [], []
    places = _version_folders(store) if plugin is None else _versions_of(store, plugin)
    for of, version, path in places:
        installation = _read(of, version, path)
        if installation is not None:
            found.append(installation)
        elif os.path.lexists(path):  # else another process has just removed it
            why = "is a link, and leads elsewhere" if os.path.islink(path) else "has no receipt that can be read"  # noqa: PTH114  # see layout
            damaged.append(Damaged(of, version, path, why))
    return sorted(found, key=lambda i: (i.namespace, i.name, version_sort_key(i.version))), damaged


def installed_versions(store: Store, plugin: Plugin) -> list[Installation]:
    """Return the installations of one plugin, oldest version first."""
    store.plugin_folder(plugin)  # raises where that can't be the name of one
    return look_over(store, plugin)[0]


def find_installation(store: Store, plugin: Plugin, version: str) -> Installation | None:
    """Return the installation of exactly that version, or None."""
    return _read(plugin, version, store.version_folder(plugin, version))


def installation_in(path: str, plugin: Plugin, version: str) -> Installation | None:
    """Return what the receipt in a folder says, or None where there is none of exactly that version."""
    return _read(plugin, version, path)


def version_stated_in(path: str) -> str | None:
    """Return the version that the receipt in a folder names, whatever the folder is called; None where none does."""
    version = (_receipt(path) or {}).get("version")
    return version if isinstance(version, str) else None


def current(store: Store, plugin: Plugin) -> Installation | None:
    """Return the installation in use, or None.

    Where the version named is gone (a removal was killed half-way), the newest that is left: the next change to the
    plugin makes that the named one.
    """
    version = current_version_named(store, plugin)
    if version is None:
        return None
    folder = os.path.join(store.plugin_folder(plugin), version)  # noqa: PTH118  # see layout
    return _read(plugin, version, folder) or next(reversed(installed_versions(store, plugin)), None)


def current_version_named(store: Store, plugin: Plugin) -> str | None:
    """Return what ``current`` says, whether or not such a version is there."""
    link = store.current_link(plugin)
    try:
        version = os.readlink(link)  # noqa: PTH115  # see layout
    except FileNotFoundError:
        return None
    except (OSError, AttributeError):  # no link: a file, written where links can't be made
        try:
            with open(link, encoding="ascii", errors="replace") as file:  # noqa: PTH123  # see layout
                version = file.read(_MAX_LINK_BYTES).strip()
        except OSError:  # a folder, where somebody copied the store with links followed
            version = str((_receipt(link) or {}).get("version"))
    try:
        store.version_folder(plugin, version)
    except ValueError:
        return None  # it names something else than a version beside it; nothing is looked up there
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
    """Return the names of the folders in a folder, and of links to folders, which stand where a folder should."""
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
        # others may have put a pipe there, which must hold nobody up
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
    """Return where an installation's list of files lies."""
    return os.path.join(installation.path, RECEIPT_FOLDER, FILES_NAME)  # noqa: PTH118  # see layout
