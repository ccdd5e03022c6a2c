"""Input that is broken, endless or meant to do harm: kept, counted, never fatal."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from support.annotating import AT, WEB, Pieces, annotate, unread
from support.cluster_story import Story, live, us

from enrich import History, NamingOptions
from ingest.files import Input
from whowas.annotation import delimited, ndjson
from whowas.annotation.annotator import Choice
from whowas.annotation.namer import BatchNamer
from whowas.annotation.run import Form, Run
from whowas.annotation.times import Clock
from whowas.errors import InputError

GOOD = b'{"src_ip":"10.244.1.20","dest_ip":"10.96.0.10","timestamp":"%s"}' % AT.encode()
HISTORY = "samples/overlay/history.jsonl.gz"
BROKEN = {
    "cut": b'{"src_ip":"10.244.1.20","timesta',
    "an array": b"[1,2]",
    "no quotes": b"{src_ip: 10.244.1.20}",
    "two in one line": GOOD + GOOD,
    "too deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a bare control character": b'{"src_ip":"10.244.1.20","x":"\x01"}',
    "NUL": b'{"src_ip":"10.244.1.20"}\0',
    "an address that is no text": b'{"src_ip":"10.244.\xff\xfe","dest_ip":"x","timestamp":1}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_costs_that_line_only(overlay: History, name: str) -> None:
    data = b"\n".join([GOOD, BROKEN[name], GOOD, b""])
    found = annotate(data, overlay)
    lines = found.data.split(b"\n")
    assert lines[1] == BROKEN[name]
    assert [WEB.encode() in line for line in lines] == [True, False, True, False]
    assert unread(found) == {"not a JSON object": 1}


def test_bytes_that_are_no_text_stay_as_they_are(overlay: History) -> None:
    line = GOOD[:-1] + b',"payload":"\xff\xfe\x80"}'
    found = annotate(line + b"\n", overlay)
    assert found.data.startswith(line[:-1])
    assert found.done.tally.named == 1


def test_what_cannot_be_read_is_counted_by_reason(overlay: History) -> None:
    lines = [
        GOOD,
        GOOD.replace(b"10.244.1.20", b"web.example").replace(b"10.96.0.10", b"300.1.1.1"),
        GOOD.replace(b"10.96.0.10", b"somewhere"),
        GOOD.replace(AT.encode(), b"yesterday at noon"),
        GOOD.replace(AT.encode(), b"2026-11-21T08:39:36"),
        b'{"src_ip":"10.244.1.20","dest_ip":"10.96.0.10"}',
        b'{"event":"start"}',
        GOOD.replace(b'"10.244.1.20"', b"null").replace(b'"10.96.0.10"', b'""'),
        GOOD[:-1] + b',"src_ip_whowas":{}}',
    ]
    found = annotate(b"\n".join(lines), overlay)
    assert unread(found) == {
        "address not readable": 1, "time not readable": 1, "time without a zone": 1, "no time": 1,
        "names stand there already": 1,
    }  # fmt: skip
    tally = found.done.tally
    assert (tally.lines, tally.named, tally.without, tally.unread_addresses) == (9, 2, 2, 3)
    assert sum(tally.answers.values()) == 3


def test_annotating_twice_changes_nothing_more(overlay: History) -> None:
    once = annotate(GOOD + b"\n", overlay).data
    twice = annotate(once, overlay)
    assert twice.data == once
    other = annotate(once, overlay, Choice(suffix="_also")).objects()[0]
    assert other["src_ip_also"] == other["src_ip_whowas"]


def test_the_last_of_two_equal_keys_counts_as_for_most_readers(overlay: History) -> None:
    line = b'{"src_ip":"8.8.8.8",' + GOOD[1:]
    told = annotate(line, overlay).objects()[0]
    assert told["src_ip"] == "10.244.1.20"
    assert told["src_ip_whowas"]["pod"] == WEB


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_a_line_without_end_is_handed_through_in_bounded_memory(
    overlay: History, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson.Ndjson, "longest", 5000)
    long = b'{"a":"' + b"x" * 50_000 + b'","src_ip":"10.244.1.20"}'
    data = b"\n".join([GOOD, long, GOOD, b""])
    run = Run(BatchNamer(overlay, NamingOptions()), Choice(), Form(), Clock(), (out := []).append, lambda _: None)
    held = []

    class Watched(Pieces):
        def read(self, count: int = -1) -> bytes:
            held.append(len(run._held))
            return super().read(count)

    done = run.annotate(Input("-", Watched(data, min(size, 1000)), 0))  # type: ignore[arg-type]
    lines = b"".join(out).split(b"\n")
    assert lines[1] == long
    assert [WEB.encode() in line for line in lines] == [True, False, True, False]
    assert done.tally.unread == {"record too long": 1}
    assert max(held) <= 6000


def test_a_quote_that_is_never_closed_is_given_up(overlay: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited.Delimited, "longest", 2000)
    row = f"10.244.1.20,{AT},x\n".encode()
    bad = b'10.244.1.20,%s,"x\n' % AT.encode() + row * 100
    data = b"src_ip,timestamp,x\n" + row + bad + row * 3
    found = annotate(data, overlay, pieces=100)
    assert found.done.tally.unread["record too long"] >= 1
    lines = found.data.splitlines()
    assert WEB.encode() in lines[1]
    assert WEB.encode() not in lines[2]
    assert WEB.encode() in lines[-1]


def test_a_record_may_go_on_over_lines(overlay: History) -> None:
    record = b'"10.244.1.20",%s,"two\r\nlines, ""quoted"""' % AT.encode()
    found = annotate(b"src_ip,timestamp,x\r\n" + record + b"\r\n" + record, overlay, pieces=3)
    assert found.data.count(record + b",exact,") == 2
    assert found.done.tally.lines == 2


