"""Which kinds of policy there are, which of them are judged, and how each is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from detect.policy.cluster_policies import cluster_policy
from detect.policy.fields import Unreadable
from detect.policy.model import ADMIN, BASELINE, NETWORK, Policy
from detect.policy.network_policies import network_policy

TIERS = {
    "NetworkPolicy": NETWORK,
    "ClusterNetworkPolicy": ADMIN,
    "AdminNetworkPolicy": ADMIN,
    "BaselineAdminNetworkPolicy": BASELINE,
}
GROUPS = {"NetworkPolicy": "networking.k8s.io", "": "policy.networking.k8s.io"}
# Kinds that decide who may talk to whom, and that are not judged here: said by name wherever they are met.
OTHERS = {
    "cilium.io": ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"),
    "crd.projectcalico.org": ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy"),
    "projectcalico.org": ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy"),
    "security.istio.io": ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"),
    "networking.antrea.io": ("NetworkPolicy",),
    "crd.antrea.io": ("NetworkPolicy", "ClusterNetworkPolicy"),
}


def is_judged(kind: str, api_version: str) -> bool:
    """Say whether an object is a policy of a kind that is judged. api_version: "" where nobody told it."""
    group = api_version.partition("/")[0]
    return kind in TIERS and group in ("", GROUPS.get(kind, GROUPS[""]))


def is_other(kind: str, api_version: str) -> bool:
    """Say whether an object is a policy of a kind that is not judged."""
    return kind in OTHERS.get(api_version.partition("/")[0], ())


def read_policy(kind: str, namespace: str, name: str, spec: Any) -> Policy:
    """Read a policy of a kind in TIERS. Raises: Unreadable."""
    found = network_policy(namespace, name, spec) if kind == "NetworkPolicy" else cluster_policy(kind, name, spec)
    return replace(found, spec=spec)


def read_or_fault(kind: str, namespace: str, name: str, spec: Any) -> Policy:
    """Read a policy; one that cannot be read is a Policy with a fault, of which nobody knows what it does."""
    try:
        return read_policy(kind, namespace, name, spec)
    except Unreadable as error:
        return Policy(kind, namespace, name, TIERS[kind], ingress=(), egress=(), fault=str(error), spec=spec)
