"""Small stand-ins of the systems that docs/migrating.md takes over: written to a folder, and served on 127.0.0.1.

python3 examples/migrating/sample_systems.py FOLDER     (FOLDER/address is written last: where the files are served)
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# the header of a shared library for Linux on x86-64: enough for an importer to see what it is for
LIBRARY = b"\x7fELF\x02\x01\x01\0" + bytes(8) + b"\x03\0\x3e\0" + bytes(44)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(path: Path, data: bytes | str | Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(data, bytes | str):
        data = json.dumps(data, ensure_ascii=False, indent=2)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def zipped(files: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def arcade(folder: Path) -> None:
    """A package, and the plugin table with the storage that it names."""
    manifest = {
        "name": "slack-notify", "version": "1.1.0", "description": "Slack notification plugin", "author": "Arcade Team",
        "pluginType": "notify", "entryPoint": "slack.so", "tags": ["notify", "slack"], "minVersion": "1.0.0",
        "configSchema": {"type": "object", "properties": {"channel": {"type": "string"}}},
        "defaultConfig": {"channel": "#general"}, "resources": {"cpu": "100m", "memory": "128Mi", "disk": "50Mi"},
    }  # fmt: skip
    write(folder / "slack-notify.zip", zipped({"manifest.json": json.dumps(manifest), "slack.so": LIBRARY + b"1.1.0"}))
    row = {
        "plugin_id": "plugin_slack_abc123", "name": "slack-notify", "version": "1.0.0", "plugin_type": "notify",
        "entry_point": "slack.so", "description": "Slack notification plugin", "author": "Arcade Team", "is_enabled": 1,
        "checksum": sha256(LIBRARY), "source": "local", "install_time": "2025-01-16 08:00:00",
        "s3_path": "plugins/plugin_slack_abc123/1.0.0/plugin_slack_abc123_1.0.0.so",
        "manifest": json.dumps({"tags": ["notify"], "minVersion": "1.0.0"}),
    }  # fmt: skip
    beta = {**row, "plugin_id": "plugin_beta", "name": "beta", "version": "2024.1", "checksum": "", "s3_path": ""}
    write(folder / "storage" / str(row["s3_path"]), LIBRARY)
    write(folder / "storage/plugins/plugin_beta/2024.1/plugin_beta_2024.1.so", LIBRARY + b"beta")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerows([row, beta])
    write(folder / "t_plugin.csv", "\ufeff" + text.getvalue())


def model_hub(folder: Path) -> None:
    """A service in two versions, a model, and the code of another service that works with it."""
    versions = []
    for version in ("1.0.0", "1.1.0"):
        about = {
            "service_id": "nmt-m2m100", "service_name": "M2M100 NMT Service", "version": version,
            "service_type": "python", "port": 5008, "description": "M2M100 机器翻译服务",
            "models": [{"model_id": "m2m100-en-zh", "model_type": "nmt", "version": "1.0.0", "path": "models/nmt"}],
            "dependencies": {"python": ">=3.10", "cuda": "optional"}, "startup_command": "python nmt_service.py",
            "health_check": {"endpoint": "/health", "method": "GET"}, "created_at": "2025-12-17T00:00:00Z",
        }  # fmt: skip
        files = {
            "service.json": json.dumps(about),
            "nmt_service.py": "print('nmt')\n",
            "models/nmt/model.onnx": version,
        }
        sums = "".join(f"{sha256(data.encode())}  {name}\n" for name, data in files.items())
        data = zipped({**files, "checksum.sha256": sums})
        write(folder / f"storage/services/nmt-m2m100/{version}.zip", data)
        versions.append({"version": version, "sha256": sha256(data), "stable": version == "1.0.0"})
    (folder / "storage/services/nmt-m2m100/latest.zip").symlink_to("1.1.0.zip")
    write(folder / "api/services.json", [{"service_id": "nmt-m2m100", "versions": versions}])
    model = folder / "storage/models/vits-zh/1.0.0"
    write(model / "model.onnx", b"vits")
    write(model / "checksum.sha256", f"{sha256(b'vits')}  model.onnx\n")
    write(folder / "services/piper_tts/tts_service.py", "print('tts')\n")
    write(
        folder / "services.toml",
        """[services.piper-tts]
