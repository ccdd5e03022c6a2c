"""The report from disk in a real Chromium: shown, quiet, asking nobody, whatever strangers wrote into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import VIOLATIONS, chromium
from support.needs import need
from support.workbench import HOSTILE, rows, write

from whowas.errors import OutputError
from whowas.workbench.report import Sources, Wish, pdf, report
from whowas.workbench.report import write as write_page

EVIL = (*HOSTILE, "</script><img src=x onerror=window.pwned=1>", '"><svg onload=window.pwned=1>', "</style><script>1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a page."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A report full of strangers' words."""
    folder = tmp_path_factory.mktemp("report")
    flows = rows(200)
    for place, one in enumerate(flows):
        told = EVIL[place % len(EVIL)]
        one |= {
            "src_namespace": told,
            "src_workload": told,
            "src_kind": "pod",
            "dst_reason": told,
            "cluster": told[:60],
        }
    write(folder / "flows", flows)
    history = str(request.config.rootpath / "samples/overlay/history.jsonl.gz")
    wish = Wish("not namespace='" + EVIL[5] + "' not ip=10.9.9.9")
    page, _ = report(Sources(str(folder / "flows"), folder / "cache", [history]), wish)
    write_page(page, folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("scripts", [True, False])
def test_it_is_shown_and_nothing_else_happens(browser: Any, file: Path, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts, viewport={"width": 1280, "height": 720})
    said: list[str] = []
    asked: list[str] = []
    page = context.new_page()
    page.on("console", lambda one: said.append(one.text))
    page.on("pageerror", lambda one: said.append(str(one)))
    page.on("request", lambda one: asked.append(one.url))
    if scripts:
        page.add_init_script(VIOLATIONS)
    page.goto(file.as_uri())
    assert (said, asked) == ([], [file.as_uri()])
    assert "Top edges" in page.inner_text("body")
    assert page.locator("svg").count() >= 2
    assert page.locator("svg rect").first.bounding_box()["width"] > 0
    assert page.locator("table").first.evaluate("one => getComputedStyle(one).borderCollapse") == "collapse"
    if scripts:
        assert page.evaluate("[window.violations, typeof window.pwned]") == [[], "undefined"]
    context.close()


def test_a_script_that_came_in_anyway_would_not_run(browser: Any, file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    evil = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'><p style='color:red'>"
    broken.write_text(file.read_text().replace("<body>", f"<body>{evil}"))
    page = browser.new_page()
    page.add_init_script(VIOLATIONS)
    page.goto(broken.as_uri())
    told = page.evaluate("[window.violations, typeof window.pwned]")
    assert told[1] == "undefined"
    assert {one.partition(":")[0] for one in told[0]} >= {"script-src-elem", "img-src", "style-src-attr"}
    page.close()


def test_it_prints_as_pdf(file: Path, tmp_path: Path) -> None:
    need(shutil.which("chromium"), "chromium prints the report: apt-get install chromium")
    pdf.write(file, tmp_path / "report.pdf")
    made = (tmp_path / "report.pdf").read_bytes()
    assert made.startswith(b"%PDF-")
    assert len(made) > 10_000


def test_a_browser_that_fails_is_said(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "browser", lambda: "/bin/false")
    with pytest.raises(OutputError, match="/bin/false ended with 1"):
        pdf.write(file, tmp_path / "report.pdf")
    assert not (tmp_path / "report.pdf").exists()
