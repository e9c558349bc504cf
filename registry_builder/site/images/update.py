"""Brings the images of READMEs in the source tree up to date: fetches what is missing, tells what is stale.

Nothing is decided by the server: an image's kind is that of its content, its name that of its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from registry_builder.site._readme_html import image_addresses
from registry_builder.site.images._fetch import SYSTEM, NotFetchedError, Wire, address_problem, fetch
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.own_folders import require_own_folders
from registry_builder.source.pictures import is_svg, picture_problem
from registry_builder.source.readme_file import read_readme
from registry_builder.source.readme_images import (
    MAX_IMAGE_BYTES,
    MAX_IMAGES,
    RECORD_NAME,
    StoredImage,
    images_folder,
    read_image,
    read_record,
    record_bytes,
    stored_image,
)
from registry_builder.source.safe_open import UnreadableError
from registry_builder.source.tree import SourcePlugin
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId

_WORKERS = 8


@dataclass(frozen=True)
class NotStored:
    """An image that stays a link, and why."""

    address: str
    reason: str


@dataclass
class Updated:
    """The images of one plugin.

    Attributes:
        stored: address to image, of those that were fetched (with ``dry_run``: None, of those that would be).
        kept: those that were there already.
        links: those that are never shown: relative, not on https, SVG.
        failed: those that couldn't be had this time.
        stale: recorded addresses that no README has any more.
        removed: files that were removed with them.
        problem: why nothing was done for this plugin; None if something could be.
    """

    plugin: PluginId
    stored: dict[str, StoredImage | None] = field(default_factory=dict)
    kept: dict[str, StoredImage] = field(default_factory=dict)
    links: list[NotStored] = field(default_factory=list)
    failed: list[NotStored] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    problem: str | None = None


def addresses_in(plugin: SourcePlugin) -> tuple[str, ...]:
    """Return the addresses of all images of a plugin's READMEs, in their order.

    Raises:
        UnreadableError: a README can't be read.
    """
    found: dict[str, None] = {}
    for language in (None, *plugin.readme_i18n):
        readme = read_readme(plugin, language)
        if readme is not None:
            found |= dict.fromkeys(image_addresses(readme.plain))
    return tuple(found)


def update_images(
    plugins: Collection[SourcePlugin],
    *,
    dry_run: bool = False,
    refresh: bool = False,
    prune: bool = False,
    max_bytes: int = MAX_IMAGE_BYTES,
    wire: Wire = SYSTEM,
    notice: Callable[[str], None] = lambda _text: None,
) -> Iterator[Updated]:
    """Fetch images, write them and their records, and yield what was done, plugin by plugin.

    Args:
        plugins: whose READMEs.
        dry_run: ask nobody and write nothing.
        refresh: ask for those that are there, too.
        prune: remove what no README has any more.
        max_bytes: of one image.
        wire: how others are reached.
        notice: told what is being done.

    A plugin whose README or record can't be read keeps no other back.
    """
    for plugin in plugins:
        notice(f"images of {plugin.id}")
        done = Updated(plugin.id)
        try:
            require_own_folders(plugin.root, [images_folder(plugin) / RECORD_NAME], untouched="nothing was fetched")
            addresses, known = addresses_in(plugin), read_record(plugin)
        except (ConfigError, UnreadableError) as error:
            done.problem = str(error)
            yield done
            continue
        wanted = _sorted_out(plugin, addresses, known, done, refresh=refresh)
        done.stale = sorted(set(known) - set(addresses))
        if dry_run:
            done.stored = dict.fromkeys(wanted)
        else:
            got = _fetched(wanted, min(max_bytes, MAX_IMAGE_BYTES), wire, done)
            _write(plugin, known, got, done, prune=prune)
        yield done


def _sorted_out(
    plugin: SourcePlugin,
    addresses: Collection[str],
    known: Mapping[str, StoredImage],
    done: Updated,
    *,
    refresh: bool,
) -> list[str]:
    """Return the addresses to ask, and say of the others why not."""
    wanted: list[str] = []
    for address in addresses:
        if (problem := address_problem(address)) is not None:
            done.links.append(NotStored(address, problem))
        elif address in known and not refresh and _is_there(plugin, known[address]):
            done.kept[address] = known[address]
        elif len(wanted) + len(done.kept) >= MAX_IMAGES:
            done.links.append(NotStored(address, f"a plugin has at most {MAX_IMAGES} images"))
        else:
            wanted.append(address)
    return wanted


def _is_there(plugin: SourcePlugin, image: StoredImage) -> bool:
    try:
        read_image(plugin, image)
    except UnreadableError:
        return False
    return True


def _fetched(wanted: Collection[str], max_bytes: int, wire: Wire, done: Updated) -> dict[str, bytes]:
    got: dict[str, bytes] = {}

    def one(address: str) -> bytes | NotFetchedError:
        try:
            return fetch(address, max_bytes, wire)
        except NotFetchedError as error:
            return error

    with ThreadPoolExecutor(_WORKERS) as pool:
        for address, found in zip(wanted, pool.map(one, wanted), strict=True):
            if isinstance(found, NotFetchedError):
                done.failed.append(NotStored(address, str(found)))
            elif (problem := picture_problem(found)) is not None:
                # nobody can correct an SVG badge
                (done.links if is_svg(found) else done.failed).append(NotStored(address, problem))
            else:
                got[address] = found
    return got


def _write(
    plugin: SourcePlugin, known: Mapping[str, StoredImage], got: Mapping[str, bytes], done: Updated, *, prune: bool
) -> None:
    folder = images_folder(plugin)
    images = {address: image for address, image in known.items() if not (prune and address in done.stale)}
    for address, data in got.items():
        image = stored_image(data)
        if images.get(address) == image and _is_there(plugin, image):
            done.kept[address] = image
            continue
        replace_file(folder / image.file, data)
        images[address] = done.stored[address] = image
    if images != known:
        replace_file(folder / RECORD_NAME, record_bytes(images))
    # a replaced image's file goes, too: nothing names it
    dropped = {image.file for image in known.values()} - {image.file for image in images.values()}
    for name in sorted(dropped):
        (folder / name).unlink(missing_ok=True)
        done.removed.append(name)


__all__ = ["NotStored", "Updated", "addresses_in", "update_images"]
