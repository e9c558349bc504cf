"""A plugin verified in the reader's browser: what is proved, and that what clients refuse is refused there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect
from support.browser import Open, Watch, both
from support.places import REPOSITORY
from support.verify_form import PLUGIN, ask, fingerprint

from registry_builder.site._offline_verifier import offline_verifier


@pytest.fixture(autouse=True)
def roots_may_be_missing(watch: Watch) -> Iterator[None]:
    """The next root is asked for until there is none: an answer of 404, which the browser reports as an error."""
    yield
    expected = re.compile(r"/metadata/\d+\.root\.json$|^request off the origin: file:")
    watch.trouble[:] = [each for each in watch.trouble if not expected.search(each)]


@both
def test_a_plugin_is_proved_from_a_fingerprint_or_a_root(open_page: Open, published: Path) -> None:
    page = open_page(f"verify/?plugin={PLUGIN}")
    said = ask(page, fingerprint=fingerprint(published).upper())
    assert said.startswith(f"proved: {PLUGIN} is what the registry signed.")
    assert "signed by bin-" in said
    assert "timestamp, version" in said
    page.locator("input[type=file]").set_input_files(published / "metadata/1.root.json")
    expect(page.locator("textarea[name=root]")).to_have_value(re.compile("signatures"))
    assert ask(page, plugin="edge/full", fingerprint="").startswith("proved: edge/full")


def test_what_can_t_be_verified_is_said(open_page: Open, site: str, published: Path) -> None:
    page = open_page(None)
    for fields, said in (
        ({"fingerprint": "0" * 64}, "no root with this fingerprint"),
        ({"fingerprint": ""}, "Paste the root"),
        ({"fingerprint": "", "root": "{}"}, "root: the root that you gave can't be read"),
        ({"plugin": "kalman"}, "NAMESPACE/NAME"),
        ({"plugin": "robotics/missing"}, "nobody signed"),
    ):
        page.goto(f"{site}verify/")  # the answer to the one before must not be taken for this one's
        found = ask(page, **{"plugin": PLUGIN, "fingerprint": fingerprint(published), **fields})
        assert found.startswith("refused: "), fields
        assert said in found


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"plugin": "robotics/missing"}, "没有人为该名称的插件签名"),
        ({"fingerprint": "", "root": "{}"}, "无法读取您提供的根元数据"),
    ],
)
def test_reasons_are_in_the_readers_language(
    open_page: Open, published: Path, fields: dict[str, str], said: str
) -> None:
    page = open_page("site/zh/verify/", fresh=True)  # its clock is set
    found = ask(page, **{"plugin": PLUGIN, "fingerprint": fingerprint(published), **fields}, button="验证")
    assert found.startswith("refused: ")
    assert said in found
    page.clock.set_fixed_time("2040-01-01T00:00:00Z")
    assert re.search("已于 20[0-9]{2}年.*过期", ask(page, plugin=PLUGIN, button="验证")) or fields.get("root")


def _changed(old: bytes, new: bytes) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        body = route.fetch().body()
        assert old in body
        route.fulfill(body=body.replace(old, new, 1), content_type="application/json")

    return answer


@pytest.mark.parametrize(
    ("address", "old", "new", "said"),
    [
        ("**/metadata/timestamp.json", b'"version":', b'"version":1', "timestamp: it isn't signed by enough"),
        ("**/metadata/*.snapshot.json", b'"version":', b'"version":1', "snapshot: it isn't signed by enough"),
        ("**/metadata/*.targets.json", b'"terminating":true', b'"terminating":false', "targets: it isn't signed"),
        ("**/metadata/*.bin-*.json", b'"length":', b'"length":1', ": it isn't signed by enough"),
        ("**/targets/index/robotics/*.kalman.json", b"1.1.0", b"6.6.6", "index: it isn't the file that was signed"),
    ],
)
def test_attack_on_a_link_of_the_chain(
    open_page: Open, published: Path, address: str, old: bytes, new: bytes, said: str
) -> None:
    """Attacker: the server, but for this page's script. Change: a file of the chain. Refused, at its name."""
    page = open_page("verify/")
    page.route(address, _changed(old, new))
    found = ask(page, plugin=PLUGIN, fingerprint=fingerprint(published))
    assert (found.startswith("refused: Not verified."), said in found) == (True, True), found


def test_attack_by_metadata_that_has_expired(open_page: Open, published: Path) -> None:
    """Attacker: the server. Change: it stops delivering newer metadata. Refused once the last has expired."""
    page = open_page("verify/", fresh=True)
    page.clock.set_fixed_time("2040-01-01T00:00:00Z")
    assert "root: it expired on" in ask(page, plugin=PLUGIN, fingerprint=fingerprint(published))


def test_the_saved_file_does_the_same_and_is_the_one_that_the_docs_name(
    open_page: Open, site: str, published: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "verify.html"
    saved.write_bytes((published / "verify/verify.html").read_bytes())
    digest = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert saved.read_bytes() == offline_verifier()
    assert digest in (REPOSITORY / "docs/site.md").read_text(encoding="utf-8"), f"state it there: {digest}"
    page = open_page(None)
    page.route(
        f"{site}**", lambda route: route.fulfill(response=route.fetch(), headers={"Access-Control-Allow-Origin": "*"})
    )
    page.goto(saved.as_uri())
    said = ask(page, address=site, plugin=PLUGIN, fingerprint=fingerprint(published))
    assert said.startswith(f"proved: {PLUGIN}")
