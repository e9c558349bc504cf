"""Versions that aren't semantic: which one each becomes, in an order that is the source's. Pure, but for its reader.

A map is ``numbers``, a rule for dotted numbers, or a file with the source's versions from the oldest to the newest:

    "2024.01" = "1.0.0"
    "spring" = "1.1.0"

    ["plugin_slack_abc123"]      # of one plugin alone
    "r7" = "0.7.0"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from registry_builder.importers.foreign import shown
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.versions import parse_version, same_version_key, version_clash, version_problem

NUMBERS = "numbers"
_DOTTED = re.compile(r"[vV]?(?P<core>[0-9]{1,18}(?:\.[0-9]{1,18}){0,2})(?P<rest>[-+][0-9A-Za-z.+-]+)?", re.ASCII)
_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class VersionMap:
    """What other versions become.

    Attributes:
        everywhere: of all plugins.
        by_plugin: of one plugin, by the source's identifier.
        by_numbers: whether dotted numbers are made semantic: ``1.2`` to 1.2.0, ``v2024.01.02`` to 2024.1.2.
    """

    everywhere: Mapping[str, str] = field(default_factory=dict)
    by_plugin: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    by_numbers: bool = False

    def of(self, plugin: str, version: str) -> str:
        """Return what a version becomes; itself if nothing is said of it."""
        stated = self.by_plugin.get(plugin, {}).get(version, self.everywhere.get(version))
        if stated is not None:
            return stated
        return from_numbers(version) or version if self.by_numbers else version


def from_numbers(version: str) -> str | None:
    """Return dotted numbers as a semantic version of the same order; None for anything else.

    Only up to three numbers: what a fourth should become, nobody can tell without knowing all that come after it.

    >>> from_numbers("v1.2"), from_numbers("2024.01.02"), from_numbers("1.2.3.4"), from_numbers("1.0-rc1")
    ('1.2.0', '2024.1.2', None, '1.0.0-rc1')
    """
    match = _DOTTED.fullmatch(version)
    if match is None:
        return None
    numbers = [int(number) for number in match["core"].split(".")]
    made = ".".join(map(str, [*numbers, 0, 0][:3])) + (match["rest"] or "")
    return made if version_problem(made) is None else None


def read_version_map(argument: str) -> VersionMap:
    """Read ``--version-map``: ``numbers``, ``OLD=NEW`` (several with commas), or a file.

    Raises:
        NotFoundError: there is no such file.
        UsageError: it is not valid, or its order isn't that of the versions; every wrong line is named.
    """
    if argument == NUMBERS:
        return VersionMap(by_numbers=True)
    path = Path(argument)
    if "=" in argument and not path.is_file():
        pairs = [pair.partition("=") for pair in argument.split(",")]
        if twice := [old for number, (old, *_) in enumerate(pairs) if old in {other for other, *_ in pairs[:number]}]:
            raise UsageError(f"has '{shown(twice[0])}' twice", subject=argument, untouched="nothing was imported")
        return _checked(argument, {old: new for old, _, new in pairs}, {})
    if not path.is_file():
        raise NotFoundError(
            "the file of versions does not exist",
            subject=argument,
            untouched="nothing was imported",
            hint=f"write one (OLD = NEW, the oldest first), or give --version-map {NUMBERS} for dotted numbers",
        )
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise UsageError(f"has more than {_MAX_BYTES} bytes", subject=argument, untouched="nothing was imported")
        values = tomlkit.parse(data.removeprefix(b"\xef\xbb\xbf").decode()).unwrap()
    except (UnicodeDecodeError, TOMLKitError) as error:
        raise UsageError(
            f"is not TOML in UTF-8: {error}", subject=argument, untouched="nothing was imported"
        ) from error
    everywhere = {k: v for k, v in values.items() if not isinstance(v, dict)}
    return _checked(argument, everywhere, {k: v for k, v in values.items() if isinstance(v, dict)})


def _checked(
    source: str, everywhere: Mapping[str, object], by_plugin: Mapping[str, Mapping[str, object]]
) -> VersionMap:
    problems = list(_problems("", everywhere))
    for plugin, versions in by_plugin.items():
        problems += _problems(f'["{shown(plugin)}"] ', versions)
    if problems:
        raise UsageError("; ".join(problems), subject=source, untouched="nothing was imported")
    return VersionMap(
        {old: str(new) for old, new in everywhere.items()},
        {plugin: {old: str(new) for old, new in each.items()} for plugin, each in by_plugin.items()},
    )


def _problems(place: str, versions: Mapping[str, object]) -> Iterator[str]:
    before: tuple[str, str] | None = None
    for old, new in versions.items():
        where = f'{place}"{shown(old)}"'
        if not isinstance(new, str):
            yield f'{where}: is not a text such as "1.0.0"'
        elif problem := version_problem(new):
            yield f"{where}: '{shown(new)}' {problem}"
        elif before is not None and not parse_version(before[1]) < parse_version(new):
            yield (
                f'{where}: {new} is not above {before[1]}, which "{shown(before[0])}" became: '
                "write the source's versions from the oldest to the newest, each above the one before"
            )
        else:
            before = (old, new)


def settle(
    plugin: str, versions: Iterable[str], mapping: VersionMap, there: Iterable[str]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return which semantic version each version of a plugin becomes, and those that can't be one, with the reason.

    Two that would be one release, or differ in build metadata alone, can't both be there: what is in the source tree
    stays; else the one without build metadata, else the first.

    Args:
        plugin: the source's identifier.
        versions: in the source's order.
        mapping: of ``--version-map``.
        there: versions that the plugin has in the source tree.
    """
    settled: dict[str, str] = {}
    owners: dict[str, str] = {}
    refused: list[tuple[str, str]] = []
    by_key = {same_version_key(version): version for version in there}
    wanted = list(dict.fromkeys(versions))
    mapped = {old: mapping.of(plugin, old) for old in wanted}
    for old in sorted(wanted, key=lambda old: "+" in mapped[old]):  # stable, so otherwise in the source's order
        new = mapped[old]
        if problem := version_problem(new):
            said = "" if new == old else f" (of --version-map: '{shown(new)}')"
            refused.append((old, f"version: '{shown(old)}'{said} {problem}; or map it with --version-map"))
            continue
        other = by_key.setdefault(same_version_key(new), new)
        if other != new:
            refused.append((old, f"version: {version_clash(new, other)}, or map it with --version-map"))
        elif (first := owners.setdefault(new, old)) != old:
            refused.append((old, f"version: '{shown(old)}' and '{shown(first)}' would both be {new}: map one of them"))
        else:
            settled[old] = new
    return {old: settled[old] for old in wanted if old in settled}, refused


__all__ = ["NUMBERS", "VersionMap", "from_numbers", "read_version_map", "settle"]
