"""Lists the address and time fields of known logs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from whowas.flow_times import EXACT, FLOW_TIMES, NO_TIME, UPTIME, TimeBounds

Path = tuple[str, ...]
PMACCT, COUNTED = FLOW_TIMES["pmacct"].values()
NFDUMP_CSV = FLOW_TIMES["nfdump-csv"]["whole seconds"]
NFDUMP, AWS = FLOW_TIMES["nfdump-json"][""], FLOW_TIMES["aws"][""]
# A dotted name may be one key or several; more dots than this in one key are not looked for.
DOTS = 4


@dataclass(frozen=True)
class Span:
    """The fields that tell when. end, or length in seconds, make it a span; without them it is a moment.

    bounds: what the times mean, beyond what their spelling tells.
    """

    start: str
    end: str = ""
    length: str = ""
    bounds: TimeBounds = EXACT


@dataclass(frozen=True)
class Kind:
    """A known log. addresses, times: names of its fields as people write them, dots between keys; best time first.

    need: so many of the addresses must be there for it to be this log, and not another with one field alike.
    nested: a dot always means an object in an object; else it may also be part of a key.
    """

    name: str
    addresses: tuple[str, ...]
    times: tuple[Span, ...]
    need: int = 1
    nested: bool = False

    def paths(self, word: str) -> tuple[Path, ...]:
        """Return the ways in which this log spells a field."""
        return (tuple(word.split(".")),) if self.nested else spellings(word)


# Of a flow, the span: the line may have been written long after, when the address was somebody else's.
KINDS: tuple[Kind, ...] = (
    Kind("Kubernetes audit", ("sourceIPs",), (Span("requestReceivedTimestamp"),)),
    Kind("GKE audit", ("protoPayload.requestMetadata.callerIp",), (Span("timestamp"),)),
    Kind("CloudTrail", ("sourceIPAddress",), (Span("eventTime"),)),
    Kind(
        "Falco",
        ("output_fields.fd.sip", "output_fields.fd.cip", "output_fields.fd.lip", "output_fields.fd.rip"),
        (Span("output_fields.evt.time"), Span("time")),
    ),
    Kind(
        "Zeek",
        ("id.orig_h", "id.resp_h", "tx_hosts", "rx_hosts"),
        (Span("ts", length="duration"), Span("ts")),
    ),
    # As shippers write it that take no dots.
    Kind("Zeek", ("id_orig_h", "id_resp_h"), (Span("ts", length="duration"), Span("ts")), need=2),
    Kind("Hubble", ("flow.IP.source", "flow.IP.destination"), (Span("flow.time"), Span("time")), nested=True),
    Kind(
        "Suricata",
        ("src_ip", "dest_ip"),
        (Span("flow.start", "flow.end"), Span("netflow.start", "netflow.end"), Span("timestamp")),
        need=2,
        nested=True,
    ),
    Kind(
        "ECS",
        ("source.ip", "destination.ip", "client.ip", "server.ip", "source.nat.ip", "destination.nat.ip"),
        (Span("event.start", "event.end"), Span("@timestamp")),
    ),
    Kind(
        "OCSF",
        ("src_endpoint.ip", "dst_endpoint.ip"),
        (Span("start_time", "end_time"), Span("time")),
    ),
    Kind(
        "GCP VPC flow log",
        ("jsonPayload.connection.src_ip", "jsonPayload.connection.dest_ip"),
        (Span("jsonPayload.start_time", "jsonPayload.end_time"),),
        nested=True,
    ),
    Kind(
        "NetObserv",
        ("SrcAddr", "DstAddr"),
        (
            Span("TimeFlowStartMs", "TimeFlowEndMs"),
            Span("TimeFlowStart", "TimeFlowEnd"),
            Span("TimeReceived", bounds=NO_TIME),
        ),
        need=2,
    ),
    Kind(
        "goflow2",
        ("src_addr", "dst_addr"),
        (Span("time_flow_start_ns", "time_flow_end_ns", bounds=UPTIME), Span("time_received_ns", bounds=NO_TIME)),
        need=2,
    ),
    Kind(
        "pmacct",
        ("ip_src", "ip_dst"),
        (
            Span("timestamp_start", "timestamp_end", bounds=PMACCT),
            Span("stamp_inserted", "stamp_updated", bounds=COUNTED),
            Span("stamp_inserted", bounds=COUNTED),
        ),
        need=2,
    ),
    Kind("nfdump", ("src4_addr", "dst4_addr", "src6_addr", "dst6_addr"), (Span("first", "last", bounds=NFDUMP),), 2),
    # Its CSV, before and after 1.7.3.
    Kind("nfdump", ("sa", "da"), (Span("ts", "te", bounds=NFDUMP_CSV),), need=2),
    Kind(
        "nfdump",
        ("srcAddr", "dstAddr"),
        (
            Span("firstSeen", "lastSeen", bounds=NFDUMP_CSV),
            Span("firstSeen", length="duration", bounds=NFDUMP_CSV),
            Span("firstSeen", bounds=NFDUMP_CSV),
        ),
        need=2,
    ),
    Kind(
        "VPC flow log",
        ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr"),
        (Span("start", "end", bounds=AWS),),
        need=2,
    ),
    Kind("whowas", ("src_ip", "dst_ip"), (Span("start_time", "end_time"),), need=2),
    Kind(
        "log",
        (
            *("src_ip", "dst_ip", "dest_ip", "source_ip", "destination_ip", "src", "dst", "srcip", "dstip"),
            *("sip", "dip", "saddr", "daddr", "source_address", "destination_address", "client_ip", "clientip"),
            *("server_ip", "remote_ip", "remote_addr", "peer_ip", "pod_ip", "ip", "ip_address", "addr", "host", "peer"),
            *("client_addr", "server_addr", "assigned_addr", "requested_addr", "x_forwarded_for"),
            *("downstream_remote_address", "upstream_host", "connection.src_ip", "connection.dest_ip"),
        ),
        (
            *(Span("start_time", "end_time"), Span("start", "end"), Span("ts", length="duration"), Span("timestamp")),
            *(Span("@timestamp"), Span("time"), Span("ts"), Span("eventtime"), Span("event_time"), Span("eventTime")),
            *(Span("_time"), Span("datetime"), Span("time_iso8601"), Span("receive_time"), Span("start_time")),
            *(Span("start"), Span("created_at"), Span("date")),
        ),
    ),
)
ALL_ADDRESSES = tuple(dict.fromkeys(itertools.chain.from_iterable(one.addresses for one in KINDS)))
# Whether it is worth to look into a line at all: the last key of any known field stands in it.
LAST_KEYS = {part for name in ALL_ADDRESSES for part in (name, name.rsplit(".", 1)[-1], ".".join(name.split(".")[-2:]))}
WORTH = re.compile(f'"(?:{"|".join(sorted(map(re.escape, LAST_KEYS)))})"\\s*:'.encode())


@lru_cache(maxsize=512)
def spellings(name: str) -> tuple[Path, ...]:
    """Return every way in which keys can make up a dotted name: `source.ip` is one key, or two."""
    parts = name.split(".")
    if len(parts) > DOTS + 1:
        return (tuple(parts), (name,))
    found = []
    for cuts in itertools.product((False, True), repeat=len(parts) - 1):
        path = [parts[0]]
        for cut, part in zip(cuts, parts[1:], strict=True):
            if cut:
                path.append(part)
            else:
                path[-1] += f".{part}"
        found.append(tuple(path))
    return tuple(found)


def value_in(record: Any, name: str) -> Any:
    """Return what a decoded record has under a dotted name; None for nothing."""
    for path in spellings(name):
        value = record
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def plain_name(name: str) -> str:
    """A column's name as kinds are compared: `Pkt-SrcAddr` is pkt_srcaddr."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def kind_of_columns(
    names: Sequence[str], *, timed: bool, own: Sequence[str] = ()
) -> tuple[Kind, dict[str, str]] | None:
    """Return the kind whose fields are among these columns, and which column each of its fields is.

    timed: it must have a time. own: the addresses are in these, whatever the kind says.
    """
    mine = {plain_name(one): one for one in reversed(names)} | {one: one for one in reversed(names)}
    for kind in KINDS:
        told = {one: mine.get(one) or mine.get(plain_name(one)) for one in _fields(kind)}
        known = {one: name for one, name in told.items() if name is not None}
        if not own and sum(one in known for one in kind.addresses) < kind.need:
            continue
        if not timed or any(_has(span, known) for span in kind.times):
            return kind, known
    return None


def _fields(kind: Kind) -> Iterable[str]:
    return dict.fromkeys((*kind.addresses, *(word for span in kind.times for word in words_of(span))))


def words_of(span: Span) -> tuple[str, ...]:
    """Return the fields that a span takes."""
    return tuple(word for word in (span.start, span.end, span.length) if word)


def _has(span: Span, known: dict[str, str]) -> bool:
    return all(word in known for word in words_of(span))
