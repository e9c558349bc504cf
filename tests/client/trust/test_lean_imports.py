"""Commands import of python-tuf's libraries what verifying needs, and get the same objects as anybody else."""

from __future__ import annotations

import email.utils
import json
import string
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from sealdex.trust import _stand_ins
from sealdex.trust.lean_imports import FACES, LATE, USUAL_KEYS, WITHOUT

LEAN = "import sys, json\nfrom sealdex.trust import lean_imports\nlean_imports.put_off()\n"


def run(program: str) -> str:
    """Run a program in a process of its own, since nothing imports twice in this one; `site` imports a lot here."""
    # on most Pythons the client has no typing_extensions, which msgspec takes where it is
    path = f"import sys; sys.path[:0] = {sys.path!r}; sys.modules['typing_extensions'] = None\n"
    done = subprocess.run([sys.executable, "-S", "-c", path + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_verifying_imports_neither_signers_nor_ssh_nor_what_is_installed() -> None:
    loaded = run(LEAN + "from tuf.ngclient import Updater\nprint(json.dumps(sorted(sys.modules)))")
    unused = {
        "securesystemslib.signer._aws_signer",
        "securesystemslib.signer._gpg_signer",
        "securesystemslib.signer._crypto_signer",
        "securesystemslib._gpg.functions",
        "cryptography.hazmat.primitives.serialization.ssh",
        "cryptography.hazmat.primitives.ciphers",
        "importlib.metadata",
        "urllib3",
        "subprocess",
        "securesystemslib._vendor.ed25519.ed25519",
        "cryptography.hazmat.primitives.asymmetric.types",
    }
    assert unused.isdisjoint(json.loads(loaded))


def test_what_a_face_gives_is_what_the_package_gives() -> None:
    program = """
from importlib import import_module
before = {
    p: {n: getattr(import_module(p), n) for n in homes}
    for p, homes in lean_imports.FACES.items() if "sealdex.trust._stand_ins" not in homes.values()
}
assert all("__getattr__" in vars(sys.modules[package]) for package in before)
for package, names in before.items():
    module = sys.modules[package]
    assert not hasattr(module, "no_such_name")  # imports it all
    assert "__getattr__" not in vars(module), package
    for name, value in names.items():
        assert getattr(import_module(package), name) is value, (package, name)
print("same")
"""
    assert "same" in run(LEAN + program)


def test_keys_of_every_kind_are_known_as_without_it() -> None:
    look = """
from securesystemslib.signer import Key, SSlibKey
usual = Key.from_dict("id", {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "aa"}})
few = "securesystemslib.signer._gpg_signer" not in sys.modules
unusual = Key.from_dict("id", {"keytype": "dsa", "scheme": "pgp+dsa-fips-180-2", "keyval": {"public": {}}})
try:
    Key.from_dict("id", {"keytype": "rot13", "scheme": "rot13", "keyval": {"public": "aa"}})
except ValueError as error:
    unknown = str(error)
import securesystemslib.signer
table = {"/".join(kind): cls.__qualname__ for kind, cls in securesystemslib.signer.KEY_FOR_TYPE_AND_SCHEME.items()}
schemes = sorted(securesystemslib.signer.SIGNER_FOR_URI_SCHEME)
kinds = [type(usual).__name__, type(unusual).__name__]
print(json.dumps({"few": few, "seen": [kinds, unknown, dict(sorted(table.items())), schemes]}))
"""
    lean, plain = json.loads(run(LEAN + look)), json.loads(run("import sys, json\n" + look))
    assert lean["seen"] == plain["seen"]
    assert (lean["few"], plain["few"]) == (True, False)
    assert {"/".join(kind) for kind in USUAL_KEYS} <= set(lean["seen"][2])


def test_an_updater_without_a_fetcher_makes_the_usual_one() -> None:
    program = """
from tuf.ngclient import Updater
import tuf.ngclient.updater as updater
assert "urllib3" not in sys.modules and "tuf.ngclient.urllib3_fetcher" not in sys.modules
made = updater.Urllib3Fetcher()
from tuf.ngclient import Urllib3Fetcher
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher as again
assert type(made) is Urllib3Fetcher is again
print("made")
"""
    assert "made" in run(LEAN + program)


def test_a_module_that_many_import_and_few_use_is_imported_at_its_first_name() -> None:
    """Of `inspect` this is a fifth of what `dataclasses` takes; both give what they give without the hook."""
    program = f"""
from importlib import import_module
late = {list(LATE)!r}
import dataclasses, http.client, zipfile, uuid, msgspec, logging
assert "platform" not in sys.modules and uuid.UUID(int=0) is not None
unused = {{"_ssl", "dis", "ast", "tokenize", "_bz2", "_lzma"}}
assert unused.isdisjoint(sys.modules), unused & set(sys.modules)
assert hasattr(http.client, "HTTPSConnection") and zipfile.bz2 is not None
assert all("__getattr__" in vars(sys.modules[name]) for name in ("inspect", "ssl", "bz2", "lzma", "msgspec.inspect"))
for name in late:
    module = import_module(name)
    assert not hasattr(module, "no_such_name")
    assert "__getattr__" not in vars(module) and len(vars(module)) > 9, name
assert http.client.ssl is sys.modules["ssl"] and http.client.ssl.SSLError.__module__ == "ssl"
print("late")
"""
    assert "late" in run(LEAN + program)


def test_a_module_whose_compiled_part_is_missing_is_missing_at_once() -> None:
    """As `zipfile` and `http.client` look for it, on a Python that was built without."""
    program = """
class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("_bz2", "_ssl"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing)
lean_imports.LATE = {**lean_imports.LATE, "lzma": "no_such_module"}
import zipfile, http.client
assert zipfile.bz2 is None and "__getattr__" not in vars(zipfile.lzma)
assert not hasattr(http.client, "HTTPSConnection")
print("missing")
"""
    assert "missing" in run(LEAN + program)


def test_threads_that_use_a_late_module_at_once_import_it_once() -> None:
    program = """
import threading
import inspect, textwrap, selectors
start, seen = threading.Barrier(8), []
def look():
    start.wait()
    seen.append((inspect.Signature, textwrap.TextWrapper, selectors.DefaultSelector))
threads = [threading.Thread(target=look) for _ in range(8)]
sys.setswitchinterval(1e-6)
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(seen) == 8 and len(set(seen)) == 1
print("once")
"""
    assert "once" in run(LEAN + program)


# Python 3.10 has no tomllib
@pytest.mark.parametrize("module", [each for each in WITHOUT if find_spec(each.partition(".")[0]) is not None])
def test_what_stands_in_for_a_module_is_gone_afterwards(module: str) -> None:
    program = f"""
from importlib import import_module
import_module({module!r})
for name in {list(WITHOUT[module])!r}:
    assert name not in sys.modules, name
    assert import_module(name).__spec__ is not None
print("gone")
"""
    assert "gone" in run(LEAN + program)


def test_ed25519_is_verified_where_cryptography_is_missing() -> None:
    """securesystemslib's own, in pure Python, takes the place: it is imported then, and refuses what it should."""
    program = """
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import _key, Key, Signature
from securesystemslib.exceptions import UnverifiedSignatureError
assert "securesystemslib._vendor.ed25519.ed25519" not in sys.modules
_key.CRYPTO_IMPORT_ERROR = "as where it is missing"
private = Ed25519PrivateKey.generate()
public = private.public_key().public_bytes_raw().hex()
key = Key.from_dict("id", {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
good = private.sign(b"data").hex()
for _ in range(2):
    key.verify_signature(Signature("id", good), b"data")
    try:
        key.verify_signature(Signature("id", good), b"other")
    except UnverifiedSignatureError:
        print("refused")
"""
    assert run(LEAN + program).split() == ["refused", "refused"]


def test_a_wrong_signature_is_refused_there_at_once() -> None:
    program = """
from securesystemslib.signer import _key, Key, Signature
from securesystemslib.exceptions import UnverifiedSignatureError
_key.CRYPTO_IMPORT_ERROR = "as where it is missing"
key = Key.from_dict("id", {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "d7" * 32}})
try:
    key.verify_signature(Signature("id", "00" * 64), b"data")
except UnverifiedSignatureError:
    print("refused")
"""
    assert "refused" in run(LEAN + program)


@pytest.mark.parametrize("package", FACES)
def test_a_library_that_is_laid_out_in_another_way_is_imported_whole(package: str) -> None:
    program = f"""
lean_imports.FACES = {{{package!r}: dict.fromkeys(lean_imports.FACES[{package!r}], "no.such.module")}}
from importlib import import_module
module = import_module({package!r})
for name in lean_imports.FACES[{package!r}]:
    getattr(module, name, None) or import_module(f"{{module.__name__}}.{{name}}")  # as `from module import name` does
assert "__getattr__" not in vars(module)
from securesystemslib.signer import Key
Key.from_dict("id", {{"keytype": "ed25519", "scheme": "ed25519", "keyval": {{"public": "aa"}}}})
print("whole")
"""
    assert "whole" in run(LEAN + program)


def test_times_of_metadata_are_read_without_the_names_of_days_and_others_as_ever() -> None:
    read = """
from datetime import datetime
form = "%Y-%m-%dT%H:%M:%SZ"
seen = [datetime.strptime("2026-11-29T21:00:09Z", form).isoformat()]
first = sorted({"calendar", "locale"} & set(sys.modules))
texts = [
    "2026-1-2T3:4:5Z", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:61Z", "0000-01-01T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00z", "",
    "+026-01-01T00:00:00Z", "2026-01-01T00:00:00+", "\u0662026-01-01T00:00:00Z", "2026-01-01T00:00: 1Z",
    "2026_01-01T00:00:00Z", "2026-01-01T00:00:00ZZ",
]
for text in texts:
    try:
        seen.append(datetime.strptime(text, form).isoformat())
    except Exception as error:
        seen.append(f"{type(error).__name__}: {error}")
seen.append(datetime.strptime("Mar 7 99", "%b %d %y").isoformat())
print(json.dumps([first, seen]))
"""
    (lean_first, lean), (_, plain) = json.loads(run(LEAN + read)), json.loads(run("import sys, json\n" + read))
    assert lean == plain
    assert (lean_first == []) == (sys.version_info < (3, 14))  # which has another name, and is left alone


def test_loggers_of_what_verifies_are_silent_until_somebody_listens() -> None:
    program = """
import logging
import tuf.ngclient.updater as updater, securesystemslib.storage as storage
assert "Logger" not in vars(logging)
updater.logger.debug("nobody hears %s", "this")
storage.logger.info("nor this")
assert "Logger" not in vars(logging)
seen = []
class Seen(logging.Handler):
    def emit(self, record):
        seen.append((record.name, record.levelname, record.getMessage(), record.filename))
logging.getLogger("tuf").addHandler(Seen())
logging.getLogger("tuf").setLevel(logging.DEBUG)
updater.logger.debug("heard: %s", "this")
assert seen == [("tuf.ngclient.updater", "DEBUG", "heard: this", "<string>")], seen
assert type(logging.getLogger("tuf.ngclient.updater")) is logging.Logger
print("heard")
"""
    warning = "import tuf.ngclient.updater as updater\nupdater.logger.warning('shown')\nprint('logging' in sys.modules)"
    other = "import logging\nlog = logging.getLogger('plugin')\nassert type(log) is logging.Logger\nprint('real')"
    assert "heard" in run(LEAN + program)
    assert "True" in run(LEAN + warning)
    assert "real" in run(LEAN + other)


def test_what_stands_in_for_a_name_does_what_it_does() -> None:
    has_surrogates = email.utils._has_surrogates  # type: ignore[attr-defined]
    assert [_stand_ins.has_surrogates(text) for text in ("", "plain", "\xe4", "\udce4")] == [False, False, False, True]
    assert [has_surrogates(text) for text in ("", "plain", "\xe4", "\udce4")] == [False, False, False, True]
    assert _stand_ins.decode_b(b"aGk=") == (b"hi", [])
    assert {name: getattr(string, name) for name in _stand_ins.STRING} == _stand_ins.STRING


def test_values_of_python_tuf_are_made_compared_and_shown_as_ever() -> None:
    class Plain:
        first: int
        second: str = "two"

    ours = _stand_ins.dataclass(type("Named", (), {"__annotations__": Plain.__annotations__, "second": "two"}))
    theirs: type[Any] = dataclass(type("Named", (), {"__annotations__": Plain.__annotations__, "second": "two"}))
    for kind in (ours, theirs):
        made = [kind(1), kind(1, "two"), kind(first=1), kind(second="two", first=1)]
        assert made.count(made[0]) == 4
        assert made[0] not in (kind(2), (1, "two"))
        assert repr(made[0]) == "Named(first=1, second='two')"
        assert vars(kind)["__hash__"] is None
        for args, given in (((), {}), ((1, "a", "b"), {}), ((1,), {"first": 1}), ((1,), {"third": 3})):
            with pytest.raises(TypeError):
                kind(*args, **given)


def test_a_first_installation_imports_none_of_what_stands_aside() -> None:
    """What costs an agent a tenth of its time, by name: it comes back by one import at the top of a module."""
    program = """
import sealdex.trust.registry, sealdex.trust.registries, sealdex.transport._http, sealdex.install.installer
import sealdex.config.config
from datetime import datetime
datetime.strptime("2026-11-29T21:00:09Z", "%Y-%m-%dT%H:%M:%SZ")
print(json.dumps(sorted(sys.modules)))
"""
    loaded = set(json.loads(run(LEAN + program)))
    unused = {"_random", "dataclasses", "email._encoded_words", "email._parseaddr", "string", "sigstore"}
    unused |= {"sealdex.trust.sigstore_bundles", "sealdex.trust.catalog_rows", "concurrent.futures"}
    assert loaded & unused == set()
    assert sys.version_info >= (3, 14) or loaded & {"calendar", "locale"} == set()


@pytest.mark.parametrize("stand_in", ["{}", "{'dataclass': None}"])
def test_a_module_that_uses_a_stand_in_otherwise_is_imported_with_the_real_thing(stand_in: str) -> None:
    program = f"""
lean_imports.WITHOUT = {{"tuf.ngclient.config": {{"dataclasses": {stand_in}}}}}
from tuf.ngclient.config import UpdaterConfig
import dataclasses
assert dataclasses.is_dataclass(UpdaterConfig)
print("real")
"""
    assert "real" in run(LEAN + program)
