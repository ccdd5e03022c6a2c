"""A conversation as every format writes it: made here, from the formats' documents. 10.1.0.5:40000 -> 10.2.0.9:443."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ingest.records import Ids, Parsed, RecordOptions, reader_for

START, END, RECEIVED = 1_760_000_000_250_000, 1_760_000_003_750_000, 1_760_000_060_000_000


def line(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def whole(number: int, value: int) -> bytes:
    """A protobuf field of a number."""
    return varint(number << 3) + varint(value)


def piece(number: int, value: bytes) -> bytes:
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(value)) + value


SRC, DST = bytes([10, 1, 0, 5]), bytes([10, 2, 0, 9])


def goflow2(**more: Any) -> dict[str, Any]:
    return {
        "type": "IPFIX", "time_received_ns": RECEIVED * 1000, "sampling_rate": 64, "sampler_address": "192.0.2.1",
        "time_flow_start_ns": START * 1000, "time_flow_end_ns": END * 1000, "bytes": 4200, "packets": 12,
        "src_addr": "10.1.0.5", "dst_addr": "10.2.0.9", "etype": "IPv4", "proto": "TCP", "src_port": 40000,
        "dst_port": 443, "in_if": 7, "src_mac": "02:00:00:00:00:01", "dst_mac": "00:00:00:00:00:00", "vlan_id": 12,
        "tcp_flags": 27, **more,
    }  # fmt: skip


def goflow2_message() -> bytes:
    body = b"".join([
        whole(1, 4), whole(3, 64), piece(6, SRC), piece(7, DST), whole(9, 4200), whole(10, 12),
        piece(11, bytes([192, 0, 2, 1])), whole(18, 7), whole(20, 6), whole(21, 40000), whole(22, 443), whole(26, 27),
        whole(27, 0x020000000001), whole(29, 12), whole(110, RECEIVED * 1000), whole(111, START * 1000),
        whole(112, END * 1000),
    ])  # fmt: skip
    return varint(len(body)) + body


def goflow1() -> dict[str, Any]:
    return {
        "Type": "IPFIX", "TimeReceived": RECEIVED // 10**6, "SamplingRate": 64, "SamplerAddress": "192.0.2.1",
        "TimeFlowStart": START // 10**6, "TimeFlowEnd": END // 10**6, "TimeFlowStartMs": START // 1000,
        "TimeFlowEndMs": END // 1000, "Bytes": 4200, "Packets": 12, "SrcAddr": "10.1.0.5", "DstAddr": "10.2.0.9",
        "Etype": 2048, "Proto": 6, "SrcPort": 40000, "DstPort": 443, "InIf": 7, "SrcMac": "02:00:00:00:00:01",
        "TCPFlags": 27, "VlanId": 12,
    }  # fmt: skip


def netobserv(**more: Any) -> dict[str, Any]:
    return {
        "SrcAddr": "10.1.0.5", "DstAddr": "10.2.0.9", "SrcPort": 40000, "DstPort": 443, "Proto": 6, "Etype": 2048,
        "Bytes": 4200, "Packets": 12, "TimeFlowStartMs": START // 1000, "TimeFlowEndMs": END // 1000,
        "TimeReceived": RECEIVED // 10**6, "SrcMac": "02:00:00:00:00:01", "AgentIP": "192.0.2.1",
        "Interfaces": ["eth0"], "Sampling": 64, "Flags": 27, "XlatDstAddr": "10.9.9.9", "XlatDstPort": 8443, **more,
    }  # fmt: skip


def pbflow() -> bytes:
    def moment(us: int) -> bytes:
        return whole(1, us // 10**6) + whole(2, us % 10**6 * 1000)

    def host(octets: bytes) -> bytes:
        return varint(1 << 3 | 5) + octets[::-1]

    return b"".join([
        whole(1, 0x0800), piece(3, moment(START)), piece(4, moment(END)), piece(5, whole(1, 0x020000000001)),
        piece(6, piece(1, host(SRC)) + piece(2, host(DST))), piece(7, whole(1, 40000) + whole(2, 443) + whole(3, 6)),
        whole(8, 4200), whole(9, 12), piece(12, host(bytes([192, 0, 2, 1]))), whole(13, 27),
        piece(26, piece(1, b"eth0") + whole(2, 1)), whole(29, 64),
    ])  # fmt: skip


def zeek() -> dict[str, Any]:
    return {
        "ts": START / 10**6, "uid": "CAbc", "id.orig_h": "10.1.0.5", "id.orig_p": 40000, "id.resp_h": "10.2.0.9",
        "id.resp_p": 443, "proto": "tcp", "service": "ssl", "duration": 3.5, "orig_bytes": 3700, "resp_bytes": 9000,
        "conn_state": "SF", "orig_pkts": 12, "orig_ip_bytes": 4200, "resp_pkts": 10, "resp_ip_bytes": 9500,
        "orig_l2_addr": "02:00:00:00:00:01",
    }  # fmt: skip


ZEEK_HEADER = [b"#separator \\x09", b"#path\tconn", b"#fields\t" + "\t".join(zeek()).encode(), b"#types\ttime\tstring"]


def zeek_line(**more: Any) -> bytes:
    return "\t".join(f"{value:.6f}" if key == "ts" else str(value) for key, value in (zeek() | more).items()).encode()


def suricata(**more: Any) -> dict[str, Any]:
    return {
        "timestamp": "2025-10-09T10:54:20.000000+0200", "flow_id": 1, "in_iface": "eth0", "event_type": "flow",
        "src_ip": "10.1.0.5", "src_port": 40000, "dest_ip": "10.2.0.9", "dest_port": 443, "proto": "TCP",
        "app_proto": "tls", "vlan": [12], "host": "sensor",
        "flow": {"pkts_toserver": 12, "pkts_toclient": 10, "bytes_toserver": 4200, "bytes_toclient": 9500,
                 "start": "2025-10-09T10:53:20.250000+0200", "end": "2025-10-09T10:53:23.750000+0200", "age": 3,
                 "state": "closed", "reason": "timeout", "alerted": False},
        "tcp": {"tcp_flags": "1b", "tcp_flags_ts": "1a", "tcp_flags_tc": "13"}, **more,
    }  # fmt: skip


def hubble() -> dict[str, Any]:
    flow = {
        "time": "2025-10-09T08:53:20.250000999Z", "verdict": "FORWARDED",
        "ethernet": {"source": "02:00:00:00:00:01", "destination": "02:00:00:00:00:02"},
        "IP": {"source": "10.1.0.5", "source_xlated": "10.9.9.9", "destination": "10.2.0.9", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 443, "flags": {"SYN": True, "ACK": False}}},
        "node_name": "paris/n1", "interface": {"index": 3, "name": "lxc1"}, "is_reply": False, "Type": "L3_L4",
        "source": {"labels": ["k8s:app=\"x\\y\""]},
    }  # fmt: skip
    return {"flow": flow, "node_name": "paris/n1", "time": "2025-10-09T08:53:20.250000999Z"}


AWS_LINE = b"2 123456789010 eni-0a 10.1.0.5 10.2.0.9 40000 443 6 12 4200 1760000000 1760000059 ACCEPT OK"


def gcp(**more: Any) -> dict[str, Any]:
    payload = {
        "connection": {"src_ip": "10.1.0.5", "src_port": 40000, "dest_ip": "10.2.0.9", "dest_port": 443, "protocol": 6},
        "bytes_sent": "4200", "packets_sent": "12", "start_time": "2025-10-09T08:53:20.250000111Z",
        "end_time": "2025-10-09T08:53:23.75Z", "reporter": "SRC", "src_instance": {"vm_name": "gke-1"},
        "dest_instance": {"vm_name": "gke-2"}, **more,
    }  # fmt: skip
    return {"insertId": "a", "jsonPayload": payload, "logName": "projects/p/logs/compute.googleapis.com%2Fvpc_flows",
            "receiveTimestamp": "2025-10-09T08:54:20Z"}  # fmt: skip


def azure(*tuples: str) -> dict[str, Any]:
    told = tuples or (f"{START // 1000},10.1.0.5,10.2.0.9,40000,443,6,O,E,NX,12,4200,10,9500",)
    groups = [{"rule": "r", "flowTuples": list(told)}]
    return {"time": "2025-10-09T08:54:20Z", "flowLogVersion": 4, "macAddress": "00224871C205",
            "flowRecords": {"flows": [{"aclID": "x", "flowGroups": groups}]}}  # fmt: skip


def pmacct(**more: Any) -> dict[str, Any]:
    return {
        "event_type": "purge", "peer_ip_src": "192.0.2.1", "iface_in": 7, "ip_src": "10.1.0.5", "ip_dst": "10.2.0.9",
        "port_src": 40000, "port_dst": 443, "ip_proto": "tcp", "tcp_flags": ["FIN", "SYN", "PSH", "ACK"],
        "timestamp_start": f"{START // 10**6}.{START % 10**6:06d}",
        "timestamp_end": f"{END // 10**6}.{END % 10**6:06d}", "packets": 12, "bytes": 4200, "sampling_rate": 64,
        "post_nat_ip_src": "10.9.9.9", "post_nat_port_src": 555, "writer_id": "w", "mac_src": "02:00:00:00:00:01",
        **more,
    }  # fmt: skip


def nfdump() -> dict[str, Any]:
    return {
        "type": "FLOW", "sampled": 0, "first": "2025-10-09T10:53:20.250", "last": "2025-10-09T10:53:23.750",
        "received": "2025-10-09T10:54:20.000", "in_packets": 12, "in_bytes": 4200, "proto": 6,
        "tcp_flags": "...AP.SF", "src_port": 40000, "dst_port": 443, "src4_addr": "10.1.0.5",
        "dst4_addr": "10.2.0.9", "input_snmp": 7, "ip4_router": "192.0.2.1",
    }  # fmt: skip


NFDUMP_HEADER = b"ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt,in,ra,tr"
NFDUMP_LINE = (
    b"2025-10-09 10:53:20.250,2025-10-09 10:53:23.750,3.5,10.1.0.5,10.2.0.9,40000,443,TCP,...AP.SF,12,4200,0,0,7,"
    b"192.0.2.1,2025-10-09 10:54:20.000"
)

UNI = {"directionality": "uni", "bytes_in": None, "packets_in": None, "initiator_basis": "sender"}
BI = {"directionality": "bi", "bytes_in": 9500, "packets_in": 10, "initiator_basis": "record"}
MAC = {"src_mac": "02:00:00:00:00:01"}
SAMPLED = {"sampling_rate": 64}
FLAGS = {"tcp_flags": 27}


@dataclass(frozen=True)
class Example:
    """Values of a format, the last of which is the conversation, and what must come of it."""

    values: list[bytes]
    expected: dict[str, Any]
    skipped: int = 0
    options: RecordOptions = field(default_factory=RecordOptions)


PARIS = RecordOptions(timezone="Europe/Paris")
EXAMPLES = {
    "goflow2": Example([line(goflow2())], {
        **UNI, **MAC, **SAMPLED, **FLAGS, "observer": "192.0.2.1/7", "vlan": [12], "counter_layer": "L3",
        "time_basis": "packet", "received_time": RECEIVED, "dst_mac": None}),
    "goflow2-protobuf": Example([goflow2_message()], {
        **UNI, **MAC, **SAMPLED, **FLAGS, "observer": "192.0.2.1/7", "vlan": [12], "counter_layer": "L3",
        "time_basis": "packet", "received_time": RECEIVED}),
    "goflow2-v1": Example([line(goflow1())], {
        **UNI, **MAC, **SAMPLED, **FLAGS, "observer": "192.0.2.1/7", "vlan": [12], "counter_layer": "L3",
        "time_basis": "packet", "received_time": RECEIVED}),
    "netobserv": Example([line(netobserv())], {
        **UNI, **MAC, **SAMPLED, **FLAGS, "observer": "192.0.2.1/eth0", "counter_layer": "L2", "time_basis": "packet",
        "received_time": RECEIVED, "dst_nat_ip": "10.9.9.9", "dst_nat_port": 8443, "src_nat_ip": None}),
    "netobserv-protobuf": Example([pbflow()], {
        **UNI, **MAC, **SAMPLED, **FLAGS, "observer": "192.0.2.1/eth0", "counter_layer": "L2",
        "time_basis": "packet"}),
    "zeek": Example([*ZEEK_HEADER, zeek_line()], {
        **BI, **MAC, "sampling_rate": 1, "counter_layer": "L3", "time_basis": "packet", "app_protocol": "ssl",
        "end_reason": "fin", "observer": "here"}, len(ZEEK_HEADER)),
    "zeek-json": Example([line(zeek())], {
        **BI, **MAC, "sampling_rate": 1, "counter_layer": "L3", "time_basis": "packet", "app_protocol": "ssl",
        "end_reason": "fin"}),
    "suricata": Example([line({"event_type": "stats", "timestamp": "x", "stats": {}}), line(suricata())], {
        **BI, "sampling_rate": 1, "counter_layer": "L2", "time_basis": "packet", "app_protocol": "tls",
        "tcp_flags": 0x1B, "tcp_flags_out": 0x1A, "tcp_flags_in": 0x13, "vlan": [12], "observer": "sensor/eth0",
        "received_time": RECEIVED}, 1),
    "hubble": Example([line({"lost_events": {"num_events_lost": 3}}), line(hubble())], {
        "directionality": "uni", "initiator_basis": "record", "bytes_out": None, "packets_out": None, **MAC,
        "counter_layer": None, "tcp_flags": 2, "observer": "paris/n1/lxc1", "end_time": START,
        "src_nat_ip": "10.9.9.9", "time_basis": "packet"}, 1),
    "aws": Example([AWS_LINE[:40] + b" - - - - - - 1760000000 1760000059 - NODATA", AWS_LINE], {
        **UNI, "start_time": START - 250_000, "end_time": 1760000059 * 10**6, "observer": "eni-0a",
        "counter_layer": None, "time_basis": "window", "src_nat_ip": None}, 1),
    "gcp": Example([line(gcp())], {
        **UNI, "counter_layer": "L4", "observer": "SRC/gke-1", "received_time": RECEIVED, "time_basis": "packet"}),
    "azure": Example([line(azure())], {
        **BI, "start_time": START, "end_time": START, "time_before": 1_800_000_000, "time_after": 999,
        "observer": "00224871C205", "time_basis": "window"}),
    "pmacct": Example([line({"event_type": "purge_init", "writer_id": "w"}), line(pmacct())], {
        **UNI, **MAC, **SAMPLED, **FLAGS, "observer": "192.0.2.1/7", "counter_layer": "L3",
        "src_nat_ip": "10.9.9.9", "src_nat_port": 555}, 1),
    "nfdump-json": Example([line(nfdump())], {
        **UNI, **FLAGS, "observer": "192.0.2.1/7", "counter_layer": "L3", "received_time": RECEIVED}, 0, PARIS),
    "nfdump-csv": Example([NFDUMP_HEADER, NFDUMP_LINE], {
        **UNI, **FLAGS, "observer": "192.0.2.1/7", "counter_layer": "L3", "received_time": RECEIVED}, 1, PARIS),
}  # fmt: skip
EXAMPLES["aws"].values[0] = b"2 123456789010 eni-0a - - - - - - - 1760000000 1760000059 - NODATA"


def read(values: list[bytes], format: str | None = None, options: RecordOptions | None = None) -> Parsed:
    """Read values as a stream does."""
    reader = reader_for(format, values, options)
    return reader.read(values, Ids("here", np.arange(len(values))))


def accounted(parsed: Parsed, count: int) -> None:
    """Every value has a flow, was refused, or was passed over with a word."""
    named = {one.index for one in (*parsed.refused, *parsed.skipped)} | set(parsed.rows.tolist())
    assert named == set(range(count))
    assert parsed.flows.num_rows == len(parsed.rows)
    assert len(set(parsed.flows["flow_id"].to_pylist())) == parsed.flows.num_rows
