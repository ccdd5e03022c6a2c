"""pmacct (nfacctd, pmacctd, sfacctd): JSON of its Kafka, AMQP and print plugins.

Source: github.com/pmacct/pmacct, CONFIG-KEYS and its tests' expected messages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Addresses, Fields, Numbers, Plan, read_json
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import counted_at, either, flag_bits, icmp_of_ports, observers
from ingest.records.kernels.spots import BAD, GOOD, NOTHING
from ingest.records.protocols import protocol_number
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from whowas.arrays import Flags, Words
from whowas.flow_times import FLOW_TIMES

NAMES = (
    "event_type", "ip_src", "ip_dst", "port_src", "port_dst", "ip_proto", "packets", "bytes", "timestamp_start",
    "timestamp_end", "timestamp_arrival", "timestamp_export", "timestamp_min", "timestamp_max", "stamp_inserted",
    "stamp_updated", "peer_ip_src", "iface_in", "iface_out", "tcp_flags", "mac_src", "mac_dst", "vlan",
    "post_nat_ip_src",
    "post_nat_ip_dst", "post_nat_port_src", "post_nat_port_dst", "sampling_rate", "vxlan", "tunnel_ip_src",
    "tunnel_ip_dst", "tunnel_ip_proto", "tunnel_port_src", "tunnel_port_dst",
)  # fmt: skip


def flags_of(word: str) -> int:
    """A number as text, or a list of names."""
    if word.isascii() and word.isdecimal():
        return int(word[:9]) & 0xFFF
    bits = flag_bits(word)
    return bits if bits > 0 else NONE


def moment(fields: Fields, name: str, timezone: str | None) -> Numbers:
    """Seconds since 1970 with six decimals, or a time as text; zero is none."""
    seconds = fields.numbers(name, 6)
    if seconds.bad.any():
        seconds = either(~seconds.bad, seconds, fields.timestamps(name, timezone))
    zero = (seconds.values == 0) & seconds.good
    return Numbers(seconds.values, np.where(zero, NOTHING, seconds.state).astype(np.uint8))


def _told(found: Addresses) -> Addresses:
    """An address that is not all zeros: that is how none is written."""
    none = (found.octets[:, 12:] == 0).all(axis=1) & (found.octets[:, :10] == 0).all(axis=1)
    return Addresses(
        found.octets,
        np.where(none, 0, found.families).astype(np.uint8),
        np.where(none & (found.state == GOOD), NOTHING, found.state).astype(np.uint8),
    )


def _chosen(rows: Flags, first: Addresses, second: Addresses) -> Addresses:
    return Addresses(
        np.where(rows[:, None], first.octets, second.octets),
        np.where(rows, first.families, second.families).astype(np.uint8),
        np.where(rows, first.state, second.state).astype(np.uint8),
    )


class PmacctReader:
    """pmacct, JSON."""

    format = "pmacct"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        return sample.has("ip_src", "ip_dst", "packets") or sample.has("event_type", "writer_id")

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plan = Plan({name: (name,) for name in NAMES})

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        fields = read_json(Values.of(values), self._plan)
        draft = FlowBuilder(len(fields), self._options)
        draft.take_reasons(fields)
        broken = draft.reasons > 0
        self._ends(draft, fields)
        self._counts(draft, fields)
        self._times(draft, fields)
        marks = fields.texts("event_type").mapped(lambda word: int(word in ("purge_init", "purge_close")), absent=0)
        draft.skip((marks == 1) & ~broken, "purge_marker")
        unsaid = np.zeros(draft.size, dtype=np.bool_)
        interface = counted_at(fields.texts("iface_in"), fields.texts("iface_out"), unsaid)
        draft.texts["observer"] = observers(fields.texts("peer_ip_src"), interface, self._options)
        return draft.finish(self.format, ids, received_us)

    def _ends(self, draft: FlowBuilder, fields: Fields) -> None:
        """Where it looked into a tunnel, tunnel_* are the inner ends."""
        inner = {side: _told(fields.addresses(f"tunnel_ip_{side}")) for side in ("src", "dst")}
        opened = (inner["src"].state == GOOD) & (inner["dst"].state == GOOD)
        for side in ("src", "dst"):
            plain = fields.addresses(f"ip_{side}")
            draft.take_addresses(side, _chosen(opened, inner[side], plain), needed=True)
            none = np.where(opened, plain.families, 0).astype(np.uint8)
            draft.take_addresses(f"outer_{side}", plain._replace(families=none))
            draft.take_addresses(f"{side}_nat", _told(fields.addresses(f"post_nat_ip_{side}")))
        ports = [fields.numbers(f"port_{side}") for side in ("src", "dst")]
        inside = [fields.numbers(f"tunnel_port_{side}") for side in ("src", "dst")]
        chosen = [either(opened, one, other) for one, other in zip(inside, ports, strict=True)]
        draft.take_ports(chosen[0], chosen[1])
        # Zero is no echo reply: of NetFlow v5 and sFlow pmacct writes no port where there is ICMP.
        icmp = icmp_of_ports(chosen[0], chosen[1])
        draft.icmp = np.where(icmp > 0, icmp, NONE)
        translated = [fields.numbers(f"post_nat_port_{side}") for side in ("src", "dst")]
        named = [one._replace(state=np.where(one.values == 0, NOTHING, one.state)) for one in translated]
        draft.take_ports(named[0], named[1], names=("src_nat_port", "dst_nat_port"))
        protocols = [fields.texts(name).mapped(protocol_number) for name in ("tunnel_ip_proto", "ip_proto")]
        draft.protocol = np.where(opened, *protocols)
        draft.inner = opened
        draft.take_count("vni", fields.numbers("vxlan"), (1 << 24) - 1)
        draft.numbers["vni"] = np.where(draft.numbers["vni"] > 0, draft.numbers["vni"], NONE)
        macs = {side: fields.macs(f"mac_{side}") for side in ("src", "dst")}
        draft.macs = {side: np.where(found > 0, found, NONE) for side, found in macs.items()}

    def _counts(self, draft: FlowBuilder, fields: Fields) -> None:
        draft.take_count("bytes_out", fields.numbers("bytes"))
        draft.take_count("packets_out", fields.numbers("packets"))
        draft.take_count("sampling_rate", fields.numbers("sampling_rate"))
        draft.take_count("vlan", fields.numbers("vlan"), 4095)
        flags = fields.texts("tcp_flags").mapped(flags_of)
        draft.numbers |= {"tcp_flags": flags, "tcp_flags_out": flags}
        draft.same("counter_layer", "L3")
        draft.same("directionality", "uni")
        draft.same("initiator_basis", "sender")

    def _times(self, draft: FlowBuilder, fields: Fields) -> None:
        """The flow's own times; else those between which pmacct counted."""
        zone = self._options.timezone
        counted = np.zeros(draft.size, dtype=np.int64)
        for name, choices in (
            ("end", ("timestamp_end", "timestamp_max", "stamp_updated")),
            ("start", ("timestamp_start", "timestamp_min", "stamp_inserted")),
        ):
            found = moment(fields, choices[0], zone)
            for choice in choices[1:]:
                missing = found.state == NOTHING
                if not missing.any() or not fields.has(choice).any():
                    continue
                other = moment(fields, choice, zone)
                if choice.startswith("stamp_"):
                    # A record with a start and no end is of one moment, not open until the next purge.
                    missing &= ~fields.has("timestamp_start") & ~fields.has("timestamp_min")
                    if name == "start":
                        counted[missing & other.good] = 1
                found = either(missing, other, found)
            draft.take_time(name, found)
        for name in ("timestamp_export", "timestamp_arrival"):
            told = moment(fields, name, zone)
            draft.take_time("received", told._replace(state=np.where(told.state == BAD, NOTHING, told.state)))
        draft.times.bound([*FLOW_TIMES["pmacct"].values()], counted)
