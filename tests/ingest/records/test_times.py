"""What times of records mean: how wide they are, which are none, and which are exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.flow_logs import (
    AWS_LINE,
    END,
    EXAMPLES,
    NFDUMP_HEADER,
    NFDUMP_LINE,
    PARIS,
    RECEIVED,
    START,
    accounted,
    azure,
    gcp,
    goflow2,
    hubble,
    line,
    netobserv,
    nfdump,
    pmacct,
    read,
    suricata,
    zeek,
)

from ingest.records import FORMATS, Ids, reader_for
from whowas.flow_times import FLOW_TIMES

SECONDS = START // 10**6
TIMES = ["start_time", "end_time", "time_basis", "time_before", "time_after"]


def times(value: bytes | list[bytes], format: str | None = None) -> list[Any]:
    """start, end (us), basis, before, after of the one flow of some values."""
    values = [value] if isinstance(value, bytes) else value
    parsed = read(values, format, PARIS)
    assert (parsed.refused, parsed.flows.num_rows) == ([], 1)
    return [
        (column.cast("int64") if name.endswith("_time") else column)[0].as_py()
        for name, column in zip(TIMES, parsed.flows.select(TIMES).columns, strict=True)
    ]


def noted(value: bytes, format: str | None = None) -> dict[str, int]:
    return dict(read([value], format, PARIS).noted)


def azure_tuple(state: str) -> bytes:
    return line(azure(f"{START // 1000},10.1.0.5,10.2.0.9,40000,443,6,O,{state},NX,1,2,3,4"))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_says_what_its_times_mean(format: str) -> None:
    example = EXAMPLES[format]
    parsed = read(example.values, format, example.options)
    told = {(one.basis or None, one.before_us, one.after_us) for one in FLOW_TIMES[format].values()}
    assert set(zip(*(parsed.flows[name].to_pylist() for name in TIMES[2:]), strict=True)) <= told
    assert not parsed.noted


@pytest.mark.parametrize(("state", "before"), [("B", 0), ("C", 300), ("E", 1800), ("D", 0)])
def test_an_azure_tuple_has_one_time_and_tells_how_long_it_counted(state: str, before: int) -> None:
    ms = START // 1000 * 1000
    assert times(azure_tuple(state)) == [ms, ms, "window", before * 10**6, 999]


@pytest.mark.parametrize(("more", "before"), [("", 0), (",B,,,,", 0), (",C,1,2,3,4", 300), (",E,1,2,3,4", 1800)])
def test_an_azure_tuple_of_security_groups_is_cut_to_seconds(more: str, before: int) -> None:
    one = f"{SECONDS},10.1.0.5,10.2.0.9,40000,443,T,O,A{more}"
    told = {"properties": {"flows": [{"rule": "r", "flows": [{"mac": "00", "flowTuples": [one]}]}]}}
    assert times(line(told)) == [SECONDS * 10**6, SECONDS * 10**6, "window", before * 10**6, 999_999]


def test_times_of_aws_lie_up_to_a_minute_after_the_packet() -> None:
    assert times(AWS_LINE)[2:] == ["window", 60_000_000, 999_999]


def test_whole_seconds_stand_for_a_second_and_milliseconds_for_one() -> None:
    whole = NFDUMP_LINE.replace(b"20.250", b"20").replace(b"23.750", b"23")
    assert times([NFDUMP_HEADER, whole])[2:] == [None, 1_000, 1_000 + 2 * 999_999]
    assert times([NFDUMP_HEADER, NFDUMP_LINE])[2:] == [None, 1_000, 1_000 + 999_999]
    assert times(line(netobserv()))[3:] == [0, 999]
    assert times(line(pmacct()))[3:] == [1_000, 1_000 + 999_999]
    assert times(line(zeek()))[3:] == [0, 0]


def test_goflow2_tells_by_the_exporter_what_its_times_are() -> None:
    second = SECONDS * 10**9
    assert times(line(goflow2(type="SFLOW_5")))[2:] == ["receive", 2_000_000, 0]
    assert times(line(goflow2(type="NETFLOW_V9")))[2:] == ["uptime", 1_000, 1_000_999]
    assert times(line(goflow2()))[2:] == ["packet", 0, 999]
    exported = goflow2(time_flow_start_ns=second, time_flow_end_ns=second)
    assert times(line(exported))[2:] == ["export", None, 999_999]


NOUGHT = "0000-00-00 00:00:00"
NONE = [
    ("goflow2", goflow2(time_flow_start_ns=0, time_flow_end_ns=0)),
    ("goflow2", goflow2(time_flow_start_ns=-6_795_364_578_871_345_152, time_flow_end_ns=-1)),
    ("netobserv", netobserv(TimeFlowStartMs=0, TimeFlowEndMs=0)),
    ("suricata", suricata(flow={"start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:00:00Z"})),
    ("gcp", gcp() | {"jsonPayload": gcp()["jsonPayload"] | {"start_time": "0001-01-01T00:00:00Z", "end_time": None}}),
    ("nfdump-json", nfdump() | {"first": NOUGHT, "last": NOUGHT}),
    ("nfdump-json", nfdump() | {"first": "1970-01-01 01:00:00", "last": "1970-02-19 18:02:47"}),
    ("zeek-json", zeek() | {"ts": 0, "_write_ts": RECEIVED / 10**6}),
    ("pmacct", pmacct(timestamp_start=NOUGHT, timestamp_end="1754-08-30", timestamp_arrival=RECEIVED // 10**6)),
]  # fmt: skip


@pytest.mark.parametrize(("format", "record"), NONE)
def test_a_time_of_nought_is_none_and_the_receipt_stands_in(format: str, record: dict[str, Any]) -> None:
    assert times(line(record), format) == [RECEIVED, RECEIVED, "export", None, 999_999]
    assert noted(line(record), format) == {"no_time_but_receipt": 1}


def test_where_nothing_tells_a_time_the_flow_has_none_but_that_of_the_broker() -> None:
    record = line({key: value for key, value in hubble().items() if key != "time"} | {
        "flow": {key: value for key, value in hubble()["flow"].items() if key != "time"}})  # fmt: skip
    for value, format in ((record, "hubble"), (AWS_LINE.replace(b"1760000000 1760000059", b"0 0"), "aws"),
                          (line(azure("0,10.1.0.5,10.2.0.9,40000,443,6,O,E,NX,1,2,3,4")), "azure")):  # fmt: skip
        assert times(value, format) == [None, None, times(value, format)[2], None, None]
        assert noted(value, format) == {"no_time": 1}
        told = reader_for(format, [value]).read([value], Ids("t", np.arange(1)), np.array([RECEIVED + 7]))
        assert told.flows["start_time"].cast("int64").to_pylist() == [RECEIVED + 7]
        assert told.flows["time_basis"].to_pylist() == ["export"]


def test_without_a_start_the_end_is_the_one_time() -> None:
    assert times(line(netobserv(TimeFlowStartMs=0))) == [END, END, "export", None, 999]
    assert noted(line(netobserv(TimeFlowStartMs=0))) == {"no_start_time": 1}
    assert times(line(netobserv(TimeFlowEndMs=0))) == [START, START, "packet", 0, 999]


@pytest.mark.parametrize(
    "value",
    [line(netobserv(TimeFlowStartMs=END // 1000, TimeFlowEndMs=START // 1000)),
     line(goflow2(time_flow_start_ns=END * 1000, time_flow_end_ns=START * 1000))],
)  # fmt: skip
def test_first_and_last_that_are_exchanged_are_put_right_and_counted(value: bytes) -> None:
    assert times(value)[:3] == [START, END, "window"]
    assert noted(value) == {"ends_before_start": 1}


def test_remarks_of_several_readings_are_added_up() -> None:
    whole = NFDUMP_LINE.replace(b"2025-10-09 10:53:20.250", NOUGHT.encode())
    parsed = read([NFDUMP_HEADER, whole, NFDUMP_HEADER, whole, NFDUMP_LINE], "nfdump-csv", PARIS)
    accounted(parsed, 5)
    assert (parsed.flows.num_rows, dict(parsed.noted)) == (3, {"no_start_time": 2})
