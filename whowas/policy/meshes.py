"""Which mesh of Istio's a cluster has, by what a site says of who issues identities."""

from __future__ import annotations

from detect.policy.mesh_moments import Mesh, MeshJudge
from detect.policy.model import Pod
from enrich.naming.identities import Issuer, account_identity, load_issuers
from whowas.policy.loading import Known
from whowas.spiffe import Account, SpiffeId, parse


def mesh_judge(known: Known, cluster: str, identities: str | None) -> MeshJudge:
    """Return who judges a cluster. identities: TOML file, None = nobody knows any. Raises: ConfigError."""
    issuers = load_issuers(identities) if identities else ()
    return MeshJudge(known.timeline(cluster), mesh_of(issuers, cluster) or Mesh(_nobody))


def mesh_of(issuers: tuple[Issuer, ...], cluster: str) -> Mesh | None:
    """Return a cluster's mesh; None where nobody says that it has one."""
    mine = tuple(one for one in issuers if one.kind == "istio" and one.cluster in ("", cluster))
    if not mine:
        return None

    def identity_of(pod: Pod) -> SpiffeId | None:
        if pod.host_network or not pod.account:
            return None
        found = account_identity(mine, cluster, Account(pod.namespace, pod.account), pod.labels).spiffe_id
        return None if found is None else parse(found)

    return Mesh(identity_of, mine[0].root_namespace)


def _nobody(_pod: Pod) -> SpiffeId | None:
    return None
