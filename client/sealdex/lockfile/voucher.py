"""Who vouches for each plugin of a lock: its registry or, where that can't be asked, the lock alone.

    the namespace belongs to    and that registry                   then                                  fetched
    --------------------------  ----------------------------------  ------------------------------------  -------
    a registry                  signs the same                      the registry vouches                  yes
    a registry                  signs something else                refused, nothing is installed         -
    a registry                  doesn't have the plugin or release  refused, nothing is installed         -
    a registry                  sends what doesn't verify           refused, nothing is installed         -
    a registry                  can't be asked; what was verified   refused, nothing is installed         -
                                last is something else
    a registry                  can't be asked                      the lock vouches                      never
    no registry                 -                                   the lock vouches                      never

Each plugin has a line of its own: that one can't be asked about changes nothing for the others. What only the lock
vouches for is taken from the cache or from among the preinstalled archives, where its digest was verified before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sealdex.download.preinstalled import Builtin
from sealdex.errors import NoRegistryError, NotFoundError, SealdexError, UnavailableError
from sealdex.lockfile._signed_check import agreed, same_pins
from sealdex.lockfile.lock_file import read_lock
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.model.plugin import Mark
from sealdex.queries import RegistryQueries
from sealdex.resolve import Choice
from sealdex.results import Trust

BY_LOCK = "sealdex.lock"
"""Stands in receipts as what vouched for an installation when no registry could be asked."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """What may be installed of one plugin.

    Attributes:
        choice: as locked, with what the registry adds to it.
        trust: on whose word.
        yanked: why the release was taken back since, if it was.
        unasked: why its registry couldn't be asked; None where the registry vouches.
    """

    choice: Choice
    trust: Trust
    yanked: Mark | None = None
    unasked: UnavailableError | NoRegistryError | None = None


class Voucher:
    """Asks about the plugins of a lock, about each once.

    Args:
        queries: asks the registries.
        builtin: the folder of preinstalled archives.
        registries: the registry that each plugin was locked from, for receipts.
        here: the environment that artifacts are chosen for.
        fallback: whether the lock may vouch alone.
    """

    def __init__(
        self,
        queries: RegistryQueries,
        builtin: Builtin,
        registries: Mapping[PluginId, str],
        here: Environment,
        *,
        fallback: bool,
    ) -> None:
        self._queries = queries
        self._builtin = builtin
        self._registries = registries
        self._here = here
        self._fallback = fallback
        self.found: dict[PluginId, Vouched] = {}

    def vouch(self, choices: Iterable[Choice]) -> dict[PluginId, Vouched]:
        """Return what may be installed of each of these; all of `found` are those asked for so far.

        Raises:
            NotFoundError, VerificationError: a registry has no such release, or signs something else.
            UnavailableError, NoRegistryError: one can't be asked and the lock may not vouch: it isn't to, or it is a
                container image, of which this host has nothing to compare.
        """
        wanted = list(choices)
        asking = [choice for choice in wanted if choice.plugin not in self.found]
        # what isn't downloaded here is never in place either: what was verified last spares a request each time
        self.found.update({c.plugin: known for c in asking if not _is_file(c) and (known := self._known(c))})
        asking = [choice for choice in asking if choice.plugin not in self.found]
        if asking:
            answers = self._queries.answers([choice.plugin for choice in asking])
            self.found.update({choice.plugin: self._judged(choice, answers[choice.plugin]) for choice in asking})
        return {choice.plugin: self.found[choice.plugin] for choice in wanted}

    @property
    def unasked(self) -> dict[PluginId, UnavailableError | NoRegistryError]:
        """Why the registry of each plugin that only the lock vouches for couldn't be asked."""
        return {plugin: each.unasked for plugin, each in self.found.items() if each.unasked is not None}

    def _judged(self, choice: Choice, answer: IndexDocument | UnavailableError | NoRegistryError | None) -> Vouched:
        if not isinstance(answer, SealdexError):
            same, signed = agreed(choice, answer, self._here)
            return Vouched(same, self._queries.trust(choice.plugin), signed.yanked)
        if not self._fallback:
            raise answer
        yanked = None if (known := self._known(choice)) is None else known.yanked
        if choice.artifact is not None and not _is_file(choice) and not self._is_preinstalled(choice):
            raise answer.restated(
                untouched=f"nothing was installed, and nobody but the lock vouches for the container image of {choice}"
            ) from answer
        return Vouched(choice, Trust(self._registries[choice.plugin], BY_LOCK, None), yanked, answer)

    def _known(self, choice: Choice) -> Vouched | None:
        """Compare with what was verified last, if that still can be; None where it says nothing of the release.

        Raises:
            VerificationError: it is something else than what is locked.
        """
        known = self._queries.known(choice.plugin)
        if known is None or known.document.release(choice.release.version) is None:
            return None
        same, signed = agreed(choice, known.document, self._here)
        return Vouched(same, known.trust, signed.yanked)

    def _is_preinstalled(self, choice: Choice) -> bool:
        """Say whether who put the preinstalled archives there vouches for the same release."""
        try:
            block = read_lock(self._builtin.lock).by_id.get(choice.plugin)
        except NotFoundError:
            return False
        return (
            block is not None and block.version == choice.release.version and same_pins(block.release, choice.release)
        )


def _is_file(choice: Choice) -> bool:
    return choice.artifact is not None and choice.artifact.format != "oci"


def in_words(unasked: Mapping[PluginId, SealdexError], among: Sequence[object]) -> str:
    """Say why only a lock vouches for these plugins, ``among`` all that there are."""
    why = "; ".join(dict.fromkeys(error.message for error in unasked.values()))
    if len(unasked) == len(among):
        return f"no registry could be asked, so only the lock vouches for what was installed: {why}"
    names = ", ".join(map(str, unasked))
    return f"no registry could be asked about {names}, so only the lock vouches for what was installed of it: {why}"


__all__ = ["BY_LOCK", "Vouched", "Voucher", "in_words"]
