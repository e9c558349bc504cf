"""docs/private.md, run as written against SeaweedFS: only addresses are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.components import missing
from support.pages_as_written import run_page
from support.places import REPOSITORY
from support.s3_server import WeedMissingError, s3_server

GUIDE = (REPOSITORY / "docs" / "private.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_from_nothing_to_an_installed_private_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Kim\n\temail = kim@example.org\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "s3").mkdir()
    try:
        with s3_server(tmp_path / "s3") as server:
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            for bucket in ("public-acme-plugins", "acme-team", "acme-partners"):
                server.client().create_bucket(Bucket=bucket)
            text = GUIDE.replace("s3://acme-plugins/", "s3://public-acme-plugins/")
            text = text.replace("region=eu-central-1", f"region=us-east-1&endpoint_url={server.endpoint}")
            text = text.replace("https://plugins.example.org/", f"{server.endpoint}/public-acme-plugins/public/")
            team = "https://acme-team.s3.eu-central-1.amazonaws.com/"
            text = text.replace(team, f"{server.endpoint}/acme-team/").replace("eu-central-1", "us-east-1")
            run_page(text, tmp_path)
    except WeedMissingError as error:
        missing("weed", str(error))
