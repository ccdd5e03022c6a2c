"""What people do with the page: find who shared an address, look through a million flows, take all of it along."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.dataset as ds
import pytest
from support.chromium import Tab, serious

REUSED = "10.244.1.20"


def expect(what: Any) -> Any:
    """Playwright's, imported where it is there."""
    from playwright.sync_api import expect

    return expect(what)


def download(look: Tab, name: str, folder: Path) -> Path:
    """Click a button and keep the file it gives."""
    with look.page.expect_download() as got:
        look.page.get_by_role("button", name=name, exact=True).first.click()
    path = folder / got.value.suggested_filename
    got.value.save_as(path)
    return path


def test_a_new_user_finds_the_reused_address_and_sends_a_report(look: Tab, root: Path, tmp_path: Path) -> None:
    """From the map that the demo opens, by what stands on the page alone."""
    page = look.open("map")
    page.get_by_role("navigation").get_by_role("button", name="Who was").click()
    look.ready()
    row = page.locator("tr[data-row]", has_text=REUSED)
    expect(row).to_contain_text("shop/web")
    expect(row).to_contain_text("batch/report")
    row.get_by_role("button", name=REUSED).click()
    look.ready()
    names = page.locator("table.holders tbody tr td:first-child").all_inner_texts()
    assert {one.split("-")[0] for one in names} == {"shop/web", "batch/report"}
    page.get_by_role("button", name="Report, export").click()
    file = download(look, "Report", tmp_path)
    assert file.name == "report.html"
    assert file.stat().st_size < 3_000_000
    expect(page.get_by_role("dialog")).to_contain_text("saved as report.html")
    other = look.context.new_page()
    other.goto(file.as_uri())
    assert "shop/web" in other.inner_text("body")
    assert serious(other, root) == []
    other.screenshot(path=str(look.shots(tmp_path) / "report.png"))
    other.close()


def test_keys_find_the_reused_address_and_its_evidence(look: Tab) -> None:
    page = look.open()
    look.keys("3")
    look.ready()
    rows = page.locator("tr[data-row]").all_inner_texts()
    place = next(at for at, one in enumerate(rows) if one.startswith(f"{REUSED}\t"))
    look.keys(*["j"] * (place + 1), "Enter")
    look.ready()
    assert look.told()["what"] == REUSED
    happened = page.locator("table.events tbody tr").all_inner_texts()
    assert sum("began to hold" in one for one in happened) == 3
    page.get_by_role("button", name="explain").focus()
    look.keys("Enter")
    evidence = page.locator(".pane", has_text="sights of the holders")
    expect(evidence).to_contain_text("a container started 2026-11-21 08:39:32 UTC")
    expect(evidence).to_contain_text("--explain")
    look.keys("Enter")
    expect(evidence.locator("table")).to_have_count(0)


def test_a_click_on_a_lane_judges_that_moment(look: Tab) -> None:
    page = look.open("who", what=REUSED)
    box = page.locator("svg.lanes .certain").nth(1).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".pane", has_text="one holder, certain").first).to_contain_text("batch/report")


def test_flows_beside_lanes_are_shown_by_the_second(look: Tab) -> None:
    page = look.open("who", what=REUSED)
    look.ready()
    expect(page.locator("svg.lanes .bar").first).to_be_attached()
    wide = [one.bounding_box()["width"] for one in page.locator("svg.lanes .bar").all()]
    assert max(wide) < 30


def test_no_address_is_cut(look: Tab) -> None:
    page = look.open("flows", filter="where=src_ip=fd00::/8")
    cut = "(all) => all.map((one) => [one.textContent, one.scrollWidth > one.clientWidth])"
    told = page.locator(".grid-body .end-address").evaluate_all(cut)
    assert any(text.startswith("[fd00:10:244:1::20]:") for text, _ in told)
    assert [text for text, is_cut in told if is_cut] == []
    longest = "[2001:0db8:85a3:1234:5678:8a2e:0370:7334]:65535"
    page.locator(".grid-body .end-address").first.evaluate("(one, text) => { one.textContent = text; }", longest)
    assert page.locator(".grid-body .end-address").first.evaluate("(one) => one.scrollWidth <= one.clientWidth")


def test_a_flow_lists_the_points_that_saw_it(look: Tab) -> None:
    page = look.open("flows", filter="src=shop/web port=5432")
    page.locator(".grid-body .grid-row").first.click()
    points = page.get_by_label("One flow").locator("dd", has_text="node1-any.pcap:#").locator("li")
    expect(points.nth(2)).to_be_visible()
    expect(points.first).to_contain_text("packets out")


