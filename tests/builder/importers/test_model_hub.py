"""`import model-hub`: service packages and models, from the storage and from the address, and services made of both."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ImportScene, sha256, zip_with
from support.tree_server import TreeServer

from sealdex.model.plugin import fold_status
from sealdex.resolve import Policy

CODE = "import http.server\n"


def service_json(version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
    return {
        "service_id": "nmt-m2m100",
        "service_name": "M2M100 NMT Service",
        "version": version,
        "service_type": "python",
        "port": 5008,
        "description": "M2M100 机器翻译服务",
        "models": [
            {"model_id": "m2m100-en-zh", "model_type": "nmt", "version": "1.0.0", "path": "models/nmt/m2m100-en-zh"}
        ],
        "dependencies": {"python": ">=3.10", "cuda": "optional"},
        "startup_command": "python nmt_service.py",
        "health_check": {"endpoint": "/health", "method": "GET"},
        "created_at": "2025-12-17T00:00:00Z",
        "sha256": "abc123...",
        **fields,
    }


def package(version: str = "1.0.0", files: dict[str, bytes | str] | None = None, **fields: Any) -> bytes:
    members: dict[str, bytes | str] = {
        "service.json": json.dumps(service_json(version, **fields), ensure_ascii=False),
        "nmt_service.py": CODE,
        "models/nmt/m2m100-en-zh/model.onnx": b"onnx " + version.encode(),
        **(files or {}),
    }
    plain = {name: data.encode() if isinstance(data, str) else data for name, data in members.items()}
    sums = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in plain.items() if name != "checksum.sha256"
    )
    return zip_with({"checksum.sha256": sums, **members})


def listed(*versions: tuple[str, bytes, bool]) -> list[dict[str, Any]]:
    return [
        {
            "service_id": "nmt-m2m100",
            "service_name": "M2M100 NMT Service",
            "service_type": "python",
            "latest_version": versions[-1][0],
            "versions": [
                {"version": v, "size_bytes": len(data), "created_at": "2025-12-17T00:00:00Z", "stable": stable,
                 "sha256": sha256(data)}
                for v, data, stable in versions
            ],
        }
    ]  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub's folder: two versions of a service, one of them stable, and a model."""
    folder = tmp_path / "hub"
    services = folder / "storage/services/nmt-m2m100"
    services.mkdir(parents=True)
    (services / "1.0.0.zip").write_bytes(package())
    (services / "1.1.0.zip").write_bytes(package("1.1.0"))
    (services / "latest.zip").symlink_to("1.1.0.zip")
    model = folder / "storage/models/whisper-base/1.0.0"
    model.mkdir(parents=True)
    (model / "ggml-base.bin").write_bytes(b"weights")
    (model / "config.json").write_bytes(b"{}")
    (model / "checksum.sha256").write_text(f"{sha256(b'weights')}  ggml-base.bin\n{sha256(b'{}')}  config.json\n")
    (folder / "api").mkdir()
    answer = listed(("1.0.0", package(), True), ("1.1.0", package("1.1.0"), False))
    (folder / "api/services.json").write_text(json.dumps(answer))
    return folder


def test_a_folder_is_imported_published_and_installed(scene: ImportScene, hub: Path) -> None:
    args = ("model-hub", hub, "--namespace", "speech")
    ran = scene.run(*args)
    assert (ran.code, ran.document["not_imported"]) == (0, [])
    assert ran.releases == ["speech/nmt-m2m100@1.0.0", "speech/nmt-m2m100@1.1.0", "speech/whisper-base@1.0.0"]
    release = scene.release("speech/nmt-m2m100", "1.0.0")
    assert release.service is not None
    assert (release.service.command, release.service.port) == (("python", "nmt_service.py"), 5008)
    assert release.service.health_check is not None
    assert release.service.env == {"MODELS_DIR": "models"}
    assert release.runtime is not None
    assert (release.runtime.kind, release.runtime.requires) == ("python", {"python": ">=3.10", "cuda": "optional"})
    assert (release.models[0].model_id, release.models[0].path) == ("m2m100-en-zh", "models/nmt/m2m100-en-zh")
    assert (release.released_at, release.channel) == ("2025-12-17T00:00:00Z", "stable")
    assert scene.release("speech/nmt-m2m100", "1.1.0").channel == "latest"
    about = scene.plugin("speech/nmt-m2m100").plugin
    assert (about.title, about.summary) == ("M2M100 NMT Service", "M2M100 机器翻译服务")
    model = scene.release("speech/whisper-base", "1.0.0")
    assert (scene.plugin("speech/whisper-base").plugin.type, model.models[0].model_id) == ("model", "whisper-base")
    scene.assert_again_changes_nothing(*args)
    with scene.installed("speech/nmt-m2m100", policy=Policy(channel="latest")) as folder:
        assert (folder / "models/nmt/m2m100-en-zh/model.onnx").read_bytes() == b"onnx 1.1.0"
    with scene.installed("speech/whisper-base") as folder:
        assert (folder / "ggml-base.bin").read_bytes() == b"weights"


