"""AWS VPC flow logs (columns) and Google Cloud's (JSON).

Source: docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html;
cloud.google.com/vpc/docs/about-flow-logs-records.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Addresses, Fields, Plan, Texts, read_json
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE, joined
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import named_by
from ingest.records.kernels.spots import BAD, GOOD
from ingest.records.protocols import protocol_number
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from ingest.records.separated import lines_with, read_columns, read_under
from whowas.arrays import Words
from whowas.flow_times import FLOW_TIMES

AWS_DEFAULT = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets",
    "bytes", "start", "end", "action", "log-status",
)  # fmt: skip
AWS_WANTED = (*AWS_DEFAULT[2:], "pkt-srcaddr", "pkt-dstaddr", "tcp-flags")


def _better(first: Addresses, second: Addresses) -> Addresses:
    """The first where it is told, else the second."""
    own = first.state == GOOD
    return Addresses(
        np.where(own[:, None], first.octets, second.octets),
        np.where(own, first.families, second.families),
        np.where(first.state == BAD, BAD, np.where(own, GOOD, second.state)).astype(np.uint8),
    )


def _where_other(found: Addresses, main: Addresses) -> Addresses:
    """An address only where it differs from the main one."""
    other = (found.state == GOOD) & (found.octets != main.octets).any(axis=1)
    return Addresses(found.octets, np.where(other, found.families, 0).astype(np.uint8), found.state)


class AwsReader:
    """AWS VPC flow logs: columns by a header line, by the options, or version 2's."""

    format = "aws"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling: a header, or lines of version 2."""
        for line in sample.lines:
            words = line.split()
            if {"srcaddr", "dstaddr"} <= set(words) or {"pkt-srcaddr", "pkt-dstaddr"} <= set(words):
                return True
            if len(words) == 14 and words[0] == "2" and words[13] in ("OK", "NODATA", "SKIPDATA"):
                return True
        return False

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        words = [word.strip("${} ") for word in options.fields]
        self._names: Sequence[str] = self._wanted(words or AWS_DEFAULT)

    @staticmethod
    def _wanted(words: Sequence[str]) -> list[str]:
        # A hostile header must not name a million columns.
        return [word if word in AWS_WANTED else "" for word in words[:256]]

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader. A header holds for what follows, in later calls too."""
        packed = Values.of(values)
        headers = sorted(row for row in lines_with(packed, b"srcaddr") if b"dstaddr" in packed[row])
        found, self._names = read_under(packed, ids, received_us, headers, self._names, self._told, self._lines)
        return found

    def _told(self, line: bytes, _before: Sequence[str]) -> Sequence[str]:
        return self._wanted(line.decode("utf-8", "replace").split())

    def _lines(self, names: Sequence[str], values: Values, ids: Ids, received_us: Words | None) -> Parsed:
        fields = read_columns(values, " ", names)
        draft = FlowBuilder(len(values), self._options)
        draft.take_reasons(fields)
        broken = draft.reasons > 0
        self._ends(draft, fields)
        draft.protocol = fields.texts("protocol").mapped(protocol_number)
        draft.take_ports(fields.numbers("srcport"), fields.numbers("dstport"))
        draft.take_count("packets_out", fields.numbers("packets"))
        draft.take_count("bytes_out", fields.numbers("bytes"))
        draft.take_count("tcp_flags", fields.numbers("tcp-flags"), 0xFFFF)
        draft.numbers["tcp_flags_out"] = draft.numbers["tcp_flags"]
        draft.take_time("start", fields.numbers("start", 6))
        draft.take_time("end", fields.numbers("end", 6))
        status = fields.texts("log-status")
        for number, word in enumerate(("NODATA", "SKIPDATA"), start=1):
            rows = status.mapped(lambda told, word=word, number=number: number * (told == word), absent=0)  # type: ignore[misc]
            draft.skip((rows == number) & ~broken, word.lower())
        draft.times.bound([FLOW_TIMES["aws"][""]])
        draft.same("directionality", "uni")
        draft.same("initiator_basis", "sender")
        interface = fields.texts("interface-id").spelt(lambda word: None if word in ("-", "") else word)
        draft.texts["observer"] = named_by(interface, self._options)
        return draft.finish(self.format, ids, received_us)

    @staticmethod
    def _ends(draft: FlowBuilder, fields: Fields) -> None:
        """pkt-* are of the packet; srcaddr and dstaddr may be those of an interface on the way."""
        for side in ("src", "dst"):
            packet, interface = fields.addresses(f"pkt-{side}addr"), fields.addresses(f"{side}addr")
            main = _better(packet, interface)
            draft.take_addresses(side, main, needed=True)
            draft.take_addresses(f"{side}_nat", _where_other(interface, main))


GCP_PATHS = {
    **{name: ("jsonPayload", "connection", name) for name in ("src_ip", "dest_ip", "src_port", "dest_port")},
    "protocol": ("jsonPayload", "connection", "protocol"),
    **{name: ("jsonPayload", name) for name in ("bytes_sent", "packets_sent", "start_time", "end_time", "reporter")},
    "src_vm": ("jsonPayload", "src_instance", "vm_name"), "dest_vm": ("jsonPayload", "dest_instance", "vm_name"),
    "log": ("logName",), "received": ("receiveTimestamp",),
}  # fmt: skip


class GcpReader:
    """Google Cloud VPC flow logs, as Cloud Logging exports them."""

    format = "gcp"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        return sample.has("jsonPayload/connection/src_ip", "jsonPayload/bytes_sent")

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plan = Plan(GCP_PATHS)

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        fields = read_json(Values.of(values), self._plan)
        draft = FlowBuilder(len(fields), self._options)
        draft.take_reasons(fields)
        broken = draft.reasons > 0
        draft.take_addresses("src", fields.addresses("src_ip"), needed=True)
        draft.take_addresses("dst", fields.addresses("dest_ip"), needed=True)
        draft.take_ports(fields.numbers("src_port"), fields.numbers("dest_port"))
        draft.protocol = fields.texts("protocol").mapped(protocol_number)
        draft.take_count("bytes_out", fields.numbers("bytes_sent"))
        draft.take_count("packets_out", fields.numbers("packets_sent"))
        draft.take_time("start", fields.timestamps("start_time"))
        draft.take_time("end", fields.timestamps("end_time"))
        draft.take_time("received", fields.timestamps("received"))
        draft.times.bound([FLOW_TIMES["gcp"][""]])
        draft.same("counter_layer", "L4")
        draft.same("directionality", "uni")
        draft.same("initiator_basis", "sender")
        draft.texts["observer"] = named_by(_reporter(fields), self._options)
        other = fields.texts("log").mapped(lambda word: int("vpc_flows" not in word), absent=0)
        draft.skip((other == 1) & ~broken, "other_log")
        return draft.finish(self.format, ids, received_us)


def _reporter(fields: Fields) -> Texts:
    """SRC or DEST, and the machine at that end."""
    reporter = fields.texts("reporter")
    at_src = reporter.mapped(lambda word: int(word.startswith("SRC")), absent=0) == 1
    src, dest = fields.texts("src_vm"), fields.texts("dest_vm")
    other = np.where(dest.indices >= 0, dest.indices + len(src.words), NONE)
    return joined(reporter, Texts(np.where(at_src, src.indices, other), [*src.words, *dest.words]))
