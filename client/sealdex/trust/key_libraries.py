"""Puts off importing the libraries of clouds and tokens until a key needs one.

``securesystemslib.signer``, which python-tuf imports, imports boto3, python-pkcs11 and the SDKs of other clouds where
they are installed: half of what `validate` and `status` of a registry in a folder would wait for, and a third of what
`sealdex mirror verify` does where somebody needs boto3 for other things. Both command lines call `put_off` at their
start; they are then found missing while ``securesystemslib.signer`` is imported, and there for everybody else.
`load_for` brings in those of one key. A program that imports these packages gets no such hook.

What is relied on, all of it public or promised (securesystemslib 1.5 and later):

- it works without these libraries, which are optional, and then refuses keys that need one;
- ``SIGNER_FOR_URI_SCHEME`` says which class reads which kind of URI;
- its modules can be reloaded, since nothing but these classes is defined in them.

Where the first doesn't hold any more, it is imported as if there were no hook, which only takes longer.
docs/decisions/0036-libraries-of-keys-on-first-use.md has the reasons.
"""

from __future__ import annotations

import sys
from importlib import reload
from importlib.machinery import PathFinder
from threading import Lock, local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

else:
    Loader = object  # importlib.abc imports a dozen modules, and this is the start of a command

PUT_OFF = {
    "awskms": ("boto3", "botocore"),
    "azurekms": ("azure",),
    "gcpkms": ("google.cloud",),
    "hsm": ("pkcs11",),
    "hv": ("hvac",),
}
"""The scheme of a key's URI to the libraries that its signer imports."""

_SIGNERS = "securesystemslib.signer"
_LIBRARIES = frozenset(library for libraries in PUT_OFF.values() for library in libraries)


class _Hook:
    """Stands before the other finders of modules."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.importing = local()  # other threads may import these libraries meanwhile, and get them

    def find_spec(self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """Refuse a library that ``securesystemslib.signer`` asks for, and see to how that one is loaded."""
        if getattr(self.importing, "signers", False):
            if name in _LIBRARIES:
                self.refused.add(name)
                raise ModuleNotFoundError(f"{name} is imported when a key needs it", name=name)
        elif name == _SIGNERS:
            spec = PathFinder.find_spec(name, path)
            if spec is not None and spec.loader is not None:
                spec.loader = _Without(self, spec.loader)
            return spec
        return None


class _Without(Loader):
    """Loads ``securesystemslib.signer`` without the libraries, or with them where it can't do without."""

    def __init__(self, hook: _Hook, loader: Loader) -> None:
        self._hook = hook
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        self._hook.importing.signers = True
        try:
            self._loader.exec_module(module)
        except ImportError:
            self._hook.importing.signers = False
            self._hook.refused.clear()
            self._loader.exec_module(module)
        finally:
            self._hook.importing.signers = False


_hook = _Hook()
_lock = Lock()


def put_off() -> None:
    """Put these libraries off in this process, unless ``securesystemslib.signer`` is there already."""
    if _hook not in sys.meta_path and _SIGNERS not in sys.modules:
        sys.meta_path.insert(0, _hook)


def load_for(uri: str) -> None:
    """Import what the key of a URI needs, where that was put off.

    A library that isn't installed, or is broken, is the signer's to report when it is used.
    """
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME  # noqa: PLC0415  # main imports this module for `put_off`

    scheme = uri.partition(":")[0]
    with _lock:
        if _hook.refused.isdisjoint(PUT_OFF.get(scheme, ())):
            return
        _hook.refused.difference_update(PUT_OFF[scheme])
        found = SIGNER_FOR_URI_SCHEME[scheme]
        # its globals stay the same dictionary: whoever has the class already gets the libraries as well
        SIGNER_FOR_URI_SCHEME[scheme] = getattr(reload(sys.modules[found.__module__]), found.__name__)


__all__ = ["PUT_OFF", "load_for", "put_off"]
