"""The usual spellings of `os` and `arch`, as Go and OCI have them, and what else people and tools call the same. Pure.

Other spellings are rewritten when a release file is made (`pack`, `release`, `import`), never when one is read: what
is published means what it meant when it was signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from sealdex.model.selectors import Expression, Operator, Selector

KNOWN_VALUES: Mapping[str, frozenset[str]] = {
    "os": frozenset({"linux", "darwin", "windows", "freebsd", "netbsd", "openbsd", "android", "aix", "solaris"}),
    "arch": frozenset({
        "amd64", "arm64", "arm", "386", "ppc64le", "ppc64", "s390x", "riscv64", "loong64", "mips", "mipsle", "mips64",
        "mips64le",
    }),
}  # fmt: skip
"""The values that a host may report for a label, unless its configuration overrides them."""

HOST_LABELS = frozenset({
    "os", "arch", "libc", "libc-version", "cpus", "memory", "gpu", "gpu-count", "gpu-model", "gpu-memory", "cuda",
})  # fmt: skip
"""The labels that a client finds out by itself; keys are told apart by case."""

_SPELLINGS = {
    "os": {
        "darwin": ("macos", "macosx", "osx", "mac"),
        "windows": ("win", "win32", "win64"),
        "linux": ("linux2", "gnu-linux"),
    },
    "arch": {
        "amd64": ("x86_64", "x86-64", "x64"),
        "arm64": ("aarch64", "arm64v8", "armv8-a"),
        "arm": ("armv5l", "armv6", "armv6l", "armv7", "armv7l", "armv7a", "armv8l", "armhf", "armel", "arm32v7"),
        "386": ("i386", "i486", "i586", "i686", "x86", "ia32"),
        "ppc64le": ("powerpc64le", "ppc64el"),
        "loong64": ("loongarch64",),
    },
}
_USUAL = {
    key: {**{value: value for value in KNOWN_VALUES[key]}, **{o: usual for usual, all_ in of.items() for o in all_}}
    for key, of in _SPELLINGS.items()
}


def usual_spelling(key: str, value: str) -> str | None:
    """Return how a value of ``os`` or ``arch`` is usually written; None for what nobody is known to mean by it."""
    return _USUAL[key].get(value.lower()) if key in _USUAL else value


def unusual_values(selector: Selector) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield (place, key, value, usual spelling or None) for each value of ``os`` and ``arch`` that no host reports."""
    for key, known in KNOWN_VALUES.items():
        value = selector.match_labels.get(key)
        if value is not None and value not in known:
            yield f"match_labels.{key}", key, value, usual_spelling(key, value)
    for i, expression in enumerate(selector.match_expressions):
        if expression.operator in {Operator.IN, Operator.NOT_IN} and expression.key in KNOWN_VALUES:
            for value in expression.values:
                if value not in KNOWN_VALUES[expression.key]:
                    usual = usual_spelling(expression.key, value)
                    yield f"match_expressions[{i}].values", expression.key, value, usual


def with_usual_spellings(selector: Selector) -> Selector:
    """Return a selector that means the same to people, with `os` and `arch` as hosts report them; else the same one."""
    if not any(usual for *_, usual in unusual_values(selector)):
        return selector
    return Selector(
        match_labels={k: usual_spelling(k, v) or v for k, v in selector.match_labels.items()},
        match_expressions=tuple([_respelled(expression) for expression in selector.match_expressions]),
    )


def _respelled(expression: Expression) -> Expression:
    if expression.operator not in {Operator.IN, Operator.NOT_IN}:
        return expression
    values = dict.fromkeys(usual_spelling(expression.key, value) or value for value in expression.values)
    return msgspec.structs.replace(expression, values=tuple(values))


__all__ = ["HOST_LABELS", "KNOWN_VALUES", "unusual_values", "usual_spelling", "with_usual_spellings"]
