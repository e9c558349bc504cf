from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from support.tree_server import Held
from support.trust_scene import SLACK, Scene, scene_in
from support.tuf_repository import BUNDLE, LONG, document

from sealdex.errors import ConfigError, NotFoundError, SealdexError, UnavailableError, VerificationError
from sealdex.model.catalog import CatalogRow, shard_target
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, all_rows, fingerprint, row_parts

TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


def rows(count: int) -> list[CatalogRow]:
    return [CatalogRow("acme", f"plugin-{n}", "notify", f"number {n}") for n in range(count)]


# --- rounds and requests ---------------------------------------------------------------------------------------------


def test_a_cold_look_up_takes_three_rounds_and_five_requests(scene: Scene) -> None:
    repository = scene.repository
    scene.server.expect_rounds(
        {TIMESTAMP, "metadata/2.root.json", BUNDLE},
        {repository.key(repository.bin_of(SLACK))},
        {repository.target_key(index_target(SLACK))},
    )
    registry = scene.registry()
    assert registry.index(SLACK) == document(SLACK, "1.0.0")
    assert registry.signed_by(SLACK) == "packages"
    assert scene.server.out_of_turn == []
    assert scene.server.rounds_left == 0


def test_a_warm_look_up_of_an_unchanged_registry_is_one_round_of_two_requests(scene: Scene) -> None:
    scene.index()
    scene.server.expect_rounds({TIMESTAMP, "metadata/2.root.json"})
    assert scene.newest() == "1.0.0"
    assert scene.server.out_of_turn == []


def test_a_second_question_in_one_run_makes_no_request(scene: Scene) -> None:
    registry = scene.registry()
    registry.index(SLACK)
    scene.server.expect_rounds()
    assert registry.index(SLACK) == document(SLACK, "1.0.0")
    assert scene.server.requests == []


def test_a_warm_look_up_after_a_release_asks_for_what_changed_and_not_for_the_bundle(scene: Scene) -> None:
    repository = scene.repository
    scene.index()
    repository.add(SLACK, "2.0.0", "1.0.0")
    repository.publish()
    scene.server.expect_rounds(
        {TIMESTAMP, "metadata/2.root.json"},
        {repository.key("snapshot")},
        {repository.key(repository.bin_of(SLACK))},
        {repository.target_key(index_target(SLACK))},
    )
    assert scene.newest() == "2.0.0"
    assert scene.server.out_of_turn == []


def test_many_plugins_cost_no_more_rounds_than_one(scene: Scene) -> None:
    repository = scene.repository
    plugins = [PluginId("acme", f"plugin-{n}") for n in range(12)]
    for plugin in plugins:
        repository.add(plugin, "1.0.0")
    repository.publish()
    bins = {repository.bin_of(plugin) for plugin in plugins}
    assert len(bins) > 2
    # 8 go out at once, so the documents of 12 plugins can't be held until all have arrived
    scene.server.expect_rounds({TIMESTAMP, "metadata/2.root.json", BUNDLE}, {repository.key(role) for role in bins})
    registry = scene.registry()
    registry.refresh()
    registry.target_infos([index_target(p) for p in plugins])
    assert scene.server.out_of_turn == []
    assert scene.server.rounds_left == 0
    scene.server.expect_rounds({repository.target_key(index_target(p)) for p in plugins[:8]})
    assert {p: d and d.id for p, d in registry.indexes(plugins[:8]).items()} == {p: p for p in plugins[:8]}
    assert scene.server.out_of_turn == []


def test_without_fetching_ahead_the_requests_are_ngclients_own_one_by_one(scene: Scene) -> None:
    repository = scene.repository
    scene.server.expect_rounds(
        {"metadata/2.root.json"},
        {TIMESTAMP},
        {repository.key("snapshot")},
        {repository.key("targets")},
        {repository.key("packages")},
        {repository.key(repository.bin_of(SLACK))},
        {repository.target_key(index_target(SLACK))},
    )
    assert scene.newest(fetch_ahead=False) == "1.0.0"
    assert scene.server.out_of_turn == []


