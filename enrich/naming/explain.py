"""Explains one observation of a pod in one line for people."""

from __future__ import annotations

from dataclasses import dataclass

from enrich.holds.pod_status import read_status
from enrich.naming.reasons import FIRST_US, LAST_US
from whowas.observation import Observation, Status
from whowas.timestamps import spell


@dataclass(frozen=True)
class Line:
    """One line of evidence. received_us: None where nobody wrote down when it came."""

    source: str
    received_us: int | None
    verb: str
    says: str


def line(seen: Observation) -> Line:
    """Say what an observation says."""
    return Line(seen.source, seen.received_us, seen.verb, "; ".join(_facts(seen)))


def _facts(seen: Observation) -> list[str]:
    """What bounds a hold, and what else is telling."""
    if seen.verb in ("JOINED", "LEFT"):
        return [f"{'became' if seen.verb == 'JOINED' else 'ceased to be'} an endpoint of service {seen.service}"]
    if seen.verb == "VANISHED":
        return ["a complete list does not show it any more"]
    thing, meta = seen.object, seen.object.metadata
    found = [f"created {meta.creationTimestamp}"] if meta and meta.creationTimestamp else []
    if thing.kind != "Pod":
        return found
    status = thing.status or Status()
    sight = read_status(thing, status, seen)
    words = [one.ip for one in status.podIPs or () if one.ip] or ([status.podIP] if status.podIP else [])
    found.append(f"{status.phase or 'no phase'}, {'address ' + ', '.join(words) if words else 'no address'}")
    if sight.sandbox is not None:
        found.append(f"sandbox {'ready' if sight.sandbox[0] else 'not ready'} since {_clock(sight.sandbox[1])}")
    for run in sight.runs:
        end = "runs on" if run.finished is None else f"ended {_clock(run.finished)}"
        found.append(f"a container started {_clock(run.started)}, {end}")
    if meta is not None and meta.deletionTimestamp:
        grace = meta.deletionGracePeriodSeconds
        found.append(f"to be deleted by {meta.deletionTimestamp} ({'no' if grace is None else f'{grace} s'} grace)")
    return found


def _clock(us: int) -> str:
    """With its date: a sandbox may be older than what is told of it by months."""
    return spell(us, digits=0) if FIRST_US < us < LAST_US else "?"
