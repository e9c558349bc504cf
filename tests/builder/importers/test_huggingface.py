"""`import huggingface`: one commit of a model, from the Hub, a saved answer, or a cache folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ImportScene, sha256
from support.tree_server import TreeServer

COMMIT = "e37978b90ca9030d5170a5c07aadb050351a65bb"
WEIGHTS, CONFIG = b"weights" * 100, b'{"vocab_size": 51865}'
MAPPED = ("--version-map", f"{COMMIT}=1.0.0")


def git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def answer(**fields: Any) -> dict[str, Any]:
    return {
        "id": "OpenAI/whisper-base",
        "sha": COMMIT,
        "lastModified": "2025-01-16T08:00:00.000Z",
        "tags": ["whisper", "license:apache-2.0", "语音"],
        "pipeline_tag": "automatic-speech-recognition",
        "gated": False,
        "siblings": [
            {"rfilename": "model.bin", "size": len(WEIGHTS), "blobId": "0" * 40,
             "lfs": {"sha256": sha256(WEIGHTS), "size": len(WEIGHTS), "pointerSize": 134}},
            {"rfilename": "onnx/config.json", "size": len(CONFIG), "blobId": git_digest(CONFIG)},
        ],
        **fields,
    }  # fmt: skip


def served(server: TreeServer) -> None:
    base = f"OpenAI/whisper-base/resolve/{COMMIT}"
    server.files = {
        f"api/models/OpenAI/whisper-base/revision/{COMMIT}?blobs=true": json.dumps(answer()).encode(),
        f"{base}/model.bin": WEIGHTS,
        f"{base}/onnx/config.json": CONFIG,
    }


def test_a_commit_is_imported_published_and_installed(scene: ImportScene, server: TreeServer) -> None:
    served(server)
    args = ("huggingface", f"OpenAI/whisper-base@{COMMIT}", "--endpoint", server.url, *MAPPED)
    ran = scene.run(*args)
    assert (ran.code, ran.releases) == (0, ["openai/whisper-base@1.0.0"])
    release = scene.release("openai/whisper-base", "1.0.0")
    assert (release.license, release.released_at) == ("Apache-2.0", "2025-01-16T08:00:00Z")
    assert (release.models[0].version, release.models[0].model_type) == (COMMIT, "automatic-speech-recognition")
    record = scene.record("openai/whisper-base", "1.0.0")
    assert (record["version"], record["files"]["model.bin"]) == (COMMIT, sha256(WEIGHTS))
    scene.assert_again_changes_nothing(*args)
    with scene.installed("openai/whisper-base") as folder:
        assert (folder / "model.bin").read_bytes() == WEIGHTS
        assert (folder / "onnx/config.json").read_bytes() == CONFIG


def test_one_file_stays_at_its_address(scene: ImportScene, server: TreeServer, tmp_path: Path) -> None:
    served(server)
    (tmp_path / "model.json").write_text(json.dumps(answer()))
    args = ("huggingface", tmp_path / "model.json", "--endpoint", server.url, *MAPPED, "--file", "*.json")
    assert scene.run(*args).code == 0
    (artifact,) = scene.release("openai/whisper-base", "1.0.0").artifacts
    assert artifact.source == f"{server.url}/OpenAI/whisper-base/resolve/{COMMIT}/onnx/config.json"
    assert artifact.sha256 == sha256(CONFIG)
    digests = scene.record("openai/whisper-base", "1.0.0")["digests"][0]["digests"]
    assert digests == {"git": git_digest(CONFIG)}  # the source has no other
    asked = len(server.requests)
    scene.assert_again_changes_nothing(*args)
    assert server.requests[asked:] == []
    scene.assert_valid()


def test_bytes_that_are_not_what_git_says_are_refused(scene: ImportScene, server: TreeServer) -> None:
    """Attacker: between the Hub and the importer. Change: other bytes of a small file. Refusal: by git's digest."""
    served(server)
    server.files = {
        **server.files,
        f"OpenAI/whisper-base/resolve/{COMMIT}/onnx/config.json": CONFIG.replace(b"5", b"6"),
    }
    ran = scene.run("huggingface", f"OpenAI/whisper-base@{COMMIT}", "--endpoint", server.url, *MAPPED)
    assert (ran.code, ran.releases) == (1, [])
    assert "git is stated as" in ran.reasons[COMMIT]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "models--OpenAI--whisper-base"
    (folder / "blobs").mkdir(parents=True)
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    readme = "---\nlicense: apache-2.0\n---\n# Whisper\n\n语音识别\n".encode()
    for name, data, digest in (
        ("model.bin", WEIGHTS, sha256(WEIGHTS)),
        ("config.json", CONFIG, git_digest(CONFIG)),
        ("README.md", readme, git_digest(readme)),
    ):
        (folder / "blobs" / digest).write_bytes(data)
        (snapshot / name).symlink_to(f"../../blobs/{digest}")
    return folder


def test_a_cache_folder_is_read_without_a_network(scene: ImportScene, cache: Path) -> None:
    args = ("huggingface", cache, *MAPPED)
    assert scene.run(*args).releases == ["openai/whisper-base@1.0.0"]
    assert "语音识别" in (scene.tree / "plugins/openai/whisper-base/README.md").read_text(encoding="utf-8")
    scene.assert_again_changes_nothing(*args)
    (cache / "blobs" / git_digest(CONFIG)).write_bytes(b"other")
    other = scene.run("huggingface", cache, "--version-map", f"{COMMIT}=2.0.0")
    assert (other.code, other.releases) == (1, [])


def test_links_out_of_a_cache_are_not_followed(scene: ImportScene, cache: Path) -> None:
    """Attacker: filled the cache. Change: a link to a file of this machine. Refusal: nothing of it is read."""
    (cache / "snapshots" / COMMIT / "stolen").symlink_to("/etc/hostname")
    ran = scene.run("huggingface", cache, *MAPPED)
    assert (ran.code, ran.releases) == (1, [])


def test_every_problem_is_named(scene: ImportScene, tmp_path: Path, server: TreeServer) -> None:
    served(server)
    assert scene.run("huggingface", "OpenAI/whisper-base@main").code == 2
    assert scene.run("huggingface", "nothing").code == 3
    siblings = [{"rfilename": "../evil", "size": -1}, {}, {"rfilename": "a", "lfs": {"sha256": "x"}}]
    (tmp_path / "m.json").write_text(json.dumps(answer(siblings=siblings)))
    said = "\n".join(e["reason"] for e in scene.run("huggingface", tmp_path / "m.json").document["not_imported"])
    for each in ("siblings[0].size: is -1", "siblings[1]: has no rfilename", "siblings[2].sha256"):
        assert each in said
    (tmp_path / "m.json").write_text(json.dumps(answer(siblings=[{"rfilename": "../evil"}, {"rfilename": "b"}])))
    ran = scene.run("huggingface", tmp_path / "m.json", "--endpoint", server.url, *MAPPED)
    assert "evil" in ran.said
    (tmp_path / "m.json").write_text(json.dumps(answer(sha="main", id=5, siblings=[])))
    said = "\n".join(e["reason"] for e in scene.run("huggingface", tmp_path / "m.json").document["not_imported"])
    assert all(each in said for each in ("id: is '5'", "sha: is missing", "siblings: is missing"))
    unmapped = scene.run("huggingface", f"OpenAI/whisper-base@{COMMIT}", "--endpoint", server.url)
    assert "--version-map" in unmapped.reasons[COMMIT]
