"""Detects labels of this host besides `os` and `arch`: C library, CPUs, memory, GPUs, CUDA.

    libc           glibc or musl; Linux only            libc-version   2.36
    cpus           that this process may use            memory         MiB, what a container is limited to included
    gpu            nvidia or amd                        gpu-count
    gpu-model      NVIDIA-A100-SXM4-80GB                gpu-memory     MiB of the GPU that has least
    cuda           version that the driver supports: 12.4

Files are read first; ``nvidia-smi`` is called only if the kernel has its driver, and only once per process, since it
takes a second. What can't be detected is left out: ``[environment]`` of the configuration adds and overrides labels.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from sealdex.lazy import regex
from sealdex.model.environment import Environment
from sealdex.model.environment import detect_environment as detect_platform

SMI_TIMEOUT_S = 10
_MAX_BYTES = 1 << 20
_MIB = 1 << 20
_AMD = "0x1002"
_NO_LIMIT = 1 << 50  # cgroup v1 writes a number near 2^63 for no limit
_NOT_A_LABEL = regex(r"[^A-Za-z0-9._+-]+")
_VERSION = regex(r"(\d+\.\d+)")
_SMI_CUDA = regex(r"<cuda_version>\s*(\d+\.\d+)")
_SMI_GPU = regex(r"<gpu\b.*?</gpu>", re.DOTALL)
_SMI_NAME = regex(r"<product_name>([^<]*)")
_SMI_MEMORY = regex(r"<fb_memory_usage>.*?<total>\s*(\d+)\s*MiB", re.DOTALL)


def detect_environment() -> Environment:
    """Return the detected environment: `os`, `arch` and the labels of this module."""
    machine = os.uname().machine if hasattr(os, "uname") else None
    return detect_platform(machine).with_additions(dict(_here()))


@lru_cache(maxsize=1)
def _here() -> Mapping[str, str]:
    return host_facts()


def host_facts(root: Path = Path("/"), *, smi: str = "nvidia-smi") -> dict[str, str]:
    """Detect the labels of a host.

    Args:
        root: where its ``/proc``, ``/sys`` and ``/lib`` are.
        smi: the program that comes with NVIDIA's driver.
    """
    facts: dict[str, str] = {}
    facts |= _libc(root)
    facts["cpus"] = str(_cpus())
    if memory := _memory(root):
        facts["memory"] = str(memory // _MIB)
    facts |= _nvidia(root, smi) or _amd(root)
    return facts


# --- C library -------------------------------------------------------------------------------------------------------


def _libc(root: Path) -> dict[str, str]:
    """Return the C library of this Python, which is that of the userland."""
    if sys.platform != "linux":
        return {}
    if root == Path("/"):
        with suppress(ValueError, OSError, AttributeError):
            said = os.confstr("CS_GNU_LIBC_VERSION") or ""  # such as "glibc 2.36"; musl has no such value
            if said.startswith("glibc ") and (version := _VERSION.search(said)):
                return {"libc": "glibc", "libc-version": version[1]}
    loaders = sorted((root / "lib").glob("ld-musl-*.so.1"))
    if not loaders:
        return {}
    written = re.search(rb"(?<![0-9.])(1\.[0-9]+)\.[0-9]+\x00", _bytes(loaders[0]))
    return {"libc": "musl", **({"libc-version": written[1].decode()} if written else {})}


# --- CPUs and memory -------------------------------------------------------------------------------------------------


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory(root: Path) -> int | None:
    """Return bytes of memory: the machine's, or the limit of the control group this runs in."""
    found = re.search(r"^MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    total = int(found[1]) * 1024 if found else _physical() if root == Path("/") else None
    limits = [limit for limit in _memory_limits(root) if limit < _NO_LIMIT]
    return min([*limits, *([total] if total else [])], default=None)


def _physical() -> int | None:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _memory_limits(root: Path) -> Iterator[int]:
    """Yield the limits of this process's control group and those above it, in both versions of control groups."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        base, name = root / "sys/fs/cgroup", "memory.max"
        if controllers:
            if "memory" not in controllers.split(","):
                continue
            base, name = base / "memory", "memory.limit_in_bytes"
        parts = [part for part in group.split("/") if part not in {"", ".."}]
        for depth in range(len(parts) + 1):
            text = _text(base.joinpath(*parts[:depth], name)).strip()
            if text.isdecimal():
                yield int(text)


# --- GPUs ------------------------------------------------------------------------------------------------------------


def _nvidia(root: Path, smi: str) -> dict[str, str]:
    driver = _text(root / "proc/driver/nvidia/version")
    # WSL has its host's device but no driver of its own
    if not driver and not (root / "dev/dxg").exists():
        return {}
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    models = [found[1] for card in cards if (found := re.search(r"^Model:\s*(.+)$", _text(card), re.MULTILINE))]
    told = _asked(smi)
    gpus = _SMI_GPU.findall(told)
    models = [found[1] for gpu in gpus if (found := _SMI_NAME.search(gpu))] or models
    count = len(gpus) or len(cards)
    if not count:
        return {}
    memory = [int(found[1]) for gpu in gpus if (found := _SMI_MEMORY.search(gpu))]
    cuda = _SMI_CUDA.search(told)
    return {
        **_gpu("nvidia", count, models, min(memory, default=None)),
        **({"cuda": cuda[1]} if cuda else {}),
    }


def _asked(smi: str) -> str:
    """Return the XML output of ``nvidia-smi``; empty if it is missing, fails or hangs."""
    import subprocess  # noqa: PLC0415  # few hosts have such a GPU, and a client imports little

    try:
        done = subprocess.run(
            [smi, "-q", "-x"], capture_output=True, check=True, timeout=SMI_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:_MAX_BYTES].decode("utf-8", "replace")


def _amd(root: Path) -> dict[str, str]:
    memory = []
    for vendor in sorted((root / "sys/class/drm").glob("card[0-9]*/device/vendor")):
        size = _text(vendor.with_name("mem_info_vram_total")).strip()
        if vendor.parent.parent.name.removeprefix("card").isdecimal() and _text(vendor).strip() == _AMD:
            memory.append(int(size) // _MIB if size.isdecimal() else 0)
    if not memory:
        return {}
    return _gpu("amd", len(memory), [], min(memory) or None)


def _gpu(vendor: str, count: int, models: list[str], memory: int | None) -> dict[str, str]:
    model = _NOT_A_LABEL.sub("-", models[0].strip()).strip("._+-")[:128] if models else ""
    return {
        "gpu": vendor,
        "gpu-count": str(count),
        **({"gpu-model": model} if model else {}),
        **({"gpu-memory": str(memory)} if memory else {}),
    }


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError:
        return b""


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")


__all__ = ["detect_environment", "host_facts"]