def test_a_flow_tells_who_else_saw_it_and_how_to_see_it_again(look: Tab, named: Path) -> None:
    """What the packets do not prove to be the same has a row of its own, and the same Community ID."""
    told = Counter(
        ds.dataset(named / "named", partitioning="hive").to_table(["community_id"])["community_id"].to_pylist()
    )
    page = look.open("flows", filter=f"where=community_id={max(told, key=lambda one: told[one])}")
    page.locator(".grid-body .grid-row").first.click()
    one = page.get_by_label("One flow")
    for title in ("The flow", "Source", "Destination", "Seen by", "The same again"):
        expect(one.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(one.locator("tr", has_text="this one")).to_have_count(1)
    look.ready()
    others = one.locator("tbody tr", has_not_text="this one")
    assert others.count() > 0
    before = look.told()["flow"]
    others.first.get_by_role("button").click()
    look.ready()
    assert look.told()["flow"] != before
    assert any("whowas who" in text and "--explain" in text for text in one.locator("pre").all_inner_texts())


def test_a_drag_over_the_strip_narrows_the_table(look: Tab) -> None:
    page = look.open("flows")
    box = page.locator(".strip svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20)
    page.mouse.up()
    page.wait_for_url("**since=*")
    look.ready()
    expect(page.get_by_text("No flow matches.")).to_be_visible()


def synthetic(start: int, count: int) -> str:
    """A page of flows, as the server tells it."""
    columns = ["start_time", "src_ip", "dst_ip", "protocol"]
    values = [[start + row for row in range(count)], ["10.0.0.1"] * count, ["fd00::1"] * count, ["tcp"] * count]
    about = {"source": "flows", "hours": 1, "ready": 1, "partial": "", "milliseconds": 1}
    ids = [f"{start + row:032x}" for row in range(count)]
    cursor = str(start + count) if start + count < 1_000_000 else ""
    told = {"about": about, "columns": columns, "values": values, "flow_id": ids, "hour": ["h"] * count}
    return json.dumps(told | {"cursor": cursor, "searched_until": None})


def test_a_million_rows_scroll(look: Tab) -> None:
    """Only the rows that are seen are elements, and the last is reached, though no element may be so high."""

    def answer(route: Any) -> None:
        start = int(route.request.post_data_json["cursor"] or 0)
        route.fulfill(body=synthetic(start, 50_000), content_type="application/json")

    look.page.route("**/api/flows", answer)
    page = look.open("flows")
    rows = page.locator(".grid-body .grid-row")
    end = "(one) => { one.scrollTop = one.scrollHeight; }"
    for thousands in range(100, 1001, 50):
        page.locator(".grid").evaluate(end)
        expect(page.locator(".flows .pane.wide header")).to_contain_text(f"{thousands * 1000:,}")
    page.locator(".grid").evaluate(end)
    expect(page.locator('[aria-rowindex="1000001"]')).to_be_visible()
    assert rows.count() < 80
    assert page.locator(".grid-body").bounding_box()["height"] <= 12_000_000
    page.locator(".grid").evaluate("(one) => { one.scrollTop = one.scrollHeight / 2; }")
    expect(page.locator('[aria-rowindex="500002"]')).to_be_visible()
    boxes = [one["y"] for one in (row.bounding_box() for row in rows.all()) if one]
    assert len(set(boxes)) == len(boxes)


@pytest.mark.parametrize("by", ["pod", "node", "label"])
def test_what_roll_ups_lack_is_read_from_the_flows_and_said(look: Tab, by: str) -> None:
    page = look.open("map", group=by)
    expect(page.locator(".pane header", has_text="Who talked to whom")).to_contain_text("read from flows")
    rows = page.locator("tbody tr").all_inner_texts()
    assert any({"pod": "shop/web-", "node": "node/worker-1", "label": "report"}[by] in one for one in rows)


@pytest.mark.parametrize("keep", [{"group": one} for one in ("workload", "namespace", "pod", "node", "label")] + [{}])
def test_a_number_leads_to_exactly_its_flows(look: Tab, keep: dict[str, str]) -> None:
    """Of each grouping, and on the overview: names that are alike mean other flows by each."""
    view = "map" if keep else "overview"
    pane = ".pane" if keep else ".pane:has(h2:text('Top talkers'))"
    page = look.open(view, **keep)
    rows = page.locator(f"{pane} tbody tr:has(button.number)")
    names = rows.all_inner_texts()
    sure = [
        next((at for at, one in enumerate(names) if word in one), None) for word in ("exact", "likely", "snat", "(")
    ]
    for place in {one for one in (0, 2, *sure) if one is not None}:
        row = page.locator(f"{pane} tbody tr:has(button.number)").nth(place)
        count = row.locator("button.number")
        told = count.inner_text()
        count.click()
        look.ready()
        expect(page.locator(".flows .pane.wide header .quiet")).to_have_text(re.compile(rf"^{told} (·|so far)"))
        page = look.open(view, **keep)


def test_edges_are_painted_and_the_legend_says_how(look: Tab) -> None:
    page = look.open("map")
    page.get_by_label("paint by").select_option("direction")
    look.ready()
    assert look.told()["paint"] == "direction"
    expect(page.get_by_label("The chosen node")).to_contain_text("internal")
    expect(page.get_by_role("columnheader", name="painted by")).to_be_visible()


def test_the_map_is_saved_whole(look: Tab, tmp_path: Path) -> None:
    page = look.open("map")
    page.locator("canvas.map[data-ready=true]").wait_for()
    drawing = ElementTree.fromstring(download(look, "SVG", tmp_path).read_text())
    names = {one.text for one in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert {"shop/web", "batch/report", "data/db"} <= names
    assert download(look, "PNG", tmp_path).read_bytes().startswith(b"\x89PNG")


def test_lanes_are_saved_with_their_colours(look: Tab, tmp_path: Path) -> None:
    look.open("who", what=REUSED)
    text = download(look, "SVG", tmp_path).read_text()
    assert "class=" not in text
    assert re.search(r'fill="rgb\(26, 127, 55\)"', text), "what is certain is green without a style sheet too"
    assert download(look, "PNG", tmp_path).read_bytes().startswith(b"\x89PNG")


def test_a_finding_shows_its_flows_and_who_they_were(look: Tab) -> None:
    page = look.open("findings")
    page.get_by_role("button", name="A namespace for trying things out").click()
    look.ready()
    one = page.get_by_label("One finding")
    expect(one.locator("table tbody tr").first).to_be_visible()
    count = one.locator("table tbody tr").count()
    expect(one.locator("svg.moments line.moment-of")).to_have_count(count)
    uid = look.told()["finding"]
    one.get_by_role("button", name="these flows").click()
    look.ready()
    expect(page.locator(".grid-body .grid-row")).to_have_count(count)
    page.go_back()
    look.ready()
    assert look.told() == {"view": "findings", "finding": uid}, "one press is one step back"
    page.get_by_label("One finding").locator("tbody").get_by_role("button", name="10.244.").first.click()
    look.ready()
    assert look.told()["view"] == "who"
    expect(page.locator(".pane", has_text="one holder, certain").first).to_contain_text("dev/shell")


def test_findings_are_saved_with_their_states(look: Tab, tmp_path: Path) -> None:
    page = look.open("findings")
    told = json.loads(download(look, "JSON", tmp_path).read_text())
    assert [one["state"] for one in told] == ["open"] * page.locator("tr[data-row]").count()
    assert all(one["ocsf"]["finding_info"]["uid"] for one in told)


def big(count: int) -> str:
    """A map of many nodes and edges."""
    name = {"cluster": "c", "kind": "pod", "name_kind": "Deployment", "confidence": "exact"}
    nodes = [
        {"name": name | {"namespace": f"n{at % 40}", "name": f"w{at}"}, "flows": count - at, "bytes": 1, "inside": 0}
        for at in range(count)
    ]
    edge = {"bytes": 1, "packets": 1, "ports": [], "more_ports": 0, "worst": "exact", "direction": "", "change": ""}
    edges = [
        edge | {"src": at, "dst": (at * 7 + 3) % count, "flows": count - at, "first": 0, "last": 0, "painted": []}
        for at in range(count)
    ]
    about = {"source": "rollups", "hours": 1, "ready": 1, "partial": "", "milliseconds": 1}
    return json.dumps({"about": about, "nodes": nodes, "edges": edges, "left_out": [0, 0, 0]})


def test_a_map_of_2000_nodes_moves_as_a_picture_and_is_drawn_anew_at_rest(look: Tab, tmp_path: Path) -> None:
    told = big(2000)
    look.page.route("**/api/map", lambda route: route.fulfill(body=told, content_type="application/json"))
    page = look.open("map")
    page.locator("canvas.map[data-ready=true]").wait_for()
    look.shot("map-2000", tmp_path)
    # Drawing a line is what takes long: while the map moves there must be none.
    page.evaluate("""() => {
      window.strokes = 0;
      const real = CanvasRenderingContext2D.prototype.stroke;
      CanvasRenderingContext2D.prototype.stroke = function (...all) {
        window.strokes += 1;
        return real.apply(this, all);
      };
    }""")
    box = page.locator("canvas.map").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 240, box["y"] + 220)
    frames = page.evaluate("new Promise((done) => requestAnimationFrame(() => done(window.strokes)))")
    assert frames == 0
    page.mouse.up()
    page.wait_for_timeout(600)
    assert page.evaluate("window.strokes") > 2000
