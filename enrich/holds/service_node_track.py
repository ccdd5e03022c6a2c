"""Tracks the addresses of one Service or Node."""

from __future__ import annotations

from dataclasses import dataclass, field

from enrich.holds import plugin_addresses
from enrich.holds.time_bounds import AFTER_ALL, BEFORE_ALL, SECOND
from whowas.addresses import address16
from whowas.observation import KubeObject, Observation, Spec, Status

ZONE = "topology.kubernetes.io/zone"


# Longest way of an event from the apiserver to the recorder: what was not shown deleted stood this long before.
SHOWN_WITHIN = 5 * SECOND


@dataclass(slots=True)
class ThingTrack:
    """A Service or Node.

    holds: of each address the times it had it, oldest first: [start_min, start_max, end_min, end_max]. until: when
    the object was there at the latest.
    """

    uid: str
    kind: str
    namespace: str
    name: str
    zone: str = ""
    created: int = BEFORE_ALL
    holds: dict[bytes, list[list[int]]] = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    ports: tuple[tuple[int, str], ...] = ()
    node_ports: tuple[tuple[int, str], ...] = ()
    virtual: bool = False
    version: int = -1
    gone: bool = False
    until: int = AFTER_ALL


def service_addresses(one: ThingTrack, spec: Spec, status: Status) -> set[bytes]:
    """The addresses of a Service; `None` (headless) is none."""
    words = [spec.clusterIP, *(spec.clusterIPs or ()), *(spec.externalIPs or ())]
    words += [way.ip for way in (status.loadBalancer.ingress if status.loadBalancer else None) or ()]
    ports = spec.ports or ()
    one.ports = tuple((port.port or 0, (port.protocol or "TCP").lower()) for port in ports)
    one.node_ports = tuple((port.nodePort, (port.protocol or "TCP").lower()) for port in ports if port.nodePort)
    return {ip for ip in map(address16, words) if ip is not None}


def node_addresses(one: ThingTrack, spec: Spec, status: Status, thing: KubeObject) -> set[bytes]:
    """The addresses of a node, the ends of its overlay among them."""
    one.ranges = tuple(dict.fromkeys([*(spec.podCIDRs or ()), *([spec.podCIDR] if spec.podCIDR else [])]))
    words = [way.address for way in status.addresses or () if way.type in ("InternalIP", "ExternalIP")]
    meta = thing.metadata
    one.virtual = one.virtual or _is_virtual((meta.labels if meta else None) or {})
    inner = plugin_addresses.node_addresses((meta.annotations if meta else None) or {}, one.ranges)
    return {ip for ip in map(address16, words) if ip is not None} | inner


def _is_virtual(labels: dict[str, str]) -> bool:
    """Say whether labels are a virtual kubelet's. Source: virtual-kubelet's node labels; AKS and others as well."""
    return labels.get("type") == "virtual-kubelet" or labels.get("kubernetes.io/role") == "virtual-kubelet"


def update_bounds(one: ThingTrack, now: set[bytes], seen: Observation, since: int) -> None:
    """Open holds on new addresses, close those that are gone. A list says nothing of when that was.

    since: from when on it may have been so.
    """
    at, watched = seen.received_us, seen.verb not in ("LISTED", "VANISHED")
    if one.gone:
        one.until = AFTER_ALL - 1 if at is None else at
    fresh = not one.holds
    for ip in sorted(now):
        times = one.holds.setdefault(ip, [])
        if not times or times[-1][3] != AFTER_ALL:
            # An address there from the first sight on may have been there since the object was made.
            low = one.created if fresh or not watched else max(one.created, since - SHOWN_WITHIN)
            high = one.created + SECOND if fresh and one.created != BEFORE_ALL else (at or seen.not_before_us)
            times.append(_begun(times, low, max(low, high)))
        times[-1][2] = max(times[-1][2], seen.not_before_us)
    for ip in one.holds.keys() - now:
        bounds = one.holds[ip][-1]
        if bounds[3] == AFTER_ALL:
            bounds[2] = max(bounds[2], (since - SHOWN_WITHIN) if at is not None and watched else BEFORE_ALL)
            bounds[3] = at if at is not None else AFTER_ALL - 1


def _begun(times: list[list[int]], low: int, high: int) -> list[int]:
    """Return the bounds of a hold that begins. What was given up before was over before it was taken back."""
    if times:
        low = max(low, times[-1][2])
        high = max(high, low)
        times[-1][3] = min(times[-1][3], high)
    return [low, high, BEFORE_ALL, AFTER_ALL]
