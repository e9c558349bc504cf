"""Decides for each plugin of a lock what is trusted: its registry or, if that is unreachable, the lock alone.

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

Each plugin is decided separately: an unreachable registry doesn't affect plugins of others. What only the lock vouches
for is taken from the cache or the preinstalled archives and compared with the lock's digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

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
"""In receipts, says that the lock was trusted because no registry could be reached."""


class Vouched(Struct, frozen=True):
    """What may be installed of one plugin.

    Attributes:
        choice: the locked release, with what the registry adds to it.
        trust: which registry and role signed it, or the lock.
        yanked: why the release was yanked, if it was.
        unasked: why its registry couldn't be reached; None if the registry vouches.
    """

    choice: Choice
    trust: Trust
    yanked: Mark | None = None
    unasked: UnavailableError | NoRegistryError | None = None


class Voucher:
    """Checks the plugins of a lock with their registries, each once.

    Args:
        queries: for the registries.
        builtin: the folder of preinstalled archives.
        registries: the registry that each plugin was locked from, for receipts.
        here: the environment that artifacts are chosen for.
        fallback: whether the lock alone may be trusted.
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
        """Return what may be installed of each of these; `found` has all that were checked so far.

        Raises:
            NotFoundError, VerificationError: a registry has no such release, or has signed something else.
            UnavailableError, NoRegistryError: a registry can't be reached and the lock alone may not be trusted: this
                is not allowed, or it is a container image, which this host can't compare with the lock.
        """
        wanted = list(choices)
        asking = [choice for choice in wanted if choice.plugin not in self.found]
        if asking:
            answers = self._queries.answers([choice.plugin for choice in asking])
            self.found.update({choice.plugin: self._judged(choice, answers[choice.plugin]) for choice in asking})
        return {choice.plugin: self.found[choice.plugin] for choice in wanted}

    @property
    def unasked(self) -> dict[PluginId, UnavailableError | NoRegistryError]:
        """Why the registry of each plugin that only the lock vouches for couldn't be reached."""
        return {plugin: each.unasked for plugin, each in self.found.items() if each.unasked is not None}

    def _judged(self, choice: Choice, answer: IndexDocument | UnavailableError | NoRegistryError | None) -> Vouched:
        if not isinstance(answer, SealdexError):
            same, signed = agreed(choice, answer, self._here)
            if answer is not None:
                self._queries.name_passed_over(answer, choice.release.version)
            return Vouched(same, self._queries.trust(choice.plugin), signed.yanked)
        if not self._fallback:
            raise answer
        yanked = None if (known := self._known(choice)) is None else known.yanked
        if choice.artifact is not None and not _is_file(choice) and not self._is_preinstalled(choice):
            raise answer.restated(
                untouched=f"nothing was installed: the lock alone is not enough to trust the image of {choice}"
            ) from answer
        return Vouched(choice, Trust(self._registries[choice.plugin], BY_LOCK, None), yanked, answer)

    def _known(self, choice: Choice) -> Vouched | None:
        """Compare with the last verified metadata, if it is still there; None if it doesn't have the release.

        Raises:
            VerificationError: it differs from what is locked.
        """
        known = self._queries.known(choice.plugin)
        if known is None or known.document.release(choice.release.version) is None:
            return None
        same, signed = agreed(choice, known.document, self._here)
        return Vouched(same, known.trust, signed.yanked)

    def _is_preinstalled(self, choice: Choice) -> bool:
        """Return whether the lock of the preinstalled archives has the same release."""
        try:
            block = read_lock(self._builtin.lock).by_id.get(choice.plugin)
        except NotFoundError:
            return False
        return (
            block is not None and block.version == choice.release.version and same_pins(block.release, choice.release)
        )


def _is_file(choice: Choice) -> bool:
    return choice.artifact is not None and choice.artifact.format != "oci"


def format_unasked(unasked: Mapping[PluginId, SealdexError], among: Sequence[object]) -> str:
    """Return a text that says why only the lock vouches for these plugins, ``among`` all that there are."""
    why = "; ".join(dict.fromkeys(error.message for error in unasked.values()))
    if len(unasked) == len(among):
        return f"no registry could be reached, so what was installed was verified by the lock alone: {why}"
    names = ", ".join(map(str, unasked))
    return (
        f"no registry could be reached for {names}, so what was installed of it was verified by the lock alone: {why}"
    )


__all__ = ["BY_LOCK", "Vouched", "Voucher", "format_unasked"]
