"""Label selectors: the Kubernetes semantics, plus Gt and Lt on numbers.

Source of the semantics: the Kubernetes documentation of set-based requirements (``matchLabels`` and
``matchExpressions``): all requirements must hold; NotIn also matches where the key is absent; Gt and Lt need the key.
`overlap` decides whether two selectors can match one environment and returns such an environment as the proof.
"""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

import enum
import math
from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

from sealdex.lazy import regex

LABEL_KEY = r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$(?!\n)"
LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?)?$(?!\n)"
LabelKey = Annotated[
    str,
    Meta(
        pattern=LABEL_KEY,
        max_length=128,
        extra={"expects": "a label key such as os, arch or acme.example/gpu"},
    ),
]
LabelValue = Annotated[
    str,
    Meta(pattern=LABEL_VALUE, max_length=128, extra={"expects": "a label value: letters, digits and '._+-'"}),
]
Tag = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9]+([._+-][A-Za-z0-9]+)*$(?!\n)",
        max_length=64,
        examples=["cuda-11.8", "jetpack-5"],
        extra={"expects": "a compatibility tag such as cuda-11.8"},
    ),
]


class Operator(enum.Enum):
    """What an expression asks of one label. The seeds' spellings (``NOT_IN``, ``GT``) are read as the same."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"

    @classmethod
    def _missing_(cls, value: object) -> "Operator | None":
        return _SPELLINGS.get(value) if isinstance(value, str) else None


_SPELLINGS = {
    "IN": Operator.IN,
    "NOT_IN": Operator.NOT_IN,
    "EXISTS": Operator.EXISTS,
    "NOT_EXISTS": Operator.DOES_NOT_EXIST,
    "NotExists": Operator.DOES_NOT_EXIST,
    "DOES_NOT_EXIST": Operator.DOES_NOT_EXIST,
    "GT": Operator.GT,
    "LT": Operator.LT,
}
_SPELLINGS |= {f"LABEL_OPERATOR_{spelling}": op for spelling, op in _SPELLINGS.items() if spelling.isupper()}


class Expression(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """One requirement on one label: In and NotIn take values, Gt and Lt one number, the others none."""

    key: LabelKey
    operator: Operator
    values: tuple[LabelValue, ...] = ()


class Selector(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """The environments something is for. An empty selector matches every environment."""

    match_labels: dict[LabelKey, LabelValue] = {}
    match_expressions: tuple[Expression, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.match_labels or self.match_expressions)


def selector_problems(selector: Selector) -> Iterator[tuple[str, str]]:
    """Yield (field path, problem) for each expression whose values don't suit its operator."""
    for i, expression in enumerate(selector.match_expressions):
        where = f"match_expressions[{i}].values"
        operator, values = expression.operator, expression.values
        if operator in {Operator.IN, Operator.NOT_IN}:
            if not values:
                yield where, f"{operator.value} needs at least one value"
        elif operator in {Operator.GT, Operator.LT}:
            if len(values) != 1 or _number(values[0]) is None:
                yield where, f'{operator.value} needs exactly one value, a number such as ["8192"]'
        elif values:
            yield where, f"{operator.value} takes no values: remove them"
    # labels alone ask one value of each key, which some environment has
    if selector.match_expressions and _domains_of(selector) is None:
        yield "", "no environment can satisfy all of its requirements"


