"""docs/migrating.md, run as written, and every field of the seeds in its tables."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pytest
from support.pages_as_written import run_page
from support.places import REPOSITORY

from registry_builder.importers import _arcade_table, _hub_releases, helm, marketplace, plain_list

PAGE = (REPOSITORY / "docs" / "migrating.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_block_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    run_page(PAGE, tmp_path)


def test_every_field_of_the_old_systems_is_in_a_table() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    fields = (
        # the engine's model and manifest
        "PluginId Name version description author pluginType entryPoint configSchema paramsSchema defaultConfig icon "
        "repository documentation IsEnabled IsBuiltin Checksum Source S3Path InstallTime UpdateTime homepage "
        "dependencies tags minVersion resources "
        # the hub's service.json and API
        "service_id service_name service_type port models model_id model_type path startup_command health_check "
        "created_at sha256 size_bytes stable latest_version checksum.sha256 MODELS_DIR "
        # the marketplace's messages
        "PluginIdentifier type versions download_url"
    )
    assert [field for field in fields.split() if field not in rows] == []


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("Arcade", _arcade_table.COLUMNS),
        ("Model Hub", _hub_releases.KNOWN),
        ("Marketplace", marketplace.KNOWN),
        ("Helm", helm.KNOWN),
        ("Everything else", plain_list.KNOWN),
    ],
)
def test_every_field_that_an_importer_takes_is_in_its_table(section: str, fields: Collection[str]) -> None:
    text = PAGE.partition(f"\n## {section}")[2].partition("\n## ")[0]
    rows = " ".join(line for line in text.splitlines() if line.startswith("|"))
    words = {_plain(word) for code in re.findall("`([^`]+)`", rows) for word in re.findall(r"\w+", code)}
    assert [field for field in sorted(fields) if _plain(field) not in words] == []


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
