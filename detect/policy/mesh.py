"""What Istio's policies say of a connection to one pod: AuthorizationPolicy by what L4 knows, and the mode of mTLS.

Source: Istio's reference of AuthorizationPolicy and PeerAuthentication. CUSTOM before DENY before ALLOW; without any
ALLOW that is about the pod all else passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from detect.policy.directions import ALLOWED, DENIED, OPEN, Side, Step, label_of
from detect.policy.doubt import NO, UNKNOWN, UNSUPPORTED, WEIGHT, YES, Answer, both, either, maybe
from detect.policy.mesh_policies import (
    ALLOW,
    CUSTOM,
    DENY,
    PERMISSIVE,
    UNSET,
    Asks,
    Authorization,
    Part,
    PeerAuthentication,
    Rule,
)
from detect.policy.model import Pod
from detect.policy.networks import Network
from whowas.spiffe import SpiffeId, account_of

# In a principal this stands for the mesh's own trust domain, whatever that is called.
OWN_DOMAIN = "cluster.local"
NOT_KNOWN = "unknown"


class Call(NamedTuple):
    """A connection to a pod of a mesh. caller: the source's identity; None where nobody knows it, `unknown` says why.

    root: the namespace whose policies count for the whole mesh. addresses: 16 bytes, None where not known.
    """

    target: Pod
    caller: SpiffeId | None
    unknown: str
    address: bytes | None
    target_address: bytes | None
    port: int | None
    root: str


class Heard(NamedTuple):
    """A rule of a policy, and whether both are about a connection."""

    policy: Authorization
    rule: Rule | None
    about: Answer
    answer: Answer


def authorized(policies: Iterable[Authorization], call: Call) -> Side:
    """Judge a connection by the policies in force. Words as those of policy_verdict."""
    mine = [(one, about) for one in policies if not (about := _about(one, call)).no]
    walk = tuple(
        Step(one.policy, one.rule.number if one.rule and not one.answer.no else 0, _said(one))
        for one in _walk(mine, call)
    )
    denying = [one for one in _heard(mine, call, DENY) if one.about.certain and one.answer.certain]
    if denying:
        return _side(DENIED, denying[0], "denies it", walk)
    allowing = list(_heard(mine, call, ALLOW))
    sure = [one for one in allowing if one.about.certain]
    doubts = _doubts(allowing)
    passing = [one for one in sure if one.answer.certain]
    if sure and not passing and not doubts:
        names = tuple(dict.fromkeys(str(one.policy) for one in sure))
        return Side(DENIED, names, f"no rule of {', '.join(names)} allows it", walk)
    custom = list(_heard(mine, call, CUSTOM))
    asked = [one for one in custom if one.about.certain and one.answer.certain]
    if asked:
        return _side(UNSUPPORTED, asked[0], "asks an authoriser of its own", walk)
    # Of what cannot be read nobody knows the action either.
    before = _doubts([*custom, *_heard(mine, call, DENY)]) + [about for one, about in mine if one.fault]
    if before or (doubts and not passing):
        worst = max(before or doubts, key=lambda one: WEIGHT[one.word])
        return Side(worst.word, tuple(dict.fromkeys(str(one) for one, _ in mine)), worst.why, walk)
    if passing:
        return _side(ALLOWED, passing[0], "allows it", walk)
    return Side(OPEN, reason="no AuthorizationPolicy that allows is about it", walk=walk)


def _side(word: str, one: Heard, said: str, walk: tuple[Step, ...]) -> Side:
    name = f"{one.policy} rule {one.rule.number}" if one.rule else label_of(one.policy)
    return Side(word, (name,), f"{name} {said}", walk)


def _doubts(several: Iterable[Heard]) -> list[Answer]:
    """What is not known, and could be about the connection."""
    return [
        each
        for one in several
        for each in (one.about, one.answer)
        # An ALLOW that may be about the pod isolates it, whether or not a rule matches.
        if not each.sure and (one.policy.action == ALLOW or not (one.about.no or one.answer.no))
    ]


def _heard(mine: Sequence[tuple[Authorization, Answer]], call: Call, action: str) -> Iterator[Heard]:
    for policy, about in mine:
        if policy.action != action:
            continue
        if policy.fault or not policy.asked:
            yield Heard(policy, None, about, about if policy.fault else NO)
        for rule in policy.asked:
            yield Heard(policy, rule, about, rule_answer(policy, rule, call))


def _walk(mine: Sequence[tuple[Authorization, Answer]], call: Call) -> Iterator[Heard]:
    """Each policy once, with the first of its rules that says most."""
    for action in (CUSTOM, DENY, ALLOW):
        for policy, about in mine:
            if policy.action == action:
                heard = list(_heard([(policy, about)], call, action))
                yield max(heard, key=lambda one: (one.answer.certain, not one.answer.sure))


def _said(one: Heard) -> str:
    does = {ALLOW: "allows it", DENY: "denies it", CUSTOM: "asks an authoriser of its own"}[one.policy.action]
    if not one.about.sure:
        return f"may be about it: {one.about.why}"
    if not one.answer.sure:
        return f"may be it ({does}): {one.answer.why}"
    if one.answer.certain:
        return does
    return "is about it; none of its rules matches"


def _about(policy: Authorization, call: Call) -> Answer:
    if policy.namespace not in (call.target.namespace, call.root):
        return NO
    if policy.fault:
        # A fault may be anywhere, in its action too.
        return maybe(UNSUPPORTED, f"AuthorizationPolicy {policy} cannot be read: {policy.fault}")
    if policy.targeted:
        return maybe(UNSUPPORTED, f"AuthorizationPolicy {policy} is bound to a gateway or Service, which is not judged")
    return YES if policy.pods is None or policy.pods.selects(call.target.labels) else NO


def rule_answer(policy: Authorization, rule: Rule, call: Call) -> Answer:
    """Say whether a rule is about a connection."""
    where = f"AuthorizationPolicy {policy} rule {rule.number}"
    answers = [_all(where, one, call) for one in rule.conditions]
    for several in (rule.sources, rule.operations):
        if several is not None:
            answers.append(either([_all(where, one, call) for one in several]))
    return both(*answers)


def _all(where: str, part: Part, call: Call) -> Answer:
    answers = [_asked(one, call) for one in part.asks]
    if part.unsupported:
        answers.append(maybe(UNSUPPORTED, f"{where} asks for {part.unsupported[:200]}, which no connection shows"))
    return both(*answers)


def _asked(asks: Asks, call: Call) -> Answer:
    found = []
    if asks.values:
        found.append(either([_matches(asks.about, one, call) for one in asks.values]))
    if asks.refused:
        found.append(_not(either([_matches(asks.about, one, call) for one in asks.refused])))
    return both(*found)


def _not(answer: Answer) -> Answer:
    return (NO if answer.yes else YES) if answer.sure else answer


def _matches(about: str, value: str | Network, call: Call) -> Answer:
    if isinstance(value, Network):
        address = call.address if about == "ipBlocks" else call.target_address
        if address is None:
            return maybe(UNKNOWN, "the address of an end is not known")
        return YES if value.holds(address) else NO
    if about == "ports":
        return YES if call.port is not None and value == str(call.port) else NO
    if call.caller is None:
        return maybe(UNKNOWN, call.unknown)
    return _principal(value, call.caller) if about == "principals" else _namespace(value, call.caller)


def _namespace(pattern: str, caller: SpiffeId) -> Answer:
    account = account_of(caller)
    return YES if account is not None and _fits(pattern, account.namespace) else NO


def _principal(pattern: str, caller: SpiffeId) -> Answer:
    """A principal is a SPIFFE id without its scheme, compared as it is."""
    names = (f"{caller.trust_domain}{caller.path}", f"{OWN_DOMAIN}{caller.path}")
    if any(_fits(pattern, one) for one in names):
        return YES
    domain, slash, path = pattern.partition("/")
    if slash and "*" not in domain and _fits(slash + path, caller.path):
        return maybe(UNKNOWN, f"whether {domain[:100]} is another name of trust domain {caller.trust_domain}")
    return NO


def _fits(pattern: str, text: str) -> bool:
    """Exact, `begin*`, `*end`, or `*` for anything that is there."""
    if pattern == "*":
        return bool(text)
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text.endswith(pattern[1:]) if pattern.startswith("*") else text == pattern


def mtls_mode(policies: Iterable[PeerAuthentication], pod: Pod, port: int | None, root: str) -> str:
    """Return the mode in force on a pod's port: STRICT, PERMISSIVE or DISABLE; NOT_KNOWN where nobody can say.

    The pod's own policy goes before its namespace's, and that before the mesh's; UNSET asks the next.
    """
    several = list(policies)
    own = [one for one in several if one.namespace == pod.namespace and not one.all and _selects(one, pod)]
    wide = [one for one in several if one.namespace == pod.namespace and one.all]
    mesh = [one for one in several if one.namespace == root and one.all]
    for scope in (own, wide, mesh):
        if any(one.fault for one in scope):
            return NOT_KNOWN
        modes = {one.ports.get(port or 0, one.mode) if scope is own else one.mode for one in scope}
        if len(modes) > 1:
            # The oldest counts, and times of creation in one second do not tell which that is.
            return NOT_KNOWN
        if modes and modes != {UNSET}:
            return modes.pop()
    return PERMISSIVE


def _selects(policy: PeerAuthentication, pod: Pod) -> bool:
    return policy.pods is None or policy.pods.selects(pod.labels)
