"""A connection's verdict out of both directions, and what is decided before any policy is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from detect.policy.directions import ALLOWED, DENIED, OPEN, Side, judged
from detect.policy.doubt import WEIGHT
from detect.policy.model import EGRESS, INGRESS, Connection, End, Moment
from whowas.schema import POLICY_VERDICTS

PASSES = (ALLOWED, OPEN)
NOTHING = Side(OPEN, reason="no pod that policies select")


class Verdict(NamedTuple):
    """What policies say of a connection. word: one of POLICY_VERDICTS.

    seen: where nobody watched policies then, the word by those that were seen.
    """

    word: str
    reason: str = ""
    ingress: Side = NOTHING
    egress: Side = NOTHING
    seen: str = ""

    def as_seen(self) -> str:
        """Return the word, by what was seen where nobody watched."""
        return self.seen or self.word

    def passes(self) -> bool:
        """Say whether it certainly gets through."""
        return self.word in PASSES


def decide(moment: Moment, asked: Connection) -> Verdict:
    """Judge a connection by what was in force at a moment."""
    free = _always(asked.source, asked.target)
    if free:
        return Verdict(ALLOWED, free)
    egress = _side(moment, asked.source, asked, EGRESS)
    ingress = _side(moment, asked.target, asked, INGRESS)
    return _combined(ingress, egress)


def _always(source: End, target: End) -> str:
    """Say why no policy can block it, "" where one can. Source: the documentation of NetworkPolicy."""
    one, other = source.pod, target.pod
    if one is not None and other is not None and one.uid and one.uid == other.uid:
        return "a pod always reaches itself"
    for node, pod in ((source.on_node, target.selectable), (target.on_node, source.selectable)):
        if node and pod is not None and pod.node == node:
            return "a pod and the node it runs on always reach each other"
    return ""


def _side(moment: Moment, end: End, asked: Connection, direction: str) -> Side:
    pod = end.selectable
    if pod is not None:
        return judged(moment, pod, asked, direction)
    if end.pod is not None:
        return Side(OPEN, reason=f"{end.pod} is on its node's network, where no policy selects it")
    return NOTHING


def _combined(ingress: Side, egress: Side) -> Verdict:
    """Both directions must let it: one that denies is enough, and one that nobody knows leaves it open."""
    named = (("egress", egress), ("ingress", ingress))
    denied = [f"{name}: {side.reason}" for name, side in named if side.verdict == DENIED]
    if denied:
        return Verdict(DENIED, "; ".join(denied), ingress, egress)
    doubtful = [(name, side) for name, side in named if side.verdict in WEIGHT]
    if doubtful:
        name, side = max(doubtful, key=lambda one: WEIGHT[one[1].verdict])
        return Verdict(side.verdict, f"{name}: {side.reason}", ingress, egress)
    allowed = [f"{name}: {side.reason}" for name, side in named if side.verdict == ALLOWED]
    if allowed:
        return Verdict(ALLOWED, "; ".join(allowed), ingress, egress)
    return Verdict(OPEN, "no policy is about either end", ingress, egress)


def agreed(several: Iterable[Verdict], word: str, why: str) -> Verdict:
    """Return one verdict of what may each have been so: theirs where they agree, else `word`, with all told."""
    found = list(several)
    words = {one.word for one in found}
    if len(words) == 1:
        return found[0]
    told = " or ".join(one for one in POLICY_VERDICTS if one in words)
    return Verdict(word, f"{why}: {told}", _merged(one.ingress for one in found), _merged(one.egress for one in found))


def through(several: Iterable[Verdict], word: str, why: str) -> Verdict:
    """As agreed, of ways to look at one connection: where it gets through in each, it is allowed if one allows it."""
    found = list(several)
    if all(one.passes() for one in found):
        return next((one for one in found if one.word == ALLOWED), found[0])
    return agreed(found, word, why)


def _merged(sides: Iterable[Side]) -> Side:
    found = list(sides)
    names = tuple(dict.fromkeys(name for one in found for name in one.decided))
    return found[0]._replace(decided=names)
