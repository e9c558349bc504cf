"""Lint of a whole source tree: every problem at once, each with its file, its field, what is wrong and the fix.

What can't change any more because it is published isn't checked again, except for whether it is still
the same; so the time of a run depends on what is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from registry_builder.parallel import collector_paused, each_of
from registry_builder.source.attachments import stored_attachment_problem
from registry_builder.source.attestations import AttestationChecks, missing_bundle
from registry_builder.source.lint._dependencies import dependency_problems
from registry_builder.source.lint.artifacts import ArtifactChecks
from registry_builder.source.lint.hub import hub_problems
from registry_builder.source.lint.readme import pending_problems, readme_problems
from registry_builder.source.lint.schemas import SchemaChecks
from registry_builder.source.lint.secrets import document_secrets
from registry_builder.source.private_names import PrivateNames, name_problems, shared_problems
from registry_builder.source.spelling import platform_warnings
from registry_builder.source.tree import Problem, Severity, SourcePlugin, SourceTree
from sealdex.log import Log, stopwatch
from sealdex.model.decode import encode_json
from sealdex.model.ids import KNOWN_TYPES, PluginId, file_name_problem, normalise_type, parse_plugin_id
from sealdex.model.index import IndexDocument
from sealdex.model.plugin import event_problems, last_move
from sealdex.model.release import Release, published_manifest, release_problems
from sealdex.model.versions import same_version_key, version_clash
from sealdex.similar import most_similar

_log = Log("registry_builder.source")

_SHARE = 1_000  # plugins that are worth a process: with their releases, 0.1 s


@collector_paused()
def lint_tree(
    tree: SourceTree,
    *,
    published: Mapping[PluginId, IndexDocument] | None = None,
    check_artifacts: bool = True,
    check_texts: bool = True,
) -> list[Problem]:
    """Return every problem of a source tree, including those of loading, sorted by file.

    Reads the artifacts in the tree that aren't published yet, and nothing else; changes nothing.

    Args:
        tree: a loaded tree. If it isn't complete, dependencies on plugins outside it aren't checked.
        published: the verified index documents of what is published, for immutability; None if not known.
        check_artifacts: whether to read, hash and open local artifacts, which takes time proportional to their size.
        check_texts: whether to check READMEs, and to look for secrets in documents.
    """
    took = stopwatch()
    problems = list(tree.problems)
    names = PrivateNames(tree)
    problems += dependency_problems(tree)
    if tree.complete and check_texts:
        problems += shared_problems(tree, names)
    problems += hub_problems(tree)
    problems += _missing_published(tree, published or {})
    types = {*KNOWN_TYPES, *(normalise_type(t) for t in tree.config.registry.types)}
    artifacts = ArtifactChecks(tree) if check_artifacts else None
    attestations = AttestationChecks(tree.root, tree.config.attestations)

    allowed = tree.config.policy.allow_files

    def of_plugin(plugin: SourcePlugin) -> list[Problem]:
        document = (published or {}).get(plugin.id)
        return [
            *_plugin_problems(tree, plugin, types),
            *pending_problems(plugin, document),
            *(_text_problems(plugin, document, allowed, names) if check_texts else ()),
            *_status_problems(tree, plugin),
            *_attachment_problems(tree, plugin, document, attestations),
            *_missing_bundles(plugin, document, attestations),
            *_releases_problems(plugin, document, artifacts),
        ]

    plugins = list(tree.plugins.values())
    for found in each_of(of_plugin, plugins, at_least=_SHARE):
        problems += found
    schemas = SchemaChecks()
    for plugin in plugins:
        for version in _unpublished(plugin, (published or {}).get(plugin.id)):
            schemas.add(plugin.files[version], plugin.releases[version])
    problems += (Problem(file, where, message) for file, where, message in schemas.problems())
    found_problems = sorted(set(problems))
    _log.info(
        "source.lint",
        "{plugins} plugins looked at ({depth}) in {seconds} s: {problems} problems",
        plugins=len(plugins),
        problems=len(found_problems),
        seconds=took(),
        depth="artifacts included" if check_artifacts else "without artifacts",
    )
    return found_problems


def _text_problems(
    plugin: SourcePlugin, document: IndexDocument | None, allowed: Collection[str], names: PrivateNames
) -> Iterator[Problem]:
    yield from name_problems(plugin, document, names, dependencies=False)
    yield from readme_problems(plugin, document, allowed)
    yield from document_secrets(plugin, document, allowed)


# --- the plugin ------------------------------------------------------------------------------------------------------


def _plugin_problems(tree: SourceTree, plugin: SourcePlugin, types: set[str]) -> Iterator[Problem]:
    about, policy, file = plugin.plugin, tree.config.policy, f"plugins/{plugin.id}/plugin.yaml"
    if normalise_type(about.type) not in types:
        close = most_similar(normalise_type(about.type), sorted(types))
        hint = f"did you mean '{close[0]}'?" if close else f"types are {', '.join(sorted(types))}"
        yield Problem(file, "type", f"'{about.type}' is not a known type; {hint} (registry.toml can add types)")
    if about.realm not in tree.config.realms:
        close = most_similar(about.realm, tree.config.realms)
        hint = f"did you mean '{close[0]}'?" if close else f"realms are {', '.join(sorted(tree.config.realms))}"
        add = f"sealdex-builder realm add {about.realm} --storage PLACE"
        yield Problem(file, "realm", f"'{about.realm}' is not in registry.toml; {hint}; to add it: {add}")
    moved = last_move(plugin.status.events)
    if moved is not None and moved.to_realm != about.realm:
        message = f"is '{about.realm}', but the last event says that the plugin moved to '{moved.to_realm}'"
        yield Problem(file, "realm", f"{message}: sealdex-builder move {plugin.id} --to-realm {moved.to_realm}")
    license_severity: Severity = "error" if policy.require_license else "warning"
    licenses = {"": about.license, **{plugin.files[v]: r.license for v, r in plugin.releases.items()}}
    if about.license is None and not (plugin.releases and all(r.license for r in plugin.releases.values())):
        yield Problem(file, "license", "is missing: write an SPDX expression such as Apache-2.0", license_severity)
    for where, expression in licenses.items():
        if expression is not None and (problem := license_problem(expression)):
            yield Problem(where or file, "license", problem, license_severity)
    if plugin.readme is None and not any(p.file == f"plugins/{plugin.id}/README.md" for p in tree.problems):
        readme_severity: Severity = "error" if policy.require_readme else "warning"
        yield Problem(
            f"plugins/{plugin.id}/README.md",
            "",
            "is missing: describe the plugin and how to use it",
            readme_severity,
        )


@lru_cache(maxsize=1024)
def license_problem(expression: str) -> str | None:
    """Return why a string is not an SPDX license expression, or None if it is one."""
    try:
        canonical = canonicalize_license_expression(expression)
    except InvalidLicenseExpression:
        return f"'{expression}' is not an SPDX expression: write e.g. Apache-2.0, MIT OR Apache-2.0, LicenseRef-Acme"
    return None if canonical == expression else f"'{expression}' must be written '{canonical}' in SPDX"


def _status_problems(tree: SourceTree, plugin: SourcePlugin) -> Iterator[Problem]:
    for i, name, message in event_problems(plugin.status.events):
        yield Problem(*plugin.event_place(i, name), message)
    for i, event in enumerate(plugin.status.events):
        if (
            event.version is not None
            and event.version not in plugin.releases
            and not _failed(tree, plugin, event.version)
        ):
            close = most_similar(event.version, plugin.releases)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Problem(*plugin.event_place(i, "version"), f"there is no release {event.version}{hint}")
        if event.use is not None and tree.complete and (successor := _parsed_id(event.use)) is not None:
            if successor == plugin.id:
                yield Problem(*plugin.event_place(i, "use"), "names the plugin itself")
            elif successor not in tree.plugins:
                message = f"there is no plugin {event.use} in this registry"
                yield Problem(*plugin.event_place(i, "use"), message, "warning")


def _attachment_problems(
    tree: SourceTree, plugin: SourcePlugin, document: IndexDocument | None, attestations: AttestationChecks
) -> Iterator[Problem]:
    """Yield attachments that aren't published yet and don't match their events, or don't verify."""
    there = {(r.version, a.name): a.sha256 for r in document.releases for a in r.attachments} if document else {}
    for i, event in enumerate(plugin.status.events):
        if event.name is None or event.version is None or event.url is not None or event.sha256 is None:
            continue
        if there.get((event.version, event.name)) == event.sha256 or file_name_problem(event.name):
            continue
        allowed, notes = tree.config.policy.allow_files, list[str]()
        problem = stored_attachment_problem(
            tree.root, plugin.folder, event.version, event.name, event.sha256, allowed, notes
        )
        yield from (Problem(*plugin.event_place(i, "name"), note, "warning") for note in notes)
        if problem is None and event.kind == "sigstore-bundle":
            problem = attestations.problem(plugin, event.version, event.name)
            if not attestations.is_judged(plugin.id.namespace):
                message = (
                    f"{event.name} is not verified: registry.toml accepts no Sigstore identity for "
                    f"{plugin.id.namespace}; add [[attestations.accept]]"
                )
                yield Problem(*plugin.event_place(i, "name"), message, "warning")
        if problem is not None:
            yield Problem(*plugin.event_place(i, "name"), problem)


