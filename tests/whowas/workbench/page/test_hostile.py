"""Names, labels and titles that strangers chose go through every screen as text, and nothing of them runs or hides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    uid = f"{number:032x}"
    return {
        "finding_info": {"uid": uid, "title": text, "desc": text,
                         "attacks": [{"tactic": {"uid": text, "name": text}, "technique": {"uid": text, "name": text}}]},
        "metadata": {"correlation_uid": uid, "uid": f"{uid}-0", "sequence": 0, "event_code": text},
        "severity": "High", "confidence_score": 90, "start_time": DAY // 1000, "end_time": DAY // 1000 + 5000,
        "count": 3, "message": text, "evidences": [{"uid": "a" * 32}],
        "remediation": {"desc": f"Look:\nwhowas who {text}"}, "unmapped": {"rule": {"false_positives": [text]}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def evil(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
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
    named = workbench.write(folder / "named", flows)
    with served(named, folder / "cache", findings=str(findings)) as running, tab(browser, running) as one:
        yield one


@pytest.mark.parametrize("group", ["", "namespace", "pod", "node", "label"])
@pytest.mark.parametrize("view", ["overview", "map", "who", "flows", "findings"])
def test_strangers_texts_are_text(evil: Tab, view: str, group: str, tmp_path: Path) -> None:
    if group and view != "map":
        pytest.skip("the map alone is grouped")
    page = evil.open(view, **({"what": EVIL[2]} if view == "who" else {"group": group} if group else {}))
    if view == "flows":
        page.locator(".grid-body .grid-row").first.click()
        page.get_by_label("One flow").get_by_text("tls_sni").wait_for()
    if view == "findings":
        for row in range(len(EVIL)):
            page.locator("tr[data-row] button").nth(row).click()
            evil.ready()
            page.get_by_label("One finding").get_by_role("heading", name="Notes").wait_for()
            clean(evil)
    evil.shot(f"hostile-{view}{group}", tmp_path)
    clean(evil)


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
