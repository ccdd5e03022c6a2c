"""Istio's policies as of a time: a connection judged by all that they, and the pods, may have been around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from math import prod
from typing import NamedTuple

from detect.policy.directions import Side
from detect.policy.doubt import UNKNOWN
from detect.policy.mesh import NOT_KNOWN, Call, authorized, mtls_mode
from detect.policy.mesh_policies import Authorization, PeerAuthentication
from detect.policy.model import Pod, Policy
from detect.policy.moments import WAYS_MOST, Asked, Holder
from detect.policy.timeline import NEAR, Timeline
from whowas.schema import POLICY_VERDICTS
from whowas.spiffe import SpiffeId

ROOT = "istio-system"
AUTHORIZATIONS, PEERS = "AuthorizationPolicy", "PeerAuthentication"


class Authorized(NamedTuple):
    """What Istio's policies say of a connection. side: its word is one of POLICY_VERDICTS. mode: of mTLS, as mtls_mode.

    caller, target: identities of both ends, "" where they are not known.
    """

    side: Side
    mode: str
    caller: str
    target: str


class Mesh(NamedTuple):
    """A mesh of Istio's. identity_of: what it issued to a pod then; None where the pod is not in it, or nobody knows.

    root: the namespace whose policies count for all of it.
    """

    identity_of: Callable[[Pod], SpiffeId | None]
    root: str = ROOT


class MeshJudge:
    """Judges against one timeline."""

    def __init__(self, timeline: Timeline, mesh: Mesh) -> None:
        self._timeline, self._identity_of, self._root = timeline, mesh.identity_of, mesh.root

    def authorized(self, asked: Asked) -> Authorized | None:
        """Judge; None where no word of such policies ever came, or the destination is no pod."""
        if not (self._timeline.mesh or self._timeline.mesh_listed) or not asked.target.uid:
            return None
        low, high = asked.low - NEAR, asked.high + NEAR
        sources, targets = self._pods(asked.source, low, high), self._pods(asked.target, low, high)
        if not targets:
            return None
        moments = in_force(self._timeline, {self._root, *(one.namespace for one in targets)}, low, high)
        if moments is None:
            side = Side(UNKNOWN, reason="too much changed within a second of it")
            return Authorized(side, NOT_KNOWN, "", "")
        callers: list[Pod | None] = [*sources] or [None]
        found = [self._judged(asked, *one) for one in product(moments, callers, targets)]
        return self._watched(_agreed(found), asked)

    def _watched(self, told: Authorized, asked: Asked) -> Authorized:
        if not self._timeline.looked_at_mesh(PEERS, asked.low, asked.high):
            told = told._replace(mode=NOT_KNOWN)
        if self._timeline.looked_at_mesh(AUTHORIZATIONS, asked.low, asked.high):
            return told
        why = f"nobody watched Istio's policies then; by those that were seen it is {told.side.verdict}"
        return told._replace(side=told.side._replace(verdict=UNKNOWN, reason=why))

    def _pods(self, holder: Holder, low: int, high: int) -> list[Pod]:
        line = self._timeline.pods.get(holder.uid) if holder.uid else None
        return [] if line is None else [one for one in line.within(low, high) if one is not None]

    def _judged(self, asked: Asked, policies: Iterable[Policy], source: Pod | None, target: Pod) -> Authorized:
        several = list(policies)
        caller = self._identity_of(source) if source is not None else None
        own = self._identity_of(target)
        call = Call(
            target, caller, f"nobody knows with which identity {asked.source.name or source or 'it'} spoke",
            asked.source.address, asked.target.address, asked.port, self._root,
        )  # fmt: skip
        peers = [one for one in several if isinstance(one, PeerAuthentication)]
        side = authorized([one for one in several if isinstance(one, Authorization)], call)
        if own is None:
            why = f"nobody knows whether a mesh stands before {target}; if one does it is {side.verdict}"
            side = side._replace(verdict=UNKNOWN, reason=why)
        mode = mtls_mode(peers, target, asked.port, self._root) if own is not None else NOT_KNOWN
        return Authorized(side, mode, str(caller or ""), str(own or ""))


def in_force(timeline: Timeline, namespaces: set[str], low: int, high: int) -> list[tuple[Policy, ...]] | None:
    """Return which of Istio's policies of namespaces may have been in force together; None for too many ways."""
    lines = [
        line.within(low, high)
        for line in timeline.mesh.values()
        if any(one is not None and one.namespace in namespaces for one in line.values)
    ]
    if prod(map(len, lines)) > WAYS_MOST:
        return None
    return [tuple(one for one in chosen if one is not None) for chosen in product(*lines)]


def _agreed(found: list[Authorized]) -> Authorized:
    """Return one answer of what may each have been so; where they differ nobody knows."""
    words = {one.side.verdict for one in found}
    modes = {one.mode for one in found}
    told = found[-1]._replace(mode=modes.pop() if len(modes) == 1 else NOT_KNOWN)
    if len(words) == 1:
        return told
    listed = " or ".join(one for one in POLICY_VERDICTS if one in words)
    names = tuple(dict.fromkeys(name for one in found for name in one.side.decided))
    return told._replace(side=told.side._replace(
        verdict=UNKNOWN, decided=names, reason=f"within a second of a change: {listed}"
    ))  # fmt: skip
