"""The verdict of each named flow, as of its start."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detect.policy.directions import OPEN, Side
from detect.policy.distinct import Codes, Questions, codes_of
from detect.policy.doubt import UNDEFINED, UNKNOWN
from detect.policy.flow_ends import FlowEnd, flow_end
from detect.policy.model import INGRESS, PROTOCOLS
from detect.policy.moments import Asked, Judge
from detect.policy.verdicts import Verdict, agreed

SIDES = ("src", "dst")
SIDE_COLUMNS = ("confidence", "kind", "pod_uid", "ip16", "port")
NAMES = ("namespace", "pod", "service", "node", "candidates")
COLUMNS = (
    *(f"{side}_{name}" for side in SIDES for name in (*SIDE_COLUMNS, *NAMES)),
    "protocol", "directionality", "initiator_basis", "tcp_flags_out", "start_time", "time_before", "encapsulated",
)  # fmt: skip
# What tells questions apart beside times, candidates, and what may tell the opener.
TELLING = (
    *(f"{side}_{name}" for side in SIDES
      for name in ("confidence", "kind", "pod_uid", "ip16", "node", "namespace", "pod", "service")),
    "dst_port", "protocol", "directionality", "initiator_basis", "encapsulated",
)  # fmt: skip
# Verdicts kept between batches: some hundred megabytes at most.
KEPT = 1 << 18
SYN, ACK = 0x02, 0x10
# How long before its start a flow's packets may lie where a record does not tell: as naming takes it.
UNTOLD_US = 120_000_000
NOBODY = "the opener is not known, and each of the two would be judged otherwise"


class Judged(NamedTuple):
    """Verdicts of a batch: a few distinct ones, None = not judged, and which of them is each row's."""

    verdicts: list[Verdict | None]
    rows: Codes


