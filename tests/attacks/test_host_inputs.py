"""Attacks by what a host reads beside a registry: a cloned repository, the environment, a store others can write to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.lockfile.lock_file import LockDocument, LockedPlugin, lock_text, read_lock
from sealdex.model.index import ArtifactEntry

ATTESTATIONS = """[attestations]
required = ["*"]

[[attestations.accept]]
identity = "https://github.com/acme/*"
issuer = "https://token.actions.githubusercontent.com"
"""


@pytest.fixture
def theirs() -> PluginRegistry:
    """The attacker's own registry, with a plugin of the victim's name."""
    made = PluginRegistry()
    made.release("acme/base", "6.6.6")
    made.publish()
    return made


@pytest.mark.parametrize(
    "lines",
    [
        '[registries.evil]\nurl = "{url}"\nroot = "root.json"\nnamespaces = ["acme"]',
        "[install]\nrequire_signed = false",
        '[install]\nbuiltin = "builtin"',
        "[attestations]\nrequired = []",
        '[download]\nca_bundle = "ca.pem"',
        "[cache]\nmax_bytes = 0",
        '[plugins."acme/base"]\nregistry = "evil"',
        '[runtime]\nmetrics_file = "/etc/passwd"',
    ],
    ids=lambda lines: lines.split("\n")[-1].split(" ")[0],
)
def test_a_project_file_says_only_what_is_wanted(
    run: Run, want: Callable[[str], None], server: TreeServer, theirs: PluginRegistry, tmp_path: Path, lines: str
) -> None:
    """Power: a repository that is cloned. It states settings of the host in sealdex.toml: refused, not passed over."""
    project = tmp_path / "project"
    (project / "root.json").write_bytes(theirs.root)
    (project / "sealdex.toml").write_text(lines.format(url=server.url))
    server.requests.clear()
    for command in (["lock"], ["ensure"], ["update"]):
        refused = run(*command)
        assert (refused.code, "unknown field" in refused.err or "is not a" in refused.err) == (1, True), refused.err
    assert server.requests == []
    assert not (project / "sealdex.lock").exists()


@pytest.mark.parametrize(
    "place", ["config.toml", ".sealdex/config.toml", "sealdex/config.toml", ".config/sealdex/config.toml", ".env"]
)
def test_a_configuration_in_a_repository_is_not_read(
    run: Run, want: Callable[[str], None], theirs: PluginRegistry, tmp_path: Path, place: str
) -> None:
    """Power: a repository that is cloned, with a configuration where a program might look for one."""
    project = tmp_path / "project"
    url = theirs.write(tmp_path / "evil")
    (project / "root.json").write_bytes(theirs.root)
    path = project / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'[registries.evil]\nurl = "{url}"\nroot = "{project / "root.json"}"\nnamespaces = ["acme"]\n'
        if path.suffix == ".toml"
        else f"SEALDEX_CONFIG={project}/config.toml\n"
    )
    want('"acme/base" = "*"')
    assert run("ensure").code == 0
    assert "6.6.6" not in run("list").out
    assert run("registry", "list", "--json").out.count("evil") == 0


def test_labels_of_a_project_choose_among_what_is_signed(
    run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path
) -> None:
    """Power: a repository that is cloned. It may say that a host is another; it gets that one's signed artifact."""
    want('"acme/base" = "*"\n[environment]\nlabels = { os = "plan9", arch = "pdp11" }')
    assert run("ensure").code == 0
    assert run("verify").code == 0
    assert "signed by packages" in run("list").out