def test_new_roots_come_from_the_bundle_and_only_the_one_after_them_is_asked_for(scene: Scene) -> None:
    repository = scene.repository
    repository.rotate_root("timestamp")
    repository.rotate_root()
    repository.publish()
    scene.server.expect_rounds(
        {TIMESTAMP, "metadata/2.root.json", BUNDLE},
        {"metadata/4.root.json"},
        {repository.key(repository.bin_of(SLACK))},
        {repository.target_key(index_target(SLACK))},
    )
    registry = scene.registry()
    assert registry.refresh().root_version == 3
    registry.index(SLACK)
    assert scene.server.out_of_turn == []
    # and the next run counts up its cached roots, so that it guesses the next one right
    scene.server.expect_rounds({TIMESTAMP, "metadata/4.root.json"})
    scene.registry().refresh()
    assert scene.server.out_of_turn == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_missing_root_may_be_answered_403_or_404(scene: Scene, status: int) -> None:
    with scene.serving({"metadata/2.root.json": status}):
        assert scene.newest() == "1.0.0"


def test_a_registry_can_be_a_folder(scene: Scene, tmp_path: Path) -> None:
    published = tmp_path / "published tree"
    for name, data in scene.repository.files.items():
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        (published / name).write_bytes(data)
    registry = TrustedRegistry("disk", published.as_uri(), scene.repository.pinned_root, tmp_path / "t", Transport())
    assert registry.index(SLACK) == document(SLACK, "1.0.0")


# --- what is answered ------------------------------------------------------------------------------------------------


def test_the_state_says_versions_expiries_and_the_pinned_fingerprint(scene: Scene) -> None:
    repository = scene.repository
    repository.timestamp.expires = repository.root.expires - timedelta(days=20)
    repository.publish()
    state = scene.registry().refresh()
    assert (state.root_version, state.timestamp_version, state.snapshot_version, state.targets_version) == (1, 2, 2, 1)
    assert state.root_fingerprint == fingerprint(repository.pinned_root)
    assert state.expires == {
        "root": repository.root.expires,
        "timestamp": repository.timestamp.expires,
        "snapshot": repository.snapshot.expires,
        "targets": repository.roles["targets"].expires,
    }
    assert state.expires_first == ("timestamp", repository.timestamp.expires)
    assert not state.offline


def test_a_plugin_that_nobody_signed_is_none(scene: Scene) -> None:
    registry = scene.registry()
    assert registry.index(PluginId("acme", "missing")) is None
    assert registry.signed_by(PluginId("acme", "missing")) is None
    assert registry.target_bytes("index/acme/missing.json", 10) is None


def test_a_claimed_namespace_is_signed_by_its_team_and_by_nobody_else(scene: Scene) -> None:
    repository = scene.repository
    repository.claim("team")
    mine = PluginId("team", "tool")
    names = (PluginId("team", f"tool-{n}") for n in range(1000))
    packages_says = next(plugin for plugin in names if repository.bin_of(plugin) == repository.bin_of(SLACK))
    repository.add(mine, "1.0.0", role="team-team")
    repository.add(packages_says, "6.6.6")  # the online key speaks for a namespace that isn't its own
    repository.publish()
    registry = scene.registry()
    assert registry.signed_by(SLACK) == "packages"
    assert registry.index(mine) == document(mine, "1.0.0")
    assert registry.signed_by(mine) == "team-team"
    assert registry.index(packages_says) is None
    assert registry.signed_by(packages_says) is None


def test_the_catalogue_is_all_shards_the_rest_in_one_round(scene: Scene) -> None:
    repository = scene.repository
    repository.set_catalogue(rows(40), 4)
    repository.publish()
    registry = scene.registry()
    registry.refresh()
    shards = [repository.target_key(shard_target(n)) for n in range(4)]
    scene.server.expect_rounds({repository.key("catalog")}, {shards[0]}, set(shards[1:]))
    assert sorted(all_rows(registry), key=lambda r: r.id) == sorted(rows(40), key=lambda r: r.id)
    assert scene.server.out_of_turn == []
    scene.server.expect_rounds()
    assert len(all_rows(registry)) == 40
    assert scene.server.requests == []


