"""Creates new registries and new plugins, from the templates beside this module.

The working copy of a plugin is its folder in the tree:

    plugins/<ns>/<name>/plugin.yaml  README.md   what applies to all releases
    plugins/<ns>/<name>/release.yaml             the starting point of the next release's manifest
    plugins/<ns>/<name>/src/                     the payload, which `pack` packs
    plugins/<ns>/<name>/dist/<version>/          the archives, which `release` names in releases/<version>.json
"""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import jinja2

from registry_builder.source.atomic_write import write_new
from registry_builder.source.config import CONFIG_NAME, RegistryConfig, read_config
from registry_builder.source.load import load_tree
from registry_builder.source.own_folders import require_own_folders
from registry_builder.source.storage_choice import storage_choice
from registry_builder.source.tree import SCHEMA_FOLDER
from sealdex.errors import ConfigError, UsageError
from sealdex.model.decode import encode_pretty
from sealdex.model.ids import KNOWN_TYPES, MAX_PART_LENGTH, PluginId, normalise_type, part_problem
from sealdex.model.ranges import parse_range
from sealdex.model.schema import AUTHORED, json_schema

TEMPLATES = Path(__file__).with_name("templates")
_SUFFIX = ".j2"
_SUMMARIES = {
    "hal-driver": "Reads a number from a device",
    "acr-algorithm": "Smooths a stream of samples with a moving average",
    "training-script": "Fits a line to measurements",
    "application-suite": "Brings the plugins of an application together",
    "notify": "Sends a message to a webhook",
    "build": "Runs one command of a build",
    "service": "An HTTP service with the model it needs",
    "model": "A small model and the code that loads it",
}


RuntimeKind = Literal["process", "python", "service", "native"]
RUNTIMES: tuple[RuntimeKind, ...] = get_args(RuntimeKind)


@dataclass(frozen=True)
class Made:
    """What was created: the folder, the files written, and existing files that were left as they are."""

    folder: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...] = ()


def init_tree(
    folder: Path, *, name: str | None = None, storage: str | None = None, url: str | None = None, in_ci: bool = False
) -> Made:
    """Create a source tree: registry.toml, git's settings, README.md, schemas for editors, an empty plugins folder.

    Existing files are left alone, so an existing git repository can become a registry.

    Args:
        folder: where; created if it doesn't exist.
        name: the registry's name; derived from the folder's by default.
        storage: where it is published: as in registry.toml, or ``pages``; by default the folder ``published``.
        url: the public URL; for GitHub Pages derived from git's remote ``origin`` by default.
        in_ci: keep a folder as the storage although a workflow's runner is discarded.

    Raises:
        ConfigError: the folder is already a source tree, or inside one.
        UsageError: the name or the storage is not valid.
    """
    for above in (folder.resolve(), *folder.resolve().parents):
        if (above / CONFIG_NAME).exists():
            raise ConfigError(
                f"{CONFIG_NAME} exists already",
                subject=str(above),
                untouched="nothing was written",
                hint="sealdex-builder new TYPE NS/NAME adds a plugin; sealdex-builder realm add NAME adds a realm, "
                "or the keys and the first root that one lacks",
            )
    chosen = name if name is not None else _as_name(folder.resolve().name)
    if problem := part_problem(chosen):
        raise UsageError(f"'{chosen}' {problem}", untouched="nothing was written", hint="give --name")
    place, address = storage_choice(folder, storage, url)
    values = {
        "name": chosen,
        "id": secrets.token_hex(4),
        "title": chosen.replace("-", " ").capitalize(),
        "storage": place,
        "url": address,
        "folder_in_ci": in_ci and place.startswith("folder:"),
    }
    contents = {
        ".gitattributes": _render("registry/gitattributes.j2", values),
        ".gitignore": _render("registry/gitignore.j2", values),
        "README.md": _render("registry/README.md.j2", values),
        "plugins/.gitkeep": "",
        **{f"{SCHEMA_FOLDER}/{d}.schema.json": encode_pretty(json_schema(d)).decode() for d in AUTHORED},
        CONFIG_NAME: _render("registry/registry.toml.j2", values),
    }
    written: list[Path] = []
    kept: list[Path] = []
    for relative, content in contents.items():
        try:
            write_new(folder / relative, content.encode())
            written.append(folder / relative)
        except FileExistsError:  # noqa: PERF203  # each file stands for itself
            kept.append(folder / relative)
    read_config(folder)
    return Made(folder, tuple(written), tuple(kept))


def _as_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MAX_PART_LENGTH].strip("-") or "registry"


