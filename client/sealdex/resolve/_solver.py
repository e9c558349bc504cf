"""A conflict-driven solver: finds one state for each package such that no incompatibility holds.

The method is PubGrub's, over finite sets. A package's states are the bits of an int: bit 0 says that it is absent, bit
``n + 1`` that candidate ``n`` is chosen. An *incompatibility* says that its terms, a set of states for each package
that it names, must not hold all at once. When all terms but one hold, the last one must not: that is unit propagation.
When all of them hold, the two incompatibilities that led there are merged into one that forbids the reason (`_learn`),
and the search goes back as far as that one says, so that no conflict occurs twice.

The package decided first gets the best candidate of any solution: a candidate is abandoned only if an incompatibility
that follows from the rest excludes it.

Pure: a `World` supplies the candidates and the consequences of choosing one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

ABSENT = 1

_Package = TypeVar("_Package")


class Incompatibility(Generic[_Package]):
    """Terms that must not hold all at once.

    Attributes:
        terms: for each package, the states with which its term holds; never none and never all of them. What the world
            says holds for absence in one term at most: a package that nothing asks for is absent in the end.
        fact: what the world derives it from; None if it was learned.
        parents: the two incompatibilities that it was learned from.
    """

    __slots__ = ("fact", "parents", "terms")

    def __init__(
        self,
        terms: Mapping[_Package, int],
        fact: object = None,
        parents: tuple[Incompatibility[_Package], ...] = (),
    ) -> None:
        self.terms = terms
        self.fact = fact
        self.parents = parents

    def facts(self) -> Iterator[Any]:
        """Yield the facts that this follows from, each once."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            each = stack.pop()
            if id(each) in seen:
                continue
            seen.add(id(each))
            if each.fact is not None:
                yield each.fact
            stack += reversed(each.parents)


class UnsolvableError(Exception):
    """No solution exists; ``proof`` is the incompatibility without terms that was learned."""

    def __init__(self, proof: Incompatibility[Any]) -> None:
        super().__init__("no solution")
        self.proof = proof


class World(Protocol[_Package]):
    """The questions of the solver."""

    def states(self, package: _Package) -> int:
        """Return all states of a package."""

    def rank(self, package: _Package, conflicts: int) -> Any:
        """Return a sort key: the smallest is decided first. ``conflicts``: the number of conflicts it was part of."""

    def rule_out(self, package: _Package, states: int) -> Incompatibility[_Package] | None:
        """Return what by itself excludes the best of these states (and maybe others); None if it may be chosen."""

    def consequences(self, package: _Package, state: int) -> Iterable[Incompatibility[_Package]]:
        """Return everything that follows from choosing a state; the solver adds what it doesn't have yet."""

    def checkpoint(self, solver: Solver[_Package]) -> None:
        """Take notice of each decision and conflict; may raise to end the search."""


class _Assignment(Struct, Generic[_Package]):
    """Narrows a package down to ``mask``: a decision (without cause) or a consequence of one."""

    package: _Package
    mask: int
    level: int
    cause: Incompatibility[_Package] | None