@pytest.mark.parametrize(
    "variables",
    [
        {"SEALDEX_REGISTRIES_PUBLIC_URL": "{url}"},
        {"SEALDEX_REGISTRIES": '{{ evil = {{ url = "{url}", root = "root.json" }} }}'},
        {"SEALDEX_ROOT": "root.json", "SEALDEX_URL": "{url}", "SEALDEX_MIRROR": "{url}"},
        {"SEALDEX_NAMESPACES": "*"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_the_environment_says_nothing_of_registries(
    run: Run,
    theirs: PluginRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
) -> None:
    """Power: variables of the environment (a CI's settings). Where trust starts is written down, not passed along."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(url=theirs.write(tmp_path / "evil")))
    run("install", "acme/base")
    assert "6.6.6" not in run("list").out


def test_the_environment_requires_no_less(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: PluginRegistry
) -> None:
    """Power: variables. They can say that unsigned archives may be installed; the command has to say so as well."""
    (tmp_path / "evil.zip").write_bytes(registry.files["plugins/acme/base/1.0.0/base.zip"])
    config = tmp_path / "config/config.toml"
    config.write_text(f"{config.read_text()}\n{ATTESTATIONS}")
    monkeypatch.setenv("SEALDEX_INSTALL_REQUIRE_SIGNED", "false")
    assert run("install", tmp_path / "evil.zip", "--as", "acme/base@1.0.0").code == 4
    monkeypatch.setenv("SEALDEX_ATTESTATIONS_REQUIRED", "")
    assert run("install", tmp_path / "evil.zip", "--as", "acme/base@1.0.0", "--allow-unsigned").code == 4
    assert run("list", "--json").document["installed"] == []


# --- a store that somebody else can write to -------------------------------------------------------------------------


@pytest.fixture
def victim(run: Run, tmp_path: Path) -> Path:
    """What lies on this host beside a store with a plugin in it."""
    assert run("install", "acme/base").code == 0
    made = tmp_path / "victim"
    made.mkdir()
    (made / "file").write_text("precious")
    return made


def whole(victim: Path) -> bool:
    return [path.name for path in victim.iterdir()] == ["file"] and (victim / "file").read_text() == "precious"


@pytest.mark.parametrize("target", ["{victim}", "../../../../victim", "..", "1.0.0/../../..", "/etc"])
def test_current_leads_nowhere_else(run: Run, victim: Path, tmp_path: Path, target: str) -> None:
    """Power: writing to the store. ``current`` is a link out of it, or a file that names one."""
    link = tmp_path / "store/plugins/acme/base/current"
    for make in (link.symlink_to, link.write_text):
        link.unlink()
        make(target.format(victim=victim))
        assert run("path", "acme/base").code == 3
        assert "(current)" not in run("list").out
        assert run("uninstall", "acme/base").code in {0, 1, 3}
        assert whole(victim)
        assert run("install", "acme/base").code == 0
        assert run("path", "acme/base").code == 0


@pytest.mark.parametrize("version", ["../../../../victim", "../../../victim", "/", "current", "..", "1.0.0/../../x"])
@pytest.mark.parametrize("column", ["removes", "restores", "unpacks", "version_after"])
@pytest.mark.parametrize("phase", ["committed", "preparing"])
def test_a_state_that_names_other_places_moves_nothing(
    run: Run, victim: Path, tmp_path: Path, phase: str, column: str, version: str
) -> None:
    """Power: writing to the store. ``state.db`` has an unfinished change whose versions lead out of it."""
    value = json.dumps([version]) if column in {"removes", "restores"} else version
    with closing(sqlite3.connect(tmp_path / "store/state.db")) as database, database:
        database.execute("UPDATE change SET phase = ?", (phase,))
        database.execute(f"UPDATE member SET {column} = ?", (value,))  # noqa: S608  # one of the names above
    for command in (["install", "acme/mail"], ["rollback"], ["list"], ["history"], ["doctor"]):
        ran = run(*command)
        assert "unexpected" not in ran.err, ran.err
        assert whole(victim)


def test_a_state_of_nonsense_is_an_error_in_words(run: Run, victim: Path, tmp_path: Path) -> None:
    """Power: writing to the store. ``state.db`` holds what no version of this program writes."""
    with closing(sqlite3.connect(tmp_path / "store/state.db")) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("INSERT INTO plugin (namespace, name, status, pin) VALUES ('acme', 'base', 7, '../..')")
        database.execute("UPDATE member SET namespace = '..', removes = '{', restores = '3'")
        database.execute("UPDATE change SET phase = 'committed'")
    for command in (["install", "acme/mail"], ["rollback"], ["list"], ["history"], ["doctor"], ["ensure"]):
        assert "unexpected" not in run(*command).err, command
    assert whole(victim)


def test_a_link_in_place_of_a_version_is_not_followed(run: Run, victim: Path, tmp_path: Path) -> None:
    """Power: writing to the store. A version is a link to a copy with a receipt of its own, elsewhere."""
    version = tmp_path / "store/plugins/acme/base/1.0.0"
    version.rename(victim / "evil")
    version.symlink_to(victim / "evil")
    assert run("verify").code == 4
    assert run("path", "acme/base").code == 3
    assert run("install", "acme/base").code == 0
    assert not version.is_symlink()
    assert run("verify").code == 0
    assert (victim / "evil/plugin.py").exists()


def test_a_builtin_folder_speaks_only_where_no_registry_does(run: Run, theirs: PluginRegistry, tmp_path: Path) -> None:
    """Power: writing to the folder of preinstalled archives, its lock included. A registry that answers decides."""
    entry = next(iter(theirs.documents.values())).releases[0]
    artifact: ArtifactEntry = entry.artifacts[0]
    folder = tmp_path / "store/builtin"
    place = folder / "plugins/acme/base/6.6.6"
    place.mkdir(parents=True)
    (place / artifact.file).write_bytes(theirs.files[f"plugins/acme/base/6.6.6/{artifact.file}"])
    (place / "manifest.json").write_bytes(theirs.files["plugins/acme/base/6.6.6/manifest.json"])
    block = LockedPlugin(
        name="acme/base", version="6.6.6", registry="public", wanted="*", manifest=entry.manifest, artifact=(artifact,)
    )
    (folder / "sealdex.lock").write_text(lock_text(LockDocument(plugin=(block,))))
    assert read_lock(folder / "sealdex.lock").plugin
    assert run("install", "acme/base").code == 0
    assert run("install", "acme/base@6.6.6").code == 3
    assert [each["version"] for each in run("list", "--json").document["installed"]] == ["1.0.0"]
