"""Files of records: lines, objects that span them, messages; compressed, cut, mixed with captures; what is refused."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.flow_logs import (
    EXAMPLES,
    NFDUMP_HEADER,
    NFDUMP_LINE,
    ZEEK_HEADER,
    azure,
    goflow2,
    goflow2_message,
    line,
    nfdump,
    zeek_line,
)

import whowas
from ingest.records import FORMATS, RecordFiles, RecordOptions, RecordSource, holds_records
from sinks.flows.dead_letters import DeadLetterFile
from whowas.batch.inputs import sorted_out
from whowas.batch.replay import Choices, UnreadableWarning, replay_captures
from whowas.errors import ConfigError, OutputError

UTC_TOLD = RecordFiles(options=RecordOptions(timezone="UTC"))
HISTORY = "samples/overlay/history.jsonl.gz"
CAPTURE = "samples/overlay/node1-bridge.pcap"


def rows_of(source: RecordSource) -> list[dict[str, Any]]:
    return [row for batch, _ in source.batches() for row in batch.to_pylist()]


def written(path: Path, values: list[bytes], format: str) -> Path:
    """A file as the format's own tool writes it."""
    joint = b"" if "protobuf" in format else b"\n"
    path.write_bytes(joint.join([*values, b""]))
    return path


@pytest.mark.parametrize("format", FORMATS)
def test_files_of_every_format_are_recognised(format: str, tmp_path: Path) -> None:
    example = EXAMPLES[format]
    path = written(tmp_path / "some.log", example.values, format)
    source = RecordSource([str(path)], RecordFiles(options=example.options))
    (row,) = rows_of(source)
    assert (row["source_format"], row["src_ip"]) == (format, "10.1.0.5")
    assert source.report.files[0].format == format
    assert source.report.records == len(example.values)
    assert source.report.record_flows == 1
    assert sum(source.report.skipped.values()) == example.skipped
    assert source.report.whole()
    assert sorted_out([str(path), CAPTURE], RecordFiles()) == ([CAPTURE], [str(path)])


@pytest.mark.parametrize("block", [97, 4096, 1 << 20])
def test_blocks_of_any_size_give_the_same_flows(block: int, tmp_path: Path) -> None:
    lines = [line(goflow2(bytes=number)) for number in range(500)]
    messages = [goflow2_message()] * 500
    objects = b"[\n" + b",\n".join(json.dumps(nfdump() | {"in_bytes": n}, indent=1).encode() for n in range(500))
    document = line({"records": [azure(f"1760000000250,10.1.0.5,10.2.0.9,1,2,6,O,E,NX,1,{n},1,1") for n in range(500)]})
    for name, data in (
        ("lines", b"\n".join(lines)), ("messages", b"".join(messages)), ("objects", objects), ("document", document),
    ):  # fmt: skip
        path = tmp_path / name
        path.write_bytes(data)
        found = []
        for size in (block, 8 << 20):
            source = RecordSource([str(path)], RecordFiles(options=UTC_TOLD.options, block_bytes=size))
            found.append(rows_of(source))
            assert source.report.whole(), name
            assert (source.report.records, source.report.refused_records.total()) == (500, 0), name
        assert found[0] == found[1], name
        assert len({row["flow_id"] for row in found[0]}) == 500
        if name != "messages":
            assert [row["bytes_out"] for row in found[0]] == list(range(500)), name


def test_compressed_files_give_the_same_flows_and_cut_ones_what_they_hold(tmp_path: Path) -> None:
    data = b"\n".join(line(goflow2(bytes=number)) for number in range(300)) + b"\n"
    plain, squeezed, cut = (tmp_path / name for name in ("flows", "x/flows", "cut"))
    squeezed.parent.mkdir()
    plain.write_bytes(data)
    squeezed.write_bytes(gzip.compress(data))
    cut.write_bytes(gzip.compress(data)[:-400])
    assert rows_of(RecordSource([str(plain)])) == rows_of(RecordSource([str(squeezed)]))
    source = RecordSource([str(cut)])
    rows = rows_of(source)
    assert [row["bytes_out"] for row in rows] == list(range(len(rows)))
    assert 0 < len(rows) < 300
    assert "cut short" in source.report.files[0].unreadable[0].reason
    assert not source.report.whole()


