"""Every column of a flow once: name, type, unit, meaning. Docs, checks and Parquet files come from here.

The names are flat snake_case and both ends are alike: every `src_` column has its `dst_` twin. `src` is
the end that opened the conversation (see `initiator_basis`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from whowas.errors import SchemaError

TIME = pa.timestamp("us", tz="UTC")
WORD = pa.dictionary(pa.int32(), pa.string())
ADDRESS = pa.binary(16)
# Table formats and Spark know no unsigned numbers; they take those of Parquet for negative ones, or refuse them.
NUMBER = pa.int32()
PORTS, FLAGS = 65_535, 4_095
LABELS = pa.map_(pa.string(), pa.string())
CANDIDATE = pa.struct(
    [
        pa.field("kind", pa.string()),
        pa.field("namespace", pa.string()),
        pa.field("name", pa.string()),
        pa.field("uid", pa.string()),
        pa.field("workload", pa.string()),
        pa.field("reason", pa.string()),
    ]
)

CONFIDENCES = ("exact", "likely", "ambiguous", "node", "service", "snat", "external", "none", "unknown")
"""The words of src_/dst_confidence, in the order in which they are always shown."""

POLICY_VERDICTS = ("allowed", "denied", "open", "indeterminate", "undefined", "unsupported")
"""The words of policy_verdict, in the order in which they are always shown. Null: not judged."""

MTLS_MODES = ("strict", "permissive", "disable")
"""The words of mtls_mode."""

VERSION = "2"
"""Of the columns' types and the folders' names, as files tell it (docs/reference/schema.md says what changed)."""
# What folders' names tell beyond the columns (Hive partitions). Readers that guess take them for numbers too: no zero
# stands before them.
PARTITIONS = {"event_day": pa.int64(), "event_hour": pa.int64()}
KINDS = ("pod", "service", "node", "external")
END_REASONS = ("fin", "rst", "idle_timeout", "active_timeout", "end_of_capture", "table_full")
INITIATOR_BASES = ("syn", "first_packet", "record", "sender")
DIRECTIONALITIES = ("bi", "uni")
COUNTER_LAYERS = ("L2", "L3", "L4")
ENCRYPTED = ("yes", "no", "unknown")
TIME_BASES = ("packet", "uptime", "export", "window", "receive")


@dataclass(frozen=True)
class Column:
    """One column. `unit` is empty where the type says all; `step` is the room that fills it.

    most: the largest value of numbers of which there are few, from 0 on; 0 for all else.
    """

    name: str
    type: Any
    unit: str
    meaning: str
    step: str = "ingest"
    most: int = 0


def _end(side: str, other: str) -> list[Column]:
    """The addresses of one end, as the capture or record gives them."""
    role = "opened" if side == "src" else "accepted"
    uni = "sent" if side == "src" else "was sent to"
    return [
        Column(f"{side}_ip", WORD, "", f"Address of the end that {role} the conversation (uni: that {uni}), as text"),
        Column(f"{side}_ip16", ADDRESS, "16 bytes, IPv4 as ::ffff:a.b.c.d", f"{side}_ip for range conditions"),
        Column(f"{side}_port", NUMBER, "", f"Port of {side}_ip; null where the protocol has none", most=PORTS),
        Column(f"{side}_mac", WORD, "", f"Innermost Ethernet address next to {side}_ip; null without Ethernet"),
        Column(
            f"{side}_spoke_time",
            TIME,
            "us, UTC",
            f"Time of the first packet that {side}_ip sent itself (TCP without RST, UDP); null: none, or not told",
        ),
        Column(f"{side}_nat_ip", WORD, "", f"{side}_ip after translation, where a record tells; not {other}"),
        Column(f"{side}_nat_port", NUMBER, "", f"{side}_port after translation, where a record tells", most=PORTS),
        Column(
            f"{side}_told_name", WORD, "", "Name that the record itself gives this end, never used for ours; or null"
        ),
        Column(f"{side}_told_namespace", WORD, "", "Namespace that the record itself gives; null: none or not told"),
    ]


def _name(side: str) -> list[Column]:
    """What naming adds to one end."""
    return [
        Column(f"{side}_confidence", WORD, "", "How sure the name is: " + ", ".join(CONFIDENCES), "enrich"),
        Column(f"{side}_reason", WORD, "", "Why the name is that sure, in words", "enrich"),
        Column(f"{side}_kind", WORD, "", "What held the address: " + ", ".join(KINDS) + "; null if unknown", "enrich"),
        Column(f"{side}_namespace", WORD, "", "Namespace of the pod or service", "enrich"),
        Column(f"{side}_pod", WORD, "", "Name of the pod", "enrich"),
        Column(f"{side}_pod_uid", WORD, "", "UID of the pod: two pods of one name differ here", "enrich"),
        Column(f"{side}_workload", WORD, "", "Top owner by UID, else the pod; name of an external range", "enrich"),
        Column(f"{side}_workload_kind", WORD, "", "Deployment, StatefulSet, DaemonSet, Job, CronJob, Pod…", "enrich"),
        Column(f"{side}_service", WORD, "", "Service addressed, or Services the pod served then (comma)", "enrich"),
        Column(f"{side}_node", WORD, "", "Node of the pod, or the node itself", "enrich"),
        Column(f"{side}_zone", WORD, "", "topology.kubernetes.io/zone of that node at the flow's start", "enrich"),
        Column(f"{side}_labels", LABELS, "", "Labels of the pod as they were at the flow's start", "enrich"),
        Column(f"{side}_service_account", WORD, "", "spec.serviceAccountName", "enrich"),
        Column(
            f"{side}_spiffe_id",
            WORD,
            "",
            "SPIFFE id that the pod was issued (derived, never seen)",
            "enrich",
        ),
        Column(f"{side}_images", pa.list_(pa.string()), "", "Images of its containers at the flow's start", "enrich"),
        Column(
            f"{side}_candidates", pa.list_(CANDIDATE), "", "All that may have held the address, best first", "enrich"
        ),
    ]


OBSERVATION = pa.struct(
    [
        pa.field("observer", pa.string()),
        pa.field("direction", pa.string()),
        pa.field("tunnels", pa.string()),
        pa.field("vni", NUMBER),
        pa.field("packets_out", pa.int64()),
        pa.field("bytes_out", pa.int64()),
        pa.field("packets_in", pa.int64()),
        pa.field("bytes_in", pa.int64()),
        pa.field("dst_ip", pa.string()),
        pa.field("dst_port", NUMBER),
    ]
)

COLUMNS: tuple[Column, ...] = (
    Column("flow_id", pa.string(), "32 hex digits", "Stable id: the same input gives the same id"),
    Column("start_time", TIME, "us, UTC", "Time of the first packet, as the record tells it; null if it tells none"),
    Column("end_time", TIME, "us, UTC", "Time of the last packet, as the record tells it; null if it tells none"),
    Column("received_time", TIME, "us, UTC", "When a collector received the record; null for captures"),
    Column(
        "time_basis",
        WORD,
        "",
        "What the times are: packet, uptime (of the exporter), export, window (of counting), receive; null if not told",
    ),
    Column("time_before", pa.int64(), "us", "How long before start_time packets may lie; null if that is not known"),
    Column("time_after", pa.int64(), "us", "How long after end_time packets may lie; null if that is not known"),
    Column("cluster", WORD, "", "Name of the cluster whose history named the flow", "enrich"),
    *_end("src", "dst_ip"),
    *_end("dst", "src_ip"),
    Column("protocol", WORD, "", "tcp, udp, icmp, icmpv6, sctp; else the IANA number as text"),
    Column("protocol_number", NUMBER, "", "IANA protocol number", most=255),
    Column("bytes_out", pa.int64(), "bytes of counter_layer", "From src to dst, not scaled by sampling_rate"),
    Column("bytes_in", pa.int64(), "bytes of counter_layer", "From dst to src; null where the record is uni"),
    Column("packets_out", pa.int64(), "packets", "From src to dst, not scaled by sampling_rate"),
    Column("packets_in", pa.int64(), "packets", "From dst to src; null where the record is uni"),
    Column(
        "directionality", WORD, "", "bi: one row for both directions; uni: src to dst alone, the answer is another row"
    ),
    Column(
        "counter_layer", WORD, "", "What bytes count: L2 frames, L3 IP packets (captures), L4 payload; null if not told"
    ),
    Column("sampling_rate", pa.int64(), "packets for each one counted", "1 = all were counted, 0 = not known"),
    Column("tcp_flags", NUMBER, "bits", "Union of the TCP flags of both directions; null unless TCP", most=FLAGS),
    Column("tcp_flags_out", NUMBER, "bits", "TCP flags from src to dst", most=FLAGS),
    Column("tcp_flags_in", NUMBER, "bits", "TCP flags from dst to src", most=FLAGS),
    Column(
        "initiator_basis",
        WORD,
        "",
        "Why src is src: syn (it sent the SYN), first_packet, record (its word), sender (uni)",
    ),
    Column("direction", WORD, "", "internal, inbound, outbound, external as the cluster sees it", "enrich"),
    Column("vni", NUMBER, "", "VXLAN or Geneve network of the innermost packet; null where no tunnel tells one"),
    Column("vlan", pa.list_(NUMBER), "", "VLAN ids, outermost first"),
    Column(
        "tunnels",
        WORD,
        "",
        "Chain of tunnels, outermost first, joined by '>'; esp, wireguard, hbone: seen, not opened; null without",
    ),
    Column(
        "encapsulated",
        pa.bool_(),
        "",
        "Both ends are outer addresses of a tunnel whose inside was not read (cut off, or encrypted): never masquerade",
    ),
    Column("outer_src_ip", WORD, "", "Outermost source address; null outside tunnels"),
    Column("outer_dst_ip", WORD, "", "Outermost destination address; null outside tunnels"),
    *_name("src"),
    *_name("dst"),
    Column(
        "app_protocol",
        WORD,
        "",
        "Application protocol, where a record tells or the first bytes show it; several by comma",
    ),
    Column("tls_sni", WORD, "", "TLS server name, where a record tells or the ClientHello was seen"),
    Column(
        "tls_version",
        WORD,
        "",
        "TLS version as Zeek spells it (TLSv13), where a record tells or the ServerHello was seen",
    ),
    Column("dns_name", WORD, "", "DNS question, where a record tells or it was seen"),
    Column("community_id", pa.string(), "", "Community ID v1 (seed 0), the key shared with Zeek and Suricata"),
    Column("end_reason", WORD, "", "Why the row ends: " + ", ".join(END_REASONS)),
    Column("observer", WORD, "", "Where it was seen: capture file, and interface where the file names it"),
    Column("source_format", WORD, "", "pcap, pcapng or the record's format"),
    Column("policy_verdict", WORD, "", "What policies said at the start: " + ", ".join(POLICY_VERDICTS), "enrich"),
    Column("policy_ingress", WORD, "", "Policies and rules that decided ingress of the destination", "enrich"),
    Column("policy_egress", WORD, "", "Policies and rules that decided egress of the source", "enrich"),
    Column("policy_reason", WORD, "", "Why the verdict is that, in words", "enrich"),
    *(
        Column(f"{side}_dns_identity", WORD, "", "Linkerd's identity of the pod, a name of DNS (derived)", "enrich")
        for side in ("src", "dst")
    ),
    Column("mtls_mode", WORD, "", "mTLS that Istio asked of the destination then: " + ", ".join(MTLS_MODES), "enrich"),
    Column(
        "observations",
        pa.list_(OBSERVATION),
        "",
        "Every point of a capture that saw the same packets, the counted one first; null where one did. dst_ip and "
        "dst_port: what the client used there (a Service's address), null where that is the row's own",
    ),
    Column(
        "icmp_errors",
        NUMBER,
        "packets",
        "ICMP errors that quote a packet of it, not counted here; null: none",
        most=4_095,
    ),
    Column("icmp_error", WORD, "", "What the first of them said: port_unreachable, host_unreachable, too_big…"),
    Column("encrypted", WORD, "", "By the first bytes of both ends: " + ", ".join(ENCRYPTED) + "; null: not observed"),
    Column("encrypted_reason", WORD, "", "Why encrypted is that, in words"),
    Column("tls_alpn", WORD, "", "Protocols that the TLS client offers (ALPN), by comma; null: none, or not observed"),
    Column("tls_alpn_chosen", WORD, "", "Protocol that the server chose; null where TLS 1.3 hides it"),
    Column("tls_version_offered", WORD, "", "Highest TLS version that the client offers, spelt as tls_version"),
    Column("tls_ja4", WORD, "", "JA4 of the ClientHello: alike for clients of one kind; a resumed session has another"),
    Column("tls_ech", pa.bool_(), "", "The client offers Encrypted ClientHello: tls_sni is the outer, public name"),
    Column(
        "tls_mutual",
        pa.bool_(),
        "",
        "The server asked for a certificate and the client showed one; null where it cannot be seen (TLS 1.3, resumed)",
    ),
    Column("http_host", WORD, "", "Host of the first HTTP/1 request in the clear, with its port where one is said"),
    *(
        column
        for side, other in (("src", "dst"), ("dst", "src"))
        for column in (
            Column(f"{side}_dns_name", WORD, "", f"Name for which a DNS answer gave {side}_ip to {other}_ip before"),
            Column(f"{side}_dns_reason", WORD, "", f"What {side}_dns_name rests on: TTL, other names, the question"),
        )
    ),
    Column("said_service", WORD, "", "Service that the client itself names (SNI, Host), as NAMESPACE/NAME", "enrich"),
    Column("said_reason", WORD, "", "Where said_service stands: a mesh's SNI, a SNI, a Host", "enrich"),
    Column("said_conflict", WORD, "", "How said_service contradicts dst's name; null: it does not, or none", "enrich"),
)


def _schema(columns: tuple[Column, ...]) -> Any:
    return pa.schema([pa.field(c.name, c.type) for c in columns])


@cache
def flow_schema() -> Any:
    """The Arrow schema of flows as ingest yields them, before naming."""
    return _schema(tuple(c for c in COLUMNS if c.step == "ingest"))


@cache
def named_schema() -> Any:
    """The Arrow schema of named flows on their way from naming to a sink.

    What naming adds is dictionary-encoded, maps and lists too: they are the same for many rows, and to copy them row by
    row costs more than all else. `plain` undoes that.
    """
    return pa.schema([pa.field(c.name, _coded(c)) for c in COLUMNS])


@cache
def table_schema() -> Any:
    """The Arrow schema of named flows as tables and files have them."""
    return _schema(COLUMNS)


def _coded(column: Column) -> Any:
    return pa.dictionary(pa.int32(), column.type) if column.step == "enrich" and is_nested(column.type) else column.type


def is_nested(kind: Any) -> bool:
    """Say whether a type holds maps or lists, dictionary-encoded or not."""
    return bool(pa.types.is_nested(kind.value_type if pa.types.is_dictionary(kind) else kind))


def plain(flows: Any) -> Any:
    """Return a batch or table of named_schema as one of table_schema; what is plain already stays."""
    for place, one in enumerate(flows.schema):
        if pa.types.is_dictionary(one.type) and is_nested(one.type):
            column = flows.column(place)
            chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
            words = [chunk.dictionary.take(chunk.indices) for chunk in chunks]
            whole = pa.chunked_array(words, one.type.value_type) if column is not chunks[0] else words[0]
            flows = flows.set_column(place, pa.field(one.name, one.type.value_type), whole)
    return flows


def check(batch: Any, schema: Any) -> None:
    """Hold a batch against the schema a boundary promises.

    Raises: SchemaError naming the first column that differs.
    """
    if batch.schema.equals(schema):
        return
    for want in schema:
        got = batch.schema.field(want.name) if want.name in batch.schema.names else None
        if got is None or got.type != want.type:
            found = "missing" if got is None else f"of type {got.type}"
            raise SchemaError(f"cannot pass on flows: column '{want.name}' is {found}; it must be {want.type}")
    raise SchemaError(f"cannot pass on flows: columns are {batch.schema.names}; expected {schema.names}")
