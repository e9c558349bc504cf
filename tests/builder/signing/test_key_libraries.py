"""What only some keys and storages need is imported for them alone: boto3, PKCS#11, the SDKs of clouds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.source_trees import Tree

HEAVY = ("boto3", "botocore", "s3transfer", "pkcs11", "azure", "google.cloud", "hvac", "sigstore")

COMMAND = """
import sys
from registry_builder.cli.main import main
sys.argv = ["sealdex-builder", *sys.argv[1:]]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
finally:
    print("LOADED", *sorted(set({heavy!r}) & set(sys.modules)))
"""


def loaded(root: Path, *args: str) -> set[str]:
    """Run a command in a process of its own; return which of the heavy libraries it imported."""
    program = COMMAND.format(heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", program, "--tree", str(root), *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def program(text: str, *folders: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", ["validate", "status", "publish"])
def test_a_registry_in_a_folder_needs_no_cloud_and_no_token(tree: Tree, command: str) -> None:
    assert loaded(tree.root, "publish") == set()
    assert loaded(tree.root, command) == set()


def test_a_registry_in_s3_has_boto3(tree: Tree, s3_uri: str) -> None:
    config = tree.root / "registry.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('storage = "folder:../published/public"', f'storage = "{s3_uri}"'), encoding="utf-8")
    assert s3_uri in config.read_text(encoding="utf-8")
    assert {"boto3", "botocore"} <= loaded(tree.root, "publish")
    assert "pkcs11" not in loaded(tree.root, "status")


def test_a_program_that_imports_the_package_has_no_hook() -> None:
    program(
        "import sys\n"
        "import registry_builder.api\n"
        "assert not [f for f in sys.meta_path if type(f).__module__ == 'sealdex.trust.key_libraries']\n"
        "from securesystemslib.signer import AWSSigner\n"
        "assert 'boto3' in sys.modules\n"
    )


PUT_OFF = "from sealdex.trust import key_libraries as put\nput._SIGNERS = 'signers'\nput.put_off()\n"


def test_other_threads_get_the_libraries_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "signers.py").write_text(
        "import threading\n"
        "try:\n    import pkcs11\nexcept ImportError:\n    pkcs11 = None\n"
        "def other():\n    global elsewhere\n    import pkcs11 as elsewhere\n"
        "thread = threading.Thread(target=other); thread.start(); thread.join()\n"
    )
    program(PUT_OFF + "import signers\nassert signers.pkcs11 is None and signers.elsewhere\nimport pkcs11\n", tmp_path)


def test_signers_that_can_not_do_without_a_library_get_it(tmp_path: Path) -> None:
    """As a later version of securesystemslib may be."""
    (tmp_path / "signers.py").write_text("import pkcs11\n")
    program(PUT_OFF + "import signers\nassert signers.pkcs11 and not put._hook.refused\n", tmp_path)


def test_a_class_that_was_taken_before_works_after(tmp_path: Path) -> None:
    """Whoever imported ``HSMSigner`` by name has the class of before; its module has the library then."""
    program(
        "from sealdex.trust.key_libraries import put_off\n"
        "put_off()\n"
        "import sys\n"
        "from securesystemslib.exceptions import UnsupportedLibraryError\n"
        "from securesystemslib.signer import HSMSigner\n"
        "from sealdex.trust.key_libraries import load_for\n"
        "try: HSMSigner.import_(1)\n"
        "except UnsupportedLibraryError: pass\n"
        "else: raise AssertionError('it was not put off')\n"
        "assert 'pkcs11' not in sys.modules\n"
        "load_for('file2:root-1.pem'); load_for('nothing')\n"
        "assert 'pkcs11' not in sys.modules\n"
        "load_for('hsm:1')\n"
        "assert 'pkcs11' in sys.modules\n"
        "try: HSMSigner.import_(1)\n"
        "except UnsupportedLibraryError: raise\n"
        "except Exception: pass  # there is no token\n",
        tmp_path,
    )
