"""Zeek conn.log: tabs with a header, and JSON.

Source: docs.zeek.org, logs/conn and base/protocols/conn/main.zeek.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ingest.records.fields import Fields, Numbers, Plan, read_json
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import either, icmp_words
from ingest.records.kernels.spots import GOOD
from ingest.records.protocols import protocol_number
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from ingest.records.record_times import NEVER
from ingest.records.separated import all_of, first_bytes, read_columns, read_under
from whowas.arrays import Words
from whowas.flow_times import FLOW_TIMES
from whowas.schema import COUNTER_LAYERS

FIELDS = (
    "ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "ip_proto", "service", "duration",
    "orig_bytes", "resp_bytes", "conn_state", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "vlan",
    "orig_l2_addr", "resp_l2_addr", "community_id", "id.ctx.vxlan_vni", "_system_name", "_write_ts",
)  # fmt: skip
ENDS = {"SF": "fin", "RSTO": "rst", "RSTR": "rst", "RSTOS0": "rst", "RSTRH": "rst"}
# Zed nests what Zeek dots, and shippers to Elasticsearch write a line under it.
DOTTED = tuple(name for name in FIELDS if "." in name)
SPELLINGS = {name: (tuple(name.split(".")), (name.replace(".", "_"),)) for name in DOTTED}
HASH = ord("#")
HEX = re.compile("[0-7][0-9a-fA-F]")


def filled(fields: Fields, ids: Ids, options: RecordOptions) -> FlowBuilder:
    """Draft of conn.log's fields."""
    draft = FlowBuilder(len(fields), options)
    draft.take_reasons(fields)
    draft.take_addresses("src", fields.addresses("id.orig_h"), needed=True)
    draft.take_addresses("dst", fields.addresses("id.resp_h"), needed=True)
    orig, resp = fields.numbers("id.orig_p"), fields.numbers("id.resp_p")
    draft.take_ports(orig, resp)
    draft.protocol = _protocol(draft, fields)
    draft.icmp = np.where(np.isin(draft.protocol, (1, 58)), icmp_words(orig, resp), NONE)
    _times(draft, fields)
    _counts(draft, fields)
    draft.texts["app_protocol"] = fields.texts("service").spelt(lambda word: None if word in ("-", "") else word)
    draft.texts["end_reason"] = fields.texts("conn_state").spelt(ENDS.get)
    if fields.has("community_id").all() and len(fields):
        draft.texts["community_id"] = fields.texts("community_id").spelt(lambda w: w if w.startswith("1:") else None)
    draft.macs = {"src": fields.macs("orig_l2_addr"), "dst": fields.macs("resp_l2_addr")}
    draft.take_count("vlan", fields.numbers("vlan"), 4095)
    draft.take_count("vni", fields.numbers("id.ctx.vxlan_vni"), (1 << 24) - 1)
    if fields.has("_system_name").any():
        draft.texts["observer"] = fields.texts("_system_name")
    else:
        draft.same("observer", options.observer or ids.origin.split("\0")[0])
    return draft


def _protocol(draft: FlowBuilder, fields: Fields) -> Words:
    """ip_proto where it is told; else the word, `icmp` being that of the addresses' family."""
    told = fields.texts("proto").mapped(protocol_number)
    told[(told == 1) & (draft.addresses["src"].families == 6)] = 58
    number = fields.numbers("ip_proto")
    return np.where(number.good, number.values, told)


def _times(draft: FlowBuilder, fields: Fields) -> None:
    start = _moment(fields, "ts")
    draft.take_time("start", start)
    duration = fields.numbers("duration", 6)
    draft.refuse(duration.bad | (duration.values < 0) | (duration.values > 1 << 60), "bad_duration")
    length = np.where(duration.good, np.minimum(duration.values, 1 << 60), 0)
    draft.times.end = np.where(start.good, draft.times.start + length, NEVER)
    draft.take_time("received", _moment(fields, "_write_ts"))
    draft.times.bound([FLOW_TIMES["zeek"][""]])


def _moment(fields: Fields, name: str) -> Numbers:
    """Seconds since 1970, or a time as text."""
    seconds = fields.numbers(name, 6)
    return either(~seconds.bad, seconds, fields.timestamps(name)) if seconds.bad.any() else seconds


