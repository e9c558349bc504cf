"""``cache list``, ``cache gc``, ``cache verify``: what was downloaded and kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, get_args

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import LazyGroup, examples
from sealdex.cli.number_option import Finite
from sealdex.cli.progress import in_bytes
from sealdex.cli.size_option import Size
from sealdex.config.config import Config
from sealdex.errors import VerificationError
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import RemovalReason, Removed, cached_files, partial_files, tidy, verify_files
from sealdex.store.cache_policy import CacheLimits, EvictionOrder
from sealdex.store.layout import Store
from sealdex.text import counted

_SHOWN_DIGITS = 16
_WORDS: dict[RemovalReason, str] = {
    "too-old": "not used for too long",
    "over-size": "over the size limit",
    "stale-part": "an abandoned partial download",
    "leftover": "left behind",
    "damaged": "damaged",
}


@click.group("cache", cls=LazyGroup)
def cache() -> None:
    """List, clean up and verify the download cache.

    Its limits are set in config.toml, [cache]: max_bytes, max_age_days, eviction (lru, lfu or fifo). Installs keep the
    cache within them.
    """


@cache.command("list", epilog=examples("sealdex cache list", "sealdex cache list --json"))
@client_command
def list_(context: Context) -> None:
    """List the files in the cache, most recently used first."""
    out = context.out
    config = context.config()
    found, parts = cached_files(_cache(config)), partial_files(_cache(config))
    total = sum(file.size for file in found)
    out.result({
        "folder": _cache(config).root,
        "bytes": total,
        "max_bytes": config.cache_limits.max_bytes,
        "files": [
            {"sha256": f.digest, "size": f.size, "added": _utc(f.added), "used": _utc(f.used), "uses": f.uses}
            for f in found
        ],
        "partial": [{"sha256": digest, "size": size, "written": _utc(at)} for digest, size, at in parts],
    })  # fmt: skip
    rows = [[_short(f.digest), in_bytes(f.size), str(f.uses), _utc(f.used)] for f in found]
    rows += [[_short(digest), in_bytes(size), "downloading", _utc(at)] for digest, size, at in parts]
    out.table(["SHA-256", "SIZE", "USES", "LAST USED"], rows)
    limit = in_bytes(config.cache_limits.max_bytes)
    out.note(f"{counted(len(found), 'file')}, {in_bytes(total)} of at most {limit} in {_cache(config).root}")


@cache.command(
    epilog=examples("sealdex cache gc", "sealdex cache gc --dry-run", "sealdex cache gc --max-bytes 2GB --json")
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")
@click.option(
    "--max-bytes",
    type=Size(),
    metavar="SIZE",
    help="Use this size limit instead of the configured one: 0, 512MiB, 2GB.",
)
@click.option(
    "--max-age-days",
    type=Finite(min=0),
    metavar="N",
    help="Use this age limit instead of the configured one.",
)
@click.option(
    "--eviction",
    type=click.Choice(get_args(EvictionOrder)),
    help="Use this eviction order instead of the configured one.",
)
@client_command
def gc(
    context: Context, *, dry_run: bool, max_bytes: int | None, max_age_days: float | None, eviction: str | None
) -> None:
    """Bring the cache within its limits, and remove what interrupted downloads left behind.

    Files that other processes are downloading or installing from are kept.
    """
    out = context.out
    config = context.config()
    said = config.cache_limits
    limits = CacheLimits(
        said.max_bytes if max_bytes is None else max_bytes,
        said.max_age_s if max_age_days is None else max_age_days * 86400,
        eviction or said.eviction,
    )
    done = tidy(_cache(config), limits, is_dry_run=dry_run)
    out.result({
        "dry_run": dry_run,
        "removed": [_plain(each) for each in done.removed],
        "in_use": list(done.in_use),
        "freed_bytes": done.freed_bytes,
        "kept": done.kept,
        "kept_bytes": done.kept_bytes,
    })  # fmt: skip
    for each in done.removed:
        if each.why != "leftover":
            name = _short(each.name) + (".part" if each.name.endswith(".part") else "")
            out.line(f"{'would remove' if dry_run else 'removed'} {name}  {in_bytes(each.size)}  {_WORDS[each.why]}")
    for digest in done.in_use:
        out.line(f"kept {_short(digest)}: it is in use")
    verb = "would free" if dry_run else "freed"
    out.note(f"{verb} {in_bytes(done.freed_bytes)}; {counted(done.kept, 'file')} with {in_bytes(done.kept_bytes)} kept")


@cache.command(epilog=examples("sealdex cache verify", "sealdex cache verify --json"))
@client_command
def verify(context: Context) -> None:
    """Hash every file in the cache, and remove those that don't match the digest in their name (exit code 4).

    Every file is hashed before it is used, so a damaged one costs only another download. But it does mean that the disk
    is failing or that something else writes to the cache.
    """
    out = context.out
    config = context.config()
    checked = list(verify_files(_cache(config)))
    damaged = [Removed(file.digest, file.size, "damaged") for file, is_whole in checked if not is_whole]
    document = {"checked": len(checked), "removed": [_plain(each) for each in damaged]}
    if not damaged:
        out.result(document)
        out.note(f"{counted(len(checked), 'file')} verified")
        return
    raise VerificationError(
        f"{len(damaged)} of {len(checked)} cached files did not match their digests",
        subject=", ".join(each.name for each in damaged),
        untouched="they were removed; installed plugins were not changed",
        hint="run sealdex verify to check what is installed; then check the disk and who can write to the store",
        details=document,
    )


def _cache(config: Config) -> ContentCache:
    return ContentCache(Path(Store(config.store).cache_folder))


def _short(digest: str) -> str:
    return digest[:_SHOWN_DIGITS]


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _plain(each: Removed) -> dict[str, Any]:
    return {"name": each.name, "size": each.size, "why": each.why}
