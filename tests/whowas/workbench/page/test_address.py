"""The address bar holds the whole view: it can be sent, gone back from, and read in another zone."""

from __future__ import annotations

from typing import Any

from support.chromium import Tab, tab
from support.workbench import Served

from whowas.workbench.loopback import door

VIEW = {"filter": "src=shop/web not port=53", "since": "2026-11-21T08:39:00Z", "until": "2026-11-21T08:41:00Z"}


def expect(what: Any) -> Any:
    """Playwright's, imported where it is there."""
    from playwright.sync_api import expect

    return expect(what)


def test_a_link_shows_a_colleague_the_same(look: Tab, browser: Any, samples: Served) -> None:
    page = look.open("flows", **VIEW)
    assert "token" not in page.url
    rows = page.locator(".grid-body").inner_text()
    assert "shop/web" in rows
    with tab(browser, samples) as theirs:
        theirs.page.goto(f"{page.url}#token={samples.token}")
        assert theirs.ready().locator(".grid-body").inner_text() == rows
        assert theirs.told() == look.told()


def test_the_file_that_serve_opens_leads_to_the_page(look: Tab) -> None:
    with door(f"{look.origin}/?view=map#token={look.served.token}") as way:
        look.page.goto(way)
        look.page.wait_for_url("**view=map")
        look.ready()
    expect(look.page.locator("canvas.map[data-ready=true]")).to_be_visible()
    assert "token" not in look.page.url


def test_a_stranger_without_the_token_sees_nothing(look: Tab) -> None:
    look.expected.append("401")
    look.page.goto(f"{look.origin}/?view=overview")
    expect(look.page.get_by_role("alert").first).to_be_visible()
    assert "shop" not in look.page.locator("body").inner_text()


def test_chips_turn_round_and_drop(look: Tab) -> None:
    page = look.open("flows", **VIEW)
    chips = page.get_by_label("Conditions of the filter")
    chips.get_by_role("button", name="not port=53", exact=True).click()
    page.wait_for_url("**filter=src%3Dshop%2Fweb+port%3D53&*")
    look.ready()
    assert all(":53" in one for one in page.locator(".grid-body .grid-row").all_inner_texts())
    chips.get_by_role("button", name="drop src=shop/web").click()
    page.wait_for_url("**filter=port%3D53&*")
    chips.get_by_role("button", name="drop all").click()
    page.wait_for_url(lambda url: "filter" not in url)


def test_a_wrong_filter_is_told_and_not_applied(look: Tab) -> None:
    page = look.open("flows")
    page.get_by_label("Filter").fill("nonsense=1")
    expect(page.locator("#filter-wrong")).not_to_be_empty()
    page.get_by_role("button", name="Apply").click()
    assert "filter" not in look.told()
    assert "filter" not in look.told()


def test_back_goes_back(look: Tab) -> None:
    page = look.open("overview")
    page.get_by_role("navigation").get_by_role("button", name="Map").click()
    look.ready()
    look.keys("]")
    page.wait_for_url("**since=*")
    page.go_back()
    page.wait_for_url(lambda url: "since" not in url)
    look.ready()
    assert look.told()["view"] == "map"
    page.go_back()
    expect(page.get_by_role("heading", name="Flows over time")).to_be_visible()


def test_times_stand_in_the_zone_that_is_chosen(look: Tab) -> None:
    page = look.open("flows", **VIEW)
    first = page.locator(".grid-body .grid-row").first
    expect(first).to_contain_text("2026-11-21 08:4")
    page.get_by_label("times in").fill("Asia/Tokyo")
    expect(first).to_contain_text("2026-11-21 17:4")
    assert look.told()["zone"] == "Asia/Tokyo"
    assert look.told()["since"] == VIEW["since"]
