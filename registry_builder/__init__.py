"""The builder of Sealdex: compiles a source tree into a signed, immutable registry and publishes it.

For programs: `release`, `publish` and `evaluate` of `registry_builder.api`, loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry_builder.api import evaluate, publish, release

__all__ = ["evaluate", "publish", "release"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from registry_builder import api  # noqa: PLC0415  # the whole builder, which `--help` needn't wait for

    return getattr(api, name)
