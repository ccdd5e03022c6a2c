"""Name columns of a batch: each distinct answer is put into words once and then pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from enrich.answers import AT_NODE, EXTERNAL, SNAT
from enrich.distinct import distinct_numbers, distinct_rows
from enrich.entities import Entity
from enrich.history import ClusterHistory
from enrich.tables import HOST_POD, NODE, POD, SERVICE, Version
from enrich.words import candidate_reason, reason
from whowas.schema import CANDIDATE, CONFIDENCES, LABELS

Words = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]

KIND_WORDS = {POD: "pod", HOST_POD: "pod", SERVICE: "service", NODE: "node"}
TEXTS = (
    "confidence", "reason", "kind", "namespace", "pod", "pod_uid", "workload", "workload_kind", "service", "node",
    "zone", "service_account", "spiffe_id",
)  # fmt: skip
ANSWERS_CACHED = 1 << 18
Answer = dict[str, Any]
# One number for an answer; where it has candidates, with the rows of their holds.
Key = int | tuple[int, bytes]


class NameTable:
    """Turns rows of numbers into columns of names, and remembers every answer it has put into words."""

    def __init__(self, history: ClusterHistory) -> None:
        self._history = history
        self._answers: dict[int, Answer] = {}
        self._candidates: dict[bytes, list[dict[str, Any]]] = {}
        self._labels: dict[tuple[str, str], int] = {}
        self._label_list: list[tuple[str, str]] = []
        self._holds_of: dict[int, list[int]] = {}
        self._node_of = np.append(history.entities.nodes(), np.int32(-1))

    def label(self, what: str, name: str) -> int:
        """Return a small number for what an address outside the holds is."""
        key = (what, name)
        if key not in self._labels:
            self._labels[key] = len(self._label_list)
            self._label_list.append(key)
        return self._labels[key]

    def holds_of(self, entity: int) -> list[int]:
        """Return the hold rows of an entity."""
        if entity not in self._holds_of:
            self._holds_of[entity] = [int(row) for row in np.flatnonzero(self._history.entity_of == entity)]
        return self._holds_of[entity]

    def holding(self, entity: int, time: int) -> bool:
        """Say whether an entity may have held any address then."""
        bounds = self._history.bounds
        return any(bounds[row, 0] <= time < bounds[row, 3] for row in self.holds_of(entity))

    def nodes_of(self, holds: Indices) -> Indices:
        """Return a number for the node of each hold; -1 for none."""
        if not len(self._history.holds):
            return np.full(len(holds), -1, dtype=np.int32)
        found: Indices = np.where(holds >= 0, self._node_of[self._history.entity_of[holds]], -1).astype(np.int32)
        return found

    def columns(
        self,
        side: str,
        codes: npt.NDArray[np.int8],
        holds: Indices,
        versions: Indices,
        why: npt.NDArray[np.int8],
        labels: Indices,
        candidates: Indices,
    ) -> dict[str, Any]:
        """Return the columns of step `enrich` of one end. All arrays have one row a flow."""
        distinct, inverse = self._pack(codes, holds, versions, why, labels)
        answers = self._worded(distinct)
        indices = pa.array(inverse)
        made = {f"{side}_{name}": _texts([one[name] for one in answers], indices) for name in TEXTS}
        made[f"{side}_labels"] = pa.array([one["labels"] for one in answers], type=LABELS).take(indices)
        made[f"{side}_images"] = pa.array([one["images"] for one in answers], type=pa.list_(pa.string())).take(indices)
        made[f"{side}_candidates"] = self._candidate_column(candidates)
        return made

    def distinct(
        self,
        codes: npt.NDArray[np.int8],
        holds: Indices,
        versions: Indices,
        why: npt.NDArray[np.int8],
        labels: Indices,
        candidates: Indices,
    ) -> tuple[list[Key], Indices]:
        """Return a key for each distinct answer, and which of them each row has."""
        found, inverse = self._pack(codes, holds, versions, why, labels)
        sets, own = _sets(candidates)
        if not len(sets):
            return list(found), inverse
        pairs, rows = distinct_numbers(inverse.astype(np.int64) * (len(sets) + 1) + own)
        lists = [b"", *(one.tobytes() for one in sets)]
        parts = (divmod(pair, len(lists)) for pair in pairs)
        return [(found[one], lists[several]) if several else found[one] for one, several in parts], rows

    def answers(self, keys: Sequence[Key]) -> list[Answer]:
        """Put keys that `distinct` gave into words: the names of TEXTS, labels, images and candidates."""
        told = self._worded([key if isinstance(key, int) else key[0] for key in keys])
        lists = [
            None if isinstance(key, int) else self._candidate_list(np.frombuffer(key[1], np.int32)) for key in keys
        ]
        return [answer | {"candidates": listed} for answer, listed in zip(told, lists, strict=True)]

    def _pack(
        self,
        codes: npt.NDArray[np.int8],
        holds: Indices,
        versions: Indices,
        why: npt.NDArray[np.int8],
        labels: Indices,
    ) -> tuple[list[int], Indices]:
        """Return the distinct answers, each as one number, and which of them each row has."""
        # Hold and label never stand together.
        place = np.where(holds >= 0, holds + 1, -labels.astype(np.int64) - 1).astype(np.int64) + (1 << 20)
        packed = (place << 38) | ((versions.astype(np.int64) + 1) << 10) | (codes.astype(np.int64) << 5) | why
        return distinct_numbers(packed)

    def _worded(self, distinct: list[int]) -> list[Answer]:
        """Return answers in words."""
        if len(self._answers) > ANSWERS_CACHED:
            self._answers.clear()
        fresh = [one for one in distinct if one not in self._answers]
        rows = np.array([(one >> 38) - (1 << 20) - 1 for one in fresh], dtype=np.int64)
        self._history.entities.fetch(self._history.entity_of[rows[rows >= 0]].tolist())
        return [self._answers.get(one) or self._say(one) for one in distinct]

    def _say(self, packed: int) -> Answer:
        """Put one answer into words, and remember it."""
        place, version = (packed >> 38) - (1 << 20), ((packed >> 10) & ((1 << 28) - 1)) - 1
        code, why = (packed >> 5) & 31, packed & 31
        row = place - 1 if place > 0 else -1
        what, network = self._label_list[-place - 1] if place < 0 and self._label_list else ("", "")
        answer: Answer = dict.fromkeys(TEXTS) | {"labels": None, "images": None}
        answer["confidence"] = CONFIDENCES[code]
        answer["reason"] = reason(self._history, code, row, why, what)
        if row >= 0:
            answer |= describe(self._history.entities[self._history.entity_of[row]], self._history.versions[version])
            if code in (AT_NODE, SNAT):
                answer["kind"] = "node"
        elif code == EXTERNAL:
            answer |= {"kind": "external", "workload": network or None}
        self._answers[packed] = answer
        return answer

    def _candidate_column(self, candidates: Indices) -> Any:
        sets, own = _sets(candidates)
        lists = [self._candidate_list(one) for one in sets]
        indices = pa.array(np.maximum(own - 1, 0), mask=own == 0)
        return pa.array(lists, type=pa.list_(CANDIDATE)).take(indices)

    def _candidate_list(self, holds: Indices) -> list[dict[str, Any]]:
        key = holds.tobytes()
        if key not in self._candidates:
            if len(self._candidates) > ANSWERS_CACHED:
                self._candidates.clear()
            self._candidates[key] = [candidate(self._history, int(row)) for row in holds if row >= 0]
        return self._candidates[key]


def _sets(candidates: Indices) -> tuple[Indices, Indices]:
    """Return the distinct sets of candidates, and for each row 1 + the number of its own; 0 = it has none."""
    own = np.zeros(len(candidates), dtype=np.int32)
    rows = np.flatnonzero(candidates[:, 0] >= 0)
    if not len(rows):
        return candidates[:0], own
    sets, inverse = distinct_rows(candidates[rows])
    own[rows] = inverse + 1
    return sets, own


def candidate(history: ClusterHistory, row: int) -> dict[str, Any]:
    """One holder that may have been it, as the columns of whowas.schema.CANDIDATE."""
    one = history.entities[history.entity_of[row]]
    return {
        "kind": KIND_WORDS[one.kind],
        "namespace": one.namespace or None,
        "name": one.name,
        "uid": one.uid,
        "workload": one.workload or None,
        "reason": candidate_reason(history, row),
    }


def describe(one: Entity, version: Version) -> Answer:
    """The names of a holder as of a version of it."""
    if one.kind == NODE:
        return {"kind": "node", "node": one.name, "zone": one.zone or None}
    if one.kind == SERVICE:
        return {"kind": "service", "namespace": one.namespace, "service": one.name}
    return {
        "kind": "pod",
        "namespace": one.namespace,
        "pod": one.name,
        "pod_uid": one.uid,
        "workload": one.workload,
        "workload_kind": one.workload_kind,
        "service": version.services or None,
        "node": one.node or None,
        "zone": one.zone or None,
        "service_account": one.service_account or None,
        "labels": list(version.labels),
        "images": list(one.images),
    }


def _texts(words: list[str | None], indices: Any) -> Any:
    """A dictionary column: distinct words once, rows pointing at them."""
    encoded = pa.array(words, type=pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.take(indices), encoded.dictionary)
