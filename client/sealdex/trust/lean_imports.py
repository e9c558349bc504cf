"""Imports of the libraries of python-tuf only what verifying needs, for commands whose time is imports.

Packages like ``securesystemslib.signer`` import all their modules so that each name can be had from them: signers
of clouds, GnuPG, SSH's keys. The client verifies, which takes a few of these names. `put_off` stands before the
import of such a package and gives it a face instead: the names in `FACES` are taken from the modules that define them,
and any other name imports the package as if nothing stood there. So does a module that isn't where it was. What a
package gives is the same object either way; if one is laid out in another way some day, commands take longer, no more.

``tuf.ngclient.updater`` imports a fetcher over ``urllib3`` for whoever gives it none; `sealdex.trust` gives it its own.

The one thing that ``securesystemslib.signer`` does beside importing is to register the classes of keys. The table is
filled with the usual kinds, and looking for another kind imports the package, which registers all that it knows.
docs/decisions/0063-the-first-second.md has the reasons. A program that imports these packages gets no such hook.
"""

from __future__ import annotations

import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

else:
    Loader = object  # importlib.abc imports a dozen modules, and this is the start of a command

SIGNER = "securesystemslib.signer"
_SERIALIZATION = "cryptography.hazmat.primitives.serialization"

FACES: Mapping[str, Mapping[str, str]] = {
    SIGNER: {
        "KEY_FOR_TYPE_AND_SCHEME": f"{SIGNER}._key",
        "Key": f"{SIGNER}._key",
        "SSlibKey": f"{SIGNER}._key",
        "Signature": f"{SIGNER}._signature",
        "Signer": f"{SIGNER}._signer",
        "SigstoreKey": f"{SIGNER}._sigstore_signer",
    },
    _SERIALIZATION: {
        "Encoding": "cryptography.hazmat.primitives._serialization",
        "PublicFormat": "cryptography.hazmat.primitives._serialization",
        "load_pem_public_key": f"{_SERIALIZATION}.base",
    },
    "tuf.ngclient": {
        "FetcherInterface": "tuf.ngclient.fetcher",
        "TargetFile": "tuf.api.metadata",
        "Updater": "tuf.ngclient.updater",
        "UpdaterConfig": "tuf.ngclient.config",
    },
    "urllib3.http2": {"probe": "urllib3.http2.probe"},
}
"""The packages: names that are taken from a module, or are one, without importing all of the package."""

USUAL_KEYS = (
    ("ed25519", "ed25519"),
    ("ecdsa", "ecdsa-sha2-nistp256"),
    ("ecdsa", "ecdsa-sha2-nistp384"),
    ("rsa", "rsassa-pss-sha256"),
)
"""Types and schemes of keys that ``SSlibKey`` is registered for in advance."""


_UPDATER = "tuf.ngclient.updater"
_FETCHER = "tuf.ngclient.urllib3_fetcher"


class _Finder:
    """Stands before the other finders of modules."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return what another finder finds, with a face before it."""
        if name not in FACES and name != _UPDATER:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in others if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _WithoutFetcher(spec.loader) if name == _UPDATER else _Face(spec.loader, FACES[name])
        return spec


class _Around(Loader):
    """Does what the loader around which it stands does, for sources, resources and whatever else one is asked for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the loader."""
        return self._loader.create_module(spec)

    def __getattr__(self, name: str) -> Any:
        """Leave it to the loader."""
        return getattr(self._loader, name)


class _Face(_Around):
    """Loads a package only when a name is asked for that isn't known to be elsewhere."""

    def __init__(self, loader: Loader, homes: Mapping[str, str]) -> None:
        super().__init__(loader)
        self._homes = homes

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing of the module's code yet."""
        namespace = vars(module)
        importing: set[int] = set()  # threads; each finds the package half imported, as it would be otherwise

        def import_all() -> None:
            if namespace.get("__getattr__") is look_up and get_ident() not in importing:
                importing.add(get_ident())
                self._loader.exec_module(module)
                if namespace.get("__getattr__") is look_up:
                    del namespace["__getattr__"]

        def look_up(name: str) -> Any:
            if name not in namespace and name in self._homes:
                try:
                    namespace[name] = _taken(name, self._homes[name], import_all)
                except (ImportError, AttributeError):
                    import_all()
            elif name not in namespace and name != "__path__":
                import_all()
            try:
                return namespace[name]
            except KeyError:
                raise AttributeError(f"module '{module.__name__}' has no attribute '{name}'") from None

        namespace["__getattr__"] = look_up


class _WithoutFetcher(_Around):
    """Loads ngclient's updater without the fetcher that it makes for whoever gives it none, until it makes one."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        stand_in: Any = type(sys)(_FETCHER)
        stand_in.Urllib3Fetcher = _made_fetcher
        if sys.modules.setdefault(_FETCHER, stand_in) is not stand_in:
            self._loader.exec_module(module)
            return
        try:
            self._loader.exec_module(module)
        except ImportError:
            del sys.modules[_FETCHER]
            self._loader.exec_module(module)
        finally:
            if sys.modules.get(_FETCHER) is stand_in:
                del sys.modules[_FETCHER]


def _made_fetcher(*args: Any, **kwargs: Any) -> Any:
    from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher  # noqa: PLC0415  # what is put off

    return Urllib3Fetcher(*args, **kwargs)


def _taken(name: str, home: str, import_all: Callable[[], None]) -> Any:
    __import__(home)
    module: Any = sys.modules[home]
    if home == f"{SIGNER}._key" and not isinstance(module.KEY_FOR_TYPE_AND_SCHEME, _Keys):
        module.KEY_FOR_TYPE_AND_SCHEME = _Keys(
            import_all, {**dict.fromkeys(USUAL_KEYS, module.SSlibKey), **module.KEY_FOR_TYPE_AND_SCHEME}
        )
    return module if home.endswith(f".{name}") else getattr(module, name)


class _Keys(dict[Any, Any]):
    """The table of keys; knows all that the package registers, and asks it only about unusual ones."""

    def __init__(self, import_all: Callable[[], None], known: Mapping[Any, Any]) -> None:
        super().__init__(known)
        self._import_all = import_all

    def __contains__(self, kind: object) -> bool:
        if not super().__contains__(kind):
            self._import_all()
        return super().__contains__(kind)


_finder = _Finder()


def put_off() -> None:
    """Put the rest of these packages off in this process, as far as they haven't been imported."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


__all__ = ["FACES", "SIGNER", "USUAL_KEYS", "put_off"]
