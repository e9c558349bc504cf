"""The ``doctor`` command: problems of the publication target, and how to fix them."""

from __future__ import annotations

import click

from registry_builder import maintenance
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
    is a problem; recommendations are warnings.
    """
    out, documents, errors = output_of(ctx), [], 0
    for publisher in publishers_of(tree_of(ctx), realm):
        findings = maintenance.look_over(publisher)
        errors += sum(finding.level == "error" for finding in findings)
        out.line(f"realm {publisher.realm}: {publisher.storage.description}", style="bold")
        out.table(("check", "", "", ""), [(f.check, f.level, f.message, f.remedy) for f in findings])
        documents.append(
            {
                "realm": publisher.realm,
                "storage": publisher.storage.description,
                "findings": [
                    {"check": f.check, "level": f.level, "message": f.message, "remedy": f.remedy} for f in findings
                ],
            }
        )
    out.result({"healthy": not errors, "realms": documents})
    return 1 if errors else 0


__all__ = ["doctor"]
