"""A registry over a year, with a client that was up to date before something happened and one a year behind."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta

from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.ceremony.steps import Wanted, finish_ceremony, sign_ceremony, start_ceremony
from registry_builder.publication.context import Publisher
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.publication.refresh import refresh_realm
from registry_builder.signing.key_registration import KeyKind, create_key, register_keys
from registry_builder.signing.metadata import utc_now
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config
from registry_builder.storage.folder import FolderStorage

START = utc_now()
LATER = 350
"""The day of the drill: all that expires in 90 days or less has, root and targets are within their signing window."""


class Drill:
    """``tree`` with acme/slack and acme/mail, published on day 0 and kept alive until day `LATER`."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.root = tree.root
        self.keys = tree.root.parent / "keys"
        self.storage = FolderStorage(tree.root.parent / "published/public")
        self._clients = tree.root.parent / "clients"
        publish_realm(self.publisher(0))
        assert self.client("behind", day=0).versions("acme/slack") == ["1.0.0"]
        refresh_realm(self.publisher(LATER, allow_expired=True), online_only=True)
        assert self.client("up-to-date").versions("acme/slack") == ["1.0.0"]

    def publisher(self, day: float = LATER, *, allow_expired: bool = False, use_memory: bool = True) -> Publisher:
        def clock() -> datetime:
            return START + timedelta(days=day)

        return open_publisher(
            self.tree.load(), "public", clock=clock, allow_expired=allow_expired, use_memory=use_memory
        )

    def publish(self, day: float = LATER) -> PublishResult:
        return publish_realm(self.publisher(day))

    def client(self, name: str, day: float = LATER) -> StockClient:
        """Return the next run of a client that remembers what it has seen."""
        found = StockClient(self.storage, (self.root / "trust/public/1.root.json").read_bytes(), self._clients / name)
        found.updater._trusted_set.reference_time = START + timedelta(days=day)
        return found

    def seen(self, plugin: str = "acme/slack", day: float = LATER) -> set[str]:
        """Return the newest version that each of the clients sees; one answer means that they agree."""
        return {self.client(name, day).versions(plugin)[0] for name in ("up-to-date", "behind", "new")}

    def new_key(self, name: str, kind: KeyKind = "ed25519") -> None:
        section, _ = create_key(self.root, read_config(self.root), name, kind=kind, passphrase=None)
        register_keys(self.root, {name: section})

    def keyring(self) -> Keyring:
        return Keyring(read_config(self.root), self.root)

    def ceremony(self, name: str, wanted: Wanted) -> None:
        """Hold a ceremony with the keys that are here."""
        now = START + timedelta(days=LATER)
        start_ceremony(self.root, name, wanted, by="kim", now=now)
        sign_ceremony(self.root, name, self.keyring(), by="kim", now=now)
        finish_ceremony(self.root, name, by="kim", now=now)

    def take_away(self, key: str) -> None:
        """Put a key out of this machine's reach."""
        away = self.keys.parent / "away"
        away.mkdir(exist_ok=True)
        shutil.move(self.keys / f"{key}.pem", away / f"{key}.pem")

    def bring_back(self, key: str) -> None:
        shutil.move(self.keys.parent / "away" / f"{key}.pem", self.keys / f"{key}.pem")