def test_rows_of_other_columns_stay_and_are_counted(overlay: History) -> None:
    rows = [b"10.244.1.20,%s" % AT.encode(), b"10.244.1.20", b"10.244.1.20,%s,3" % AT.encode(), b'10.244.1.20,"x"y']
    found = annotate(b"src_ip,timestamp\n" + b"\n".join(rows), overlay)
    assert found.data.split(b"\n")[2:] == rows[1:]
    assert unread(found) == {"other columns than the header has": 3}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[{"src_ip":"10.0.0.1"}]', "jq -c"),
        (b"PAR1....\n", "whowas.annotate"),
    ],
)
def test_what_has_no_lines_is_refused_with_what_to_do(overlay: History, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        annotate(data, overlay)


def test_names_from_strangers_are_data() -> None:
    """A label may hold anything a cluster lets pass, and a history more than that."""
    story = Story()
    live(story, "a", "10.244.1.9", labels={"app": "\x1b[31m\u202e\u009bred\n", "=cmd": "+1", "q": '"'})
    known = story.history()
    line = json.dumps({"src_ip": "10.244.1.9", "dest_ip": "", "timestamp": us(10)}).encode()
    found = annotate(line, known)
    added = found.data[len(line) - 1 :]
    assert all(0x20 <= byte < 0x7F for byte in added)
    assert found.objects()[0]["src_ip_whowas"]["labels"]["app"] == "\x1b[31m\u202e\u009bred\n"
    table = annotate(b"src_ip,timestamp\n10.244.1.9,%d\n" % us(10), known)
    assert all(0x20 <= byte < 0x7F for byte in table.data.replace(b"\n", b""))
    assert table.data.count(b"\n") == 2


def whowas(*words: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": str(cwd)}
    return subprocess.run([sys.executable, "-m", "whowas", *words], cwd=cwd, capture_output=True, env=env, **more)


def test_what_comes_before_a_break_is_delivered(root: Path, tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join([GOOD] * 5000))
    (tmp_path / "cut.json.gz").write_bytes(packed[: len(packed) // 2])
    done = whowas("annotate", str(tmp_path / "cut.json.gz"), "-H", HISTORY, cwd=root)
    assert done.returncode == 1
    assert b"the gzip stream is cut short" in done.stderr
    assert b"Traceback" not in done.stderr
    assert WEB.encode() in done.stdout


def test_a_compressed_log_and_its_summary(root: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(zstandard.compress(b"\n".join([GOOD, b"{", b""])))
    done = whowas("annotate", str(tmp_path / "x"), "-H", HISTORY, "--json", cwd=root)
    assert done.returncode == 1
    told = json.loads(done.stderr)
    assert (told["lines"], told["named"], told["unread"]) == (2, 1, {"not a JSON object": 1})
    assert told["answers"]["exact"] == told["answers"]["service"] == 1
    assert told["addresses"] == 2


def test_a_reader_that_leaves_is_no_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\n".join([GOOD] * 20_000))
    line = f"{sys.executable} -m whowas annotate {tmp_path / 'x'} -H {HISTORY} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=root, capture_output=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    first, code = done.stdout.splitlines()
    assert WEB.encode() in first
    assert code == b"141"
    assert b"Traceback" not in done.stderr


def test_a_log_without_addresses_says_so(root: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"a":1}\n{"b":2}\n')
    done = whowas("annotate", str(tmp_path / "x"), "-H", HISTORY, cwd=root)
    assert done.returncode == 1
    assert done.stdout == b'{"a":1}\n{"b":2}\n'
    assert b"say --ip FIELD" in done.stderr
