"""Every reader of foreign bytes, with seeds: what the corpus of the suite and the atheris targets both run.

A reader ends in its value or in an error that it documents: a ``SealdexError``, a ``DocumentError`` where whoever calls
it adds the file's name, or what else its ``may_raise`` says. Anything else is a find.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import urllib3
from support.archives import make_zip, tar_bytes, tar_info
from support.tuf_repository import TufRepository, document

from registry_builder.importers.krew import read_history
from registry_builder.source.config import ROLES, read_config
from registry_builder.source.documents import decode_document
from registry_builder.source.yaml12 import YamlError, read_yaml
from sealdex.archive.unpack import unpack
from sealdex.config.config import load_config
from sealdex.download._delta_plan import plan_listed, read_file_list
from sealdex.download.mirror.record import parse_record
from sealdex.download.mirror.state import read_state
from sealdex.download.mirror.volumes import ARCHIVE_FORMAT, ArchiveHead, Piece, read_head, write_volume
from sealdex.download.mirror.volumes import unpack as unpack_volume
from sealdex.errors import SealdexError
from sealdex.lockfile.lock_file import LOCK_NAME, read_lock
from sealdex.lockfile.project_file import WANTED_NAME, read_wanted
from sealdex.model.catalog import CATALOG_FORMAT, CatalogShard
from sealdex.model.decode import DocumentError, encode_json, read_wire
from sealdex.model.ids import PluginId
from sealdex.model.index import INDEX_FORMAT, ArtifactEntry, IndexDocument
from sealdex.model.plugin import EventFile, Plugin, PluginStatus
from sealdex.model.release import Release
from sealdex.runtime import _protocol as protocol
from sealdex.runtime.job_schema import load_job
from sealdex.runtime.services.state import ServiceFolder
from sealdex.store.cache_entry import Partial
from sealdex.store.installations import Installation, find_installation
from sealdex.store.layout import RECEIPT_FOLDER, Store
from sealdex.store.manifests import read_manifest
from sealdex.store.verify import read_files_list, verify_installation
from sealdex.transport import Transport, TransportSettings
from sealdex.transport._http import _answer, _redirect_target
from sealdex.transport._pools import PooledResponse
from sealdex.trust import TrustedRegistry, check_root
from sealdex.trust._fetcher import CachedMetadata
from sealdex.trust.metadata_bundle import Bundle
from sealdex.trust.sigstore_bundles import BundleVerifier

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SLACK = PluginId("acme", "slack")
"""The plugin that seeds are about."""


@dataclass(frozen=True)
class Reader:
    """One reader.

    Args:
        read: is given bytes; what it returns is of no interest.
        seeds: what it reads gladly, to begin mutations with.
        may_raise: beside `SealdexError` and `DocumentError`.
        tokens: what its format is made of, for mutations that keep some of its grammar.
        cost: how many times as long as decoding JSON it takes; fewer cases are made of a costly one.
        is_readable: whether the seeds are read to their end.
    """

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    may_raise: tuple[type[Exception], ...] = ()
    tokens: tuple[bytes, ...] = ()
    cost: int = 1
    is_readable: bool = True

    def run(self, data: bytes) -> None:
        """Read, and let pass what is documented."""
        with contextlib.suppress(SealdexError, DocumentError, *self.may_raise):
            self.read(data)


@cache
def _folder() -> Path:
    """A folder for readers of files, in memory where there is such a place; removed with the process."""
    shared = Path("/dev/shm")  # noqa: S108  # a file system in memory, and the folder in it is made safely
    made = tempfile.TemporaryDirectory(prefix="sealdex-fuzz-", dir=shared if os.access(shared, os.W_OK) else None)
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[Any] = []


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# --- signed documents ---------------------------------------------------------------------------------------------


@cache
def _repository() -> TufRepository:
    repository = TufRepository()
    repository.add(SLACK, "1.0.0")
    repository.publish()
    return repository


def _chain(role: str) -> Reader:
    """A look-up in a registry whose storage serves other bytes for one role."""
    repository = _repository()
    name = "metadata/timestamp.json" if role == "timestamp" else repository.key(role)

    def read(data: bytes) -> object:
        tree = _folder() / "tree"
        for path, content in {**repository.files, name: data}.items():
            _file(f"tree/{path}", content)
        with tempfile.TemporaryDirectory(dir=_folder()) as trust, Transport() as transport:
            registry = TrustedRegistry("r", tree.as_uri(), repository.pinned_root, Path(trust), transport)
            return registry.index(SLACK)

    return Reader(read, (repository.files[name],), tokens=JSON_TOKENS, cost=60)


JSON_TOKENS: tuple[bytes, ...] = ()
JSON_TOKENS += (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b'"signed"',
    b'"_type"',
)
JSON_TOKENS += (b'"format":', b'"\\ud800"', b"9" * 5000, b"[" * 3000, b'{"a":' * 3000)


def _wire(kind: type, newest: int) -> Callable[[bytes], object]:
    return lambda data: read_wire(data, kind, newest_format=newest, what="it")


def _cached_version(data: bytes) -> object:
    _file("cached/snapshot.json", data)
    return CachedMetadata(_folder() / "cached").version("snapshot")


_INDEX = encode_json(document(SLACK, "1.0.0", "2.0.0-rc.1"))
_MANIFEST = json.dumps({
    "format": 1, "namespace": "acme", "name": "slack", "version": "1.0.0", "license": "MIT",
    "dependencies": {"acme/base": "^1"}, "config_schema": {"type": "object"},
    "artifacts": [{"source": "a.zip", "sha256": "0" * 64, "size": 3, "format": "zip"}],
}).encode()  # fmt: skip
_RELEASE = json.dumps({
    "format": 1, "version": "1.0.0", "license": "MIT", "dependencies": {"acme/base": ">=1.2 <2"},
    "selector": {
        "match_labels": {"os": "linux"},
        "match_expressions": [{"key": "a", "operator": "In", "values": ["b"]}],
    },
    "config_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
    "artifacts": [{"file": "a.zip", "source": "dist/a.zip", "sha256": "0" * 64, "size": 3, "format": "zip"}],
}).encode()  # fmt: skip
_LIST = json.dumps({
    "format": 1, "archive": {"size": 500, "sha256": "0" * 64},
    "entries": [
        ["a", "folder", 493],
        ["a/b", "file", 420, 3, "1" * 64, 60, 3, 0, 77],
        ["l", "symlink", 511, 0, "", 0, 0, 0, 0, "a"],
    ],
}).encode()  # fmt: skip
_LISTED = ArtifactEntry("a.zip", "0" * 64, "zip", 500)


def _file_list(data: bytes) -> object:
    listed = read_file_list(data, _LISTED)
    return plan_listed(listed, _LISTED) if listed is not None else None


# --- archives ---------------------------------------------------------------------------------------------------


def _archive(kind: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        path = _file(f"archive.{kind}", data)
        with tempfile.TemporaryDirectory(dir=_folder()) as folder:
            return unpack(path, kind, Path(folder) / "out")

    return read


def _tar() -> bytes:
    plain = [(tar_info("d/", b"5"), b""), (tar_info("d/file.txt"), b"hello" * 100), (tar_info("\u63d2.txt"), b"x")]
    return tar_bytes([*plain, (tar_info("link", b"2", target="d/file.txt"), b"")])


def _zip() -> bytes:
    entries = [("d/file.txt", b"hello" * 100), ("\u63d2.txt", b"x")]
    return make_zip(_folder() / "seed.zip", entries).read_bytes()


def _bundle(data: bytes) -> object:
    bundle = Bundle(data)
    return [bundle.member(name, 4096) for name in ("1.root.json", "7.snapshot.json", "d/file.txt")]


def _bundle_seed() -> bytes:
    return make_zip(_folder() / "bundle.zip", [("1.root.json", b"{}"), ("7.snapshot.json", b"{}" * 99)]).read_bytes()


# --- a host's own files, which others may have written ----------------------------------------------------------


def _installed() -> tuple[Store, Path]:
    store = Store(_folder() / "store")
    folder = Path(store.plugins_folder) / "acme" / "slack" / "1.0.0"
    folder.mkdir(parents=True, exist_ok=True)
    return store, folder / RECEIPT_FOLDER


_RECEIPT = json.dumps({
    **dict.fromkeys(Installation.__slots__, "x"),
    **dict.fromkeys(("artifact_size", "file_count", "unpacked_bytes", "root_version"), 1),
    "namespace": "acme", "name": "slack", "version": "1.0.0",
}).encode()  # fmt: skip


def _receipt(data: bytes) -> object:
    store, folder = _installed()
    folder.mkdir(exist_ok=True)
    (folder / "receipt.json").write_bytes(data)
    (folder / "files.json").write_bytes(data)
    found = find_installation(store, SLACK, "1.0.0")
    return verify_installation(found) if found is not None else None


def _kept_files(data: bytes) -> object:
    return read_files_list(data)


def _sidecar(data: bytes) -> object:
    part = _file("part", b"x" * 100)
    _file("part.json", data)
    return Partial(part).load()


def _service_state(data: bytes) -> object:
    folder = ServiceFolder(Store(_folder() / "store"), SLACK)
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / "state.json").write_bytes(data)
    state = folder.read()
    return state.as_dict() if state is not None else None


_STATE = json.dumps({
    "plugin": "acme/slack", "version": "1.0.0", "state": "stopped", "supervisor": 1, "since": "2026-01-01T00:00:00Z",
    "started_at": "2026-01-01T00:00:00Z", "grace": 1.0,
}).encode()  # fmt: skip


def _config(data: bytes) -> object:
    return load_config(_file("config.toml", data), _folder() / "store")


# --- what servers say --------------------------------------------------------------------------------------------


def _headers(data: bytes) -> object:
    fields = [line.partition(b":") for line in data.splitlines()]
    response = urllib3.HTTPResponse(
        b"",
        status=206,
        preload_content=False,
        decode_content=False,
        headers=urllib3.HTTPHeaderDict(
            [(name.decode("latin-1"), value.strip().decode("latin-1")) for name, _, value in fields]
        ),
    )
    found = response.headers.get("Location")
    with contextlib.suppress(SealdexError):
        _answer(PooledResponse(response), "https://h.test/f")
    return _redirect_target("https://h.test/a/f", found) if found is not None else None


_HEADERS = (
    b'Content-Range: bytes 0-9/100\nRetry-After: 7\nDate: Wed, 21 Oct 2015 07:28:00 GMT\nETag: "x"\n'
    b"Location: https://h.test/gr\xc3\xbc\xc3\x9fe?x=1#y\nContent-Length: 10\nContent-Encoding: gzip, identity"
)
_ANSWERS = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "x"\r\n\r\nhello',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello"),
    b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
)


class _OneAnswer:
    """A server that sends what it is told, once for each connection, and closes."""

    def __init__(self) -> None:
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/f"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with contextlib.suppress(OSError), connection:
                connection.recv(65536)
                connection.sendall(self.answer)


@cache
def _server() -> _OneAnswer:
    return _OneAnswer()


def _http(data: bytes) -> object:
    server = _server()
    server.answer = data
    with Transport(TransportSettings(retries=0)) as transport:
        return transport.read(server.url, max_bytes=10_000).data


# --- a source tree, and what is imported into one ---------------------------------------------------------------


def _authored(kind: type, *, is_json: bool) -> Callable[[bytes], object]:
    return lambda data: decode_document(data, kind, is_json=is_json)


def _registry_toml(data: bytes) -> object:
    return read_config(_file("source/registry.toml", data).parent)


def _krew(name: str) -> Callable[[bytes], object]:
    return lambda data: read_history(_file(name, data))


_KREW = json.dumps({
    "published": "2020-01-01T00:00:00Z",
    "manifest": {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2", "kind": "Plugin", "metadata": {"name": "tool"},
        "spec": {
            "version": "v1.0.0", "shortDescription": "s", "homepage": "https://h.test", "description": "d",
            "platforms": [{
                "uri": "https://h.test/a.zip", "sha256": "0" * 64, "bin": "tool", "files": [{"from": "*", "to": "."}],
                "selector": {"matchLabels": {"os": "linux", "arch": "amd64"}},
            }],
        },
    },
}).encode()  # fmt: skip

_YAML_TOKENS: tuple[bytes, ...] = (
    b"- ",
    b": ",
    b"\n",
    b"  ",
    b"&a ",
    b"*a",
    b"!!str ",
    b"? ",
    b"| \n",
    b"> \n",
    b"[" * 500,
    b"{a: " * 300,
)
_YAML_TOKENS += (b"---\n", b"...\n", b"0x" + b"f" * 5000, b"9" * 5000, b".inf", b"\xff", b"\xef\xbb\xbf", b"<<: *a")
_TOML_TOKENS: tuple[bytes, ...] = (
    b"[",
    b"]",
    b"[[",
    b"]]",
    b"=",
    b'"',
    b"'''",
    b"\n",
    b".",
    b"a.b.c = 1",
    b"1979-05-27",
    b"inf",
)
_TOML_TOKENS += (
    b"9" * 5000,
    b"a = " + b"[" * 3000,
    b"a = " + b"{a=" * 1500,
    b"[" + b"a." * 3000 + b"a]",
    b"\xff",
    b"\xef\xbb\xbf",
)
_PLUGIN_YAML = b"format: 1\ntype: notify\nsummary: |\n  text\nlicense: MIT\nkeywords: [a, 'b']\nowners:\n  - name: x\n"
_EVENT = b'{"action":"yank","version":"1.0.0","at":"2026-01-01T00:00:00Z","by":"x","why":"r"}'
_STATUS = b'{"format":1,"events":[' + _EVENT + b"]}"
_LOCK = (
    b'version = 1\n\n[[plugin]]\nname = "acme/slack"\nversion = "1.0.0"\nregistry = "r"\n'
    b'manifest = { size = 2, sha256 = "' + b"0" * 64 + b'" }\n\n[[plugin.artifact]]\nfile = "a.zip"\nsha256 = "'
    + b"0" * 64 + b'"\nformat = "zip"\nsize = 3\n'
)  # fmt: skip
_REGISTRY_TOML = (
    '[registry]\nname = "r"\nid = "0123abcd"\n\n[realms.public]\nstorage = "folder:published"\n\n'
    + "".join(
        f'[roles.{role}]\nkeys = ["a", "b"]\nthreshold = 2\nexpiry_days = 90\nsigning_days = 30\n\n' for role in ROLES
    )
    + "".join(
        f'[keys.{key}]\nuri = "file2:a.pem"\nkeyid = "{key * 64}"\nkeytype = "ed25519"\nscheme = "ed25519"\n\n'
        for key in "ab"
    )
).encode()
_SIGSTORE = json.dumps({
    "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
    "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": []},
    "messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": "AAAA"}, "signature": "AAAA"},
}).encode()  # fmt: skip


@cache
def _verifier() -> BundleVerifier:
    return BundleVerifier()


def _frame(data: bytes) -> object:
    return [protocol.read(line) for line in data.splitlines()]


_MIRROR = (
    b'{"format":1,"source":"s","made_at":"t","timestamp_version":1,"snapshot_version":1,"root_version":1,'
    b'"selection":{"plugins":["acme/slack"],"latest":2}}'
)


def _mirror_head(data: bytes) -> object:
    return read_head(_file("volume.tar", data))


def _mirror_volume(data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        unpack_volume(_file("volume.tar", data), Path(folder))


def _mirror_state(data: bytes) -> object:
    return list(read_state(_file("state.jsonl.gz", gzip.compress(data, 1))).keys())


@cache
def _volume() -> bytes:
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        key = "plugins/acme/slack/1.0.0/manifest.json"
        path = Path(folder) / key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"{}")
        head = ArchiveHead(ARCHIVE_FORMAT, "0" * 16, 1, 0, 1)
        write_volume(Path(folder) / "out.tar", head, [Piece(key, None, 2)], Path(folder))
        return (Path(folder) / "out.tar").read_bytes()


@cache
def readers() -> dict[str, Reader]:
    """All readers by name; made when first asked for, since some seeds are signed."""
    js = JSON_TOKENS
    return {
        "root": Reader(check_root, (_repository().pinned_root,), tokens=js, cost=3),
        **{f"chain-{role}": _chain(role) for role in ("timestamp", "snapshot", "targets", "packages")},
        "cached-metadata": Reader(_cached_version, (_repository().files["metadata/timestamp.json"],), tokens=js),
        "index-document": Reader(_wire(IndexDocument, INDEX_FORMAT), (_INDEX,), tokens=js),
        "catalogue-shard": Reader(
            _wire(CatalogShard, CATALOG_FORMAT), (b'{"format":1,"shard":0,"shards":1,"plugins":[]}',), tokens=js
        ),
        "manifest": Reader(lambda data: read_manifest(data, SLACK, "1.0.0"), (_MANIFEST,), tokens=js),
        "file-list": Reader(_file_list, (_LIST,), tokens=js),
        "bundle": Reader(_bundle, (_bundle_seed(),), cost=2),
        "zip": Reader(_archive("zip"), (_zip(),), cost=20),
        "tar.gz": Reader(_archive("tar.gz"), (gzip.compress(_tar(), mtime=0),), cost=20),
        "tar.gz-inside": Reader(lambda data: _archive("tar.gz")(gzip.compress(data, 1)), (_tar(),), cost=20),
        "tar.zst": Reader(_archive("tar.zst"), (zstd.compress(_tar()),), cost=20),
        "receipt": Reader(_receipt, (_RECEIPT,), tokens=js, cost=3),
        "kept-files": Reader(
            _kept_files,
            (b'[{"path":"a","kind":"file","size":1,"mode":420,"sha256":"00"}]',),
            (msgspec.DecodeError,),
            js,
        ),
        "mirror-record": Reader(
            lambda data: parse_record(data, "mirror.json"),
            (_MIRROR,),
            tokens=js,
        ),
        "mirror-state": Reader(_mirror_state, (b'{"format":1,"number":1,"keys":["plugins/a"]}',), tokens=js, cost=3),
        "mirror-head": Reader(_mirror_head, (_volume(),), cost=3),
        "mirror-volume": Reader(_mirror_volume, (_volume(),), (OSError,), cost=5),
        "part-sidecar": Reader(
            _sidecar, (b'{"url":"http://h/f","etag":null,"contiguous":5,"pieces":[[1,2]]}',), tokens=js
        ),
        "service-state": Reader(_service_state, (_STATE,), tokens=js, cost=3),
        "config": Reader(
            _config,
            (b'[registries.r]\nurl = "https://h.test/"\nroot = "r.json"\n[download]\ntimeout = 5\n',),
            tokens=_TOML_TOKENS,
            cost=2,
        ),
        "lock": Reader(lambda data: read_lock(_file(LOCK_NAME, data)), (_LOCK,), tokens=_TOML_TOKENS, cost=2),
        "wanted": Reader(
            lambda data: read_wanted(_file(WANTED_NAME, data)),
            (b'[plugins]\n"acme/slack" = "^1"\n',),
            tokens=_TOML_TOKENS,
        ),
        "job-toml": Reader(
            lambda data: load_job(_file("job.toml", data)),
            (b'job_id = "a"\n[[plugins]]\nplugin_id = "acme/slack"\nversion = "1.0.0"\n',),
            tokens=_TOML_TOKENS,
        ),
        "job-json": Reader(
            lambda data: load_job(_file("job.json", data)), (b'{"job_id":"a","plugins":[]}',), tokens=js
        ),
        "process-protocol": Reader(
            _frame,
            (b'{"jsonrpc":"2.0","id":1,"result":{}}\n{"jsonrpc":"2.0","method":"log","params":["x"]}\n',),
            (protocol.ProtocolError,),
            js,
        ),
        "headers": Reader(
            _headers,
            (_HEADERS,),
            (urllib3.exceptions.HTTPError,),
            (b"9" * 5000, b"\n", b":", b"-", b"/", b"*", b"\xff", b"[", b"://", b"@", b"%", b"#"),
        ),
        "http": Reader(
            _http,
            _ANSWERS,
            tokens=(
                b"\r\n",
                b"0\r\n\r\n",
                b"HTTP/1.1 100 \r\n\r\n",
                b"9" * 5000,
                b"-1",
                b"Transfer-Encoding: chunked\r\n",
                b"Content-Length: ",
            ),
            cost=40,
            is_readable=False,
        ),
        "krew": Reader(_krew("history.jsonl"), (_KREW,), tokens=js, cost=2),
        "krew-xz": Reader(_krew("history.jsonl.xz"), (lzma.compress(_KREW),), cost=3),
        "yaml": Reader(read_yaml, (_PLUGIN_YAML,), (YamlError,), _YAML_TOKENS),
        "plugin.yaml": Reader(_authored(Plugin, is_json=False), (_PLUGIN_YAML,), tokens=_YAML_TOKENS),
        "release": Reader(_authored(Release, is_json=True), (_RELEASE,), tokens=js),
        "release.yaml": Reader(_authored(Release, is_json=False), (_RELEASE,), tokens=_YAML_TOKENS),
        "status": Reader(_authored(PluginStatus, is_json=True), (_STATUS,), tokens=js),
        "event": Reader(_authored(EventFile, is_json=True), (b'{"format":1,' + _EVENT[1:],), tokens=js),
        "registry.toml": Reader(_registry_toml, (_REGISTRY_TOML,), tokens=_TOML_TOKENS, cost=2),
        "sigstore-bundle": Reader(
            lambda data: _verifier().verify(data, ["0" * 64], []), (_SIGSTORE,), tokens=js, cost=4, is_readable=False
        ),
    }
