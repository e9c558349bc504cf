"""The ``verify-published`` command: whether all that is published is what was signed, file by file."""

from __future__ import annotations

from collections import Counter

import click

from registry_builder import maintenance
from registry_builder.cli._listed import listed_document
from registry_builder.cli.options import REALM, example, tree_of
from registry_builder.cli.realms import publishers_of
from sealdex.cli.group import output_of, output_options
from sealdex.cli.progress import in_bytes
from sealdex.text import counted


@click.command(
    name="verify-published",
    epilog=example("sealdex-builder verify-published", "sealdex-builder verify-published --artifacts --json"),
)
@REALM
@click.option("--artifacts", is_flag=True, help="Read and hash every artifact as well.")
@output_options
@click.pass_context
def verify_published(ctx: click.Context, realm: str | None, artifacts: bool) -> int:
    """Walk what is published from the trust root, verify every document, and account for every file.

    Exits 4 when anything isn't what was signed, after naming all of it. Files that nothing reaches (superseded, or left
    behind by a publish that was interrupted) are counted and do no harm; `gc` removes them.
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
        out.line(f"  {found.reached} reached and verified ({checked}), {counted(found.pages, 'page')}")
        for kind, count in sorted(Counter(each.kind for each in found.unreached).items()):
            out.line(f"  {count} not reached: {kind}")
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
                "problems": [{"key": key, "reason": reason} for key, reason in found.problems],
                "unreached": [{**listed_document(each.file), "kind": each.kind} for each in found.unreached],
            }
        )
    out.result({"verified": not wrong, "realms": documents})
    return 4 if wrong else 0


__all__ = ["verify_published"]
