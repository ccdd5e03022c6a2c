"""States and notes of findings: never lost by two people at once, never written over."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from support.workbench import DAY, Served, rows, served, write

from whowas.workbench.api.findings import NoteAsk
from whowas.workbench.notes import Notes
from whowas.workbench.problems import OldRevisionError


def finding(uid: str, level: str = "High", sequence: int = 1, **more: Any) -> dict[str, Any]:
    """A finding as OCSF has it, as far as the page reads it."""
    told = {
        "finding_info": {"uid": uid, "title": f"title of {uid}", "attacks": [
            {"tactic": {"uid": "TA0009", "name": "Collection"}, "technique": {"uid": "T1213", "name": "Data"}}]},
        "metadata": {"correlation_uid": uid, "uid": f"{uid}-{sequence}", "sequence": sequence, "event_code": "rule"},
        "severity": level, "confidence_score": 90, "start_time": DAY // 1000,
        "end_time": DAY // 1000 + 5000,
        "count": 3,
        "message": "shop/web talks to data/db", "evidences": [{"uid": "a" * 32}],
        "remediation": {"desc": 'Look closer:\nwhowas who 10.0.0.1\nwhowas query "SELECT 1\nFROM flows"\nNote: care.'},
        "unmapped": {"rule": {"false_positives": ["backups"]}},
    }  # fmt: skip
    return told | more


@pytest.fixture
def findings(tmp_path: Path) -> Path:
    """A file of findings, some lines of which are none."""
    path = tmp_path / "findings.jsonl"
    lines = [finding("a"), finding("b", "Low"), finding("c", "Critical"), finding("a", sequence=2, count=7)]
    text = "".join(json.dumps(one) + "\n" for one in lines)
    path.write_text(text + "no json\n[1]\n{}\n" + '{"half": ')
    return path


@pytest.fixture
def page(tmp_path: Path, findings: Path) -> Any:
    """A server with findings."""
    with served(write(tmp_path / "flows", rows(5)), tmp_path / "cache", findings=str(findings)) as running:
        yield running


def note(uid: str, revision: int, **more: Any) -> dict[str, Any]:
    return {"uid": uid, "revision": revision, "state": "closed", **more}


def test_worst_first_and_the_newest_telling_counts(page: Served) -> None:
    told = page.ask("/api/findings", {}).json
    assert [one["uid"] for one in told["findings"]] == ["c", "a", "b"]
    assert told["levels"] == {"critical": 1, "high": 1, "low": 1}
    assert told["findings"][1]["flows"] == 7
    assert told["findings"][1]["first"] == DAY
    assert page.bench.findings.refused == 3
    assert [one["uid"] for one in page.ask("/api/findings", {"levels": ["low"]}).json["findings"]] == ["b"]
    assert page.ask("/api/findings", {"text": "TITLE OF C"}).json["total"] == 1
    late = {"since": DAY + 6_000_000, "until": DAY + 7_000_000}
    assert page.ask("/api/findings", {"range": late}).json["total"] == 0
    assert [one["uid"] for one in page.ask("/api/findings", {"limit": 1, "offset": 1}).json["findings"]] == ["a"]


def test_one_finding_whole(page: Served) -> None:
    told = page.ask("/api/finding", {"uid": "a"}).json
    assert told["ocsf"]["count"] == 7
    assert told["flow_ids"] == ["a" * 32]
    assert told["attack"] == ["TA0009 Collection", "T1213 Data"]
    assert told["false_positives"] == ["backups"]
    assert told["commands"] == ["whowas who 10.0.0.1", 'whowas query "SELECT 1\nFROM flows"']
    assert page.ask("/api/finding", {"uid": "../../etc/passwd"}).status == 404


def test_what_is_appended_is_seen(page: Served, findings: Path) -> None:
    with findings.open("a") as out:
        out.write("}\n" + json.dumps(finding("d")) + "\n")
    assert page.ask("/api/findings", {}).json["total"] == 4


def test_a_note_is_kept_beside_the_findings(page: Served, findings: Path) -> None:
    before = findings.read_bytes()
    written = page.ask("/api/note", note("a", 0, text="a backup", author="ada", state="false_positive")).json
    assert (written["revision"], written["state"]) == (1, "false_positive")
    assert page.ask("/api/note", note("a", 1, state="open")).json["revision"] == 2
    assert findings.read_bytes() == before
    told = page.ask("/api/finding", {"uid": "a"}).json
    assert [(one["revision"], one["state"], one["text"], one["author"]) for one in told["notes"]] == [
        (1, "false_positive", "a backup", "ada"), (2, "open", "", ""),
    ]  # fmt: skip
    assert (told["row"]["state"], told["row"]["revision"]) == ("open", 2)
    page.ask("/api/note", note("b", 0))
    assert page.ask("/api/findings", {"states": ["closed"]}).json["total"] == 1
    assert Notes(findings.with_name("findings.jsonl.notes.jsonl")).of("a").revision == 2


def test_who_has_not_seen_the_newest_note_is_told_it(page: Served) -> None:
    assert page.ask("/api/note", note("a", 0, text="first")).status == 200
    answer = page.ask("/api/note", note("a", 0, text="second", state="open"))
    assert answer.status == 409
    assert [one["text"] for one in answer.json["notes"]] == ["first"]
    assert page.ask("/api/finding", {"uid": "a"}).json["row"]["state"] == "closed"


@pytest.mark.parametrize(
    "wrong", [{"uid": "none"}, {"state": "gone"}, {"revision": -1}, {"text": "x" * 10_001}, {"path": "/tmp/x"}]
)
def test_a_wrong_note_is_refused(page: Served, findings: Path, wrong: dict[str, Any]) -> None:
    assert page.ask("/api/note", note("a", 0) | wrong).status in (400, 404)
    assert not findings.with_name("findings.jsonl.notes.jsonl").exists()


def test_notes_need_the_token_and_a_post(page: Served) -> None:
    assert page.ask("/api/note", note("a", 0), Authorization=None).status == 401
    assert page.ask("/api/note", note("a", 0), Content_Type="text/plain").status == 415
    assert page.ask("/api/note").status == 405
    assert page.ask("/api/finding", {"uid": "a"}).json["notes"] == []


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    """Servers on one file, each with many threads: every note that was accepted is there, one after the other."""
    path = tmp_path / "notes.jsonl"
    accepted: list[str] = []

    def work(notes: Notes, name: str) -> None:
        for number in range(15):
            text = f"{name}-{number}"
            while True:
                try:
                    notes.write(NoteAsk("a", notes.of("a").revision, "open", text))
                except OldRevisionError:
                    continue
                accepted.append(text)
                break

    servers = [Notes(path), Notes(path)]
    threads = [threading.Thread(target=work, args=(servers[n % 2], f"w{n}")) for n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    there = Notes(path).of("a")
    assert there.revision == len(accepted) == 60
    assert {one.text for one in there.notes} == set(accepted)
    assert [one.revision for one in there.notes] == list(range(1, 61))


def test_a_line_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    notes = Notes(path)
    notes.write(NoteAsk("a", 0, "closed", "kept"))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"uid": "a", "rev')
    again = Notes(path)
    assert again.of("a").revision == 1
    again.write(NoteAsk("a", 1, "open", "after"))
    assert [one.text for one in Notes(path).of("a").notes] == ["kept", "after"]
    path.write_bytes(b"[]\n{}\nno\n" + whole)
    other = Notes(path)
    assert other.of("a").revision == 1
    assert other.refused == 3


def test_a_place_that_cannot_be_written_is_said(page: Served, findings: Path) -> None:
    """A folder where the file should be: the state is not lost silently."""
    findings.with_name("findings.jsonl.notes.jsonl").mkdir()
    answer = page.ask("/api/note", note("a", 0))
    assert answer.status == 500
    assert "cannot" in answer.json["error"]


def test_without_findings_the_page_says_so(tmp_path: Path) -> None:
    with served(write(tmp_path / "flows", rows(5)), tmp_path / "cache") as page:
        told = page.ask("/api/status").json
        assert (told["findings"], told["notes"], told["history"]) == (False, False, False)
        for path, asked in (
            ("/api/findings", {}),
            ("/api/finding", {"uid": "a"}),
            ("/api/note", note("a", 0)),
            ("/api/gaps", {}),
        ):
            answer = page.ask(path, asked)
            assert answer.status == 503
            assert "whowas serve with --" in answer.json["error"]
