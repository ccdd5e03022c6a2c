"""Names the annotations of Kubernetes objects that whowas reads. No other is kept as evidence.

One list, so that what naming reads cannot be what recording drops. Annotations may hold secrets, and applied manifests
as large as the object; so they are kept by name.
"""

from __future__ import annotations

MIRROR = "kubernetes.io/config.mirror"
CALICO = ("cni.projectcalico.org/podIP", "cni.projectcalico.org/podIPs")
AWS = "vpc.amazonaws.com/pod-ips"
STATUS_NOTES = ("k8s.v1.cni.cncf.io/network-status", "k8s.v1.cni.cncf.io/networks-status")
POD_NETWORKS = "k8s.ovn.org/pod-networks"
NODE_SUBNETS = "k8s.ovn.org/node-subnets"
FLANNEL = "flannel.alpha.coreos.com/backend-type"
# Addresses, with or without a prefix, or objects or lists of them.
NODE_NOTES = (
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4WireguardInterfaceAddr",
    "projectcalico.org/IPv6WireguardInterfaceAddr",
    "io.cilium.network.ipv4-cilium-host",
    "io.cilium.network.ipv6-cilium-host",
    "io.cilium.network.ipv4-health-ip",
    "io.cilium.network.ipv6-health-ip",
    "network.cilium.io/ipv4-cilium-host",
    "network.cilium.io/ipv6-cilium-host",
    "network.cilium.io/ipv4-health-ip",
    "network.cilium.io/ipv6-health-ip",
    "k8s.ovn.org/node-gateway-router-lrp-ifaddr",
    "k8s.ovn.org/node-gateway-router-lrp-ifaddrs",
    "k8s.ovn.org/node-transit-switch-port-ifaddr",
    "ovn.kubernetes.io/ip_address",
)
KEPT = frozenset((MIRROR, *CALICO, AWS, *STATUS_NOTES, POD_NETWORKS, NODE_SUBNETS, FLANNEL, *NODE_NOTES))
