"""What the files of a release are, by their names: archives and for whom, checksums, proofs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from registry_builder.importers._reading import by_length
from registry_builder.importers.foreign import SourceError
from sealdex.model.platforms import usual_spelling

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.zst", ".tzst")
_SUM_ENDING = re.compile(r"\.(?P<algorithm>sha256|sha512|sha384|sha1|md5)(?:sums?)?(?:\.txt)?$", re.IGNORECASE)
_SUM_LIST = re.compile(
    r"(?:^|[._-])(?:(?P<algorithm>sha256|sha512|sha1|md5)[_-]?sums?|checksums?)(?:\.txt)?$", re.IGNORECASE
)
_SUM_LINE = re.compile(r"\\?(?P<digest>[0-9a-fA-F]{32,128})(?:[ \t]+[*]?(?P<name>.+?))?\s*")
_BSD_LINE = re.compile(r"(?P<algorithm>[A-Z0-9-]+) \((?P<name>.+)\) = (?P<digest>[0-9a-fA-F]{32,128})\s*")
_PROOFS = {
    ".sigstore.json": None, ".sigstore": None, ".bundle": None, ".cdx.json": None, ".cyclonedx.json": None,
    ".spdx.json": None, ".sbom.json": None, ".sbom": "sbom", ".bom.json": None, ".intoto.jsonl": "intoto-jsonl",
    ".att": "attestation", ".sig": "signature", ".asc": "signature", ".minisig": "signature", ".pem": "certificate",
    ".crt": "certificate",
}  # fmt: skip
_OS = re.compile(
    r"(?:^|[^a-z0-9])(?P<os>linux|darwin|macos|macosx|osx|mac|apple-darwin|windows|win32|win64|win|freebsd|netbsd|openbsd|"
    r"android)(?![a-z])"
)
_ARCH = re.compile(
    r"(?:^|[^a-z0-9])(?P<arch>x86[_-]64|amd64|x64|aarch64|arm64|armv[567][a-z]{0,3}|armhf|arm|i[3-6]86|386|x86|riscv64|"
    r"s390x|ppc64le|ppc64|loong64|loongarch64)(?![a-z0-9])"
)


def is_sums(name: str, assets: Mapping[str, object]) -> bool:
    """Return whether a file has the checksums of others."""
    match = _SUM_ENDING.search(name)
    return (match is not None and name[: match.start()] in assets) or _SUM_LIST.search(name) is not None


def checksums(name: str, data: bytes, assets: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield file, algorithm and digest of a checksum file; only for files whose name is exactly that of an asset.

    A file ``X.sha256`` with a digest alone is that of ``X``.
    """
    ending = _SUM_ENDING.search(name)
    own = name[: ending.start()] if ending is not None else None
    for line in data.decode().splitlines():
        match = _SUM_LINE.fullmatch(line) or _BSD_LINE.fullmatch(line)
        if match is None:
            continue
        target = match["name"].removeprefix("./") if match["name"] else own
        if target in assets:
            try:
                algorithm, digest = by_length(match["digest"])
            except SourceError:
                continue
            yield str(target), algorithm, digest


def proof_kind(name: str) -> str | bool | None:
    """Return the kind of a file that proves or describes others; None if its content tells; False for other files."""
    lower = name.lower()
    for ending in sorted(_PROOFS, key=len, reverse=True):
        if lower.endswith(ending):
            return _PROOFS[ending]
    return False


def platform_in(name: str) -> dict[str, str]:
    """Return ``os`` and ``arch`` that the name of a file states, as hosts report them.

    >>> platform_in("tool_1.2.0_Darwin_x86_64.tar.gz"), platform_in("tool-linux-musl-aarch64.zip"), platform_in("a.zip")
    ({'os': 'darwin', 'arch': 'amd64'}, {'os': 'linux', 'arch': 'arm64'}, {})
    """
    lower, labels = name.lower(), dict[str, str]()
    if (system := _OS.search(lower)) is not None:
        found = "darwin" if system["os"] == "apple-darwin" else usual_spelling("os", system["os"])
        if found:
            labels["os"] = found
    if (arch := _ARCH.search(lower)) is not None and (found := usual_spelling("arch", arch["arch"].replace("-", "_"))):
        labels["arch"] = found
    return labels


def selectors_of(names: list[str]) -> dict[str, dict[str, str]]:
    """Return what each file is for; the C library only where there is a file for each."""
    labels = {name: platform_in(name) for name in names}
    for name in names:
        twins = [other for other in names if other != name and labels[other] == labels[name]]
        if twins and "musl" in name.lower() and not any("musl" in other.lower() for other in twins):
            labels[name] = {**labels[name], "libc": "musl"}
            for other in twins:
                labels[other] = {**labels[other], "libc": "glibc"}
    return labels


__all__ = ["ARCHIVES", "checksums", "is_sums", "platform_in", "proof_kind", "selectors_of"]
