"""The verdict of each named flow, as of its start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from detect.policy.directions import OPEN, Side
from detect.policy.distinct import Memory, packed
from detect.policy.doubt import UNDEFINED, UNKNOWN
from detect.policy.flow_ends import FlowEnd, flow_end
from detect.policy.flow_questions import ACK, OPENED_BY_SOURCE, SIDES, SYN, UNTOLD_US, Asker
from detect.policy.model import INGRESS, PROTOCOLS
from detect.policy.moments import Asked, Judge
from detect.policy.verdicts import Verdict, agreed
from whowas.arrays import Words

SIDE_COLUMNS = ("confidence", "kind", "pod_uid", "ip16", "port")
NAMES = ("namespace", "pod", "service", "node", "candidates")
COLUMNS = (
    *(f"{side}_{name}" for side in SIDES for name in (*SIDE_COLUMNS, *NAMES)),
    "protocol", "directionality", "initiator_basis", "tcp_flags_out", "start_time", "time_before", "encapsulated",
)  # fmt: skip
# Verdicts, and values that tell their questions apart, kept between batches: some hundred megabytes at most.
KEPT = 1 << 18
NOBODY = "the opener is not known, and each of the two would be judged otherwise"


class Texts(NamedTuple):
    """What is written of a verdict; nothing where there is none."""

    verdict: str | None
    ingress: str | None
    egress: str | None
    reason: str | None


class Judged(NamedTuple):
    """Verdicts of a batch: the distinct ones of all batches, None = not judged, and which of them is each row's.

    texts: for each of the distinct ones what is written of it, as a number. told: that by number.
    """

    verdicts: list[Verdict | None]
    rows: Words
    texts: Words
    told: list[Texts]


class FlowJudge:
    """Judges flows of one cluster. judge: against its timeline."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._forget()

    def _forget(self) -> None:
        self._asker = Asker(self._judge.timeline, bare=self._judge.without_policies())
        self._memory = Memory()
        # For each remembered question; and what is written of them, each once.
        self._verdicts: list[Verdict | None] = []
        self._texts: Words = np.empty(0, dtype=np.int64)
        self._told: dict[Texts, int] = {}

    def judged(self, flows: Any) -> Judged:
        """Judge a batch or table of named flows, with the columns COLUMNS."""
        table = pa.Table.from_batches([flows]) if isinstance(flows, pa.RecordBatch) else flows
        if not table.num_rows:
            return Judged([], np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), [])
        if self._asker.stale() or max(len(self._asker), len(self._memory)) > KEPT:
            self._forget()
        table = table.select(COLUMNS).combine_chunks()
        questions = self._asker.questions(table)
        first, rows = questions.distinct()
        keys = questions.keys(first, self._memory.factors)
        own = self._memory.find(keys)
        fresh = np.flatnonzero(own < 0)
        if len(fresh):
            own[fresh] = np.arange(len(self._memory), len(self._memory) + len(fresh))
            self._memory.add(keys[fresh])
            self._add(table.take(pa.array(first[fresh])))
        return Judged(self._verdicts, own[rows], self._texts, list(self._told))

    def _add(self, table: Any) -> None:
        """Judge each row of a table, whose questions are new."""
        verdicts = [self.verdict(row) for row in _rows(table)]
        texts = [self._told.setdefault(_texts(one), len(self._told)) for one in verdicts]
        self._verdicts += verdicts
        self._texts = np.concatenate([self._texts, np.array(texts, dtype=np.int64)])

    def verdict(self, row: dict[str, Any]) -> Verdict | None:
        """Judge one flow; None where it has no time, or an end of which nobody can say who it was.

        Args: row: its COLUMNS as Python values, start_time in us.
        """
        source, target = flow_end(row, "src"), flow_end(row, "dst")
        if source is None or target is None or row["start_time"] is None or row["encapsulated"]:
            return None
        high, before = row["start_time"], row["time_before"]
        low = high - (UNTOLD_US if before is None else before)
        opener = self._opener(row, source, target, low, high)
        found = []
        if opener != "dst":
            found.append(self._either(source, target, row["dst_port"], row["protocol"], low, high))
        if opener != "src":
            found.append(self._either(target, source, row["src_port"], row["protocol"], low, high))
        return agreed(found, UNKNOWN, NOBODY)

    def _opener(self, row: dict[str, Any], source: FlowEnd, target: FlowEnd, low: int, high: int) -> str:
        """Say which end opened it: by its word, by SYN, by who listens; "" where nothing tells."""
        if row["protocol"] not in PROTOCOLS or row["initiator_basis"] in OPENED_BY_SOURCE:
            return "src"
        flags = row["tcp_flags_out"] or 0
        if flags & SYN and not flags & ACK:
            return "src"
        listens = [
            self._listens(end, port, row["protocol"], low, high)
            for end, port in ((source, row["src_port"]), (target, row["dst_port"]))
        ]
        if listens[0] != listens[1]:
            return "dst" if listens[0] else "src"
        return ""

    def _listens(self, end: FlowEnd, port: int | None, protocol: str, low: int, high: int) -> bool:
        if end.service is not None:
            return True
        lines = [self._judge.timeline.pods.get(one.uid) for one in end.holders]
        pods = [pod for line in lines if line is not None for pod in line.within(low, high) if pod is not None]
        return bool(pods) and all(
            any((one.number, one.protocol) == (port, protocol) for one in pod.ports or ()) for pod in pods
        )

    def _either(
        self, source: FlowEnd, target: FlowEnd, port: int | None, protocol: str, low: int, high: int
    ) -> Verdict:  # fmt: skip
        """Judge every pair that the two ends may have been."""
        if len(source.holders) == len(target.holders) == 1:
            found = self._judge.verdict(Asked(source.holders[0], target.holders[0], port, protocol, low, high))
        else:
            found = self._each(source, target, port, protocol, low, high)
        if source.snat or target.snat:
            why = f"a node that may be speaking for pods; as the node it is {found.word}"
            return found._replace(word=UNKNOWN, reason=why)
        for end in (source, target):
            if end.service is not None:
                found = self._service(found, end.service, low, high)
        return found

    def _each(
        self, source: FlowEnd, target: FlowEnd, port: int | None, protocol: str, low: int, high: int
    ) -> Verdict:  # fmt: skip
        several = [
            self._judge.verdict(Asked(one, other, port, protocol, low, high))
            for one, other in product(source.holders, target.holders)
        ]
        names = Counter(one.name for end in (source, target) if len(end.holders) > 1 for one in end.holders)
        return agreed(several, UNKNOWN, f"who it was is not certain ({', '.join(names)}), and decides")

    def _service(self, found: Verdict, namespace: str, low: int, high: int) -> Verdict:
        """A Service's address: what is behind it is judged too, and the API does not say which counts."""
        lines = self._judge.timeline.policies_of([namespace])
        policies = [one for line in lines for one in line.within(low, high) if one is not None]
        if found.word == OPEN and not any(one.rules(INGRESS) is not None for one in policies):
            return found
        if found.word == UNKNOWN:
            return found
        why = f"a Service's address: as such it is {found.word}, and what is behind it may be judged otherwise"
        return found._replace(word=UNDEFINED, reason=why)


