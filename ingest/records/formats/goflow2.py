"""goflow2 JSON: version 2 (snake_case, nanoseconds) and version 1 (CamelCase, seconds). Never one decoder for both.

Source: github.com/netsampler/goflow2, pb/flow.proto of each version and producer/proto.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Fields, Numbers, Plan, read_json
from ingest.records.flow_builder import DAY_US, NEVER, FlowBuilder
from ingest.records.flow_columns import NONE
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import at_point, counted_at, icmp_of_either, icmp_words, observers
from ingest.records.kernels.spots import GOOD
from ingest.records.protocols import protocol_number
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from whowas.arrays import Flags, Words
from whowas.schema import COUNTER_LAYERS, TIME_BASES

V2_FIELDS = (
    "type", "time_received_ns", "sampling_rate", "sampler_address", "time_flow_start_ns", "time_flow_end_ns", "bytes",
    "packets", "src_addr", "dst_addr", "proto", "src_port", "dst_port", "in_if", "out_if", "src_mac", "dst_mac",
    "vlan_id", "tcp_flags", "icmp_type", "icmp_code", "flow_direction", "observation_domain_id",
    "observation_point_id",
)  # fmt: skip
V1_FIELDS = {
    "type": "Type", "time_received": "TimeReceived", "sampling_rate": "SamplingRate",
    "sampler_address": "SamplerAddress", "time_flow_start": "TimeFlowStart", "time_flow_end": "TimeFlowEnd",
    "time_received_ms": "TimeReceivedMs", "time_flow_start_ms": "TimeFlowStartMs",
    "time_flow_end_ms": "TimeFlowEndMs", "bytes": "Bytes", "packets": "Packets", "src_addr": "SrcAddr",
    "dst_addr": "DstAddr", "proto": "Proto", "src_port": "SrcPort", "dst_port": "DstPort", "in_if": "InIf",
    "src_mac": "SrcMac", "dst_mac": "DstMac", "vlan_id": "VlanId", "tcp_flags": "TCPFlags",
    "icmp_type": "IcmpType", "icmp_code": "IcmpCode", "out_if": "OutIf", "flow_direction": "FlowDirection",
    "observation_domain_id": "ObservationDomainID", "observation_point_id": "ObservationPointID",
}  # fmt: skip
SFLOW, NETFLOW, IPFIX = 0, 1, 2


def kind_of(word: str) -> int:
    """Which family of exporters a `type` is of; NONE where unknown."""
    if word.startswith("SFLOW"):
        return SFLOW
    return IPFIX if word == "IPFIX" else NETFLOW if word.startswith("NETFLOW") else NONE


def fill_times(draft: FlowBuilder, kinds: Words) -> None:
    """Say what the times are. Both at one whole second (or none): they are of the export, not of packets."""
    whole = (draft.start == draft.end) & (draft.start % 1_000_000 == 0)
    basis = np.full(draft.size, TIME_BASES.index("packet"), dtype=np.int64)
    basis[kinds == NETFLOW] = TIME_BASES.index("uptime")
    basis[whole & (kinds != SFLOW)] = TIME_BASES.index("export")
    basis[kinds == SFLOW] = TIME_BASES.index("receive")
    # An exporter's uptime that wrapped gives times weeks ahead: that is no time either.
    wrapped = draft.start > draft.received + DAY_US
    absent = ((draft.start == 0) | (draft.start == NEVER) | wrapped) & (draft.received > 0)
    draft.start = np.where(absent, draft.received, draft.start)
    draft.end = np.where(absent, draft.received, draft.end)
    basis[absent] = TIME_BASES.index("export")
    draft.choose("time_basis", basis, TIME_BASES)


def fill_kind(draft: FlowBuilder, kinds: Words) -> None:
    """sFlow counts frames, NetFlow and IPFIX what IP says."""
    layers = np.where(kinds == SFLOW, COUNTER_LAYERS.index("L2"), COUNTER_LAYERS.index("L3"))
    draft.choose("counter_layer", np.where(kinds == NONE, NONE, layers), COUNTER_LAYERS)
    draft.same("directionality", "uni")
    draft.same("initiator_basis", "sender")


def _common(draft: FlowBuilder, fields: Fields) -> Words:
    """What both versions say alike. Returns: the kind of each record's exporter."""
    draft.take_reasons(fields)
    draft.take_addresses("src", fields.addresses("src_addr"), needed=True)
    draft.take_addresses("dst", fields.addresses("dst_addr"), needed=True)
    draft.protocol = fields.texts("proto").mapped(protocol_number)
    draft.take_ports(fields.numbers("src_port"), fields.numbers("dst_port"))
    draft.take_count("bytes_out", fields.numbers("bytes"))
    draft.take_count("packets_out", fields.numbers("packets"))
    draft.take_count("sampling_rate", fields.numbers("sampling_rate"))
    draft.take_count("tcp_flags", fields.numbers("tcp_flags"), 0xFFFF)
    draft.numbers["tcp_flags_out"] = draft.numbers["tcp_flags"]
    draft.take_count("vlan", fields.numbers("vlan_id"), 0xFFFF)
    draft.numbers["vlan"] = np.where(draft.numbers["vlan"] > 0, draft.numbers["vlan"] & 0xFFF, NONE)
    draft.macs = {"src": _macs(fields.macs("src_mac")), "dst": _macs(fields.macs("dst_mac"))}
    told = icmp_words(fields.numbers("icmp_type"), fields.numbers("icmp_code"))
    old = fields.texts("type").mapped(lambda word: int(word == "NETFLOW_V5"), absent=0) == 1
    draft.icmp = icmp_of_either(told, fields.numbers("src_port"), fields.numbers("dst_port"), old)
    point = (fields.numbers(f"observation_{part}_id").values for part in ("domain", "point"))
    egress = fields.numbers("flow_direction").values == 1
    interface = counted_at(fields.texts("in_if"), fields.texts("out_if"), egress)
    draft.texts["observer"] = observers(at_point(fields.texts("sampler_address"), *point), interface, draft.options)
    kinds = fields.texts("type").mapped(kind_of)
    fill_kind(draft, kinds)
    return kinds


