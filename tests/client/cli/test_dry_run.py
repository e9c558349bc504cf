"""``install --dry-run`` and ``ensure --dry-run``: what they say is what happens then, and no file changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.archives import make_archive
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

Tree = Callable[[], dict[str, tuple[bytes | None, int]]]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Takes the content and time of every file and folder of store, configuration and project.

    Of trusted metadata only the content: python-tuf writes the root that it has once more.
    """

    def taken() -> dict[str, tuple[bytes | None, int]]:
        return {
            str(path): (
                path.read_bytes() if path.is_file() else None,
                0 if tmp_path / "store/trust" in path.parents else path.lstat().st_mtime_ns,
            )
            for path in sorted(tmp_path.rglob("*"))
        }

    return taken


def archives(server: TreeServer) -> list[str]:
    return [path for path in server.requests if path.endswith((".zip", "manifest.json"))]


def test_an_install_is_foretold(run: Run, server: TreeServer, registry: PluginRegistry, tree: Tree) -> None:
    assert run("info", "acme/slack").code == 0  # the metadata is known; a dry run has nothing to learn
    before = tree()
    dry = run("install", "acme/slack", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert tree() == before
    assert archives(server) == []
    told = dry.document
    sizes = {
        p: len(registry.files[f"plugins/acme/{p}/{v}/{p}.zip"]) for p, v in (("base", "1.0.0"), ("slack", "1.1.0"))
    }
    assert (told["dry_run"], told["bytes_to_fetch"]) == (True, sum(sizes.values()))
    assert [(p["plugin"], p["version"], p["action"], p["bytes_to_fetch"]) for p in told["planned"]] == [
        ("acme/base", "1.0.0", "unpack", sizes["base"]),
        ("acme/slack", "1.1.0", "unpack", sizes["slack"]),
    ]
    done = run("install", "acme/slack", "--json").document["installed"]
    same = ("plugin", "version", "requested", "action", "previous", "sha256", "registry", "signed_by", "root_version")
    assert [[p[key] for key in same] for p in told["planned"]] == [[p[key] for key in same] for p in done]
    assert sum(each["bytes_fetched"] for each in done) == told["bytes_to_fetch"]

    assert run("info", "acme/mail").code == 0
    before = tree()
    again = run("install", "acme/slack", "acme/mail", "--dry-run")
    assert "acme/slack 1.1.0 is already installed" in again.out
    assert "would install acme/mail 1.0.0 · " in again.out
    assert "dry run: 1 to install, " in again.out
    switched = run("install", "acme/slack@1.0.0", "--dry-run")
    assert "would install acme/slack 1.0.0 (was 1.1.0) · " in switched.out
    assert "everything is in place; nothing was changed" in run("install", "acme/slack", "--dry-run").out
    assert tree() == before


def test_on_a_new_host_a_dry_run_leaves_the_verified_metadata_only(run: Run, tmp_path: Path) -> None:
    assert run("install", "acme/slack", "--dry-run").code == 0
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["host-id", "trust"]


def test_what_would_fail_fails(run: Run, tree: Tree, server: TreeServer, registry: PluginRegistry) -> None:
    registry.release("acme/base", "2.0.0")
    registry.publish()
    run("install", "acme/slack")
    assert run("info", "acme/base").code == 0
    before = tree()
    broken = run("install", "acme/base@2.0.0", "--dry-run")
    assert (broken.code, "acme/slack 1.1.0, which is installed, needs acme/base ^1" in broken.err) == (3, True)
    forced = run("install", "acme/base@2.0.0", "--dry-run", "--force")
    assert (forced.code, "acme/slack 1.1.0 needs acme/base ^1" in forced.err) == (0, True)
    assert run("install", "acme/slack@9", "--dry-run").code == 3
    assert tree() == before
    assert run("install", "acme/nothing", "--dry-run").code == 3
    server.instead = dict.fromkeys(registry.files, 500)
    assert run("install", "acme/mail", "--dry-run").code == 5


def test_an_archive_is_inspected_and_not_copied(run: Run, tree: Tree, tmp_path: Path) -> None:
    make_archive(tmp_path / "slack.zip", "zip", {"a": b"a"})
    words = ("install", tmp_path / "slack.zip", "--as", "acme/slack@1.0.0-dev", "--dry-run", "--allow-unsigned")
    assert run(*words).code == 4
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text() + "[install]\nrequire_signed = false\n")
    before = tree()
    assert "would install acme/slack 1.0.0-dev · nothing to download · unsigned" in run(*words).out
    assert tree() == before


def test_an_ensure_is_foretold(run: Run, want: Callable[[str], None], tree: Tree, server: TreeServer) -> None:
    want('"acme/slack" = "=1.0.0"')
    assert run("info", "acme/slack").code == 0
    before = tree()
    dry = run("ensure", "--dry-run")
    assert (dry.code, tree()) == (0, before)
    assert "sealdex.lock would be brought up to date first:" in dry.err
    assert "+ acme/slack 1.0.0" in dry.out
    assert "would install acme/base 1.0.0 · " in dry.out
    assert archives(server) == []
    assert run("lock").code == 0
    before = tree()
    told = run("ensure", "--dry-run", "--json").document
    assert tree() == before
    assert (told["lock_changes"], [p["action"] for p in told["planned"]]) == ([], ["unpack", "unpack"])
    done = run("ensure", "--json").document["ensured"]
    assert sum(each["bytes_fetched"] for each in done) == told["bytes_to_fetch"]

    want('"acme/slack" = "=1.0.0"\n"acme/mail" = "*"')
    assert run("info", "acme/mail").code == 0
    before = tree()
    changed = run("ensure", "--dry-run", "--json").document
    assert [(p["plugin"], p["before"], p["after"]) for p in changed["lock_changes"]] == [("acme/mail", None, "1.0.0")]
    assert [p["action"] for p in changed["planned"]] == ["keep", "unpack", "keep"]
    assert run("ensure", "--dry-run", "--locked").code == 1
    assert tree() == before
    server.instead = dict.fromkeys(server.files, 500)
    assert run("ensure", "--dry-run", "--frozen").out.endswith("everything is in place; nothing was changed\n")
