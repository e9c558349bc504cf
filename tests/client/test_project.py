"""From sealdex.toml over sealdex.lock to what is installed, on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support.commands import Run
from support.plugin_registry import YANKED, PluginRegistry
from support.tree_server import TreeServer

from sealdex.lockfile.lock_file import parse_lock
from sealdex.model.ids import PluginId

HEAVY = {
    "click", "msgspec", "typing", "pathlib", "tuf", "dataclasses", "urllib3", "sqlite3", "filelock", "tomllib",
    "logging",
}  # fmt: skip


def lock_of(tmp_path: Path) -> dict[str, str]:
    document = parse_lock((tmp_path / "project/sealdex.lock").read_text())
    return {locked.name: locked.version for locked in document.plugin}


def in_use(run: Run) -> dict[str, str]:
    listed = run("list", "--json").document["installed"]
    return {i["plugin"]: i["version"] for i in listed if i["current"]}


def yank(registry: PluginRegistry, name: str, version: str) -> None:
    plugin = PluginId(*name.split("/"))
    document = registry.documents[plugin]
    releases = tuple(
        msgspec.structs.replace(r, yanked=YANKED) if r.version == version else r for r in document.releases
    )
    registry.documents[plugin] = msgspec.structs.replace(document, releases=releases)
    registry.publish()


def test_lock_then_ensure_then_nothing_is_asked(
    run: Run, server: TreeServer, want: Callable[[str], None], tmp_path: Path
) -> None:
    want('"acme/slack" = "^1"')
    locked = run("lock", "--json").document
    assert locked["changed"] == [
        {"plugin": "acme/base", "before": None, "after": "1.0.0"},
        {"plugin": "acme/slack", "before": None, "after": "1.1.0"},
    ]
    first = run("ensure", "--json")
    assert [e["action"] for e in first.document["ensured"]] == ["unpack", "unpack"], first.err
    assert in_use(run) == {"acme/base": "1.0.0", "acme/slack": "1.1.0"}
    server.requests.clear()
    again = run("ensure", "--json")
    assert [(e["plugin"], e["action"]) for e in again.document["ensured"]] == [
        ("acme/base", "keep"),
        ("acme/slack", "keep"),
    ]
    assert run("ensure", "--locked").out == "all 2 plugins are in place\n"
    # the long way, without what was kept of the last time: it asks nobody either, and says the same
    for kept in (tmp_path / "store/ensured").iterdir():
        kept.unlink()
    assert run("ensure", "--json").document == again.document
    assert server.requests == []


def test_a_warm_ensure_imports_nothing_heavy(run: Run, want: Callable[[str], None]) -> None:
    want('"acme/slack" = "^1"')
    assert run("ensure").code == 0
    code = (
        "import sys; from sealdex.cli.main import main\n"
        f"code = main(['ensure'])\nprint(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n" + code],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (0, "all 2 plugins are in place\n", "[]")


UNUSED_AT_FIRST = {
    "urllib3", "filelock", "importlib.metadata", "subprocess", "urllib.request", "click", "tarfile", "getpass",
    "difflib", "encodings.idna", "securesystemslib.signer._gpg_signer", "securesystemslib.signer._crypto_signer",
    "cryptography.hazmat.primitives.serialization.ssh", "sealdex.install.local_archive", "sealdex.install.preview",
    "sealdex.download.delta", "sealdex.archive.tar", "securesystemslib._vendor.ed25519.ed25519", "platform", "dis",
    "ast", "tokenize", "_ssl", "_bz2", "_lzma", "cryptography.hazmat.primitives.asymmetric.types",
}  # fmt: skip


@pytest.mark.usefixtures("no_proxy")  # of whose settings more is imported
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("command", "most"),
    [(["info", "acme/slack"], 117), (["install", "acme/slack"], 150), (["ensure"], 160)],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_on_an_empty_host_no_more_is_imported_than_is_used(
    want: Callable[[str], None], command: list[str], most: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first second is imports: docs/decisions/0063-the-first-second.md."""
    want('"acme/slack" = "^1"')
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "empty"))
    code = (
        "import sys; sys.modules['typing_extensions'] = None  # msgspec takes it, and on most Pythons there is none\n"
        "from sealdex.cli.main import main\n"
        f"code = main({command!r})\nours = [name for name in sys.modules if name.startswith('sealdex')]\n"
        f"print(sorted({UNUSED_AT_FIRST!r} & set(sys.modules)), len(ours) <= {most} or len(ours), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n" + code],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert (ran.returncode, ran.stderr.strip().splitlines()[-1]) == (0, "[] True"), ran.stderr


