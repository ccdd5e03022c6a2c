"""Name columns of a batch: each distinct answer is put into words once and then pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from enrich.history.entities import KIND_WORDS, Entity
from enrich.history.history import ClusterHistory
from enrich.holds.pod_tables import NODE, SERVICE
from enrich.holds.versions import Version
from enrich.naming.dictionary_columns import Pointers, Remembered, marked, pointed
from enrich.naming.distinct import distinct_numbers, distinct_rows
from enrich.naming.identities import Issuer, identity_of
from enrich.naming.interning import Interner
from enrich.naming.networks import What
from enrich.naming.reasons import candidate_reason, reason
from enrich.naming.verdicts import AT_NODE, EXACT, EXTERNAL, LIKELY, SNAT
from whowas.arrays import Indices, Words
from whowas.schema import CANDIDATE, CONFIDENCES, LABELS

TEXTS = (
    "confidence", "reason", "kind", "namespace", "pod", "pod_uid", "workload", "workload_kind", "service", "node",
    "zone", "service_account", "spiffe_id", "dns_identity",
)  # fmt: skip
NESTED = {"labels": LABELS, "images": pa.list_(pa.string())}
ANSWERS_CACHED = 1 << 18
Answer = dict[str, Any]
# One number for an answer; where it has candidates, with the rows of their holds.
Key = int | tuple[int, bytes]
Candidates = tuple[Words, Indices]
"""Rows that have candidates, and for each (m, 8) holds, -1 = none."""


class NameTable:
    """Turns rows of numbers into columns of names, and remembers every answer it has put into words.

    Args: outside: what addresses are that nobody held, by label. before: the table of an older history. Its answers
    are not taken over, for what was true then may not be now, but the words they were made of are. issuers: of ids.
    """

    def __init__(
        self,
        history: ClusterHistory,
        outside: list[What],
        before: NameTable | None,
        issuers: tuple[Issuer, ...] = (),
    ) -> None:
        self._history, self._issuers = history, issuers
        self._answers: dict[int, Answer] = {}
        self._forget()
        if before is not None and before.remembered() < ANSWERS_CACHED:
            self._words = before.words()
        self._candidates: dict[bytes, list[dict[str, Any]]] = {}
        self._outside = outside
        self._holds_of: dict[int, list[int]] = {}

    def _forget(self) -> None:
        """Begin anew with what makes columns. _numbers: for each of _known, a number of a word for each column."""
        self._known = Interner()
        self._words = {name: Remembered(pa.string()) for name in TEXTS}
        self._words |= {name: Remembered(kind) for name, kind in NESTED.items()}
        self._numbers = np.empty((1024, len(self._words)), dtype=np.int32)

    def words(self) -> dict[str, Remembered]:
        """Return the words of each column."""
        return self._words

    def remembered(self) -> int:
        """Return how many words are kept of the column that has most."""
        return max(map(len, self._words.values()))

    def holds_of(self, entity: int) -> list[int]:
        """Return the hold rows of an entity."""
        if entity not in self._holds_of:
            self._holds_of[entity] = [int(row) for row in np.flatnonzero(self._history.entity_of == entity)]
        return self._holds_of[entity]

    def nodes_of(self, holds: Indices) -> Indices:
        """Return a number for the node of each hold; -1 for none."""
        if not len(self._history.holds):
            return np.full(len(holds), -1, dtype=np.int32)
        found: Indices = np.where(holds >= 0, self._history.states.homes[self._history.entity_of[holds]], -1).astype(
            np.int32
        )
        return found

    def columns(
        self,
        side: str,
        codes: npt.NDArray[np.int8],
        holds: Indices,
        states: Indices,
        why: npt.NDArray[np.int8],
        labels: Indices,
        candidates: Candidates,
    ) -> dict[str, Any]:
        """Return the columns of step `enrich` of one end. All arrays but candidates have one row a flow."""
        rows = self._numbered(self._pack(codes, holds, states, why, labels))
        used, own = marked(rows, len(self._known))
        numbers, pointers = self._numbers[used], Pointers(own)
        made = {
            f"{side}_{name}": words.column(numbers[:, place], pointers)
            for place, (name, words) in enumerate(self._words.items())
        }
        made[f"{side}_candidates"] = self._candidate_column(candidates, len(codes))
        return made

    def _numbered(self, packed: Words) -> Indices:
        """Return the row of each answer in `_numbers`."""
        rows = self._known.find(packed, packed)
        missing = rows < 0
        if missing.any():
            if len(self._known) > ANSWERS_CACHED:
                self._forget()
                missing[:] = True
            self._add(np.unique(packed[missing]))
            rows[missing] = self._known.find(packed[missing], packed[missing])
        return rows

    def _add(self, fresh: Words) -> None:
        begin, size = len(self._known), len(self._known) + len(fresh)
        if size > len(self._numbers):
            self._numbers = np.concatenate([self._numbers, np.empty((size, len(self._words)), dtype=np.int32)])
        self._fetch(fresh.tolist())
        for row, one in enumerate(fresh.tolist(), begin):
            answer = self._say(one)
            self._numbers[row] = [words.number(answer[name]) for name, words in self._words.items()]
        self._known.add(fresh, fresh)

    def distinct(
        self,
        codes: npt.NDArray[np.int8],
        holds: Indices,
        states: Indices,
        why: npt.NDArray[np.int8],
        labels: Indices,
        candidates: Candidates,
    ) -> tuple[list[Key], Indices]:
        """Return a key for each distinct answer, and which of them each row has."""
        found, inverse = distinct_numbers(self._pack(codes, holds, states, why, labels))
        sets, own = _sets(candidates, len(codes))
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
        states: Indices,
        why: npt.NDArray[np.int8],
        labels: Indices,
    ) -> Words:
        """Return each answer as one number."""
        # Hold and label never stand together.
        place = np.where(holds >= 0, holds.astype(np.int64) + 1, -1 - labels.astype(np.int64)) + (1 << 20)
        packed: Words = (place << 38) | ((states.astype(np.int64) + 1) << 10) | (codes.astype(np.int64) << 5) | why
        return packed

    def _worded(self, distinct: list[int]) -> list[Answer]:
        """Return answers in words."""
        if len(self._answers) > ANSWERS_CACHED:
            self._answers.clear()
        fresh = [one for one in distinct if one not in self._answers]
        self._fetch(fresh)
        self._answers |= {one: self._say(one) for one in fresh}
        return [self._answers[one] for one in distinct]

    def _fetch(self, packed: list[int]) -> None:
        """Make the entities of several answers at once."""
        rows = np.array([(one >> 38) - (1 << 20) - 1 for one in packed], dtype=np.int64)
        self._history.entities.fetch(self._history.entity_of[rows[rows >= 0]].tolist())

    def _say(self, packed: int) -> Answer:
        """Put one answer into words."""
        place, state = (packed >> 38) - (1 << 20), ((packed >> 10) & ((1 << 28) - 1)) - 1
        code, why = (packed >> 5) & 31, packed & 31
        row = place - 1 if place > 0 else -1
        what, network = self._outside[-place - 1] if place < 0 and self._outside else ("", "")
        answer: Answer = dict.fromkeys(TEXTS) | {"labels": None, "images": None}
        answer["confidence"] = CONFIDENCES[code]
        answer["reason"] = reason(self._history, code, row, why, what)
        if row >= 0:
            holder = self._history.entities[self._history.entity_of[row]]
            version = self._history.version_in(row, state)
            answer |= describe(holder, version)
            if self._issuers and code in (EXACT, LIKELY):
                identity = identity_of(self._issuers, self._history.name, holder, dict(version.labels))
                answer |= identity._asdict()
            if code in (AT_NODE, SNAT):
                answer["kind"] = "node"
        elif code == EXTERNAL:
            answer |= {"kind": "external", "workload": network or None}
        return answer

    def _candidate_column(self, candidates: Candidates, size: int) -> Any:
        sets, own = _sets(candidates, size)
        lists = [self._candidate_list(one) for one in sets]
        return pointed(own - 1, pa.array(lists, type=pa.list_(CANDIDATE)))

    def _candidate_list(self, holds: Indices) -> list[dict[str, Any]]:
        key = holds.tobytes()
        if key not in self._candidates:
            if len(self._candidates) > ANSWERS_CACHED:
                self._candidates.clear()
            self._candidates[key] = [candidate(self._history, int(row)) for row in holds if row >= 0]
        return self._candidates[key]


def _sets(candidates: Candidates, size: int) -> tuple[Indices, Indices]:
    """Return the distinct sets of candidates, and for each of `size` rows 1 + the number of its own; 0 = none."""
    rows, several = candidates
    own = np.zeros(size, dtype=np.int32)
    if not len(rows):
        return several, own
    sets, inverse = distinct_rows(several)
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
        return {"kind": "node", "node": one.name, "zone": version.zone or None}
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
        "zone": version.zone or None,
        "service_account": one.service_account or None,
        "labels": list(version.labels),
        "images": list(version.images),
    }
