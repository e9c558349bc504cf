"""What a reader chooses: how to install, a language, two releases to compare."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from support.browse_registry import PAGES
from support.browser import Open, both, both_at_length


@both
def test_the_way_to_install_is_remembered(open_page: Open, site: str) -> None:
    page = open_page(PAGES["plugin"])
    shown = page.locator(".tab-panel:visible code")
    expect(shown).to_have_text("sealdex install robotics/kalman")
    page.locator("label", has_text="Python").click()
    expect(shown).to_contain_text("with Client() as client")
    page.goto(site + PAGES["full in zh"])
    expect(page.get_by_role("radio", name="Python")).to_be_checked()
    expect(shown).to_contain_text('client.install("edge/full")')


@both
def test_a_language_stays_chosen_from_page_to_page(open_page: Open) -> None:
    page = open_page(PAGES["chinese plugin"])
    expect(page.get_by_role("heading", level=1)).to_contain_text("Games for group chats")
    page.get_by_role("link", name="中文").click()
    page.wait_for_url("**/site/zh/edge/games/")
    assert page.locator("html").get_attribute("lang") == "zh"
    expect(page.get_by_role("heading", level=1)).to_contain_text("群聊小游戏")
    page.get_by_role("link", name="关键词", exact=True).click()
    page.wait_for_url("**/site/zh/keywords/")
    page.get_by_role("link", name="English").click()
    page.wait_for_url(re.compile(r"[0-9]/keywords/$"))
    assert page.locator("html").get_attribute("lang") == "en"


@both_at_length
def test_two_releases_are_compared(open_page: Open) -> None:
    page = open_page(PAGES["chinese plugin"])
    page.locator("select[name=from]").select_option("1.0.0")
    page.locator("select[name=to]").select_option("1.2.0")
    page.get_by_role("button", name="Show what changed").click()
    page.wait_for_url("**/docs/compare/?plugin=edge%2Fgames&from=1.0.0&to=1.2.0")
    glance = page.locator("section", has=page.get_by_role("heading", name="At a glance"))
    expect(glance.locator("tr", has_text="Released")).to_have_text("Released10 January 20261 November 2026")
    expect(page.locator("select[name=from]")).to_have_value("1.0.0")


_FITS = "(place) => place.getBoundingClientRect().height <= parseFloat(getComputedStyle(place).minHeight) + 0.1"
"""Whether what a script put there moved nothing: it takes no more than was reserved."""


@pytest.mark.parametrize("width", [390, 1440])
def test_other_releases_are_a_step_away_and_move_nothing_when_they_come(open_page: Open, width: int) -> None:
    page = open_page("robotics/kalman/1.1.0/", viewport={"width": width, "height": 800})
    others = page.locator("[data-versions]")
    expect(others.get_by_role("combobox")).to_have_value("1.1.0")
    assert others.evaluate(_FITS)
    others.get_by_role("link", name="Previous").click()
    page.wait_for_url(re.compile(r"/robotics/kalman/(?!1\.1\.0)[^/]+/$"))


def test_an_only_release_is_told_to_be_that(open_page: Open) -> None:
    others = open_page("edge/full/1.0.0/").locator("[data-versions]")
    expect(others).to_have_text("There is no other release yet.")
    assert others.evaluate(_FITS)