def _missing_bundles(
    plugin: SourcePlugin, document: IndexDocument | None, attestations: AttestationChecks
) -> Iterator[Problem]:
    """Yield artifacts that aren't published yet and lack a required Sigstore bundle."""
    there = {release.version for release in document.releases} if document is not None else set()
    for version in plugin.releases:
        if version not in there:
            for sha256 in attestations.uncovered(plugin, version):
                yield Problem(plugin.files[version], "artifacts", missing_bundle(plugin, version, sha256))


def _parsed_id(text: str) -> PluginId | None:
    try:
        return parse_plugin_id(text)
    except ValueError:
        return None


def _failed(tree: SourceTree, plugin: SourcePlugin, version: str) -> bool:
    """Return whether the release's file exists but didn't load, which is reported elsewhere."""
    stem = f"plugins/{plugin.id}/releases/{version}."
    return any(problem.file.startswith(stem) for problem in tree.problems)


# --- releases --------------------------------------------------------------------------------------------------------


def _releases_problems(
    plugin: SourcePlugin, document: IndexDocument | None, artifacts: ArtifactChecks | None
) -> Iterator[Problem]:
    pins = {entry.version: entry.manifest.sha256 for entry in document.releases} if document is not None else {}
    yield from _version_clashes(plugin, pins)
    for version, release in plugin.releases.items():
        file = plugin.files[version]
        if (pin := pins.get(version)) is not None:
            if manifest_sha256(plugin.id, release) != pin:
                yield Problem(
                    file,
                    "",
                    f"differs from {plugin.id} {version} as published, and a published release never changes: "
                    "restore the file, and put the change into a new version",
                )
            continue
        for where, message in release_problems(release):
            yield Problem(file, where, message)
        for where, message in platform_warnings(release):
            yield Problem(file, where, message, "warning")
        if not release.artifacts and not release.dependencies:
            yield Problem(file, "artifacts", "is empty, and so is dependencies: there is nothing to install", "warning")
        if artifacts is not None:
            for found in artifacts.problems(plugin.id, release):
                yield Problem(file, found.where, found.message, found.severity)


