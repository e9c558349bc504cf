"""The workflows of a registry's repository on GitHub, and the action by which authors' repositories release to it.

The rules that the templates keep, and that tests hold them to: no expression stands in a ``run:`` (values come
through ``env:``, so that no field of a manifest and no branch name is ever read by a shell), every action is pinned by
commit, permissions are given by job, what runs on a pull request holds no secret, and what a push to a signing branch
starts can only ask for a run on main.
"""

from __future__ import annotations

import re
from pathlib import Path

import jinja2

from registry_builder.source.atomic import write_new
from registry_builder.source.config import read_config
from registry_builder.source.scaffold import TEMPLATES, Made

ACTIONS = {
    "checkout": "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0",
    "python": "actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c # v6.0.0",
    "cache": "actions/cache@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0",
    "aws": "aws-actions/configure-aws-credentials@a03048d87541d1d9fcf2ecf528a4a65ba9bd7838 # v5.0.0",
    "provenance": "actions/attest-build-provenance@977bb373ede98d70efdf65b84cb5f73e068dcc2a # v3.0.0",
}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
FILES = {
    ".github/workflows/validate.yml": "github/validate.yml.j2",
    ".github/workflows/publish.yml": "github/publish.yml.j2",
    ".github/workflows/refresh.yml": "github/refresh.yml.j2",
    ".github/workflows/sign.yml": "github/sign.yml.j2",
    "action.yml": "github/action.yml.j2",
}


def write_workflows(folder: Path, *, version: str) -> Made:
    """Write the workflows into a source tree; files that are there are left alone.

    Args:
        folder: the source tree, which is the top of the repository.
        version: of sealdex-builder, which the workflows install.

    Raises:
        ConfigError: there is no source tree, or its registry.toml is wrong.
    """
    config = read_config(folder)
    registry = config.registry
    named = (section.uri.removeprefix("env:") for section in config.keys.values() if section.uri.startswith("env:"))
    number = int(registry.id, 16)
    values = {
        "version": version,
        "extras": "[sigstore]" if config.attestations is not None else "",  # bundles are verified
        "title": (registry.title or registry.name).replace(":", " ").replace("#", " "),
        "actions": ACTIONS,
        # keys whose private half is the secret of that name, see keys/README.md
        "secrets": sorted({name for name in named if _VARIABLE.fullmatch(name)}),
        # spread over the day, so that not all registries ask for runners at the same minute
        "minute": number % 60,
        "hour": number // 60 % 24,
    }
    written: list[Path] = []
    kept: list[Path] = []
    for name, template in FILES.items():
        try:
            write_new(folder / name, _environment().get_template(template).render(values).encode())
            written.append(folder / name)
        except FileExistsError:  # noqa: PERF203  # each file stands for itself
            kept.append(folder / name)
    return Made(folder, tuple(written), tuple(kept))


def _environment() -> jinja2.Environment:
    # delimiters that neither GitHub's ${{ }} nor any shell has
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701  # the result is YAML, never HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        variable_start_string="@{",
        variable_end_string="}@",
        block_start_string="@%",
        block_end_string="%@",
        comment_start_string="@#",
        comment_end_string="#@",
    )


__all__ = ["ACTIONS", "FILES", "write_workflows"]
