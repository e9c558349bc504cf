"""The ``doctor`` command: problems of the publication target, and how to fix them."""

from __future__ import annotations

import click

from registry_builder import maintenance
from registry_builder.cli._findings import Told, document_of, exit_code_of, of_storage, show_findings
from registry_builder.cli.options import example, tree_of
from registry_builder.cli.realms import publishers_of
from sealdex.cli.group import output_of, output_options


@click.command(epilog=example("sealdex-builder doctor", "sealdex-builder doctor --realm public --json"))
@click.option("--realm", metavar="NAME", help="Only this realm; by default all of registry.toml.")
@output_options
@click.pass_context
def doctor(ctx: click.Context, realm: str | None) -> int:
    """Check the bucket policy, access, versioning, headers and clocks, and say how to fix problems.

    Nothing is changed; whether the store looks at conditions is tried by writes that it must refuse. Exits 1 if there
    is a problem; recommendations are warnings. When roles expire: sealdex-builder status.
    """
    out, documents, told = output_of(ctx), [], list[Told]()
    for publisher in publishers_of(tree_of(ctx), realm):
        findings = maintenance.look_over(publisher)
        of_realm = of_storage(publisher.realm, findings)
        told += of_realm
        out.line(f"realm {publisher.realm}: {publisher.storage.description}", style="bold")
        show_findings(out, of_realm)
        documents.append(
            {
                "realm": publisher.realm,
                "storage": publisher.storage.description,
                "findings": [
                    {"check": f.check, "level": f.level, "message": f.message, "remedy": f.remedy} for f in findings
                ],
            }
        )
    out.result({**document_of(told), "realms": documents})
    return exit_code_of(told)


__all__ = ["doctor"]
