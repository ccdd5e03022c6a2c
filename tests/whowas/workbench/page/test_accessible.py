"""Every screen for everybody: axe-core finds nothing serious, in both themes, and 1280x720 is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.chromium import Tab, serious

SCREENS = {
    "overview": {},
    "map": {"paint": "direction"},
    "who": {"what": "10.244.1.20", "at": "1795250390000000"},
    "flows": {},
    "findings": {},
}


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("view", SCREENS)
def test_nothing_serious(look: Tab, root: Path, tmp_path: Path, view: str, theme: str) -> None:
    look.page.emulate_media(color_scheme=theme)
    page = look.open(view, **SCREENS[view])
    if view == "map":
        page.locator("canvas.map[data-ready=true]").wait_for()
    if view == "findings":
        page.locator("tr[data-row] button").first.click()
        page.get_by_label("note").wait_for()
    if view == "who":
        page.get_by_role("button", name="explain").click()
    if view == "flows":
        page.locator(".grid-body .grid-row").first.click()
        page.get_by_role("heading", name="Seen by").wait_for()
    look.ready()
    look.shot(f"{view}-{theme}", tmp_path)
    assert serious(page, root) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_nothing_serious_before_anybody_is_asked_for(look: Tab, root: Path) -> None:
    page = look.open("who")
    page.locator("tr[data-row]").first.wait_for()
    assert serious(page, root) == []


def test_the_theme_is_chosen_and_kept(look: Tab) -> None:
    page = look.open("overview")
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    page.get_by_label("theme").select_option("dark")
    dark = page.evaluate(colour)
    page.reload()
    look.ready()
    assert page.evaluate(colour) == dark
    page.get_by_label("theme").select_option("light")
    assert page.evaluate(colour) != dark


def test_help_and_export_open_and_close_by_keys(look: Tab, root: Path) -> None:
    page = look.open("overview", filter="src=shop/web")
    look.keys("?")
    page.get_by_role("dialog").get_by_text("type a filter").wait_for()
    assert serious(page, root) == []
    look.keys("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("dialog").get_by_text("The same in SQL").wait_for()
    assert serious(page, root) == []
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    assert "shop" in Path(saved.value.path()).read_text()
