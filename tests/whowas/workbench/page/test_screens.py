"""Each screen answers its question, by clicks and by keys alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Tab, tab
from support.workbench import served

REUSED = "10.244.1.20"
MOMENT = "2026-11-21T08:39:50Z"
# A pixel well inside a node whose name is exact: nodes are drawn, not elements.
INSIDE = """() => {
  const canvas = document.querySelector("canvas.map");
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(canvas).getPropertyValue("--sure-exact").trim();
  probe.fillRect(0, 0, 1, 1);
  const wanted = probe.getImageData(0, 0, 1, 1).data.slice(0, 3).join();
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const is = (x, y) => data.slice(4 * (y * width + x), 4 * (y * width + x) + 3).join() === wanted;
  for (let y = 8; y < height - 8; y += 3)
    for (let x = 8; x < width - 8; x += 3)
      if (is(x, y) && is(x - 4, y) && is(x + 4, y) && is(x, y - 4) && is(x, y + 4))
        return [x * canvas.clientWidth / width, y * canvas.clientHeight / height];
  return null;
}"""


def expect(what: Any) -> Any:
    """Playwright's, imported where it is there."""
    from playwright.sync_api import expect

    return expect(what)


def tab_to(look: Tab, text: str, key: str = "Tab") -> None:
    """Press Tab until the focus is on what says a text."""
    said = """() => {
      const one = document.activeElement;
      return `${one.textContent} ${one.getAttribute("aria-label") ?? ""} ${one.closest("label")?.textContent ?? ""}`;
    }"""
    for _ in range(150):
        look.keys(key)
        if text in look.page.evaluate(said):
            return
    pytest.fail(f"no key leads to {text!r}")


def shares(look: Tab) -> str:
    """The table of how sure the ends are."""
    return str(look.page.locator(".pane", has_text="How sure the ends are").locator("tbody").inner_text())


def test_a_brush_on_the_overview_narrows_every_pane(look: Tab) -> None:
    page = look.open()
    before = shares(look)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url.rsplit("/", 1)[1]))
    box = page.locator(".chart svg").bounding_box()
    for way, x in (("move", box["width"] * 0.001), ("down", 0), ("move", box["width"] * 0.1), ("up", 0)):
        getattr(page.mouse, way)(*([box["x"] + x, box["y"] + 60] if way == "move" else []))
    page.wait_for_url("**since=2026-11-20T10*until=2026-11-20T12*")
    look.ready()
    # One question for all panes: what they are made of is added up once.
    assert sorted(one for one in asked if one != "status") == ["findings", "gaps", "overview"]
    assert shares(look) != before
    assert "unknown" in shares(look)
    assert "service" not in shares(look)
    expect(page.get_by_role("textbox", name="from")).to_have_value(look.told()["since"])
    for view in ("Map", "Flows", "Findings"):
        page.get_by_role("navigation").get_by_role("button", name=view).click()
        look.ready()
        assert look.told()["since"].startswith("2026-11-20T10")
    expect(page.get_by_text("No finding matches.")).to_be_visible()


def test_keys_narrow_the_overview_and_lead_to_the_flows_behind_a_number(look: Tab) -> None:
    page = look.open()
    before = shares(look)
    look.keys("]")
    page.wait_for_url("**since=2026-11-20T21*")
    look.ready()
    assert shares(look) != before
    look.keys("0")
    page.wait_for_url(lambda url: "since" not in url)
    look.ready()
    assert shares(look) == before
    tab_to(look, "68")
    look.keys("Enter")
    look.ready()
    assert look.told() == {"view": "flows", "filter": "where=src_confidence=exact"}
    expect(page.locator(".flows .pane.wide header")).to_contain_text("68")


def test_a_click_steps_from_a_namespace_into_its_workloads(look: Tab) -> None:
    page = look.open("map", group="namespace")
    expect(page.locator("canvas.map[data-ready=true]")).to_be_visible()
    page.wait_for_timeout(200)
    place = page.evaluate(INSIDE)
    assert place is not None
    page.locator("canvas.map").click(position={"x": place[0], "y": place[1]})
    side = page.get_by_label("The chosen node")
    namespace = side.locator("h3").inner_text()
    assert namespace in {"shop", "batch", "data", "dev", "monitoring", "kube-system"}
    side.get_by_role("button", name="step in").click()
    look.ready()
    assert look.told() == {"view": "map", "filter": f"namespace={namespace}", "group": "workload"}
    rows = page.locator("tbody tr").all_inner_texts()
    assert rows
    assert all(f"{namespace}/" in one or "ambiguous" in one for one in rows)


