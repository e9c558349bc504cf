"""What a host says of itself: C library, memory with a container's limit, GPUs and CUDA; each can be overridden.

NVIDIA's driver and program stand in as files and a script; nothing here has such a GPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealdex.config import host_facts as facts_module
from sealdex.config.config import load_config
from sealdex.config.host_facts import detect_environment, host_facts
from sealdex.model.environment import userland
from sealdex.model.index import ArtifactEntry, FilePin, ReleaseEntry, choose_artifact
from sealdex.model.platforms import HOST_LABELS

SMI = """\
<?xml version="1.0" ?>
<nvidia_smi_log>
  <driver_version>550.54.15</driver_version>
  <cuda_version>12.4</cuda_version>
  <gpu id="00000000:01:00.0">
    <product_name>NVIDIA A100-SXM4-80GB</product_name>
    <fb_memory_usage><total>81920 MiB</total><used>3 MiB</used></fb_memory_usage>
  </gpu>
  <gpu id="00000000:02:00.0">
    <product_name>NVIDIA A100-SXM4-40GB</product_name>
    <fb_memory_usage><total>40960 MiB</total></fb_memory_usage>
  </gpu>
</nvidia_smi_log>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a host that has nothing."""
    return tmp_path / "root"


def put(root: Path, path: str, text: str | bytes) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text if isinstance(text, bytes) else text.encode())


def smi(tmp_path: Path, script: str) -> str:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_a_host_that_tells_nothing_has_few_labels(root: Path) -> None:
    assert set(host_facts(root, smi="/nowhere")) == {"cpus"}


# --- C library, CPUs, architecture -----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_musl_is_told_by_its_loader(root: Path) -> None:
    put(root, "lib/ld-musl-aarch64.so.1", b"\x7fELF\x00 11.2.3.4\x00 libc\x001.2.4\x00musl")
    found = host_facts(root)
    assert (found["libc"], found["libc-version"]) == ("musl", "1.2")


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_this_host_has_the_c_library_that_its_programs_say() -> None:
    said = subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=False)
    text = said.stdout + said.stderr
    assert detect_environment().labels["libc"] == ("musl" if "musl" in text else "glibc")
    if "musl" not in text:
        assert detect_environment().labels["libc-version"] in text


@pytest.mark.parametrize(
    ("os_name", "kernel", "pointer", "arch"),
    [
        ("linux", "amd64", 4, "386"),
        ("linux", "arm64", 4, "arm"),
        ("linux", "amd64", 8, "amd64"),
        ("linux", "arm", 4, "arm"),
        ("windows", "amd64", 4, "amd64"),
        ("darwin", "arm64", 8, "arm64"),
    ],
)
def test_the_architecture_is_that_of_the_userland(os_name: str, kernel: str, pointer: int, arch: str) -> None:
    assert userland(os_name, kernel, pointer) == arch


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the kernel's affinity")
def test_cpus_are_those_that_may_be_used() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from sealdex.config.host_facts import host_facts; print(host_facts()['cpus'])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"


# --- memory ----------------------------------------------------------------------------------------------------------


def test_memory_is_the_machines_in_mib(root: Path) -> None:
    put(root, "proc/meminfo", "MemFree: 1 kB\nMemTotal:       16384000 kB\nSwapTotal: 9 kB\n")
    assert host_facts(root)["memory"] == "16000"


@pytest.mark.parametrize(
    ("cgroup", "files", "memory"),
    [
        ("0::/\n", {"memory.max": "536870912\n"}, "512"),
        ("0::/a/b\n", {"a/memory.max": "536870912\n", "a/b/memory.max": "max\n"}, "512"),  # a limit above counts
        ("0::/\n", {"memory.max": "max\n"}, "16000"),
        ("0::/../../x\n", {"memory.max": "536870912\n"}, "512"),
        ("5:cpu,memory:/d\n0::/\n", {"memory/d/memory.limit_in_bytes": "1073741824\n"}, "1024"),
        ("5:memory:/d\n", {"memory/d/memory.limit_in_bytes": "9223372036854771712\n"}, "16000"),  # none
        ("", {}, "16000"),
        ("nonsense\n::::\n", {"memory.max": "-5 \ud83d".encode("utf-8", "replace").decode()}, "16000"),
    ],
)
def test_a_containers_limit_is_its_memory(root: Path, cgroup: str, files: dict[str, str], memory: str) -> None:
    put(root, "proc/meminfo", "MemTotal: 16384000 kB\n")
    put(root, "proc/self/cgroup", cgroup)
    for name, text in files.items():
        put(root, f"sys/fs/cgroup/{name}", text)
    assert host_facts(root)["memory"] == memory


# --- GPUs ------------------------------------------------------------------------------------------------------------


def with_driver(root: Path) -> None:
    put(root, "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15\n")
    for number in (1, 2):
        text = "Model: \t\t NVIDIA A100-SXM4-80GB\nIRQ:   26\n"
        put(root, f"proc/driver/nvidia/gpus/0000:0{number}:00.0/information", text)


def test_nvidias_program_tells_the_rest(root: Path, tmp_path: Path) -> None:
    with_driver(root)
    found = host_facts(root, smi=smi(tmp_path, f"cat <<'E'\n{SMI}E"))
    gpu = {key: value for key, value in found.items() if key.startswith(("gpu", "cuda"))}
    assert gpu == {
        "gpu": "nvidia", "gpu-count": "2", "gpu-model": "NVIDIA-A100-SXM4-80GB", "gpu-memory": "40960", "cuda": "12.4",
    }  # fmt: skip


def test_it_is_not_asked_where_there_is_no_driver(root: Path, tmp_path: Path) -> None:
    program = smi(tmp_path, f"touch {tmp_path}/asked")
    assert "gpu" not in host_facts(root, smi=program)
    assert not (tmp_path / "asked").exists()
    put(root, "dev/dxg", "")  # as under WSL, whose device is the host's
    host_facts(root, smi=program)
    assert (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    "script", ["exit 9", "sleep 60", "echo '<gpu><gpu><cuda_version>x'", "head -c 3000000 /dev/zero"]
)
def test_a_program_that_fails_leaves_what_the_kernel_says(
    root: Path, tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts_module, "SMI_TIMEOUT_S", 0.5 if "sleep" in script else 30)
    with_driver(root)
    found = host_facts(root, smi=smi(tmp_path, script))
    assert {key: found.get(key) for key in ("gpu", "gpu-count", "gpu-model", "gpu-memory", "cuda")} == {
        "gpu": "nvidia", "gpu-count": "2", "gpu-model": "NVIDIA-A100-SXM4-80GB", "gpu-memory": None, "cuda": None,
    }  # fmt: skip


def test_amds_gpus_are_in_sysfs(root: Path) -> None:
    for card, vendor, size in (
        ("card0", "0x1002", "17163091968"),
        ("card1", "0x1002", "8589934592"),
        ("card2", "0x8086", ""),
    ):
        put(root, f"sys/class/drm/{card}/device/vendor", f"{vendor}\n")
        if size:
            put(root, f"sys/class/drm/{card}/device/mem_info_vram_total", f"{size}\n")
    put(root, "sys/class/drm/card0-HDMI-A-1/device/vendor", "0x1002\n")
    found = host_facts(root)
    assert (found["gpu"], found["gpu-count"], found["gpu-memory"]) == ("amd", "2", "8192")


# --- what it is for --------------------------------------------------------------------------------------------------


def test_facts_decide_between_artifacts_and_configuration_overrides_them(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "lib/ld-musl-x86_64.so.1", b"\x001.2.5\x00")
    put(root, "proc/meminfo", "MemTotal: 16384000 kB\n")
    with_driver(root)
    made = host_facts(root, smi=smi(tmp_path, f"cat <<'E'\n{SMI}E"))
    monkeypatch.setattr(facts_module, "_here", lambda: made)

    def artifact(name: str, key: str, operator: str, value: str) -> ArtifactEntry:
        selector = {"match_expressions": [{"key": key, "operator": operator, "values": [value]}]}
        return ArtifactEntry(name, "0" * 64, "zip", 1, selector=selector)

    artifacts = (
        artifact("big.zip", "gpu-memory", "Gt", "80000"),
        artifact("cuda12.zip", "cuda", "Gt", "11.9"),
        artifact("musl.zip", "libc", "In", "musl"),
    )
    release = ReleaseEntry("1.0.0", FilePin(1, "0" * 64), artifacts=artifacts)
    config = tmp_path / "config.toml"

    def chosen(text: str) -> str | None:
        config.write_text(text)
        found, _ = choose_artifact(release, load_config(config).environment)
        return found.file if found is not None else None

    if sys.platform == "linux":
        assert chosen("") == "cuda12.zip"
        assert chosen('[environment]\nlabels = { cuda = "11.8" }\n') == "musl.zip"
    assert chosen('[environment]\nlabels = { "gpu-memory" = "81920" }\n') == "big.zip"


def test_sealdex_env_shows_them(tmp_path: Path) -> None:
    env = {**os.environ, "SEALDEX_CONFIG": str(tmp_path / "c.toml"), "SEALDEX_STORE": str(tmp_path / "s")}
    done = subprocess.run(
        [sys.executable, "-m", "sealdex", "env", "--json"], env=env, capture_output=True, text=True, check=True
    )
    labels = json.loads(done.stdout)["labels"]
    assert int(labels["cpus"]) > 0
    assert int(labels["memory"]) > 0
    assert {*labels} <= HOST_LABELS
