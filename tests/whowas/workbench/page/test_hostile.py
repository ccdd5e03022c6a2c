"""Names, labels and titles that strangers chose go through every screen as text, and nothing of them runs or hides."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support import workbench
from support.chromium import Tab, tab
from support.workbench import DAY, served

EVIL = (
    "<img src=x onerror=window.pwned=1>",
    "</script><script>window.pwned=1</script>",
    "a\u202egnp.exe\u2066",
    "nul\x00 esc\x1b[2J \u200b\ufeff",
    "=cmd|' /C calc'!A0",
    "javascript:window.pwned=1",
    "x" * 10_000 + "<svg onload=window.pwned=1>",
)
# What steers a terminal or the order of letters must not reach the eye as it is. Line ends and tabs lay out the page.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def finding(number: int, text: str) -> dict[str, Any]:
    """A finding whose every text is hostile."""
    uid, named = f"{number:032x}", {"uid": text, "name": text}
    return {
        "finding_info": {"uid": uid, "title": text, "desc": text, "attacks": [{"tactic": named, "technique": named}]},
        "metadata": {"correlation_uid": uid, "uid": f"{uid}-0", "sequence": 0, "event_code": text},
        "severity": "High", "confidence_score": 90, "start_time": DAY // 1000, "end_time": DAY // 1000 + 5000,
        "count": 3, "message": text, "evidences": [{"uid": "a" * 32}],
        "remediation": {"desc": f"Look:\nwhowas who {text}"}, "unmapped": {"rule": {"false_positives": [text]}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def evil(browser: Any, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tab on a folder in which every name is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    flows = workbench.rows(60)
    for number, row in enumerate(flows):
        text = EVIL[number % len(EVIL)]
        for side in ("src", "dst"):
            names = {"namespace": text, "workload": text, "pod": text, "node": text, "service": text}
            row |= {f"{side}_{name}": value for name, value in names.items() if row.get(f"{side}_{name}")}
            if row.get(f"{side}_labels"):
                row[f"{side}_labels"] = [(text, text)]
        row["tls_sni"] = text
        row["cluster"] = "demo" if number % 2 else "<b>\u202ecluster"
    findings = folder / "findings.jsonl"
    findings.write_text("".join(json.dumps(finding(*one)) + "\n" for one in enumerate(EVIL)))
    named, history = workbench.write(folder / "named", flows), hostile_history(root, folder / "history.jsonl")
    with (
        served(named, folder / "cache", history=[str(history)], findings=str(findings)) as running,
        tab(browser, running) as one,
    ):
        yield one


def hostile_history(root: Path, path: Path) -> Path:
    """The sample's history, in which every name, label and image of a pod is a stranger's text."""
    lines = gzip.decompress((root / "samples/overlay/history.jsonl.gz").read_bytes()).decode().splitlines()
    changed = []
    for number, line in enumerate(lines):
        for word in ("web", "report", "worker-1"):
            line = line.replace(f'"{word}"', json.dumps(EVIL[number % len(EVIL)]))
        changed.append(line)
    path.write_text("\n".join(changed))
    return path


@pytest.mark.parametrize(
    ("view", "keep"),
    [("overview", {}), *(("map", {"group": one}) for one in ("namespace", "workload", "pod", "node", "label")),
     ("who", {"what": f"app={EVIL[0]}"}), ("who", {"what": "10.244.1.20"}), ("flows", {}), ("findings", {})],
)  # fmt: skip
def test_strangers_texts_are_text(evil: Tab, view: str, keep: dict[str, str], tmp_path: Path) -> None:
    page = evil.open(view, **keep)
    if view == "flows":
        page.locator(".grid-body .grid-row").first.click()
        page.get_by_label("One flow").get_by_text("tls_sni").wait_for()
    if view == "who":
        page.get_by_role("button", name="explain").click()
        evil.ready()
        saved(evil, "SVG")
    if view == "map":
        page.locator("canvas.map[data-ready=true]").wait_for()
        saved(evil, "SVG")
        saved(evil, "PNG")
    if view == "findings":
        for row in range(len(EVIL)):
            page.locator("tr[data-row] button").nth(row).click()
            evil.ready()
            page.get_by_label("One finding").get_by_role("heading", name="Notes").wait_for()
            clean(evil)
    evil.shot(f"hostile-{view}{keep.get('group', '')}", tmp_path)
    clean(evil)


def saved(evil: Tab, form: str) -> None:
    """A picture is saved that is what it says, and holds no markup but its own."""
    with evil.page.expect_download() as got:
        evil.page.get_by_role("button", name=form, exact=True).first.click()
    data = Path(got.value.path()).read_bytes()
    if form == "PNG":
        assert data.startswith(b"\x89PNG")
        return
    tags = {one.tag.rpartition("}")[2] for one in ElementTree.fromstring(data).iter()}
    assert tags <= {"svg", "g", "defs", "pattern", "rect", "circle", "path", "line", "text", "title", "tspan"}
    assert UNSEEN.findall(data.decode()) == []


def test_a_report_of_hostile_flows_is_as_safe_from_the_page(evil: Tab, tmp_path: Path) -> None:
    page = evil.open("findings")
    page.locator("tr[data-row] button").first.click()
    evil.ready()
    with page.expect_download() as got:
        page.get_by_role("button", name="Report of this finding").click()
    got.value.save_as(tmp_path / "report.html")
    other = evil.context.new_page()
    other.goto((tmp_path / "report.html").as_uri())
    assert "What was not seen" in other.inner_text("body")
    assert other.evaluate("[window.violations, typeof window.pwned]") == [[], "undefined"]
    assert other.locator("img, script, [onerror], [onload]").count() == 0
    other.close()


def clean(evil: Tab) -> None:
    """Nothing ran, nothing became an element, nothing unseen is shown, nothing is broader than the screen."""
    page = evil.page
    assert page.evaluate("window.pwned === undefined")
    assert page.locator("main img, main script, main b, [onerror], [onload]").count() == 0
    assert UNSEEN.findall(page.locator("body").inner_text()) == []
    titles = page.evaluate("[...document.querySelectorAll('[title]')].map((one) => one.title).join('|')")
    assert UNSEEN.findall(titles) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert evil.faults == []
