"""Flow logs in every wrapping: the same flows, and nothing lost where a line is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import wrapped
from support.flow_logs import EXAMPLES, ZEEK_HEADER, accounted, line, read, suricata, zeek, zeek_line

from ingest.records import FORMATS, RecordFiles, RecordSource, holds_records
from sinks.flows.dead_letters import DeadLetterFile

AWS = "2 123456789010 eni-0a 10.1.0.5 10.2.0.9 {port} 443 6 12 4200 1760000000 1760000059 ACCEPT OK"
EVE = [line(suricata(flow_id=n)).decode() for n in range(3)]
TEXTS = {"aws": [AWS.format(port=n) for n in range(3)], "suricata": EVE}


def flows(
    path: Path, data: str | bytes, kept: Path | None = None, **told: Any
) -> tuple[list[dict[str, Any]], RecordSource]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    letters = DeadLetterFile(str(kept)) if kept else None
    source = RecordSource([str(path)], RecordFiles(**told), aside=letters.write if letters else None)
    rows = [row for batch, _ in source.batches() for row in batch.to_pylist()]
    if letters:
        letters.close()
    return rows, source


@pytest.mark.parametrize("format", TEXTS)
@pytest.mark.parametrize("form", wrapped.FORMS)
def test_every_wrapping_gives_the_same_flows(form: str, format: str, tmp_path: Path) -> None:
    rows, source = flows(tmp_path / "log", wrapped.FORMS[form](TEXTS[format]))
    assert [(row["source_format"], row["src_ip"], row["dst_ip"]) for row in rows] == [
        (format, "10.1.0.5", "10.2.0.9")
    ] * 3
    assert len({row["flow_id"] for row in rows}) == 3
    assert source.report.whole()
    assert not source.report.refused_records
    assert holds_records(str(tmp_path / "log"), RecordFiles())


def test_objects_behind_the_name_of_a_node(tmp_path: Path) -> None:
    rows, _ = flows(tmp_path / "log", wrapped.OBJECTS["oc adm node-logs"](EVE))
    assert len(rows) == 3


@pytest.mark.parametrize("block", [64, 1000, 1 << 20])
def test_lines_that_the_runtime_cut_are_joined(block: int, tmp_path: Path) -> None:
    data = "".join(wrapped.cut(one) for one in EVE)
    # Another stream speaks in between.
    parts = data.splitlines(keepends=True)
    parts[1:1] = [f"{wrapped.STAMP} stderr P warn\n", f"{wrapped.STAMP} stderr F ing\n"]
    rows, source = flows(tmp_path / "log", "".join(parts), block_bytes=block)
    assert len(rows) == 3
    assert source.report.refused_records == {"not_json": 1}


def test_a_line_that_never_ends_costs_no_other(tmp_path: Path) -> None:
    data = f"{wrapped.STAMP} stderr P begun\n" + wrapped.BY_LINE["cri"](EVE * 2000)
    rows, source = flows(tmp_path / "log", data)
    assert len(rows) == 6000
    assert source.report.refused_records == {"not_json": 1}


@pytest.mark.parametrize("form", wrapped.BY_LINE)
def test_what_cannot_be_read_is_kept_as_it_came(form: str, tmp_path: Path) -> None:
    kept = tmp_path / "refused"
    outer = wrapped.BY_LINE[form](["{no record"])
    data = wrapped.BY_LINE[form](EVE) + outer + "no wrapping\n" + EVE[0] + "\n" + wrapped.BY_LINE[form](EVE)
    rows, source = flows(tmp_path / "log", data, kept)
    # A line that is not wrapped is read as it is.
    assert len(rows) == 7
    assert source.report.refused_records == {"not_json": 2}
    assert [json.loads(one)["record"] for one in kept.read_text().splitlines()] == [outer[:-1], "no wrapping"]
    assert [one.number for one in source.report.files[0].refused] == [4, 5]


def test_of_many_in_one_the_one_that_is_refused_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "refused"
    data = wrapped.WHOLE["lambda"]([*EVE, "{cut", EVE[0]])
    rows, source = flows(tmp_path / "log", data, kept)
    assert (len(rows), source.report.refused_records["not_json"]) == (4, 1)
    assert json.loads(kept.read_text())["record"] == "{cut"


def test_headers_of_columns_hold_inside(tmp_path: Path) -> None:
    texts = [*(one.decode() for one in ZEEK_HEADER), zeek_line().decode()]
    header = "version account-id srcaddr dstaddr srcport dstport protocol start end log-status"
    aws = [header, "2 1 10.1.0.5 10.2.0.9 1 443 6 1760000000 1760000059 OK"]
    for form in wrapped.FORMS:
        for format, some in (("zeek", texts), ("aws", aws)):
            rows, _ = flows(tmp_path / "log", wrapped.FORMS[form](some))
            assert [(row["source_format"], row["src_ip"]) for row in rows] == [(format, "10.1.0.5")], (form, format)


@pytest.mark.parametrize("format", [one for one in FORMATS if "protobuf" not in one])
def test_no_plain_record_is_taken_for_a_wrapping(format: str) -> None:
    example = EXAMPLES[format]
    values = [*example.values[:-1], *example.values[-1:] * 3]
    told = read(values, None, example.options)
    assert told.flows.num_rows == 3
    assert told.flows["source_format"].to_pylist() == [format] * 3
    assert told.flows["src_ip"].to_pylist() == ["10.1.0.5"] * 3


def test_a_known_record_with_another_one_in_it_is_itself() -> None:
    """Whoever writes a field cannot put a flow into the log."""
    evil = line(suricata(message=json.dumps(suricata(src_ip="192.0.2.66"))))
    assert read([evil] * 3).flows["src_ip"].to_pylist() == ["10.1.0.5"] * 3
    assert read([evil] * 3, "suricata").flows["src_ip"].to_pylist() == ["10.1.0.5"] * 3


def test_a_format_that_is_told_is_that_of_the_lines(tmp_path: Path) -> None:
    rows, source = flows(tmp_path / "log", wrapped.BY_LINE["export to S3"](TEXTS["aws"]), format="aws")
    assert not rows
    (told,) = source.report.files[0].unreadable
    assert told.reason == (
        "not one of its records is of the format 'aws': its lines are wrapped, which is read where no format is told"
    )


def test_streams_read_envelopes_as_well() -> None:
    values = [one.encode() for one in wrapped.BY_LINE["filebeat"](EVE).splitlines()]
    parsed = read([b"", *values])
    accounted(parsed, 4)
    assert parsed.flows.num_rows == 3


def test_wrappings_and_plain_files_mix_in_a_folder(tmp_path: Path) -> None:
    paths = []
    for number, made in enumerate([*wrapped.FORMS.values(), "\n".join]):
        paths.append(tmp_path / f"{number}.log")
        paths[-1].write_text(made(EVE))
    source = RecordSource([str(one) for one in paths])
    rows = [row for batch, _ in source.batches() for row in batch.to_pylist()]
    assert len(rows) == 3 * len(paths)
    assert source.report.whole()


@pytest.mark.parametrize("spelling", ["nested", "without dots"])
def test_zeek_in_other_spellings(spelling: str) -> None:
    told = zeek()
    ends = {key.removeprefix("id."): told.pop(key) for key in list(told) if key.startswith("id.")}
    told |= {"id": ends} if spelling == "nested" else {f"id_{key}": value for key, value in ends.items()}
    (row,) = read([line(told)]).flows.to_pylist()
    (same,) = read([line(zeek())]).flows.to_pylist()
    assert row == same
    mixed = read([line(zeek()), line(told)], "zeek-json")
    assert mixed.flows["src_port"].to_pylist() == [40000, 40000]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_with_its_mark(encoding: str, tmp_path: Path) -> None:
    rows, source = flows(tmp_path / "log", "\ufeff".encode(encoding) + "\r\n".join(EVE).encode(encoding))
    assert len(rows) == 3
    assert source.report.whole()


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_bytes_changed_cost_the_line_that_was_hit(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(wrapped.BY_LINE)))
    values = [one.encode() for one in wrapped.BY_LINE[form](EVE * 2).splitlines()]
    row = data.draw(st.integers(0, len(values) - 1))
    at = data.draw(st.integers(0, len(values[row]) - 1))
    values[row] = values[row][:at] + data.draw(st.binary(max_size=3)) + values[row][at + 1 :]
    parsed = read(values)
    assert set(range(6)) - {row} <= set(parsed.rows.tolist())
    assert {row} <= {one.index for one in (*parsed.refused, *parsed.skipped)} | set(parsed.rows.tolist())