def test_refused_records_are_counted_placed_and_kept(tmp_path: Path) -> None:
    good, bad = line(goflow2()), [line(goflow2(src_addr="x")), b"{broken", b'{"a":"\xff"}', b""]
    path, aside = tmp_path / "flows.json", tmp_path / "refused.ndjson"
    path.write_bytes(b"\n".join([good, *bad, good]))
    letters = DeadLetterFile(str(aside))
    source = RecordSource([str(path)], aside=letters.write)
    assert len(rows_of(source)) == 2
    letters.close()
    report = source.report
    assert report.refused_records == {"bad_src_address": 1, "not_json": 2, "empty": 1}
    assert sorted((one.number, one.reason) for one in report.files[0].refused) == [
        (2, "bad_src_address"), (3, "not_json"), (4, "not_json"), (5, "empty"),
    ]  # fmt: skip
    kept = {told["number"]: told for told in map(json.loads, aside.read_text().splitlines())}
    assert kept[3] == {"file": str(path), "number": 3, "reason": "not_json", "record": "{broken"}
    assert base64.b64decode(kept[4]["record_base64"]) == bad[2]
    assert report.records == report.record_flows + report.refused_records.total()


def test_messages_that_break_off_and_lines_without_end_are_said_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "flows.bin"
    path.write_bytes(goflow2_message() * 3 + goflow2_message()[:40])
    source = RecordSource([str(path)])
    assert len(rows_of(source)) == 3
    assert source.report.files[0].unreadable[0].offset == 3 * len(goflow2_message())
    endless = tmp_path / "endless.json"
    endless.write_bytes(line(goflow2()) + b"\n" + b'{"src_addr":"' + b"1" * (3 << 20))
    source = RecordSource([str(endless)], RecordFiles(block_bytes=1 << 16))
    assert len(rows_of(source)) == 1
    assert source.report.refused_records == {"not_json": 1}


