"""Which installations ``sealdex list`` shows: by name, namespace, type and status. Imports little."""

from __future__ import annotations

from fnmatch import fnmatchcase

from sealdex.store.plugin_status import STATUS_WORDS

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sealdex.store.installations import Installation
    from sealdex.store.plugin_status import Status

STATES = (*STATUS_WORDS, "pinned", "yanked", "damaged")
"""What ``--status`` takes; the first three are those of a plugin, and count for its version in use."""


class ListFilter:
    """What was asked for; each criterion that is empty accepts everything.

    Args:
        names: ``NS/NAME``, ``NAME`` or patterns such as ``acme/*``, each with ``@VERSION`` if wanted.
        namespaces: namespaces, or patterns such as ``team-*``.
        states: of `STATES`.
        types: accepts the plugins of this mapping, as (namespace, name); None: every type.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        namespaces: Iterable[str] = (),
        states: Iterable[str] = (),
        types: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self._names = [(name, *_parts(name)) for name in names]
        self._namespaces = tuple(namespaces)
        self._states = frozenset(states)
        self._types = types
        self._seen: set[str] = set()

    def admits(self, installation: Installation, status: Status, *, is_current: bool, is_yanked: bool) -> bool:
        """Return whether an installation is shown; ``status`` is that of its plugin."""
        number, _, pin = status
        states = {STATUS_WORDS[number]} if is_current else set()
        states |= {"pinned"} if pin == installation.version else set()
        states |= {"yanked"} if is_yanked else set()
        return self.admits_release(*installation.id, installation.version, states)

    def admits_release(self, namespace: str, name: str, version: str, states: Iterable[str]) -> bool:
        """Return whether a version is shown that has these of `STATES`."""
        if self._names:
            matching = [given for given, wanted, of in self._names if _fits(wanted, of, namespace, name, version)]
            self._seen.update(matching)
            if not matching:
                return False
        return (
            (not self._namespaces or any(fnmatchcase(namespace, pattern) for pattern in self._namespaces))
            and (not self._states or not self._states.isdisjoint(states))
            and (self._types is None or (namespace, name) in self._types)
        )

    def unseen(self) -> list[str]:
        """Return the names that nothing had which was asked about so far."""
        return [given for given, _, _ in self._names if given not in self._seen]


def _parts(name: str) -> tuple[str, str]:
    wanted, _, version = name.partition("@")
    return wanted, version


def _fits(wanted: str, of: str, namespace: str, name: str, version: str) -> bool:
    full = f"{namespace}/{name}" if "/" in wanted else name
    return fnmatchcase(full, wanted) and (not of or fnmatchcase(version, of))
