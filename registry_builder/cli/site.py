"""The ``site`` command: writes all pages of the browse site, from a source tree or from what is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import site, source
from registry_builder.cli.options import example, shown, tree_of
from registry_builder.cli.realms import open_realm
from registry_builder.site.static_api.answers import answers_of
from registry_builder.source.config import ApiSection
from sealdex.cli.group import output_of, output_options
from sealdex.config.document import parse_age, url_problem
from sealdex.errors import UsageError
from sealdex.text import counted

if TYPE_CHECKING:
    from datetime import timedelta

    from registry_builder.site.writer import Written
    from sealdex.cli.output import Output

_MAX_ROOT_BYTES = 512_000


def _age(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    try:
        return None if value is None else parse_age(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _url(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and (problem := url_problem(value)):
        raise click.BadParameter(f"'{value}' {problem}")
    return value


@click.command(
    name="site",
    epilog=example(
        "sealdex-builder site --output site",
        "sealdex-builder site --published /srv/mirror --root root.json --output /srv/mirror",
    ),
)
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write.")
@click.option("--realm", metavar="NAME", help="The realm whose plugins it shows; default: public.")
@click.option(
    "--published",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Instead of a source tree: the pages of this mirror or published folder, from its verified documents.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --published: the root metadata that you trust.",
)
@click.option("--title", metavar="TEXT", help="With --published: the name on the pages; default: the registry's.")
@click.option(
    "--url", metavar="ADDRESS", callback=_url, help="With --published: where the pages will be, for feeds and sitemap."
)
@click.option(
    "--max-staleness",
    metavar="AGE",
    callback=_age,
    help="With --published: show expired metadata up to this age, such as 90d.",
)
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="TAG",
    help="With --published: pages in this language; may be repeated; default: those that the registry states.",
)
@click.option("--api", is_flag=True, help="With --published: also api/v1/, the registry as plain JSON (docs/api.md).")
@click.option("--model-hub", is_flag=True, help="With --published: also what nodes of the Model Hub ask for.")
@output_options
@click.pass_context
def site_command(
    ctx: click.Context,
    output: Path,
    *,
    realm: str | None,
    published: Path | None,
    root: Path | None,
    title: str | None,
    url: str | None,
    max_staleness: timedelta | None,
    languages: tuple[str, ...],
    api: bool,
    model_hub: bool,
) -> None:
    """Write all pages of the browse site to a folder, from the source tree alone; publishing isn't needed first.

    Unchanged files are left alone; what the last run wrote and this one doesn't is removed. Links to signed documents
    and artifacts are broken until the registry is published into the same folder.

    With --published the pages are those of a mirror or a published folder, made of what the root vouches for and
    nothing else. Of a partial mirror, what isn't there is named and not linked.
    """
    out = output_of(ctx)
    if published is not None:
        if root is None or realm is not None:
            raise UsageError(
                "--published needs --root FILE, and the folder is of one realm: leave --realm out",
                untouched="nothing was written",
                hint="get the root from the registry's owners, over a way that you trust",
            )
        _published(out, published, root, output, title, url, max_staleness, languages, api=api, model_hub=model_hub)
        return
    if any((root, title, url, max_staleness, languages, api, model_hub)):
        raise UsageError(
            "--root, --title, --url, --max-staleness, --language, --api and --model-hub are for --published DIR",
            untouched="nothing was written",
            hint="the source tree has these in registry.toml",
        )
    with out.progress("reading the source tree") as progress:
        tree = source.load_tree(tree_of(ctx))
        realm = realm or "public"
        trust = open_realm(tree, realm, None).trust
        result = site.write_pages(
            site.site_from_tree(tree, realm, trust, answers_of=answers_of(tree.config.api)),
            output,
            progress.step,
            keeps_record=True,
        )
    out.line(_counts(output, result))
    out.result({"folder": output, "files": result.pages, "written": result.written, "removed": result.removed})


def _published(
    out: Output,
    folder: Path,
    root: Path,
    output: Path,
    title: str | None,
    url: str | None,
    max_staleness: timedelta | None,
    languages: tuple[str, ...],
    *,
    api: bool,
    model_hub: bool,
) -> None:
    if wordless := [tag for tag in languages if not site.has_words(tag)]:
        raise UsageError(
            f"there are no words in {', '.join(wordless)} for pages",
            untouched="nothing was written",
            hint="a source tree may bring words of its own (docs/site.md); pages of a mirror have English and Chinese",
        )
    with out.progress("reading what is published") as progress, root.open("rb") as file:
        made = site.site_from_published(
            folder,
            file.read(_MAX_ROOT_BYTES),
            title=title,
            url=url,
            max_staleness=max_staleness,
            languages=languages,
            answers_of=answers_of(ApiSection(enabled=api, model_hub=model_hub)),
        )
        result = site.write_pages(made.parts, output, progress.step, keeps_record=True)
    if (note := made.state.age_note) is not None:
        out.warn(note)
    out.line(_counts(output, result))
    out.line(
        f"  timestamp {made.state.timestamp_version}: {counted(made.plugins, 'plugin')}; not here: "
        f"{counted(len(made.missing), 'plugin')}, and {counted(made.missing_releases, 'release')} of those that are"
    )
    if made.wordless:
        out.note(f"the registry's pages are in {', '.join(made.wordless)} too, which this program has no words for")
    out.result({
        "folder": output,
        "files": result.pages,
        "written": result.written,
        "removed": result.removed,
        "languages": made.languages,
        "languages_without_words": made.wordless,
        "timestamp_version": made.state.timestamp_version,
        "plugins": made.plugins,
        "missing_plugins": list(map(str, made.missing)),
        "missing_releases": made.missing_releases,
    })  # fmt: skip


def _counts(output: Path, result: Written) -> str:
    gone = f", {len(result.removed)} removed" if result.removed else ""
    return f"{shown(output)}: {counted(result.pages, 'file')}, {len(result.written)} written{gone}"


__all__ = ["site_command"]
