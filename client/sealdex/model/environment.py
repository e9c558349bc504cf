"""The environment of a host: its labels, compatibility tags and host version; detection reads this process only."""

from __future__ import annotations

import struct
import sys

from msgspec import Struct

# Values of platform.machine(), and the names of container and Go tooling (and so of most plugin metadata).
_ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "i386": "386",
    "i686": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


class Environment(Struct, frozen=True, omit_defaults=True):
    """The labels and tags of a host.

    Attributes:
        labels: label key to value; ``os``, ``arch`` and what `sealdex.config.host_facts` finds are detected,
            configuration adds the rest and overrides.
        tags: compatibility tags the host offers, such as ``cuda-11.8``.
        host_version: version of the host program that plugins load into; None when it doesn't say.
    """

    labels: dict[str, str] = {}
    tags: frozenset[str] = frozenset()
    host_version: str | None = None

    def with_additions(
        self, labels: dict[str, str], tags: frozenset[str] = frozenset(), host_version: str | None = None
    ) -> Environment:
        """Return a copy with labels overridden, tags added and the host version replaced when given."""
        return Environment(
            labels={**self.labels, **labels},
            tags=self.tags | tags,
            host_version=host_version or self.host_version,
        )


def detect_environment(machine: str | None = None) -> Environment:
    """Read ``os`` and ``arch`` of the running host, as Go and OCI spell them; see `sealdex.config.host_facts`.

    Args:
        machine: the kernel's name of the processor, where the caller knows it.
    """
    if machine is None:
        import platform  # noqa: PLC0415  # 2 ms for one word

        machine = platform.machine()
    os_name = {"linux": "linux", "darwin": "darwin", "win32": "windows", "cygwin": "windows"}.get(
        sys.platform, sys.platform
    )
    arch = machine.lower()
    return Environment(labels={"os": os_name, "arch": userland(os_name, _ARCHITECTURES.get(arch, arch))})


def userland(os_name: str, arch: str, pointer_bytes: int = struct.calcsize("P")) -> str:
    """Return what programs run here: on Linux a kernel of 64 bits may have a userland of 32, as on a Raspberry Pi.

    A Python of 32 bits says nothing on Windows, where one is as usual as one of 64.
    """
    if os_name == "linux" and pointer_bytes == 4:
        return {"amd64": "386", "arm64": "arm"}.get(arch, arch)
    return arch
