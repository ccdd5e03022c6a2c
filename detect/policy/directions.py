"""One direction of one pod: Admin tier, then NetworkPolicy, then Baseline, each as its documents say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from detect.policy.doubt import UNDEFINED, UNKNOWN, WEIGHT, Answer, either
from detect.policy.matching import is_about, rule_matches
from detect.policy.model import (
    ADMIN,
    ALLOW,
    BASELINE,
    DENY,
    NETWORK,
    PASS,
    PROTOCOLS,
    Connection,
    Moment,
    Pod,
    Policy,
    Rule,
)

OPEN, ALLOWED, DENIED = "open", "allowed", "denied"


class Step(NamedTuple):
    """What one policy did with a connection. rule: 0 where none of its rules matched. said: in words."""

    policy: Policy
    rule: int
    said: str


class Side(NamedTuple):
    """One direction, judged. decided: who decided. walk: every policy that is about this pod, in order of asking."""

    verdict: str
    decided: tuple[str, ...] = ()
    reason: str = ""
    walk: tuple[Step, ...] = ()


NOTHING_ABOUT = Side(OPEN, reason="no policy is about it")


def judged(moment: Moment, pod: Pod, asked: Connection, direction: str) -> Side:
    """Judge one direction of a pod that selectors see."""
    walk: list[Step] = []
    admin = _tier(moment, pod, asked, direction, ADMIN, walk)
    if admin is not None and admin.verdict != PASS:
        return admin._replace(walk=tuple(walk))
    side = _network(moment, pod, asked, direction, walk)
    if side is None:
        side = _tier(moment, pod, asked, direction, BASELINE, walk) or NOTHING_ABOUT
    return side._replace(walk=tuple(walk)) if walk else side


def label_of(policy: Policy, rule: Rule | None = None) -> str:
    """Return a policy, and the rule that decided, in a few words."""
    return f"{policy} rule {rule.number}" if rule is not None else str(policy)


# NetworkPolicy: what one of them allows is allowed, else what any is about is denied.


def _network(moment: Moment, pod: Pod, asked: Connection, direction: str, walk: list[Step]) -> Side | None:
    """Return None where no NetworkPolicy is about the pod."""
    mine = _about(moment, pod, direction)
    if not mine:
        return None
    sure = [one for one, about in mine if about.certain]
    if asked.protocol not in PROTOCOLS and sure:
        walk += [Step(one, 0, f"isolates it; {asked.protocol} is not of what policies speak of") for one in sure]
        names = tuple(map(label_of, sure))
        return Side(UNDEFINED, names, f"the API does not say what isolation does to {asked.protocol}")
    doubts: list[Answer] = []
    for policy, about in mine:
        rule, answer = _first(moment, policy, asked, direction)
        walk.append(Step(policy, rule.number if rule else 0, _said(about, answer)))
        if about.certain and answer.certain and rule is not None:
            return Side(ALLOWED, (label_of(policy, rule),), f"{label_of(policy, rule)} allows it")
        doubts += [one for one in (about, answer) if not one.sure]
    if doubts:
        return _doubtful(doubts, [one for one, _ in mine])
    names = tuple(map(label_of, sure))
    return Side(DENIED, names, f"isolated by {', '.join(names)}, and no rule allows it")


def _about(moment: Moment, pod: Pod, direction: str) -> list[tuple[Policy, Answer]]:
    """Return the NetworkPolicies that are, or may be, about a pod: all pods of its labels ask the same."""
    mine = moment.asked(pod.namespace)
    found: list[tuple[Policy, Answer]] | None = mine.get((pod, direction))
    if found is None:
        alike = (frozenset(pod.labels.items()), direction)
        if alike not in mine:
            answers = [(one, is_about(moment, one, pod, direction)) for one in moment.of(NETWORK, pod.namespace)]
            mine[alike] = [(one, about) for one, about in answers if not about.no]
        found = mine[pod, direction] = mine[alike]
    return found


def _first(moment: Moment, policy: Policy, asked: Connection, direction: str) -> tuple[Rule | None, Answer]:
    """Return the first rule that certainly matches, else what is not known of the others."""
    answers = []
    for rule in policy.rules(direction) or ():
        answer = rule_matches(moment, policy, rule, asked, direction)
        if answer.certain:
            return rule, answer
        answers.append(answer)
    return None, either(answers)


def _said(about: Answer, answer: Answer) -> str:
    if not about.sure:
        return f"may be about it: {about.why}"
    if not answer.sure:
        return f"may allow it: {answer.why}"
    return "allows it" if answer.yes else "isolates it; none of its rules allows it"


def _doubtful(doubts: Iterable[Answer], policies: Sequence[Policy]) -> Side:
    worst = max(doubts, key=lambda one: WEIGHT[one.word])
    return Side(worst.word, tuple(map(label_of, policies)), worst.why)


# Tiers of administrators: by priority, the first rule that matches decides.


def _tier(moment: Moment, pod: Pod, asked: Connection, direction: str, tier: str, walk: list[Step]) -> Side | None:
    """Return what a tier decided, PASS as a verdict among it, None for nothing.

    The newer and the older kinds are not meant for one cluster: where both decide, and differently, nobody says which.
    """
    here = moment.of(tier)
    if not here:
        return None
    newer = [one for one in here if one.kind == "ClusterNetworkPolicy"]
    older = [one for one in here if one.kind != "ClusterNetworkPolicy"]
    found = [_by_priority(moment, pod, asked, direction, each, walk) for each in (newer, older)]
    sides = [one for one in found if one is not None]
    if len({one.verdict for one in sides}) > 1:
        names = tuple(name for one in sides for name in one.decided)
        return Side(UNDEFINED, names, f"kinds that do not know each other decide differently: {', '.join(names)}")
    return sides[0] if sides else None


def _by_priority(
    moment: Moment, pod: Pod, asked: Connection, direction: str, policies: list[Policy], walk: list[Step]
) -> Side | None:
    ordered = sorted(policies, key=lambda one: one.priority)
    for _, same in groupby(ordered, key=lambda one: one.priority):
        found = [one for one in (_ordered(moment, pod, asked, direction, each, walk) for each in same) if one]
        if len({one.verdict for one in found}) > 1:
            return _tied(found)
        if found:
            return found[0]
    return None


def _tied(found: list[Side]) -> Side:
    """Several of one priority that say different things."""
    names = tuple(name for one in found for name in one.decided)
    doubtful = [one for one in found if one.verdict in WEIGHT]
    if doubtful:
        return max(doubtful, key=lambda one: WEIGHT[one.verdict])._replace(decided=names)
    return Side(UNDEFINED, names, f"of one priority, with other actions: {', '.join(names)}")


MEANS = {ALLOW: ALLOWED, DENY: DENIED, PASS: PASS}
DOES = {ALLOW: "accepts it", DENY: "denies it", PASS: "passes it on"}


def _ordered(
    moment: Moment, pod: Pod, asked: Connection, direction: str, policy: Policy, walk: list[Step]
) -> Side | None:
    """Ask the rules of one policy from the top. What may match, and then decides, leaves all below in doubt."""
    about = is_about(moment, policy, pod, direction)
    if about.no:
        return None
    if policy.fault:
        walk.append(Step(policy, 0, about.why))
        return _doubtful([about], [policy])
    for rule in policy.rules(direction) or ():
        answer = rule_matches(moment, policy, rule, asked, direction)
        if answer.no:
            continue
        doubts = [one for one in (about, answer) if not one.sure]
        if doubts:
            walk.append(Step(policy, rule.number, f"may decide: {doubts[0].why}"))
            return _doubtful(doubts, [policy])._replace(decided=(label_of(policy, rule),))
        walk.append(Step(policy, rule.number, DOES[rule.action]))
        return Side(MEANS[rule.action], (label_of(policy, rule),), f"{label_of(policy, rule)} {DOES[rule.action]}")
    walk.append(Step(policy, 0, "is about it; none of its rules matches" if about.certain else about.why))
    return None


__all__ = ["ALLOWED", "DENIED", "OPEN", "UNKNOWN", "Side", "Step", "judged", "label_of"]
