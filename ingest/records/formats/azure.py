"""Azure: flow tuples of network security groups (versions 1 and 2) and of virtual networks (version 4).

Source: learn.microsoft.com/azure/network-watcher, nsg-flow-logs-overview and vnet-flow-logs-overview.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from ingest.records.fields import NO_JSON, NO_OBJECT, Fields, Texts
from ingest.records.flow_builder import FlowBuilder
from ingest.records.flow_columns import NONE
from ingest.records.formats.sample import Sample
from ingest.records.formats.shared import named_by
from ingest.records.reader import Ids, Parsed, RecordOptions, Refusal, Values, merge
from ingest.records.separated import read_columns
from whowas.arrays import Words
from whowas.flow_times import FLOW_TIMES
from whowas.schema import INITIATOR_BASES

ENDS = ("time", "src", "dst", "sport", "dport", "proto", "way")
COUNTS = ("packets_out", "bytes_out", "packets_in", "bytes_in")
NSG1 = (*ENDS, "decision")
NSG2 = (*ENDS, "decision", "state", *COUNTS)
VNET = (*ENDS, "state", "encryption", *COUNTS)
# NSG writes seconds and letters, virtual networks milliseconds and numbers.
POWERS = {NSG1: 6, NSG2: 6, VNET: 3}
# C counts since the last update, documented as every five minutes. E: no document gives a bound, it waits for the idle
# timeout of the flow; thirty minutes is our assumption.
STATES = ("C", "E", "others")
PROTOCOLS = {"T": 6, "U": 17, "I": 1}


@dataclass
class _Tuples:
    """Tuples of one form: text, of which value, at which place within it, seen by whom."""

    texts: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    observers: list[str] = field(default_factory=list)


def _lists(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []


def _objects(told: Any, key: str) -> list[dict[str, Any]]:
    """The objects of the list under a key; nothing where it is something else."""
    return [one for one in _lists(told.get(key)) if isinstance(one, dict)] if isinstance(told, dict) else []


def _records(told: dict[str, Any]) -> list[dict[str, Any]]:
    """A value is one record, or the file with all of them."""
    return _objects(told, "records") if "records" in told else [told]


def _tuples(record: dict[str, Any]) -> Iterator[tuple[bool, str, Any]]:
    """(of a virtual network, seen by whom, tuple) of a record."""
    for flow in _objects(record.get("flowRecords"), "flows"):
        for group in _objects(flow, "flowGroups"):
            for one in _lists(group.get("flowTuples")):
                yield True, str(record.get("macAddress", "")), one
    for rule in _objects(record.get("properties"), "flows"):
        for flow in _objects(rule, "flows"):
            for one in _lists(flow.get("flowTuples")):
                yield False, str(flow.get("mac", "")), one


class AzureReader:
    """Azure flow logs: a value is a record, or the whole file."""

    format = "azure"

    @staticmethod
    def knows(sample: Sample) -> bool:
        """Say whether this is the format's own spelling."""
        for told in sample.objects:
            for record in _records(told):
                if "flowRecords" in record or next(_tuples(record), None) is not None:
                    return True
        return False

    def __init__(self, options: RecordOptions) -> None:
        self._options = options

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader. A tuple that is broken costs that tuple."""
        kept = {form: _Tuples() for form in POWERS}
        refused: list[Refusal] = []
        skipped: list[Refusal] = []
        for row, value in enumerate(values):
            reason = self._take(row, value, kept, refused)
            if reason is not None:
                (skipped if reason == "no_tuples" else refused).append(Refusal(row, reason))
        parts = [self._form(form, told, ids, received_us) for form, told in kept.items()]
        found = merge([(0, one) for one in parts if one.flows.num_rows or one.refused] or [(0, parts[0])])
        return Parsed(found.flows, found.rows, [*refused, *found.refused], [*skipped, *found.skipped], found.noted)

    def _take(self, row: int, value: bytes, kept: dict[Any, _Tuples], refused: list[Refusal]) -> str | None:
        """Sort the tuples of one value by their form. Returns: why there are none, if so."""
        try:
            told = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            return NO_JSON if value else "empty"
        if not isinstance(told, dict):
            return NO_OBJECT
        part = -1
        for record in _records(told):
            for vnet, mac, one in _tuples(record):
                part += 1
                commas = one.count(",") if isinstance(one, str) else -1
                form = (VNET if vnet else NSG2) if commas == 12 else NSG1 if commas == 7 and not vnet else None
                if form is None or "\n" in one:
                    refused.append(Refusal(row, "bad_tuple"))
                    continue
                into = kept[form]
                into.texts.append(one.encode())
                into.rows.append(row)
                into.parts.append(part)
                into.observers.append(mac)
        return "no_tuples" if part < 0 else None

    def _form(self, form: tuple[str, ...], told: _Tuples, ids: Ids, received_us: Words | None) -> Parsed:
        fields = read_columns(Values.of(told.texts), ",", form)
        draft = FlowBuilder(len(fields), self._options)
        draft.take_reasons(fields)
        draft.value_rows = np.array(told.rows, dtype=np.int64)
        draft.parts = np.array(told.parts, dtype=np.int64)
        draft.take_addresses("src", fields.addresses("src"), needed=True)
        draft.take_addresses("dst", fields.addresses("dst"), needed=True)
        draft.take_ports(fields.numbers("sport"), fields.numbers("dport"))
        draft.protocol = fields.texts("proto").mapped(_protocol)
        draft.take_time("start", fields.numbers("time", POWERS[form]))
        self._bound(draft, fields, form)
        self._counts(draft, fields)
        words, indices = np.unique(np.array([*told.observers, ""], dtype=object).astype(str), return_inverse=True)
        observer = Texts(indices.reshape(-1)[:-1].astype(np.int64), words.tolist()).spelt(lambda word: word or None)
        draft.texts["observer"] = named_by(observer, self._options)
        return draft.finish(self.format, ids, received_us)

    @staticmethod
    def _bound(draft: FlowBuilder, fields: Fields, form: tuple[str, ...]) -> None:
        """The one time ends what a tuple counts; how long that is, its state tells."""
        told, version = FLOW_TIMES["azure"], "v4" if form is VNET else "v1 and v2"
        states = fields.texts("state").mapped(lambda word: STATES.index(word) if word in STATES[:2] else 2, absent=2)
        draft.times.bound([told[f"{state}, {version}"] for state in STATES], states)

    @staticmethod
    def _counts(draft: FlowBuilder, fields: Fields) -> None:
        """Only a flow that goes on or ends has counts; one that begins or is denied has none, whatever is written."""
        state = fields.texts("state").mapped(lambda word: int(word in ("C", "E")), absent=0)
        for name in COUNTS:
            draft.take_count(name, fields.numbers(name))
            draft.numbers[name] = np.where(state == 1, draft.numbers[name], NONE)
        draft.same("directionality", "bi")
        draft.choose("initiator_basis", np.full(draft.size, INITIATOR_BASES.index("record")), INITIATOR_BASES)


def _protocol(word: str) -> int:
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 4 else NONE
