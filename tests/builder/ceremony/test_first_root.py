"""The first root that readers get: every development key replaced before the registry is published."""

from __future__ import annotations

from pathlib import Path

from support.source_trees import Tree
from support.stock_client import StockClient
from tuf.api.metadata import Metadata, Root

from registry_builder.ceremony.steps import Wanted, finish_ceremony, sign_ceremony, start_ceremony
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.signing.dev_keys import DEV_ROLE_KEYS
from registry_builder.signing.key_registration import create_key, register_keys
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config
from registry_builder.storage.folder import FolderStorage

PEOPLE = ("root-ann", "root-ben", "root-cho")
ONLINE = {"packages": ("packages-2",), "catalog": ("catalog-2",), "snapshot": ("online-2",), "timestamp": ("online-2",)}


def test_readers_of_the_second_root_trust_no_development_key(tree: Tree, tmp_path: Path) -> None:
    root, keys = tree.root, tmp_path / "keys"
    for name in (*PEOPLE, *dict.fromkeys(key for (key,) in ONLINE.values())):
        section, _ = create_key(root, read_config(root), name, passphrase=None)
        register_keys(root, {name: section})
    start_ceremony(root, "first", Wanted(keys={"root": PEOPLE, "targets": PEOPLE, **ONLINE}), by="kim")
    (keys / "root-cho.pem").unlink()  # two of three sign, and you with the development keys
    sign_ceremony(root, "first", Keyring(read_config(root), root), by="kim")
    finish_ceremony(root, "first", by="kim")
    development = {key for names in DEV_ROLE_KEYS.values() for key in names}
    for name in development - {"online"}:
        (keys / f"{name}.pem").unlink()
    publish_realm(open_publisher(tree.load(), "public"))
    (keys / "online.pem").unlink()

    handed_out = (root / "trust/public/2.root.json").read_bytes()
    sections = read_config(root).keys
    assert not {sections[name].keyid for name in development} & set(Metadata[Root].from_bytes(handed_out).signed.keys)
    storage = FolderStorage(tmp_path / "published/public")
    assert StockClient(storage, handed_out, tmp_path / "client").versions("acme/slack") == ["1.0.0"]
    tree.release("acme/slack", "1.1.0")
    publish_realm(open_publisher(tree.load(), "public"))
    assert StockClient(storage, handed_out, tmp_path / "client").versions("acme/slack") == ["1.1.0", "1.0.0"]
