"""Attacks by a lock: its author can write every byte of `sealdex.lock`, and may serve files or own a server.

The honest registry is `public`, for the namespace acme; nothing else is mapped. What each attack gains is written in
SECURITY.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from support.commands import Ran, Run
from support.plugin_registry import PluginRegistry, sha256, zip_of
from support.tree_server import TreeServer

import sealdex.install.batch
from sealdex.install.install import needs_archive
from sealdex.lockfile.lock_file import LockDocument, LockedPlugin, lock_text, read_lock
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import ArtifactEntry, FilePin
from sealdex.store.cache import ContentCache

EVIL = zip_of({"plugin.py": b"print('gotcha')"})
EVIL_MANIFEST = b'{"format":1,"namespace":"aaa","name":"ghost","version":"1.0.0"}'
GENUINE = "plugins/acme/base/1.0.0/base.zip"


class Stranger:
    """A host with a healthy registry, the project somebody gave it, and that somebody's server."""

    def __init__(self, run: Run, server: TreeServer, evil: TreeServer, folder: Path) -> None:
        self.run, self.server, self.evil = run, server, evil
        self.folder = folder
        self.path = folder / "project/sealdex.lock"
        self.honest = read_lock(self.path).by_id
        self.base = next(block for plugin, block in self.honest.items() if plugin.name == "base")

    @property
    def stolen(self) -> ArtifactEntry:
        """The attacker's zip, at the attacker's address."""
        return ArtifactEntry("base.zip", sha256(EVIL), "zip", len(EVIL), url=f"{self.evil.url}/evil.zip")

    @property
    def ghost(self) -> LockedPlugin:
        """A plugin of a namespace that no registry has."""
        return LockedPlugin(
            name="aaa/ghost",
            version="1.0.0",
            registry="public",
            wanted="*",
            manifest=FilePin(len(EVIL_MANIFEST), sha256(EVIL_MANIFEST)),
            artifact=(replace(self.stolen, file="ghost.zip"),),
        )

    def lock(self, *blocks: LockedPlugin) -> None:
        """Hand over a lock with just these blocks."""
        self.path.write_text(lock_text(LockDocument(plugin=blocks)))

    def ensure(self, *options: str) -> Ran:
        self.server.requests.clear()
        self.evil.requests.clear()
        return self.run("ensure", "--frozen", *options)

    def refused(self, code: int, *options: str) -> Ran:
        """Ensure, which must be refused: nothing installed, nothing of the attacker's fetched or kept."""
        ran = self.ensure(*options)
        assert ran.code == code, (ran.code, ran.out, ran.err)
        self.nothing_is_there()
        return ran

    def nothing_is_there(self) -> None:
        assert self.run("list", "--json").document["installed"] == []
        assert self.evil.requests == []
        assert [path for path in (self.folder / "store").rglob("*") if path.is_file() and _is_evil(path)] == []

    def break_off(self, *, but: str = "plugins/") -> None:
        """From now on the registry answers 503 for all but its artifacts."""
        self.server.instead = {path: 503 for path in self.server.files if not path.startswith(but)}
        for number in range(1, 9):
            self.server.instead[f"metadata/{number}.root.json"] = 503

    def forget(self) -> None:
        """A host that never asked this registry, and has nothing in its cache."""
        for name in ("trust", "cache"):
            if (folder := self.folder / "store" / name).exists():
                folder.rename(self.folder / f"before-{name}")

    def warm(self) -> None:
        """Have the attacker's bytes in the cache, as after an install of the attacker's own plugin elsewhere."""
        (self.folder / "warm").write_bytes(EVIL)
        ContentCache(self.folder / "store/cache").add_file(self.folder / "warm", sha256(EVIL))


def _is_evil(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() in {sha256(EVIL), sha256(EVIL_MANIFEST)}


@pytest.fixture
def evil() -> Iterator[TreeServer]:
    with TreeServer({"evil.zip": EVIL, "manifest.json": EVIL_MANIFEST}) as running:
        yield running


@pytest.fixture
def stranger(
    bare: Run,
    registry: PluginRegistry,
    server: TreeServer,
    evil: TreeServer,
    want: Callable[[str], None],
    tmp_path: Path,
) -> Stranger:
    root = tmp_path / "given-root.json"
    root.write_bytes(registry.root)
    assert bare("registry", "add", "public", server.url, "--root", root, "--namespace", "acme").code == 0
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text() + "\n[download]\nretry = 0\n")
    want('"acme/base" = "*"')
    assert bare("lock").code == 0
    return Stranger(bare, server, evil, tmp_path)


def test_a_plugin_that_no_registry_has_loosens_nothing(stranger: Stranger) -> None:
    stranger.lock(stranger.ghost, replace(stranger.base, artifact=(stranger.stolen,)))
    assert "SECURITY" in stranger.refused(4).err
    stranger.lock(stranger.ghost, stranger.base)
    refused = stranger.refused(3)
    assert "no registry is configured for namespace 'aaa'" in refused.err
    assert "ghost.zip of aaa/ghost 1.0.0 is neither in the cache nor preinstalled" in refused.err