def _counts(draft: FlowBuilder, fields: Fields) -> None:
    """Bytes of IP where they are told, of payload else."""
    draft.take_count("packets_out", fields.numbers("orig_pkts"))
    draft.take_count("packets_in", fields.numbers("resp_pkts"))
    ip = [fields.numbers(name) for name in ("orig_ip_bytes", "resp_ip_bytes")]
    payload = [fields.numbers(name) for name in ("orig_bytes", "resp_bytes")]
    has_ip = ip[0].state == GOOD
    for name, layer3, layer4 in zip(("bytes_out", "bytes_in"), ip, payload, strict=True):
        values = np.where(has_ip, layer3.values, layer4.values)
        draft.take_count(name, Numbers(values, np.where(has_ip, layer3.state, layer4.state)))
    layers = np.where(has_ip, COUNTER_LAYERS.index("L3"), COUNTER_LAYERS.index("L4"))
    draft.choose("counter_layer", np.where(draft.numbers["bytes_out"] < 0, NONE, layers), COUNTER_LAYERS)
    draft.numbers["sampling_rate"] = np.ones(draft.size, dtype=np.int64)
    draft.same("directionality", "bi")
    draft.same("initiator_basis", "record")


class ZeekJsonReader:
    """Zeek conn.log as JSON."""

    format = "zeek-json"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling; other Zeek logs have no conn_state."""
        ends = ("id.orig_h", *("/".join(path) for path in SPELLINGS["id.orig_h"]))
        return any(sample.has("ts", one, "conn_state") for one in ends)

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        others = {"/".join(path): path for paths in SPELLINGS.values() for path in paths}
        self._plan = Plan({name: (name,) for name in (*FIELDS, "_path")} | others)

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        fields = read_json(Values.of(values), self._plan)
        if not fields.has("id.orig_h").all():
            for name, paths in SPELLINGS.items():
                for path in paths:
                    fields.fill(name, "/".join(path))
        draft = filled(fields, ids, self._options)
        other = fields.texts("_path").mapped(lambda word: int(not word.startswith("conn")), absent=0) == 1
        draft.skip(other, "other_log")
        return draft.finish(self.format, ids, received_us)


class Header(NamedTuple):
    """What holds for the lines below. names: "" for a column that is not wanted."""

    separator: str
    names: tuple[str, ...]


def told_by(line: bytes, before: Header) -> Header:
    """Return what holds below one line of a header."""
    told = line.decode("utf-8", "replace").rstrip("\r\n")
    if told.startswith("#separator "):
        return Header(separator_of(told.removeprefix("#separator ")), before.names)
    if told.startswith("#fields"):
        names = told[len("#fields") + 1 :].split(before.separator)
        # A hostile header must not name a million columns.
        return Header(before.separator, tuple(name if name in FIELDS else "" for name in names[:4096]))
    return before


def separator_of(word: str) -> str:
    """Return what separates columns by what a header says of it: \\x09, or the character itself."""
    word = word.strip()
    if word[:2] != "\\x":
        return word[:1] if word[:1].isascii() and word else "\t"
    # What is no such code separates nothing: tabs do, in every log that Zeek writes.
    return chr(int(word[2:], 16)) if HEX.fullmatch(word[2:]) else "\t"


class ZeekReader:
    """Zeek conn.log, tabs. The header may stand anywhere: it holds for what follows, in later calls too."""

    format = "zeek"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling: a header of conn."""
        fields = next((line.split("\t") for line in sample.lines if line.startswith("#fields")), [])
        return "id.orig_h" in fields and "conn_state" in fields

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._state = Header("\t", options.fields)

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        packed = Values.of(values)
        headers = np.flatnonzero((first_bytes(packed) == HASH) & (packed.ends > packed.starts)).tolist()
        found, self._state = read_under(packed, ids, received_us, headers, self._state, told_by, self._lines)
        return found

    def _lines(self, told: Header, values: Values, ids: Ids, received_us: Words | None) -> Parsed:
        if not told.names:
            draft = FlowBuilder(len(values), self._options)
            draft.refuse(all_of(np.arange(len(values)), len(values)), "no_header")
            return draft.finish(self.format, ids, received_us)
        fields = read_columns(values, told.separator, told.names)
        return filled(fields, ids, self._options).finish(self.format, ids, received_us)