def test_what_was_changed_by_hand_is_put_right(run: Run, want: Callable[[str], None], tmp_path: Path) -> None:
    want('"acme/slack" = "=1.0.0"')
    run("ensure")
    run("install", "acme/slack@1.1.0")
    assert in_use(run)["acme/slack"] == "1.1.0"
    switched = run("ensure")
    assert "switched to acme/slack 1.0.0 (was 1.1.0)" in switched.out
    run("uninstall", "acme/base", "--force")
    assert "installed acme/base 1.0.0" in run("ensure").out


def test_stale_locks(run: Run, want: Callable[[str], None], tmp_path: Path) -> None:
    want('"acme/slack" = "=1.0.0"')
    run("lock")
    want('"acme/slack" = "^1.1"\n"acme/mail" = "*"')
    stale = run("ensure", "--locked", "--json")
    assert stale.code == 1
    assert stale.document["error"]["code"] == "stale-lock"
    assert stale.document["error"]["details"]["reasons"] == [
        "acme/mail is requested but not locked",
        "acme/slack@^1.1 is requested but acme/slack@=1.0.0 is locked",
    ]
    assert in_use(run) == {}
    assert run("ensure", "--frozen").code == 0
    assert in_use(run)["acme/slack"] == "1.0.0"
    assert run("ensure").code == 0
    assert lock_of(tmp_path) == {"acme/base": "1.0.0", "acme/mail": "1.0.0", "acme/slack": "1.1.0"}
    assert run("ensure", "--locked", "--frozen").code == 2


def test_without_files(run: Run, want: Callable[[str], None]) -> None:
    assert (run("lock").code, run("ensure").code) == (3, 3)
    want('"acme/slack" = "^1"')
    missing = run("ensure", "--locked")
    assert (missing.code, "to create it: sealdex lock" in missing.err) == (3, True)
    want('"acme/slack" = "banana"')
    wrong = run("lock")
    assert (wrong.code, 'plugins."acme/slack"' in wrong.err) == (1, True)


def test_a_lock_stays_until_it_is_upgraded(
    run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path
) -> None:
    want('"acme/slack" = "^1"\n"acme/mail" = "^1"')
    run("lock")
    registry.release("acme/slack", "1.2.0", dependencies={"acme/base": "^1"})
    registry.release("acme/base", "1.5.0")
    registry.publish()
    assert run("lock", "--json").document["changed"] == []
    only = run("lock", "--upgrade-package", "acme/slack", "--dry-run")
    assert "~ acme/slack 1.1.0 -> 1.2.0" in only.out
    assert "acme/base" not in only.out
    assert lock_of(tmp_path)["acme/slack"] == "1.1.0"
    dry = run("update", "--dry-run", "--json").document
    assert [c["plugin"] for c in dry["changed"]] == ["acme/base", "acme/slack"]
    updated = run("update")
    assert "~ acme/base 1.0.0 -> 1.5.0" in updated.out
    assert in_use(run) == {"acme/base": "1.5.0", "acme/mail": "1.0.0", "acme/slack": "1.2.0"}
    assert run("lock", "--upgrade-package", "acme/nothing").code == 3


