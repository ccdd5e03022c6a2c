"""Decides an address's answer: one confidence, one holder, one reason.

The same rules serve whole batches (naming.py) and single questions (who.py): both call `judge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from enrich.history.history import ClusterHistory, Found
from enrich.history.lookup import CANDIDATES
from enrich.history.told_bounds import Told, told_bounds
from enrich.holds.derive import NODE, POD, SERVICE
from enrich.holds.pod_track import PUBLISHED_WITHIN
from enrich.naming.distinct import distinct_rows
from enrich.naming.identities import Issuer
from enrich.naming.networks import Network
from whowas.arrays import Indices, Words
from whowas.schema import CONFIDENCES
from whowas.timestamps import AFTER_ALL

EXACT, LIKELY, AMBIGUOUS, AT_NODE, AT_SERVICE, SNAT, EXTERNAL, NONE, UNKNOWN = range(len(CONFIDENCES))

# Why, beyond what the confidence says: a small number beside each answer.
(PLAIN, IN_GAP, BEFORE_HISTORY, AFTER_HISTORY, NOT_WATCHED, CONFLICT, CHANGED, SEVERAL_VNIS, OTHER_VNI, BY_PORT,
 NODE_PORT, EDGE, TOO_FRESH, RENEWED, OUTER, EXPORTED, GATEWAY, SERVICE_PORT, HOST_PORT,
 NO_TIME, SILENT, SPOKE, PORT_EDGE, IN_TUNNEL) = range(24)  # fmt: skip


@dataclass(frozen=True)
class NamingOptions:
    """How to name.

    cluster: which of the history's clusters. networks: names for outside ranges. vnis: the VNIs of the
    cluster's pod network; None = not said, "several" = not said and several are known to be there, "any" = a
    VNI says nothing about the network.
    sensor_skew_seconds: how far the capturing clock may be off; widens every edge.
    export_seconds: how long before its export a flow may have been, where a record tells no more than that.
    issuers: who issues identities, and to which pods.
    """

    cluster: str | None = None
    networks: tuple[Network, ...] = ()
    vnis: tuple[int, ...] | Literal["any", "several"] | None = None
    sensor_skew_seconds: float = 0.0
    export_seconds: float = 120.0
    issuers: tuple[Issuer, ...] = ()


@dataclass
class Verdicts:
    """Answers of a batch: code of confidence, hold row (-1 none), why, and the lookup they rest on."""

    codes: npt.NDArray[np.int8]
    holds: Indices
    why: npt.NDArray[np.int8]
    found: Found


def looked(history: ClusterHistory, since: Words, until: Words) -> npt.NDArray[np.int8]:
    """Say for each stretch whether somebody was looking all along: PLAIN, else why not (IN_GAP, BEFORE_HISTORY, …)."""
    why = np.full(len(since), NOT_WATCHED, dtype=np.int8)
    if not history.covered:
        return why
    starts = np.array([low for low, _ in history.covered], dtype=np.int64)
    ends = np.array([high for _, high in history.covered], dtype=np.int64)
    place = np.searchsorted(starts, since, side="right") - 1
    inside = (place >= 0) & (until <= ends[np.maximum(place, 0)])
    why[:] = IN_GAP
    why[since < starts[0]] = BEFORE_HISTORY
    why[until > ends[-1]] = AFTER_HISTORY
    why[inside] = PLAIN
    return why


def judge(
    history: ClusterHistory, addresses: npt.NDArray[np.uint8], since: Words, until: Words, skew_us: int
) -> Verdicts:
    """Answer for each address and stretch of time. Ends outside the cluster are left as NONE or UNKNOWN for the caller.

    Who is certain held the address over all of the stretch; whoever may have held it for a part of it is possible.
    Args: addresses: (n, 16) uint8. since, until: (n,) int64 us, both counted; the same array for moments.
    """
    found = history.lookup(addresses, since, until, skew_us)
    _nodes_that_are_pods(history, found, since)
    size = len(since)
    why = looked(history, since, until)
    codes = np.where(why == PLAIN, NONE, UNKNOWN).astype(np.int8)
    holds = np.full(size, -1, dtype=np.int32)
    # What nobody reported by the end of the history may still be reported.
    if history.covered:
        fresh = (codes == NONE) & (until > history.covered[-1][1] - PUBLISHED_WITHIN)
        codes[fresh], why[fresh] = UNKNOWN, TOO_FRESH
    _judge_pods(history, until, found, codes, holds, why)
    _judge_others(history, found, since, until, codes, holds, why)
    return Verdicts(codes, holds, why, found)


def _nodes_that_are_pods(history: ClusterHistory, found: Found, times: Words) -> None:
    """Drop a node that has its address from a pod, where that pod may have it: the node is no second holder.

    A Fargate pod is alone on a node of its own; a virtual kubelet's node has the address of the kubelet's pod.
    """
    rows = np.flatnonzero((found.counts[:, 2] > 0) & (found.counts[:, 0] > 0))
    rows = rows[found.counts[rows, 0] + found.counts[rows, 2] <= CANDIDATES]
    if not len(rows):
        return
    holds = found.holds[rows]
    sets, inverse = distinct_rows(np.hstack([holds, history.states_of(holds, times[rows])]))
    for number, one in enumerate(sets):
        states = {int(row): int(state) for row, state in one.reshape(2, -1).T if row >= 0}
        members = list(states)
        homes = {history.entities[history.entity_of[row]].node for row in members if history.kinds[row] == POD}
        kept = [row for row in members if history.kinds[row] != NODE or not _is_pod(history, row, states[row], homes)]
        if len(kept) < len(members):
            mine = rows[inverse == number]
            found.holds[mine] = kept + [-1] * (CANDIDATES - len(kept))
            found.counts[mine, 2] -= len(members) - len(kept)


def _is_pod(history: ClusterHistory, row: int, state: int, homes: set[str]) -> bool:
    """Say whether a node is the pod on its address. homes: the nodes of the pods there."""
    return history.entities[history.entity_of[row]].name in homes or history.version_in(row, state).virtual


def _judge_pods(
    history: ClusterHistory,
    until: Words,
    found: Found,
    codes: npt.NDArray[np.int8],
    holds: Indices,
    why: npt.NDArray[np.int8],
) -> None:
    pods, sure, others = found.counts[:, 0], found.counts[:, 1], found.counts[:, 2]
    best = found.holds[:, 0]
    only_pods = (pods > 0) & (others == 0)
    exact = only_pods & (sure == 1)
    if exact.any():
        # A contradiction is a stretch of time: beyond it only one of those that contradict each other is possible.
        odd = exact & history.conflicts[best] & (pods > 1)
        exact &= ~odd
        codes[odd], why[odd] = AMBIGUOUS, CONFLICT
    codes[exact], holds[exact], why[exact] = EXACT, best[exact], PLAIN
    rest = only_pods & ~exact & (codes != AMBIGUOUS)
    clash = rest & (sure > 1)
    codes[clash], why[clash] = AMBIGUOUS, CONFLICT
    single = rest & (pods == 1) & (sure == 0)
    # One possible holder is likely only where an unseen one can be ruled out: we looked, or saw it later.
    watched = (why == PLAIN) | (why == TOO_FRESH)
    watched[single] |= until[single] <= history.seen[best[single]]
    likely = single & watched
    codes[likely], holds[likely], why[likely] = LIKELY, best[likely], PLAIN
    codes[single & ~watched] = UNKNOWN
    several = rest & (pods > 1) & (sure == 0)
    again = np.flatnonzero(several & watched & (pods <= CANDIDATES))
    if len(again):
        # Two sandboxes of one pod: whichever it was, the name is the same.
        entities = np.where(found.holds[again] >= 0, history.entity_of[found.holds[again]], -1)
        again = again[((entities == entities[:, :1]) | (entities < 0)).all(axis=1)]
        codes[again], holds[again], why[again] = LIKELY, best[again], RENEWED
        several[again] = False
    codes[several] = AMBIGUOUS
    why[several & ((why == PLAIN) | (why == TOO_FRESH))] = PLAIN


def _judge_others(
    history: ClusterHistory,
    found: Found,
    since: Words,
    until: Words,
    codes: npt.NDArray[np.int8],
    holds: Indices,
    why: npt.NDArray[np.int8],
) -> None:
    """Nodes and Services: rows are few kinds of sets, so each distinct set is judged once."""
    rows = np.flatnonzero(found.counts[:, 2] > 0)
    if not len(rows):
        return
    sets, inverse = distinct_rows(found.holds[rows])
    for number, one in enumerate(sets):
        mine = rows[inverse == number]
        members = [int(row) for row in one if row >= 0]
        # A guess stands back behind whatever an object says.
        known = [row for row in members if history.kinds[row] != NODE or history.bounds[row, 1] < AFTER_ALL]
        members, guessed = known or members, not known
        nodes = [row for row in members if history.kinds[row] == NODE]
        services = [row for row in members if history.kinds[row] == SERVICE]
        inner = [row for row in members if history.kinds[row] == POD]
        if len({int(history.entity_of[row]) for row in nodes}) == 1 and not inner:
            codes[mine], holds[mine], why[mine] = AT_NODE, nodes[0], GATEWAY if guessed else PLAIN
        elif len({int(history.entity_of[row]) for row in services}) == 1 and not nodes and not inner:
            # Certain ones come first: of an address given up and taken back the time that is meant.
            codes[mine], holds[mine] = AT_SERVICE, services[0]
            low, high = history.bounds[services[0], 1], history.bounds[services[0], 2]
            why[mine] = np.where((low <= since[mine]) & (until[mine] < high), PLAIN, EDGE)
        elif not nodes and not services and not inner:
            # Host-network pods alone: their node's object was never seen.
            codes[mine], why[mine] = AMBIGUOUS, PLAIN
        else:
            codes[mine], why[mine] = AMBIGUOUS, CONFLICT if inner else PLAIN


def spans(history: ClusterHistory, row: int) -> Told:
    """Return the four bounds of a hold, None where it is open."""
    low, sure, end, high = history.bounds[row].tolist()
    return told_bounds(low, sure, end, high)