def columns_of(judged: Judged) -> dict[str, Any]:
    """Return the columns policy_verdict, policy_ingress, policy_egress and policy_reason of a batch, null unjudged."""
    found = packed(judged.texts[judged.rows])
    used = [] if found.meaning is None else [judged.told[one] for one in found.meaning.tolist()]
    return {f"policy_{name}": _pointed([getattr(one, name) for one in used], found.rows) for name in Texts._fields}


def _pointed(words: list[str | None], rows: Words) -> Any:
    """Return a dictionary array. Args: rows: which of the words each row has."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(one for one in words if one is not None))}
    codes = np.array([-1 if one is None else numbers[one] for one in words], dtype=np.int32)
    found = codes[rows] if len(codes) else rows.astype(np.int32)
    indices = pa.array(found, mask=found < 0) if (codes < 0).any() else pa.array(found)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(numbers), pa.string()))


def _texts(verdict: Verdict | None) -> Texts:
    if verdict is None:
        return Texts(None, None, None, None)
    return Texts(verdict.word, _names(verdict.ingress), _names(verdict.egress), verdict.reason)


def _names(side: Side) -> str | None:
    return ", ".join(side.decided) or None


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    """Yield a table's rows as Python values, times as numbers, so that none is rounded."""
    place = table.schema.get_field_index("start_time")
    table = table.set_column(place, "start_time", table["start_time"].cast(pa.int64()))
    columns, names = [_values(column.combine_chunks()) for column in table.columns], table.column_names
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _values(column: Any) -> list[Any]:
    """As to_pylist, which takes as long as all the rest."""
    if isinstance(column, pa.ChunkedArray):
        return list(column.to_pylist())
    if pa.types.is_dictionary(column.type):
        if len(column.dictionary) > len(column):
            return _values(column.dictionary_decode())
        words = [*_values(column.dictionary), None]
        return [words[one] for one in column.indices.fill_null(-1).to_pylist()]
    if pa.types.is_nested(column.type) or (column.null_count and pa.types.is_primitive(column.type)):
        return list(column.to_pylist())
    found: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return found
