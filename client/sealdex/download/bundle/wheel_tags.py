"""Which wheels run on which host, by their file names. Pure but for `this_host`; the standard library alone.

A bundle carries this module for its own program, which has nothing else to import.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from itertools import product
from typing import NamedTuple

_NAME = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?"
    r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MACHINES = {
    "amd64": {"linux": "x86_64", "darwin": "x86_64", "windows": "amd64"},
    "arm64": {"linux": "aarch64", "darwin": "arm64", "windows": "arm64"},
    "386": {"linux": "i686", "windows": "win32"},
    "arm": {"linux": "armv7l"},
    "ppc64le": {"linux": "ppc64le"},
    "s390x": {"linux": "s390x"},
    "riscv64": {"linux": "riscv64"},
}
"""How platform tags spell what ``os/arch`` says."""


class Host(NamedTuple):
    """What decides which wheels run.

    Attributes:
        python: major and minor version.
        platform: ``os/arch``.
        abi: of modules that are compiled for this very Python, such as ``cp313`` or ``cp313t``; None: not CPython.
        glibc: its version; None where there is another C library, or none that matters.
        macos: the version of macOS.
    """

    python: tuple[int, int]
    platform: str
    abi: str | None
    glibc: tuple[int, int] | None = None
    macos: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"Python {self.python[0]}.{self.python[1]} on {self.platform}"


class WheelName(NamedTuple):
    """What the name of a wheel says."""

    project: str
    version: str
    tags: tuple[tuple[str, str, str], ...]


def parse_wheel_name(file_name: str) -> WheelName | None:
    """Read a file name; None if it isn't that of a wheel. The project's name is normalized."""
    found = _NAME.fullmatch(file_name)
    if found is None:
        return None
    tags = product(*(found[part].split(".") for part in ("python", "abi", "platform")))
    return WheelName(normalized(found["name"]), found["version"], tuple(tags))


def normalized(project: str) -> str:
    """Return a project's name as it is compared: ``Backports_Zstd`` is ``backports-zstd``."""
    return re.sub(r"[-_.]+", "-", project).lower()


def rank(wheel: WheelName, host: Host) -> tuple[int, ...] | None:
    """Return how close a wheel is to a host, the closest highest; None if it doesn't run there."""
    found = [each for tag in wheel.tags if (each := _rank(tag, host)) is not None]
    return max(found, default=None)


def newest_first(version: str) -> tuple[int, ...]:
    """Return what versions of one project are sorted by, as far as its numbers tell."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _rank(tag: tuple[str, str, str], host: Host) -> tuple[int, ...] | None:
    python, abi, where = tag
    by_abi = _abi_rank(python, abi, host)
    by_place = _platform_rank(where, host)
    return None if by_abi is None or by_place is None else (*by_abi, *by_place)


def _abi_rank(python: str, abi: str, host: Host) -> tuple[int, int] | None:
    major, minor = host.python
    own = f"cp{major}{minor}"
    if abi != "none":
        if host.abi is None or not python.startswith("cp"):
            return None
        if abi == host.abi and python == own:
            return (3, minor)
        at_least = int(python[3:]) if python[3:].isdecimal() and python[2] == str(major) else None
        if abi == "abi3" and at_least is not None and at_least <= minor and host.abi == own:
            return (2, at_least)
        return None
    if python == own and host.abi is not None:
        return (1, minor)
    return (0, 0) if python in {f"py{major}", f"py{major}{minor}"} else None


def _platform_rank(where: str, host: Host) -> tuple[int, int] | None:
    system, _, arch = host.platform.partition("/")
    if where == "any":
        return (0, 0)
    machine = _MACHINES.get(arch, {}).get(system)
    if machine is None:
        return None
    if system == "windows":
        return (1, 0) if where in {f"win_{machine}", machine} else None
    if system == "darwin":
        found = re.fullmatch(r"macosx_(\d+)_(\d+)_(.+)", where)
        if found is None or found[3] not in {machine, "universal2"}:
            return None
        needs = (int(found[1]), int(found[2]))
        return needs if host.macos is not None and needs <= host.macos else None
    if not where.endswith(f"_{machine}"):
        return None
    libc = where[: -len(machine) - 1]
    if libc.startswith("musllinux"):
        return (1, 0) if host.glibc is None else None
    if libc == "linux":
        return (1, 0)
    found = re.fullmatch(r"manylinux_(\d+)_(\d+)", libc)
    wanted = (int(found[1]), int(found[2])) if found else _LEGACY.get(libc)
    return wanted if wanted is not None and host.glibc is not None and wanted <= host.glibc else None


def platforms_of(wheel: WheelName) -> set[str]:
    """Return the platforms, as ``os/arch``, that a wheel was compiled for; none for one that runs anywhere."""
    found = set()
    for arch, systems in _MACHINES.items():
        for system, machine in systems.items():
            spelled = {"linux": "linux", "darwin": "macosx", "windows": "win"}[system]
            for _, _, where in wheel.tags:
                own = where.endswith(f"_{machine}") or where == machine
                if (spelled in where and own) or (system == "darwin" and where.endswith("universal2")):
                    found.add(f"{system}/{arch}")
    return found


def this_host() -> Host:
    """Return what runs this."""
    system = {"linux": "linux", "darwin": "darwin", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = (platform.machine() or "").lower()
    arch = next((name for name, each in _MACHINES.items() if each.get(system, "").lower() == machine), machine)
    if sys.maxsize <= 2**32:  # a 32-bit Python on a 64-bit system
        arch = {"amd64": "386", "arm64": "arm"}.get(arch, arch)
    python = (sys.version_info[0], sys.version_info[1])
    free_threaded = "t" if "t" in getattr(sys, "abiflags", "") else ""
    abi = f"cp{python[0]}{python[1]}{free_threaded}" if sys.implementation.name == "cpython" else None
    return Host(python, f"{system}/{arch}", abi, _glibc() if system == "linux" else None, _macos())


def _glibc() -> tuple[int, int] | None:
    try:
        stated = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return None
    found = re.match(r"glibc (\d+)\.(\d+)", stated)
    return (int(found[1]), int(found[2])) if found else None


def _macos() -> tuple[int, int] | None:
    if sys.platform != "darwin":
        return None
    found = re.match(r"(\d+)\.(\d+)", platform.mac_ver()[0])
    return (int(found[1]), int(found[2])) if found else None


__all__ = ["Host", "WheelName", "newest_first", "normalized", "parse_wheel_name", "platforms_of", "rank", "this_host"]