def test_what_becomes_latest_and_other_bytes_later(scene: ImportScene, hub: Path) -> None:
    (hub / "api/services.json").unlink()
    args = ("model-hub", hub)
    assert scene.run(*args).code == 0
    status = fold_status(scene.plugin("model-hub/nmt-m2m100").status.events)
    assert status.channels == {"1.1.0": ("latest",)}
    scene.assert_again_changes_nothing(*args)
    # Attacker: has the hub. Change: other bytes under versions that were imported. Refusal: ours stay, and it is said.
    (hub / "storage/services/nmt-m2m100/1.0.0.zip").write_bytes(package(files={"nmt_service.py": "evil"}))
    (hub / "storage/models/whisper-base/1.0.0/config.json").write_bytes(b"[]")
    (hub / "storage/models/whisper-base/1.0.0/checksum.sha256").unlink()
    before = scene.state()
    ran = scene.run(*args)
    assert ran.code == 4
    assert {e["plugin"] for e in ran.document["security"]} == {"model-hub/nmt-m2m100", "model-hub/whisper-base"}
    assert scene.state() == before


def test_an_import_that_was_killed_is_completed(scene: ImportScene, hub: Path) -> None:
    args = ("model-hub", hub, "--namespace", "speech")
    assert scene.run(*args).code == 0
    whole = {path for path in scene.state() if "whisper" in path}
    folder = scene.tree / "plugins/speech/whisper-base"
    recorded = scene.record("speech/whisper-base", "1.0.0")
    for name in ("attachments", "status"):
        shutil.rmtree(folder / name)
    (folder / "status.json").unlink()
    left = scene.tree / ".sealdex-import-old"
    left.mkdir()
    os.utime(left, (0, 0))
    assert scene.run(*args).code == 0
    assert not left.exists()
    assert scene.record("speech/whisper-base", "1.0.0") == recorded
    now = {path for path in scene.state() if "whisper" in path}
    assert {path for path in now if "/status/" not in path} == {path for path in whole if "/status/" not in path}
    scene.assert_again_changes_nothing(*args)


def test_an_address_is_asked_once_and_its_packages_stay_there(scene: ImportScene, server: TreeServer) -> None:
    data, weights = package(), b"weights"
    server.files = {
        "api/services": json.dumps(listed(("1.0.0", data, True))).encode(),
        "api/services/nmt-m2m100": json.dumps(listed(("1.0.0", data, True))[0]).encode(),
        "storage/services/nmt-m2m100/1.0.0.zip": data,
        "api/models": json.dumps([{"model_id": "whisper-base", "model_type": "asr", "versions": ["1.0.0"]}]).encode(),
        "storage/models/whisper-base/1.0.0/checksum.sha256": f"{sha256(weights)}  ggml-base.bin\n".encode(),
        "storage/models/whisper-base/1.0.0/ggml-base.bin": weights,
    }
    args = ("model-hub", server.url, "--namespace", "speech")
    ran = scene.run(*args)
    assert (ran.code, ran.releases) == (0, ["speech/nmt-m2m100@1.0.0", "speech/whisper-base@1.0.0"])
    (artifact,) = scene.release("speech/nmt-m2m100", "1.0.0").artifacts
    assert artifact.source == f"{server.url}/storage/services/nmt-m2m100/1.0.0.zip"
    asked = len(server.requests)
    scene.assert_again_changes_nothing(*args)
    assert not [each for each in server.requests[asked:] if each.endswith(".zip")]
    with scene.installed("speech/nmt-m2m100") as folder:
        assert (folder / "nmt_service.py").read_text() == CODE
    details = server.files["api/services/nmt-m2m100"]
    server.files["api/services/nmt-m2m100"] = b"<html>sign in</html>"
    ran = scene.run(*args)
    assert ran.code == 0
    assert "so no digest of the hub is compared" in ran.said
    server.files["api/services/nmt-m2m100"] = details
    server.files["storage/services/nmt-m2m100/2.0.0.zip"] = b"other"
    answer = listed(("1.0.0", data, True), ("2.0.0", package("2.0.0"), True))
    server.files["api/services"] = server.files["api/services/nmt-m2m100"] = json.dumps(answer).encode()
    ran = scene.run(*args)
    assert ran.code == 1
    assert "sha256 is stated as" in ran.reasons["2.0.0"]


