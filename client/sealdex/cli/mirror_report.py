"""What the commands about mirrors show: progress, what a run did, what didn't come along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sealdex.download.mirror.options import MirrorResult, Watch
from sealdex.download.mirror.sigstore_root import digest_of

if TYPE_CHECKING:
    from sealdex.cli.progress import Progress
    from sealdex.cli.session import Context
    from sealdex.download.mirror.bucket import Bucket
    from sealdex.download.mirror.record import NamedImage
    from sealdex.download.mirror.source import Source
    from sealdex.errors import SealdexError
    from sealdex.trust import TrustState


def watch_of(context: Context, progress: Progress, source: Source | None = None) -> Watch:
    """Return a watch that shows progress and waits, and which addresses of the source are left."""
    done, whole = [0], [0]

    def totals(_files: int, size: int) -> None:
        whole[0] = size

    def moved(count: int) -> None:
        done[0] += count
        progress.update(done[0], whole[0] or None)

    def left(url: str, error: SealdexError) -> None:
        context.out.leave(source.name if source is not None else "", url, error)

    return Watch(waiting=context.out.note, totals=totals, moved=moved, left=left)


def warn_of_age(context: Context, state: TrustState) -> None:
    """Say how old what is trusted is, where it has expired."""
    if (note := state.age_note) is not None:
        context.out.warn(note)
        context.out.ages.append(state.age_report())


def told(result: MirrorResult, source: Source, dest: Path | Bucket, *, dry_run: bool) -> dict[str, Any]:
    """Return what a run did, for programs."""
    return {
        "mirror": str(dest),
        "source": source.url,
        "dry_run": dry_run,
        "changed": result.changed,
        "files": result.files,
        "bytes": result.bytes,
        "total_files": result.total_files,
        "total_bytes": result.total_bytes,
        "plugins": result.plugins,
        "releases": result.releases,
        "timestamp_version": result.state.timestamp_version,
        "root_version": result.state.root_version,
        "images": [{**msgspec.to_builtins(image), "command": copying(image)} for image in result.images],
        "warnings": result.warnings,
        "sigstore_root": result.record.sigstore_root or None if result.record is not None else None,
    }


def note_images(context: Context, result: MirrorResult) -> None:
    """Say which container images aren't copied, and how each is: all of it, under the digest that is signed."""
    for image in result.images:
        context.out.note(f"not copied: the container image of {image.plugin} {image.version}: {copying(image)}")


def note_sigstore_root(context: Context, result: MirrorResult, place: Path | Bucket) -> None:
    """Say that Sigstore's trust root came along, and what a person has to do before it counts."""
    if result.record is not None and result.changed and (digest := digest_of(result.record.sigstore_root)):
        context.out.note(
            f"Sigstore's trust root came along as {place}/{result.record.sigstore_root}; nothing uses it until "
            f"trusted_root of [attestations] in config.toml names it: compare its SHA-256 first: {digest}"
        )


def copying(image: NamedImage) -> str:
    name = f"{image.plugin.replace('/', '-')}-{image.version}.oci.tar"
    return f"skopeo copy --all --preserve-digests docker://{image.reference} oci-archive:{name}"


__all__ = ["note_images", "note_sigstore_root", "told", "warn_of_age", "watch_of"]