def mismatch(selector: Selector, labels: Mapping[str, str]) -> str | None:
    """Return the first requirement that the labels fail, as text, or None if the selector matches.

    Args:
        selector: what is asked.
        labels: the environment's labels.
    """
    for key, wanted in sorted(selector.match_labels.items()):
        actual = labels.get(key)
        if actual != wanted:
            return f"needs {key}={wanted}, here {_shown(key, actual)}"
    for expression in selector.match_expressions:
        actual = labels.get(expression.key)
        if not _holds(expression, actual):
            return f"needs {format_expression(expression)}, here {_shown(expression.key, actual)}"
    return None


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Return whether the labels meet every requirement of the selector."""
    return mismatch(selector, labels) is None


def format_expression(expression: Expression) -> str:
    """Format an expression for people: ``os in (linux, darwin)``, ``memory > 8192``."""
    key, listed = expression.key, ", ".join(expression.values)
    return {
        Operator.IN: f"{key} in ({listed})",
        Operator.NOT_IN: f"{key} not in ({listed})",
        Operator.EXISTS: f"label {key}",
        Operator.DOES_NOT_EXIST: f"no label {key}",
        Operator.GT: f"{key} > {listed}",
        Operator.LT: f"{key} < {listed}",
    }[expression.operator]


def describe(selector: Selector) -> str:
    """Write a whole selector on one line, stable in order; ``any`` for the empty one."""
    parts = [f"{k}={v}" for k, v in sorted(selector.match_labels.items())]
    parts += [format_expression(e) for e in selector.match_expressions]
    return ", ".join(parts) or "any"


def _shown(key: str, actual: str | None) -> str:
    return f"{key} is not set" if actual is None else f"{key}={actual}"


# Bounded, so that every number and its neighbours are exact as floats and `overlap` can step past a bound.
_NUMBER = regex(r"-?\d{1,15}(\.\d{1,6})?")
_STEP = 1e-6  # between two neighbours


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _holds(expression: Expression, actual: str | None) -> bool:
    operator = expression.operator
    if operator is Operator.IN:
        return actual in expression.values
    if operator is Operator.NOT_IN:
        return actual not in expression.values
    if operator is Operator.EXISTS:
        return actual is not None
    if operator is Operator.DOES_NOT_EXIST:
        return actual is None
    if actual is None or len(expression.values) != 1:
        return False
    number, bound = _number(actual), _number(expression.values[0])
    if number is None or bound is None:
        return False
    return number > bound if operator is Operator.GT else number < bound


# --- overlap: one domain a key, intersected requirement by requirement ------------------------------------------


class _Domain(Struct):
    """The values that one label may still take: absence, and a set, an exclusion or an open interval of numbers."""

    may_be_absent: bool = True
    may_be_present: bool = True
    allowed: set[str] | None = None  # None: any value
    excluded: set[str] = field(default_factory=set)
    above: float = -math.inf
    below: float = math.inf

    def require(self, expression: Expression) -> None:
        operator, values = expression.operator, set(expression.values)
        if operator is Operator.IN:
            self.may_be_absent = False
            self.allowed = values if self.allowed is None else self.allowed & values
        elif operator is Operator.NOT_IN:
            self.excluded |= values
        elif operator is Operator.EXISTS:
            self.may_be_absent = False
        elif operator is Operator.DOES_NOT_EXIST:
            self.may_be_present = False
        else:
            self.may_be_absent = False
            bound = _number(expression.values[0]) if len(expression.values) == 1 else None
            if bound is None:
                self.may_be_present = False  # such an expression never holds
            elif operator is Operator.GT:
                self.above = max(self.above, bound)
            else:
                self.below = min(self.below, bound)

    def witness(self) -> tuple[bool, str | None]:
        """Return (satisfiable, a value or None for absence)."""
        if self.may_be_absent:
            return True, None
        if not self.may_be_present:
            return False, None
        numeric = self.above != -math.inf or self.below != math.inf
        if self.allowed is not None:
            for value in sorted(self.allowed - self.excluded):
                number = _number(value)
                if not numeric or (number is not None and self.above < number < self.below):
                    return True, value
            return False, None
        candidates = self._numbers() if numeric else (f"x{i}" for i in range(len(self.excluded) + 1))
        for value in candidates:
            if value not in self.excluded:
                return True, value
        return False, None

    def _numbers(self) -> Iterator[str]:
        """Numbers inside the open interval, enough of them to get past the finitely many excluded ones."""
        for number in self._candidates():
            text = _plain(number)
            read = _number(text)  # a label has no more digits than this reads, so the number may have been rounded
            if read is not None and self.above < read < self.below:
                yield text

    def _candidates(self) -> Iterator[float]:
        tries = len(self.excluded) + 1
        if self.above == -math.inf:
            yield from (math.floor(self.below) - 1 - i for i in range(tries))
        elif self.below == math.inf:
            yield from (math.ceil(self.above) + 1 + i for i in range(tries))
        elif self.above < self.below:
            width = self.below - self.above
            yield from (self.above + width * i / (tries + 1) for i in range(1, tries + 1))
            yield from (self.above + _STEP * i for i in range(1, tries + 1))  # all there are in a narrow interval


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:.6f}".rstrip("0").rstrip(".")


def _domains_of(*selectors: Selector) -> dict[str, str | None] | None:
    domains: dict[str, _Domain] = {}
    for selector in selectors:
        for key, value in selector.match_labels.items():
            domains.setdefault(key, _Domain()).require(Expression(key, Operator.IN, (value,)))
        for expression in selector.match_expressions:
            domains.setdefault(expression.key, _Domain()).require(expression)
    found: dict[str, str | None] = {}
    for key, domain in domains.items():
        satisfiable, example = domain.witness()
        if not satisfiable:
            return None
        found[key] = example
    return found


def overlap(a: Selector, b: Selector) -> dict[str, str] | None:
    """Return labels of an environment that both selectors match, or None when there is none.

    Requirements on different keys are independent, so it is enough that each key on its own can be satisfied.
    """
    others = b.match_labels
    for key, value in a.match_labels.items():
        if others.get(key, value) != value:
            return None  # the usual case, such as two values of os, without building domains
    found = _domains_of(a, b)
    if found is None:
        return None
    return {key: value for key, value in sorted(found.items()) if value is not None}