def test_code_and_models_become_one_service_package(scene: ImportScene, hub: Path, tmp_path: Path) -> None:
    model = hub / "storage/models/m2m100-en-zh/1.0.0"
    model.mkdir(parents=True)
    (model / "model.onnx").write_bytes(b"onnx")
    code = tmp_path / "electron_node/services/nmt_m2m100"
    (code / "__pycache__").mkdir(parents=True)
    (code / "__pycache__/x.pyc").write_bytes(b"x")
    (code / "nmt_service.py").write_text(CODE)
    (code / "requirements.txt").write_text("onnxruntime\n")
    services = tmp_path / "electron_node/services.toml"
    services.write_text(
        """
[services.nmt-en-zh]
code = "services/nmt_m2m100"
version = "1.0.0"
service_name = "M2M100 NMT Service"
startup_command = "python nmt_service.py"
port = 5008
models = [{ model_id = "m2m100-en-zh", model_type = "nmt", path = "models/nmt/m2m100-en-zh" }]
latest = true

[services.broken]
code = "../etc"

[services.other]
code = "services/nmt_m2m100"
version = "1.0.0"
startup_command = "python nmt_service.py"
models = [{ model_id = "nothing", version = "1.0.0" }]
""",
        encoding="utf-8",
    )
    args = ("model-hub", hub, "--namespace", "speech", "--as-services", services)
    ran = scene.run(*args)
    assert ran.code == 1
    assert "speech/nmt-en-zh@1.0.0" in ran.releases
    assert "speech/whisper-base@1.0.0" in ran.releases
    assert not any("m2m100-en-zh@" in each and "nmt-" not in each for each in ran.releases)
    assert "code: '../etc' is not a folder below" in ran.reasons["broken"]
    assert "the hub has no model 'nothing' 1.0.0" in ran.reasons["1.0.0"]
    release = scene.release("speech/nmt-en-zh", "1.0.0")
    assert release.models[0].version == "1.0.0"
    assert release.service is not None
    assert release.service.env == {"MODELS_DIR": "models"}
    assert fold_status(scene.plugin("speech/nmt-en-zh").status.events).channels == {"1.0.0": ("latest",)}
    scene.assert_again_changes_nothing(*args)
    with scene.installed("speech/nmt-en-zh") as folder:
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        wanted = {
            "service.json",
            "checksum.sha256",
            "nmt_service.py",
            "requirements.txt",
            "models/nmt/m2m100-en-zh/model.onnx",
        }
        assert wanted <= files
        assert not any("pycache" in name for name in files)