def _version_clashes(plugin: SourcePlugin, published: Collection[str]) -> Iterator[Problem]:
    """Yield versions that can't coexist: an error for what isn't published yet, else a warning."""
    first: dict[str, str] = {}
    for version in sorted({*plugin.releases, *published}, key=lambda v: (v not in published, v)):
        other = first.setdefault(same_version_key(version), version)
        if other != version and version in plugin.releases:
            severity: Severity = "warning" if version in published else "error"
            yield Problem(plugin.files[version], "version", version_clash(version, other), severity)


def _unpublished(plugin: SourcePlugin, document: IndexDocument | None) -> list[str]:
    published = {entry.version for entry in document.releases} if document is not None else set()
    return [version for version in plugin.releases if version not in published]


def manifest_sha256(plugin: PluginId, release: Release) -> str:
    """Return the digest of a release's manifest as it is published."""
    return hashlib.sha256(encode_json(published_manifest(plugin.namespace, plugin.name, release))).hexdigest()


def _missing_published(tree: SourceTree, published: Mapping[PluginId, IndexDocument]) -> Iterator[Problem]:
    """Yield what is published but missing from the tree: it stays published, so this is a warning."""
    for plugin_id, document in published.items():
        folder = f"plugins/{plugin_id}"
        plugin = tree.plugins.get(plugin_id)
        if plugin is None:
            if tree.complete and not any(problem.file.startswith(f"{folder}/") for problem in tree.problems):
                message = (
                    "is published but missing from the source tree. It stays published: restore it; to retire it, "
                    f"restore it and run: sealdex-builder deprecate {plugin_id}"
                )
                yield Problem(folder, "", message, "warning")
            continue
        for entry in document.releases:
            if entry.version not in plugin.releases and not _failed(tree, plugin, entry.version):
                message = (
                    "is published but missing from the source tree. It stays published: restore it; to take it out of "
                    f"use, restore it and run: sealdex-builder yank {plugin_id}@{entry.version}"
                )
                yield Problem(f"{folder}/releases/{entry.version}.json", "", message, "warning")


__all__ = ["license_problem", "lint_tree", "manifest_sha256"]
