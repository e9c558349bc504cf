"""Shards of the catalog by name: which rows are in which, and how few of them a change touches."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from support.search_engine import ask

from registry_builder.compile import catalog_names
from registry_builder.compile.catalog_names import name_key, name_shards
from sealdex.model.catalog import CatalogNames, CatalogRow

ROWS = [CatalogRow("acme", f"{word}-{n}", "t", "s", latest="1.0.0") for n in range(9) for word in ("slack", "kalman")]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_names, "MANY", 10)
    monkeypatch.setattr(catalog_names, "ENTRIES", 3)


def read(shards: dict[str, bytes]) -> dict[str, Any]:
    return {first: msgspec.json.decode(data, type=CatalogNames) for first, data in shards.items()}


def test_each_plugin_is_in_the_one_shard_that_has_its_name() -> None:
    shards = read(name_shards(ROWS))
    assert sorted(row.id for shard in shards.values() for row in shard.plugins) == sorted(row.id for row in ROWS)
    firsts = sorted(shards)
    for first, until in zip(firsts, [*firsts[1:], "~"], strict=True):
        assert shards[first].first == first
        assert all(first <= name_key(row.name) < until for row in shards[first].plugins)
        assert len(shards[first].plugins) < 6
    assert len(shards) > 4


def test_shards_grow_with_the_registry_so_that_their_list_stays_short() -> None:
    rows = [CatalogRow("acme", f"robot-{number:03}", "t", "s") for number in range(400)]
    assert {len(shard.plugins) for shard in read(name_shards(rows)).values()} == {20}  # the root of 400


def test_a_small_registry_has_none_and_one_that_has_them_keeps_them() -> None:
    assert name_shards(ROWS[:10]) == {}
    assert set(name_shards(ROWS[:4], ["0", "s"])) == {"0", "s"}


def test_a_title_that_begins_otherwise_has_the_row_without_what_a_release_changes() -> None:
    titled = CatalogRow("acme", "zz", "t", "s", latest="2.0.0", updated_at="2026-01-01T00:00:00Z", title="Kalman 0")
    before = name_shards([*ROWS, titled])
    (shard,) = (shard for shard in read(before).values() if shard.titles)
    assert [(r.name, r.title, r.latest, r.updated_at) for r in shard.titles] == [("zz", "Kalman 0", None, None)]
    after = name_shards([*ROWS, msgspec.structs.replace(titled, latest="2.1.0")], before.keys())
    assert [first for first in after if after[first] != before.get(first)] == [max(before)]


def test_a_plugin_more_changes_one_shard_but_for_one_that_is_full() -> None:
    rows = list(ROWS)
    before = name_shards(rows)
    changes = []
    for number in range(20):
        rows.append(CatalogRow("acme", f"mail-{number}", "t", "s"))
        after = name_shards(rows, before.keys())
        assert before.keys() <= after.keys()
        changes.append(sum(after[first] != before.get(first) for first in after))
        before = after
    assert set(changes) <= {1, 2}  # two where one was split
    assert changes.count(1) > 12


def test_names_that_are_the_same_everywhere_stay_together() -> None:
    same = [CatalogRow(f"ns-{n}", "slack", "t", "s") for n in range(20)]
    assert [len(shard.plugins) for shard in read(name_shards(same)).values()] == [20]


def test_the_page_makes_the_same_keys() -> None:
    texts = ["Word-Count 2", "Café", "群聊小游戏", "c++", "🎲 dice", "𠮷野家", "", "!?", "x" * 99]
    assert ask("keys", texts=texts) == [name_key(text) for text in texts]
    assert json.dumps([name_key(text) for text in texts]).isascii()
