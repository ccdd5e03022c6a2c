"""Suricata EVE: `flow` (one record for both directions) and `netflow` (one for each).

Source: docs.suricata.io, output/eve/eve-json-format; the JSON schema etc/schema.json of its source.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Fields, Plan, read_json
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE, joined
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import either, icmp_words, named_by
from ingest.records.protocols import protocol_number
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from whowas.arrays import Flags, Words
from whowas.flow_times import FLOW_TIMES
from whowas.schema import DIRECTIONALITIES, INITIATOR_BASES

TOP = (
    "event_type", "timestamp", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto", "icmp_type",
    "icmp_code", "vlan", "in_iface", "host", "community_id",
)  # fmt: skip
COUNTS = ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient", "start", "end")
PATHS = {
    **{name: (name,) for name in TOP},
    **{f"flow.{name}": ("flow", name) for name in COUNTS},
    **{f"netflow.{name}": ("netflow", name) for name in ("pkts", "bytes", "start", "end")},
    **{name: ("tcp", name) for name in ("tcp_flags", "tcp_flags_ts", "tcp_flags_tc")},
    "src_mac": ("ether", "src_mac"), "dest_mac": ("ether", "dest_mac"),
}  # fmt: skip


def first_vlan(text: str) -> int:
    """Outermost id of a JSON list; NONE where there is none."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return NONE
    first = told[0] if isinstance(told, list) and told else told
    return first if isinstance(first, int) and 0 < first < 4096 else NONE


def hex_bits(word: str) -> int:
    """Flags as Suricata writes them; NONE where they are none."""
    try:
        return int(word, 16) & 0xFFF
    except ValueError:
        return NONE


class SuricataReader:
    """Suricata EVE JSON."""

    format = "suricata"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling, whatever the events at the beginning are."""
        return sample.has("event_type", "timestamp") and (
            sample.says("event_type", "flow", "netflow") or sample.has("event_type", "flow_id", "src_ip", "dest_ip")
            or sample.has("event_type", "stats")
        )  # fmt: skip

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plan = Plan(PATHS)

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        fields = read_json(Values.of(values), self._plan)
        draft = FlowBuilder(len(fields), self._options)
        draft.take_reasons(fields)
        broken = draft.reasons > 0
        kinds = fields.texts("event_type").mapped(lambda word: {"flow": 1, "netflow": 2}.get(word, 0), absent=0)
        self._ends(draft, fields)
        self._counts(draft, fields, kinds == 1)
        draft.skip((kinds == 0) & fields.has("event_type") & ~broken, "other_event")
        observer = joined(fields.texts("host"), fields.texts("in_iface"))
        draft.texts["observer"] = named_by(observer, self._options)
        return draft.finish(self.format, ids, received_us)

    def _ends(self, draft: FlowBuilder, fields: Fields) -> None:
        draft.take_addresses("src", fields.addresses("src_ip"), needed=True)
        draft.take_addresses("dst", fields.addresses("dest_ip"), needed=True)
        draft.take_ports(fields.numbers("src_port"), fields.numbers("dest_port"))
        draft.protocol = fields.texts("proto").mapped(protocol_number)
        draft.icmp = icmp_words(fields.numbers("icmp_type"), fields.numbers("icmp_code"))
        draft.macs = {"src": fields.macs("src_mac"), "dst": fields.macs("dest_mac")}
        draft.numbers["vlan"] = fields.texts("vlan").mapped(first_vlan)
        app = fields.texts("app_proto")
        draft.texts["app_protocol"] = app.spelt(lambda word: None if word in ("failed", "") else word)
        if len(fields) and fields.has("community_id").all():
            draft.texts["community_id"] = fields.texts("community_id")

    def _counts(self, draft: FlowBuilder, fields: Fields, both: Flags) -> None:
        """Columns of a flow, or of one direction of it."""
        for name, flow, netflow in (("packets_out", "pkts_toserver", "pkts"), ("bytes_out", "bytes_toserver", "bytes")):
            found = either(both, fields.numbers(f"flow.{flow}"), fields.numbers(f"netflow.{netflow}"))
            draft.take_count(name, found)
        draft.take_count("packets_in", fields.numbers("flow.pkts_toclient"))
        draft.take_count("bytes_in", fields.numbers("flow.bytes_toclient"))
        for name in ("start", "end"):
            times = [fields.timestamps(f"{kind}.{name}", self._options.timezone) for kind in ("flow", "netflow")]
            draft.take_time(name, either(both, *times))
        draft.take_time("received", fields.timestamps("timestamp", self._options.timezone))
        union = fields.texts("tcp_flags").mapped(hex_bits)
        out, back = (fields.texts(f"tcp_flags_{way}").mapped(hex_bits) for way in ("ts", "tc"))
        draft.numbers |= {"tcp_flags": union, "tcp_flags_out": np.where(both, out, union), "tcp_flags_in": back}
        draft.numbers["sampling_rate"] = np.ones(draft.size, dtype=np.int64)
        draft.choose("directionality", np.where(both, 0, 1), DIRECTIONALITIES)
        bases = [INITIATOR_BASES.index(word) for word in ("record", "sender")]
        draft.choose("initiator_basis", np.where(both, *bases), INITIATOR_BASES)
        draft.same("counter_layer", "L2")
        draft.times.bound([FLOW_TIMES["suricata"][""]])
