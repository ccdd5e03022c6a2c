"""The evidence behind lanes of Who was: what was said of their holders, and when their containers started again."""

from __future__ import annotations

from collections.abc import Iterator

from enrich.holds.pod_status import Run, read_status
from enrich.holds.time_bounds import SECOND
from enrich.naming.explain import line
from whowas.observation import Observation, Status
from whowas.workbench.api.common import About
from whowas.workbench.api.who import Evidence, EvidenceAsk, EvidenceLine, Lane, LaneEvent, WhoAsk
from whowas.workbench.commands import of_who
from whowas.workbench.edges import Asking
from whowas.workbench.histories import ServedHistory
from whowas.workbench.who import found

MOST_LINES = 1000
MOST_RESTARTS = 2000


def evidence(asking: Asking, served: ServedHistory, asked: EvidenceAsk) -> Evidence:
    """Raises: NotServedError, BusyError, InputError."""
    question = WhoAsk(range=asked.range, what=asked.what, cluster=asked.cluster, limit=asked.limit)
    lanes, more = found(asking, served.history(), question)
    names = {
        one.uid: f"{one.kind} {one.namespace}/{one.name}" if one.namespace else one.name for one in lanes if one.uid
    }
    asking.call.check()
    seen = served.evidence(names, asked.cluster)
    lines = [
        EvidenceLine(one.object.metadata.uid, names[one.object.metadata.uid], *_told(one))
        for one in seen[:MOST_LINES]
        if one.object.metadata is not None
    ]
    again = list(restarts(lanes, seen))[:MOST_RESTARTS]
    command = of_who(asked.what, None, asking.places)
    return Evidence(asking.done(About("history")), lines, max(0, len(seen) - MOST_LINES), again, more, command)


def _told(seen: Observation) -> tuple[int | None, str, str, str]:
    one = line(seen)
    return one.received_us, one.verb, one.says, one.source


def restarts(lanes: list[Lane], seen: list[Observation]) -> Iterator[LaneEvent]:
    """Containers that started again, once for each lane in whose time that may have been."""
    runs: dict[str, dict[tuple[int, int], Run]] = {}
    for one in seen:
        if one.object.kind != "Pod" or one.object.metadata is None:
            continue
        for run in read_status(one.object, one.object.status or Status(), one).runs:
            if run.restarts > 0:
                runs.setdefault(one.object.metadata.uid, {})[run.key()] = run
    for place, lane in enumerate(lanes):
        for key in sorted(runs.get(lane.uid, ())):
            run = runs[lane.uid][key]
            # The kubelet cuts its times to whole seconds.
            low, high = run.started, run.started + SECOND
            if (lane.end_max is None or low < lane.end_max) and (lane.start_min is None or high > lane.start_min):
                yield LaneEvent(place, low, high, "restarted", "", f"restart {run.restarts}")
