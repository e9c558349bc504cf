"""``protos/``: linted and compiled by buf, and with the names and numbers that the old systems have on the wire."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from support.node_tools import installed
from support.places import REPOSITORY

PROTOS = REPOSITORY / "protos"
COMPILED = REPOSITORY / "client/sealdex/runtime/gateway/protos.binpb"
# as the documents of the old systems have them; PluginIdentifier is in none of them
MESSAGES = {
    "agent.v1.PluginInfo": "plugin_id name version checksum size download_url location",
    "agent.v1.DownloadPluginRequest": "agent_id plugin_id version",
    "agent.v1.DownloadPluginResponse": "success message plugin_data checksum size",
    "agent.v1.ListAvailablePluginsRequest": "agent_id plugin_type",
    "agent.v1.ListAvailablePluginsResponse": "success message plugins",
    "arf.cloud.v1.RegisterPluginRequest": "name type",
    "arf.cloud.v1.PluginDetails": "id type description versions",
    "arf.cloud.v1.DownloadPluginResponse": "download_url",
}
ENUMS = {
    "agent.v1.PluginLocation": [f"PLUGIN_LOCATION_{name}" for name in ("UNKNOWN", "SERVER", "STORAGE", "REGISTRY")],
    "arf.cloud.v1.PluginType": [
        "TYPE_UNSPECIFIED", "HAL_DRIVER", "ACR_ALGORITHM", "TRAINING_SCRIPT", "APPLICATION_SUITE",
    ],
}  # fmt: skip
METHODS = {
    "agent.v1.Agent": ["DownloadPlugin", "ListAvailablePlugins"],
    "arf.cloud.v1.MarketplaceService": ["RegisterPlugin", "GetPlugin", "DownloadPlugin"],
}


@pytest.fixture(scope="module")
def buf() -> str:
    return str(installed(Path(__file__).parent / "node") / ".bin/buf")


@pytest.mark.parametrize("command", [["lint"], ["format", "--diff", "--exit-code"]], ids=["lint", "format"])
def test_buf_finds_nothing(buf: str, command: list[str]) -> None:
    done = subprocess.run([buf, *command], cwd=PROTOS, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_the_client_carries_is_compiled_of_them(buf: str, tmp_path: Path) -> None:
    made = tmp_path / "protos.binpb"
    command = [buf, "build", "--as-file-descriptor-set", "--exclude-source-info", "-o", str(made)]
    subprocess.run(command, cwd=PROTOS, check=True)
    assert made.read_bytes() == COMPILED.read_bytes(), f"cd protos && {' '.join(command[:-1])} {COMPILED}"


def test_names_and_numbers_are_those_of_the_old_systems() -> None:
    files = FileDescriptorSet.FromString(COMPILED.read_bytes()).file
    messages = {f"{file.package}.{each.name}": each for file in files for each in file.message_type}
    enums = {f"{file.package}.{each.name}": each for file in files for each in file.enum_type}
    services = {f"{file.package}.{each.name}": each for file in files for each in file.service}
    assert set(messages) == {*MESSAGES, "arf.v1.PluginIdentifier"}
    for name, fields in MESSAGES.items():
        assert [(field.name, field.number) for field in messages[name].field] == [
            (field, number) for number, field in enumerate(fields.split(), 1)
        ]
    assert {name: [(v.name, v.number) for v in enum.value] for name, enum in enums.items()} == {
        name: [(value, number) for number, value in enumerate(values)] for name, values in ENUMS.items()
    }
    assert {name: [method.name for method in each.method] for name, each in services.items()} == METHODS
