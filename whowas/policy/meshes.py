"""Who judges by Istio's policies: what a history knows of them, with the identities that a site says are issued."""

from __future__ import annotations

from detect.policy.mesh_moments import ROOT, MeshJudge
from detect.policy.model import Pod
from enrich.naming.identities import Issuer, account_identity, load_issuers
from whowas.policy.loading import Known
from whowas.spiffe import Account, SpiffeId, parse


def mesh_judge(known: Known, cluster: str, identities: str | None) -> MeshJudge:
    """Return who judges a cluster. identities: TOML file, None = nobody knows any. Raises: ConfigError."""
    issuers = load_issuers(identities) if identities else ()
    root = root_of(issuers, cluster)

    def identity_of(pod: Pod) -> SpiffeId | None:
        return pod_identity(issuers, cluster, pod)

    return MeshJudge(known.timeline(cluster), identity_of, root)


def root_of(issuers: tuple[Issuer, ...], cluster: str) -> str:
    """Return the namespace whose policies count for a cluster's whole mesh."""
    return next((one.root_namespace for one in issuers if one.kind == "istio" and one.cluster in ("", cluster)), ROOT)


def pod_identity(issuers: tuple[Issuer, ...], cluster: str, pod: Pod) -> SpiffeId | None:
    """Return the SPIFFE id that a pod was issued; None where that is not known."""
    if pod.host_network or not pod.account:
        return None
    found = account_identity(issuers, cluster, Account(pod.namespace, pod.account), pod.labels).spiffe_id
    return None if found is None else parse(found)
