"""nfdump: its JSON objects and its CSV. Times are of the local clock of whoever ran nfdump, without an offset.

Source: github.com/phaag/nfdump, output_json.c, output_csv.c and nfdump(1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Addresses, Fields, Numbers, Plan, Texts, read_json
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE
from ingest.records.formats.pmacct import _chosen, _told, moment
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import counted_at, first_told, icmp_of_ports, icmp_words, observers
from ingest.records.kernels.spots import GOOD, NOTHING
from ingest.records.protocols import protocol_number
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from ingest.records.separated import lines_with, read_columns, read_under
from whowas.arrays import Words
from whowas.flow_times import FLOW_TIMES
from whowas.schema import DIRECTIONALITIES

JSON_NAMES = (
    "type", "first", "last", "received", "t_first", "t_last", "t_received", "in_packets", "in_bytes", "out_packets",
    "out_bytes", "proto", "tcp_flags", "src_port", "dst_port", "icmp_type", "icmp_code", "src4_addr", "src6_addr",
    "dst4_addr", "dst6_addr", "src4_xlt_ip", "src6_xlt_ip", "dst4_xlt_ip", "dst6_xlt_ip", "src_xlt_port",
    "dst_xlt_port", "input_snmp", "output_snmp", "direction", "ip4_router", "ip6_router", "src_vlan",
    "in_src_mac", "out_dst_mac",
)  # fmt: skip
# Columns of `-o csv` before and after 1.7.3, by the name they have here.
CSV_NAMES = {
    "ts": "first", "te": "last", "td": "duration", "sa": "src", "da": "dst", "sp": "src_port", "dp": "dst_port",
    "pr": "proto", "flg": "tcp_flags", "ipkt": "in_packets", "ibyt": "in_bytes", "opkt": "out_packets",
    "obyt": "out_bytes", "in": "input_snmp", "out": "output_snmp", "dir": "direction",
    "ra": "router", "tr": "received", "firstSeen": "first",
    "lastSeen": "last", "duration": "duration", "srcAddr": "src", "dstAddr": "dst", "srcPort": "src_port",
    "dstPort": "dst_port", "packets": "in_packets", "bytes": "in_bytes", "flags": "tcp_flags", "input": "input_snmp",
    "svln": "src_vlan",
}  # fmt: skip
CSV_NAMES["proto"] = "proto"
SUMMARY = b"Summary"
LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}


def letter_bits(word: str) -> int:
    """Flags as letters and dots; NONE where they are something else."""
    return sum({LETTERS[one] for one in word if one in LETTERS}) if set(word) <= {*LETTERS, "."} else NONE


def _common(draft: FlowBuilder, fields: Fields, timezone: str | None) -> None:
    """What JSON and CSV have by one name."""
    draft.protocol = fields.texts("proto").mapped(protocol_number)
    draft.take_count("packets_out", fields.numbers("in_packets"))
    draft.take_count("bytes_out", fields.numbers("in_bytes"))
    packets, octets = fields.numbers("out_packets"), fields.numbers("out_bytes")
    both = packets.good & (packets.values > 0)
    for name, found in (("packets_in", packets), ("bytes_in", octets)):
        draft.take_count(name, found)
        draft.numbers[name] = np.where(both, draft.numbers[name], NONE)
    draft.choose("directionality", np.where(both, 0, 1), DIRECTIONALITIES)
    flags = fields.texts("tcp_flags").mapped(letter_bits)
    draft.numbers |= {"tcp_flags": flags, "tcp_flags_out": np.where(both, NONE, flags)}
    vlan = fields.numbers("src_vlan")
    draft.numbers["vlan"] = np.where(vlan.good & (vlan.values > 0) & (vlan.values < 4096), vlan.values, NONE)
    draft.same("counter_layer", "L3")
    draft.same("initiator_basis", "sender")
    for name, field in (("start", "first"), ("end", "last")):
        draft.take_time(name, moment(fields, field, timezone))
    duration = fields.numbers("duration", 6)
    times = draft.times
    known = duration.good & (times.end < 0) & (times.start > 0) & (duration.values >= 0) & (duration.values < 1 << 60)
    times.end = np.where(known, times.start + np.where(known, duration.values, 0), times.end)


class NfdumpJsonReader:
    """nfdump's JSON: one object a value."""

    format = "nfdump-json"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        return any(
            sample.has(first, f"src{family}_addr", "in_packets") for first in ("first", "t_first") for family in (4, 6)
        )

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plans = {
            old: Plan({name: ((f"t_{name}" if old and name in ("first", "last") else name),) for name in JSON_NAMES})
            for old in (False, True)
        }

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        packed = Values.of(values)
        fields = read_json(packed, self._plans[False])
        if fields.has("t_first").any():
            fields = read_json(packed, self._plans[True])
        draft = FlowBuilder(len(fields), self._options)
        draft.take_reasons(fields)
        broken = draft.reasons > 0
        for side in ("src", "dst"):
            draft.take_addresses(side, _either(fields, f"{side}{{}}_addr"), needed=True)
            draft.take_addresses(f"{side}_nat", _told(_either(fields, f"{side}{{}}_xlt_ip")))
        draft.take_ports(fields.numbers("src_port"), fields.numbers("dst_port"))
        nat = [fields.numbers(f"{side}_xlt_port") for side in ("src", "dst")]
        nat = [one._replace(state=np.where(one.values == 0, NOTHING, one.state)) for one in nat]
        draft.take_ports(nat[0], nat[1], names=("src_nat_port", "dst_nat_port"))
        told = icmp_words(fields.numbers("icmp_type"), fields.numbers("icmp_code"))
        ports = icmp_of_ports(fields.numbers("src_port"), fields.numbers("dst_port"))
        draft.icmp = np.where(fields.has("icmp_type"), told, ports)
        _common(draft, fields, self._options.timezone)
        draft.times.bound([FLOW_TIMES[self.format][""]])
        _received(draft, fields, self._options.timezone)
        kinds = fields.texts("type").mapped(lambda word: int(word not in ("FLOW", "EVENT")), absent=0)
        draft.skip((kinds == 1) & ~broken, "other_record")
        router = first_told(fields.texts("ip4_router"), fields.texts("ip6_router"))
        draft.texts["observer"] = observers(router, _interface(fields), self._options)
        return draft.finish(self.format, ids, received_us)


