"""Reads the index of a Helm chart repository: ``index.yaml``, saved or at its address. Charts stay archives.

Charts in a container registry (``oci://``) are fetched by the digest of their layer, and copied: a tag may be moved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from registry_builder.importers._reading import (
    MAX_EXPORT_BYTES,
    export_bytes,
    in_utf8,
    list_of,
    strict_json,
    text_of,
    utc,
)
from registry_builder.importers.addresses import unstable_address
from registry_builder.importers.container_registry import ContainerRegistries, image_of
from registry_builder.importers.foreign import (
    ForeignAttachment,
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    RemoteFile,
    SourceError,
    keywords,
    present,
    shown,
    summary_of,
    unknown_fields,
    web_address,
)
from registry_builder.source.yaml12 import YamlError, read_yaml
from sealdex.errors import UsageError
from sealdex.model.versions import parse_version, version_problem
from sealdex.transport import Transport

SYSTEM = "helm"
TYPE = "helm-chart"
_HUB = "artifacthub.io/"
KNOWN = frozenset({
    "apiVersion", "name", "version", "description", "home", "sources", "keywords", "maintainers", "icon", "urls",
    "digest", "created", "deprecated", "removed",
})  # fmt: skip
_MAX_VALUES = 10_000_000  # a chart of every day for years has a hundred values a version
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_DIGEST = re.compile(r"(?:sha256:)?(?P<digest>[0-9a-fA-F]{64})")


def read_helm(source: str, transport: Transport, registries: ContainerRegistries, *, base: str | None = None) -> Found:
    """Read an index.

    Args:
        source: a file, or the address of a repository or of its ``index.yaml``.
        transport: what asks addresses.
        registries: what asks container registries.
        base: the repository's address, which addresses of charts in a saved index are relative to.

    Raises:
        NotFoundError: there is no such file. UnavailableError: it doesn't answer. UsageError: it isn't an index.
    """
    if source.startswith(("http://", "https://")):
        url = source if source.endswith((".yaml", ".yml", ".json")) else f"{source.rstrip('/')}/index.yaml"
        data = in_utf8(transport.read(url, max_bytes=MAX_EXPORT_BYTES).data, "index.yaml", url)
        base, shown_name = base or url, "index.yaml"
    else:
        data, shown_name = export_bytes(Path(source)), Path(source).name
    base = f"{base.rstrip('/')}/" if base is not None and not base.endswith((".yaml", ".yml", ".json")) else base
    try:
        values = (
            strict_json(data)
            if data.lstrip()[:1] == b"{"
            else read_yaml(data, max_nodes=_MAX_VALUES, numbers_as_text=True)
        )
    except (SourceError, YamlError) as error:
        raise UsageError(str(error), subject=source, untouched="nothing was imported") from error
    entries = values.get("entries") if isinstance(values, dict) else None
    if not isinstance(entries, dict):
        raise UsageError(
            "is not an index of charts: it has no 'entries'", subject=source, untouched="nothing was imported"
        )
    found = Found()
    for name, charts in entries.items():
        if not isinstance(charts, list):
            found.refuse(f"{shown_name}: entries.{shown(name)}", name, None, "is not a list of charts")
            continue
        for number, chart in enumerate(charts):
            found.entries += 1
            place = f"{shown_name}: entries.{shown(name)}[{number}]"
            try:
                if not isinstance(chart, dict):
                    raise SourceError("is not a chart")  # noqa: TRY301  # one place lists them
                found.releases.append(_chart(str(name), chart, place, base, registries))
            except SourceError as error:
                version = chart.get("version") if isinstance(chart, dict) else None
                found.refuse(place, name, version, str(error).split("\n"))
        valid = [chart for chart in charts if isinstance(chart, dict)]
        if valid:
            found.plugins[str(name)] = _plugin(str(name), _newest(valid))
    return found


def _newest(charts: list[dict[str, Any]]) -> dict[str, Any]:
    semantic = [c for c in charts if isinstance(c.get("version"), str) and version_problem(c["version"]) is None]
    return max(semantic, key=lambda c: parse_version(c["version"])) if semantic else charts[0]


def _chart(
    name: str, chart: dict[str, Any], place: str, base: str | None, registries: ContainerRegistries
) -> ForeignRelease:
    problems: list[str] = []
    version = text_of(chart, "version", problems, required=True) or ""
    if chart.get("name", name) != name:
        problems.append(f"name: is '{shown(chart.get('name'))}', but it is listed below '{shown(name)}'")
    fields: dict[str, Any] = {
        "description": text_of(chart, "description", problems),
        "homepage": text_of(chart, "home", problems),
        "authors": [
            str(m["name"]) for m in list_of(chart, "maintainers", problems) if isinstance(m, dict) and m.get("name")
        ],
        "license": _annotations(chart).get(f"{_HUB}license"),
    }
    if chart.get("created") is not None:
        try:
            fields["released_at"] = utc(chart["created"], "created")
        except SourceError as error:
            problems.append(str(error))
    digest = chart.get("digest")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if digest not in (None, "") and match is None:
        problems.append(f"digest: is '{shown(digest)}', not a SHA-256 digest")
    urls = [url for url in list_of(chart, "urls", problems) if isinstance(url, str) and url]
    if not urls:
        problems.append("urls: is empty: there is nothing to install")
    words, left = keywords(chart.get("keywords"), "keywords")
    del words
    file: ForeignFile | None = None
    if urls and not problems:
        file = _file(name, version, urls[0], match["digest"].lower() if match else None, base, registries)
    if problems:
        raise SourceError("\n".join(problems))
    record = dict(unknown_fields(chart, KNOWN))
    if urls[1:]:
        record["urls"] = urls[1:]
    attachments: tuple[ForeignAttachment, ...] = ()
    if file is not None and f"{_HUB}signKey" in _annotations(chart) and isinstance(file.origin, RemoteFile):
        attachments = (
            ForeignAttachment(RemoteFile(f"{file.origin.url}.prov"), f"{name}-{version}.tgz.prov", "helm-prov"),
        )
    return ForeignRelease(
        plugin=name,
        version=version,
        place=place,
        fields=present(fields),
        files=(file,) if file is not None else (),
        named={"homepage": "home", "authors": "maintainers", "released_at": "created"},
        yanked="removed from the repository" if chart.get("removed") is True else None,
        attachments=attachments,
        record=record,
        left_out=tuple(left),
    )


def _annotations(chart: Mapping[str, Any]) -> dict[str, Any]:
    found = chart.get("annotations")
    return found if isinstance(found, dict) else {}


def _file(
    name: str, version: str, url: str, digest: str | None, base: str | None, registries: ContainerRegistries
) -> ForeignFile:
    digests = {"sha256": digest} if digest is not None else {}
    file_name = f"{name}-{version}.tgz"
    if url.startswith("oci://"):
        blob = _blob(url, version, digest, registries)
        return ForeignFile(
            RemoteFile(blob[0]),
            name=file_name,
            digests={"sha256": blob[1]},
            fields={"format": "tar.gz"},
            unstable=unstable_address("oci:") or "",
        )
    if not url.startswith(("http://", "https://")):
        if base is None:
            raise SourceError(f"urls[0]: '{shown(url)}' is relative to the repository: give --url https://...")
        url = _joined(base, url)
    # an address may end otherwise than the archive that is behind it
    fields = {} if url.split("?", 1)[0].endswith((".tgz", ".tar.gz")) else {"format": "tar.gz"}
    return ForeignFile(RemoteFile(url), name=file_name, digests=digests, fields=fields)


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError as error:
        raise SourceError(f"urls[0]: '{shown(url)}' is not an address") from error


def _blob(url: str, version: str, digest: str | None, registries: ContainerRegistries) -> tuple[str, str]:
    """Return address and SHA-256 of a chart in a container registry."""
    try:
        image = image_of(url, version.replace("+", "_"))
        if digest is None:
            digest = _layer(url, registries.manifest(image, _MANIFEST))
    except SourceError as error:
        raise SourceError(f"urls[0]: {error}") from error
    return f"{image.root}/blobs/sha256:{digest}", digest


def _layer(url: str, manifest: Mapping[str, Any]) -> str:
    layers = manifest.get("layers")
    charts = [
        layer["digest"]
        for layer in (layers if isinstance(layers, list) else [])
        if isinstance(layer, dict) and layer.get("mediaType") == _CHART_LAYER and isinstance(layer.get("digest"), str)
    ]
    match = _DIGEST.fullmatch(charts[0]) if len(charts) == 1 else None
    if match is None:
        raise SourceError(f"'{shown(url)}' is not a chart: its manifest has no layer of one")
    return match["digest"].lower()


def _plugin(name: str, chart: Mapping[str, Any]) -> ForeignPlugin:
    sources = chart.get("sources")
    maintainers = chart.get("maintainers")
    words, _ = keywords(chart.get("keywords"), "keywords")
    owners = [
        present({"name": str(m["name"])[:128], "email": m.get("email") if isinstance(m.get("email"), str) else None})
        for m in (maintainers if isinstance(maintainers, list) else [])
        if isinstance(m, dict) and m.get("name")
    ]
    repository = next((web_address(s) for s in (sources if isinstance(sources, list) else []) if web_address(s)), None)
    license_ = _annotations(chart).get(f"{_HUB}license")
    return ForeignPlugin(
        name,
        (name,),
        {
            "type": TYPE,
            "summary": summary_of(chart.get("description"), name),
            "license": license_ if isinstance(license_, str) else None,
            "keywords": words,
            "owners": owners,
            "homepage": web_address(chart.get("home")),
            "repository": repository,
            "icon": web_address(chart.get("icon")),
        },
        readme=str(chart.get("description") or ""),
        deprecated="the chart is deprecated" if chart.get("deprecated") is True else None,
    )


__all__ = ["KNOWN", "SYSTEM", "TYPE", "read_helm"]
