"""The browse site's chain.js beside tuf-js: on the repositories of attacks both refuse, and on honest ones both read.

In CI a missing node or npm is a failure; elsewhere these tests are skipped with the reason.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from support.node_tools import installed, node
from support.places import REPOSITORY
from support.tree_server import TreeServer
from support.tuf_repository import TufRepository, edited, in_past, new_key, signed_bytes

from sealdex.model.ids import PluginId
from sealdex.model.index import index_target

NODE = Path(__file__).parent / "node"
CHAIN = REPOSITORY / "site_templates" / "assets" / "chain.js"
SLACK = PluginId("acme", "slack")
TIMESTAMP = "metadata/timestamp.json"


def repository() -> TufRepository:
    made = TufRepository()
    made.add(SLACK, "2.0.0", "1.0.0")
    made.publish()
    return made


def asked(made: TufRepository, folder: Path, root: bytes | None = None) -> dict[str, Any]:
    installed(NODE)
    for name in ("metadata", "targets"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "metadata/root.json").write_bytes(root or made.pinned_root)
    with TreeServer(made.files) as server:
        words = [node(), "attacked.mjs", str(folder / "metadata"), str(folder / "targets"), server.url, str(SLACK)]
        done = subprocess.run(
            [*words, CHAIN.as_uri()], cwd=NODE, capture_output=True, text=True, check=False, timeout=120
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_honest_registry_is_read_by_both_with_each_kind_of_key(tmp_path: Path) -> None:
    made = repository()
    made.keys["timestamp"] = [CryptoSigner.generate_ecdsa()]
    made.keys["snapshot"] = [CryptoSigner.generate_rsa()]
    for role in ("timestamp", "snapshot"):
        made.root.roles[role].keyids = []
        made.root.add_key(made.keys[role][0].public_key, role)
    before = list(made.keys["root"])
    made.root.version += 1
    made._write_root(before)  # a rotation to other kinds of keys
    del made.roles[made.bin_of(SLACK)].targets[index_target(SLACK)]
    made.claim("acme")
    made.add(SLACK, "3.0.0", role="team-acme")
    made.publish()
    found = asked(made, tmp_path)
    assert found == {"ours": {"version": "3.0.0"}, "tuf_js": {"version": "3.0.0"}}


def _expired(role: str) -> Callable[[TufRepository], None]:
    def attack(made: TufRepository) -> None:
        signed: Any = {**made.top_roles, **made.roles}[role]
        signed.expires = in_past()
        if role in made.roles:
            made.touch(role)
        made.publish()

    return attack


def _other_key(made: TufRepository) -> None:
    made.files[TIMESTAMP] = signed_bytes(made.timestamp, [new_key()])


def _other_role(made: TufRepository) -> None:
    made.files[TIMESTAMP] = signed_bytes(made.snapshot, made.signers("timestamp"))


def _mixed_snapshot(made: TufRepository) -> None:
    older = made.files["metadata/1.snapshot.json"]
    made.add(SLACK, "2.1.0")
    made.publish()
    made.files["metadata/2.snapshot.json"] = older


def _other_document(made: TufRepository) -> None:
    key = made.target_key(index_target(SLACK))
    made.files[key] = made.files[key].replace(b"2.0.0", b"9.9.9")


def _edited_bin(made: TufRepository) -> None:
    key = made.key(made.bin_of(SLACK))
    made.files[key] = edited(made.files[key], lambda document: document["signed"].update(version=7))


def _forged_root(made: TufRepository) -> None:
    forger = TufRepository()
    forger.root.version = 2
    made.files["metadata/2.root.json"] = signed_bytes(forger.root, forger.signers("root"))


def _root_of_another_number(made: TufRepository) -> None:
    made.root.version = 3
    made.files["metadata/2.root.json"] = signed_bytes(made.root, made.signers("root"))


def _nothing_signed(made: TufRepository) -> None:
    del made.roles[made.bin_of(SLACK)].targets[index_target(SLACK)]
    made.touch(made.bin_of(SLACK))
    made.publish()


def _no_snapshot(made: TufRepository) -> None:
    del made.files[made.key("snapshot")]


ATTACKS: dict[str, Callable[[TufRepository], None]] = {
    "expired timestamp": _expired("timestamp"),
    "expired snapshot": _expired("snapshot"),
    "expired targets": _expired("targets"),
    "expired packages": _expired("packages"),
    "other key": _other_key,
    "other role": _other_role,
    "mixed snapshot": _mixed_snapshot,
    "other document": _other_document,
    "edited bin": _edited_bin,
    "forged root": _forged_root,
    "root of another number": _root_of_another_number,
    "nothing signed": _nothing_signed,
    "no snapshot": _no_snapshot,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_both_refuse(attack: str, tmp_path: Path) -> None:
    """Attacker: whoever writes to the bucket. Change: as named. Refused by the page as by tuf-js."""
    made = repository()
    ATTACKS[attack](made)
    found = asked(made, tmp_path)
    assert {name: "refused" in answer for name, answer in found.items()} == {"ours": True, "tuf_js": True}, found


def test_attack_by_the_mark_of_another_role(tmp_path: Path) -> None:
    """Attacker: holds the bins' keys. Change: signs one bin's metadata as another role's. Other TUF clients don't know
    the mark (decision 0003); ours and the page do.
    """
    made = repository()
    name = made.bin_of(SLACK)
    made.roles[name].unrecognized_fields["x-sealdex-role"] = "bin-f"
    made.touch(name)
    made.publish()
    found = asked(made, tmp_path)
    assert "was signed as bin-f" in found["ours"]["refused"]
    assert found["tuf_js"] == {"version": "2.0.0"}
