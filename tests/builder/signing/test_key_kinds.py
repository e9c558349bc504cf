"""Where keys live: a PKCS#11 token (SoftHSM2), AWS KMS (an emulation of it: ministack), the secret of a CI job."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import boto3
import pytest
from support.builder_cli import call
from support.components import missing, program
from support.drill import Drill
from support.source_trees import Tree

from registry_builder.ceremony.steps import Wanted
from registry_builder.signing.key_registration import create_key, import_key, register_keys
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config
from sealdex.errors import ConfigError, UsageError

PIN = "1234"
GENERATE = ("--keypairgen", "--key-type", "EC:prime256v1", "--id", "02", "--label", "signing")
SETUP = "make test installs it"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


def add(tree: Tree, name: str, uri: str) -> None:
    register_keys(tree.root, {name: import_key(read_config(tree.root), name, uri)})


def check_in_a_process_of_its_own(tree: Tree, key: str) -> None:
    """As the command line does it, which imports the libraries of keys when one needs them."""
    command = [sys.executable, "-m", "registry_builder", "--tree", str(tree.root), "keys", "check", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert key in {name for role in json.loads(done.stdout)["roles"] for name in role["able"]}


@pytest.fixture(scope="session")
def made_token(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """The label of a token that holds a P-256 key with id 2, and the variables by which the library finds it.

    One for the process: the library reads its configuration once, and sees no token that is made later.
    """
    util, tool = program("softhsm2-util", SETUP), program("pkcs11-tool", SETUP)
    if find_spec("pkcs11") is None:
        missing("python-pkcs11", SETUP)
    module = next((path for path in MODULES if Path(path).is_file()), None)
    if module is None:
        missing("libsofthsm2.so", SETUP)
    assert module is not None
    folder = tmp_path_factory.mktemp("tokens")
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n")
    variables = {"SOFTHSM2_CONF": str(config), "PYKCS11LIB": module, "SEALDEX_KEY_PASSPHRASE": PIN}
    label = "sealdex-test"
    for command in (
        [util, "--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN],
        [tool, "--module", module, "--token-label", label, "--login", "--pin", PIN, *GENERATE],
    ):
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **variables})
    return label, variables


@pytest.fixture
def token(made_token: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> str:
    """The token's label; the variables are in the environment."""
    label, variables = made_token
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return label


def test_root_and_timestamp_signed_by_a_token(tree: Tree, token: str) -> None:
    drill = Drill(tree)
    assert call(tree.root, "keys", "add", "token", f"hsm:2?label={token}") == 0
    assert read_config(tree.root).keys["token"].scheme == "ecdsa-sha2-nistp256"
    drill.ceremony("token", Wanted(keys={"root": ("root-1", "token"), "timestamp": ("token",)}))
    drill.tree.release("acme/slack", "1.1.0")
    drill.publish()
    assert drill.seen() == {"1.1.0"}
    check_in_a_process_of_its_own(tree, "token")


def test_a_token_that_is_not_there_is_said(tree: Tree, token: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        import_key(read_config(tree.root), "other", "hsm:2?label=none-of-that-name")


@pytest.fixture(scope="module")
def kms() -> Iterator[str]:
    """The address of an emulated AWS, on loopback only."""
    own = Path(sys.prefix, "ministack/bin/ministack")
    server = str(own) if own.is_file() else shutil.which("ministack")
    if server is None:
        missing("ministack", SETUP)
    assert server is not None
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]  # somebody may be quicker, then it ends and another is tried
        environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "PERSIST_STATE": "0"}
        process = subprocess.Popen(
            [server], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path(server).parent
        )
        try:
            while process.poll() is None:
                try:
                    urlopen(f"http://127.0.0.1:{port}/_ministack/health").close()
                except OSError:
                    time.sleep(0.1)  # there is nothing to wait on but the port
                    continue
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            process.terminate()
            process.wait()
    pytest.fail("ministack ended")


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048"])
def test_online_roles_signed_by_kms(tree: Tree, kms: str, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL_KMS", kms),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    key = boto3.client("kms").create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    drill = Drill(tree)
    add(tree, "kms", f"awskms:{key}")
    drill.ceremony("kms", Wanted(keys={"snapshot": ("kms",), "timestamp": ("kms",)}))
    drill.tree.release("acme/slack", "1.1.0")
    drill.publish()
    assert drill.seen() == {"1.1.0"}
    check_in_a_process_of_its_own(tree, "kms")


def test_a_secret_in_the_environment_of_a_ci_job(tree: Tree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    section, path = create_key(tree.root, read_config(tree.root), "made", passphrase=b"long enough")
    monkeypatch.setenv("ONLINE_KEY", path.read_text())
    path.unlink()
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", "long enough")
    drill = Drill(tree)
    add(tree, "ci", "env:ONLINE_KEY")
    assert read_config(tree.root).keys["ci"].keyid == section.keyid
    drill.ceremony("ci", Wanted(keys={"timestamp": ("ci",)}))
    drill.publish()
    assert drill.seen() == {"1.0.0"}
    monkeypatch.delenv("ONLINE_KEY")
    with pytest.raises(ConfigError, match="ONLINE_KEY is not set"):
        Keyring(read_config(tree.root), tree.root).signer("ci")


def test_a_uri_that_no_key_is_read_from(tree: Tree) -> None:
    for uri in ("file2:x.pem", "ftp:x", "nothing"):
        with pytest.raises(UsageError, match="keys can't be read"):
            import_key(read_config(tree.root), "other", uri)
    with pytest.raises(ConfigError, match="already"):
        import_key(read_config(tree.root), "root-1", "env:X")
