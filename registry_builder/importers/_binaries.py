"""Which hosts a shared library or program is for, by the header of its file: ELF, Mach-O, PE. Pure."""

from __future__ import annotations

HEAD_BYTES = 4096
"""As much of a file as `platform_of` looks at."""

# e_machine: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html, and the registry of the gABI
_ELF = {0x3E: "amd64", 0xB7: "arm64", 0x28: "arm", 0x03: "386", 0xF3: "riscv64", 0x16: "s390x", 0x102: "loong64"}
_ELF_PPC64 = 0x15
_ELF_OS = {0: "linux", 3: "linux", 9: "freebsd", 2: "netbsd", 12: "openbsd"}
_MACH = {0x01000007: "amd64", 0x0100000C: "arm64"}
_PE = {0x8664: "amd64", 0xAA64: "arm64", 0x14C: "386"}


def platform_of(head: bytes) -> dict[str, str] | None:
    """Return ``os`` and ``arch`` of a binary as hosts report them; None for what isn't one.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it.
    """
    if head[:4] == b"\x7fELF" and len(head) >= 20:
        return _elf(head)
    if head[:4] == b"\xcf\xfa\xed\xfe" and len(head) >= 8:
        arch = _MACH.get(int.from_bytes(head[4:8], "little"))
        return {"os": "darwin", "arch": arch} if arch else None
    if head[:2] == b"MZ" and len(head) >= 0x40:
        at = int.from_bytes(head[0x3C:0x40], "little")
        arch = _PE.get(int.from_bytes(head[at + 4 : at + 6], "little")) if head[at : at + 4] == b"PE\0\0" else None
        return {"os": "windows", "arch": arch} if arch else None
    return None


def _elf(head: bytes) -> dict[str, str] | None:
    order = {1: "little", 2: "big"}.get(head[5])
    if order is None:
        return None
    machine = int.from_bytes(head[18:20], "little" if order == "little" else "big")
    arch = ("ppc64le" if order == "little" else "ppc64") if machine == _ELF_PPC64 else _ELF.get(machine)
    system = _ELF_OS.get(head[7])
    return {"os": system, "arch": arch} if system and arch else None


__all__ = ["HEAD_BYTES", "platform_of"]
