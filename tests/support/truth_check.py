"""Hold named flows against what a lab knows to be true. Shared by the tests of committed and of live samples."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Row = dict[str, Any]
CERTAIN = ("exact", "likely")
# Kubelet times are whole seconds and are published up to 0.8 s late: this far inside a hold, all bounds are passed.
INSIDE = timedelta(seconds=2.0)
# Between the clocks of sockets and of packets.
SLACK = timedelta(milliseconds=100)


def read_truth(path: Path) -> tuple[list[Row], list[Row]]:
    """Connections and holders of a truth file."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [r for r in rows if r["row"] == "connection"], [r for r in rows if r["row"] == "holder"]


def key_of(row: Row) -> tuple[Any, ...]:
    """What a conversation is known by, initiator first."""
    return (row["vni"], row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"])


def by_key(table: Any) -> dict[tuple[Any, ...], list[Row]]:
    """Flows by protocol and key."""
    found = defaultdict(list)
    for row in table.to_pylist():
        found[(row["protocol"], *key_of(row))].append(row)
    return found


def of_that_time(flows: list[Row], connection: Row) -> list[Row]:
    """Those that overlap a connection: a pod's own interface sees the pings of that pod alone, not the next one's."""
    start, end = moment(connection["start"]) - SLACK, moment(connection["end"]) + SLACK
    return [one for one in flows if one["start_time"] <= end and one["end_time"] >= start]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def well_inside(connection: Row, uid: str, holders: list[Row]) -> bool:
    """Say whether the pod surely held its address during the whole connection, seen with kubelet times."""
    return any(
        hold["uid"] == uid
        and moment(hold["start"]) + INSIDE <= moment(connection["start"])
        and (hold["end"] is None or moment(connection["end"]) <= moment(hold["end"]) - INSIDE)
        for hold in holders
    )


def wrong_name(flow: Row, side: str, view: Row) -> str:
    """Say what is wrong with the answer for one end; empty when it is honest."""
    confidence, kind, truth = flow[f"{side}_confidence"], view[f"{side}_kind"], view[side]
    if kind == "pod":
        return _wrong_pod(flow, side, view[f"{side}_uid"])
    if kind == "service":
        named = f"{flow[f'{side}_namespace']}/{flow[f'{side}_service']}".removeprefix("None/")
        right = confidence == "service" and truth in (named, flow[f"{side}_service"])
        return "" if right else f"{side} is service {truth}, named {confidence} {named}"
    if kind in ("node", "snat"):
        wrong = confidence in CERTAIN or (confidence in ("node", "snat") and flow[f"{side}_node"] != truth)
        return f"{side} is {truth}, named {confidence} {flow[f'{side}_pod'] or flow[f'{side}_node']}" if wrong else ""
    return "" if confidence == "external" else f"{side} is outside, named {confidence}"


def _wrong_pod(flow: Row, side: str, uid: str) -> str:
    confidence = flow[f"{side}_confidence"]
    uids = [one["uid"] for one in flow[f"{side}_candidates"] or []]
    told = f"{side} of {flow['src_ip']} > {flow['dst_ip']} is uid {uid}, named {confidence} {flow[f'{side}_pod']}"
    if confidence in CERTAIN:
        return "" if flow[f"{side}_pod_uid"] == uid else told
    if confidence == "ambiguous" and flow["src_port"] is None:
        # All pings between two addresses are one conversation, whoever holds them: its first and last holder are named.
        return ""
    if confidence in ("ambiguous", "node", "snat"):
        return "" if uid in uids else f"{told}, candidates {uids}"
    return told


def wrong_sizes(flows: list[Row], connection: Row) -> str:
    """Compare IP bytes with the payload the sockets counted; headers make the rest. Empty when they fit."""
    ip = 40 if ":" in connection["src_ip"] else 20
    least, most = (8, 8) if connection["protocol"] == "udp" else (20, 60)
    for way in ("out", "in"):
        payload = connection[f"payload_{way}"]
        packets, size = (sum(flow[f"{name}_{way}"] for flow in flows) for name in ("packets", "bytes"))
        if not payload + packets * (ip + least) <= size <= payload + packets * (ip + most):
            return f"{connection['id']} {way}: {payload} bytes of payload in {packets} packets, {size} bytes said"
    return ""
