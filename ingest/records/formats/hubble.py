"""Hubble export: an event a packet, in JSON lines. No bytes, no counts, no duration.

Source: github.com/cilium/cilium api/v1/flow/flow.proto and api/v1/observer/observer.proto.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Fields, Numbers, Plan, read_json
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE, joined
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import FLAGS, either, filled, first_told, icmp_words, named_by
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from whowas.arrays import Words
from whowas.flow_times import FLOW_TIMES
from whowas.schema import INITIATOR_BASES

NAMES = ("pod_name", "namespace", "workloads")
PORTED = {"TCP": 6, "UDP": 17, "SCTP": 132}
PATHS = {
    "flow": ("flow", "time"), "src": ("flow", "IP", "source"), "dst": ("flow", "IP", "destination"),
    "xlated": ("flow", "IP", "source_xlated"), "src_mac": ("flow", "ethernet", "source"),
    "dst_mac": ("flow", "ethernet", "destination"), "flags": ("flow", "l4", "TCP", "flags"),
    "node": ("flow", "node_name"), "interface": ("flow", "interface", "name"), "is_reply": ("flow", "is_reply"),
    "dns": ("flow", "l7", "dns", "query"), "http": ("flow", "l7", "http", "method"), "outer_node": ("node_name",),
    "tunnel": ("flow", "tunnel", "protocol"), "outer_src": ("flow", "tunnel", "IP", "source"),
    "outer_dst": ("flow", "tunnel", "IP", "destination"), "vni": ("flow", "tunnel", "vni"),
    **{f"{word}.{end}": ("flow", "l4", word, f"{end}_port") for word in PORTED for end in ("source", "destination")},
    **{f"{word}.{part}": ("flow", "l4", word, part) for word in ("ICMPv4", "ICMPv6") for part in ("type", "code")},
    **{f"{end}.{part}": ("flow", end, part) for end in ("source", "destination") for part in NAMES},
    "TCP": ("flow", "l4", "TCP"), "UDP": ("flow", "l4", "UDP"), "SCTP": ("flow", "l4", "SCTP"),
    "ICMPv4": ("flow", "l4", "ICMPv4"), "ICMPv6": ("flow", "l4", "ICMPv6"),
}  # fmt: skip


def flag_bits(text: str) -> int:
    """Bits of an object of flags that are true."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return NONE
    if not isinstance(told, dict):
        return NONE
    return sum(FLAGS[name] for name, value in told.items() if value is True and name in FLAGS)


def first_workload(text: str) -> str | None:
    """Name of the first of a list of workloads, which is the innermost owner that is known."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    first = told[0] if isinstance(told, list) and told else None
    name = first.get("name") if isinstance(first, dict) else None
    return name or None if isinstance(name, str) else None


class HubbleReader:
    """Hubble's exporter, and `hubble observe -o json`."""

    format = "hubble"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        return sample.has("flow/verdict") or sample.has("flow/IP/source", "flow/l4")

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plan = Plan(PATHS)

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader. Events without an IP packet are passed over."""
        fields = read_json(Values.of(values), self._plan)
        draft = FlowBuilder(len(fields), self._options)
        draft.take_reasons(fields)
        broken = draft.reasons > 0
        draft.take_addresses("src", fields.addresses("src"), needed=True)
        draft.take_addresses("dst", fields.addresses("dst"), needed=True)
        draft.take_addresses("src_nat", fields.addresses("xlated"))
        self._ports(draft, fields)
        self._packet(draft, fields)
        told = fields.has("src") | fields.has("dst")
        draft.skip(~told & ~broken, "no_packet")
        for side, end in (("src", "source"), ("dst", "destination")):
            pods, owners = fields.texts(f"{end}.pod_name"), fields.texts(f"{end}.workloads")
            draft.texts[f"{side}_told_name"] = first_told(pods.spelt(filled), owners.spelt(first_workload))
            draft.texts[f"{side}_told_namespace"] = fields.texts(f"{end}.namespace").spelt(filled)
        nodes = joined(fields.texts("node"), fields.texts("interface"))
        draft.texts["observer"] = named_by(nodes, self._options)
        return draft.finish(self.format, ids, received_us)

    def _ports(self, draft: FlowBuilder, fields: Fields) -> None:
        """The protocol is the key under l4 that is there."""
        ports = [Numbers(np.zeros(draft.size, np.int64), np.ones(draft.size, np.uint8)) for _ in range(2)]
        for word, number in PORTED.items():
            here = fields.has(word)
            draft.protocol[here] = number
            found = [fields.numbers(f"{word}.{end}") for end in ("source", "destination")]
            ports = [either(here, one, other) for one, other in zip(found, ports, strict=True)]
        draft.take_ports(ports[0], ports[1])
        kinds = Numbers(np.zeros(draft.size, np.int64), np.ones(draft.size, np.uint8)), ports[0]
        for word, number in (("ICMPv4", 1), ("ICMPv6", 58)):
            here = fields.has(word)
            draft.protocol[here] = number
            # protobuf's JSON leaves zeros out.
            told = [fields.numbers(f"{word}.{part}") for part in ("type", "code")]
            told = [Numbers(one.values, np.where(one.bad, one.state, 0).astype(np.uint8)) for one in told]
            kinds = either(here, told[0], kinds[0]), either(here, told[1], kinds[1])
        draft.icmp = icmp_words(*kinds)

    def _packet(self, draft: FlowBuilder, fields: Fields) -> None:
        draft.take_time("start", fields.timestamps("flow"))
        draft.macs = {side: fields.macs(f"{side}_mac") for side in ("src", "dst")}
        flags = fields.texts("flags").mapped(flag_bits)
        draft.numbers |= {"tcp_flags": flags, "tcp_flags_out": flags}
        first = fields.texts("is_reply").mapped(lambda word: int(word == "false"), absent=0)
        bases = [INITIATOR_BASES.index(word) for word in ("record", "sender")]
        draft.choose("initiator_basis", np.where(first == 1, *bases), INITIATOR_BASES)
        draft.same("directionality", "uni")
        draft.times.bound([FLOW_TIMES["hubble"][""]])
        draft.take_addresses("outer_src", fields.addresses("outer_src"))
        draft.take_addresses("outer_dst", fields.addresses("outer_dst"))
        draft.take_count("vni", fields.numbers("vni"), (1 << 24) - 1)
        draft.texts["tunnels"] = fields.texts("tunnel").spelt(
            lambda word: None if word in ("", "UNKNOWN") else word.lower()
        )
        draft.inner = fields.has("tunnel")
        draft.texts["dns_name"] = fields.texts("dns").spelt(lambda word: word.rstrip(".") or None)
        kinds = np.where(fields.has("dns"), 0, np.where(fields.has("http"), 1, NONE))
        draft.choose("app_protocol", kinds, ("dns", "http"))
