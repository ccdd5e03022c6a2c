"""Lists the kinds that are watched, and how each is requested."""

from __future__ import annotations

from dataclasses import dataclass

FULL_LIST = FULL_WATCH = "application/json"
# Source: KEP-2113 and meta.k8s.io/v1: the server cuts objects down to their metadata.
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True)
class Resource:
    """One kind of object. `path` is that of the list over all namespaces; `group` is "" for the core group."""

    kind: str
    plural: str
    path: str
    group: str
    metadata_only: bool

    @property
    def name(self) -> str:
        """The name that rights are granted on: `replicasets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def accept(self, *, watch: bool) -> str:
        """Return the Accept header of a list or a watch."""
        if self.metadata_only:
            return METADATA_WATCH if watch else METADATA_LIST
        return FULL_WATCH if watch else FULL_LIST


RESOURCES = (
    Resource("Pod", "pods", "/api/v1/pods", "", False),
    Resource("Service", "services", "/api/v1/services", "", False),
    Resource("EndpointSlice", "endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", "discovery.k8s.io", False),
    Resource("Node", "nodes", "/api/v1/nodes", "", False),
    Resource("Namespace", "namespaces", "/api/v1/namespaces", "", False),
    Resource(
        "NetworkPolicy", "networkpolicies", "/apis/networking.k8s.io/v1/networkpolicies", "networking.k8s.io", False
    ),
    Resource("ReplicaSet", "replicasets", "/apis/apps/v1/replicasets", "apps", True),
    Resource("Job", "jobs", "/apis/batch/v1/jobs", "batch", True),
    Resource("CronJob", "cronjobs", "/apis/batch/v1/cronjobs", "batch", True),
)
# Optional: of a cluster with Istio, where somebody asks for it.
MESH = tuple(
    Resource(kind, plural, f"/apis/security.istio.io/v1/{plural}", "security.istio.io", False)
    for kind, plural in (
        ("AuthorizationPolicy", "authorizationpolicies"),
        ("PeerAuthentication", "peerauthentications"),
    )
)
LEASE_NAMESPACE = "kube-node-lease"
# Optional: a node writes its clock into its Lease, which tells how far that clock is off.
LEASES = Resource(
    "Lease",
    "leases",
    f"/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases",
    "coordination.k8s.io",
    False,
)
