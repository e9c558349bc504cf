"""The commands of publishers: publish, refresh, status, serve, site, keys. Thin: the work is done elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry_builder.cli.accept_removed import ACCEPT_REMOVED, refuse_held
from registry_builder.cli.authoring import ALLOW_FILE, PLUGIN_ID
from registry_builder.cli.examples import example
from registry_builder.cli.keys import keys, prompt_for_passphrase
from registry_builder.cli.options import BY_URL, FILES, SUMMARY, append, reader_storage
from registry_builder.cli.tree import shown, tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.cli.progress import in_bytes
from sealdex.errors import NotFoundError, SealdexError, UsageError
from sealdex.model.ids import PluginId
from sealdex.text import counted

if TYPE_CHECKING:
    from registry_builder.maintenance.status import RealmStatus, RoleStatus
    from registry_builder.publication.context import Publisher
    from registry_builder.publication.publish import PublishResult
    from registry_builder.source.tree import SourceTree
    from registry_builder.storage import Storage
    from sealdex.cli.output import Output
    from sealdex.cli.progress import Progress

_REALM = click.option("--realm", metavar="NAME", help="Only this realm; all of registry.toml when left out.")
_ONLY = click.option(
    "--only", multiple=True, metavar="NS/NAME", type=PLUGIN_ID, help="Only this plugin; may be given more than once."
)


@click.command(
    epilog=example(
        "sealdex-builder publish",
        "sealdex-builder publish --only acme/slack",
        "sealdex-builder publish --dry-run --files",
    )
)
@_REALM
@_ONLY
@click.option("--dry-run", is_flag=True, help="Read, verify and plan; write nothing.")
@ACCEPT_REMOVED
@ALLOW_FILE
@click.option(
    "--require-all", is_flag=True, help="Exit 1 when something waits for the signature of a claimed namespace's team."
)
@click.option("--no-site", is_flag=True, help="Leave the browse site; the next publish of everything catches up.")
@click.option(
    "--first-publish", is_flag=True, help="On GitHub Pages, by hand and once: nothing was ever deployed at the url."
)
@click.option(
    "--folder-in-ci", is_flag=True, help="In a workflow: the folder is meant, a later step takes it off the runner."
)
@FILES
@SUMMARY
@output_options
@click.pass_context
def publish(
    ctx: click.Context,
    realm: str | None,
    only: tuple[PluginId, ...],
    dry_run: bool,
    accept_removed: tuple[PluginId, ...],
    allow_files: tuple[str, ...],
    require_all: bool,
    no_site: bool,
    first_publish: bool,
    folder_in_ci: bool,
    files: bool,
    summary: Path | None,
) -> None:
    """Publish what changed, signed, in one step that readers see whole or not at all.

    What is published already is read and verified first, and nothing is signed on top of what doesn't verify. A publish
    that was interrupted is taken up by the next one. With --only the cost doesn't depend on the size of the registry:
    of the browse site it writes the pages of the plugins it names, and the next publish of everything the rest.

    A plugin that lacks events that are published already, such as a yank, stays as it is published: the source tree is
    an older checkout then. All others are published, and the exit code is 1.
    """
    out, root = output_of(ctx), tree_of(ctx)
    if not dry_run:
        _check_places(root, realm, first_publish=first_publish, folder_in_ci=folder_in_ci)
    results = _publish_realms(
        out,
        root,
        realm,
        only,
        dry_run=dry_run,
        first_publish=first_publish,
        site=not no_site,
        files=files,
        accept_removed=accept_removed,
        allow_files=allow_files,
    )
    if summary is not None:
        from registry_builder.cli.markdown import plan_markdown  # noqa: PLC0415  # see _publish_realms

        title = "Publishing would change" if dry_run else "Published"
        for each in results:
            append(summary, plan_markdown(each.plan, title))
    out.result({"dry_run": dry_run, "realms": [_document(result) for result in results]})
    refuse_held(results, dry_run=dry_run)
    if require_all:
        _refuse_waiting(results)


@click.command(epilog=example("sealdex-builder refresh", "sealdex-builder refresh --dry-run"))
@_REALM
@click.option("--dry-run", is_flag=True, help="Say what is due; sign nothing.")
@click.option("--online", is_flag=True, help="Leave root and targets to the people who hold their keys.")
@click.option(
    "--allow-expired",
    is_flag=True,
    help="Revive a registry that was not refreshed in time, after a look that nobody put an old state back.",
)
@click.option(
    "--recover-expired", is_flag=True, help="The same, only where it can be shown to be the newest: for schedules."
)
@SUMMARY
@output_options
@click.pass_context
def refresh(
    ctx: click.Context,
    realm: str | None,
    dry_run: bool,
    online: bool,
    allow_expired: bool,
    recover_expired: bool,
    summary: Path | None,
) -> int:
    """Sign anew what is within its signing window. Run it every day, from a schedule.

    Root and targets are signed too where enough of their keys are at hand, and written to trust/; commit them. Where
    they aren't, that is said, the rest is refreshed, and the exit code is 1. With --online they are no part of it, as
    in a workflow that never has their keys; `status` says when they are due.

    What has expired is not signed again just like that: it could be an old state that somebody put back.
    --recover-expired does it where only online roles expired, this machine remembers what it last saw published, and
    the source tree compiles to exactly what is there. Anything else is for a person, with --allow-expired.
    """
    from registry_builder.cli.plan_output import plan_document, show_plan  # noqa: PLC0415  # see _publish_realms
    from registry_builder.publication.refresh import refresh as refresh_realm  # noqa: PLC0415  # see _publish_realms
    from registry_builder.source.config import read_config  # noqa: PLC0415  # see _publish_realms
    from registry_builder.source.tree import SourceTree  # noqa: PLC0415  # see _publish_realms

    if allow_expired and recover_expired:
        raise UsageError("--allow-expired asks for no proof and --recover-expired for all of it: give one of them")
    out, root = output_of(ctx), tree_of(ctx)
    # plugins are no part of this
    tree = SourceTree(root, read_config(root), {}, problems=(), complete=False)
    documents: list[dict[str, Any]] = []
    complete = True
    for name in _realms(tree, realm):
        with out.progress(f"refreshing {name}") as progress:
            publisher = _publisher(tree, name, progress, allow_expired=allow_expired)
            with _told_in(summary, name):
                result = refresh_realm(publisher, dry_run=dry_run, online_only=online, recover_expired=recover_expired)
        show_plan(out, result.plan)
        for warning in result.warnings:
            out.warn(warning)
        for each in result.offline:
            if each.written is not None:
                out.line(f"  wrote {shown(each.written)}: commit it")
            else:
                out.warn(f"{each.role} of realm {name} expires on {each.expires:%Y-%m-%d}: {each.reason}")
        complete &= result.is_complete
        offline = [
            {"role": each.role, "expires": each.expires.isoformat(), "written": each.written, "reason": each.reason}
            for each in result.offline
        ]
        documents.append(
            {
                **plan_document(result.plan),
                "committed": result.committed,
                "versions": result.versions,
                "offline_roles": offline,
            }
        )
    out.result({"dry_run": dry_run, "realms": documents})
    return 0 if complete else 1


@click.command(epilog=example("sealdex-builder status", "sealdex-builder status --json"))
@_REALM
@BY_URL
@SUMMARY
@output_options
@click.pass_context
def status(ctx: click.Context, realm: str | None, by_url: bool, summary: Path | None) -> int:
    """Show what is published, until when it holds, who signs it and which keys are here.

    Exits 1 when a role is within its signing window or has expired: time for refresh, or for who holds its keys.
    """
    from registry_builder.maintenance.status import realm_status  # noqa: PLC0415  # see _publish_realms
    from registry_builder.source.config import read_config  # noqa: PLC0415  # see _publish_realms
    from registry_builder.source.tree import SourceTree  # noqa: PLC0415  # see _publish_realms

    out, root = output_of(ctx), tree_of(ctx)
    tree = SourceTree(root, read_config(root), {}, problems=(), complete=False)
    found: list[RealmStatus] = []
    for name in _realms(tree, realm):
        if by_url and realm is None and tree.config.realms[name].url is None:
            out.warn(f"realm {name} is left out: it has no url that readers read it by")
            continue
        place = reader_storage(tree.config, name, by_url=by_url)
        with out.progress(f"reading {name}") as progress:
            found.append(realm_status(_publisher(tree, name, progress, storage=place, allow_expired=True)))
    for each in found:
        _show_status(out, each)
    if summary is not None:
        from registry_builder.cli.markdown import status_markdown  # noqa: PLC0415  # see _publish_realms

        append(summary, status_markdown(found))
    out.result(
        {"needs_signing": any(each.needs_signing for each in found), "realms": list(map(_status_document, found))}
    )
    return 1 if any(each.needs_signing for each in found) else 0


@click.command(
    epilog=example(
        "sealdex-builder serve", "sealdex-builder serve published --port 8080", "sealdex-builder serve --site"
    )
)
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@_REALM
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--site", is_flag=True, help="The source tree's pages instead, made anew when a file changes.")
@output_options
@click.pass_context
def serve(ctx: click.Context, folder: Path | None, realm: str | None, host: str, port: int, site: bool) -> None:
    """Serve a published FOLDER on this machine, with the headers that a store and its CDN would send.

    Without FOLDER, the one that registry.toml names as the storage of the realm (public when left out). Ends with
    Ctrl-C. With --site, what who writes templates, READMEs and manifests wants to see: pages in the browser follow the
    files by themselves, and nothing is published.
    """
    from registry_builder.site.preview.server import serve as serve_folder  # noqa: PLC0415  # needs uvicorn

    out = output_of(ctx)
    if site and folder is not None:
        raise UsageError("--site shows the source tree's pages, so it takes no FOLDER")

    def served(place: Path) -> None:
        def on_ready(url: str) -> None:
            out.answer(url)
            out.note("Ctrl-C ends it")
            out.result({"url": url, "folder": place})
            out.flush()

        serve_folder(place, host=host, port=port, on_ready=on_ready)

    if not site:
        served(folder or _storage_folder(tree_of(ctx), realm or "public"))
        return
    import tempfile  # noqa: PLC0415  # see _publish_realms

    from registry_builder.site.preview.live import LiveSite  # noqa: PLC0415  # see _publish_realms

    with (
        tempfile.TemporaryDirectory(prefix="sealdex-site-") as made,
        LiveSite(tree_of(ctx), realm or "public", Path(made), out.note),
    ):
        served(Path(made))


@click.command(epilog=example("sealdex-builder site --output site"))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write.")
@click.option("--realm", default="public", show_default=True, help="The realm whose plugins it shows.")
@output_options
@click.pass_context
def site(ctx: click.Context, output: Path, realm: str) -> None:
    """Write all pages of the browse site to a folder, from the source tree alone: nothing need be published.

    A file that is there already with the same bytes is left alone. Links to signed documents and artifacts lead
    nowhere until the registry is published into the same folder.
    """
    from registry_builder.site.from_tree import site_from_tree  # noqa: PLC0415  # see _publish_realms
    from registry_builder.site.writer import write_pages  # noqa: PLC0415  # see _publish_realms
    from registry_builder.source.load import load_tree  # noqa: PLC0415  # see _publish_realms

    out = output_of(ctx)
    with out.progress("reading the source tree") as progress:
        tree = load_tree(tree_of(ctx))
        trust = _publisher(tree, realm, None).trust
        result = write_pages(site_from_tree(tree, realm, trust), output, progress.step)
    out.line(f"{shown(output)}: {counted(result.pages, 'file')}, {len(result.written)} of them written")
    out.result({"folder": output, "files": result.pages, "written": result.written})


# --- what they share --------------------------------------------------------------------------------------------------


def _publish_realms(
    out: Output,
    root: Path,
    realm: str | None,
    only: Collection[PluginId],
    *,
    dry_run: bool,
    site: bool,
    files: bool,
    accept_removed: Collection[PluginId],
    first_publish: bool,
    allow_files: Collection[str],
) -> list[PublishResult]:
    # imported here and in the commands, so that --help of one costs nothing of another
    from registry_builder.cli.plan_output import show_files, show_plan  # noqa: PLC0415  # see above
    from registry_builder.publication.publish import NotAllPublishedError  # noqa: PLC0415  # see above
    from registry_builder.publication.publish import publish as publish_realm  # noqa: PLC0415  # see above
    from registry_builder.source.load import load_tree  # noqa: PLC0415  # see above

    tree = load_tree(root, only=only or None, allow_files=allow_files)
    results = []
    for name in _realms(tree, realm, only):
        with out.progress(f"publishing {name}") as progress:
            publisher = _publisher(tree, name, progress, site=site)
            try:
                result = publish_realm(
                    publisher,
                    only=only or None,
                    dry_run=dry_run,
                    accept_removed=accept_removed,
                    first_publish=first_publish and tree.config.realms[name].is_pages,
                )
            except NotAllPublishedError as error:  # raised once every realm is published
                (result,) = error.results
        results.append(result)
        show_plan(out, result.plan)
        if files:
            show_files(out, result.files)
        for warning in result.warnings:
            out.warn(warning)
        if result.committed:
            versions = ", ".join(f"{role} {version}" for role, version in result.versions.items())
            races = f", after losing {result.attempts - 1} races" if result.attempts > 1 else ""
            out.line(f"published realm {name}: {versions}{races}", style="green")
    if not results:
        raise NotFoundError(f"none of {', '.join(map(str, only))} is in realm {realm}", untouched="nothing was written")
    return results


def _refuse_waiting(results: Iterable[PublishResult]) -> None:
    waiting = [each for result in results for each in result.plan.waiting if each.is_unpublished]
    if waiting:
        raise SealdexError(
            f"not everything is published: {'; '.join(map(str, waiting))}",
            subject=", ".join(dict.fromkeys(each.namespace for each in waiting)),
            untouched="what waits is published as before",
            hint="commit what the team signs, and publish again; without --require-all this is exit code 0",
        )


def _realms(tree: SourceTree, realm: str | None, only: Collection[PluginId] = ()) -> list[str]:
    if realm is not None:
        if realm not in tree.config.realms:
            raise UsageError(f"there is no realm '{realm}'; realms are {', '.join(tree.config.realms)}")
        named = [realm]
    else:
        named = list(tree.config.realms)
    if not only:
        return named
    # an unknown plugin is left to publish, which says so
    known = [source.plugin.realm for source in tree.plugins.values()]
    return [name for name in named if name in known] if len(known) == len(set(only)) else named[:1]


@contextmanager
def _told_in(summary: Path | None, realm: str) -> Iterator[None]:
    """Append an error that passes to the file of ``--summary``."""
    try:
        yield
    except SealdexError as error:
        if summary is not None:
            from registry_builder.cli.markdown import error_markdown  # noqa: PLC0415  # see _publish_realms

            append(summary, error_markdown(error, realm))
        raise


def _publisher(
    tree: SourceTree,
    realm: str,
    progress: Progress | None,
    *,
    storage: Storage | None = None,
    allow_expired: bool = False,
    site: bool = True,
) -> Publisher:
    from registry_builder.publication.context import open_publisher  # noqa: PLC0415  # see _publish_realms
    from registry_builder.signing.signers import Keyring  # noqa: PLC0415  # see _publish_realms

    def notice(what: str, done: int, total: int) -> None:
        if progress is not None:
            progress.step(f"{what} {done * 100 // total}%" if total else f"{what} {in_bytes(done)}" if done else what)

    return open_publisher(
        tree,
        realm,
        storage=storage,
        keyring=Keyring(tree.config, tree.root, prompt=prompt_for_passphrase()),
        allow_expired=allow_expired,
        site=site,
        notice=notice,
    )


def _document(result: PublishResult) -> dict[str, Any]:
    from registry_builder.cli.plan_output import file_documents, plan_document  # noqa: PLC0415  # see _publish_realms

    return {
        **plan_document(result.plan),
        "writes": file_documents(result.files),
        "committed": result.committed,
        "versions": result.versions,
        "attempts": result.attempts,
        "requests": dict(result.requests),
        "bytes_put": result.bytes_put,
        "pages": result.pages,
        "invalidated": result.invalidated,
        "warnings": result.warnings,
    }


def _show_status(out: Output, status_: RealmStatus) -> None:
    published = counted(status_.plugins, "plugin") if status_.is_published else "nothing is published yet"
    out.line(f"realm {status_.realm}: {status_.storage}, {published}", style="bold")
    rows = [
        (
            role.role if role.count == 1 else f"{role.count} {role.role}",
            "-" if role.version is None else str(role.version),
            f"{role.expires:%Y-%m-%d}" if role.expires else "-",
            f"{role.threshold} of {len(role.keys)}",
            ", ".join(_key(key.name, key.here) for key in role.keys),
            role.when,
        )
        for role in status_.roles
    ]
    out.table(("role", "version", "expires", "signed by", "keys (here: *)", ""), rows)
    first, newest = status_.first_root, status_.newest_root
    out.line(f"root {first[0]}: SHA-256 {first[1]}")
    if newest != first:
        out.line(f"root {newest[0]}: SHA-256 {newest[1]}")
    if status_.expired_text:
        out.warn(status_.expired_text)
    for note in status_.notes:
        out.note(note)


def _key(name: str, here: bool) -> str:
    return f"{name}*" if here else name


def _status_document(status_: RealmStatus) -> dict[str, Any]:
    return {
        "realm": status_.realm,
        "storage": status_.storage,
        "published": status_.is_published,
        "published_root": status_.published_root,
        "plugins": status_.plugins,
        "needs_signing": status_.needs_signing,
        "expired": bool(status_.expired),
        "roots": [{"version": v, "sha256": d} for v, d in dict([status_.first_root, status_.newest_root]).items()],
        "roles": [_role_document(role) for role in status_.roles],
        "notes": status_.notes,
    }


def _role_document(role: RoleStatus) -> dict[str, Any]:
    return {
        "role": role.role,
        "files": role.count,
        "version": role.version,
        "expires": role.expires.strftime("%Y-%m-%dT%H:%M:%SZ") if role.expires else None,
        "due": role.due,
        "expired": role.expired,
        "threshold": role.threshold,
        "can_sign_here": role.can_sign,
        "keys": [{"name": k.name, "keyid": k.keyid, "here": k.here, "reason": k.reason} for k in role.keys],
    }


def _check_places(root: Path, realm: str | None, *, first_publish: bool, folder_in_ci: bool) -> None:
    from registry_builder.publication.runner_disk import check_disk  # noqa: PLC0415  # see _publish_realms
    from registry_builder.source.config import read_config  # noqa: PLC0415  # see _publish_realms

    sections = {name: section for name, section in read_config(root).realms.items() if realm in {None, name}}
    if first_publish and not any(section.is_pages for section in sections.values()):
        raise UsageError(
            "--first-publish is for a realm on GitHub Pages; elsewhere the store itself says what is there",
            untouched="nothing was published",
            hint="leave it out",
        )
    for name, section in sections.items():
        if not folder_in_ci:
            check_disk(root, name, section)


def _storage_folder(root: Path, realm: str) -> Path:
    from registry_builder.source.config import read_config  # noqa: PLC0415  # see _publish_realms
    from registry_builder.source.realms import check_realm  # noqa: PLC0415  # see _publish_realms
    from registry_builder.storage import folder_of  # noqa: PLC0415  # see _publish_realms

    config = read_config(root)
    check_realm(config, realm)
    storage = config.realms[realm].storage
    folder = folder_of(storage)
    if folder is None:
        raise UsageError(
            f"realm {realm} is published to {storage}, which is no folder",
            hint="name a folder: sealdex-builder serve FOLDER",
        )
    return root / folder


__all__ = ["keys", "publish", "refresh", "serve", "site", "status"]