code = "services/piper_tts"
version = "1.0.0"
service_name = "Piper TTS Service"
startup_command = "python tts_service.py"
port = 5009
models = [{ model_id = "vits-zh", model_type = "tts", version = "1.0.0", path = "models/tts/vits-zh" }]
latest = true
""",
    )


def marketplace(folder: Path, web: Path) -> None:
    """Messages as JSON, and Nexus."""
    write(web / "nexus/lidar-driver/1.0.0.zip", zipped({"lidar.txt": "lidar"}))
    details = {"id": {"namespace": "robotics", "name": "lidar-driver"}, "type": "HAL_DRIVER", "versions": ["1.0.0"]}
    details["description"] = "激光雷达驱动"
    planner = {"id": {"namespace": "robotics", "name": "planner"}, "type": 2, "versions": ["2.0.0"]}
    image = f"harbor.example/robotics/planner@sha256:{'c' * 64}"
    downloads = {"robotics/planner": {"2.0.0": {"download_url": image}}}
    write(folder / "marketplace.json", {"plugins": [details, planner], "downloads": downloads})


def helm(web: Path) -> None:
    """A chart repository."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        data = b"apiVersion: v2\nname: web\nversion: 1.0.0\n"
        info = tarfile.TarInfo("web/Chart.yaml")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    write(web / "charts/web-1.0.0.tgz", buffer.getvalue())
    chart = {"apiVersion": "v2", "name": "web", "version": "1.0.0", "description": "A web server", "appVersion": "1.25",
             "digest": sha256(buffer.getvalue()), "urls": ["web-1.0.0.tgz"]}  # fmt: skip
    write(web / "charts/index.yaml", {"apiVersion": "v1", "entries": {"web": [chart]}})


def github(folder: Path, web: Path, address: str) -> None:
    """What the API answers of the releases of acme/tool."""
    files = {"tool_linux_amd64.zip": zipped({"tool": "linux"}), "tool_darwin_arm64.zip": zipped({"tool": "mac"})}
    files["SHA256SUMS"] = "".join(f"{sha256(data)}  {name}\n" for name, data in files.items()).encode()
    for name, data in files.items():
        write(web / "acme/tool/v1.2.0" / name, data)
    assets = [
        {"name": name, "size": len(data), "state": "uploaded", "digest": f"sha256:{sha256(data)}",
         "browser_download_url": f"{address}/acme/tool/v1.2.0/{name}"}
        for name, data in files.items()
    ]  # fmt: skip
    release = {"tag_name": "v1.2.0", "body": "Faster.", "published_at": "2025-01-16T08:00:00Z", "immutable": False,
               "html_url": "https://github.com/acme/tool/releases/tag/v1.2.0", "assets": assets}  # fmt: skip
    write(folder / "releases.json", [release])


def huggingface(folder: Path) -> None:
    """A cache folder of the Hub."""
    commit = "e37978b90ca9030d5170a5c07aadb050351a65bb"
    cache = folder / "models--openai--whisper-base"
    (cache / "snapshots" / commit).mkdir(parents=True)
    for name, data, blob in (
        ("model.bin", b"weights", sha256(b"weights")),
        ("config.json", b"{}", hashlib.sha1(b"blob 2\0{}", usedforsecurity=False).hexdigest()),
    ):
        write(cache / "blobs" / blob, data)
        (cache / "snapshots" / commit / name).symlink_to(f"../../blobs/{blob}")


def others(folder: Path, web: Path, address: str) -> None:
    """A list, as a script prints it."""
    data = zipped({"probe.txt": "probe"})
    write(web / "files/probe.zip", data)
    line = {"name": "acme/probe", "version": "0.3.0", "address": f"{address}/files/probe.zip", "licence": "MIT",
            "digest": f"sha512:{hashlib.sha512(data).hexdigest()}", "selector": {"os": "linux"}}  # fmt: skip
    write(folder / "list.jsonl", json.dumps(line) + "\n")


def main() -> None:
    """Write everything, and serve until killed."""
    folder = Path(sys.argv[1])
    web = folder / "web"
    web.mkdir(parents=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(web)))
    address = f"http://127.0.0.1:{server.server_address[1]}"
    arcade(folder / "arcade")
    model_hub(folder / "hub")
    marketplace(folder, web)
    helm(web)
    github(folder, web, address)
    huggingface(folder)
    others(folder, web, address)
    write(folder / "address.part", address).rename(folder / "address")
    server.serve_forever()


if __name__ == "__main__":
    main()
