"""Fields of known logs are found by themselves, and the answer is that of `whowas who`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.annotating import AT, AT_S, WEB, annotate, unread
from support.cluster_story import Story, complete, live, stamp, us

from enrich import History, NamingOptions
from enrich.naming.who import who_at
from whowas.annotation.annotator import Choice
from whowas.annotation.known_logs import KINDS
from whowas.annotation.run import Form
from whowas.errors import ConfigError
from whowas.timestamps import moment_us

IP, SERVICE = "10.244.1.20", "10.96.0.10"
NS = AT_S * 10**9
LOGS: dict[str, tuple[Any, list[str]]] = {
    "suricata alert": (
        {"timestamp": "2026-11-21T08:39:36.000000+0000", "event_type": "alert", "src_ip": IP, "dest_ip": SERVICE,
         "flow": {"start": "2026-11-21T08:39:35.000000+0000"}}, ["src_ip", "dest_ip"]),
    "zeek": ({"ts": AT_S + 0.25, "id.orig_h": IP, "id.resp_h": SERVICE, "duration": 0.5}, ["id.orig_h", "id.resp_h"]),
    "zeek, nested": ({"ts": AT, "id": {"orig_h": IP, "resp_h": SERVICE}}, ["id.orig_h", "id.resp_h"]),
    "zeek, no dots": ({"ts": AT_S, "id_orig_h": IP, "id_resp_h": SERVICE, "duration": 0.5}, ["id_orig_h", "id_resp_h"]),
    "zeek dhcp": ({"ts": AT_S, "client_addr": IP, "server_addr": SERVICE}, ["client_addr", "server_addr"]),
    "zeek software": ({"ts": AT_S, "host": IP, "name": "curl"}, ["host"]),
    "falco": (
        {"time": "2026-11-21T08:39:36.123456789Z", "rule": "Outbound", "output_fields": {
            "evt.time": NS, "fd.cip": IP, "fd.sip": SERVICE}}, ["output_fields.fd.sip", "output_fields.fd.cip"]),
    "kubernetes audit": (
        {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "sourceIPs": [IP, SERVICE], "requestReceivedTimestamp": AT},
        ["sourceIPs"]),
    "gke audit": (
        {"protoPayload": {"requestMetadata": {"callerIp": IP}}, "timestamp": AT},
        ["protoPayload.requestMetadata.callerIp"]),
    "cloudtrail": ({"eventTime": AT[:19] + "Z", "sourceIPAddress": IP}, ["sourceIPAddress"]),
    "ecs": (
        {"@timestamp": AT, "source": {"ip": IP, "port": 1}, "destination": {"ip": SERVICE}},
        ["source.ip", "destination.ip"]),
    "ecs, dotted": ({"@timestamp": AT, "source.ip": IP, "destination.ip": SERVICE}, ["source.ip", "destination.ip"]),
    "ocsf": (
        {"time": AT_S * 1000, "src_endpoint": {"ip": IP}, "dst_endpoint": {"ip": SERVICE}},
        ["src_endpoint.ip", "dst_endpoint.ip"]),
    "hubble": (
        {"flow": {"time": AT, "IP": {"source": IP, "destination": SERVICE}}},
        ["flow.IP.source", "flow.IP.destination"]),
    "gcp": (
        {"jsonPayload": {"connection": {"src_ip": IP, "dest_ip": SERVICE}, "start_time": AT, "end_time": AT}},
        ["jsonPayload.connection.src_ip", "jsonPayload.connection.dest_ip"]),
    "netobserv": (
        {"SrcAddr": IP, "DstAddr": SERVICE, "TimeFlowStartMs": AT_S * 1000, "TimeFlowEndMs": AT_S * 1000 + 5},
        ["SrcAddr", "DstAddr"]),
    "goflow2": (
        {"src_addr": IP, "dst_addr": SERVICE, "time_flow_start_ns": NS, "time_flow_end_ns": NS + 5,
         "time_received_ns": NS + 10**12}, ["src_addr", "dst_addr"]),
    "pmacct": (
        {"ip_src": IP, "ip_dst": SERVICE, "timestamp_start": f"{AT_S}.000000", "timestamp_end": f"{AT_S}.500000"},
        ["ip_src", "ip_dst"]),
    "whowas": ({"src_ip": IP, "dst_ip": SERVICE, "start_time": AT, "end_time": AT}, ["src_ip", "dst_ip"]),
    "firewall": ({"time": AT, "src": IP, "dst": SERVICE, "action": "deny"}, ["src", "dst"]),
    "proxy": ({"start_time": AT, "downstream_remote_address": f"{IP}:40000"}, ["downstream_remote_address"]),
}  # fmt: skip


@pytest.mark.parametrize("log", LOGS)
def test_the_fields_of_a_known_log_are_found(overlay: History, log: str) -> None:
    record, fields = LOGS[log]
    found = annotate(json.dumps(record).encode() + b"\n", overlay)
    (told,) = found.objects()
    added = {name.removesuffix("_whowas"): told[name] for name in told if name.endswith("_whowas")}
    assert sorted(added) == sorted(fields)
    answers = [one for value in added.values() for one in (value if isinstance(value, list) else [value])]
    assert {one.get("pod") or one.get("service") for one in answers} <= {WEB, "kube-dns"}
    assert [one["confidence"] for one in answers if one.get("pod") == WEB] == ["exact"]


def test_every_kind_that_is_known_is_tried_here() -> None:
    told = {name for log in LOGS.values() for name in log[1]}
    missing = [kind.name for kind in KINDS if not told & set(kind.addresses)]
    # Tables, below.
    assert missing == ["nfdump", "nfdump", "nfdump", "VPC flow log"]


TABLES = {
    "vpc": b"version srcaddr dstaddr pkt-srcaddr pkt-dstaddr start end\n2 %s - %s 10.96.0.10 %d %d\n"
    % (IP.encode(), IP.encode(), AT_S, AT_S + 1),
    "nfdump": b"first,last,src4_addr,dst4_addr\n%s,%s,%s,10.96.0.10\n" % (AT.encode(), AT.encode(), IP.encode()),
    "nfdump csv": b"ts,te,td,sa,da,sp,dp,pr\n2026-11-21 08:39:36,2026-11-21 08:39:36,0.0,%s,10.96.0.10,1,2,UDP\n"
    % IP.encode(),
    "nfdump csv of 1.7.3": b"firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort\n"
    b"2026-11-21 08:39:36.100,0.300,UDP,%s,1,10.96.0.10,2\n" % IP.encode(),
    "siem": b'"@timestamp";"source.ip";"rule"\n"%s";"%s";"a;b"\n' % (AT.encode(), IP.encode()),
    "tsv": b"Timestamp\tSRC_IP\tDst-IP\n%s\t%s\t10.96.0.10\n" % (AT.encode(), IP.encode()),
}


@pytest.mark.parametrize("table", TABLES)
def test_columns_of_a_known_table_are_found(overlay: History, table: str) -> None:
    found = annotate(TABLES[table], overlay, zone="UTC")
    assert found.done.tally.named == 1
    assert WEB in found.data.decode()
    assert unread(found) == {}


def test_a_table_without_a_header_takes_one(overlay: History) -> None:
    line = b"2 123 eni-1 %s 10.96.0.10 1 2 6 1 1 %d %d ACCEPT OK\n" % (IP.encode(), AT_S, AT_S + 1)
    names = "version account interface srcaddr dstaddr srcport dstport protocol packets bytes start end action status"
    found = annotate(line, overlay, form=Form(delimiter=" ", header=tuple(names.split())))
    # A minute before its start the history had not begun.
    assert found.data.startswith(line[:-1] + b" likely ")


def test_a_flow_is_named_by_its_time_and_not_by_that_of_its_line(overlay: History, root: Any) -> None:
    """The samples' flow records were written a minute later, when the history had ended."""
    data = (root / "samples" / "annotate" / "eve.json").read_bytes()
    told = annotate(data, overlay).objects()
    flows = [one for one in told if one["event_type"] == "flow"]
    assert len(flows) > 50
    assert not [one for one in flows if one["src_ip_whowas"]["confidence"] == "unknown"]
    late = [{name: value for name, value in one.items() if "whowas" not in name} for one in flows]
    lines = "".join(json.dumps(one) + "\n" for one in late).encode()
    by_line = annotate(lines, overlay, Choice(addresses=("src_ip",), time="timestamp")).objects()
    words = {one["src_ip_whowas"]["confidence"] for one in by_line}
    assert "unknown" in words
    assert "exact" not in words


