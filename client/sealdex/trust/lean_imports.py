"""Imports of libraries only what a command needs, for commands whose time is imports.

Packages like ``securesystemslib.signer`` import all their modules so that each name can be had from them: signers
of clouds, GnuPG, SSH's keys. The client verifies, which takes a few of these names. `put_off` stands before the
import of such a package and gives it a face instead: the names in `FACES` are taken from the modules that define them,
and any other name imports the package as if nothing stood there. So does a module that isn't where it was. What a
package gives is the same object either way; if one is laid out in another way some day, commands take longer, no more.

Modules in `LATE` are imported by others at their top and used by few: ``dataclasses`` imports ``inspect`` for classes
without a docstring, ``http.client`` imports ``ssl`` for addresses with https. They have a face without names: the
first name that somebody takes imports them, as ``importlib.util.LazyLoader`` of the standard library does.

Modules in `WITHOUT` take names out of others that they use in a case that doesn't come up here, or in annotations.
While they are imported, a stand-in has these names: ``tuf.ngclient.updater`` imports a fetcher over ``urllib3`` for
whoever gives it none, and `sealdex.trust` gives it its own.

The one thing that ``securesystemslib.signer`` does beside importing is to register the classes of keys. The table is
filled with the usual kinds, and looking for another kind imports the package, which registers all that it knows.
docs/decisions/0063-the-first-second.md, 0076 and 0079 have the reasons. A program that imports these packages gets no
such hook.
"""

from __future__ import annotations

import sys
from _thread import RLock
from typing import TYPE_CHECKING, Any

from sealdex.trust import _stand_ins

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
    "securesystemslib": {  # which gives its logger a handler; it prints what is printed without one as well
        name: f"securesystemslib.{name}" for name in ("dsse", "exceptions", "formats", "signer", "storage")
    },
    "logging": {"getLogger": _stand_ins.__name__},
    "_strptime": {"_strptime_datetime": _stand_ins.__name__},  # which datetime.strptime calls, up to Python 3.13
}
"""The packages: names that are taken from a module, or are one, without importing all of the package."""

USUAL_KEYS = (
    ("ed25519", "ed25519"),
    ("ecdsa", "ecdsa-sha2-nistp256"),
    ("ecdsa", "ecdsa-sha2-nistp384"),
    ("rsa", "rsassa-pss-sha256"),
)
"""Types and schemes of keys that ``SSlibKey`` is registered for in advance."""


LATE: Mapping[str, str] = {
    "bz2": "_bz2",  # zipfile, shutil
    "copy": "",  # dataclasses, email
    "email.base64mime": "",  # email.charset
    "email.errors": "",  # email, for what is wrong with a message
    "email.header": "",  # email
    "email.quoprimime": "",  # email.charset
    "email.utils": "",  # email.message
    "importlib.util": "",  # zipfile
    "inspect": "",  # dataclasses: with `ast`, `dis` and `tokenize`
    "ipaddress": "",  # urllib.parse
    "lzma": "_lzma",  # zipfile, shutil
    "msgspec.inspect": "",  # what our messages about wrong fields are made from
    "msgspec.msgpack": "",
    "msgspec.toml": "",
    "msgspec.yaml": "",
    "random": "",  # cryptography, for private keys of RSA
    "selectors": "",  # socket
    "ssl": "_ssl",  # http.client
    "tempfile": "",  # tuf.ngclient.updater
    "textwrap": "",  # msgspec
    "traceback": "",  # logging
}
"""Modules that are imported when somebody takes a name from them, each with the compiled module that may be missing.

Who imports them tells from an ``ImportError`` that such a module is missing; so it must come at once.
"""


class _Finder:
    """Stands before the other finders of modules."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return what another finder finds, with a face before it."""
        if name not in FACES and name not in LATE and name not in WITHOUT:
            return None
        spec = self._found(name, path, target)
        if spec is not None and spec.loader is not None:
            if name in WITHOUT:
                spec.loader = _Without(spec.loader, WITHOUT[name])
            elif name in FACES or not LATE[name] or self._found(LATE[name], None) is not None:
                spec.loader = _Face(spec.loader, FACES.get(name, {}))
        return spec

    def _found(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                return spec
        return None


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
        lock = RLock()  # another thread waits; the one that imports finds the package half imported, as it would be
        is_importing = False

        def import_all() -> None:
            nonlocal is_importing
            with lock:
                if namespace.get("__getattr__") is not look_up or is_importing:
                    return
                is_importing = True
                try:
                    self._loader.exec_module(module)
                    if namespace.get("__getattr__") is look_up:
                        del namespace["__getattr__"]
                finally:
                    is_importing = False

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


class _Without(_Around):
    """Loads a module without others of which it takes names: stand-ins have them meanwhile."""

    def __init__(self, loader: Loader, left_out: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(loader)
        self._left_out = left_out

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        stand_ins = {name: _stand_in(name, names) for name, names in self._left_out.items() if name not in sys.modules}
        sys.modules.update(stand_ins)
        try:
            self._loader.exec_module(module)
        except (ImportError, AttributeError, TypeError):  # it takes other names than it did, or uses them otherwise
            _remove(stand_ins)
            self._loader.exec_module(module)
        finally:
            _remove(stand_ins)


def _stand_in(name: str, names: Mapping[str, Any]) -> ModuleType:
    module = type(sys)(name)
    vars(module).update(names)
    return module


def _remove(stand_ins: Mapping[str, ModuleType]) -> None:
    for name, module in stand_ins.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]


WITHOUT: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "tuf.ngclient.updater": {"tuf.ngclient.urllib3_fetcher": {"Urllib3Fetcher": _stand_ins.made_fetcher}},
    f"{SIGNER}._key": {
        "securesystemslib._vendor.ed25519.ed25519": {
            "checkvalid": _stand_ins.check_slowly,
            "SignatureMismatch": _stand_ins.NeverRaised,  # until `check_slowly` puts the real one there
        },
        "cryptography.hazmat.primitives.asymmetric.types": {"PublicKeyTypes": Any},  # in annotations
    },
    "tuf.api._payload": {"dataclasses": {"dataclass": _stand_ins.dataclass}},
    "tuf.ngclient.config": {"dataclasses": {"dataclass": _stand_ins.dataclass}},
    "uuid": {"platform": {"system": _stand_ins.system}},  # which uuid asks where there is an `os.uname`
    # header fields of HTTP are read as those of mail, which have more to them
    "email._policybase": {"email.utils": {"_has_surrogates": _stand_ins.has_surrogates}},
    "email.message": {"email._encoded_words": {"decode_b": _stand_ins.decode_b}},
    "tomllib._parser": {"string": _stand_ins.STRING},
}
"""Modules: the others that are left out while they are imported, and what stands in for the names they take."""


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
