"""Which platforms a release has artifacts for, as a table of systems and architectures. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from registry_builder.site._format import format_size, plain_label_values, system_name
from registry_builder.site._words import ENGLISH_WORDS, Words
from sealdex.model.index import ArtifactEntry, ReleaseEntry

_ANY = "any"
_ORDER = ("linux", "darwin", "windows")
_MAX_SIDE = 16


@dataclass(frozen=True)
class Matrix:
    """Systems by architectures; a cell is the artifact's size, or None if there is none."""

    systems: tuple[str, ...]
    machines: tuple[str, ...]
    cells: tuple[tuple[str | None, ...], ...]
    any_system: bool = False
    any_machine: bool = False

    @property
    def is_any(self) -> bool:
        """Whether the release runs anywhere, as far as system and architecture go."""
        return self.any_system and len(self.systems) == 1 and self.any_machine and len(self.machines) == 1


def platform_matrix(release: ReleaseEntry, words: Words = ENGLISH_WORDS) -> Matrix | None:
    """Return the platforms of a release; None if it has no artifacts, such as an application suite."""
    if not release.artifacts:
        return None
    cells: dict[tuple[str, str], str] = {}
    for artifact in release.artifacts:
        for system in _values(release, artifact, "os"):
            for machine in _values(release, artifact, "arch"):
                cells.setdefault(
                    (system, machine), format_size(artifact.size, words) if artifact.size else words.say("yes")
                )
    systems = sorted({system for system, _ in cells}, key=_system_order)[:_MAX_SIDE]
    machines = sorted({machine for _, machine in cells})[:_MAX_SIDE]
    return Matrix(
        tuple(words.say("Any system") if system == _ANY else system_name(system) for system in systems),
        tuple(words.say("any architecture") if machine == _ANY else machine for machine in machines),
        tuple(tuple(cells.get((system, machine)) for machine in machines) for system in systems),
        any_system=_ANY in systems,
        any_machine=_ANY in machines,
    )


def platform_names(release: ReleaseEntry) -> tuple[str, ...]:
    """Return the systems that a release has artifacts for; empty if any will do."""
    found = {value for artifact in release.artifacts for value in _values(release, artifact, "os")}
    return () if _ANY in found else tuple(system_name(value) for value in sorted(found, key=_system_order))


def _values(release: ReleaseEntry, artifact: ArtifactEntry, label: str) -> tuple[str, ...]:
    own = plain_label_values(artifact.selector, label)
    return own or plain_label_values(release.selector, label) or (_ANY,)


def _system_order(value: str) -> tuple[int, str]:
    return (_ORDER.index(value) if value in _ORDER else len(_ORDER), value)