def test_an_address_that_changes_hands_within_a_flow_is_ambiguous() -> None:
    story = Story()
    first = live(story, "a", "10.244.1.9", 0)
    complete(story, first, 20, 21)
    live(story, "b", "10.244.1.9", 30)
    line = json.dumps({"src_ip": "10.244.1.9", "dst_ip": "8.8.8.8", "start_time": stamp(10), "end_time": stamp(40)})
    (told,) = annotate(line.encode() + b"\n", story.history()).objects()
    assert told["src_ip_whowas"]["confidence"] == "ambiguous"
    assert [one["name"] for one in told["src_ip_whowas"]["candidates"]] == ["a", "b"]
    assert told["dst_ip_whowas"]["confidence"] == "external"


def test_answers_are_those_of_who(overlay: History) -> None:
    """Every address of the samples, every half second: the same word, reason and holder."""
    ips = ["10.244.1.20", "10.244.1.21", "10.244.1.22", "10.96.0.10", "192.168.50.1", "203.0.113.10", "10.244.1.99"]
    moments = [moment_us("2026-11-21T08:39:30Z") + step * 500_000 for step in range(0, 150, 3)]
    asked = [(ip, us_) for ip in ips for us_ in moments]
    lines = "".join(json.dumps({"ip": ip, "ts": us_}) + "\n" for ip, us_ in asked)
    told = annotate(lines.encode(), overlay).objects()
    assert len({one["ip_whowas"]["confidence"] for one in told}) >= 6
    for (ip, us_), one in zip(asked, told, strict=True):
        answer, mine = who_at(overlay, ip, us_, NamingOptions()), one["ip_whowas"]
        assert (mine["confidence"], mine["reason"]) == (answer.confidence, answer.reason)
        if answer.holder is not None and answer.holder.kind == "pod":
            assert mine["pod"] == answer.holder.name
            assert mine["labels"] == answer.holder.labels
            assert mine["workload"] == answer.holder.workload


