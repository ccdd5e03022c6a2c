"""Addresses that network plugins write into annotations of pods and nodes, and that no status tells.

Sources: the network plumbing group's network-status; OVN-Kubernetes' pod-networks and node-subnets; the annotations
of Cilium, Calico, flannel and kube-ovn on nodes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from whowas.addresses import address16
from whowas.kube_annotations import FLANNEL, NODE_NOTES, NODE_SUBNETS, POD_NETWORKS, STATUS_NOTES

# So deep a plugin's JSON is; what is deeper is somebody else's.
DEEPEST = 4


@lru_cache(maxsize=1 << 12)
def _json(text: str) -> Any:
    """Return the value of an annotation; None for what is no JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def pod_addresses(notes: Mapping[str, str]) -> list[tuple[bytes, str]]:
    """Return a pod's addresses in further networks, each with its network."""
    found: dict[bytes, str] = {}
    for name in STATUS_NOTES:
        several = _json(notes[name]) if name in notes else None
        for one in several if isinstance(several, list) else ():
            if isinstance(one, dict) and one.get("default") is not True:
                _add(found, one.get("ips"), one.get("name"))
    networks = _json(notes[POD_NETWORKS]) if POD_NETWORKS in notes else None
    for network, one in networks.items() if isinstance(networks, dict) else ():
        if network != "default" and isinstance(one, dict):
            _add(found, one.get("ip_addresses") or one.get("ip_address"), network)
    return list(found.items())


def _add(found: dict[bytes, str], words: Any, network: Any) -> None:
    for ip in _addresses(words):
        found.setdefault(ip, network if isinstance(network, str) and network else "?")


def _addresses(value: Any, depth: int = 0) -> Iterator[bytes]:
    """Yield every address in a value."""
    if isinstance(value, str):
        for word in value.split(","):
            ip = address16(word.split("/")[0].strip())
            if ip is not None:
                yield ip
    elif isinstance(value, (list, dict)) and depth < DEEPEST:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _addresses(one, depth + 1)


def node_addresses(notes: Mapping[str, str], ranges: tuple[str, ...]) -> set[bytes]:
    """Return a node's addresses in the pod network, as far as its plugin tells them. ranges: the node's, of pods."""
    found: set[bytes] = set()
    for name in NODE_NOTES:
        if name in notes:
            text = notes[name]
            found.update(_addresses(_json(text) if text[:1] in "[{" else text))
    if FLANNEL in notes:
        # The bridge cni0 takes the first address; flannel.1 that of the range itself.
        found.update(_nth(ranges, *((0, 1) if notes[FLANNEL] == "vxlan" else (1,))))
    subnets = _json(notes[NODE_SUBNETS]) if NODE_SUBNETS in notes else None
    for several in subnets.values() if isinstance(subnets, dict) else ():
        # The first is the router's port, the second the node's own (ovn-k8s-mp0).
        words = several if isinstance(several, list) else [several]
        found.update(_nth(tuple(word for word in words if isinstance(word, str)), 1, 2))
    return found


def gateways(ranges: tuple[str, ...]) -> set[bytes]:
    """Return the first address of each range: most plugins give it to the node itself, some to a pod."""
    return set(_nth(ranges, 1))


def _nth(ranges: tuple[str, ...], *places: int) -> Iterator[bytes]:
    """Yield the addresses at some places of each range that is one."""
    for word in ranges:
        try:
            network = ipaddress.ip_network(word, strict=False)
        except ValueError:
            continue
        for place in places:
            ip = address16(str(network[place])) if network.num_addresses > 2 else None
            if ip is not None:
                yield ip