def test_a_large_catalog_is_read_in_parts_and_verified_each_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.repository.set_catalogue(rows(400), 16)
    scene.repository.publish()
    [whole] = row_parts(scene.registry())
    monkeypatch.setattr("sealdex.trust.catalog._LARGE_CATALOG", 1000)
    parts = row_parts(scene.registry())
    assert len(parts) == 4
    assert [row for part in parts for row in part()] == whole()
    kept = next(scene.registry().folder.glob("documents/catalog%2F00f.json"))
    kept.write_bytes(kept.read_bytes().replace(b"number", b"nunber"))
    assert [row for part in parts for row in part()] == whole(), "what isn't as signed is fetched again"


def test_a_registry_without_catalogue_says_how_to_go_on(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match="publishes no catalog") as caught:
        all_rows(scene.registry())
    assert "sealdex install" in (caught.value.hint or "")


def test_target_bytes_reads_any_signed_file_up_to_a_limit(scene: Scene) -> None:
    path = index_target(SLACK)
    expected = scene.repository.files[scene.repository.target_key(path)]
    assert scene.registry().target_bytes(path, len(expected)) == expected
    (scene.folder / "documents" / "index%2Facme%2Fslack.json").unlink()
    scene.server.expect_rounds({TIMESTAMP, "metadata/2.root.json"})
    with pytest.raises(VerificationError, match=f"has {len(expected)} bytes; at most {len(expected) - 1}"):
        scene.registry().target_bytes(path, len(expected) - 1)
    assert scene.server.out_of_turn == []


# --- offline, expiry, cache ------------------------------------------------------------------------------------------


def test_offline_answers_from_the_verified_cache_without_a_request(scene: Scene) -> None:
    scene.index()
    scene.server.expect_rounds()
    registry = scene.registry(offline=True)
    state = registry.refresh()
    assert state.offline
    assert state.timestamp_version == 1
    assert registry.index(SLACK) == document(SLACK, "1.0.0")
    assert scene.server.requests == []


def test_offline_says_what_is_not_cached(scene: Scene) -> None:
    with pytest.raises(UnavailableError, match=r"timestamp\.json is not among the cached metadata.*offline"):
        scene.registry(offline=True).refresh()
    scene.registry().refresh()
    with pytest.raises(UnavailableError, match="is not among the cached metadata"):
        scene.registry(offline=True).index(SLACK)
    scene.index()
    (scene.folder / "documents" / "index%2Facme%2Fslack.json").unlink()
    with pytest.raises(UnavailableError, match=r"index/acme/slack\.json .* is not cached"):
        scene.registry(offline=True).index(SLACK)


def test_offline_with_a_bin_older_than_the_snapshot_is_missing_not_an_attack(scene: Scene) -> None:
    scene.index()
    scene.repository.add(SLACK, "2.0.0")
    scene.repository.publish()
    scene.registry().refresh()
    with pytest.raises(UnavailableError, match="is not among the cached metadata"):
        scene.registry(offline=True).index(SLACK)


def test_a_run_that_outlives_its_timestamp_refreshes_before_it_answers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = scene.registry()
    registry.index(SLACK)
    scene.repository.add(SLACK, "2.0.0")
    scene.repository.publish()

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return super().now(tz) + LONG + timedelta(days=1)

    monkeypatch.setattr("sealdex.trust.registry.datetime", Later)
    found = registry.index(SLACK)
    assert found is not None
    assert found.releases[0].version == "2.0.0"


def test_the_cache_holds_one_document_a_plugin_however_often_it_changes(scene: Scene) -> None:
    for version in ("1.0.1", "1.0.2", "1.0.3"):
        scene.repository.add(SLACK, version)
        scene.repository.publish()
        assert scene.newest() == version
    assert [p.name for p in (scene.folder / "documents").iterdir()] == ["index%2Facme%2Fslack.json"]


