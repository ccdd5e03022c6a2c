"""A connection judged as of a time: by all that policies, labels and namespaces may have been around it."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, NamedTuple

from detect.policy.directions import OPEN
from detect.policy.doubt import UNKNOWN
from detect.policy.lines import Line
from detect.policy.model import Connection, End, Moment, Pod, Policy
from detect.policy.timeline import NEAR, Timeline
from detect.policy.trial import Trial
from detect.policy.verdicts import Verdict, agreed, decide

# So many ways in which several changes may have come one before the other are tried.
WAYS_MOST = 64
KEPT = 1 << 12


class Holder(NamedTuple):
    """Who is at an end. uid: of a pod, "" for what is none. node: of a node's own address. address: 16 bytes."""

    uid: str = ""
    address: bytes | None = None
    node: str = ""
    name: str = ""


class Asked(NamedTuple):
    """What is judged, at some time between low and high (us)."""

    source: Holder
    target: Holder
    port: int | None
    protocol: str
    low: int
    high: int


class Known(NamedTuple):
    """What may have been in force: each a moment, and the words for what was changing."""

    moments: tuple[Moment, ...]
    changing: tuple[str, ...]
    too_many: bool = False


class Judge:
    """Judges against one timeline. trial: what is done to the policies of each moment."""

    def __init__(self, timeline: Timeline, trial: Trial = Trial()) -> None:  # noqa: B008 - it never changes
        self.timeline = timeline
        self._trial = trial
        self._kept: dict[Any, Known] = {}
        self._about: dict[Any, Any] = {}
        self._epochs = timeline.epochs()

    def verdict(self, asked: Asked) -> Verdict:
        """Judge. What nobody watched is indeterminate, whatever it was seen to be before."""
        told = self.as_seen(asked)
        if self._trial.only or self.timeline.looked(asked.low, asked.high):
            return told
        why = f"nobody watched policies then; by those that were seen it is {told.word}"
        return told._replace(word=UNKNOWN, reason=why, seen=told.word)

    def without_policies(self) -> bool:
        """Say whether there is nothing to judge by."""
        return not self.timeline.policies and not self._trial.put

    def as_seen(self, asked: Asked) -> Verdict:
        """Judge by what was seen, as if nothing had happened while nobody looked."""
        if self.without_policies():
            return Verdict(OPEN, "there are no policies")
        low, high = asked.low - NEAR, asked.high + NEAR
        sources, targets = (self._pods(one, low, high) for one in (asked.source, asked.target))
        for pods, holder in ((sources, asked.source), (targets, asked.target)):
            if not pods:
                return Verdict(UNKNOWN, f"nobody told what pod {holder.name or holder.uid} was")
        spaces = {one.namespace for one in (*sources, *targets) if one is not None}
        known = self.known(tuple(sorted(spaces)), low, high)
        if len(known.moments) == len(sources) == len(targets) == 1:
            return decide(known.moments[0], self._connection(asked, sources[0], targets[0]))
        changing = [*known.changing, *(str(several[0]) for several in (sources, targets) if len(several) > 1)]
        if known.too_many:
            return Verdict(UNKNOWN, f"too much changed within a second of it: {', '.join(changing[:3])} …")
        found = [
            decide(moment, self._connection(asked, source, target))
            for moment, source, target in product(known.moments, sources, targets)
        ]
        return agreed(found, UNKNOWN, f"within a second of a change of {', '.join(changing)}")

    def _pods(self, holder: Holder, low: int, high: int) -> list[Pod | None]:
        """What the pod may have been; [None] for what is no pod, [] where nobody told."""
        if not holder.uid:
            return [None]
        line = self.timeline.pods.get(holder.uid)
        return [] if line is None else [one for one in line.within(low, high) if one is not None]

    @staticmethod
    def _connection(asked: Asked, source: Pod | None, target: Pod | None) -> Connection:
        ends = [
            End(pod, one.address, one.node) for pod, one in ((source, asked.source), (target, asked.target))
        ]  # fmt: skip
        return Connection(ends[0], ends[1], asked.port, asked.protocol)

    def known(self, namespaces: tuple[str, ...], low: int, high: int) -> Known:
        """Return what may have been in force for pods of some namespaces."""
        if self.timeline.epochs() is not self._epochs:
            self._epochs = self.timeline.epochs()
            self._kept.clear()
            self._about = {}
        edges = self.timeline.edges_in(namespaces)
        # Bounds were widened already: what lies between two edges is alike for all of it.
        bounds = edges.searchsorted((low + NEAR, high - NEAR), "right").tolist() if len(edges) else ()
        key = (namespaces, *bounds)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
                self._about = {}
            found = self._kept[key] = self._known(namespaces, low, high)
        return found

    def _known(self, namespaces: tuple[str, ...], low: int, high: int) -> Known:
        lines = self.timeline.policies_of(namespaces)
        policies = [line.within(low, high) for line in lines]
        told = {name: self.timeline.namespaces[name].within(low, high) for name in namespaces if self._tells(name)}
        labels = {name: [one for one in several if one is not None] for name, several in told.items()}
        changing = [_name(line) for line, one in zip(lines, policies, strict=True) if len(one) > 1]
        changing += [f"namespace {name}" for name, several in labels.items() if len(several) > 1]
        if prod([*map(len, policies), *map(len, labels.values())]) > WAYS_MOST:
            return Known((), tuple(changing), True)
        moments = [
            Moment(self._trial.applied(chosen, namespaces), dict(zip(labels, spaces, strict=True)), self._about)
            for chosen in product(*policies)
            for spaces in product(*labels.values())
        ]
        return Known(tuple(moments), tuple(changing))

    def _tells(self, namespace: str) -> bool:
        line = self.timeline.namespaces.get(namespace)
        return line is not None and bool(line.values)


def _name(line: Line[Policy]) -> str:
    one = next(value for value in line.values if value is not None)
    return f"{one.kind} {one}"
