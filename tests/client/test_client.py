"""The client as an object: from a registry over loopback HTTP or file:// to what is installed, and what is refused."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.plugin_registry import YANKED, PluginRegistry, sha256
from support.tree_server import TreeServer

import sealdex
from sealdex import (
    Client,
    InstallError,
    NoMatchError,
    NotFoundError,
    PluginId,
    Policy,
    Query,
    UnavailableError,
    UsageError,
    VerificationError,
)
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.download.download import HostLimitError
from sealdex.download.locations import file_url
from sealdex.model.index import ArtifactEntry
from sealdex.store.dependants import BreaksDependantsError


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    made.plugin("acme/slack", summary="Sends messages", keywords=("chat",))
    made.release("acme/slack", "1.0.0")
    made.release("acme/slack", "1.1.0", caveats="Mind the step")
    made.release("acme/slack", "2.0.0-rc.1")
    made.release("acme/app", "1.0.0", dependencies={"acme/slack": "^1"})
    made.publish()
    return made


@pytest.fixture
def server(registry: PluginRegistry) -> Iterator[TreeServer]:
    with TreeServer(registry.files) as running:
        yield running


def config_for(tmp_path: Path, roots: dict[str, bytes], sections: dict[str, RegistrySection]) -> Config:
    (tmp_path / "roots").mkdir(exist_ok=True)
    for name, root in roots.items():
        (tmp_path / f"roots/{name}").write_bytes(root)
    download = DownloadSection(retry=1)
    return Config(tmp_path / "config.toml", tmp_path / "store", ConfigDocument(registries=sections, download=download))


@pytest.fixture
def config(tmp_path: Path, registry: PluginRegistry, server: TreeServer) -> Config:
    return config_for(
        tmp_path, {"public": registry.root}, {"public": RegistrySection(url=server.url, root="roots/public")}
    )


@pytest.fixture
def client(config: Config) -> Iterator[Client]:
    with Client(config) as made:
        yield made


def store_files(config: Config, below: str = "plugins") -> list[str]:
    return sorted(str(p.relative_to(config.store)) for p in (config.store / below).rglob("*") if p.is_file())


def test_install_brings_dependencies_first_and_says_who_signed(client: Client, config: Config) -> None:
    done = client.install("acme/app")
    assert [(str(i.choice), i.action, str(i.trust)) for i in done] == [
        ("acme/slack 1.1.0", "unpack", "signed by packages, root v1"),
        ("acme/app 1.0.0", "unpack", "signed by packages, root v1"),
    ]
    assert (client.path("acme/slack") / "plugin.py").read_text() == "VERSION = '1.1.0'\n"
    assert [(i.name, i.version, i.signed_by) for i in client.list()] == [
        ("app", "1.0.0", "packages"),
        ("slack", "1.1.0", "packages"),
    ]


def test_a_second_install_keeps_and_downloads_nothing(client: Client, server: TreeServer, config: Config) -> None:
    client.install("acme/slack")
    server.requests.clear()
    with Client(config) as again:
        assert [i.action for i in again.install("acme/slack")] == ["keep"]
    assert not [path for path in server.requests if path.startswith("plugins/")]


def test_damage_is_found_and_repaired(client: Client) -> None:
    client.install("acme/slack")
    (client.path("acme/slack") / "plugin.py").write_text("evil")
    assert [c.is_whole for c in client.verify()] == [False]
    assert [i.action for i in client.install("acme/slack")] == ["repair"]
    assert [c.is_whole for c in client.verify("acme/slack")] == [True]


def test_versions_stand_side_by_side_and_the_last_is_in_use(client: Client) -> None:
    client.install("acme/slack@1.0.0")
    done = client.install("acme/slack", policy=Policy(prereleases=True))
    assert [(i.choice.release.version, i.previous) for i in done] == [("2.0.0-rc.1", "1.0.0")]
    assert client.path("acme/slack", "1.0.0").name == "1.0.0"
    assert client.path("acme/slack").name == "2.0.0-rc.1"
    assert [i.version for i in client.uninstall("acme/slack", "2.0.0-rc.1")] == ["2.0.0-rc.1"]
    assert client.path("acme/slack").name == "1.0.0"
    client.uninstall("acme/slack")
    with pytest.raises(NotFoundError):
        client.path("acme/slack")


def test_search_info_and_manifest(client: Client) -> None:
    assert [str(hit.row.id) for hit in client.search("messages")] == ["acme/slack"]
    assert [str(hit.row.id) for hit in client.search(Query(keywords=("chat",)))] == ["acme/slack"]
    found = client.info("acme/slack")
    assert [r.version for r in found.document.releases] == ["2.0.0-rc.1", "1.1.0", "1.0.0"]
    assert found.trust.signed_by == "packages"
    assert client.manifest("acme/slack", "1.1.0").caveats == "Mind the step"
    with pytest.raises(NotFoundError):
        client.manifest("acme/slack", "9.9.9")


def test_a_typo_gets_the_nearest_names(client: Client) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.install("acme/slakc")
    assert "did you mean acme/slack" in caught.value.message
    with pytest.raises(NotFoundError) as caught:
        client.info("other/slack")
    assert "acme/slack" in caught.value.message
    client.install("acme/slack")
    with pytest.raises(NotFoundError) as caught:
        client.uninstall("acme/slak")
    assert "acme/slack" in caught.value.message
    with pytest.raises(UsageError):
        client.info("slack")


def test_a_registry_in_a_folder_works_the_same(tmp_path: Path, registry: PluginRegistry) -> None:
    url = registry.write(tmp_path / "published")
    config = config_for(tmp_path, {"p": registry.root}, {"p": RegistrySection(url=url, root="roots/p")})
    with Client(config) as client:
        assert [i.action for i in client.install("acme/app")] == ["unpack", "unpack"]
        assert client.search("slack")


def test_build_metadata_in_a_version_finds_its_files(tmp_path: Path) -> None:
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0+build.7")
    registry.publish()
    with TreeServer(registry.files) as server:
        section = RegistrySection(url=server.url, root="roots/p")
        with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
            assert client.install("acme/slack")[0].action == "unpack"
            assert client.manifest("acme/slack", "1.0.0+build.7").name == "slack"


def test_fetch_puts_verified_files_where_they_are_wanted(client: Client, tmp_path: Path, config: Config) -> None:
    fetched = client.fetch("acme/app", to=tmp_path / "d", dependencies=True)
    assert sorted(f.path.name for f in fetched if f.path) == ["app.zip", "slack.zip"]
    for each in fetched:
        assert each.path is not None
        assert each.choice.artifact is not None
        assert sha256(each.path.read_bytes()) == each.choice.artifact.sha256
    assert [str(f.choice) for f in client.fetch("acme/app", to=tmp_path / "d")] == ["acme/app 1.0.0"]  # the same: fine
    (tmp_path / "d/app.zip").write_bytes(b"mine")
    with pytest.raises(InstallError):
        client.fetch("acme/app", to=tmp_path / "d")
    assert (tmp_path / "d/app.zip").read_bytes() == b"mine"
    cached = client.fetch("acme/slack")[0].path
    assert cached is not None
    assert cached.is_relative_to(config.store)
    assert client.list() == []


def test_yanked_releases_need_an_exact_version(tmp_path: Path) -> None:
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0", yanked=YANKED)
    registry.publish()
    with TreeServer(registry.files) as server:
        section = RegistrySection(url=server.url, root="roots/p")
        with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
            with pytest.raises(NoMatchError) as caught:
                client.install("acme/slack")
            assert "leaks tokens" in caught.value.message
            assert client.install("acme/slack@=1.0.0")[0].action == "unpack"


def test_threads_share_a_client(client: Client) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            client.install("acme/app")
            client.search("slack")
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test tells
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(client.list()) == 2


# --- images and releases without files -------------------------------------------------------------------------------

DIGEST = "ab" * 32


def test_a_container_image_is_pinned_and_named_and_nothing_is_pulled(tmp_path: Path) -> None:
    registry = PluginRegistry()
    image = ArtifactEntry("x", DIGEST, "oci", url=f"harbor.example:5000/team/x:1.2@sha256:{DIGEST}")
    registry.release("acme/x", "1.0.0", artifacts=(image,))
    registry.release("acme/suite", "1.0.0", artifacts=(), dependencies={"acme/x": "*"})
    registry.publish()
    with TreeServer(registry.files) as server:
        section = RegistrySection(url=server.url, root="roots/p")
        with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
            done = client.install("acme/suite")
            assert [(i.action, i.image) for i in done] == [("image", image.url), ("nothing", None)]
            # both are recorded, in a folder with a receipt alone
            recorded = [(i.name, i.file_count, i.image) for i in client.list()]
            assert recorded == [("suite", 0, None), ("x", 0, image.url)]
            assert [(i.action, i.image) for i in client.install("acme/x")] == [("keep", image.url)]
            assert [(f.path, f.image) for f in client.fetch("acme/x")] == [(None, image.url)]


def test_images_and_suites_live_as_other_plugins_do(tmp_path: Path) -> None:
    registry = PluginRegistry()
    references = {}
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        digest = hashlib.sha256(version.encode()).hexdigest()
        references[version] = f"harbor.example/x@sha256:{digest}"
        entry = ArtifactEntry("x", digest, "oci", url=references[version])
        registry.release("acme/x", version, artifacts=(entry,))
    registry.release("acme/suite", "1.0.0", artifacts=(), dependencies={"acme/x": "^1"})
    registry.publish()
    config = config_for(
        tmp_path,
        {"p": registry.root},
        {"p": RegistrySection(url=registry.write(tmp_path / "published"), root="roots/p")},
    )
    (tmp_path / "project").mkdir()
    (tmp_path / "project/sealdex.toml").write_text('[plugins]\n"acme/suite" = "*"\n')
    with sealdex.Client(config) as client:
        client.install("acme/x@1.0.0", "acme/suite")
        assert client.path("acme/x").is_dir()
        assert [(str(each.plugin), each.newest) for each in client.outdated()] == [("acme/x", "2.0.0")]
        client.update()  # to what the suite can work with
        assert [(i.version, i.image) for i in client.list() if i.name == "x"][-1] == ("1.1.0", references["1.1.0"])
        with pytest.raises(BreaksDependantsError):
            client.uninstall("acme/x")
        assert all(checked.is_whole for checked in client.verify())
        client.use("acme/x", "1.0.0")
        client.uninstall("acme/x", "1.1.0")
        client.rollback()
        assert [i.version for i in client.list() if i.name == "x"] == ["1.0.0", "1.1.0"]
        client.uninstall("acme/suite", None, ("acme/x", None))
        client.lock(tmp_path / "project")
        assert [each.action for each in client.ensure(tmp_path / "project").installed] == ["image", "nothing"]
        again = client.ensure(tmp_path / "project").installed
        assert [(each.action, each.image) for each in again] == [("keep", references["1.1.0"]), ("keep", None)]


@pytest.mark.parametrize(
    "reference",
    [
        f"harbor.example/x@sha256:{'cd' * 32}",  # another digest than the pinned one
        "harbor.example/x:latest",  # a tag
        f"harbor.example/x; rm -rf ~ #@sha256:{DIGEST}",  # what a shell would do on paste
        None,
    ],
)
def test_attack_an_image_that_is_not_pinned(tmp_path: Path, reference: str | None) -> None:
    """Attacker: signs an index document. Change: an image reference that isn't by the pinned digest, or that a shell
    would run. Refused: it is never printed as something to pull.
    """
    registry = PluginRegistry()
    registry.release("acme/x", "1.0.0", artifacts=(ArtifactEntry("x", DIGEST, "oci", url=reference),))
    registry.publish()
    with TreeServer(registry.files) as server:
        section = RegistrySection(url=server.url, root="roots/p")
        with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
            with pytest.raises(VerificationError):
                client.install("acme/x")
            with pytest.raises(VerificationError):
                client.fetch("acme/x")


# --- attacks ---------------------------------------------------------------------------------------------------------


def test_attack_swapped_artifact(client: Client, server: TreeServer, config: Config) -> None:
    """Attacker: writes to the bucket. Change: another zip in place of a dependency's. Refused by its digest, and
    nothing is installed, not even what was right: everything is verified before the first file is unpacked.
    """
    path = "plugins/acme/slack/1.1.0/slack.zip"
    good = server.files[path]
    for bad in (b"x" * len(good), good + b"x", good[:-1]):
        server.instead[path] = bad
        with pytest.raises((VerificationError, UnavailableError)):
            client.install("acme/app")
        assert store_files(config) == []
    server.instead.clear()
    assert client.install("acme/app")


def test_attack_swapped_manifest(client: Client, server: TreeServer) -> None:
    """Attacker: writes to the bucket. Change: the manifest of another release. Refused by its digest."""
    path = "plugins/acme/slack/1.1.0/manifest.json"
    server.instead[path] = server.files[path].replace(b"Mind the step", b"Mind the gap!")
    with pytest.raises(VerificationError):
        client.manifest("acme/slack", "1.1.0")


def test_attack_dependency_confusion_end_to_end(tmp_path: Path) -> None:
    """Attacker: may publish in the public registry. Change: publishes team/base 99.0.0 and team/gone there. Refused:
    the namespace belongs to the team's registry, so the public one is never asked for it, neither by name, nor as a
    dependency of a public plugin, nor in search; and what the team doesn't have, nobody has.
    """
    public, team = PluginRegistry(), PluginRegistry()
    public.release("team/base", "99.0.0", {"evil.py": b""})
    public.release("team/gone", "1.0.0", {"evil.py": b""})
    public.release("acme/app", "1.0.0", dependencies={"team/base": "*"})
    team.release("team/base", "1.0.0")
    public.publish()
    team.publish()
    with TreeServer(public.files) as public_server, TreeServer(team.files) as team_server:
        sections = {
            "public": RegistrySection(url=public_server.url, root="roots/public"),
            "team": RegistrySection(url=team_server.url, root="roots/team", namespaces=("team",)),
        }
        config = config_for(tmp_path, {"public": public.root, "team": team.root}, sections)
        with Client(config) as client:
            assert [(str(i.choice), i.trust.registry) for i in client.install("acme/app")] == [
                ("team/base 1.0.0", "team"),
                ("acme/app 1.0.0", "public"),
            ]
            with pytest.raises(NotFoundError):
                client.install("team/gone")
            assert [(str(hit.row.id), hit.registry, hit.row.latest) for hit in client.search("team")] == [
                ("team/base", "team", "1.0.0")
            ]
            with pytest.raises(NotFoundError):
                client.search("team", registry="nobody")
        assert not [p for p in public_server.requests if "team" in p]
        assert not list(config.store.rglob("evil.py"))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:secret@127.0.0.1/x", "http://"]
)
def test_attack_an_artifact_at_an_address_that_is_nobody_s_business(tmp_path: Path, url: str) -> None:
    """Attacker: signs an index document. Change: an artifact's address that makes the host read its own files, or sends
    a password somewhere. Refused before anything is asked.
    """
    registry = PluginRegistry()
    registry.release("acme/x", "1.0.0", artifact={"url": url})
    registry.publish()
    with TreeServer(registry.files) as server:
        section = RegistrySection(url=server.url, root="roots/p")
        with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
            with pytest.raises(VerificationError):
                client.install("acme/x")
            assert client.list() == []


@pytest.mark.parametrize("name", ["../../evil.zip", ".hidden", "a/b.zip", "con"])
def test_attack_a_file_name_that_is_a_path(tmp_path: Path, name: str) -> None:
    """Attacker: signs an index document. Change: a file name that leads out of the folder it is put in. Refused."""
    registry = PluginRegistry()
    registry.release("acme/x", "1.0.0", artifact={"file": name})
    registry.publish()
    with TreeServer(registry.files) as server:
        section = RegistrySection(url=server.url, root="roots/p")
        with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
            with pytest.raises(VerificationError):
                client.fetch("acme/x", to=tmp_path / "a" / "b")
            assert not list(tmp_path.rglob("*evil*"))


def test_an_artifact_elsewhere_is_held_to_its_digest_and_to_this_host_s_limit(tmp_path: Path) -> None:
    registry = PluginRegistry()
    with TreeServer(registry.files) as server:
        url = f"{server.url}/plugins/acme/x/1.0.0/x.zip"
        data = registry.release("acme/x", "1.0.0", artifact={"url": url, "size": None})
        registry.publish()
        section = RegistrySection(url=server.url, root="roots/p")
        config = config_for(tmp_path, {"p": registry.root}, {"p": section})
        small = Config(
            config.path,
            config.store,
            ConfigDocument(registries=dict(config.registries), download=DownloadSection(max_plugin_size=len(data) - 1)),
        )
        with Client(small) as client, pytest.raises(HostLimitError) as limited:
            client.install("acme/x")
        assert limited.value.exit_code == 1  # it is this host's own limit, not an attack
        assert f"at most {len(data) - 1} bytes" in str(limited.value)
        assert "max_plugin_size" in str(limited.value.hint)
        assert not list(Path(config.store).rglob("*.part*"))
        with Client(config) as client:
            server.instead["plugins/acme/x/1.0.0/x.zip"] = b"something else"
            with pytest.raises(VerificationError):
                client.install("acme/x")
            server.instead.clear()
            assert client.install("acme/x")[0].action == "unpack"


def test_a_registry_that_does_not_answer_is_unavailable(tmp_path: Path, registry: PluginRegistry) -> None:
    section = RegistrySection(url=(tmp_path / "nowhere").as_uri(), root="roots/p")
    with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
        with pytest.raises(UnavailableError):
            client.install("acme/slack")
        assert client.list() == []


# --- the package -----------------------------------------------------------------------------------------------------


def test_public_names_are_there_and_few() -> None:
    for name in sealdex.__all__:
        assert getattr(sealdex, name).__doc__
    assert len(sealdex.__all__) <= 36
    assert set(sealdex.__all__) <= set(dir(sealdex))
    with pytest.raises(AttributeError):
        getattr(sealdex, "nothing")  # noqa: B009  # mypy knows better


# --- what changes under our hands ------------------------------------------------------------------------------------


def test_attack_a_cached_file_that_changes_between_check_and_use(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attacker: another user who may write to a shared cache. Change: swaps a file right after it was verified.
    Refused: what is read or copied is hashed once more; no copy is left.
    """
    (tmp_path / "swapped").write_bytes(b"evil")
    monkeypatch.setattr("sealdex.download.fetcher.download", lambda *_args, **_options: tmp_path / "swapped")
    with pytest.raises(VerificationError):
        client.manifest("acme/slack", "1.1.0")
    with pytest.raises(VerificationError):
        client.fetch("acme/slack", to=tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []


def test_attack_a_manifest_of_another_release(tmp_path: Path) -> None:
    """Attacker: signs an index document. Change: pins another plugin's manifest. Refused: it says whose it is."""
    registry = PluginRegistry()
    registry.release("acme/good", "1.0.0")
    registry.release("acme/evil", "1.0.0")
    good = registry.documents[PluginId("acme", "good")].releases[0]
    evil = registry.documents[PluginId("acme", "evil")]
    registry.plugin("acme/evil", releases=(msgspec.structs.replace(evil.releases[0], manifest=good.manifest),))
    registry.files["plugins/acme/evil/1.0.0/manifest.json"] = registry.files["plugins/acme/good/1.0.0/manifest.json"]
    registry.publish()
    section = RegistrySection(url=registry.write(tmp_path / "published"), root="roots/p")
    with Client(config_for(tmp_path, {"p": registry.root}, {"p": section})) as client:
        assert client.manifest("acme/good", "1.0.0").name == "good"
        with pytest.raises(VerificationError):
            client.manifest("acme/evil", "1.0.0")


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "x.", "", "con.zip", "a\\b", "a%2fb"])
def test_attack_file_names_never_become_addresses_unchecked(name: str) -> None:
    """Attacker: signs an index document that an older or newer reader let through. Refused here once more."""
    with pytest.raises(VerificationError):
        file_url("https://example.org", PluginId("acme", "x"), "1.0.0", name)