def test_what_a_killed_run_left_half_written_is_removed(scene: Scene) -> None:
    scene.index()
    (scene.folder / "metadata" / "tmp1234abcd").write_bytes(b'{"signed":')
    scene.index()
    assert not (scene.folder / "metadata" / "tmp1234abcd").exists()


# --- failures that are no attack -------------------------------------------------------------------------------------


def test_an_unreachable_registry_is_unavailable_and_says_what_stays(scene: Scene) -> None:
    scene.index()
    before = scene.kept()
    with scene.serving({TIMESTAMP: 503}), pytest.raises(UnavailableError, match=r"can't be reached.*503") as caught:
        scene.index()
    assert caught.value.exit_code == 5
    assert "is still used" in (caught.value.untouched or "")
    assert scene.kept() == before


def test_a_bundle_that_is_in_trouble_holds_no_cold_refresh_back(scene: Scene) -> None:
    with scene.serving({BUNDLE: 503}):
        assert scene.newest() == "1.0.0"
    assert scene.server.requests.count(BUNDLE) == 1


def test_a_bundle_that_hangs_is_not_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only saves requests delays nothing, and holds no process at its end either."""
    monkeypatch.setattr("sealdex.trust._fetcher.BUNDLE_GRACE_S", 0.01)
    held = Held()
    try:
        with scene.serving({BUNDLE: held}):
            assert scene.newest() == "1.0.0"
            # what the bundle would have brought was asked for: nobody waited until it came after all
            assert scene.repository.key("snapshot") in scene.server.requests
            assert held.reached.wait(60)
            for thread in [each for each in threading.enumerate() if each.name == "recent.bundle"]:
                assert thread.daemon
                thread.join(60)  # it isn't waited for by its server any more either
                assert not thread.is_alive()
    finally:
        held.released.set()


def test_an_address_without_registry_is_unavailable(scene: Scene) -> None:
    with scene.serving({TIMESTAMP: 404}), pytest.raises(UnavailableError, match="answered 404"):
        scene.registry().refresh()


def test_a_document_that_is_missing_on_the_mirror_is_unavailable(scene: Scene) -> None:
    key = scene.repository.target_key(index_target(SLACK))
    with (
        scene.serving({key: 404}),
        pytest.raises(UnavailableError, match=r"has signed index/acme/slack\.json but answers 404"),
    ):
        scene.index()


def test_a_pinned_root_that_is_none_is_a_matter_of_configuration(scene: Scene, tmp_path: Path) -> None:
    for root in (b"<html>", scene.repository.files[TIMESTAMP]):
        registry = TrustedRegistry("public", scene.server.url, root, tmp_path / "other", Transport())
        with pytest.raises(ConfigError, match="trust root configured for registry 'public'"):
            registry.refresh()


def test_a_trust_folder_that_cant_be_used_is_named(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "trust").write_text("a file where a folder must be")
    with pytest.raises(SealdexError, match="trust folder of registry 'public' can't be used") as caught:
        scene.registry().refresh()
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("missing", [TIMESTAMP, "targets"])
def test_a_missing_file_of_a_local_tree_is_named_without_words_of_networks(scene: Scene, missing: str) -> None:
    tree = scene.folder.parent / "tree #1"
    for key, data in scene.repository.files.items():
        if not key.startswith(missing):
            (tree / key).parent.mkdir(parents=True, exist_ok=True)
            (tree / key).write_bytes(data)
    with Transport() as transport, pytest.raises(UnavailableError, match=rf"{missing}.* is missing") as caught:
        TrustedRegistry("public", tree.as_uri(), scene.repository.pinned_root, scene.folder, transport).index(SLACK)
    said = f"{caught.value.message} {caught.value.hint}"
    assert "answer" not in said
    assert "network" not in said
    assert "sealdex mirror create" in said