def test_keys_walk_the_map_by_its_table(look: Tab) -> None:
    page = look.open()
    look.keys("2")
    look.ready()
    tab_to(look, "by namespace")
    look.keys("Home")
    page.wait_for_url("**group=namespace*")
    look.ready()
    tab_to(look, "find")
    rows = page.locator("tr[data-row]")
    wanted = next(at for at, one in enumerate(rows.all_inner_texts()) if one.startswith("dev/ "))
    look.keys("Escape", *["j"] * (wanted + 1), "Enter")
    side = page.get_by_label("The chosen node")
    expect(side.locator("h3")).to_have_text("dev")
    look.keys("Tab", "Enter")
    look.ready()
    assert look.told() == {"view": "map", "filter": "namespace=dev", "group": "workload"}
    look.keys("j", "Enter")
    expect(side.locator("h3")).to_be_visible()
    look.keys("Escape")
    expect(side.locator("h3")).to_have_count(0)
    assert look.told()["filter"] == "namespace=dev"


def test_uncertain_names_are_nodes_of_their_own(look: Tab) -> None:
    page = look.open("map")
    rows = page.locator("tbody tr").all_inner_texts()
    assert any("shop/cart\n● exact" in one or "shop/cart ● exact" in one for one in rows)
    assert any("shop/cart ◕ likely" in one or "shop/cart\n◕ likely" in one for one in rows)


def both_holders(look: Tab) -> None:
    """The reused address: two workloads, three holds, each with bounds."""
    page = look.page
    names = page.locator("table.holders tbody tr td:first-child").all_inner_texts()
    assert [one.split("-")[0] for one in names] == ["shop/web", "batch/report", "shop/web"]
    expect(page.locator("svg.lanes .certain")).to_have_count(3)
    expect(page.locator("svg.lanes .possible")).to_have_count(3)
    parts = [page.locator(f"svg.lanes .{one}").all() for one in ("certain", "possible")]
    for pair in zip(*parts, strict=True):
        inner, outer = (one.bounding_box() for one in pair)
        assert outer["x"] < inner["x"]
        assert outer["x"] + outer["width"] > inner["x"] + inner["width"]


def test_who_was_shows_both_holders_and_judges_a_moment(look: Tab) -> None:
    page = look.open("who")
    page.get_by_label("who held").fill(REUSED)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("svg.lanes")).to_be_visible()
    both_holders(look)
    page.get_by_label("at", exact=True).fill(MOMENT)
    page.get_by_role("button", name="Ask").click()
    judged = page.locator(".pane", has_text="At 2026-11-21 08:39:50")
    expect(judged).to_contain_text("batch/report-29400195-x7k2p")
    expect(judged.locator("header")).to_contain_text("exact")
    expect(judged).to_contain_text(f"whowas who {REUSED} --at {MOMENT[:-1]}.000000Z")


def test_keys_ask_who_was(look: Tab) -> None:
    page = look.open()
    look.keys("3")
    tab_to(look, "who held")
    page.keyboard.type(REUSED)
    look.keys("Tab")
    page.keyboard.type(MOMENT)
    look.keys("Enter")
    expect(page.locator(".pane", has_text="At 2026-11-21 08:39:50")).to_contain_text("batch/report")
    both_holders(look)
    tab_to(look, "Ask")
    look.keys("j", "j", "Enter")
    look.ready()
    assert look.told()["filter"].startswith("end=batch/report-")
    expect(page.locator(".grid-body")).to_contain_text("batch/report")


