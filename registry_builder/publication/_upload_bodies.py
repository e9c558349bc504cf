"""The bytes of each file that a publish creates, made or opened when it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from registry_builder.compile.manifest import manifest_bytes
from registry_builder.publication.uploads import FileListSource, ManifestSource, ReadmeSource, TreeFile, Upload
from registry_builder.source.file_list import file_list_bytes
from registry_builder.source.readme_file import read_readme
from registry_builder.source.safe_open import UnreadableError
from registry_builder.source.tree import SourcePlugin
from registry_builder.storage import Body, FileChangedError, headers_for
from sealdex.errors import SealdexError


def body_of(upload: Upload, *, on_bytes: Callable[[int], None]) -> Body:
    """Return what to store; ``on_bytes`` is told of a file's bytes as `Body` has it.

    Raises:
        FileChangedError: the README isn't what was planned; of archives that is found out when they are put.
        SealdexError: the archive has other files than the release states.
    """
    headers, content = headers_for(upload.key), upload.content
    if isinstance(content, TreeFile):
        return Body.of_file(
            content.path, headers, size=upload.size, sha256=upload.sha256, on_bytes=on_bytes, opener=content.open
        )
    # of the size and digest that were signed: storages hold what they write to both
    return Body(_bytes(upload), None, upload.size, upload.sha256, headers.content_type, headers.cache_control)


def _bytes(upload: Upload) -> bytes:
    content = upload.content
    if isinstance(content, ReadmeSource):
        return _readme(upload, content.plugin, content.language)
    if isinstance(content, ManifestSource):
        return manifest_bytes(content.plugin, content.release)
    if isinstance(content, FileListSource):
        return _file_list(upload, content.archive)
    if isinstance(content, bytes):
        return content
    raise AssertionError  # an archive is streamed


def _file_list(upload: Upload, archive: TreeFile) -> bytes:
    data = file_list_bytes(archive.path, archive.open())
    if hashlib.sha256(data).hexdigest() != upload.sha256:
        raise SealdexError(
            f"the file list stated in the release is not that of {archive.path.name}",
            subject=upload.key,
            untouched="nothing was published",
            hint="remove the release file and write it again with: sealdex-builder release ARCHIVE",
        )
    return data


def _readme(upload: Upload, plugin: SourcePlugin, language: str | None) -> bytes:
    path = (plugin.readme if language is None else plugin.readme_i18n.get(language)) or plugin.folder
    try:
        readme = read_readme(plugin, language)
    except UnreadableError as error:
        raise FileChangedError(path, str(error)) from error
    data = readme.bytes_of(upload.sha256) if readme is not None else b""
    if hashlib.sha256(data).hexdigest() != upload.sha256:
        raise FileChangedError(path, "it has other bytes now")
    return data
