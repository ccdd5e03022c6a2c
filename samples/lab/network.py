"""Two nodes on a wire, joined by a VXLAN overlay as flannel lays it, and an outside behind a router.

    pod eth0 -- cni0 (10.244.N.1) -- node N -- flannel.1 (VXLAN) -- eth0 192.168.50.N -- wire -- 192.168.50.254 outside

Every namespace carries the run's prefix, so that several labs live side by side and are removed whole.
Needs root, iproute2 with `bridge`, nftables and a kernel with VXLAN.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

UNDERLAY = "192.168.50"
OUTSIDE_ROUTER = f"{UNDERLAY}.254"
OUTSIDE_HOST = "203.0.113.10"
POD_RANGE = "10.244.0.0/16"
POD_RANGE6 = "fd00:10:244::/48"
VNI = 1
# A VXLAN header takes 50 bytes of the wire's 1500.
POD_MTU = 1450


class LabError(Exception):
    """The kernel or a program refused a step of the lab."""


def run(*words: str, feed: str | None = None) -> str:
    """Run a program. Raises: LabError with its own words."""
    done = subprocess.run(words, input=feed, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"cannot run '{' '.join(words)}': {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Node:
    """One node: its namespace and what it is called."""

    number: int
    name: str
    namespace: str

    @property
    def address(self) -> str:
        return f"{UNDERLAY}.{self.number}"

    @property
    def tunnel_address(self) -> str:
        """Address of flannel.1: what the node itself uses towards pods of other nodes."""
        return f"10.244.{self.number}.0"

    @property
    def gateway(self) -> str:
        return f"10.244.{self.number}.1"

    @property
    def gateway6(self) -> str:
        return f"fd00:10:244:{self.number}::1"

    @property
    def bridge_mac(self) -> str:
        """Set, not inherited: a bridge without one changes its address as pods come and go."""
        return f"0a:58:0a:f4:{self.number:02x}:01"

    @property
    def tunnel_mac(self) -> str:
        return f"0a:58:0a:f4:00:{self.number:02x}"


@dataclass(frozen=True)
class Forward:
    """A Service's way to one backend, as kube-proxy would write it."""

    virtual: str
    port: int
    protocol: str
    backend: str
    backend_port: int

    def rule(self) -> str:
        family = "ip6" if ":" in self.virtual else "ip"
        target = f"[{self.backend}]:{self.backend_port}" if family == "ip6" else f"{self.backend}:{self.backend_port}"
        return f"{family} daddr {self.virtual} {self.protocol} dport {self.port} dnat {family} to {target}"


