"""One client, one registry over loopback HTTP, and between them whoever the test makes up."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.tree_server import Endless, Held, TreeServer
from support.tuf_repository import TufRepository

from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.transport import Chance, Transport, TransportSettings
from sealdex.trust import TrustedRegistry

SLACK = PluginId("acme", "slack")
OTHER = PluginId("other", "tool")


class Scene:
    """A published registry with acme/slack 1.0.0 and other/tool 1.0.0, its server, and a client's trust folder."""

    def __init__(self, server: TreeServer, repository: TufRepository, folder: Path) -> None:
        self.server = server
        self.repository = repository
        self.folder = folder

    def registry(self, *, offline: bool = False, fetch_ahead: bool = True) -> TrustedRegistry:
        """A new run of the client: nothing in memory, the trust folder as the last run left it."""
        root = self.repository.pinned_root
        return TrustedRegistry(
            "public",
            self.server.url,
            root,
            self.folder,
            hasty_transport(),
            offline=offline,
            fetch_ahead=fetch_ahead,
        )

    def index(self, plugin: PluginId = SLACK, **options: bool) -> IndexDocument:
        document = self.registry(**options).index(plugin)
        assert document is not None
        return document

    def newest(self, plugin: PluginId = SLACK, **options: bool) -> str:
        """The version that a new run of the client finds."""
        return self.index(plugin, **options).releases[0].version

    def kept(self) -> dict[str, bytes]:
        """What lies in the trust folder: path to bytes."""
        files = sorted(p for p in self.folder.rglob("*") if p.is_file() and p.name not in {"lock", "holder"})
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in files}

    @contextmanager
    def serving(self, changes: Mapping[str, bytes | int | Endless | Held]) -> Iterator[None]:
        """Answer these paths with something else for a while."""
        self.server.instead = dict(changes)
        try:
            yield
        finally:
            self.server.instead = {}


def hasty_transport() -> Transport:
    """A transport whose retries cost no time: its clock moves only when it sleeps, and it never really sleeps.

    Each thread has a clock of its own, since the sleep of one is not a wait of the others.
    """

    class Clock(threading.local):
        now = 0.0

        def sleep(self, seconds: float) -> None:
            self.now += seconds + 1.0

    clock = Clock()
    return Transport(
        TransportSettings(no_progress_window=2.0), chance=Chance(clock=lambda: clock.now, sleep=clock.sleep)
    )


@contextmanager
def scene_in(folder: Path) -> Iterator[Scene]:
    repository = TufRepository()
    repository.add(SLACK, "1.0.0")
    repository.add(OTHER, "1.0.0")
    repository.publish()
    with TreeServer(repository.files) as server:
        yield Scene(server, repository, folder / "trust")
