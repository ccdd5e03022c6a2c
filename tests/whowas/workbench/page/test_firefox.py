"""Every screen and the report in a real Firefox: they are drawn, and nothing complains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.firefox import Firefox, firefox
from support.workbench import Served

from whowas.workbench.loopback import door

READY = "document.querySelector('main .pane') !== null && document.querySelector('main [aria-busy=true]') === null"
SHOWN = {
    "overview": "document.querySelectorAll('main .bar').length > 0",
    "map": "document.querySelector('canvas.map')?.dataset.ready === 'true'",
    "who&what=10.244.1.20": "document.querySelectorAll('svg.lanes .certain').length === 3",
    "flows": "document.querySelectorAll('.grid-body .grid-row').length > 10",
    "findings": "document.querySelectorAll('tr[data-row]').length > 0",
}


@pytest.fixture(scope="module")
def fox() -> Iterator[Firefox]:
    """A browser."""
    with firefox() as running:
        yield running


def test_every_screen_is_drawn(fox: Firefox, samples: Served) -> None:
    for view, drawn in SHOWN.items():
        fox.open(f"http://127.0.0.1:{samples.port}/?view={view}#token={samples.token}")
        fox.until(f"{READY} && {drawn}")
        assert fox.ask("document.documentElement.scrollWidth") <= 1280
        assert fox.ask("location.hash") == ""
    assert fox.said == []


def test_the_file_that_serve_opens_leads_to_the_page(fox: Firefox, samples: Served) -> None:
    with door(f"http://127.0.0.1:{samples.port}/?view=map#token={samples.token}") as way:
        assert way is not None
        fox.open(way)
        fox.until("location.protocol === 'http:' && document.querySelector('canvas.map')?.dataset.ready === 'true'")
    assert fox.ask("location.hash") == ""
    assert fox.said == []


def test_the_report_is_shown_from_disk(fox: Firefox, samples: Served, tmp_path: Path) -> None:
    answer = samples.ask("/api/report", {})
    (tmp_path / "report.html").write_bytes(answer.body)
    before = len(fox.said)
    fox.open((tmp_path / "report.html").as_uri())
    assert "What was not seen" in fox.ask("document.body.innerText")
    assert fox.ask("document.querySelector('svg rect').getBoundingClientRect().width") > 0
    assert fox.said[before:] == []
