"""Commands import of python-tuf's libraries what verifying needs, and get the same objects as anybody else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sealdex.trust.lean_imports import FACES, USUAL_KEYS

LEAN = "import sys, json\nfrom sealdex.trust import lean_imports\nlean_imports.put_off()\n"


def run(program: str) -> str:
    """Run a program in a process of its own, since nothing imports twice in this one."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
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