def test_files_of_one_name_and_other_beginnings_have_other_ids(tmp_path: Path) -> None:
    ids = []
    for number, first in enumerate((1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = written(folder / "conn.log", [*ZEEK_HEADER, zeek_line(orig_pkts=first), zeek_line()], "zeek")
        ids += [row["flow_id"] for row in rows_of(RecordSource([str(path)]))]
    assert len(set(ids)) == 4
    grown = tmp_path / "0" / "conn.log"
    grown.write_bytes(grown.read_bytes() + zeek_line() + b"\n")
    assert [row["flow_id"] for row in rows_of(RecordSource([str(grown)]))][:2] == ids[:2]


def test_a_format_that_is_unknown_is_refused_before_the_first_read() -> None:
    with pytest.raises(ConfigError, match="cannot read format 'x'"):
        sorted_out([CAPTURE], RecordFiles("x"))


def test_captures_and_logs_replay_together(root: Path, tmp_path: Path) -> None:
    """Flows of a log made from the capture's own flows get the names that the capture's flows get."""
    capture = whowas.replay(root / CAPTURE, root / HISTORY).to_pylist()
    told = [row for row in capture if row["protocol"] == "tcp" and row["vni"] is None]
    assert len(told) > 10
    lines = []
    for row in told:
        start, end = ((row[f"{name}_time"]).timestamp() for name in ("start", "end"))
        times = {"time_flow_start_ns": round(start * 1e6) * 1000, "time_flow_end_ns": round(end * 1e6) * 1000}
        lines.append(line(goflow2(
            src_addr=row["src_ip"], dst_addr=row["dst_ip"], src_port=row["src_port"], dst_port=row["dst_port"],
            time_received_ns=times["time_flow_end_ns"], **times)))  # fmt: skip
    log = written(tmp_path / "flows.json", lines, "goflow2")
    aside = tmp_path / "refused"
    choices = Choices(records=RecordFiles(dead_letter=str(aside)))
    result = replay_captures([str(log), str(root / CAPTURE)], str(root / HISTORY), choices=choices)
    assert result.report.record_flows == len(told)
    assert result.report.conversations == len(capture)
    rows = result.table.to_pylist()
    assert len(rows) == len(told) + len(capture)
    key = ("src_ip", "dst_ip", "src_port", "dst_port", "start_time")
    by_key = {tuple(row[name] for name in key): row for row in told}
    for row in (row for row in rows if row["source_format"] == "goflow2"):
        own = by_key[tuple(row[name] for name in key)]
        for name in ("src_pod", "dst_pod", "src_confidence", "dst_confidence", "community_id", "direction"):
            assert row[name] == own[name], name
    assert not aside.exists()
    aside.touch()
    with pytest.raises(OutputError, match="it is there already"):
        replay_captures([str(log)], str(root / HISTORY), choices=choices)


def test_encapsulated_ends_are_named_as_nodes(root: Path, tmp_path: Path) -> None:
    """The same two nodes: over a tunnel's port their own kernels speak, over another a masqueraded pod may."""
    capture = whowas.replay(root / "samples/overlay/node1-underlay.pcap.zst", root / HISTORY).to_pylist()
    inner = next(row for row in capture if row["outer_src_ip"])
    us = round(inner["start_time"].timestamp() * 1e6)
    told = {"src_addr": inner["outer_src_ip"], "dst_addr": inner["outer_dst_ip"], "proto": "UDP"}
    times = {f"time_{name}_ns": us * 1000 for name in ("flow_start", "flow_end", "received")}
    log = written(tmp_path / "log", [line(goflow2(**told, **times, dst_port=port)) for port in (4789, 9999)], "goflow2")
    tunnel, other = whowas.replay(log, root / HISTORY).to_pylist()
    assert (tunnel["encapsulated"], other["encapsulated"]) == (True, False)
    assert (tunnel["src_confidence"], tunnel["dst_confidence"]) == ("node", "node")
    assert "outside a tunnel" in tunnel["src_reason"]
    assert tunnel["src_kind"] == tunnel["dst_kind"] == "node"
    assert tunnel["src_node"] != tunnel["dst_node"]
    assert tunnel["src_pod"] is tunnel["dst_pod"] is None
    assert other["src_confidence"] == "snat"


def test_the_command_line_reads_logs(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "flows.csv"
    log.write_bytes(b"\n".join([NFDUMP_HEADER, NFDUMP_LINE, b"broken", b""]))
    words = [sys.executable, "-m", "whowas", "replay", str(log), "-H", HISTORY, "--json"]
    done = subprocess.run([*words, "-o", str(tmp_path / "a")], cwd=root, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)["records"]
    assert told == {"read": 3, "flows": 0, "skipped": {"header": 1}, "noted": {},
                    "refused": {"local_time_without_timezone": 1, "wrong_number_of_columns": 1}}  # fmt: skip
    more = ["--timezone", "Europe/Paris", "--dead-letter", str(tmp_path / "dead"), "-o", str(tmp_path / "b")]
    done = subprocess.run([*words[:-1], *more], cwd=root, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "3 records   1 flow " in done.stdout
    assert "record 3: wrong_number_of_columns" in " ".join(done.stdout.split())
    assert json.loads((tmp_path / "dead").read_text())["record"] == "broken"
    piped = subprocess.run(
        [*words[:4], "-", *words[5:], *more[:2], "-o", str(tmp_path / "c")], cwd=root, capture_output=True,
        input=gzip.compress(log.read_bytes()),
    )  # fmt: skip
    assert json.loads(piped.stdout)["records"]["flows"] == 1, piped.stderr


def test_python_warns_of_what_was_refused(root: Path, tmp_path: Path) -> None:
    log = written(tmp_path / "flows.json", [line(goflow2()), b"{"], "goflow2")
    with pytest.warns(UnreadableWarning, match="1 records were refused: not_json"):
        table = whowas.replay(log, root / HISTORY)
    assert table.num_rows == 1


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_of_any_bytes_are_read_or_said_to_be_none(data: st.DataObject, tmp_path: Path) -> None:
    """Heads that look like a format and go on as something else; blocks that cut anywhere."""
    format = data.draw(st.sampled_from(FORMATS))
    joint = b"" if "protobuf" in format else b"\n"
    good = joint.join(EXAMPLES[format].values) + joint
    rest = data.draw(st.binary(max_size=80))
    content = data.draw(st.sampled_from([good + rest, rest + good, good[: len(good) // 2] + rest, rest, b"[" + good]))
    path = tmp_path / "some.log"
    path.write_bytes(content)
    assert isinstance(holds_records(str(path), UTC_TOLD), bool)
    for word in (None, format):
        files = RecordFiles(word, UTC_TOLD.options, block_bytes=data.draw(st.integers(20, 300)))
        source = RecordSource([str(path)], files)
        rows, report = rows_of(source), source.report
        assert report.record_flows == len(rows)
        if "protobuf" not in format and format != "azure" and "protobuf" not in report.files[0].format:
            assert report.records == len(rows) + report.refused_records.total() + report.skipped.total()
