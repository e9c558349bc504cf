"""What the generated workflows install: other people's packages by version and digest, then ours at one version.

    .github/sealdex/dependencies.txt   what both distributions need, each by version and SHA-256; pip refuses any other
    .github/sealdex/sealdex.txt        the two distributions; their digests once somebody has them, since no wheel can
                                       hold its own

Neither file holds the address of an index: that is the affair of the runner.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from pathlib import Path

from sealdex.errors import ConfigError, UsageError

DEPENDENCIES = ".github/sealdex/dependencies.txt"
PROGRAMS = ".github/sealdex/sealdex.txt"
DISTRIBUTIONS = ("sealdex", "sealdex-builder")

_HASH = "--hash=sha256:"
_PROGRAM = re.compile(rf"({'|'.join(DISTRIBUTIONS)})==(\S+)((?:\s+\\?\s*{_HASH}[0-9a-f]{{64}})*)")
_MAX_METADATA_BYTES = 1 << 20


@dataclass(frozen=True)
class Programs:
    """The version of both distributions, and the SHA-256 of each one's wheel, where they are known."""

    version: str
    digests: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the requirements file that installs them, with ``--no-deps``."""
        lines = [f"# The two distributions of Sealdex, installed beside {Path(DEPENDENCIES).name} by the workflows."]
        if self.digests:
            lines.append("# Another version: sealdex-builder upgrade --github --wheel FILE --wheel FILE")
        else:
            lines.append("# Their digests are added by: sealdex-builder upgrade --github --wheel FILE --wheel FILE")
        for name in DISTRIBUTIONS:
            digest = self.digests.get(name)
            lines.append(f"{name}=={self.version}" + (f" \\\n    {_HASH}{digest}" if digest is not None else ""))
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, text: str) -> Programs | None:
        """Return what such a file says, or None where it isn't one."""
        found = {match[1]: match for match in _PROGRAM.finditer(text)}
        versions = {match[2] for match in found.values()}
        if set(found) != set(DISTRIBUTIONS) or len(versions) != 1:
            return None
        digests = {name: match[3].rpartition(_HASH)[2].strip() for name, match in found.items() if _HASH in match[3]}
        return cls(versions.pop(), digests)


def dependencies_text(*, sigstore: bool) -> str:
    """Return the requirements file of all that both distributions need, every package by version and digest.

    Args:
        sigstore: with what the extra of that name needs.
    """
    # beside the package in a checkout, inside it when installed
    here = Path(__file__).resolve().parents[1]
    name = "builder-sigstore.txt" if sigstore else "builder.txt"
    path = next(f for f in (here / "pins" / name, here.parent / "pins" / name) if f.is_file())
    pins = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    return (
        "# What Sealdex needs, by version and digest; pip takes nothing else. Written by sealdex-builder.\n"
        "# The versions of another release: sealdex-builder upgrade --github\n" + "\n".join(pins) + "\n"
    )


def digests_of_wheels(wheels: Sequence[Path], *, version: str) -> dict[str, str]:
    """Return the SHA-256 of the wheel of each distribution.

    Args:
        wheels: one file for each of `DISTRIBUTIONS`.
        version: that they must have.

    Raises:
        ConfigError: a file can't be read, or isn't a wheel of that version.
        UsageError: one is missing, or given twice.
    """
    found: dict[str, str] = {}
    for path in wheels:
        name, stated = _name_and_version(path)
        if name not in DISTRIBUTIONS:
            raise ConfigError(
                f"is a wheel of {name!r}", subject=str(path), hint=f"give the wheels of {' and '.join(DISTRIBUTIONS)}"
            )
        if stated != version:
            raise ConfigError(
                f"is version {stated}, and this is sealdex-builder {version}",
                subject=str(path),
                hint=f"give the wheels of {version}, or run the sealdex-builder of {stated}",
            )
        if name in found:
            raise UsageError(f"two wheels of {name} were given", hint="give one of each distribution")
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    missing = [name for name in DISTRIBUTIONS if name not in found]
    if missing:
        raise UsageError(
            f"the wheel of {' and '.join(missing)} is missing",
            hint="give both, --wheel FILE twice: with one digest pip wants all",
        )
    return found


def _name_and_version(path: Path) -> tuple[str, str]:
    """Return what a wheel says of itself; pip goes by the name of the file, so they must agree."""
    try:
        with zipfile.ZipFile(path) as wheel:
            (inside,) = [each for each in wheel.infolist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each.filename)]
            with wheel.open(inside) as file:
                metadata = BytesHeaderParser().parsebytes(file.read(_MAX_METADATA_BYTES))
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror or error}", subject=str(path)) from error
    except (ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError("is not a wheel", subject=str(path), hint="give a .whl file") from error
    name = re.sub(r"[-_.]+", "-", str(metadata["Name"])).lower()
    version = str(metadata["Version"])
    if not path.name.lower().startswith(f"{name.replace('-', '_')}-{version}-") or path.suffix != ".whl":
        raise ConfigError(
            f"holds {name} {version}, and its name says something else",
            subject=str(path),
            hint="give the wheel under the name that it was built with",
        )
    return name, version


__all__ = ["DEPENDENCIES", "DISTRIBUTIONS", "PROGRAMS", "Programs", "dependencies_text", "digests_of_wheels"]
