"""The report: what stands in the file, that it says what it lacks, that the same input makes the same bytes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.workbench import DAY, HOSTILE, HOUR, Row, rows, served, write

from whowas.errors import ConfigError, InputError
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench.api.common import TimeRange
from whowas.workbench.report import Sources, Wish, pdf, report
from whowas.workbench.report import inputs as hashed
from whowas.workbench.report.gather import Gathered

UID = "5b" * 16
BLANK = {"meta", "br"}


class Reader(HTMLParser):
    """Elements and the words between them; fails where they are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in BLANK:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All that is read."""
        return " ".join(" ".join(self.words).split())

    def number(self, tag: str) -> int:
        """How many elements of a kind there are."""
        return sum(one == tag for one, _ in self.tags)


def finding(flows: Sequence[Row], uid: str = UID, **more: Any) -> dict[str, Any]:
    """A finding as OCSF has it."""
    first = min(one["start_time"] for one in flows) // 1000
    told = {
        "finding_info": {"uid": uid, "title": "A shell reaches a database", "desc": "Why it matters.", "attacks": [
            {"tactic": {"uid": "TA0009", "name": "Collection"}, "technique": {"uid": "T1213", "name": "Data"}}]},
        "metadata": {"correlation_uid": uid, "sequence": 1, "event_code": "db"}, "severity": "High",
        "confidence_score": 90, "start_time": first, "end_time": first + 1, "count": len(flows), "message": "said",
        "evidences": [
            {"uid": one["flow_id"], "src_endpoint": {"ip": one["src_ip"]}, "dst_endpoint": {"ip": one["dst_ip"]}}
            for one in flows
        ],
        "remediation": {"desc": "Look closer:\nwhowas who 10.1.0.1\nCut off x:\nkubectl label pod x\n"
                                "Where other policies let it talk:\nkubectl get y\nNote: careful."},
        "unmapped": {"rule": {"false_positives": ["backups"]}},
    }  # fmt: skip
    return told | more


def told_to(path: Path, *findings: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in findings))
    return str(path)


def made(tmp_path: Path, wish: Wish | None = None, **sources: Any) -> tuple[str, Gathered]:
    """The report of tmp_path/flows."""
    return report(Sources(str(tmp_path / "flows"), tmp_path / "cache", **sources), wish or Wish())


@pytest.fixture
def flows(tmp_path: Path) -> list[Row]:
    """Flows in a folder."""
    listed = rows(300)
    write(tmp_path / "flows", listed)
    return listed


def test_the_numbers_are_those_of_the_flows(tmp_path: Path, flows: list[Row]) -> None:
    page, told = made(tmp_path)
    read = Reader(page)
    size = sum((one["bytes_out"] or 0) + (one["bytes_in"] or 0) for one in flows)
    assert (told.flows, told.bytes) == (len(flows), size)
    assert f"Flows {len(flows)}, " in read.text
    exact = sum(one[f"{side}_confidence"] == "exact" for one in flows for side in ("src", "dst"))
    assert f"{100 * exact / (2 * len(flows)):.1f} % of all ends are certain" in read.text
    assert sum(one.flows for one in told.map.edges) + told.map.left_out[2] == len(flows)


def test_a_filter_and_a_range_narrow_all_of_it(tmp_path: Path, flows: list[Row]) -> None:
    span = TimeRange(DAY, DAY + HOUR)
    page, told = made(tmp_path, Wish("protocol=tcp", span=span))
    kept = [one for one in flows if one["protocol"] == "tcp" and one["start_time"] < DAY + HOUR]
    assert 0 < told.flows == len(kept) < len(flows)
    assert sum(told.over_time.flows) == len(kept)
    assert "protocol=tcp" in Reader(page).text
    with pytest.raises(ConfigError, match="cannot filter"):
        made(tmp_path, Wish("nonsense"))


def test_ends_of_two_confidences_are_two_boxes(tmp_path: Path) -> None:
    flows = [one for one in rows(300) if one["src_kind"] == "pod" and one["dst_kind"] == "pod"]
    write(tmp_path / "flows", flows)
    page, told = made(tmp_path)
    ends = {
        (one.get(f"{side}_namespace"), one.get(f"{side}_workload"), one[f"{side}_confidence"])
        for one in flows
        for side in ("src", "dst")
    }
    words = re.findall(r">(\w+) · [\d,]+ flows?<", page)
    assert sorted(words) == sorted(sure for _, _, sure in ends)
    assert len(told.map.nodes) == len(ends)


def test_a_finding_whole_with_its_flows(tmp_path: Path, flows: list[Row]) -> None:
    listed = told_to(tmp_path / "f.jsonl", finding(flows[:2]), finding(flows[5:6], "c" * 32))
    page, told = made(tmp_path, Wish(finding=UID), findings=listed)
    text = Reader(page).text
    assert {one["flow_id"] for one in flows[:2]} == set(told.whole[0].flows.flow_id)
    for word in ("A shell reaches a database", "TA0009 Collection", "T1213 Data", "backups", "Note: careful."):
        assert word in text
    assert told.wish.filter.startswith("ip=10.") or told.wish.filter.startswith("ip=")
    assert "Where other policies" not in "".join(re.findall(r"<code>(.*?)</code>", page, re.S))
    with pytest.raises(InputError, match="no such finding"):
        made(tmp_path, Wish(finding="d" * 32), findings=listed)


def test_without_a_uid_the_worst_findings_come_whole(tmp_path: Path, flows: list[Row]) -> None:
    several = [finding(flows[n : n + 1], f"{n:032x}", severity="Low") for n in range(12)]
    _, told = made(tmp_path, findings=told_to(tmp_path / "f.jsonl", *several, finding(flows[:1])))
    assert told.findings_all == 13
    assert told.whole[0].finding.row.uid == UID
    assert len(told.whole) == 10


def test_what_was_not_seen_is_said(tmp_path: Path, flows: list[Row]) -> None:
    some = next((tmp_path / "flows").rglob("*.parquet"))
    shutil.copy(some, some.with_name("sound.parquet"))
    some.write_bytes(b"PAR1 no more")
    page, told = made(tmp_path)
    text = Reader(page).text
    assert told.unreadable
    assert f"{some.name} is damaged" in text
    assert "no history was given" in text
    assert "no findings were given" in text
    del flows


def test_who_held_an_address_with_gaps(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    history = str(request.config.rootpath / "samples/overlay/history.jsonl.gz")
    write(tmp_path / "flows", rows(20))
    page, told = made(tmp_path, Wish("ip=10.244.1.21"), history=[history])
    text = Reader(page).text
    assert [one.what for one in told.who] == ["10.244.1.21"]
    assert {one.name for one in told.who[0].lanes} <= set(re.findall(r"[\w.-]+", text))
    assert len(told.who[0].lanes) >= 2
    assert "before the recording begins" in text
    assert "whowas who 10.244.1.21" in text


def test_the_same_input_makes_the_same_bytes(tmp_path: Path, flows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    listed = told_to(tmp_path / "f.jsonl", finding(flows[:2]))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763683200")
    first, _ = made(tmp_path, findings=listed)
    shutil.rmtree(tmp_path / "cache")
    again, _ = made(tmp_path, findings=listed)
    assert first == again
    assert "Made 2025-11-21 00:00:00 UTC" in first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763683260")
    later, _ = made(tmp_path, findings=listed)
    assert later.replace("00:01:00", "00:00:00") == first.replace("00:01:00", "00:00:00")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH"):
        made(tmp_path)


def test_strangers_make_no_markup(tmp_path: Path) -> None:
    evil = (*HOSTILE, "</script><img src=x onerror=window.pwned=1>", '"><svg onload=window.pwned=1>')
    flows = rows(120)
    for place, one in enumerate(flows):
        told = evil[place % len(evil)]
        one |= {"src_namespace": told, "src_workload": told, "src_kind": "pod", "dst_reason": told, "src_pod": told}
    write(tmp_path / "flows", flows)
    words: dict[str, Any] = {"message": evil[5], "severity": evil[6]}
    info = {"uid": UID, "title": evil[3], "desc": "\n".join(evil), "attacks": [{"tactic": {"uid": evil[5]}}, 7, None]}
    other: dict[str, Any] = {
        "evidences": [7, {"src_endpoint": 7}, {"uid": evil[0]}],
        "remediation": {"desc": "kubectl " + evil[5]},
    }
    strange = finding(flows[:1], "d" * 32, finding_info={"uid": "d" * 32, "attacks": 7}, unmapped=7, evidences="x")
    listed = told_to(tmp_path / "f.jsonl", finding(flows[:1], **words, finding_info=info, **other), strange)
    made(tmp_path, Wish(finding="d" * 32), findings=listed)
    page, told = made(tmp_path, Wish(finding=UID), findings=listed)
    read = Reader(page)
    known = {"script", "img", "iframe", "object", "link", "form", "a"} & {one for one, _ in read.tags}
    assert known == set()
    assert not [key for _, attrs in read.tags for key in attrs if key.startswith("on") or key in ("style", "href")]
    assert all(one.isprintable() or one == "\n" for one in page)
    assert len(page.encode()) < 1 << 20
    assert "x" * 2000 not in page
    assert "10,000 characters" in page
    assert told.flows


def test_many_names_stay_within_bounds(tmp_path: Path) -> None:
    flows = rows(3000)
    for place, one in enumerate(flows):
        one |= {"src_kind": "pod", "src_namespace": f"ns-{place % 40}", "src_workload": f"w-{place:04}" + "y" * 300}
    write(tmp_path / "flows", flows)
    page, told = made(tmp_path)
    assert len(page.encode()) < 3_000_000
    drawn = int(re.search(r"Who talked to whom: ([\d,]+) names", page)[1])  # type: ignore[index]
    assert 100 < drawn <= 150
    assert "Not drawn: " in Reader(page).text
    assert told.talkers.left_out > 0


def test_an_open_range_ends_where_the_flows_do(tmp_path: Path, flows: list[Row]) -> None:
    page, told = made(tmp_path, Wish(span=TimeRange(DAY + HOUR, AFTER_ALL)))
    assert told.wish.span == TimeRange(DAY + HOUR, DAY + 3 * HOUR)
    assert told.flows == sum(one["start_time"] >= DAY + HOUR for one in flows)
    assert told.over_time.bucket < HOUR
    page, told = made(tmp_path, Wish(span=TimeRange(BEFORE_ALL, DAY + HOUR)))
    assert told.flows == sum(one["start_time"] < DAY + HOUR for one in flows)
    assert "2025-11-21 00:00:00.000 UTC until before 2025-11-21 01:00:00.000 UTC" in page


def test_a_history_that_cannot_be_read_whole_is_said(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    whole = (request.config.rootpath / "samples/overlay/history.jsonl.gz").read_bytes()
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    write(tmp_path / "flows", rows(20))
    page, told = made(tmp_path, Wish("ip=10.244.1.21"), history=[str(tmp_path / "cut.jsonl.gz")])
    assert told.unreadable
    assert "a holder may be missing, even where one is called certain" in page
    assert [one for one in told.missing if "cut.jsonl.gz" in one]


def test_a_finding_of_any_size_makes_a_small_report(tmp_path: Path, flows: list[Row]) -> None:
    long = {"desc": "\n".join(["kubectl " + "z" * 3000] * 1000)}
    listed = [finding(flows[:1], f"{n:032x}", remediation=long, message="m" * 100_000) for n in range(10)]
    page, told = made(tmp_path, findings=told_to(tmp_path / "f.jsonl", *listed))
    assert len(told.whole) == 10
    assert len(page) < 3_000_000


def test_files_are_named_with_their_hashes_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    files = [("flows", name, str(tmp_path / name)) for name in ("a", "b", "c", "gone")]
    found = hashed.look(files)
    assert found.listed[0].sha256 == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert (found.listed[3].sha256, found.listed[3].why) == ("", "No such file or directory")
    monkeypatch.setattr(hashed, "MOST_BYTES", 2)
    assert hashed.look(files[:3])[1:] == (1, 1)


def test_a_pdf_wants_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whowas.workbench.report.pdf.shutil.which", lambda _name: None)
    with pytest.raises(InputError, match="no Chromium is installed"):
        pdf.browser()


def test_the_page_gives_the_report_that_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763700000")
    folder = write(tmp_path / "flows", rows(300))
    span = TimeRange(DAY, DAY + HOUR)
    written, _ = report(Sources(str(folder), tmp_path / "cache"), Wish("src=shop/web", "", span))
    with served(folder, tmp_path / "cache") as page:
        asked = {"filter": "src=shop/web", "range": {"since": DAY, "until": DAY + HOUR}}
        answer = page.ask("/api/report", asked)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.body.decode() == written
        assert page.ask("/api/report", asked, Authorization=None).status == 401
        assert page.ask("/api/report", {"filter": "nonsense=1"}).status == 400
        assert page.ask("/api/report", {"finding": "none"}).status == 503


def test_a_usual_case_fits_into_a_ticket(tmp_path: Path) -> None:
    """A day of a busy namespace: 300 workloads, 20,000 flows; mail gateways let 3 MB pass."""
    flows = rows(20_000, hours=24)
    for place, one in enumerate(flows):
        for side, step in (("src", 7), ("dst", 11)):
            if one.get(f"{side}_workload"):
                one[f"{side}_workload"] = f"workload-with-a-usual-name-{place * step % 300}"
    page, made = report(Sources(str(write(tmp_path / "flows", flows)), tmp_path / "cache"), Wish())
    assert made.flows == 20_000
    assert len(page.encode()) <= 3_000_000
    assert made.map.left_out[1] > 0