class FlowJudge:
    """Judges flows of one cluster. judge: against its timeline."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._kept: dict[Any, Verdict | None] = {}

    def judged(self, flows: Any) -> Judged:
        """Judge a batch or table of named flows, with the columns COLUMNS."""
        table = pa.Table.from_batches([flows]) if isinstance(flows, pa.RecordBatch) else flows
        table = table.select(COLUMNS).combine_chunks()
        first, rows = self._questions(table).distinct()
        asked = _plain(table.take(pa.array(first))).to_pylist()
        return Judged([self._remembered(one) for one in asked], rows)

    def _remembered(self, row: dict[str, Any]) -> Verdict | None:
        """Judge a flow, or find the verdict of one that asks the same: batches ask the same again and again."""
        key = self._key(row)
        if key in self._kept:
            return self._kept[key]
        if len(self._kept) >= KEPT:
            self._kept.clear()
        found = self._kept[key] = self.verdict(row)
        return found

    def _key(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """What decides of a flow: the columns by which questions are told apart, and between which changes it lies."""
        several = tuple(
            tuple((one["kind"], one["uid"], one["name"]) for one in row[f"{side}_candidates"] or ())
            if row[f"{side}_confidence"] == "ambiguous"
            else None
            for side in SIDES
        )
        start, before = row["start_time"], row["time_before"]
        edges = self._judge.timeline.edges()
        low = (start or 0) - (UNTOLD_US if before is None else before)
        when = () if start is None else tuple(edges.searchsorted((low, start), "right").tolist())
        told = row["initiator_basis"] in ("syn", "record")
        opener = () if told else (row["src_port"], row["tcp_flags_out"])
        return (*(row[name] for name in TELLING), several, when, opener)

    def _questions(self, table: Any) -> Questions:
        found = Questions(table.num_rows)
        for name in (*(f"{side}_{name}" for side in SIDES for name in SIDE_COLUMNS[:-1]), "dst_port", "protocol",
                     "directionality", "initiator_basis", "encapsulated"):  # fmt: skip
            found.by_column(_chunk(table, name))
        for side in SIDES:
            _tell_apart(found, table, side)
        _tell_openers_apart(found, table)
        self._by_time(found, table)
        return found

    def _by_time(self, found: Questions, table: Any) -> None:
        """Times between the same two changes are one time; so are those that reach over the same changes."""
        start = _chunk(table, "start_time").cast(pa.int64())
        low, high = _bounds(start, _chunk(table, "time_before"))
        edges = self._judge.timeline.edges()
        for times in (low, high):
            found.by(edges.searchsorted(times, "right").astype(np.int64), len(edges) + 1)
        found.by(np.asarray(start.is_null()).astype(np.int64), 2)

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
        if row["protocol"] not in PROTOCOLS or row["initiator_basis"] in ("syn", "record"):
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
        several = [
            self._judge.verdict(Asked(one, other, port, protocol, low, high))
            for one, other in product(source.holders, target.holders)
        ]
        names = Counter(one.name for end in (source, target) if len(end.holders) > 1 for one in end.holders)
        found = agreed(several, UNKNOWN, f"who it was is not certain ({', '.join(names)}), and decides")
        if source.snat or target.snat:
            why = f"a node that may be speaking for pods; as the node it is {found.word}"
            return found._replace(word=UNKNOWN, reason=why)
        for end in (source, target):
            if end.service is not None:
                found = self._service(found, end.service, low, high)
        return found

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
    told = judged.verdicts
    values = {
        "policy_verdict": [one and one.word for one in told],
        "policy_ingress": [one and _names(one.ingress) for one in told],
        "policy_egress": [one and _names(one.egress) for one in told],
        "policy_reason": [one and one.reason for one in told],
    }
    found = {}
    for name, words in values.items():
        known = list(dict.fromkeys(word for word in words if word is not None))
        place = {word: number for number, word in enumerate(known)}
        codes = np.array([-1 if word is None else place[word] for word in words], dtype=np.int32)
        rows = codes[judged.rows] if len(codes) else np.empty(0, dtype=np.int32)
        indices = pa.array(rows, mask=rows < 0)
        found[name] = pa.DictionaryArray.from_arrays(indices, pa.array(known, pa.string()))
    return found


def _names(side: Side) -> str | None:
    return ", ".join(side.decided) or None


def _chunk(table: Any, name: str) -> Any:
    column = table[name]
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _plain(table: Any) -> Any:
    """Times as numbers, so that none is rounded; nested words as they are."""
    place = table.schema.get_field_index("start_time")
    return table.set_column(place, "start_time", table["start_time"].cast(pa.int64()))


def _bounds(start: Any, before: Any) -> tuple[Codes, Codes]:
    high = start.fill_null(0).to_numpy(zero_copy_only=False)
    return high - before.fill_null(UNTOLD_US).to_numpy(zero_copy_only=False), high


def _tell_apart(found: Questions, table: Any, side: str) -> None:
    """Tell rows apart by what decides of some rows alone: names of Services, candidates."""
    found.by_column(_chunk(table, f"{side}_node"))
    found.by_column(_chunk(table, f"{side}_namespace"))
    codes, size = codes_of(_chunk(table, f"{side}_service"))
    found.by(np.where(_is(table, f"{side}_kind", "service"), codes, 0), size)
    candidates, several = _chunk(table, f"{side}_candidates"), _is(table, f"{side}_confidence", "ambiguous")
    if pa.types.is_dictionary(candidates.type):
        codes, size = codes_of(candidates)
    else:
        # Lists have no numbers of their own: each of these rows is a question.
        codes, size = np.arange(table.num_rows, dtype=np.int64), table.num_rows + 1
    found.by(np.where(several, codes, 0), size)


def _tell_openers_apart(found: Questions, table: Any) -> None:
    """Where the record does not say who opened it, the source's port and a lone SYN may."""
    untold = ~(_is(table, "initiator_basis", "syn") | _is(table, "initiator_basis", "record"))
    flags = _chunk(table, "tcp_flags_out").fill_null(0).to_numpy(zero_copy_only=False)
    found.by(np.where(untold, flags.astype(np.int64) & (SYN | ACK), 0), (SYN | ACK) + 1)
    codes, size = codes_of(_chunk(table, "src_port"))
    found.by(np.where(untold, codes, 0), size)


def _is(table: Any, name: str, word: str) -> Codes:
    column = _chunk(table, name)
    return np.asarray(pc.equal(column, word).fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
