"""Flow logs whose times are not meant to the microsecond, named across a change of hands."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from support.cluster_story import Story, complete, live, stamp, us
from support.flow_logs import azure, line, netobserv

import whowas
from ingest.records import RecordFiles, RecordOptions

IP, PEER = "10.244.1.5", "10.244.1.9"
T0 = us(0) // 10**6


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`old` held the address for an hour and gave it up at 4000; `new` has it from 4001 on."""
    story = Story(until=8000)
    live(story, "peer", PEER, born=-30)
    complete(story, live(story, "old", IP), finished=4000, told=4000.2)
    live(story, "new", IP, born=4001)
    path = tmp_path_factory.mktemp("history") / "history.jsonl"
    path.write_text("\n".join(story.lines()) + "\n")
    return str(path)


def sources(tmp_path: Path, history: str, lines: list[bytes]) -> list[tuple[str, str | None]]:
    path = tmp_path / "flows.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    table = whowas.replay(path, history, records=RecordFiles(options=RecordOptions(timezone="UTC")))
    return list(zip(table["src_confidence"].to_pylist(), table["src_pod"].to_pylist(), strict=True))


def nfdump(second: float) -> bytes:
    text = stamp(second).replace("T", " ").removesuffix("Z")
    return f"{text},{text},0,{IP},{PEER},40000,443,TCP,......,1,60,0,0,1,192.0.2.1".encode()


def test_a_second_in_which_an_address_changes_hands_names_nobody(tmp_path: Path, history: str) -> None:
    head = b"ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt,in,ra"
    told = sources(tmp_path, history, [head, nfdump(3990), nfdump(3999), nfdump(4100)])
    assert [told[0], told[2]] == [("exact", "old"), ("exact", "new")]
    assert told[1][0] in ("ambiguous", "likely")


def test_a_minute_before_the_start_counts_in_logs_of_aws(tmp_path: Path, history: str) -> None:
    lines = [f"2 1 eni-0a {IP} {PEER} 40000 443 6 1 60 {T0 + at} {T0 + at + 5} ACCEPT OK" for at in (3900, 4055, 4300)]
    assert sources(tmp_path, history, [one.encode() for one in lines]) == [
        ("exact", "old"), ("ambiguous", None), ("exact", "new"),
    ]  # fmt: skip


def test_what_azure_counted_since_an_update_is_nobodys_when_the_address_changed_hands(
    tmp_path: Path, history: str
) -> None:
    states = [("B", 4200), ("C", 4200), ("C", 4400), ("E", 4400), ("E", 6200)]
    tuples = [f"{(T0 + at) * 1000},{IP},{PEER},40000,443,6,O,{state},NX,1,2,3,4" for state, at in states]
    told = sources(tmp_path, history, [line(azure(one)) for one in tuples])
    assert told == [("exact", "new"), ("ambiguous", None), ("exact", "new"), ("ambiguous", None), ("exact", "new")]


def test_flows_without_a_time_are_kept_and_named_unknown(tmp_path: Path, history: str) -> None:
    def record(at: float | None, end: float | None) -> bytes:
        ms = [0 if one is None else us(one) // 1000 for one in (at, end)]
        return line(netobserv(SrcAddr=IP, DstAddr=PEER, TimeFlowStartMs=ms[0], TimeFlowEndMs=ms[1], TimeReceived=0))

    path, out = tmp_path / "flows.json", tmp_path / "out"
    path.write_bytes(b"\n".join([record(None, None), record(500, 510), record(510, 500), record(None, 510)]) + b"\n")
    from whowas.batch.replay import replay_captures

    result = replay_captures(str(path), history, str(out))
    assert result.to_json()["records"] == {
        "read": 4, "flows": 4, "refused": {}, "skipped": {},
        "noted": {"ends_before_start": 1, "no_start_time": 1, "no_time": 1},
    }  # fmt: skip
    assert result.summary.first_us == us(500)
    rows = duckdb.sql(
        f"SELECT src_confidence, src_pod, start_time IS NULL FROM '{out}/**/*.parquet' ORDER BY start_time, time_basis"
    ).fetchall()
    assert sorted(rows) == sorted(
        [("unknown", None, True), ("exact", "old", False), ("exact", "old", False), ("likely", "old", False)]
    )
    rows = [json.loads(one) for one in json_lines(path, history, tmp_path / "jsonl")]
    assert [row["src_reason"] for row in rows if row.get("start_time") is None] == ["the record tells no time"]


def json_lines(path: Path, history: str, out: Path) -> list[str]:
    from whowas.batch.replay import Choices, replay_captures

    replay_captures(str(path), history, str(out), Choices(format="jsonl"))
    return [text for one in out.rglob("*.jsonl*") for text in one.read_text().splitlines()]