class Solver(Generic[_Package]):
    """One search.

    Attributes:
        decisions, conflicts: how many there were.
        learned: the last incompatibility learned from a conflict.
        clashes: for each package, the number of learned incompatibilities that name it.
    """

    def __init__(self, world: World[_Package]) -> None:
        self.decisions = 0
        self.conflicts = 0
        self.learned: Incompatibility[_Package] | None = None
        self.clashes: dict[_Package, int] = {}
        self._world = world
        self._known: set[int] = set()  # ids of incompatibilities from the world; the lists below keep the objects alive
        self._about: dict[_Package, list[Incompatibility[_Package]]] = {}
        self._trail: list[_Assignment[_Package]] = []
        # for each package the assignments to it: index in the trail, and the states that were left after it
        self._history: dict[_Package, list[tuple[int, int]]] = {}
        self._decided: dict[_Package, int] = {}
        self._level = 0

    def solve(self, demands: Iterable[Incompatibility[_Package]]) -> dict[_Package, int]:
        """Return the state that was chosen for each package that is needed.

        Raises:
            UnsolvableError: there is no solution.
        """
        changed: list[_Package] = []
        for demand in demands:
            self._add(demand)
            changed += demand.terms
        while True:
            self._propagate(changed)
            self._world.checkpoint(self)
            open_packages = [p for p, h in self._history.items() if h and not h[-1][1] & ABSENT]
            open_packages = [p for p in open_packages if p not in self._decided]
            if not open_packages:
                return dict(self._decided)
            package = min(open_packages, key=lambda each: self._world.rank(each, self.clashes.get(each, 0)))
            changed = [package]
            states = self._left(package)
            excluded = self._world.rule_out(package, states)
            if excluded is not None:
                self._add(excluded)
                continue
            best = states & -states
            # all consequences are added before the decision is made, so the decision itself can't be
            # the conflict
            new = [each for each in self._world.consequences(package, best) if self._add(each)]
            if new:
                changed = [each for incompatibility in new for each in incompatibility.terms]
                continue
            self.decisions += 1
            self._level += 1
            self._decided[package] = best
            self._assign(_Assignment(package, best, self._level, None))

    def _left(self, package: _Package) -> int:
        history = self._history.get(package)
        return history[-1][1] if history else self._world.states(package)

    def _add(self, incompatibility: Incompatibility[_Package]) -> bool:
        """Add an incompatibility; return whether it is new. One without terms ends the search."""
        if id(incompatibility) in self._known:
            return False
        self._known.add(id(incompatibility))
        if not incompatibility.terms:
            raise UnsolvableError(incompatibility)
        for package in incompatibility.terms:
            self._about.setdefault(package, []).append(incompatibility)
        return True

    def _assign(self, assignment: _Assignment[_Package]) -> None:
        left = self._left(assignment.package) & assignment.mask
        self._history.setdefault(assignment.package, []).append((len(self._trail), left))
        self._trail.append(assignment)

    # --- unit propagation --------------------------------------------------------------------------------------------

    def _propagate(self, changed: Iterable[_Package]) -> None:
        queue = dict.fromkeys(changed)
        pending = deque(queue)
        while pending:
            package = pending.popleft()
            queue.pop(package, None)
            for incompatibility in reversed(self._about.get(package, ())):
                unit = self._unit(incompatibility)
                if unit is None:
                    continue
                if not unit:
                    learned, narrowed = self._learn(incompatibility)
                    pending.clear()
                    queue.clear()
                    self._derive(narrowed, learned)
                    pending.append(narrowed)
                    queue[narrowed] = None
                    break
                (narrowed,) = unit
                self._derive(narrowed, incompatibility)
                if narrowed not in queue:
                    queue[narrowed] = None
                    pending.append(narrowed)

    def _unit(self, incompatibility: Incompatibility[_Package]) -> tuple[_Package, ...] | None:
        """Return the one package whose term is open; nothing if all terms hold; None if there is nothing to do."""
        found: tuple[_Package, ...] = ()
        for package, mask in incompatibility.terms.items():
            left = self._left(package)
            if not left & mask:
                return None  # can't hold
            if left & ~mask:
                if found:
                    return None
                found = (package,)
        return found

    def _derive(self, package: _Package, cause: Incompatibility[_Package]) -> None:
        mask = self._world.states(package) & ~cause.terms[package]
        self._assign(_Assignment(package, mask, self._level, cause))

    # --- conflicts ---------------------------------------------------------------------------------------------------

    def _learn(self, conflict: Incompatibility[_Package]) -> tuple[Incompatibility[_Package], _Package]:
        """Merge the causes of a conflict until they name an earlier decision, and go back to it.

        Returns:
            The learned incompatibility, and the package that it narrows down there.

        Raises:
            UnsolvableError: there is no decision left to go back to.
        """
        self.conflicts += 1
        self._world.checkpoint(self)
        while conflict.terms:
            at = {package: self._held_since(package, mask) for package, mask in conflict.terms.items()}
            package = max(at, key=at.__getitem__)
            satisfier = self._trail[at[package]]
            before = [self._trail[index].level for other, index in at.items() if other != package]
            partial = satisfier.mask & ~conflict.terms[package]
            if partial:  # earlier assignments to the same package were needed too
                earlier = self._held_since(package, conflict.terms[package] | ~satisfier.mask)
                before.append(self._trail[earlier].level)
            back_to = max(before, default=0)
            if satisfier.cause is None or back_to < satisfier.level:
                self._go_back(back_to)
                self._add(conflict)
                self.learned = conflict
                for each in conflict.terms:
                    self.clashes[each] = self.clashes.get(each, 0) + 1
                return conflict, package
            conflict = self._merged(conflict, satisfier.cause, package)
        raise UnsolvableError(conflict)

    def _held_since(self, package: _Package, mask: int) -> int:
        """Return the index of the first assignment after which a package's term holds."""
        return next(index for index, left in self._history[package] if not left & ~mask)

    def _merged(
        self, one: Incompatibility[_Package], other: Incompatibility[_Package], package: _Package
    ) -> Incompatibility[_Package]:
        """Return the consequence of two incompatibilities, whatever the state of one package."""
        terms = {**one.terms, **other.terms}
        for each in one.terms.keys() & other.terms.keys():
            terms[each] = one.terms[each] & other.terms[each]
        either = one.terms[package] | other.terms[package]
        if either == self._world.states(package):
            del terms[package]
        else:
            terms[package] = either
        return Incompatibility(terms, parents=(one, other))

    def _go_back(self, level: int) -> None:
        while self._trail and self._trail[-1].level > level:
            gone = self._trail.pop()
            self._history[gone.package].pop()
            if gone.cause is None:
                del self._decided[gone.package]
        self._level = level
