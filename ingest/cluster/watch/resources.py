"""Lists the kinds that are watched, and how each is requested."""

from __future__ import annotations

from dataclasses import dataclass

FULL_LIST = FULL_WATCH = "application/json"
# Source: KEP-2113 and meta.k8s.io/v1: the server cuts objects down to their metadata.
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True)
class Resource:
    """One kind of object. `path` is that of the list over all namespaces; `group` is "" for the core group.

    costs: what is not known without the right to read it, in words. optional: a recording is complete without it.
    """

    kind: str
    plural: str
    path: str
    group: str
    metadata_only: bool
    costs: str
    optional: bool = False

    @property
    def name(self) -> str:
        """The name that rights are granted on: `replicasets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def accept(self, *, watch: bool) -> str:
        """Return the Accept header of a list or a watch."""
        if self.metadata_only:
            return METADATA_WATCH if watch else METADATA_LIST
        return FULL_WATCH if watch else FULL_LIST


def _resource(kind: str, plural: str, group: str, version: str, costs: str, *, metadata: bool = False) -> Resource:
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    return Resource(kind, plural, f"{base}/{plural}", group, metadata, costs)


RESOURCES = (
    _resource("Pod", "pods", "", "v1", "no pod has a name: who held an address is not known"),
    _resource("Service", "services", "", "v1", "the addresses of Services have no name"),
    _resource(
        "EndpointSlice", "endpointslices", "discovery.k8s.io", "v1", "which Services a pod served is not known"
    ),
    _resource("Node", "nodes", "", "v1", "nodes' addresses have no name, and zones are not known"),
    _resource(
        "Namespace", "namespaces", "", "v1",
        "labels of namespaces are not known: where a policy selects by them the verdict is indeterminate",
    ),
    _resource(
        "NetworkPolicy", "networkpolicies", "networking.k8s.io", "v1", "no verdicts: what policies said is not known"
    ),
    _resource(
        "ReplicaSet", "replicasets", "apps", "v1", "pods of Deployments are named by their ReplicaSet", metadata=True
    ),
    _resource("Job", "jobs", "batch", "v1", "pods of CronJobs are named by their Job", metadata=True),
    _resource("CronJob", "cronjobs", "batch", "v1", "when a CronJob itself was there is not known", metadata=True),
)  # fmt: skip
LEASE_NAMESPACE = "kube-node-lease"
# Optional: a node writes its clock into its Lease, which tells how far that clock is off.
LEASES = Resource(
    "Lease",
    "leases",
    f"/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases",
    "coordination.k8s.io",
    False,
    "how far nodes' clocks are off is not known: names are as right, a little less sure",
    optional=True,
)
POLICY_GROUP = "policy.networking.k8s.io"
BLIND = "policies of administrators are not known: verdicts are those of NetworkPolicies alone"


def _optional(kind: str, plural: str, group: str, costs: str, *versions: str) -> tuple[Resource, ...]:
    paths = [f"/apis/{group}/{version}/{plural}" for version in versions]
    return tuple(Resource(kind, plural, path, group, False, costs, optional=True) for path in paths)


# Kinds that few clusters have, each by the versions that may serve it, whose fields are the same. Optional.
ADMIN_POLICIES = (
    _optional("ClusterNetworkPolicy", "clusternetworkpolicies", POLICY_GROUP, BLIND, "v1beta1", "v1alpha2"),
    _optional("AdminNetworkPolicy", "adminnetworkpolicies", POLICY_GROUP, BLIND, "v1alpha1"),
    _optional("BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies", POLICY_GROUP, BLIND, "v1alpha1"),
)
MESH_GROUP = "security.istio.io"
# Of a cluster with Istio, where somebody asks for it.
MESH = (
    _optional(
        "AuthorizationPolicy",
        "authorizationpolicies",
        MESH_GROUP,
        "who may speak in the mesh is not known",
        "v1",
        "v1beta1",
    ),
    _optional(
        "PeerAuthentication", "peerauthentications", MESH_GROUP, "where mTLS is a must is not known", "v1", "v1beta1"
    ),
)