def test_a_mixed_stream_finds_each_kind_when_it_comes(overlay: History) -> None:
    lines = [json.dumps(LOGS[log][0]) for log in ("suricata alert", "falco", "ecs", "firewall", "kubernetes audit")]
    told = annotate("\n".join(lines).encode(), overlay).objects()
    assert [sum(name.endswith("_whowas") for name in one) for one in told] == [2, 2, 2, 2, 1]


def test_what_is_told_is_taken_and_nothing_else(overlay: History) -> None:
    record = {"timestamp": "never", "when": AT, "src_ip": SERVICE, "dest_ip": SERVICE, "a.b": {"c": IP}, "n": 1}
    choice = Choice(addresses=("a.b.c",), time="when", columns=("pod", "confidence"), suffix="_name")
    (told,) = annotate(json.dumps(record).encode(), overlay, choice).objects()
    assert told == record | {"a.b.c_name": {"pod": WEB, "confidence": "exact"}}


def test_one_time_for_all(overlay: History) -> None:
    found = annotate(b'{"client_ip":"%s"}\n' % IP.encode(), overlay, Choice(at_us=moment_us(AT)))
    assert found.objects()[0]["client_ip_whowas"]["pod"] == WEB
    table = annotate(b"client_ip,x\n%s,1\n" % IP.encode(), overlay, Choice(at_us=moment_us(AT)))
    assert WEB in table.data.decode()


@pytest.mark.parametrize(
    ("data", "choice", "message"),
    [
        (b"a,b\n1,2\n", Choice(), "cannot tell which columns hold addresses: there are a, b"),
        (b"src_ip,b\n1,2\n", Choice(addresses=("src_ip",)), "cannot tell which column holds the time"),
        (b"a,b\n1,2\n", Choice(addresses=("c",)), "cannot find column 'c'"),
        (b"src_ip,time,src_ip_whowas_pod\n1,2\n", Choice(), "there is one already"),
    ],
)
def test_a_table_that_cannot_be_named_is_refused(overlay: History, data: bytes, choice: Choice, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        annotate(data, overlay, choice)


def test_columns_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot add column 'podd'"):
        Choice(columns=("podd",))


def test_times_of_the_far_future_are_unknown(overlay: History) -> None:
    line = json.dumps({"src_ip": IP, "dest_ip": IP, "timestamp": us(0) * 1000})
    (told,) = annotate(line.encode(), overlay).objects()
    assert told["src_ip_whowas"]["confidence"] == "unknown"
