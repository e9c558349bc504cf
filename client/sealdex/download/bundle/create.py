"""Makes a bundle: from each registry of a lock an archive of a mirror, put together into one file."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealdex.config.config import Config
from sealdex.download.bundle.client_wheels import Wheel, chosen
from sealdex.download.bundle.container import BUNDLE_FORMAT, BundleHead, CarriedRegistry, write_bundle
from sealdex.download.mirror.carry import export
from sealdex.download.mirror.options import Options, Watch
from sealdex.download.mirror.record import NamedImage
from sealdex.download.mirror.selection import LockedRelease, Selection
from sealdex.download.mirror.source import find_source
from sealdex.errors import InstallError
from sealdex.store.hashing import hash_of_regular
from sealdex.transport import Transport


@dataclass
class MadeBundle:
    """A bundle that was written.

    Attributes:
        path: the file.
        sha256: of it, to be told to whoever installs it over another way than the medium.
        size: in bytes.
        head: what it says of itself.
        images: container images, which aren't carried.
        warnings: what the user should know.
    """

    path: Path
    sha256: str
    size: int
    head: BundleHead
    images: list[NamedImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def make_bundle(
    config: Config,
    out: Path,
    lock: bytes,
    locked: Mapping[str, Sequence[LockedRelease]],
    watch: Watch,
    *,
    wanted: bytes | None = None,
    platforms: Sequence[str] = (),
    wheels: Sequence[Wheel] | None = None,
) -> MadeBundle:
    """Write a bundle; the same registries, lock and wheels give the same bytes.

    Args:
        config: the registries, with their roots and credentials, and the limits of downloads.
        out: the file.
        lock: the bytes of ``sealdex.lock``.
        locked: its releases by the configured name of their registry.
        watch: told of waits and progress.
        wanted: the bytes of ``sealdex.toml``, where there is one.
        platforms: ``os/arch``: only artifacts that can be for these, as `check_selection` spells them.
        wheels: the client and what it needs, to be carried along; None to carry none.

    Raises:
        UsageError: the client can't be carried, or not for these platforms.
        VerificationError, UnavailableError, NotFoundError: as `sealdex.download.mirror.create.create`.
        InstallError: the file can't be written.
    """
    client, kept = chosen(wheels, platforms) if wheels is not None else (None, [])
    work = out.with_name(f".{out.name}.bundle")
    shutil.rmtree(work, ignore_errors=True)  # what a killed run left
    registries: list[CarriedRegistry] = []
    archives: list[Path] = []
    images: list[NamedImage] = []
    warnings: list[str] = []
    try:
        work.mkdir(parents=True)
        for name, releases in sorted(locked.items()):
            source, said = find_source(config, name), config.document.download
            options = Options(
                Selection(platforms=tuple(platforms), locked=tuple(releases)), said.concurrent, said.max_plugin_size
            )
            path = work / f"{len(archives) + 1}.tar"
            with Transport(config.transport_settings, credentials=source.credentials) as transport:
                done = export(
                    source, config.root_bytes(name), transport, path, options, watch, base=None, volume_bytes=None
                )
            archives.append(path)
            images += done.result.images
            warnings += done.result.warnings
            if done.head is not None:
                registries.append(
                    CarriedRegistry(
                        name,
                        done.head.source,
                        tuple(sorted({each.plugin for each in releases})),
                        done.head.timestamp_version,
                        done.head.files,
                        done.head.bytes,
                    )
                )
        head = BundleHead(BUNDLE_FORMAT, tuple(registries), tuple(platforms), client)
        write_bundle(out, head, lock, wanted, archives, _program(kept) if client is not None else [])
    except OSError as error:
        raise InstallError(
            f"{out} can't be written: {error.strerror}",
            subject=str(out),
            untouched="what was written of it was removed",
            hint="make room, or check the permissions of the folder",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return MadeBundle(out, hash_of_regular(out) or "", out.stat().st_size, head, images, warnings)


def _program(wheels: Sequence[Wheel]) -> list[tuple[str, bytes]]:
    return [
        ("__main__.py", Path(__file__).with_name("bootstrap.py").read_bytes()),
        ("wheel_tags.py", Path(__file__).with_name("wheel_tags.py").read_bytes()),
        *((f"client/{wheel.file}", wheel.data) for wheel in wheels),
    ]


__all__ = ["MadeBundle", "make_bundle"]
