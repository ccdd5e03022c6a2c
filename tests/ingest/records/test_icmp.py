"""ICMP has no ports: a type and a code, which exporters write in fields of their own or into the port."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.flow_logs import PARIS, goflow1, goflow2, goflow2_message, line, nfdump, pmacct, read, varint, whole

from ingest.columns.community_id import community_ids

HERE, THERE = "10.1.0.5", "10.2.0.9"
SIX = {"proto": "IPv6-ICMP", "src_addr": "fd00::5", "dst_addr": "fd00::9"}
OCTETS = {HERE: bytes(10) + b"\xff\xff\x0a\x01\x00\x05", THERE: bytes(10) + b"\xff\xff\x0a\x02\x00\x09"}
OCTETS |= {f"fd00::{last}": b"\xfd" + bytes(14) + bytes([last]) for last in (5, 9)}


def id_of(src: str, dst: str, protocol: int, kind: int, code: int = 0) -> str:
    first, second = (np.frombuffer(OCTETS[one], dtype=np.uint8).reshape(1, 16) for one in (src, dst))
    nothing = np.array([0])
    ports = nothing, nothing, np.array([False])
    family = np.array([6 if ":" in src else 4])
    return str(community_ids(first, second, family, np.array([protocol]), ports, np.array([kind << 8 | code]))[0])


PING, OTHER_PING = id_of(HERE, THERE, 1, 8), id_of(HERE, THERE, 1, 0)


def ids(*told: dict[str, Any] | bytes) -> list[str | None]:
    parsed = read([one if isinstance(one, bytes) else line(one) for one in told])
    assert not parsed.refused
    assert parsed.flows["src_port"].to_pylist() == parsed.flows["dst_port"].to_pylist() == [None] * len(told)
    return list(parsed.flows["community_id"].to_pylist())


def ping(back: bool = False, **more: str | int) -> dict[str, Any]:
    ends = {"src_addr": THERE, "dst_addr": HERE} if back else {}
    fields: dict[str, Any] = {"proto": "ICMP", "src_port": 0, "tcp_flags": 0, "icmp_type": 0, "icmp_code": 0}
    told: dict[str, Any] = goflow2(**fields | ends | more)
    return told


def test_a_request_and_its_reply_are_not_alike() -> None:
    assert PING == id_of(THERE, HERE, 1, 0) != OTHER_PING


@pytest.mark.parametrize("kind", ["NETFLOW_V5", "NETFLOW_V9", "IPFIX"])
def test_goflow2_has_the_type_in_the_port_where_its_own_fields_are_zero(kind: str) -> None:
    assert ids(ping(type=kind, dst_port=2048), ping(True, type=kind, dst_port=0)) == [PING, PING]
    assert ids(ping(type=kind, dst_port=3 << 8 | 4)) == [id_of(HERE, THERE, 1, 3, 4)]


def test_goflow2_s_own_fields_are_taken_where_they_say_something() -> None:
    for port in (0, 2048, 771):
        assert ids(ping(type="IPFIX", dst_port=port, icmp_type=8)) == [PING]
    assert ids(ping(True, type="SFLOW_5", dst_port=0)) == [PING]


def test_goflow2_without_fields_for_it_tells_it_in_version_5_alone() -> None:
    bare = [{key: value for key, value in ping(True, type=kind, dst_port=0).items() if "icmp" not in key}
            for kind in ("NETFLOW_V5", "NETFLOW_V9")]  # fmt: skip
    assert ids(*bare) == [PING, None]
    told = {key: value for key, value in ping(True).items() if "port" not in key}
    assert ids(told) == [PING]


def test_ports_that_are_no_type_and_code_are_no_echo_reply() -> None:
    """8 may be a type alone; a source port says that the ports are something else, an identifier for example."""
    assert ids(ping(type="NETFLOW_V5", dst_port=8), ping(dst_port=255)) == [None, None]
    with_identifier = ping(type="NETFLOW_V5", dst_port=0) | {"src_port": 4711}
    assert ids(with_identifier, with_identifier | {"type": "IPFIX", "dst_port": 2048}) == [None, None]


def test_icmpv6_has_no_type_zero() -> None:
    request = ping(dst_port=128 << 8) | SIX
    reply = request | {"src_addr": SIX["dst_addr"], "dst_addr": SIX["src_addr"]}
    wanted = id_of("fd00::5", "fd00::9", 58, 128)
    assert ids(request, reply | {"dst_port": 129 << 8}) == [wanted, wanted]
    assert ids(request | {"dst_port": 0}, request | {"dst_port": 135}) == [None, None]


def test_goflow2_version_1_and_protobuf_are_read_alike() -> None:
    told = goflow1() | {"Proto": 1, "Type": "NETFLOW_V5", "SrcPort": 0, "IcmpType": 0, "IcmpCode": 0}
    back = {"SrcAddr": THERE, "DstAddr": HERE, "DstPort": 0}
    assert ids(told | {"DstPort": 2048}, told | back) == [PING, PING]
    assert ids(told | {"Type": "IPFIX", "IcmpType": 8, "DstPort": 0}) == [PING]
    body = goflow2_message()[1:]
    assert goflow2_message() == varint(len(body)) + body
    for kind, port, icmp in ((2, 2048, 0), (3, 2048, 0), (4, 0, 8)):
        more = b"".join([whole(1, kind), whole(20, 1), whole(21, 0), whole(22, port), whole(31, icmp), whole(26, 0)])
        assert ids(varint(len(body + more)) + body + more) == [PING]


def test_nfdump_s_csv_has_one_number_or_two() -> None:
    head = b"ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt,in,ra,tr"
    times = b"2025-10-09 10:53:20.250,2025-10-09 10:53:23.750,3.5,"
    ends = [b"10.1.0.5,10.2.0.9", b"10.2.0.9,10.1.0.5"]
    pings = [(0, b"0,2048"), (1, b"0,0"), (0, b"0,8.0"), (1, b"0,0.0")]
    others = [b"0,3.4", b"0,772", b"0,8", b"0,70000", b"0,300.0", b"0,-"]
    rows = pings + [(0, one) for one in others]
    lines = [times + ends[way] + b"," + told + b",ICMP,........,1,36,0,0,0,0.0.0.0," for way, told in rows]
    lines = [one + b"2025-10-09 10:54:20.000" for one in lines]
    found = read([head, *lines], options=PARIS).flows["community_id"].to_pylist()
    unreachable = id_of(HERE, THERE, 1, 3, 4)
    assert found == [PING] * 4 + [unreachable] * 2 + [None] * 4


def test_nfdump_s_json_without_fields_for_it_has_the_port() -> None:
    plain = {key: value for key, value in nfdump().items() if not key.endswith("_port")} | {"proto": 1}
    told = [plain | {"icmp_type": 8, "icmp_code": 0}, plain | {"src_port": 0, "dst_port": 2048}, plain]
    found = read([line(one) for one in told], options=PARIS).flows["community_id"].to_pylist()
    assert found == [PING, PING, None]


def test_pmacct_tells_a_type_only_where_the_port_is_one() -> None:
    """NetFlow v5 through pmacct has no ports for ICMP at all: zero is no echo reply there."""
    told = pmacct(ip_proto="icmp", port_src=0)
    assert ids(told | {"port_dst": 2048}, told | {"port_dst": 0}, told | {"port_dst": 135}) == [PING, None, None]