def test_what_only_a_lock_vouches_for_comes_from_here_or_not_at_all(stranger: Stranger) -> None:
    """Power: the lock, and that its bytes are on this host already. What is asked about is asked all the same."""
    stranger.warm()
    builtin = stranger.folder / "store/builtin/plugins/aaa/ghost/1.0.0"
    builtin.mkdir(parents=True)
    (builtin / "manifest.json").write_bytes(EVIL_MANIFEST)
    stranger.lock(stranger.ghost, stranger.base)
    ran = stranger.ensure("--json")
    assert ran.code == 0, ran.err
    assert ran.document["pinned_by_lock"] == ["aaa/ghost"]
    assert "no registry could be reached for aaa/ghost" in ran.err
    trusts = {each["plugin"]: each["signed_by"] for each in stranger.run("list", "--json").document["installed"]}
    assert trusts == {"aaa/ghost": "sealdex.lock", "acme/base": "packages"}
    assert stranger.evil.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "{evil}/evil.zip"},
        {"sha256": sha256(EVIL), "size": len(EVIL)},
        {"size": 1},
        {"file": "other.zip"},
        {"format": "file"},
        {"bin": "plugin.py"},
        {"files": [{"from": "plugin.py", "to": "x.py"}]},
        {"file_list": {"size": 3, "sha256": sha256(EVIL)}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_field_of_a_locked_artifact_is_compared(stranger: Stranger, changes: dict[str, Any]) -> None:
    """Power: the lock. The manifest's pin is the genuine one; one field of the artifact is the attacker's."""
    plain = {**msgspec.to_builtins(stranger.base.artifact[0]), **changes}
    if "url" in plain:
        plain["url"] = plain["url"].format(evil=stranger.evil.url)
    changed = msgspec.convert(plain, ArtifactEntry)
    stranger.lock(replace(stranger.base, artifact=(changed,)))
    assert "SECURITY" in stranger.refused(4).err


def test_which_artifact_is_for_this_host_the_registry_says(
    stranger: Stranger, registry: PluginRegistry, want: Callable[[str], None]
) -> None:
    """Power: the lock. By other selectors, or in another order, a host would get what was signed for another."""
    first = ArtifactEntry("mine.zip", sha256(EVIL), "zip", len(EVIL), selector={"match_labels": {"os": "linux"}})
    registry.release("acme/two", "1.0.0", artifacts=(first, replace(first, file="other.zip", selector={})))
    registry.publish()
    want('"acme/two" = "*"')
    assert stranger.run("lock").code == 0
    two = read_lock(stranger.path).plugin[0]
    changed = replace(two.artifact[0], selector={"match_labels": {"os": "plan9"}})
    for artifacts in ((changed, two.artifact[1]), two.artifact[::-1]):
        stranger.lock(replace(two, artifact=artifacts))
        assert "SECURITY" in stranger.refused(4).err


@pytest.mark.parametrize(
    "changes",
    [
        {"manifest": FilePin(len(EVIL_MANIFEST), sha256(EVIL_MANIFEST))},
        {"artifact": ()},
        {"dependencies": {"acme/mail": "*"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_field_of_a_locked_release_is_compared(stranger: Stranger, changes: dict[str, Any]) -> None:
    """Power: the lock. Without its artifacts a release would be left out, and nobody told."""
    stranger.lock(replace(stranger.base, **changes))
    assert "SECURITY" in stranger.refused(4).err


def test_a_locked_image_is_what_the_registry_signs(stranger: Stranger) -> None:
    """Power: the lock. Another container image in a plugin's place would be pulled by whoever reads the answer."""
    image = ArtifactEntry("image", "ab" * 32, "oci", url="evil.example/x@sha256:" + "ab" * 32)
    stranger.lock(replace(stranger.base, artifact=(image,)))
    assert "evil.example" not in stranger.refused(4, "--json").out
    stranger.break_off()
    stranger.forget()
    assert "evil.example" not in stranger.refused(5, "--json").out
    stranger.lock(replace(stranger.ghost, artifact=(image,)))
    assert "evil.example" not in stranger.refused(3, "--json").out


def test_a_server_that_withholds_metadata_gains_nothing(stranger: Stranger) -> None:
    """Power: the lock and the registry's server, which answers 503 for metadata and serves artifacts."""
    stranger.forget()
    stranger.server.files = {**stranger.server.files, GENUINE: EVIL}
    stranger.break_off()
    here = replace(stranger.stolen, url=None)
    for artifact in (stranger.stolen, here):
        stranger.lock(replace(stranger.base, artifact=(artifact,)))
        assert "is neither in the cache nor preinstalled" in stranger.refused(5).err
        assert [path for path in stranger.server.requests if path.startswith("plugins/")] == []


@pytest.mark.parametrize("what", ["document", "metadata"])
def test_a_server_that_withholds_one_plugin_gains_nothing(
    stranger: Stranger, registry: PluginRegistry, what: str
) -> None:
    """Power: the lock, and a server that answers 503 about one plugin: the other is compared all the same."""
    base = parse_plugin_id("acme/base")
    named = (parse_plugin_id(f"acme/other-{number}") for number in range(100))
    other = next(plugin for plugin in named if registry.tuf.bin_of(plugin) != registry.tuf.bin_of(base))
    registry.release(str(other), "1.0.0")
    registry.publish()
    withheld = {
        "document": f".{base.name}.json",
        "metadata": f".{registry.tuf.bin_of(base)}.json",
    }[what]
    stranger.forget()
    stranger.warm()
    stranger.server.instead = {path: 503 for path in registry.files if path.endswith(withheld)}
    stranger.server.instead["metadata/recent.bundle"] = 404
    assert len(stranger.server.instead) > 1
    entry = registry.documents[other].releases[0]
    artifact = replace(stranger.stolen, file=f"{other.name}.zip", url=None)
    theirs = replace(stranger.ghost, name=str(other), manifest=entry.manifest, artifact=(artifact,))
    stranger.lock(stranger.base, theirs)
    ran = stranger.ensure()
    assert (ran.code, "SECURITY" in ran.err) == (4, True), ran.err
    assert stranger.run("list", "--json").document["installed"] == []


def test_what_was_verified_last_holds_when_nobody_answers(stranger: Stranger) -> None:
    """Power: the lock, a server that withholds metadata, and the attacker's bytes in this host's cache."""
    assert stranger.run("fetch", "acme/base", "--cache-only").code == 0
    stranger.warm()
    stranger.break_off()
    for options in ([], ["--offline"]):
        stranger.lock(replace(stranger.base, artifact=(replace(stranger.stolen, url=None),)))
        ran = stranger.ensure(*options)
        assert (ran.code, "SECURITY" in ran.err) == (4, True)
    assert stranger.run("list", "--json").document["installed"] == []


def test_an_honest_lock_is_installed_from_the_cache_when_nobody_answers(stranger: Stranger) -> None:
    assert stranger.ensure().code == 0
    assert stranger.run("uninstall", "acme/base").code == 0
    (stranger.folder / "store/trust").rename(stranger.folder / "before")
    stranger.break_off(but="nothing")
    ran = stranger.ensure()
    assert (ran.code, "verified by the lock alone" in ran.err) == (0, True)
    assert "pinned by sealdex.lock" in ran.out


def test_whose_a_namespace_is_the_lock_does_not_say(stranger: Stranger, tmp_path: Path) -> None:
    """Power: the lock, and a registry of the attacker's own that this host trusts for another namespace."""
    theirs = PluginRegistry()
    theirs.release("acme/base", "1.0.0", {"plugin.py": b"print('gotcha')"})
    theirs.publish()
    with TreeServer(theirs.files) as their_server:
        (tmp_path / "theirs.json").write_bytes(theirs.root)
        added = stranger.run(
            "registry", "add", "theirs", their_server.url, "--root", tmp_path / "theirs.json", "--namespace", "evil"
        )
        assert added.code == 0
        entry = next(iter(theirs.documents.values())).releases[0]
        stranger.lock(
            replace(stranger.base, registry="theirs", manifest=entry.manifest, artifact=entry.artifacts),
        )
        their_server.requests.clear()
        assert "SECURITY" in stranger.refused(4).err
        assert their_server.requests == []


@pytest.mark.parametrize("place", ["cache", "builtin"])
def test_other_bytes_under_a_digests_name_are_not_used(stranger: Stranger, place: str) -> None:
    """Power: writing to the cache, or the folder of preinstalled archives. The digest is of the genuine file."""
    digest = stranger.base.artifact[0].sha256
    path = {
        "cache": stranger.folder / "store/cache/sha256" / digest[:2] / digest,
        "builtin": stranger.folder / "store/builtin" / GENUINE,
    }[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(EVIL)
    stranger.lock(stranger.base)
    assert stranger.ensure().code == 0
    assert stranger.run("verify").code == 0
    installed = Path(stranger.run("path", "acme/base").out.strip()) / "plugin.py"
    assert installed.read_bytes() == b"VERSION = '1.0.0'\n"


def test_what_goes_while_it_is_installed_is_vouched_for_before_it_is_fetched(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power: the lock, of which a plugin is installed; another process removes it between the look and the install."""
    assert stranger.ensure().code == 0
    stranger.lock(replace(stranger.base, artifact=(replace(stranger.base.artifact[0], bin="plugin.py"),)))
    gone: list[int] = []

    def take_away(*args: Any, **options: Any) -> bool:
        if not gone:
            gone.append(stranger.run("uninstall", "acme/base").code)
        return needs_archive(*args, **options)

    monkeypatch.setattr(sealdex.install.batch, "needs_archive", take_away)
    assert "SECURITY" in stranger.refused(4).err
    assert gone == [0]