def test_the_models_of_a_service_that_is_refused_wait_for_it(scene: ImportScene, hub: Path, tmp_path: Path) -> None:
    """Imported by themselves, they would be published as plugins that nobody meant."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/app.py").write_text(CODE)
    (tmp_path / "code/link").symlink_to("/etc/passwd")
    (tmp_path / "map.toml").write_text(
        '[services.asr]\ncode = "code"\nversion = "1.0.0"\nstartup_command = "python3 app.py"\n'
        'models = [{ model_id = "whisper-base", path = "models/whisper" }]\n'
    )
    args = ("model-hub", hub, "--as-services", tmp_path / "map.toml")
    refused = scene.run(*args)
    assert refused.code == 1
    assert "is a link that leaves" in refused.reasons["1.0.0"]
    assert [each for each in refused.releases if "whisper" in each] == []
    (tmp_path / "code/link").unlink()
    assert scene.run(*args).releases == ["model-hub/asr@1.0.0"]
    assert not (scene.tree / "plugins/model-hub/whisper-base").exists()


def test_every_problem_is_named_and_the_others_are_imported(scene: ImportScene, hub: Path, tmp_path: Path) -> None:
    services = hub / "storage/services/nmt-m2m100"
    (services / "2.0.0.zip").write_bytes(package("2.0.1", service_id="other", models="x", created_at="gestern"))
    (services / "2.1.0.zip").write_bytes(package("2.1.0", files={"checksum.sha256": f"{'0' * 64}  nmt_service.py\n"}))
    (services / "2.2.0.zip").write_bytes(zip_with({"a": "b"}))
    (services / "2.3.0.zip").write_bytes(package("2.3.0", files={"../evil": "x"}))
    (services / "2.4.0.zip").symlink_to("/etc/hostname")
    (services / "2.5.0.zip").write_bytes(package("2.5.0", startup_command=None))
    (services / "v3.zip").write_bytes(package("v3"))
    (services / "2.6.0.zip").write_bytes(
        package("2.6.0", models=[{"model_id": "m", "path": "models/none"}], dependencies={"python": 3})
    )
    model = hub / "storage/models/bad/1.0.0"
    model.mkdir(parents=True)
    (model / "a.bin").write_bytes(b"a")
    (model / "checksum.sha256").write_text(f"{'0' * 64}  a.bin\n")
    gone = hub / "storage/models/gone/1.0.0"
    gone.mkdir(parents=True)
    (gone / "checksum.sha256").write_text(f"{'0' * 64}  a.bin\n")
    ran = scene.run("model-hub", hub)
    assert ran.code == 1
    assert "model-hub/nmt-m2m100@1.0.0" in ran.releases
    said: dict[str, str] = {}
    for entry in ran.document["not_imported"]:
        key = entry["version"] if entry["name"] == "nmt-m2m100" else entry["name"]
        said[key] = said.get(key, "") + entry["reason"] + "\n"
    assert all(
        each in said["2.0.0"] for each in ("service_id: is 'other'", "version: is '2.0.1'", "models: is", "created_at")
    )
    assert "nmt_service.py: has other bytes than checksum.sha256 says" in said["2.1.0"]
    assert "service.json: is missing" in said["2.2.0"]
    assert "evil" in said["2.3.0"]
    assert any("2.4.0.zip" in e["place"] for e in ran.document["not_imported"])
    assert "startup_command: is missing" in said["2.5.0"]
    assert "version: 'v3' is not a semantic version" in said["v3"]
    assert all(each in said["2.6.0"] for each in ("models[0].path", "dependencies.python: is '3'"))
    assert "sha256 is stated as" in said["bad"]
    assert "names 'a.bin', which is missing" in said["gone"]
    scene.assert_valid()


def test_what_nobody_checks_or_reads_is_told(scene: ImportScene, hub: Path) -> None:
    (hub / "storage/models/whisper-base/1.0.0/extra.bin").write_bytes(b"by whom?")
    (hub / "storage/services/nmt-m2m100/1.2.0.tar.gz").write_bytes(b"x")
    ran = scene.run("model-hub", hub)
    assert ran.code == 0
    assert "models/whisper-base/1.0.0: checksum.sha256 doesn't name extra.bin: taken as they are" in ran.said
    assert "services/nmt-m2m100/1.2.0.tar.gz: not read" in ran.said


def test_folders_that_are_no_hub(scene: ImportScene, tmp_path: Path) -> None:
    assert scene.run("model-hub", tmp_path / "gone").code == 3
    ran = scene.run("model-hub", tmp_path)
    assert ran.code == 2
    assert "neither services/ nor models/" in ran.said
