"""Writes the plugins of a synthetic source tree, the same for the same numbers.

Its shape is that of the kubectl plugin index (412 plugins, 5,051 versions, 20,647 artifacts): how releases spread over
plugins, artifacts over releases, which platforms, how long the texts are, how many releases map files or have caveats.
The artifacts are addresses under ``downloads.example`` with digests of nothing: there are no bytes behind them.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sealdex.model.catalog import CatalogRow

PLUGINS_PER_NAMESPACE = 50

# Quantiles of the index at the points below, for the number of versions of a plugin and for lengths in characters.
_POINTS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_VERSIONS = (1, 1, 1, 4, 12, 27, 127, 291)
_DESCRIPTION = (0, 85, 131, 289, 532, 1187, 1340, 1571)
_CAVEATS = (17, 64, 105, 157, 258, 535, 591, 813)
_SUMMARY = (14, 31, 38, 43, 49, 54, 78, 107)
# How many releases of the index have 1, 2, ... 9 artifacts, and the platforms in order of how common they are.
_ARTIFACTS = (365, 556, 864, 830, 1520, 797, 78, 39, 2)
_PLATFORMS = (
    ("linux", "amd64"),
    ("darwin", "amd64"),
    ("windows", "amd64"),
    ("darwin", "arm64"),
    ("linux", "arm64"),
    ("linux", "arm"),
    ("windows", "arm64"),
    ("linux", "386"),
    ("windows", "386"),
)
_CAVEATS_SHARE = 0.37
_FILES_SHARE = 0.57

_WORDS = [
    "access",
    "audit",
    "backup",
    "cache",
    "cert",
    "cluster",
    "config",
    "context",
    "cost",
    "debug",
    "deploy",
    "diff",
    "drain",
    "events",
    "export",
    "fleet",
    "graph",
    "helm",
    "image",
    "ingress",
    "inspect",
    "job",
    "label",
    "lineage",
    "log",
    "matrix",
    "mesh",
    "metrics",
    "migrate",
    "namespace",
    "neat",
    "network",
    "node",
    "operator",
    "pod",
    "policy",
    "proxy",
    "prune",
    "quota",
    "rbac",
    "replica",
    "resource",
    "restart",
    "role",
    "scan",
    "score",
    "secret",
    "service",
    "shell",
    "sniff",
    "sort",
    "status",
    "storage",
    "sync",
    "tail",
    "top",
    "trace",
    "tree",
    "tunnel",
    "usage",
    "user",
    "view",
    "volume",
    "watch",
    "who",
]  # a list of 66 literals is harder to read


def release_counts(plugins: int, releases: int) -> list[int]:
    """Return how many releases each plugin has: at least one, spread as in the index, adding up to ``releases``.

    Raises:
        ValueError: fewer releases than plugins.
    """
    if releases < plugins:
        raise ValueError(f"{plugins} plugins need as many releases at least, not {releases}")
    random_ = random.Random(f"releases {plugins} {releases}")
    weights = [_quantile(_VERSIONS, random_.random()) for _ in range(plugins)]
    cumulative = list(itertools.accumulate(weights))
    # each plugin has one release; the others go by weight, rounded so that they add up
    spare = releases - plugins
    ends = [round(spare * end / cumulative[-1]) for end in cumulative]
    return [1 + end - start for start, end in zip([0, *ends], ends, strict=False)]


def plugin_name(number: int) -> tuple[str, str]:
    """Return namespace and name of a plugin."""
    word = _WORDS[number % len(_WORDS)]
    other = _WORDS[number * 7 // len(_WORDS) % len(_WORDS)]
    return f"team-{number // PLUGINS_PER_NAMESPACE:04d}", f"{word}-{other}-{number}"


def version_name(number: int) -> str:
    """Return the version of a plugin's release ``number``, which counts from 0."""
    return f"{1 + number // 40}.{number // 4 % 10}.{number % 4}"


def write_plugins(root: Path, plugins: int, releases: int) -> None:
    """Write a source tree's plugins with all their releases; ``root`` holds ``registry.toml``."""
    for number, count in enumerate(release_counts(plugins, releases)):
        namespace, name = plugin_name(number)
        folder = root / "plugins" / namespace / name
        (folder / "releases").mkdir(parents=True)
        (folder / "plugin.yaml").write_text(_plugin_yaml(number))
        for release in range(count):
            _write_release(folder, number, release)