def test_flows_are_narrowed_by_a_facet_and_opened(look: Tab) -> None:
    page = look.open("flows")
    facet = page.locator("details", has_text="src_workload")
    facet.get_by_role("button", name="report", exact=True).click()
    page.wait_for_url("**filter=where%3Dsrc_workload%3Dreport")
    look.ready()
    rows = page.locator(".grid-body .grid-row")
    expect(rows.first).to_contain_text("batch/report")
    assert all("batch/report" in one for one in rows.all_inner_texts())
    rows.first.click()
    one = page.get_by_label("One flow")
    expect(one).to_contain_text("batch")
    expect(one).to_contain_text("src_reason")
    expect(one.get_by_text("On the command line").first).to_be_visible()
    one.get_by_role("button", name="Close").click()
    expect(one).to_have_count(0)
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("community_id", exact=True).check()
    expect(page.get_by_role("columnheader")).to_have_count(7)
    page.reload()
    look.ready()
    expect(page.get_by_role("columnheader")).to_have_count(7)


def test_keys_narrow_flows_and_open_a_row(look: Tab) -> None:
    page = look.open()
    look.keys("4", "/")
    page.keyboard.type("src=batch/report port=5432")
    look.keys("Enter")
    page.wait_for_url("**filter=src%3Dbatch%2Freport+port%3D5432")
    shown = page.locator(".grid-body .grid-row")
    expect(shown.filter(has_not_text="5432")).to_have_count(0)
    expect(shown.first).to_be_visible()
    look.ready()
    look.keys("Escape", "j", "j", "Enter")
    one = page.get_by_label("One flow")
    expect(one).to_contain_text("5432")
    tab_to(look, "who was 10.")
    look.keys("Escape")
    expect(one).to_have_count(0)
    assert page.evaluate("document.activeElement.matches('.grid-row')")
    look.keys("Escape")
    page.wait_for_url(lambda url: "5432" not in url)


@pytest.fixture
def triage(browser: Any, named: Path, tmp_path: Path) -> Iterator[Tab]:
    """A tab on findings that may be changed."""
    (tmp_path / "findings.jsonl").write_text((named / "findings.jsonl").read_text())
    with (
        served(named / "named", named / "cache", findings=str(tmp_path / "findings.jsonl")) as running,
        tab(browser, running) as one,
    ):
        yield one


def test_a_finding_is_opened_and_closed_with_a_note(triage: Tab) -> None:
    page = triage.open("findings")
    page.get_by_role("button", name="A namespace for trying things out").click()
    one = page.get_by_label("One finding")
    expect(one).to_contain_text("ATT&CK")
    expect(one).to_contain_text("What to do next")
    one.get_by_label("your name").fill("ann")
    one.get_by_label("note").fill("a test of the platform team")
    one.get_by_label("state").select_option("false_positive")
    one.get_by_role("button", name="Save").click()
    expect(one.locator("li", has_text="a test of the platform team")).to_contain_text("ann")
    triage.ready()
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.get_by_role("button", name="false positive 1").click()
    expect(page.locator("tr[data-row]")).to_have_count(2)


def test_keys_write_a_note(triage: Tab) -> None:
    page = triage.open()
    triage.keys("5")
    triage.ready()
    triage.keys("j", "Enter")
    one = page.get_by_label("One finding")
    expect(one).to_contain_text("Notes")
    tab_to(triage, "  note")
    page.keyboard.type("looked at")
    triage.keys("Tab", "Enter")
    expect(one.locator("li", has_text="looked at")).to_be_visible()


def test_two_people_at_once_lose_nothing(triage: Tab) -> None:
    page = triage.open("findings")
    page.locator("tr[data-row] button").first.click()
    one = page.get_by_label("One finding")
    one.get_by_label("note").fill("mine, long thought about")
    other = {"uid": triage.told()["finding"], "revision": 0, "state": "open", "text": "theirs"}
    assert triage.served.ask("/api/note", other).status == 200
    triage.expected.append("409")  # Chromium tells of the refusal by itself
    one.get_by_role("button", name="Save").click()
    expect(one.get_by_role("alert")).to_contain_text("Your text is still here")
    expect(one.locator("li", has_text="theirs")).to_be_visible()
    expect(one.get_by_label("note")).to_have_value("mine, long thought about")
    one.get_by_role("button", name="Save").click()
    expect(one.locator("li", has_text="mine, long thought about")).to_be_visible()
    told = json.loads(triage.served.ask("/api/finding", {"uid": other["uid"]}).body)
    assert [note["text"] for note in told["notes"]] == ["theirs", "mine, long thought about"]
