"""The ``verify-published`` command: whether every published file is what was signed."""

from __future__ import annotations

from collections import Counter

import click

from registry_builder import maintenance
from registry_builder.cli._listed import listed_document
from registry_builder.cli.options import REALM, example, tree_of
from registry_builder.cli.realms import publishers_of
from registry_builder.site.static_api.keys import ROOT
from sealdex.cli.group import output_of, output_options
from sealdex.cli.progress import in_bytes
from sealdex.model.downloads import STATS_KEY
from sealdex.text import counted


@click.command(
    name="verify-published",
    epilog=example("sealdex-builder verify-published", "sealdex-builder verify-published --artifacts --json"),
)
@REALM
@click.option("--artifacts", is_flag=True, help="Also read and hash every artifact.")
@output_options
@click.pass_context
def verify_published(ctx: click.Context, realm: str | None, artifacts: bool) -> int:
    """Verify every published document from the trust root, and account for every file.

    Exits 4 if anything isn't what was signed, after listing all of it. Unreferenced files (superseded, or left
    behind by an interrupted publish) are counted and harmless; `gc` removes them.
    """
    out, documents = output_of(ctx), []
    wrong = 0
    for publisher in publishers_of(tree_of(ctx), realm):
        with out.progress(f"verifying {publisher.realm}"):
            found = maintenance.audit_realm(publisher, artifacts=artifacts)
        wrong += len(found.problems)
        out.line(
            f"realm {found.realm}: {found.storage}, {counted(found.files, 'file')}, {in_bytes(found.size)}",
            style="bold",
        )
        checked = (
            f"{counted(found.hashed, 'file')} of plugins read and hashed" if artifacts else "artifacts by size only"
        )
        out.line(f"  {found.reached} referenced and verified ({checked}), {counted(found.pages, 'page')}")
        if found.answers:
            left = f"; {len(found.left_answers)} of them belong to nothing that is signed" if found.left_answers else ""
            out.line(f"  {counted(found.answers, 'document')} of {ROOT}, which nothing signs{left}")
        if found.other_answers:
            some = ", ".join(found.other_answers[:3])
            others = counted(len(found.other_answers), "document")
            out.warn(
                f"{others} of api/ not as made of the signed ones ({some}): left by a publish by name, or changed by "
                "somebody; to write them again: sealdex-builder publish"
            )
        if found.has_stats:
            out.line(f"  {STATS_KEY}: download numbers, which nothing signs")
        for kind, count in sorted(Counter(each.kind for each in found.unreached).items()):
            out.line(f"  {count} not referenced: {kind}")
        for key, reason in found.problems:
            out.fail([f"{key}: {reason}"], title="SECURITY")
        documents.append(
            {
                "realm": found.realm,
                "storage": found.storage,
                "timestamp": found.timestamp,
                "files": found.files,
                "bytes": found.size,
                "reached": found.reached,
                "hashed": found.hashed,
                "pages": found.pages,
                "answers": found.answers,
                "left_answers": found.left_answers,
                "other_answers": found.other_answers,
                "stats": found.has_stats,
                "problems": [{"key": key, "reason": reason} for key, reason in found.problems],
                "unreached": [{**listed_document(each.file), "kind": each.kind} for each in found.unreached],
            }
        )
    out.result({"verified": not wrong, "realms": documents})
    return 4 if wrong else 0


__all__ = ["verify_published"]
