"""Policies in a browser: their changes on a timeline, the walk of a flow, what was seen though denied on the map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Tab, serious, tab
from support.policy_story import DENY_ALL, evidence, line, log, thing
from support.workbench import HOSTILE, served

import whowas

expect: Any = pytest.importorskip("playwright.sync_api").expect
LATE = {"creationTimestamp": "2026-11-20T10:40:00Z"}


@pytest.fixture(scope="module")
def story(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tab on the story of policies; two have names of strangers."""
    folder = tmp_path_factory.mktemp("policies")
    history = evidence(folder)
    with history.open("a") as file:
        for name in (HOSTILE[0], HOSTILE[2] + HOSTILE[4]):
            file.write(line("ADDED", "10:40:00", thing("NetworkPolicy", name, "data", DENY_ALL, meta=LATE)))
    whowas.replay(log(folder), history, out=folder / "named", cluster="prod")
    with served(folder / "named", folder / "cache", history=[str(history)]) as running, tab(browser, running) as one:
        yield one


def test_a_timeline_has_the_policies_that_came(story: Tab, root: Path, tmp_path: Path) -> None:
    page = story.open("who", what="data/cache")
    table = page.locator("table.events")
    rows = table.locator("tr", has_text="NetworkPolicy about it was created")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="data/deny-all")).to_contain_text("2026-11-20 11:00:00")
    expect(table).to_contain_text("<script>window.pwned=1</script>")
    expect(table).to_contain_text("\\u202e")
    assert page.locator("main script").count() == 0
    squares = page.locator('svg.lanes path.event[d^="M-5 -5"]')
    expect(squares).to_have_count(3)
    assert max(len(one) for one in page.locator("svg.lanes title").all_text_contents()) < 3000
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    story.shot("policies-who", tmp_path)
    assert serious(page, root) == []


def test_a_flow_says_who_decided_and_how_to_walk_there(story: Tab, root: Path, tmp_path: Path) -> None:
    page = story.open("flows", filter="src=batch/job port=5432")
    page.locator(".grid-body .grid-row").last.click()
    one = page.get_by_label("One flow")
    expect(one.get_by_role("heading", name="What policies say")).to_be_visible()
    expect(one).to_contain_text("seen though denied")
    expect(one).to_contain_text("answered with data")
    expect(one).to_contain_text("ingress of the destination")
    walk = one.locator("figure", has_text="The walk through every policy")
    expect(walk).to_contain_text(
        "whowas policy explain --from batch/job-1 --to data/db-0:5432 --at 2026-11-20T10:10:00"
    )
    story.shot("policies-flow", tmp_path)
    assert serious(page, root) == []
    # Later policies with strangers' names decided: all of it is text, and none is broader than its place.
    story.keys("Escape")
    page.locator(".grid-body .grid-row").first.click()
    expect(one).to_contain_text("isolated by data/")
    expect(one).to_contain_text("<script>window.pwned=1</script>")
    expect(one).to_contain_text("\\u202e")
    assert page.locator("main script").count() == 0
    assert one.evaluate("(box) => box.scrollWidth <= box.clientWidth")
    story.shot("policies-flow-hostile", tmp_path)


def test_the_map_says_first_what_was_denied(story: Tab, root: Path, tmp_path: Path) -> None:
    page = story.open("map", group="workload")
    page.get_by_label("paint by").select_option("policy_verdict")
    page.wait_for_url("**paint=policy_verdict*")
    story.ready()
    page.locator("canvas.map[data-ready=true]").wait_for()
    loud = page.get_by_label("Seen though denied")
    expect(loud).to_contain_text("seen though denied:")
    expect(loud.locator("li")).not_to_have_count(0)
    rows = page.locator("tr[data-row]").all_inner_texts()
    denied = ["seen though denied" in one for one in rows]
    assert denied == sorted(denied, reverse=True)
    assert any(denied)
    assert not all(denied)
    with page.expect_download() as got:
        page.get_by_role("button", name="SVG", exact=True).first.click()
    # A cross of two strokes on each such edge: it is seen without colour.
    assert Path(got.value.path()).read_text().count('stroke-width="2.5"') == 2 * sum(denied)
    story.shot("policies-map", tmp_path)
    assert serious(page, root) == []
    legend = page.get_by_label("The chosen node")
    legend.get_by_role("button", name="where policy_verdict=denied").click()
    page.wait_for_url("**filter=where%3Dpolicy_verdict%3Ddenied*")
    story.ready()
    assert all("seen though denied" in one for one in page.locator("tr[data-row]").all_inner_texts())
