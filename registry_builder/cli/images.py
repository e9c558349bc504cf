"""``images update``: images of READMEs, from public addresses into the source tree. A person runs it, and reviews."""

from __future__ import annotations

import click

from registry_builder import source
from registry_builder.cli.options import PLUGIN_ID, example, tree_of
from registry_builder.site.images import NotStored, Updated, update_images
from registry_builder.source.readme_images import MAX_IMAGE_BYTES, StoredImage
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.cli.output import Output
from sealdex.cli.size_option import Size
from sealdex.errors import UsageError
from sealdex.model.ids import PluginId
from sealdex.text import counted


@click.group(cls=LazyGroup, epilog=example("sealdex-builder images update acme/slack"))
@output_options
def images() -> None:
    """Keep images of READMEs in the source tree, for pages to show.

    Pages load nothing from elsewhere, so an image is a link until it is kept here.
    """


@images.command(
    epilog=example(
        "sealdex-builder images update acme/slack",
        "sealdex-builder images update --all --dry-run",
        "sealdex-builder images update --all --prune",
    )
)
@click.argument("plugins", nargs=-1, type=PLUGIN_ID, metavar="[NS/NAME]...")
@click.option("--all", "every", is_flag=True, help="Of all plugins of the source tree.")
@click.option("--dry-run", is_flag=True, help="Show what would be fetched; nobody is asked and nothing is written.")
@click.option("--refresh", is_flag=True, help="Ask for images that are there, too: one may have changed.")
@click.option("--prune", is_flag=True, help="Remove images that no README shows any more.")
@click.option(
    "--max-size",
    type=Size(1),
    default=MAX_IMAGE_BYTES,
    metavar="SIZE",
    help="The largest size of one image; 5MiB by default and at most.",
)
@output_options
@click.pass_context
def update(
    ctx: click.Context,
    plugins: tuple[PluginId, ...],
    *,
    every: bool,
    dry_run: bool,
    refresh: bool,
    prune: bool,
    max_size: int,
) -> int:
    """Fetch the images of READMEs into plugins/NS/NAME/images/, with a record of addresses and SHA-256: commit both.

    Only PNG, JPEG, GIF and WebP by their content, and only from https addresses of the public internet. The others stay
    links, with the reason. Publishing never fetches any. Exit code 1 if an image couldn't be had.
    """
    out = output_of(ctx)
    if bool(plugins) == every:
        raise UsageError(
            "name plugins, or give --all", untouched="nothing was fetched", hint="sealdex-builder images update --all"
        )
    tree = source.load_tree(tree_of(ctx), only=plugins or None)
    lacking = [str(plugin) for plugin in plugins if plugin not in tree.plugins]
    if lacking:
        raise UsageError(
            f"not in the source tree, or with errors: {', '.join(lacking)}",
            untouched="nothing was fetched",
            hint="sealdex-builder validate",
        )
    with out.progress("reading READMEs") as progress:
        updating = update_images(
            list(tree.plugins.values()),
            dry_run=dry_run,
            refresh=refresh,
            prune=prune,
            max_bytes=max_size,
            notice=progress.step,
        )
        done = list(updating)
    for each in done:
        _show(out, each, dry_run=dry_run, prune=prune)
    problems = [each for each in done if each.problem is not None]
    for each in problems:
        out.warn(f"{each.plugin}: its images are as they were: {each.problem}")
    stored, failed = sum(len(each.stored) for each in done), sum(len(each.failed) for each in done)
    what = "to fetch" if dry_run else "stored"
    kept, links = sum(len(each.kept) for each in done), sum(len(each.links) for each in done)
    out.line(
        f"{counted(len(done), 'plugin')}: {counted(stored, 'image')} {what}, {kept} kept, {links + failed} as links"
    )
    if stored and not dry_run:
        out.note("next: look at the images, and commit them with images.json")
    out.result({"dry_run": dry_run, "plugins": [_document(each) for each in done if _says_anything(each)]})
    return 1 if failed or problems else 0


def _says_anything(each: Updated) -> bool:
    return any((each.stored, each.kept, each.links, each.failed, each.stale, each.removed, each.problem))


def _show(out: Output, each: Updated, *, dry_run: bool, prune: bool) -> None:
    if not any((each.stored, each.links, each.failed, each.stale)):
        return
    out.line(str(each.plugin))
    for address, image in each.stored.items():
        out.line(f"  {'would fetch' if image is None else image.file}: {address}")
    for skipped in each.links:
        out.line(f"  stays a link: {skipped.address}: {skipped.reason}")
    for refused in each.failed:
        out.warn(f"{each.plugin}: {refused.address}: {refused.reason}")
    for address in each.stale:
        removed = prune and not dry_run
        out.line(f"  {'removed' if removed else 'stale, since no README shows it (--prune removes it)'}: {address}")


def _document(each: Updated) -> dict[str, object]:
    return {
        "plugin": str(each.plugin),
        "stored": [_image(address, image) for address, image in each.stored.items()],
        "kept": [_image(address, image) for address, image in each.kept.items()],
        "links": list(map(_not_stored, each.links)),
        "failed": list(map(_not_stored, each.failed)),
        "stale": each.stale,
        "removed": each.removed,
        "problem": each.problem,
    }


def _image(address: str, image: StoredImage | None) -> dict[str, object]:
    facts = {} if image is None else {name: getattr(image, name) for name in image.__struct_fields__}
    return {"address": address, **facts}


def _not_stored(each: NotStored) -> dict[str, str]:
    return {"address": each.address, "reason": each.reason}


__all__ = ["images"]
