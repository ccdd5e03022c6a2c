"""NetObserv, enriched JSON: what flowlogs-pipeline writes.

Source: github.com/netobserv/flowlogs-pipeline docs and github.com/netobserv/netobserv-operator docs/flows-format.adoc.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Fields, Numbers, Plan, read_json
from ingest.records.flow_builder import FlowBuilder
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import FLAGS, filled, first_told, flag_bits, icmp_words, observers
from ingest.records.kernels.spots import GOOD
from ingest.records.protocols import protocol_number
from ingest.records.reader import Ids, Parsed, RecordOptions, Values
from whowas.arrays import Words
from whowas.flow_times import FLOW_TIMES

FIELDS = (
    "SrcAddr", "DstAddr", "SrcPort", "DstPort", "Proto", "Bytes", "Packets", "TimeFlowStartMs", "TimeFlowEndMs",
    "TimeReceived", "SrcMac", "DstMac", "AgentIP", "Interfaces", "Interface", "Sampling", "Flags", "IcmpType",
    "IcmpCode", "XlatSrcAddr", "XlatDstAddr", "XlatSrcPort", "XlatDstPort", "DnsName", "_RecordType",
    "SrcK8S_Name", "DstK8S_Name", "SrcK8S_Namespace", "DstK8S_Namespace", "SrcK8S_OwnerName", "DstK8S_OwnerName",
)  # fmt: skip
# The agent's own bits beyond TCP's: both flags were seen in one packet.
PAIRS = ((256, "SYN_ACK"), (512, "FIN_ACK"), (1024, "RST_ACK"))


def plain_flags(bits: Words) -> Words:
    """The agent's bits as TCP's."""
    told = bits & 0xFF
    for bit, word in PAIRS:
        told = np.where(bits & bit, told | sum(FLAGS[one] for one in word.split("_")), told)
    return told


def tcp_flags(fields: Fields) -> Numbers:
    """Flags are a number, a list of names, or absent."""
    found = fields.numbers("Flags")
    values = plain_flags(found.values)
    if found.bad.any():
        told = fields.texts("Flags").mapped(flag_bits)
        values = np.where(found.bad, told, values)
        return Numbers(values, np.where(found.bad & (told >= 0), GOOD, found.state).astype(np.uint8))
    return Numbers(values, found.state)


def interface_names(text: str) -> str | None:
    """Names of a JSON list, or one name."""
    try:
        names = json.loads(text) if text.startswith("[") else [text]
    except (ValueError, RecursionError):
        return None
    # The agent lists them as it meets them: one place has one name.
    return ",".join(sorted({str(name) for name in names})) or None


class NetObservReader:
    """NetObserv, enriched JSON."""

    format = "netobserv"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        return sample.has("SrcAddr", "TimeFlowStartMs", "Proto") and not sample.has("SamplerAddress")

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._plan = Plan({name: (name,) for name in FIELDS})

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        packed = Values.of(values)
        fields = read_json(packed, self._plan)
        draft = FlowBuilder(len(packed), self._options)
        draft.take_reasons(fields)
        self._ends(draft, fields)
        self._counts(draft, fields)
        # Conversation tracking sums up flows that are there one by one as well.
        kinds = fields.texts("_RecordType").mapped(lambda word: int(word != "flowLog"), absent=0)
        draft.skip(kinds == 1, "conversation_record")
        return draft.finish(self.format, ids, received_us)

    def _ends(self, draft: FlowBuilder, fields: Fields) -> None:
        draft.take_addresses("src", fields.addresses("SrcAddr"), needed=True)
        draft.take_addresses("dst", fields.addresses("DstAddr"), needed=True)
        draft.take_addresses("src_nat", fields.addresses("XlatSrcAddr"))
        draft.take_addresses("dst_nat", fields.addresses("XlatDstAddr"))
        draft.take_ports(fields.numbers("SrcPort"), fields.numbers("DstPort"))
        ports = fields.numbers("XlatSrcPort"), fields.numbers("XlatDstPort")
        draft.take_ports(*ports, names=("src_nat_port", "dst_nat_port"))
        draft.protocol = fields.texts("Proto").mapped(protocol_number)
        draft.macs = {"src": fields.macs("SrcMac"), "dst": fields.macs("DstMac")}
        draft.icmp = icmp_words(fields.numbers("IcmpType"), fields.numbers("IcmpCode"))

    def _counts(self, draft: FlowBuilder, fields: Fields) -> None:
        draft.take_time("start", fields.numbers("TimeFlowStartMs", 3))
        draft.take_time("end", fields.numbers("TimeFlowEndMs", 3))
        draft.take_time("received", fields.numbers("TimeReceived", 6))
        draft.take_count("bytes_out", fields.numbers("Bytes"))
        draft.take_count("packets_out", fields.numbers("Packets"))
        draft.take_count("sampling_rate", fields.numbers("Sampling"))
        draft.take_count("tcp_flags", tcp_flags(fields), 0xFFFF)
        draft.numbers["tcp_flags_out"] = draft.numbers["tcp_flags"]
        fill_netobserv(draft, self.format)
        interfaces = fields.texts("Interfaces").spelt(interface_names)
        place = first_told(interfaces, fields.texts("Interface"))
        draft.texts["observer"] = observers(fields.texts("AgentIP"), place, draft.options)
        for side, key in (("src", "SrcK8S_"), ("dst", "DstK8S_")):
            name = first_told(fields.texts(f"{key}Name").spelt(filled), fields.texts(f"{key}OwnerName").spelt(filled))
            draft.texts[f"{side}_told_name"] = name
            draft.texts[f"{side}_told_namespace"] = fields.texts(f"{key}Namespace").spelt(filled)
        draft.texts["dns_name"] = fields.texts("DnsName").spelt(lambda word: word or None)


def fill_netobserv(draft: FlowBuilder, form: str) -> None:
    """What holds for every record of the agent: it counts frames, each direction by itself."""
    draft.times.bound([FLOW_TIMES[form][""]])
    draft.same("counter_layer", "L2")
    draft.same("directionality", "uni")
    draft.same("initiator_basis", "sender")
