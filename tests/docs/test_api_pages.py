"""docs/api.md and docs/gateway.md: their commands, run as they stand against a registry and a gateway of this host."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.components import missing
from support.node_tools import installed
from support.places import REPOSITORY
from support.source_trees import small_tree

from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.site.preview.server import running_server

DOCS = REPOSITORY / "docs"


def commands(page: str, program: str) -> list[str]:
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"))
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith(f"$ {program} ")]


def run(command: str, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("curl") is None:
        missing("curl", "apt-get install curl")
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEALDEX_KEYS", str(folder / "keys"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        tree = small_tree(folder / "source")
        with (tree.root / "registry.toml").open("a") as file:
            file.write("[api]\nenabled = true\nmodel_hub = true\n")
        publish_realm(open_publisher(tree.load(), "public", use_memory=False))
    return folder / "published/public"


def test_the_addresses_of_the_page_answer(published: Path) -> None:
    asked = commands("api.md", "curl")
    assert len(asked) >= 3
    with running_server(published) as address:
        for command in asked:
            assert json.loads(run(command.replace("https://plugins.example", address))), command


@pytest.fixture(scope="module")
def runtime_folder() -> Iterator[Path]:
    """A folder whose path is short, as a socket's has to be: that of a test may be long."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def gateway(
    published: Path, runtime_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Start the gateways of the page, with free ports; yield what the page says to what is here."""
    folder = tmp_path_factory.mktemp("g")
    root = published.parents[1] / "source/trust/public/1.root.json"
    (folder / "config.toml").write_text(f'[registries.public]\nurl = "{published.as_uri()}"\nroot = "{root}"\n')
    environment = {
        **os.environ,
        "SEALDEX_CONFIG": str(folder / "config.toml"),
        "SEALDEX_STORE": str(folder / "store"),
        "XDG_RUNTIME_DIR": str(runtime_folder),
    }
    [shown] = commands("gateway.md", "sealdex gateway")
    assert shown == "sealdex gateway --http 127.0.0.1:8080 --grpc 127.0.0.1:50051"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "sealdex", "gateway", *more, "--json"],
            env=environment, stdout=subprocess.PIPE, text=True,
        )
        for more in ([], ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
    ]  # fmt: skip
    try:
        said = [json.JSONDecoder().raw_decode(_document(process))[0] for process in processes]
        yield {
            "$XDG_RUNTIME_DIR/sealdex/gateway.sock": said[0]["http"].removeprefix("unix:"),
            "127.0.0.1:8080": said[1]["http"],
            "127.0.0.1:50051": said[1]["grpc"],
        }
    finally:
        for process in processes:
            process.terminate()
        codes = [process.wait() for process in processes]
    assert codes == [0, 0]


def _document(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip() == "}":
            break
    return "".join(lines)


def here(command: str, places: dict[str, str]) -> str:
    for said, place in places.items():
        command = command.replace(said, place)
    return command


def test_the_gateway_answers_as_the_page_says(gateway: dict[str, str]) -> None:
    asked = commands("gateway.md", "curl")
    answers = [run(here(command, gateway)) for command in asked]
    assert json.loads(answers[0]) == []
    assert json.loads(answers[1]) == {"valid": True, "problems": []}
    assert json.loads(answers[2])["pluginId"] == "acme/slack"
    assert json.loads(answers[3])["version"] == "1.0.0"
    assert {each["name"] for each in json.loads(answers[4])} == {"slack", "base"}
    assert json.loads(answers[5])["isEnabled"] == 0
    assert answers[6] == ""


@pytest.mark.slow
def test_the_methods_of_the_page_answer(gateway: dict[str, str]) -> None:
    tools = installed(REPOSITORY / "tests/protos/node") / ".bin"
    found = [
        json.loads(run(here(command, gateway), PATH=f"{tools}:{os.environ['PATH']}"))
        for command in commands("gateway.md", "buf")
    ]
    assert [each["pluginId"] for each in found[0]["plugins"]] == ["acme/base", "acme/slack"]
    assert found[1]["versions"] == ["1.0.0"]