class Network:
    """Makes and removes namespaces, links, routes and translation rules."""

    def __init__(self, prefix: str, vxlan_port: int) -> None:
        self.prefix = prefix
        self.vxlan_port = vxlan_port
        self.nodes = tuple(Node(number, f"worker-{number}", f"{prefix}-n{number}") for number in (1, 2))
        self.wire = f"{prefix}-wire"
        self.outside = f"{prefix}-out"
        self._made: list[str] = []
        self._pods = 0

    def _batch(self, namespace: str, commands: str) -> None:
        run("ip", "-netns", namespace, "-batch", "-", feed=commands)

    def _namespace(self, name: str) -> None:
        run("ip", "netns", "add", name)
        self._made.append(name)
        self._batch(name, "link set lo up")

    def up(self) -> None:
        """Build wire, outside and nodes."""
        for name in (self.wire, self.outside, *(node.namespace for node in self.nodes)):
            self._namespace(name)
        self._batch(self.wire, "link add wire type bridge\nlink set wire up")
        self._plug(self.outside, "out", f"{OUTSIDE_ROUTER}/24")
        self._batch(self.outside, f"addr add {OUTSIDE_HOST}/32 dev lo")
        for node in self.nodes:
            self._plug(node.namespace, f"n{node.number}", f"{node.address}/24")
        for node in self.nodes:
            self._overlay(node, self.nodes[2 - node.number])

    def _plug(self, namespace: str, port: str, address: str) -> None:
        """Give a namespace an eth0 on the wire."""
        run("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", port, "netns", self.wire)
        self._batch(self.wire, f"link set {port} master wire\nlink set {port} up")
        self._batch(namespace, f"addr add {address} dev eth0\nlink set eth0 up")

    def _overlay(self, node: Node, peer: Node) -> None:
        """Lay bridge, VXLAN device and routes of one node; neighbours are static, as flannel sets them."""
        for switch in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            run("ip", "netns", "exec", node.namespace, "sysctl", "-qw", f"{switch}=1")
        self._plain_bridge(node)
        self._batch(
            node.namespace,
            f"""
link add flannel.1 address {node.tunnel_mac} type vxlan id {VNI} dstport {self.vxlan_port} local {node.address} \
dev eth0 nolearning
addr add {node.tunnel_address}/32 dev flannel.1
link set flannel.1 mtu {POD_MTU} up
addr add fe80::{node.number}/64 dev flannel.1 nodad
neigh add {peer.tunnel_address} lladdr {peer.tunnel_mac} dev flannel.1 nud permanent
neigh add fe80::{peer.number} lladdr {peer.tunnel_mac} dev flannel.1 nud permanent
route add 10.244.{peer.number}.0/24 via {peer.tunnel_address} dev flannel.1 onlink
route add fd00:10:244:{peer.number}::/64 via fe80::{peer.number} dev flannel.1
link add cni0 address {node.bridge_mac} type bridge
link set cni0 mtu {POD_MTU} up
addr add {node.gateway}/24 dev cni0
addr add {node.gateway6}/64 dev cni0 nodad
route add default via {OUTSIDE_ROUTER}
""",
        )
        run(
            *("bridge", "-n", node.namespace, "fdb", "append", peer.tunnel_mac, "dev", "flannel.1"),
            *("dst", peer.address),
        )

    def _plain_bridge(self, node: Node) -> None:
        """Keep translation out of the bridge, so that a bridge capture shows Services as pods address them.

        With br_netfilter on, one half of such a conversation is translated before the bridge is tapped.
        """
        for switch in ("iptables", "ip6tables"):
            path = f"/proc/sys/net/bridge/bridge-nf-call-{switch}"
            run("ip", "netns", "exec", node.namespace, "sh", "-c", f"[ ! -e {path} ] || echo 0 > {path}")

    def forward(self, forwards: list[Forward]) -> None:
        """Translate Services to backends and pods to their node, on every node."""
        rules = "\n".join(f"    {one.rule()}" for one in forwards)
        table = f"""
table inet lab {{
  chain to_backends {{
    type nat hook prerouting priority dstnat; policy accept;
{rules}
  }}
  chain to_outside {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {POD_RANGE} ip daddr != {POD_RANGE} oifname "eth0" masquerade
  }}
}}
"""
        for node in self.nodes:
            run("ip", "netns", "exec", node.namespace, "nft", "-f", "-", feed=table)

    def add_pod(self, node: Node, address: str, address6: str) -> str:
        """Do what a CNI ADD does. Returns: the pod's namespace."""
        self._pods += 1
        pod, veth = f"{self.prefix}-p{self._pods}", f"veth{self._pods}"
        self._namespace(pod)
        run("ip", "link", "add", "eth0", "netns", pod, "type", "veth", "peer", "name", veth, "netns", node.namespace)
        self._batch(node.namespace, f"link set {veth} mtu {POD_MTU} master cni0\nlink set {veth} up")
        self._batch(
            pod,
            f"""
link set eth0 mtu {POD_MTU} up
addr add {address}/24 dev eth0
addr add {address6}/64 dev eth0 nodad
route add default via {node.gateway}
route add default via {node.gateway6}
""",
        )
        return pod

    def remove_pod(self, node: Node, pod: str) -> None:
        """Do what a CNI DEL does: the address is free when this returns.

        Its neighbour entry goes too: the next holder of the address has another MAC.
        """
        veth = f"veth{pod.rsplit('-p', 1)[1]}"
        run("ip", "-netns", node.namespace, "link", "del", veth)
        run("ip", "netns", "del", pod)
        self._made.remove(pod)

    def down(self) -> None:
        """Remove every namespace that was made, in any state."""
        for name in reversed(self._made):
            subprocess.run(("ip", "netns", "del", name), capture_output=True, check=False)
        self._made.clear()