def test_yanked_releases_install_from_a_lock_with_a_warning(
    run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path
) -> None:
    want('"acme/slack" = "^1"')
    run("lock")
    yank(registry, "acme/slack", "1.1.0")
    ensured = run("ensure")
    assert ensured.code == 0
    assert "warning: acme/slack 1.1.0, which is locked, was yanked by kai: leaks tokens" in ensured.err
    assert run("lock", "--json").document["changed"] == []
    assert run("lock", "--upgrade", "--json").document["changed"] == [
        {"plugin": "acme/slack", "before": "1.1.0", "after": "1.0.0"}
    ]


def test_a_lock_that_was_tampered_with(run: Run, want: Callable[[str], None], tmp_path: Path) -> None:
    """Power: who may edit sealdex.lock and serve files. Change: another digest. Refused: the registry signs another."""
    want('"acme/mail" = "^1"')
    run("lock")
    path = tmp_path / "project/sealdex.lock"
    digest = parse_lock(path.read_text()).plugin[0].artifact[0].sha256
    path.write_text(path.read_text().replace(digest, "0" * 64))
    refused = run("ensure")
    assert (refused.code, "SECURITY" in refused.err, "other digests" in refused.err) == (4, True, True)
    assert in_use(run) == {}


def test_channels_and_prereleases_of_one_plugin(run: Run, want: Callable[[str], None], tmp_path: Path) -> None:
    want('"acme/slack" = { version = "*", channel = "beta" }\n"acme/mail" = "*"')
    run("lock")
    assert lock_of(tmp_path) == {"acme/base": "1.0.0", "acme/mail": "1.0.0", "acme/slack": "2.0.0"}
    assert run("ensure", "--locked").code == 0


def test_platforms_and_environment(
    run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path
) -> None:
    registry.release("acme/hal", "1.0.0", tags=("jetpack-5",))
    registry.release("acme/hal", "2.0.0", tags=("jetpack-6",))
    registry.publish()
    want('"acme/hal" = "*"\n[environment]\ntags = ["jetpack-5"]')
    assert run("ensure").code == 0
    assert in_use(run)["acme/hal"] == "1.0.0"
    platform = '[[platforms]]\nlabels = { os = "%s", arch = "arm64" }\ntags = ["jetpack-6"]'
    want(f'"acme/hal" = "*"\n{platform % "linux"}\n{platform % "darwin"}')
    assert run("lock").code == 0
    assert lock_of(tmp_path) == {"acme/hal": "2.0.0"}
    refused = run("ensure")
    assert (refused.code, "doesn't fit this host: needs tag jetpack-6" in refused.err) == (3, True)


def test_offline_and_fallback(run: Run, server: TreeServer, want: Callable[[str], None], tmp_path: Path) -> None:
    want('"acme/mail" = "^1"')
    assert run("lock").code == 0
    assert run("ensure", "--offline").code == 5
    assert run("fetch", "acme/mail", "--cache-only").code == 0
    (tmp_path / "store/trust/public").rename(tmp_path / "away")
    server.requests.clear()
    refused = run("ensure", "--offline")  # the manifest was never fetched
    assert (refused.code, "manifest.json" in refused.err) == (5, True)
    run("install", "acme/mail")
    run("uninstall", "acme/mail")
    (tmp_path / "store/trust/public/metadata").rename(tmp_path / "away too")
    server.requests.clear()
    assert run("ensure", "--offline", "--no-fallback").code == 5
    done = run("ensure", "--offline")
    assert (done.code, "verified by the lock alone" in done.err) == (0, True)
    assert server.requests == []
    assert "pinned by sealdex.lock" in run("list").out


def test_pins_hold_against_a_lock(run: Run, want: Callable[[str], None]) -> None:
    assert run("install", "acme/slack@1.0.0", "--pin").code == 0
    want('"acme/slack" = "^1"')
    refused = run("ensure")
    assert (refused.code, "sealdex use acme/slack --unpin" in refused.err) == (1, True)
    run("use", "acme/slack", "--unpin")
    assert run("ensure").code == 0
