"""A registry made by the builder, read by our client, by stock python-tuf and by tuf-js from npm.

In CI a missing node or npm is a failure; elsewhere the tests that need them are skipped with the reason.
"""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.node_tools import installed, node
from support.source_trees import Tree
from support.tree_server import TreeServer
from tuf.ngclient import Updater

from registry_builder.publication.publish import open_publisher, publish_realm
from sealdex.model.decode import read_wire
from sealdex.model.ids import PluginId
from sealdex.model.index import INDEX_FORMAT, IndexDocument, index_target
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, all_rows

NODE = Path(__file__).parent / "node"
SLACK = PluginId("acme", "slack")
MISSING = PluginId("acme", "missing")


@dataclass
class Published:
    """A published tree over HTTP and the root that clients are given."""

    server: TreeServer
    root: bytes

    def bytes_of(self, plugin: PluginId) -> bytes:
        """The one published index document of a plugin, by its name."""
        found = [k for k in self.server.files if k.startswith(f"targets/index/{plugin.namespace}/")]
        return self.server.files[next(k for k in found if k.endswith(f".{plugin.name}.json"))]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    tree = Tree.make(tmp_path / "tree")
    for plugin in ("acme/slack", "acme/mail", "other/tool"):
        tree.plugin(plugin)
        tree.release(plugin, "1.0.0")
        tree.release(plugin, "1.1.0")
    publish_realm(open_publisher(tree.load(), "public"))
    folder = tmp_path / "published" / "public"
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with TreeServer(files) as server:
        yield Published(server, (tree.root / "trust" / "public" / "1.root.json").read_bytes())


def versions(data: bytes) -> list[str]:
    document = read_wire(data, IndexDocument, newest_format=INDEX_FORMAT, what="index document")
    assert document.id == SLACK
    return [release.version for release in document.releases]


def test_our_client_reads_what_the_builder_publishes_in_three_rounds(published: Published, tmp_path: Path) -> None:
    server = published.server
    registry = TrustedRegistry("acme", server.url, published.root, tmp_path / "trust", Transport())
    document = registry.index(SLACK)
    assert document is not None
    assert [release.version for release in document.releases] == ["1.1.0", "1.0.0"]
    assert sorted(server.requests[:3]) == ["metadata/2.root.json", "metadata/recent.bundle", "metadata/timestamp.json"]
    assert [key.partition(".")[2].partition("-")[0] for key in server.requests[3:4]] == ["bin"]
    assert server.requests[4:] == [k for k in server.files if k.endswith(".slack.json")]
    assert registry.signed_by(SLACK) == "packages"
    assert registry.index(MISSING) is None
    assert sorted(str(row.id) for row in all_rows(registry)) == ["acme/mail", "acme/slack", "other/tool"]


def test_stock_python_tuf_reads_an_index_document(published: Published, tmp_path: Path) -> None:
    url = published.server.url
    (tmp_path / "targets").mkdir()
    updater = Updater(
        str(tmp_path / "stock"),
        f"{url}/metadata",
        target_dir=str(tmp_path / "targets"),
        target_base_url=f"{url}/targets",
        bootstrap=published.root,
    )
    info = updater.get_targetinfo(index_target(SLACK))
    assert info is not None
    assert Path(updater.download_target(info)).read_bytes() == published.bytes_of(SLACK)
    assert updater.get_targetinfo(index_target(MISSING)) is None


@pytest.fixture
def tuf_js() -> Path:
    """The folder in which tuf-js is installed, by `npm ci` where it isn't yet."""
    installed(NODE)
    return NODE


def read_with_tuf_js(folder: Path, published: Published, plugin: PluginId, place: Path) -> tuple[int, bytes, str]:
    (place / "metadata").mkdir(parents=True)
    (place / "targets").mkdir()
    (place / "metadata" / "root.json").write_bytes(published.root)
    arguments = [str(place / "metadata"), str(place / "targets"), published.server.url, index_target(plugin)]
    done = subprocess.run([node(), "read_target.mjs", *arguments], cwd=folder, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def test_tuf_js_reads_an_index_document(published: Published, tuf_js: Path, tmp_path: Path) -> None:
    status, data, said = read_with_tuf_js(tuf_js, published, SLACK, tmp_path / "found")
    assert (status, said) == (0, "")
    assert data == published.bytes_of(SLACK)
    assert versions(data) == ["1.1.0", "1.0.0"]
    status, data, said = read_with_tuf_js(tuf_js, published, MISSING, tmp_path / "missing")
    assert (status, data, said) == (3, b"", "")


def test_tuf_js_reads_documents_that_the_store_answers_gzipped(
    published: Published, tuf_js: Path, tmp_path: Path
) -> None:
    for key in [key for key in published.server.files if key.startswith("targets/")]:
        published.server.instead[key] = gzip.compress(published.server.files[key])
        published.server.gzipped.add(key)
    status, data, said = read_with_tuf_js(tuf_js, published, SLACK, tmp_path / "found")
    assert (status, said) == (0, "")
    assert data == published.bytes_of(SLACK)


def test_tuf_js_refuses_an_edited_index_document(published: Published, tuf_js: Path, tmp_path: Path) -> None:
    """The test above would prove nothing if this reader took anything."""
    key = next(k for k in published.server.files if k.endswith(".slack.json"))
    published.server.instead[key] = published.server.files[key].replace(b"1.1.0", b"6.6.6")
    status, data, said = read_with_tuf_js(tuf_js, published, SLACK, tmp_path / "edited")
    assert status == 1
    assert data == b""
    assert "hash" in said
