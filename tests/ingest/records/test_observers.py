"""An observer is a place where packets are counted once: two places of one exporter are two observers."""

from __future__ import annotations

from typing import Any

import pytest
from support.flow_logs import (
    NFDUMP_HEADER,
    NFDUMP_LINE,
    PARIS,
    goflow1,
    goflow2,
    goflow2_message,
    line,
    netobserv,
    nfdump,
    pmacct,
    read,
    varint,
    whole,
)

Interfaces = tuple[int, int, int]
"""in, out, direction: 0 = ingress or not told, 1 = egress."""
PLACES: dict[Interfaces, str] = {
    (0, 0, 0): "192.0.2.1",  # enters a switch by a tunnel
    (5, 0, 0): "192.0.2.1/5",
    (0, 5, 0): "192.0.2.1/5",  # leaves it to a pod; the pod's packets are counted at the same interface
    (0, 6, 1): "192.0.2.1/6",
    (1, 2, 0): "192.0.2.1/1",  # a router counts what comes in
    (1, 3, 0): "192.0.2.1/1",  # however it goes on
    (1, 2, 1): "192.0.2.1/2",  # or also what goes out, and says so
    (0, 0, 1): "192.0.2.1",
    (0x3FFFFFFF, 0, 0): "192.0.2.1",  # sFlow: the device itself
    (7, 0x3FFFFFFF, 1): "192.0.2.1/7",
}
EVERY = list(PLACES)


def observers(told: list[Any], **options: Any) -> list[str | None]:
    parsed = read([one if isinstance(one, bytes) else line(one) for one in told], **options)
    assert not parsed.refused
    found: list[str | None] = parsed.flows["observer"].to_pylist()
    return found


def message(*fields: bytes) -> bytes:
    body = goflow2_message()[1:] + b"".join(fields)
    return varint(len(body)) + body


def test_an_interface_counts_what_goes_in_and_what_goes_out() -> None:
    rows: dict[str, list[Any]] = {
        "goflow2": [goflow2(in_if=one, out_if=two, flow_direction=way) for one, two, way in EVERY],
        "protobuf": [message(whole(18, one), whole(19, two), whole(42, way)) for one, two, way in EVERY],
        "v1": [goflow1() | {"InIf": one, "OutIf": two, "FlowDirection": way} for one, two, way in EVERY],
    }
    for format, told in rows.items():
        assert observers(told) == list(PLACES.values()), format


def test_nfdump_and_pmacct_have_the_same_places() -> None:
    told = [nfdump() | {"input_snmp": one, "output_snmp": two, "direction": way} for one, two, way in EVERY]
    assert observers(told, options=PARIS) == list(PLACES.values())
    header = NFDUMP_HEADER.replace(b",in,", b",in,out,dir,")
    rows = [NFDUMP_LINE.replace(b",0,0,7,", b",0,0,%d,%d,%d," % one) for one in EVERY]
    assert observers([header, *rows], options=PARIS) == list(PLACES.values())
    told = [pmacct(iface_in=one, iface_out=two) for one, two, _ in EVERY]
    silent = [place if way == 0 else PLACES.get((one, two, 0), place) for (one, two, way), place in PLACES.items()]
    assert observers(told) == silent


def test_observation_points_are_told_apart_by_their_numbers() -> None:
    """Two stages of one switch count the same packet; a domain alone may be a router's card or processor."""
    points = [(0, 0, ""), (123, 0, ""), (123, 456, "/123:456"), (123, 457, "/123:457"), (124, 456, "/124:456")]
    ids = [{"observation_domain_id": domain, "observation_point_id": point} for domain, point, _ in points]
    wanted = [f"192.0.2.1{place}/7" for _, _, place in points]
    assert observers([goflow2(**one) for one in ids]) == wanted
    assert observers([message(whole(70, domain), whole(71, point)) for domain, point, _ in points]) == wanted
    old = [{"ObservationDomainID": domain, "ObservationPointID": point} for domain, point, _ in points]
    assert observers([goflow1() | one for one in old]) == wanted


@pytest.mark.parametrize("names", [["eth0", "veth1"], ["veth1", "eth0"], ["eth0", "veth1", "eth0"]])
def test_netobserv_s_interfaces_are_one_place_in_any_order(names: list[str]) -> None:
    assert observers([netobserv(Interfaces=names)]) == ["192.0.2.1/eth0,veth1"]
