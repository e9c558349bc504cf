"""Commands import of python-tuf's libraries what verifying needs, and get the same objects as anybody else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
before = {p: {n: getattr(import_module(p), n) for n in homes} for p, homes in lean_imports.FACES.items()}
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


@pytest.mark.parametrize("module", WITHOUT)
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
    getattr(module, name)
assert "__getattr__" not in vars(module)
from securesystemslib.signer import Key
Key.from_dict("id", {{"keytype": "ed25519", "scheme": "ed25519", "keyval": {{"public": "aa"}}}})
print("whole")
"""
    assert "whole" in run(LEAN + program)
