"""The builder of Sealdex: compiles a source tree into a signed, immutable registry and publishes it.

For programs: `release`, `publish` and `evaluate` of `registry_builder.pipeline`, loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry_builder.pipeline import evaluate, publish, release

__all__ = ["evaluate", "publish", "release"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from registry_builder import pipeline  # noqa: PLC0415  # the whole builder, which `--help` needn't wait for

    return getattr(pipeline, name)
