"""The ``unlock`` command: frees the lock that a killed publisher left in a store without conditional writes."""

from __future__ import annotations

import click

from registry_builder.cli.options import REALM, example, tree_of
from registry_builder.cli.realms import publishers_of
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError


@click.command(epilog=example("sealdex-builder unlock", "sealdex-builder unlock 5f0c2a9e"))
@click.argument("lock_id", metavar="[ID]", required=False)
@REALM
@output_options
@click.pass_context
def unlock(ctx: click.Context, lock_id: str | None, realm: str | None) -> None:
    """Show who holds the locks of realms with exclusive = true; with ID, free that one.

    Make sure that its publisher is gone: two at once can undo what each other published.
    """
    out, documents, has_lock = output_of(ctx), [], False
    for publisher in publishers_of(tree_of(ctx), realm):
        lock = publisher.storage.lock
        if lock is None:
            continue
        has_lock = True
        found = lock.found()
        held = found.document if found is not None and found.document.id else None
        # the last realm is asked in any case: it says what is wrong with the id
        if lock_id is not None and held is not None and held.id == lock_id:
            lock.break_(lock_id)
            out.line(f"realm {publisher.realm}: freed the lock of {held.holder} since {held.since}", style="green")
            out.result({"freed": lock_id, "realm": publisher.realm})
            return
        if held is None or found is None:
            out.line(f"realm {publisher.realm}: not locked")
            continue
        state = "" if found.is_held else "; it has expired, and the next publish takes it"
        out.line(f"realm {publisher.realm}: {held.id}, held by {held.holder} since {held.since}{state}")
        documents.append(
            {"realm": publisher.realm, "id": held.id, "holder": held.holder, "since": held.since, "held": found.is_held}
        )
    if not has_lock:
        raise UsageError(
            "no realm here has exclusive = true, so there are no locks",
            untouched="nothing was changed",
            hint="stores with conditional writes need none; see docs/publishing.md",
        )
    if lock_id is not None:
        raise UsageError(
            f"no lock has the id {lock_id}",
            subject=lock_id,
            untouched="nothing was changed",
            hint="sealdex-builder unlock",
        )
    out.result({"locks": documents})


__all__ = ["unlock"]
