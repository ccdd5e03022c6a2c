"""What a quarantine of a pod would have cut of its flows, and what policies would still let pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from detect.policy.directions import DENIED
from detect.policy.flow_verdicts import FlowJudge
from detect.policy.kinds import read_policy
from detect.policy.moments import Judge
from detect.policy.timeline import Timeline
from detect.policy.trial import Trial
from detect.policy.verdicts import PASSES, Verdict
from detect.views.remediation import POLICY, QUARANTINE
from whowas.policy.simulating import CUT, READ, UNSURE, Change, batches, heaviest, pair_of
from whowas.query.parquet_files import find, sql_text, without_damaged

STAYS = "stays"
SEEN = "seen"


@dataclass
class Quarantined:
    """What becomes of a pod's flows. what: `cut`, `stays` (something lets it pass nevertheless) or `unsure`."""

    changes: dict[Any, Change] = field(default_factory=dict)
    flows: int = 0
    unjudged: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def of(self, what: str) -> list[Change]:
        """Return what becomes so, that of most flows first."""
        return heaviest(self.changes.values(), what)

    def count(self, what: str) -> int:
        """How many flows become so."""
        return sum(one.flows for one in self.of(what))

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        told = {what: [one.to_json() for one in self.of(what)] for what in (CUT, STAYS, UNSURE)}
        return {"flows": self.flows, "unjudged": self.unjudged, **told}


def quarantine(
    timeline: Timeline, uid: str, namespace: str, folders: Sequence[str], *, unlabelled: bool
) -> Quarantined:  # fmt: skip
    """Judge every flow of a pod below some folders as if it had been in quarantine then. Raises: InputError.

    Args: unlabelled: its own labels are taken too, so that no policy selects it by them.
    """
    import msgspec

    spec = msgspec.json.decode(POLICY.encode())["spec"]
    trial = Trial((read_policy("NetworkPolicy", namespace, QUARANTINE, spec),))
    judge = FlowJudge(Judge(_labelled(timeline, uid, unlabelled=unlabelled), trial))
    files = without_damaged(find(folders))
    found = Quarantined(unreadable=list(files.unreadable))
    for cluster, flows in batches(files, f"{sql_text(uid)} IN (src_pod_uid, dst_pod_uid)"):
        _take(found, cluster, flows, judge)
    return found


def _labelled(timeline: Timeline, uid: str, *, unlabelled: bool) -> Timeline:
    """Return the same timeline, in which one pod had the label all the time."""
    line = timeline.pods[uid]
    mine = {QUARANTINE: "true"}
    values = [
        None if one is None else replace(one, labels=mine if unlabelled else {**one.labels, **mine})
        for one in line.values
    ]
    found = copy.copy(timeline)
    found.pods = {**timeline.pods, uid: replace(line, values=values)}
    return found


def _take(found: Quarantined, cluster: str, flows: Any, judge: FlowJudge) -> None:
    judged = judge.judged(flows)
    times = flows["start_time"].cast("int64").fill_null(0).to_numpy()
    told = flows.select(READ).to_pylist()
    found.flows += flows.num_rows
    for row, number in enumerate(judged.rows.tolist()):
        verdict = judged.verdicts[number]
        if verdict is None:
            found.unjudged += 1
            continue
        key = (pair_of(cluster, told[row]), _becomes(verdict), verdict.as_seen())
        if key not in found.changes:
            found.changes[key] = Change(key[1], key[0], SEEN, key[2], verdict.reason, not verdict.seen)
        found.changes[key].add(np.asarray(times[row : row + 1]))


def _becomes(verdict: Verdict) -> str:
    word = verdict.as_seen()
    return CUT if word == DENIED else STAYS if word in PASSES else UNSURE
