"""``[api] model_hub``: a node of the Model Hub lists, downloads, resumes and checks what is published."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.edge_functions import edge_answers
from support.nginx_server import nginx
from support.old_node import OldNode
from support.places import REPOSITORY
from support.source_trees import Tree, ids
from support.static_api import Documents

from registry_builder.authoring.scaffold import TEMPLATES
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.site.preview.server import running_server
from registry_builder.site.static_api._hub_documents import Rewrite
from registry_builder.site.static_api.rewrites import answered, read_table, rewrite_tables
from registry_builder.source.config import read_config
from registry_builder.source.hub_ids import hub_ids, without_id
from registry_builder.source.lint.tree import lint_tree
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId

EXAMPLE = REPOSITORY / "docs/examples/nginx-model-hub.conf"
FUNCTION = TEMPLATES / "aws/model_hub.js"
ELSEWHERE = "https://models.example/voice.zip"


def package(version: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in {
            "nmt_service.py": "print(5008)\n",
            "service.json": json.dumps({"service_id": "nmt-m2m100", "version": version}),
            "models/nmt/m2m100-en-zh/model.onnx": version * 40_000,
        }.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return data.getvalue()


def service(tree: Tree, plugin: str, version: str, *, data: bytes | None = None, **fields: Any) -> bytes:
    data = package(version) if data is None else data
    name = plugin.partition("/")[2]
    folder = tree.root / "plugins" / plugin / "dist"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{version}.zip").write_bytes(data)
    artifact = {
        "source": f"plugins/{plugin}/dist/{name}-{version}.zip",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    about: dict[str, Any] = {
        "artifacts": [artifact],
        "runtime": {"kind": "python", "requires": {"python": ">=3.10"}},
        "service": {"command": ["python", "nmt_service.py"], "port": 5008},
        "models": [
            {"model_id": "m2m100-en-zh", "model_type": "nmt", "version": "1.0.0", "path": "models/nmt/m2m100-en-zh"}
        ],
        "released_at": "2025-12-17T00:00:00Z",
    }
    tree.release(plugin, version, **{**about, **fields})
    return data


def publish(tree: Tree, *only: str) -> PublishResult:
    publisher = open_publisher(tree.load(*only), "public", use_memory=False)
    return publish_realm(publisher, only=ids(*only) or None)


def settings(tree: Tree, text: str) -> None:
    said = tree.root / "registry.toml"
    said.write_text(said.read_text().partition("[api]")[0] + text)


def make(root: Path) -> Tree:
    tree = Tree.make(root)
    settings(tree, "[api]\nmodel_hub = true\n")
    tree.plugin("hub/nmt-m2m100", type="service", summary="M2M100 NMT Service", description="Translates")
    service(tree, "hub/nmt-m2m100", "1.0.0", released_at="2025-12-10T00:00:00Z")
    service(tree, "hub/nmt-m2m100", "1.1.0")
    service(tree, "hub/nmt-m2m100", "2.0.0-rc.1")
    tree.plugin("hub/voice", type="service")
    tree.release("hub/voice", "1.0.0", artifacts=[{"source": ELSEWHERE, "sha256": "a" * 64, "size": 9}])
    tree.plugin("hub/whisper-base", type="model")
    tree.release("hub/whisper-base", "1.0.0", data=b"ggml")
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0")
    return tree


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEALDEX_KEYS", str(folder / "keys"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        assert publish(make(folder / "source")).warnings == []
    return folder / "published/public"


@pytest.fixture(scope="module", params=["nginx", "serve"])
def hub(request: pytest.FixtureRequest, published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "serve":
        with running_server(published) as address:
            yield address
        return
    text = EXAMPLE.read_text()
    assert text.count("/srv/registry") == 2
    text = text.replace("/srv/registry", str(published))
    with nginx(tmp_path_factory.mktemp("nginx") / "state", http=text) as address:
        yield address


def test_an_old_node_lists_downloads_checks_and_unpacks(hub: str, tmp_path: Path) -> None:
    old = OldNode(hub, tmp_path / "services")
    services = {each["service_id"]: each for each in old.get_available_services()}
    assert sorted(services) == ["nmt-m2m100", "voice"]
    found = services["nmt-m2m100"]
    assert (found["service_name"], found["service_type"], found["latest_version"]) == (
        "M2M100 NMT Service",
        "python",
        "1.1.0",
    )
    assert [(each["version"], each["stable"], each["created_at"]) for each in found["versions"]] == [
        ("2.0.0-rc.1", False, "2025-12-17T00:00:00Z"),
        ("1.1.0", True, "2025-12-17T00:00:00Z"),
        ("1.0.0", True, "2025-12-10T00:00:00Z"),
    ]
    assert found["versions"][1]["size_bytes"] == len(package("1.1.0"))
    details = old.details("nmt-m2m100")
    assert (details["port"], details["description"]) == (5008, "Translates")
    assert details["versions"][1]["sha256"] == hashlib.sha256(package("1.1.0")).hexdigest()
    assert [model["model_id"] for model in details["versions"][1]["models"]] == ["m2m100-en-zh"]
    folder = old.install_service("nmt-m2m100")
    assert folder == tmp_path / "services/nmt-m2m100/1.1.0"
    assert (folder / "models/nmt/m2m100-en-zh/model.onnx").read_text() == "1.1.0" * 40_000
    [model] = old.models()
    assert (model["model_id"], model["deprecated"], model["latest_version"]) == ("whisper-base", True, "1.0.0")
    assert old.model_file("whisper-base", "1.0.0", "whisper-base-1.0.0.bin") == b"ggml"


def test_an_old_node_goes_on_where_it_was_cut_off(hub: str, tmp_path: Path) -> None:
    old = OldNode(hub, tmp_path / "services", block_bytes=50_000)
    size = len(package("1.0.0"))
    part = tmp_path / "services/nmt-m2m100-1.0.0.zip.part"
    old.download("/storage/services/nmt-m2m100/1.0.0.zip", part, size, blocks=2)
    assert part.stat().st_size == 100_000
    again = OldNode(hub, tmp_path / "services", block_bytes=50_000)
    again.install_service("nmt-m2m100", "1.0.0")
    assert again.ranges[0] == f"bytes 100000-149999/{size}"


def test_an_old_node_refuses_other_bytes(hub: str, published: Path, tmp_path: Path) -> None:
    # Attack: who can write to the bucket changes a package in place.
    file = published / "plugins/hub/nmt-m2m100/1.0.0/nmt-m2m100-1.0.0.zip"
    data = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(data[:-1] + b"!")
    try:
        with pytest.raises(ValueError, match="checksum"):
            OldNode(hub, tmp_path / "services").install_service("nmt-m2m100", "1.0.0")
    finally:
        file.write_bytes(data)
    assert not list((tmp_path / "services").rglob("*.json"))


def test_every_document_is_as_the_description_says(tmp_path: Path) -> None:
    tree = make(tmp_path / "source")
    settings(tree, "[api]\nenabled = true\nmodel_hub = true\n")
    publish(tree)
    documents = Documents(tmp_path / "published/public")
    keys = [key for key in documents.keys("api") if key.startswith(("api/services/", "api/models/"))]
    assert len(keys) == 9
    for key in keys:
        documents.read(key)


def test_latest_is_a_redirect_and_nothing_is_stored_twice(hub: str, published: Path, tmp_path: Path) -> None:
    old = OldNode(hub, tmp_path)
    status, to = old.status("/storage/services/nmt-m2m100/latest.zip")
    assert (status, to.removeprefix(hub)) == (302, "/storage/services/nmt-m2m100/1.1.0.zip")
    assert old.status("/storage/services/voice/1.0.0.zip") == (302, ELSEWHERE)
    for path in ("/storage/services/nmt-m2m100/9.9.9.zip", "/storage/", "/api/services/nothing", "/storage/../x"):
        assert old.status(path)[0] == 404
    assert not (published / "storage").exists()
    assert len(list(published.rglob("*.zip"))) == 3


# --- the three sets of rules say the same ----------------------------------------------------------------------------

CASES = [
    "/api/services", "/api/services/", "/api/services/nmt-m2m100", "/api/services/nmt-m2m100/1.1.0/checksum",
    "/api/services/index.json", "/api/models", "/api/models/whisper-base", "/api/v1/plugins/index.json", "/",
    "/storage/services/nmt-m2m100/1.1.0.zip", "/storage/services/nmt-m2m100/latest.zip",
    "/storage/services/voice/1.0.0.zip",
    "/storage/models/whisper-base/1.0.0/checksum.sha256", "/storage/models/whisper-base/1.0.0/whisper-base-1.0.0.bin",
    "/storage/services/nmt-m2m100/7.zip",
]  # fmt: skip


def test_the_function_of_cloudfront_says_what_serve_says(published: Path, tmp_path: Path) -> None:
    table = read_table((published / "api/rewrites/model-hub.json").read_bytes())
    strange = ["//evil.example", "/storage/../metadata", "/storage/%2e%2e/x", "/storage/services/a%00.zip", "/%zz"]
    for engine in edge_answers(FUNCTION, [*CASES, *strange], table, tmp_path).values():
        answers = [each["answer"] for each in engine]
        for path, answer in zip(CASES, answers, strict=False):
            ours = answered(path, table)
            if ours is None:
                assert answer["uri"] == path
            elif ours.location is None:
                assert answer["uri"] == f"/{ours.key}"
            else:
                assert (answer["statusCode"], answer["headers"]["location"]["value"]) == (302, ours.location)
        assert [answer["statusCode"] for answer in answers[len(CASES) :]] == [404] * len(strange)
    assert len(FUNCTION.read_text()) < 10_000  # CloudFront's limit


def test_attack_an_address_of_an_author_is_no_configuration(tmp_path: Path) -> None:
    """An author may write any address: what would end a string of nginx or begin a variable is percent-encoded."""
    evil = "https://evil.example/x\";}server{listen 1;}$request_uri\\'<\r\n>é"
    [table, listed] = rewrite_tables([Rewrite("/storage/services/a/1.0.0.zip", evil)])
    assert re.fullmatch(
        r'"/storage/services/a/1\.0\.0\.zip" "https://evil\.example/[A-Za-z0-9%/:._~-]*";\n', listed.data.decode()
    )
    assert not set('"${}\\\r\n;') & set(read_table(table.data)["/storage/services/a/1.0.0.zip"])


# --- ids, and what goes ----------------------------------------------------------------------------------------------


def test_a_newcomer_takes_no_id_over() -> None:
    # Attack: somebody who may publish in a namespace of their own releases a service with another one's name.
    ours, theirs = PluginId("hub", "nmt"), PluginId("aaa", "nmt")
    assert hub_ids([(ours, "service")], "service", {}) == {"nmt": ours}
    both = [(ours, "service"), (theirs, "SERVICE"), (PluginId("hub", "slack"), "notify")]
    assert hub_ids(both, "service", {}) == {}
    assert without_id(both, "service", {}) == {"nmt": [theirs, ours]}
    stated = {"nmt": "hub/nmt", "theirs": "aaa/nmt"}
    assert hub_ids(both, "service", stated) == {"nmt": ours, "theirs": theirs}
    assert hub_ids([*both, (PluginId("a", "index.json"), "service")], "service", stated) == {
        "nmt": ours,
        "theirs": theirs,
    }


def test_ids_that_differ_in_case_alone_are_one(tmp_path: Path) -> None:
    voice, other = PluginId("hub", "voice"), PluginId("aaa", "speech")
    both = [(voice, "service"), (other, "service")]
    stated = {"Voice": "aaa/speech"}
    assert hub_ids(both, "service", stated) == {"Voice": other}  # its files would be those of `voice` on some disks
    assert without_id(both, "service", stated) == {"voice": [voice]}
    assert hub_ids(both, "service", {"Index.JSON": "aaa/speech"}) == {"speech": other, "voice": voice}
    tree = make(tmp_path / "source")
    settings(tree, '[api.services]\nVoice = "hub/voice"\nvoice = "hub/nmt-m2m100"\n')
    with pytest.raises(ConfigError, match="differs from 'Voice' in case alone"):
        read_config(tree.root)


def test_ids_that_are_wrong_are_named(tmp_path: Path) -> None:
    tree = make(tmp_path / "source")
    settings(tree, '[api]\nmodel_hub = true\n[api.services]\nold = "hub/nothing"\n')
    tree.plugin("other/voice", type="service")
    service(tree, "other/voice", "1.0.0")
    said = {
        problem.where: (problem.severity, problem.message)
        for problem in lint_tree(tree.load())
        if "api" in problem.where
    }
    assert said["api.services.old"] == ("error", "there is no service hub/nothing")
    assert said["api.services"][0] == "warning"
    assert "hub/voice and other/voice" in said["api.services"][1]
    settings(tree, '[api.services]\nold = "nothing"\n"../x" = "hub/voice"\n')
    with pytest.raises(ConfigError) as caught:
        read_config(tree.root)
    assert "api.services" in caught.value.message
    assert "hub" in caught.value.message or "id such as" in caught.value.message


def test_a_release_costs_its_documents_and_a_service_that_goes_leaves_none(tmp_path: Path) -> None:
    tree = make(tmp_path / "source")
    site = tmp_path / "published/public"
    publish(tree)
    service(tree, "hub/nmt-m2m100", "1.2.0")
    result = publish(tree)
    assert sorted(key for key in result.pages if key.startswith("api/")) == [
        "api/rewrites/model-hub.json",
        "api/rewrites/model-hub.map",
        "api/services/index.json",
        "api/services/nmt-m2m100/1.2.0/checksum.json",
        "api/services/nmt-m2m100/index.json",
    ]
    assert publish(tree).requests["PUT"] == 0
    assert not [key for key in publish(tree, "hub/voice").pages if key.startswith("api/")]

    tree.status("hub/nmt-m2m100", {"action": "yank", "version": "1.2.0", "at": "2026-11-22T12:00:00Z", "by": "ann"})
    publish(tree)
    table = read_table((site / "api/rewrites/model-hub.json").read_bytes())
    assert table["/storage/services/nmt-m2m100/latest.zip"].endswith("/1.1.0.zip")
    assert "/storage/services/nmt-m2m100/1.2.0.zip" in table  # who has it may have it again
    listed = json.loads((site / "api/services/index.json").read_bytes())
    assert "1.2.0" not in str(listed[0]["versions"])

    tree.plugin("hub/nmt-m2m100", type="build")
    publish(tree)
    assert "gone" in json.loads((site / "api/services/nmt-m2m100/index.json").read_bytes())
    assert "gone" in json.loads((site / "api/services/nmt-m2m100/1.1.0/checksum.json").read_bytes())
    assert not [path for path in read_table((site / "api/rewrites/model-hub.json").read_bytes()) if "nmt" in path]

    settings(tree, "")
    publish(tree)
    assert json.loads((site / "api/services/index.json").read_bytes()) == []
    assert "gone" in json.loads((site / "api/services/voice/index.json").read_bytes())
    assert read_table((site / "api/rewrites/model-hub.json").read_bytes()) == {}
    assert publish(tree).requests["PUT"] == 0
