"""Every format gives the columns that its record says; a bad record costs that record only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.flow_logs import (
    AWS_LINE,
    END,
    EXAMPLES,
    START,
    ZEEK_HEADER,
    accounted,
    azure,
    gcp,
    goflow2,
    goflow2_message,
    line,
    netobserv,
    pmacct,
    read,
    suricata,
    zeek_line,
)

from ingest.records import FORMATS, Ids, RecordOptions, Values, reader_for
from whowas.errors import ConfigError, InputError
from whowas.schema import check, flow_schema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def one_row(parsed: Any) -> dict[str, Any]:
    (row,) = parsed.flows.to_pylist()
    return {key: us(value) if isinstance(value, datetime) else value for key, value in row.items()}


def test_there_is_an_example_of_every_format() -> None:
    assert set(EXAMPLES) == set(FORMATS)


@pytest.mark.parametrize("told", [True, False], ids=["by its word", "recognised"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_record_gives_its_columns(format: str, told: bool) -> None:
    example = EXAMPLES[format]
    parsed = read(example.values, format if told else None, example.options)
    check(parsed.flows, flow_schema())
    parsed.flows.validate(full=True)
    accounted(parsed, len(example.values))
    assert not parsed.refused
    assert len(parsed.skipped) == example.skipped
    row = one_row(parsed)
    common = {
        "source_format": format, "src_ip": "10.1.0.5", "dst_ip": "10.2.0.9", "src_port": 40000, "dst_port": 443,
        "src_ip16": bytes(10) + b"\xff\xff\x0a\x01\x00\x05", "dst_ip16": bytes(10) + b"\xff\xff\x0a\x02\x00\x09",
        "protocol": "tcp", "protocol_number": 6, "start_time": START, "end_time": END, "bytes_out": 4200,
        "packets_out": 12, "encapsulated": False, "community_id": COMMUNITY,
    }  # fmt: skip
    wanted = common | example.expected
    assert {key: row[key] for key in wanted} == wanted


# Of (10.1.0.5, 40000, 10.2.0.9, 443, tcp), by the packets' room, which is held against Zeek's oracle.
def _community() -> str:
    from ingest.columns.community_id import community_ids

    octets = [np.array([[*bytes(10), 255, 255, *last]], dtype=np.uint8) for last in ((10, 1, 0, 5), (10, 2, 0, 9))]
    ports = np.array([40000]), np.array([443]), np.array([True])
    return str(community_ids(*octets, np.array([4]), np.array([6]), ports, np.array([-1]))[0])


COMMUNITY = _community()


@pytest.mark.parametrize("format", FORMATS)
def test_a_bad_record_costs_that_record_only(format: str) -> None:
    example = EXAMPLES[format]
    good = example.values[-1]
    bad = [good[: len(good) // 2], b"", b"\xff\xfe\x00", b"[]", b"null"]
    values = [*example.values, *bad, good, good]
    parsed = read(values, format, example.options)
    accounted(parsed, len(values))
    kept = [row for row in parsed.rows.tolist() if values[row] == good]
    assert len(kept) == 3
    assert parsed.flows.num_rows == 3 or format == "goflow2-protobuf"
    assert {one.index for one in parsed.refused} >= set(range(len(example.values), len(example.values) + 3))


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_place_gives_the_same_id(format: str) -> None:
    example = EXAMPLES[format]
    reader = reader_for(format, example.values, example.options)
    ids = [
        reader.read(example.values, Ids(origin, np.arange(len(example.values)) + first)).flows["flow_id"][0].as_py()
        for origin, first in (("a", 0), ("a", 0), ("b", 0), ("a", 7))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)


def test_unknown_words_and_unknown_bytes_are_refused_with_the_known_words() -> None:
    with pytest.raises(InputError, match=r"cannot read format 'nope'.*goflow2"):
        reader_for("nope", [])
    for values in ([], [b"hello"], [b'{"a": 1}'], [b"a b c"], [bytes(20)]):
        with pytest.raises(InputError, match="say which: goflow2"):
            reader_for(None, values)


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot use timezone 'Paris'"):
        RecordOptions(timezone="Paris")


def test_local_times_without_a_zone_are_refused_and_a_doubled_hour_too() -> None:
    example = EXAMPLES["nfdump-json"]
    parsed = read(example.values, options=RecordOptions())
    assert [one.reason for one in parsed.refused] == ["local_time_without_timezone"]
    told = json.loads(example.values[0]) | {"first": "2025-10-26T02:30:00", "last": "2025-10-26T02:30:01"}
    parsed = read([line(told)], options=example.options)
    assert [one.reason for one in parsed.refused] == ["bad_start_time"]


def test_tunnels_that_nobody_opened_are_marked() -> None:
    for port in (4789, 8472, 6081):
        assert one_row(read([line(goflow2(proto="UDP", dst_port=port))]))["encapsulated"]
    assert not one_row(read([line(goflow2(proto="TCP", dst_port=4789))]))["encapsulated"]
    parsed = read([line(goflow2(proto="UDP", dst_port=4789))], options=RecordOptions(tunnel_ports=(9999,)))
    assert not one_row(parsed)["encapsulated"]


@pytest.mark.parametrize(
    ("word", "outer"), [("GRE", True), ("ESP", True), ("IPIP", True), ("OSPF", False), ("AH", False)]
)
def test_protocols_that_are_tunnels_are_marked(word: str, outer: int) -> None:
    assert one_row(read([line(goflow2(proto=word, src_port=0, dst_port=0))]))["encapsulated"] == outer


def test_goflow2_times_say_what_they_are() -> None:
    second = START // 10**6 * 10**9
    rows = [
        (goflow2(), "packet"),
        (goflow2(type="NETFLOW_V9"), "uptime"),
        (goflow2(type="SFLOW_5"), "receive"),
        (goflow2(time_flow_start_ns=second, time_flow_end_ns=second), "export"),
        (goflow2(time_flow_start_ns=0, time_flow_end_ns=0), "export"),
    ]
    parsed = read([line(told) for told, _ in rows])
    assert parsed.flows["time_basis"].to_pylist() == [basis for _, basis in rows]
    assert parsed.flows["counter_layer"].to_pylist() == ["L3", "L3", "L2", "L3", "L3"]


def test_goflow2_with_its_mapping_file_has_texts_for_times() -> None:
    row = one_row(read([line(goflow2(time_received_ns="2025-10-09T08:54:20Z"))]))
    assert row["received_time"] == 1_760_000_060_000_000


def test_an_uptime_that_wrapped_is_no_time() -> None:
    """It gives starts weeks ahead; the record was exported when it was received."""
    ahead = START * 1000 + 49 * 86_400 * 10**9
    row = one_row(read([line(goflow2(type="NETFLOW_V9", time_flow_start_ns=ahead, time_flow_end_ns=ahead))]))
    assert (row["start_time"], row["end_time"]) == (row["received_time"], row["received_time"])
    assert row["time_basis"] == "export"


def test_many_messages_in_one_value_have_ids_of_their_own() -> None:
    values = [goflow2_message() * 3, goflow2_message() + b"\x50garbage"]
    parsed = read(values)
    accounted(parsed, 2)
    assert parsed.rows.tolist() == [0, 0, 0, 1]
    assert [(one.index, one.reason) for one in parsed.refused] == [(1, "cut_short")]


def test_netobserv_flags_of_every_spelling() -> None:
    spellings = [(27, 27), (["SYN", "ACK"], 18), (["SYN_ACK"], 18), (256, 18), (512 | 8, 25), (1024, 20), ([], 0)]
    parsed = read([line(netobserv(Flags=told)) for told, _ in spellings])
    assert parsed.flows["tcp_flags"].to_pylist() == [bits for _, bits in spellings]


def test_netobserv_conversation_records_are_not_counted_twice() -> None:
    parsed = read([line(netobserv(_RecordType=kind)) for kind in ("flowLog", "endConnection", "heartbeat")])
    assert parsed.flows.num_rows == 1
    assert [one.reason for one in parsed.skipped] == ["conversation_record"] * 2


def test_suricata_netflow_goes_one_way_and_other_events_are_passed_over() -> None:
    netflow = {"pkts": 12, "bytes": 4200, "start": "2025-10-09T08:53:20.25Z", "end": "2025-10-09T08:53:23.75Z"}
    told = {key: value for key, value in suricata().items() if key != "flow"}
    told |= {"event_type": "netflow", "netflow": netflow, "tcp": {"tcp_flags": "02"}}
    parsed = read([line(told), line(suricata(event_type="alert")), line({"event_type": "stats", "timestamp": "x"})])
    row = one_row(parsed)
    assert (row["bytes_out"], row["bytes_in"], row["directionality"]) == (4200, None, "uni")
    assert (row["start_time"], row["tcp_flags"], row["initiator_basis"]) == (START, 2, "sender")
    assert [one.reason for one in parsed.skipped] == ["other_event"] * 2


def test_zeek_payload_bytes_are_said_to_be_payload_and_icmp_has_no_ports() -> None:
    parsed = read([*ZEEK_HEADER, zeek_line(orig_ip_bytes="-", resp_ip_bytes="-"), zeek_line(proto="icmp")])
    first, second = parsed.flows.to_pylist()
    assert (first["counter_layer"], first["bytes_out"], first["bytes_in"]) == ("L4", 3700, 9000)
    assert (second["protocol"], second["src_port"]) == ("icmp", None)


def test_a_zeek_header_holds_for_later_lines_and_a_new_one_replaces_it() -> None:
    reader = reader_for(None, ZEEK_HEADER)
    assert reader.read(ZEEK_HEADER, Ids("a", np.arange(4))).flows.num_rows == 0
    assert reader.read([zeek_line()], Ids("a", np.arange(1))).flows.num_rows == 1
    short = b"#fields\tts\tid.orig_h\tid.resp_h\tproto\tconn_state"
    parsed = reader.read([zeek_line(), short, b"1.5\t1.1.1.1\t::1\tudp\tSF", zeek_line()], Ids("a", np.arange(4)))
    accounted(parsed, 4)
    assert parsed.flows["src_ip"].to_pylist() == ["10.1.0.5", "1.1.1.1"]
    assert [(one.index, one.reason) for one in parsed.refused] == [(3, "wrong_number_of_columns")]


def test_aws_columns_come_in_any_order_and_packets_addresses_win() -> None:
    order = "dstaddr srcaddr pkt-srcaddr pkt-dstaddr protocol start end bytes packets srcport dstport tcp-flags"
    text = b"10.2.0.9 10.0.0.1 10.1.0.5 10.2.0.9 6 1760000000 1760000059 4200 12 40000 443 3"
    for values, options in (
        ([order.encode(), text], RecordOptions()),
        ([text], RecordOptions(fields=tuple(order.split()))),
        ([text], RecordOptions(fields=tuple(f"${{{word}}}" for word in order.split()))),
    ):
        row = one_row(read(values, "aws", options))
        assert (row["src_ip"], row["src_nat_ip"], row["dst_ip"], row["dst_nat_ip"]) == (
            "10.1.0.5", "10.0.0.1", "10.2.0.9", None,
        )  # fmt: skip
        assert (row["bytes_out"], row["packets_out"], row["tcp_flags"]) == (4200, 12, 3)
    assert read([AWS_LINE + b" more"], "aws").refused[0].reason == "wrong_number_of_columns"


def test_gcp_reporters_differ_and_other_logs_are_passed_over() -> None:
    other = gcp() | {"logName": "projects/p/logs/compute.googleapis.com%2Ffirewall"}
    parsed = read([line(gcp()), line(gcp(reporter="DEST")), line(other)])
    assert parsed.flows["observer"].to_pylist() == ["SRC/gke-1", "DEST/gke-2"]
    assert [one.reason for one in parsed.skipped] == ["other_log"]


def test_azure_tuples_of_every_version() -> None:
    seconds = START // 10**6
    tuples = [f"{seconds},10.1.0.5,10.2.0.9,40000,443,T,O,A", f"{seconds},10.1.0.5,10.2.0.9,40000,443,U,I,A,C,1,2,3,4"]
    nsg = {"category": "NetworkSecurityGroupFlowEvent", "properties": {"Version": 2, "flows": [
        {"rule": "r", "flows": [{"mac": "000D3AF8", "flowTuples": [*tuples, "broken", 7]}]}]}}  # fmt: skip
    begin = azure(f"{START // 1000},10.1.0.5,10.2.0.9,40000,443,6,O,B,NX,0,0,0,0")
    values = [line({"records": [nsg, begin]}), line({"category": "x"}), line(azure())]
    parsed = read(values)
    accounted(parsed, 3)
    rows = sorted(parsed.flows.to_pylist(), key=lambda row: (str(row["protocol"]), row["packets_out"] or 0))
    assert [(row["protocol"], row["packets_out"], row["bytes_in"]) for row in rows] == [
        ("tcp", None, None), ("tcp", None, None), ("tcp", 12, 9500), ("udp", 1, 4),
    ]  # fmt: skip
    assert [(one.index, one.reason) for one in parsed.refused] == [(0, "bad_tuple")] * 2
    assert [(one.index, one.reason) for one in parsed.skipped] == [(1, "no_tuples")]


def test_pmacct_counts_between_purges_and_inside_tunnels() -> None:
    window = pmacct(stamp_inserted="2025-10-09T08:53:00Z", stamp_updated="2025-10-09T08:54:00Z")
    del window["timestamp_start"], window["timestamp_end"]
    tunnel = pmacct(tunnel_ip_src="10.3.0.1", tunnel_ip_dst="10.3.0.2", tunnel_ip_proto="udp", tunnel_port_src=53)
    first, second = read([line(window), line(tunnel)]).flows.to_pylist()
    assert first["time_basis"] == "window"
    assert (first["end_time"] - first["start_time"]).total_seconds() == 60
    assert (second["src_ip"], second["outer_src_ip"], second["protocol"]) == ("10.3.0.1", "10.1.0.5", "udp")
    assert second["src_port"] == 53


def test_the_brokers_time_is_the_receipt_where_records_tell_none() -> None:
    told = line(pmacct())
    reader = reader_for("pmacct", [told])
    parsed = reader.read([told], Ids("t/0", np.array([5])), np.array([END + 5]))
    assert us(parsed.flows["received_time"][0].as_py()) == END + 5


def test_lines_of_a_buffer_are_the_same_as_values() -> None:
    lines = [line(goflow2(bytes=number)) for number in range(50)]
    for joint in (b"\n", b"\r\n"):
        packed = Values.of_lines(joint.join(lines))
        assert list(packed) == lines
        assert read(packed).flows["bytes_out"].to_pylist() == list(range(50))  # type: ignore[arg-type]


def test_samples_of_others_are_read_whole(shared: Path) -> None:
    folder = shared / "data" / "flowrecords"
    told = {
        "goflow2/readme_v1.json": ("goflow2-v1", 1), "goflow2/readme_v2.ndjson": ("goflow2", 1),
        "hubble/aks_export_2025.ndjson": ("hubble", 2), "zeek/conn_doc.json.ndjson": ("zeek-json", 2),
        "netobserv/console_mock_flow_records.ndjson": ("netobserv", 16),
        "pmacct/100_scenario-01_nat_fields.ndjson": ("pmacct", 12), "pmacct/501_bgp_mpls.ndjson": ("pmacct", 74),
    }  # fmt: skip
    for name, (format, count) in told.items():
        parsed = read((folder / name).read_bytes().splitlines())
        assert set(parsed.flows["source_format"].to_pylist()) == {format}, name
        assert (parsed.flows.num_rows, parsed.refused) == (count, []), name


def test_samples_of_others_say_what_they_say(shared: Path) -> None:
    folder = shared / "data" / "flowrecords"
    (one,) = read([(folder / "netobserv/synthetic_pbflow_kafka_value.bin").read_bytes()]).flows.to_pylist()
    assert (one["src_ip"], one["dst_ip"], one["src_port"], one["sampling_rate"]) == ("1.2.3.4", "5.6.7.8", 23000, 50)
    assert (one["bytes_out"], one["tcp_flags"], one["observer"]) == (456, 18, "10.9.8.7/eth0")
    two = read([(folder / "goflow2/synthetic_v2_delimited.bin").read_bytes()]).flows.to_pylist()
    assert [row["src_ip"] for row in two] == ["10.244.1.5", "fd00:10:244::5"]
    assert two[0]["start_time"] == datetime(2026, 11, 20, 11, 59, 0, 123000, tzinfo=UTC)
    masked = (folder / "zeek/baseline_core.tunnels.vxlan_conn.log").read_bytes().replace(b"XXXXXXXXXX.XXXXXX", b"9.5")
    rows = read(masked.splitlines()).flows.to_pylist()
    assert [row["encapsulated"] for row in rows] == [False, True, True, True, True]
    assert [row["bytes_out"] for row in rows] == [336, 536, 78, 78, 536]
    csv = (folder / "nfdump/nfdump_1.7.1_vxlan-http.csv").read_bytes().splitlines()
    parsed = read(csv, options=RecordOptions(timezone="UTC"))
    accounted(parsed, 5)
    assert one_row(parsed) | {"encapsulated": True, "bytes_out": 10539, "packets_out": 12} == one_row(parsed)