def _macs(found: Words) -> Words:
    """Zero stands for none."""
    return np.where(found > 0, found, NONE)


class Goflow2Reader:
    """goflow2 version 2, JSON."""

    format = "goflow2"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        return sample.has("time_received_ns") or sample.has("time_flow_start_ns", "src_addr")

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plan = Plan({name: (name,) for name in V2_FIELDS})

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        packed = Values.of(values)
        fields = read_json(packed, self._plan)
        draft = FlowBuilder(len(packed), self._options)
        kinds = _common(draft, fields)
        for name, field in (("start", "time_flow_start_ns"), ("end", "time_flow_end_ns")):
            draft.take_time(name, nanoseconds(fields, field))
        draft.take_time("received", nanoseconds(fields, "time_received_ns"))
        fill_times(draft, kinds)
        return draft.finish(self.format, ids, received_us)


def nanoseconds(fields: Fields, name: str) -> Numbers:
    """ns as us. With goflow2's own mapping file the same names hold RFC 3339 texts."""
    found = fields.numbers(name)
    made = Numbers(found.values // 1000, found.state)
    text: Flags = found.bad
    if text.any():
        spelt = fields.timestamps(name)
        rows = text & (spelt.state == GOOD)
        made.values[rows], made.state[rows] = spelt.values[rows], GOOD
    return made


class Goflow1Reader:
    """goflow2 version 1 (and GoFlow), JSON."""

    format = "goflow2-v1"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        return sample.has("SamplerAddress", "SrcAddr") or sample.has("TimeFlowStart", "SrcAddr")

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plan = Plan({name: (key,) for name, key in V1_FIELDS.items()})

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        packed = Values.of(values)
        fields = read_json(packed, self._plan)
        draft = FlowBuilder(len(packed), self._options)
        kinds = _common(draft, fields)
        for name, field in (("start", "time_flow_start"), ("end", "time_flow_end"), ("received", "time_received")):
            draft.take_time(name, fields.numbers(field, 6))
            finer = fields.numbers(field + "_ms", 3)
            draft.take_time(name, Numbers(finer.values, np.where(finer.values > 0, finer.state, 1).astype(np.uint8)))
        fill_times(draft, kinds)
        return draft.finish(self.format, ids, received_us)
