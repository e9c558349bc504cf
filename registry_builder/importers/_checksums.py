"""``checksum.sha256``, as ``sha256sum`` writes it: of a service package's files, and of a model's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

from registry_builder.importers._packages import ZipPackage
from registry_builder.importers._reading import in_utf8
from registry_builder.importers.foreign import PackedMember, SourceError, shown
from sealdex.errors import UsageError

CHECKSUMS = "checksum.sha256"
_SUM_LINE = re.compile(r"\\?(?P<digest>[0-9a-fA-F]{64}) [ *](?P<path>.+)")
_WHOLE_SUM = re.compile(r"\s*[0-9a-fA-F]{64}\s*")


def sums_in(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield path and digest of each line, in the format of ``sha256sum``.

    Raises:
        SourceError: a line is something else, or two lines state different digests of one file.
    """
    try:
        text = in_utf8(data, CHECKSUMS, CHECKSUMS).decode()
    except UsageError as error:
        raise SourceError(error.message) from error
    stated: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            raise SourceError(f"line {number} is not a line of sha256sum: DIGEST  FILE")
        path, digest = match["path"].removeprefix("./"), match["digest"].lower()
        if stated.setdefault(path, digest) != digest:
            raise SourceError(f"line {number} states another digest of '{shown(path)}' than a line before")
        yield path, digest


def wrong_members(package: ZipPackage) -> Iterator[str]:
    """Yield what of a package isn't what its ``checksum.sha256`` says."""
    data = package.read(CHECKSUMS)
    if data is None or _WHOLE_SUM.fullmatch(data.decode("ascii", "replace")):
        return  # of the package as a whole, which no file in it can state
    try:
        sums = list(sums_in(data))
    except SourceError as error:
        yield f"{CHECKSUMS}: {error}"
        return
    for path, digest in sums:
        if not package.is_file(path):
            yield f"{CHECKSUMS}: names '{shown(path)}', which is not in the package"
            continue
        actual = hashlib.sha256()
        for piece in package.pieces(path):
            actual.update(piece)
        if actual.hexdigest() != digest:
            yield f"{path}: has other bytes than {CHECKSUMS} says: restore it"


def unlisted(members: Iterable[str], sums: bytes) -> list[str]:
    """Return the files that a ``checksum.sha256`` doesn't name, where it names any."""
    if not sums or _WHOLE_SUM.fullmatch(sums.decode("ascii", "replace")):
        return []
    named = {path for path, _ in sums_in(sums)} | {CHECKSUMS}
    return sorted(path for path in members if path not in named)


def with_sums(members: Mapping[str, PackedMember], sums: bytes) -> dict[str, PackedMember]:
    """Return the files of a model with the digests that its ``checksum.sha256`` states.

    Raises:
        SourceError: it names a file that isn't there.
    """
    if not sums or _WHOLE_SUM.fullmatch(sums.decode("ascii", "replace")):
        return dict(members)
    digests = dict(sums_in(sums))
    missing = [path for path in digests if path not in members and path != CHECKSUMS]
    if missing:
        raise SourceError("\n".join(f"{CHECKSUMS}: names '{shown(path)}', which is missing" for path in missing))
    return {
        path: PackedMember(member.origin, {"sha256": digests[path]} if path in digests else {})
        for path, member in members.items()
    }


__all__ = ["CHECKSUMS", "sums_in", "unlisted", "with_sums", "wrong_members"]
