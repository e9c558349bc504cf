"""What is put off until it is used: the modules behind a room's face, and compiling regular expressions.

A room's face has the names of a package, whose modules are imported when a name is first used (PEP 562).

A package's ``__init__`` says where its names live, and its users import the package alone, at their top::

    TYPE_CHECKING = False  # as type checkers read it, without the import
    if TYPE_CHECKING:
        from sealdex.trust.registry import TrustedRegistry
    else:
        __getattr__, __dir__ = exports(__name__, {"registry": ("TrustedRegistry",)})

    __all__ = ["TrustedRegistry"]

Elsewhere ``from sealdex import trust`` costs next to nothing, and ``trust.TrustedRegistry`` imports what it needs.
``from sealdex.trust import TrustedRegistry`` imports it at once. No name may be that of a module of its package: once
that module is imported, it stands where the name was.
"""

import sys

TYPE_CHECKING = False  # as type checkers read it: `typing` costs more than all of this module
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping
    from typing import AnyStr


def exports(
    package: str, homes: "Mapping[str, tuple[str, ...]]"
) -> "tuple[Callable[[str], object], Callable[[], list[str]]]":
    """Return the ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: the package's ``__name__``.
        homes: for each module, relative to the package, the names that are taken from it.
    """
    home_of = {name: f"{package}.{module}" for module, names in homes.items() for name in names}
    namespace = vars(sys.modules[package])

    def __getattr__(name: str) -> object:  # noqa: N807  # it becomes the package's
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module '{package}' has no attribute '{name}'", name=name, obj=sys.modules[package])
        __import__(home)  # as `importlib.import_module` does, which would have to be imported first
        value: object = getattr(sys.modules[home], name)
        namespace[name] = value
        return value

    def __dir__() -> list[str]:  # noqa: N807  # it becomes the package's
        return sorted({*namespace, *home_of})

    return __getattr__, __dir__


def regex(source: "AnyStr", flags: int = 0) -> "re.Pattern[AnyStr]":
    """Return a regular expression that is compiled when it is first used, which takes 0.1 ms; a module may have many.

    A wrong one raises ``re.error`` as late; each that stands in a module is compiled by a test.
    """
    late: re.Pattern[AnyStr] = _Pattern(source, flags)  # type: ignore[assignment]  # it does what one does
    return late


class _Pattern:
    def __init__(self, source: "str | bytes", flags: int) -> None:
        self.pattern = source
        self._flags = flags

    def __getattr__(self, name: str) -> object:
        import re  # noqa: PLC0415  # `list` uses none

        value: object = getattr(re.compile(self.pattern, self._flags), name)
        setattr(self, name, value)  # found without this function from now on
        return value
