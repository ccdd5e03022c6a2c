"""Protobuf flows: goflow2 version 2 (each message behind its length) and NetObserv's agent (one bare message a value).

Source: github.com/netsampler/goflow2 pb/flow.proto; github.com/netobserv/netobserv-ebpf-agent proto/flow.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ingest.records.fields import Addresses, Numbers, Texts
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE
from ingest.records.formats.goflow2 import IPFIX, NETFLOW, SFLOW, fill_kind, fill_times
from ingest.records.formats.netobserv import fill_netobserv, plain_flags
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import at_point, counted_at, first_told, icmp_of_either, icmp_words, observers
from ingest.records.kernels.spots import BAD, GOOD, NOTHING
from ingest.records.protobuf_fields import MessagePlan, Messages, read_messages, unframe
from ingest.records.reader import Ids, Parsed, RecordOptions, Refusal, Values
from whowas.arrays import Words

GOFLOW2 = {
    "type": (1,), "sampling_rate": (3,), "src_addr": (6,), "dst_addr": (7,), "bytes": (9,), "packets": (10,),
    "sampler_address": (11,), "in_if": (18,), "proto": (20,), "src_port": (21,), "dst_port": (22,),
    "tcp_flags": (26,), "src_mac": (27,), "dst_mac": (28,), "vlan_id": (29,), "icmp_type": (31,),
    "icmp_code": (32,), "out_if": (19,), "flow_direction": (42,), "observation_domain_id": (70,),
    "observation_point_id": (71,), "time_received_ns": (110,), "time_flow_start_ns": (111,), "time_flow_end_ns": (112,),
}  # fmt: skip
NETFLOW_V5 = 2
KINDS = np.array([NONE, SFLOW, NETFLOW, NETFLOW, IPFIX, NONE])
PBFLOW = {
    "eth_protocol": (1,), "start_seconds": (3, 1), "start_nanos": (3, 2), "end_seconds": (4, 1), "end_nanos": (4, 2),
    "src_mac": (5, 1), "dst_mac": (5, 2), "src_ipv4": (6, 1, 1), "src_ipv6": (6, 1, 2), "dst_ipv4": (6, 2, 1),
    "dst_ipv6": (6, 2, 2), "src_port": (7, 1), "dst_port": (7, 2), "protocol": (7, 3), "bytes": (8,),
    "packets": (9,), "interface": (10,), "agent_ipv4": (12, 1), "agent_ipv6": (12, 2), "flags": (13,),
    "icmp_type": (14,), "icmp_code": (15,), "other_interface": (26, 1), "sampling": (29,),
}  # fmt: skip


def ipv4(numbers: Numbers, seen: np.ndarray, other: Addresses) -> Addresses:
    """Addresses of fixed32 in host order (0x01020304 is 1.2.3.4); where there is none, the others."""
    octets = other.octets.copy()
    four = seen & numbers.good
    octets[four, :10], octets[four, 10:12] = 0, 255
    octets[four, 12:] = numbers.values[four].astype(">u4").view(np.uint8).reshape(-1, 4)
    families = np.where(four, 4, other.families).astype(np.uint8)
    return Addresses(octets, families, np.where(four, GOOD, other.state).astype(np.uint8))


def address_texts(found: Addresses) -> Texts:
    """Addresses as words, for who observed."""
    import ipaddress

    raw = np.ascontiguousarray(found.octets).view("V16").reshape(-1)
    words, indices = np.unique(raw, return_inverse=True)
    spelt = [ipaddress.IPv6Address(bytes(word)) for word in words]
    told = [str(word.ipv4_mapped or word) for word in spelt]
    return Texts(np.where(found.families > 0, indices.reshape(-1), NONE).astype(np.int64), told)


def _number_texts(numbers: Words) -> Texts:
    distinct, indices = np.unique(numbers, return_inverse=True)
    return Texts(indices.reshape(-1).astype(np.int64), [str(one) for one in distinct.tolist()])


def _icmp(told: Messages) -> Words:
    return icmp_words(told.numbers("icmp_type"), told.numbers("icmp_code"))


def _macs(found: Numbers) -> Words:
    return np.where((found.values > 0) & (found.values < 1 << 48), found.values, NONE)


class _ProtobufReader:
    """What both have in common."""

    format = ""

    def __init__(self, options: RecordOptions, fields: Mapping[str, tuple[int, ...]]) -> None:
        self._options = options
        self._plan = MessagePlan(fields)

    def _draft(self, told: Messages) -> FlowBuilder:
        draft = FlowBuilder(len(told), self._options)
        draft.refuse(~told.whole, "not_protobuf")
        draft.take_ports(told.numbers("src_port"), told.numbers("dst_port"))
        draft.take_count("bytes_out", told.numbers("bytes"))
        draft.take_count("packets_out", told.numbers("packets"))
        draft.macs = {side: _macs(told.numbers(f"{side}_mac")) for side in ("src", "dst")}
        return draft


class Goflow2ProtobufReader(_ProtobufReader):
    """goflow2 version 2, `-format=bin`: values of one message or many, each behind its length."""

    format = "goflow2-protobuf"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling: a kind of exporter, times, and two addresses."""
        values = Values.of(sample.values[:4])
        if sample.is_text:
            return False
        framed = unframe(values)
        told = read_messages(values.data, framed.starts, framed.ends, MessagePlan(GOFLOW2))
        fits = told.whole & (told.numbers("type").values <= 5)
        for side in ("src", "dst"):
            fits &= (told.addresses(f"{side}_addr").state == GOOD) & told.told("time_received_ns")
        return bool(fits.any()) and values.data[values.starts[0]] != ord("{")

    def __init__(self, options: RecordOptions) -> None:
        super().__init__(options, GOFLOW2)

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader. A value that breaks in the middle keeps the messages before."""
        packed = Values.of(values)
        framed = unframe(packed)
        told = read_messages(packed.data, framed.starts, framed.ends, self._plan)
        draft = self._draft(told)
        draft.value_rows, draft.parts = framed.rows, framed.parts
        for side in ("src", "dst"):
            draft.take_addresses(side, told.addresses(f"{side}_addr"), needed=True)
        draft.protocol = told.numbers("proto").values
        ports = told.numbers("src_port"), told.numbers("dst_port")
        draft.icmp = icmp_of_either(_icmp(told), *ports, told.numbers("type").values == NETFLOW_V5)
        draft.take_count("sampling_rate", told.numbers("sampling_rate"))
        draft.take_count("tcp_flags", told.numbers("tcp_flags"), 0xFFFF)
        draft.numbers["tcp_flags_out"] = draft.numbers["tcp_flags"]
        vlan = told.numbers("vlan_id").values & 0xFFF
        draft.numbers["vlan"] = np.where(vlan > 0, vlan, NONE)
        self._times(draft, told)
        point = (told.numbers(f"observation_{part}_id").values for part in ("domain", "point"))
        sampler = at_point(address_texts(told.addresses("sampler_address")), *point)
        inward, outward = (_number_texts(told.numbers(name).values) for name in ("in_if", "out_if"))
        interface = counted_at(inward, outward, told.numbers("flow_direction").values == 1)
        draft.texts["observer"] = observers(sampler, interface, self._options)
        found = draft.finish(self.format, ids, received_us)
        broken = [Refusal(row, "empty" if not len(packed[row]) else "cut_short") for row in framed.broken]
        return replace(found, refused=[*found.refused, *broken])

    def _times(self, draft: FlowBuilder, told: Messages) -> None:
        kinds = KINDS[np.clip(told.numbers("type").values, 0, 5)]
        fill_kind(draft, kinds)
        for name, field in (("start", "time_flow_start_ns"), ("end", "time_flow_end_ns")):
            found = told.numbers(field)
            draft.take_time(name, Numbers(found.values // 1000, found.state))
        received = told.numbers("time_received_ns")
        draft.take_time("received", Numbers(received.values // 1000, received.state))
        fill_times(draft, kinds)


class NetObservProtobufReader(_ProtobufReader):
    """NetObserv's agent: one bare pbflow.Record a value."""

    format = "netobserv-protobuf"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling: an Ethernet type of IP, a time, and two addresses."""
        values = Values.of(sample.values[:4])
        if sample.is_text:
            return False
        told = read_messages(values.data, values.starts, values.ends, MessagePlan(PBFLOW))
        ip = np.isin(told.numbers("eth_protocol").values, (0x0800, 0x86DD))
        ends = [told.told(f"{side}_ipv4") | told.told(f"{side}_ipv6") for side in ("src", "dst")]
        return bool((told.whole & ip & told.told("start_seconds") & ends[0] & ends[1]).any())

    def __init__(self, options: RecordOptions) -> None:
        super().__init__(options, PBFLOW)

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        packed = Values.of(values)
        told = read_messages(packed.data, packed.starts, packed.ends, self._plan)
        told.whole[packed.starts == packed.ends] = False
        draft = self._draft(told)
        for side in ("src", "dst"):
            draft.take_addresses(side, _either(told, side), needed=True)
        draft.protocol = told.numbers("protocol").values
        draft.icmp = _icmp(told)
        draft.take_count("sampling_rate", told.numbers("sampling"))
        flags = told.numbers("flags")
        draft.take_count("tcp_flags", Numbers(plain_flags(flags.values), flags.state))
        draft.numbers["tcp_flags_out"] = draft.numbers["tcp_flags"]
        for name in ("start", "end"):
            draft.take_time(name, _moment(told, name))
        fill_netobserv(draft)
        interface, other = told.texts("interface"), told.texts("other_interface")
        agent = address_texts(_either(told, "agent"))
        draft.texts["observer"] = observers(agent, first_told(interface, other), self._options)
        return draft.finish(self.format, ids, received_us)


def _either(told: Messages, side: str) -> Addresses:
    return ipv4(told.numbers(f"{side}_ipv4"), told.told(f"{side}_ipv4"), told.addresses(f"{side}_ipv6"))


def _moment(told: Messages, name: str) -> Numbers:
    """Seconds and nanoseconds as us."""
    seconds, nanos = told.numbers(f"{name}_seconds"), told.numbers(f"{name}_nanos")
    bad = seconds.bad | nanos.bad | (seconds.values > 10**12) | (nanos.values >= 10**9)
    us = np.where(bad, 0, seconds.values) * 1_000_000 + np.where(bad, 0, nanos.values) // 1000
    state = np.where(bad, BAD, np.where(told.told(f"{name}_seconds"), GOOD, NOTHING))
    return Numbers(us, state.astype(np.uint8))
