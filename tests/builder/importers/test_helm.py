"""`import helm`: an index of charts, at its address, saved, and with charts in a container registry."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ImportScene, sha256
from support.tree_server import TreeServer

from sealdex.model.plugin import fold_status


def chart(version: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("web/Chart.yaml")
        data = f"name: web\nversion: {version}\n".encode()
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


ONE, TWO = chart("1.0.0"), chart("2.0.0")


def entry(version: str, url: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v2",
        "name": "web",
        "version": version,
        "appVersion": 1.25,
        "description": "A web server",
        "home": "https://web.example",
        "sources": ["https://git.example/web"],
        "keywords": ["http", "Reverse Proxy"],
        "maintainers": [{"name": "Kim", "email": "kim@example.org"}],
        "kubeVersion": ">=1.25",
        "created": "2025-01-16T08:00:00.123456789Z",
        "annotations": {"artifacthub.io/license": "Apache-2.0"},
        "urls": [url],
        **fields,
    }


def index(*charts: dict[str, Any], **others: Any) -> bytes:
    return json.dumps({"apiVersion": "v1", "entries": {"web": list(charts), **others}}).encode()


def test_a_repository_is_imported_published_and_installed(scene: ImportScene, server: TreeServer) -> None:
    server.files = {"charts/web-1.0.0.tgz": ONE, "charts/web-2.0.0.tgz": TWO, "charts/web-1.0.0.tgz.prov": b"signed"}
    signed = {"artifacthub.io/license": "Apache-2.0", "artifacthub.io/signKey": {"fingerprint": "x"}}
    first = entry("1.0.0", "web-1.0.0.tgz", digest=sha256(ONE), annotations=signed)
    second = entry("2.0.0", f"{server.url}/charts/web-2.0.0.tgz", digest=None, deprecated=True)
    server.files["charts/index.yaml"] = index(first, second)
    args = ("helm", f"{server.url}/charts", "--namespace", "charts")
    ran = scene.run(*args)
    assert (ran.code, ran.releases) == (0, ["charts/web@1.0.0", "charts/web@2.0.0"])
    plugin = scene.plugin("charts/web")
    assert (plugin.plugin.type, plugin.plugin.license) == ("helm-chart", "Apache-2.0")
    assert plugin.plugin.keywords == ("http", "reverse-proxy")
    release = scene.release("charts/web", "2.0.0")
    assert release.artifacts[0].source == f"{server.url}/charts/web-2.0.0.tgz"
    assert (release.artifacts[0].sha256, release.released_at) == (sha256(TWO), "2025-01-16T08:00:00Z")
    assert scene.record("charts/web", "2.0.0")["fields"]["kubeVersion"] == ">=1.25"
    status = fold_status(plugin.status.events)
    assert status.deprecated is not None
    assert "web-1.0.0.tgz.prov" in {a.name for a in status.attachments["1.0.0"]}
    scene.assert_again_changes_nothing(*args)
    with scene.installed("charts/web@2.0.0") as folder:
        assert "2.0.0" in (folder / "web/Chart.yaml").read_text()


def test_charts_in_container_registries_and_harbor_are_copied(
    scene: ImportScene, tmp_path: Path, server: TreeServer
) -> None:
    host = server.url.removeprefix("http://")
    layer = {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": f"sha256:{sha256(ONE)}"}
    server.files = {
        "v2/team/web/manifests/1.0.0": json.dumps({"layers": [layer]}).encode(),
        f"v2/team/web/blobs/sha256:{sha256(ONE)}": ONE,
        "chartrepo/team/charts/web-2.0.0.tgz": TWO,
        "v2/team/web/manifests/3.0.0": json.dumps({"layers": []}).encode(),
    }
    charts = [
        entry("1.0.0", f"oci://{host}/team/web:1.0.0"),
        entry("2.0.0", f"{server.url}/chartrepo/team/charts/web-2.0.0.tgz", digest=sha256(TWO)),
        entry("3.0.0", f"oci://{host}/team/web:3.0.0"),
        entry("4.0.0", f"oci://{host}/team/web:4.0.0"),
    ]
    (tmp_path / "index.yaml").write_bytes(index(*charts))
    ran = scene.run("helm", tmp_path / "index.yaml", "--allow-host", "127.0.0.1")
    assert (ran.code, ran.releases) == (1, ["helm/web@1.0.0", "helm/web@2.0.0"])
    assert scene.release("helm/web", "1.0.0").artifacts[0].source == "plugins/helm/web/dist/1.0.0/web-1.0.0.tgz"
    assert scene.release("helm/web", "2.0.0").artifacts[0].source == "plugins/helm/web/dist/2.0.0/web-2.0.0.tgz"
    assert "is not a chart" in ran.reasons["3.0.0"]
    assert "answered 404" in ran.reasons["4.0.0"]
    scene.assert_valid()


def test_every_problem_is_named(scene: ImportScene, tmp_path: Path) -> None:
    far = "https://charts.example/web.tgz"
    charts = [
        entry("1.0.0", "web.tgz"),
        entry("1.1.0", far, digest="abc", created="gestern", name="other", urls=5),
        entry("1.2.0", far, digest=sha256(ONE)),
        entry("1.2.0+build", far, digest=sha256(ONE)),
        entry("v2", far, digest=sha256(ONE)),
    ]
    (tmp_path / "index.yaml").write_bytes(
        index(*charts, broken=5, 消息=[entry("1.0.0", far, name="消息", digest=sha256(ONE))])
    )
    ran = scene.run("helm", tmp_path / "index.yaml")
    assert (ran.code, ran.releases) == (1, ["helm/web@1.2.0"])
    assert "give --url" in ran.reasons["1.0.0"]
    for each in ("digest: is 'abc'", "created: 'gestern'", "name: is 'other'", "urls: is '5'"):
        assert each in ran.reasons["1.1.0"]
    assert "only in build metadata" in ran.reasons["1.2.0+build"]
    assert "is not a semantic version" in ran.reasons["v2"]
    assert "is not a list of charts" in ran.reasons["broken"]
    assert "letters that an identifier can't have" in ran.reasons["消息"]
    mapped = scene.run("helm", tmp_path / "index.yaml", "--version-map", "numbers", "--skip-invalid")
    assert (mapped.code, mapped.releases) == (0, ["helm/web@2.0.0"])


@pytest.mark.parametrize("text", ["entries: [1]", "a: &a [*a]", "no: index", "{", "entries: {a: 1, a: 2}"])
def test_files_that_are_no_index(scene: ImportScene, tmp_path: Path, text: str) -> None:
    (tmp_path / "index.yaml").write_text(text)
    assert scene.run("helm", tmp_path / "index.yaml").code == 2
