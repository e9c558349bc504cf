"""What the generated workflows install: dependencies by version and digest, then Sealdex at one version.

    .github/sealdex/dependencies.txt   what both distributions need, by version and SHA-256; pip refuses anything else
    .github/sealdex/sealdex.txt        the two distributions; their digests once they are known, since no wheel can
                                       contain its own

Neither file names a package index: the runner's configuration does.
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
    """The version of both distributions, and the SHA-256 of each wheel, if known."""

    version: str
    digests: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the requirements file for both distributions, to be installed with ``--no-deps``."""
        lines = [f"# The two distributions of Sealdex, installed beside {Path(DEPENDENCIES).name} by the workflows."]
        if self.digests:
            lines.append("# To change the version: sealdex-builder upgrade --github --wheel FILE --wheel FILE")
        else:
            lines.append("# Their digests are added by: sealdex-builder upgrade --github --wheel FILE --wheel FILE")
        for name in DISTRIBUTIONS:
            digest = self.digests.get(name)
            lines.append(f"{name}=={self.version}" + (f" \\\n    {_HASH}{digest}" if digest is not None else ""))
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, text: str) -> Programs | None:
        """Return the contents of such a file, or None if it isn't one."""
        found = {match[1]: match for match in _PROGRAM.finditer(text)}
        versions = {match[2] for match in found.values()}
        if set(found) != set(DISTRIBUTIONS) or len(versions) != 1:
            return None
        digests = {name: match[3].rpartition(_HASH)[2].strip() for name, match in found.items() if _HASH in match[3]}
        return cls(versions.pop(), digests)


def dependencies_text(*, sigstore: bool) -> str:
    """Return the requirements file with all dependencies of both distributions, by version and digest.

    Args:
        sigstore: include the dependencies of the extra ``sigstore``.
    """
    # beside the package in a checkout, inside it when installed
    here = Path(__file__).resolve().parents[1]
    name = "builder-sigstore.txt" if sigstore else "builder.txt"
    path = next(f for f in (here / "pins" / name, here.parent / "pins" / name) if f.is_file())
    pins = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    return (
        "# Dependencies of Sealdex, by version and digest; pip installs nothing else. Written by sealdex-builder.\n"
        "# To change the version: sealdex-builder upgrade --github\n" + "\n".join(pins) + "\n"
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
                f"is version {stated}, but this is sealdex-builder {version}",
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
            hint="give both, --wheel FILE twice: once one digest is given, pip requires all",
        )
    return found


def _name_and_version(path: Path) -> tuple[str, str]:
    """Return what a wheel says about itself; pip goes by its file name, so the two must agree."""
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
            f"contains {name} {version}, but its file name says otherwise",
            subject=str(path),
            hint="restore the file name that it was built with",
        )
    return name, version


__all__ = ["DEPENDENCIES", "DISTRIBUTIONS", "PROGRAMS", "Programs", "dependencies_text", "digests_of_wheels"]