def _received(draft: FlowBuilder, fields: Fields, timezone: str | None) -> None:
    found = moment(fields, "received", timezone)
    draft.take_time("received", Numbers(found.values, np.where(found.good, GOOD, NOTHING).astype(np.uint8)))


def _either(fields: Fields, form: str) -> Addresses:
    four = fields.addresses(form.format(4))
    return _chosen(four.state == GOOD, four, fields.addresses(form.format(6)))


def _interface(fields: Fields) -> Texts:
    egress = fields.texts("direction").mapped(lambda word: int(word == "1"), absent=0) == 1
    return counted_at(fields.texts("input_snmp"), fields.texts("output_snmp"), egress)


def _told_by(line: bytes, before: tuple[bool, tuple[str, ...]]) -> tuple[bool, tuple[str, ...]]:
    """Whether a summary follows, and the names of the columns: what a header says of the lines below it."""
    if line.strip() == SUMMARY:
        return True, before[1]
    told = line.decode("utf-8", "replace").strip().split(",")[:256]
    return False, tuple(CSV_NAMES.get(word, "") for word in told)


class NfdumpCsvReader:
    """nfdump's CSV, with its header line; the summary behind the flows is passed over."""

    format = "nfdump-csv"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        heads = [set(line.strip().split(",")) for line in sample.lines]
        return any({"ts", "sa", "da", "ipkt"} <= head or {"firstSeen", "srcAddr", "packets"} <= head for head in heads)

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._state: tuple[bool, tuple[str, ...]] = (False, ())

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        packed = Values.of(values)
        headers = {row for word in (b"ts,te,", b"firstSeen,") for row in lines_with(packed, word)}
        headers |= {row for row in lines_with(packed, SUMMARY) if packed[row].strip() == SUMMARY}
        found, self._state = read_under(packed, ids, received_us, sorted(headers), self._state, _told_by, self._lines)
        return found

    def _lines(
        self, state: tuple[bool, tuple[str, ...]], values: Values, ids: Ids, received_us: Words | None
    ) -> Parsed:
        summing, names = state
        fields = read_columns(values, ",", names or ("",))
        draft = FlowBuilder(len(values), self._options)
        if summing:
            draft.skip(np.ones(len(values), dtype=np.bool_), "summary")
        elif not names:
            draft.refuse(np.ones(len(values), dtype=np.bool_), "no_header")
        draft.take_reasons(fields)
        for side in ("src", "dst"):
            draft.take_addresses(side, fields.addresses(side), needed=True)
        # For ICMP the destination's port is `type.code`, or one number of both before 1.7.5.
        told = fields.texts("proto").mapped(protocol_number)
        ports = [fields.numbers(f"{side}_port") for side in ("src", "dst")]
        calm = [one._replace(state=np.where(np.isin(told, (1, 58)), NOTHING, one.state)) for one in ports]
        draft.take_ports(calm[0], calm[1])
        draft.icmp = np.where(np.isin(told, (1, 58)), fields.texts("dst_port").mapped(_type_and_code), NONE)
        _common(draft, fields, self._options.timezone)
        finer = (draft.times.start % 1_000_000 != 0) | (draft.times.end % 1_000_000 != 0)
        draft.times.bound([*FLOW_TIMES[self.format].values()], finer.astype(np.int64))
        _received(draft, fields, self._options.timezone)
        router = fields.texts("router").spelt(lambda word: None if word.strip("0.") == "" else word)
        draft.texts["observer"] = observers(router, _interface(fields), self._options)
        return draft.finish(self.format, ids, received_us)


def _type_and_code(word: str) -> int:
    kind, dot, code = word.partition(".")
    if not (word.isascii() and len(word) < 8 and kind.isdecimal() and (code.isdecimal() or not dot)):
        return NONE
    if dot:
        return int(kind) << 8 | int(code) if int(kind) < 256 and int(code) < 256 else NONE
    return int(kind) if kind == "0" or 256 <= int(kind) <= 0xFFFF else NONE
