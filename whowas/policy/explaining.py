"""Was a connection allowed, and why: the walk through every policy that is about either end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detect.policy.directions import Side, Step
from detect.policy.mesh_moments import Authorized, MeshJudge
from detect.policy.moments import Asked, Holder, Judge
from detect.policy.verdicts import Verdict
from enrich.history.history import ClusterHistory
from whowas.addresses import spelled
from whowas.errors import ConfigError
from whowas.policy.ends import Target, holders
from whowas.schema import POLICY_VERDICTS
from whowas.timestamps import rfc3339

# Of workloads with more pods the first are judged: pods of one workload are alike, but for the moment of a change.
PAIRS_MOST = 2_000


@dataclass
class Explained:
    """One verdict, and the pairs of ends that it is of. mesh: what Istio's policies say; None where nobody told any."""

    verdict: Verdict
    port: int | None
    protocol: str
    pairs: list[tuple[Holder, Holder]]
    mesh: Authorized | None = None

    def to_json(self, at_us: int) -> dict[str, Any]:
        """With stable keys."""
        return {
            "at": rfc3339(at_us),
            "policy_verdict": self.verdict.word,
            "policy_reason": self.verdict.reason,
            "port": self.port,
            "protocol": self.protocol,
            "egress": _side(self.verdict.egress),
            "ingress": _side(self.verdict.ingress),
            "mesh": None if self.mesh is None else _mesh(self.mesh),
            "pairs": [{"from": _end(one), "to": _end(other)} for one, other in self.pairs],
        }


def _mesh(told: Authorized) -> dict[str, Any]:
    return {
        "authorization": _side(told.side), "mtls_mode": told.mode.lower(),
        "from_spiffe_id": told.caller or None, "to_spiffe_id": told.target or None,
    }  # fmt: skip


def _end(one: Holder) -> dict[str, Any]:
    return {"name": one.name, "uid": one.uid or None, "address": spelled(one.address) if one.address else None}


def _side(side: Side) -> dict[str, Any]:
    return {
        "verdict": side.verdict, "decided": list(side.decided), "reason": side.reason,
        "walk": [_step(one) for one in side.walk],
    }  # fmt: skip


def _step(one: Step) -> dict[str, Any]:
    policy = one.policy
    return {
        "kind": policy.kind, "policy": str(policy), "tier": policy.tier, "rule": one.rule or None, "said": one.said,
        "spec": policy.spec,
    }  # fmt: skip


def explain(
    known: ClusterHistory, judge: Judge, source: str, target: Target, at_us: int, mesh: MeshJudge | None = None
) -> list[Explained]:
    """Judge each pair of ends; those that are judged alike are told together, the more telling verdicts first.

    Args: mesh: judges by Istio's policies, beside and apart.
    Raises: ConfigError for ends that nobody was, and for a port that no pod calls so.
    """
    sources, targets = holders(known, source, at_us), holders(known, target.end, at_us)
    found: dict[Any, Explained] = {}
    pairs = [(one, other) for one in sources for other in targets][:PAIRS_MOST]
    for one, other in pairs:
        for port in _ports(judge, target, other, at_us):
            asked = Asked(one, other, port, target.protocol, at_us, at_us)
            verdict = judge.verdict(asked)
            beside = mesh.authorized(asked) if mesh is not None and target.protocol == "tcp" else None
            key = (verdict.word, verdict.reason, port, _told(_walk(verdict)), _alike(beside))
            found.setdefault(key, Explained(verdict, port, target.protocol, [], beside)).pairs.append((one, other))
    if not found:
        raise ConfigError(f"cannot use the port '{target.port_name}': no container of '{target.end}' calls one so")
    return sorted(found.values(), key=lambda one: POLICY_VERDICTS.index(one.verdict.word))


def _told(walk: tuple[Step, ...]) -> tuple[Any, ...]:
    return tuple((step.policy.key(), step.rule, step.said) for step in walk)


def _alike(mesh: Authorized | None) -> Any:
    return mesh and (*mesh[1:], mesh.side.verdict, mesh.side.reason, _told(mesh.side.walk))


def _walk(verdict: Verdict) -> tuple[Step, ...]:
    return (*verdict.egress.walk, *verdict.ingress.walk)


def _ports(judge: Judge, target: Target, holder: Holder, at_us: int) -> list[int | None]:
    """Return the number, or the numbers that the containers of a pod have under a name."""
    if not target.port_name:
        return [target.port]
    line = judge.timeline.pods.get(holder.uid)
    pods = line.within(at_us, at_us) if line else []
    ports = [port for one in pods if one is not None for port in one.ports or ()]
    wanted = (target.port_name, target.protocol)
    return list(dict.fromkeys(one.number for one in ports if (one.name, one.protocol) == wanted))
