"""Archives from the disk: as the release that a registry signed, or unsigned where host and caller both allow it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry, zip_of
from support.tree_server import TreeServer

MANIFEST = json.dumps({"format": 1, "namespace": "me", "name": "tool", "version": "1.0.0"}).encode()


@pytest.fixture
def lenient(run: Run, tmp_path: Path) -> Run:
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text() + "\n[install]\nrequire_signed = false\n")
    return run


def archive(tmp_path: Path, manifest: bytes | None = MANIFEST, **files: bytes) -> Path:
    path = tmp_path / "project/my tool.zip"
    inside = {"plugin.py": b"x = 1\n", **files}
    path.write_bytes(zip_of(inside if manifest is None else {"manifest.json": manifest, **inside}))
    return path


@pytest.mark.parametrize("flags", [[], ["--allow-unsigned"]])
def test_refused_by_default(run: Run, tmp_path: Path, flags: list[str]) -> None:
    """Power: who can put a file on the host. Refused: by configuration, whatever the command line says."""
    refused = run("install", archive(tmp_path), *flags)
    assert (refused.code, "SECURITY" in refused.err, "require_signed = false" in refused.err) == (4, True, True)
    assert run("list", "--json").document["installed"] == []


def test_installed_when_both_say_so(lenient: Run, tmp_path: Path) -> None:
    path = archive(tmp_path)
    refused = lenient("install", path)
    assert (refused.code, "--allow-unsigned" in refused.err) == (4, True)
    done = lenient("install", f"./{path.name}", "--allow-unsigned")
    assert done.out == "installed me/tool 1.0.0 · unsigned\n"
    assert "unsigned" in lenient("list").out
    listed = lenient("list", "--json").document["installed"][0]
    assert (listed["registry"], listed["signed_by"], listed["root_version"]) == ("local", None, None)
    assert lenient("verify").code == 0
    assert lenient("update").code == 0
    assert lenient("rollback").code == 0
    assert lenient("list", "--json").document["installed"] == []
    staging = tmp_path / "store/staging"
    assert [path.name for path in staging.iterdir() if path.name != "guard"] == []


def test_what_it_is_can_be_said(lenient: Run, tmp_path: Path) -> None:
    path = archive(tmp_path, None)
    nameless = lenient("install", path, "--allow-unsigned")
    assert (nameless.code, "--as NAMESPACE/NAME@VERSION" in nameless.err) == (2, True)
    assert lenient("install", path, "--allow-unsigned", "--as", "me/tool").code == 2
    assert (
        lenient("install", path, "--allow-unsigned", "--as", "me/tool@2.0.0", "--json").document["installed"][0][
            "version"
        ]
        == "2.0.0"
    )
    other = lenient("install", archive(tmp_path), "--allow-unsigned", "--as", "me/other@1.0.0")
    assert (other.code, "says that it is me/tool 1.0.0" in other.err) == (2, True)


def test_a_tar_with_dependencies(lenient: Run, tmp_path: Path) -> None:
    needing = json.dumps({**json.loads(MANIFEST), "dependencies": {"acme/base": "^1"}}).encode()
    path = tmp_path / "tool.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name, data in {"manifest.json": needing, "x": b"1"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    done = lenient("install", path, "--allow-unsigned")
    assert (done.code, "depends on acme/base ^1" in done.err) == (0, True)


def test_it_does_not_replace_what_is_signed(lenient: Run, tmp_path: Path) -> None:
    """Power: an archive that calls itself a signed release. What is installed stays."""
    lenient("install", "acme/mail")
    false = json.dumps({"format": 1, "namespace": "acme", "name": "mail", "version": "1.0.0"}).encode()
    refused = lenient("install", archive(tmp_path, false), "--allow-unsigned")
    assert (refused.code, "is installed from another file" in refused.err) == (1, True)
    assert "signed by packages" in lenient("list").out


def test_archives_are_judged(lenient: Run, tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    path.write_bytes(zip_of({"manifest.json": MANIFEST, "../../evil": b"x"}))
    assert lenient("install", path, "--allow-unsigned").code == 4
    assert lenient("install", tmp_path / "nothing.zip", "--allow-unsigned").code == 3
    assert lenient("install", "./README", "--allow-unsigned").code == 2
    assert lenient("install", path, "acme/mail", "--allow-unsigned").code == 2
    assert lenient("install", "acme/mail", "--as", "a/b@1.0.0").code == 2
    assert lenient("list", "--json").document["installed"] == []


# --- archives of other systems, as the seeds have them ---------------------------------------------------------------

ENGINE = {
    "name": "Slack Notify", "version": "1.0.0", "description": "Slack notification plugin", "author": "Arcade Team",
    "pluginType": "notify", "entryPoint": "slack.so", "dependencies": ["http@^1.2"], "tags": ["notify"],
    "configSchema": {"type": "object", "required": ["webhook_url"]}, "defaultConfig": {"channel": "#general"},
    "minVersion": "1.0.0", "resources": {"cpu": "100m", "memory": "128Mi", "disk": "50Mi"},
}  # fmt: skip
HUB = {
    "service_id": "nmt-m2m100", "service_name": "M2M100 NMT Service", "version": "1.0.0", "service_type": "python",
    "port": 5008, "description": "M2M100 机器翻译服务", "startup_command": "python nmt_service.py",
    "models": [{"model_id": "m2m100-en-zh", "model_type": "nmt", "version": "1.0.0", "path": "models/nmt/"}],
    "dependencies": {"python": ">=3.10", "cuda": "optional"}, "health_check": {"endpoint": "/health", "method": "GET"},
    "created_at": "2025-12-17T00:00:00Z", "sha256": "abc123...",
}  # fmt: skip


def test_a_manifest_of_an_engine_says_what_it_is(lenient: Run, tmp_path: Path) -> None:
    path = archive(tmp_path, json.dumps(ENGINE).encode(), **{"slack.so": b"x"})
    done = lenient("install", path, "--allow-unsigned", "--json")
    row = done.document["installed"][0]
    assert (row["plugin"], row["version"]) == ("local/slack-notify", "1.0.0")
    assert "depends on local/http ^1.2" in done.err
    kept = json.loads((Path(row["path"]) / ".sealdex/manifest.json").read_text())
    assert (kept["entry_point"], kept["runtime"]["kind"]) == ("slack.so", "native")
    assert (kept["default_config"], kept["authors"]) == ({"channel": "#general"}, ["Arcade Team"])
    named = lenient("install", path, "--allow-unsigned", "--as", "me/slack@1.0.0", "--json").document["installed"][0]
    assert named["plugin"] == "me/slack"
    other = lenient("install", path, "--allow-unsigned", "--as", "me/slack@2.0.0")
    assert (other.code, "says that it is Slack Notify 1.0.0" in other.err) == (2, True)


def test_a_service_of_a_model_hub_says_what_it_is(lenient: Run, tmp_path: Path) -> None:
    path = archive(tmp_path, None, **{"service.json": json.dumps(HUB).encode(), "nmt_service.py": b""})
    row = lenient("install", path, "--allow-unsigned", "--json").document["installed"][0]
    assert (row["plugin"], row["version"]) == ("local/nmt-m2m100", "1.0.0")
    kept = json.loads((Path(row["path"]) / ".sealdex/manifest.json").read_text())
    assert kept["service"]["command"] == ["python", "nmt_service.py"]
    assert (kept["service"]["port"], kept["service"]["health_check"]["endpoint"]) == (5008, "/health")
    assert kept["models"][0]["path"] == "models/nmt"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": "latest"}, "version: 'latest'"),
        ({"name": None}, "name: is missing"),
        ({"name": "通知"}, "is not one that a plugin can have"),
        ({"resources": {"cpu": "plenty"}}, "resources"),
        ({"dependencies": ["http@>>1"]}, "dependencies"),
        ({"dependencies": ["通知@1.0.0"]}, "通知"),
    ],
)
def test_what_is_wrong_in_a_foreign_manifest_is_named(
    lenient: Run, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    refused = lenient("install", archive(tmp_path, json.dumps({**ENGINE, **changed}).encode()), "--allow-unsigned")
    assert refused.code == 2
    assert said in refused.err
    assert lenient("list", "--json").document["installed"] == []


# --- archives that a registry has signed -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["by its manifest", "by its name", "as stated"])
def test_what_a_registry_has_signed_is_installed_from_the_file(
    run: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path, how: str
) -> None:
    inside = {"manifest.json": MANIFEST.replace(b'"me"', b'"acme"')}
    files = {"plugin.py": b"x = 1\n", **(inside if how == "by its manifest" else {})}
    data = registry.release("acme/tool", "1.0.0", files)
    registry.release("acme/tool", "1.1.0")
    registry.publish()
    path = tmp_path / ("tool-1.0.0.zip" if how == "by its name" else "some.zip")
    path.write_bytes(data)
    server.instead["plugins/acme/tool/1.0.0/tool.zip"] = 500  # the file is here: nothing is fetched
    stated = ["--as", "acme/tool@1.0.0"] if how == "as stated" else []
    assert "acme/tool 1.0.0" in run("install", path, *stated, "--dry-run").out
    done = run("install", path, *stated, "--log-format", "json")
    assert done.out == "installed acme/tool 1.0.0 · signed by packages, root v1\n"
    assert json.loads(done.err.splitlines()[-1])["event"] == "install.done"
    assert run("verify").code == 0
    assert run("list", "--json").document["installed"][0]["registry"] == "public"


def test_attack_one_other_byte_is_unsigned(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    """Power: who can put a file on the host. It calls itself a signed release, and is another file."""
    inside = {"manifest.json": MANIFEST.replace(b'"me"', b'"acme"')}
    data = registry.release("acme/tool", "1.0.0", inside)
    registry.publish()
    path = tmp_path / "tool-1.0.0.zip"
    path.write_bytes(zip_of({**inside, "evil.py": b""}))
    assert path.read_bytes() != data
    refused = run("install", path, "--as", "acme/tool@1.0.0")
    assert (refused.code, "is not signed" in refused.err) == (4, True)
    assert run("list", "--json").document["installed"] == []


def test_what_is_signed_for_other_hosts_is_not_taken(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    elsewhere = {"selector": {"match_labels": {"os": "plan9"}}}
    data = registry.release("acme/tool", "1.0.0", artifact=elsewhere)
    registry.publish()
    path = tmp_path / "tool-1.0.0.zip"
    path.write_bytes(data)
    refused = run("install", path)
    assert (refused.code, "not for this host: needs os=plan9" in refused.err) == (3, True)