def new_plugin(
    tree: Path,
    plugin_type: str,
    plugin: PluginId,
    *,
    summary: str | None = None,
    realm: str = "public",
    depends: Mapping[str, str] | None = None,
    runtime: RuntimeKind | None = None,
) -> Made:
    """Create a working plugin: it runs, packs, releases and validates as it is.

    Args:
        tree: the source tree.
        plugin_type: one of the registry's types; the spelling of the seeds (``HAL_DRIVER``) also works.
        plugin: its id.
        summary: one line for lists.
        realm: the realm that it is published in.
        runtime: what runs it: ``python`` in the host's process, ``process`` as a program that the host talks to,
            ``service``, or ``native``, a program that hosts and jobs start; by default what its type usually is.
        depends: for an application suite, plugin id to range; by default the released plugins of its namespace.

    Raises:
        UsageError: no such type or realm, or a range is not valid.
        ConfigError: the plugin exists already, or registry.toml is invalid.
    """
    config = read_config(tree)
    kind = _checked_type(config, plugin_type)
    if realm not in config.realms:
        listed = ", ".join(sorted(config.realms))
        raise UsageError(f"there is no realm '{realm}'", untouched="nothing was written", hint=f"realms are {listed}")
    folder = tree / "plugins" / plugin.namespace / plugin.name
    require_own_folders(tree, [folder], untouched="nothing was written")
    if os.path.lexists(folder):
        raise ConfigError(
            f"plugin {plugin} exists already",
            subject=str(folder),
            untouched="nothing was written",
            hint="for a new release, raise the version in its release.yaml",
        )
    values: dict[str, Any] = {
        "plugin": plugin,
        "type": kind,
        "kind": _template_of(kind, runtime),
        "keyword": kind,
        "summary": summary or _SUMMARIES.get(kind, f"A plugin of type {kind}"),
        "realm": realm,
        "dependencies": _dependencies(tree, plugin, depends) if kind == "application-suite" else {},
    }
    contents = _plugin_files(values)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{plugin.name}."))
    try:
        for relative, content in contents.items():
            (part / relative).parent.mkdir(parents=True, exist_ok=True)
            (part / relative).write_text(content, encoding="utf-8")
            if content.startswith("#!"):
                (part / relative).chmod(0o755)
        part.chmod(0o755)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Made(folder, tuple(folder / relative for relative in contents))


def _template_of(kind: str, runtime: RuntimeKind | None) -> str:
    """Return the folder of templates for a type and a runtime."""
    own = kind if kind in KNOWN_TYPES else "generic"
    if runtime == "service":
        return "service"
    if runtime in {"process", "native"}:
        return f"runtime-{runtime}"
    return "generic" if runtime == "python" and own == "service" else own


def _checked_type(config: RegistryConfig, plugin_type: str) -> str:
    types = [*KNOWN_TYPES, *map(normalise_type, config.registry.types)]
    kind = normalise_type(plugin_type)
    if kind in types:
        return kind
    close = difflib.get_close_matches(kind, types, n=1, cutoff=0.5)
    raise UsageError(
        f"'{plugin_type}' is not a type of this registry" + (f"; did you mean '{close[0]}'?" if close else ""),
        untouched="nothing was written",
        hint=f"types are {', '.join(types)}; registry.toml can add others",
    )


def _dependencies(tree: Path, suite: PluginId, depends: Mapping[str, str] | None) -> dict[str, str]:
    if depends is not None:
        for wanted in depends.values():
            try:
                parse_range(wanted)
            except ValueError as error:  # noqa: PERF203  # the first wrong option ends it
                raise UsageError(str(error), untouched="nothing was written") from error
        return dict(depends)
    released = load_tree(tree).plugins.values()
    return {
        str(source.id): f"^{next(iter(source.releases))}"
        for source in released
        if source.id.namespace == suite.namespace and source.releases
    }


def _plugin_files(values: dict[str, Any]) -> dict[str, str]:
    contents = {
        "plugin.yaml": _render("plugin/_common/plugin.yaml.j2", values),
        "README.md": _render("plugin/_common/README.md.j2", values),
    }
    of_kind = TEMPLATES / "plugin" / str(values["kind"])
    for template in sorted(of_kind.rglob(f"*{_SUFFIX}")):
        relative = template.relative_to(of_kind).as_posix().removesuffix(_SUFFIX)
        if relative != "usage.md":  # included in README.md
            relative = re.sub(r"\b_name\b", values["plugin"].name, relative)
            contents[relative] = _render(template.relative_to(TEMPLATES).as_posix(), values)
    return contents


def _render(template: str, values: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701  # the result is source text, never HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = lambda value: json.dumps(value, ensure_ascii=False)  # tojson is for HTML
    return environment.get_template(template).render(values)


__all__ = ["RUNTIMES", "TEMPLATES", "Made", "RuntimeKind", "init_tree", "new_plugin"]