def write_next_release(root: Path, number: int) -> tuple[str, str]:
    """Write one release more of a plugin, and return (``namespace/name``, version)."""
    namespace, name = plugin_name(number)
    folder = root / "plugins" / namespace / name
    release = len(list((folder / "releases").iterdir()))
    _write_release(folder, number, release)
    return f"{namespace}/{name}", version_name(release)


def release_values(number: int, release: int) -> dict[str, Any]:
    """Return the manifest of one release as plain values."""
    random_ = random.Random(f"release {number} {release}")
    namespace, name = plugin_name(number)
    version = version_name(release)
    count = random_.choices(range(1, len(_ARTIFACTS) + 1), _ARTIFACTS)[0]
    values: dict[str, Any] = {
        "format": 1,
        "version": version,
        "released_at": f"20{18 + release % 8:02d}-{1 + number % 12:02d}-{1 + number % 28:02d}T12:00:00Z",
        "description": _text(random_, _DESCRIPTION),
        "homepage": f"https://code.example/{namespace}/{name}",
        "artifacts": list(_artifacts(random_, namespace, name, version, count)),
    }
    if random_.random() < _CAVEATS_SHARE:
        values["caveats"] = _text(random_, _CAVEATS)
    return values


def _artifacts(random_: random.Random, namespace: str, name: str, version: str, count: int) -> Iterator[dict[str, Any]]:
    mapped = random_.random() < _FILES_SHARE
    for system, arch in _PLATFORMS[:count]:
        file = f"{name}_v{version}_{system}_{arch}.tar.gz"
        program = f"{name}.exe" if system == "windows" else name
        artifact: dict[str, Any] = {
            "source": f"https://downloads.example/{namespace}/{name}/releases/download/v{version}/{file}",
            "sha256": hashlib.sha256(file.encode()).hexdigest(),
            "size": random_.randrange(2**20, 2**25),
            "selector": {"match_labels": {"arch": arch, "os": system}},
            "bin": program,
        }
        if mapped:
            artifact["files"] = [{"from": program, "to": "."}, {"from": "LICENSE", "to": "."}]
        yield artifact


def _write_release(folder: Path, number: int, release: int) -> None:
    data = msgspec.json.format(msgspec.json.encode(release_values(number, release)), indent=2)
    (folder / "releases" / f"{version_name(release)}.json").write_bytes(data + b"\n")


def plugin_values(number: int) -> tuple[str, list[str]]:
    """Return summary and keywords of a plugin."""
    random_ = random.Random(f"plugin {number}")
    keywords = sorted(random_.sample(_WORDS, random_.randrange(4)))
    return _text(random_, _SUMMARY).capitalize(), keywords


def catalog_row(number: int) -> CatalogRow:
    """Return the row that the catalog has of a plugin with one release."""
    namespace, name = plugin_name(number)
    summary, keywords = plugin_values(number)
    count = random.Random(f"release {number} 0").choices(range(1, len(_ARTIFACTS) + 1), _ARTIFACTS)[0]
    systems, machines = zip(*_PLATFORMS[:count], strict=True)
    return CatalogRow(
        namespace=namespace,
        name=name,
        type="build",
        summary=summary,
        latest=version_name(0),
        updated_at=f"2018-{1 + number % 12:02d}-{1 + number % 28:02d}T12:00:00Z",
        license="Apache-2.0",
        keywords=tuple(keywords),
        labels={"arch": tuple(sorted(set(machines))), "os": tuple(sorted(set(systems)))},
        channels={"stable": version_name(0)},
        releases=1,
    )


def _plugin_yaml(number: int) -> str:
    namespace, name = plugin_name(number)
    summary, keywords = plugin_values(number)
    return (
        "type: build\n"
        f"summary: {summary}\n"
        "license: Apache-2.0\n"
        f"keywords: [{', '.join(keywords)}]\n"
        f"owners:\n  - name: {namespace}\n"
        f"homepage: https://code.example/{namespace}/{name}\n"
    )


def _text(random_: random.Random, lengths: Sequence[int]) -> str:
    length = max(1, round(_quantile(lengths, random_.random())))
    words = random_.choices(_WORDS, k=length // 4 + 1)
    return " ".join(words)[:length].strip()


def _quantile(values: Sequence[int], point: float) -> float:
    """Interpolate between the quantiles at `_POINTS`."""
    right = min(bisect.bisect_right(_POINTS, point), len(_POINTS) - 1)
    low, high = _POINTS[right - 1], _POINTS[right]
    return values[right - 1] + (values[right] - values[right - 1]) * (point - low) / (high - low)
