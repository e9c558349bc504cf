"""``--artifacts all|store|none``: which files of releases a mirror has then, what comes along, and what clients say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.mirror_files import keys
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.model.index import ArtifactEntry
from sealdex.model.plugin import Attachment

OWN, ABROAD = "plugins/acme/own/1.0.0/", "plugins/acme/abroad/1.0.0/"
IMAGE = "registry.example/acme/image@sha256:" + "5a" * 32
ATTACHED = {"own.sigstore.json": "sigstore-bundle", "own.spdx.json": "sbom", "own.eval.json": "report"}


@pytest.fixture
def author() -> Iterator[TreeServer]:
    with TreeServer({}) as running:
        yield running


@pytest.fixture
def registry(author: TreeServer) -> PluginRegistry:
    """acme/own has all of its files here, acme/abroad its archive and its report at the author's; acme/image is one."""
    made = PluginRegistry()
    made.plugin("acme/own", readme=None)
    own = tuple(attachment(name, kind) for name, kind in ATTACHED.items())
    made.release("acme/own", "1.0.0", {f"{n}.txt": bytes(200) for n in range(40)}, file_list=True, attachments=own)
    made.files.update({f"{OWN}{name}": name.encode() for name in ATTACHED})
    there = attachment("abroad.eval.json", "report", f"{author.url}/abroad.eval.json")
    beside = attachment("abroad.spdx.json", "sbom")
    archive = made.release(
        "acme/abroad", "1.0.0", artifact={"url": f"{author.url}/abroad.zip"}, attachments=(there, beside)
    )
    author.files = {"abroad.zip": archive, "abroad.eval.json": b"abroad.eval.json"}
    made.files[f"{ABROAD}abroad.spdx.json"] = b"abroad.spdx.json"
    del made.files[f"{ABROAD}abroad.zip"]
    image = ArtifactEntry("image", "5a" * 32, "oci", None, url=IMAGE)
    made.release("acme/image", "1.0.0", artifacts=(image,))
    made.publish()
    return made


def attachment(name: str, kind: str, url: str | None = None) -> Attachment:
    return Attachment(name, kind, len(name), hashlib.sha256(name.encode()).hexdigest(), url=url)


ALWAYS = {
    f"{OWN}manifest.json", f"{ABROAD}manifest.json", "plugins/acme/image/1.0.0/manifest.json",
    *(f"{OWN}{name}" for name in ATTACHED), f"{ABROAD}abroad.spdx.json",
}  # fmt: skip
IN_STORE = {f"{OWN}own.zip", f"{OWN}own.zip.files.json"}
ELSEWHERE = {f"{ABROAD}abroad.zip", f"{ABROAD}abroad.eval.json"}
HAS = {"all": ALWAYS | IN_STORE | ELSEWHERE, "store": ALWAYS | IN_STORE, "none": ALWAYS}


@pytest.mark.parametrize("kind", HAS)
def test_a_mirror_has_just_these_files(run: Run, root: Path, author: TreeServer, tmp_path: Path, kind: str) -> None:
    made = run("mirror", "create", "public", tmp_path / "one", "--artifacts", kind, "--json")
    assert made.code == 0, made.err
    assert {key for key in keys(tmp_path / "one") if key.startswith("plugins/")} == HAS[kind]
    assert made.document["images"][0]["reference"] == IMAGE
    assert len(author.requests) == (2 if kind == "all" else 0)
    said: dict[str, Any] = json.loads((tmp_path / "one/mirror.json").read_bytes())
    assert set(said.get("elsewhere", ())) == HAS[kind] & ELSEWHERE
    proved = run("mirror", "verify", tmp_path / "one", "--root", root, "--json")
    assert (proved.code, proved.document["extra"]) == (0, 0)
    # across a gap, and in a ring of its own, the same
    assert run("mirror", "create", "public", tmp_path / "out.tar", "--artifacts", kind).code == 0
    assert run("mirror", "import", tmp_path / "out.tar", tmp_path / "far", "--root", root).code == 0
    assert keys(tmp_path / "far") == keys(tmp_path / "one")
    assert run("mirror", "create", tmp_path / "one", tmp_path / "two", "--root", root).code == 0
    assert keys(tmp_path / "two") == keys(tmp_path / "one")


@pytest.mark.parametrize(("kind", "code"), [("all", 0), ("store", 0), ("none", 3)])
def test_clients_get_what_is_there_and_are_told_what_is_not(
    run: Run, root: Path, author: TreeServer, tmp_path: Path, kind: str, code: int
) -> None:
    assert run("mirror", "create", "public", tmp_path / "one", "--artifacts", kind).code == 0
    assert run("registry", "remove", "public").code == 0
    assert run("registry", "add", "far", tmp_path / "one", "--root", root).code == 0
    author.requests.clear()
    installed = run("install", "acme/own")
    assert installed.code == code, installed.err
    assert ("not on this mirror" in installed.err) == (code == 3)
    abroad = run("install", "acme/abroad")  # what the mirror doesn't have of it is where the author has it
    assert abroad.code == 0, abroad.err
    assert author.requests == ([] if kind == "all" else ["abroad.zip"])
