"""Tracks the addresses of one Service or Node."""

from __future__ import annotations

from dataclasses import dataclass, field

from enrich.holds import plugin_addresses
from enrich.holds.time_bounds import SECOND
from enrich.holds.versions import Version
from whowas.addresses import address16
from whowas.observation import KubeObject, Observation, Spec, Status
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

ZONE = "topology.kubernetes.io/zone"


# Longest way of an event from the apiserver to the recorder: what was not shown deleted stood this long before.
SHOWN_WITHIN = 5 * SECOND


@dataclass(slots=True)
class ThingTrack:
    """A Service or Node.

    holds: of each address the times it had it, oldest first: [start_min, start_max, end_min, end_max]. until: when
    the object was there at the latest. ranges: of its pods, all it ever had. versions: what it was told to be, oldest
    first. shown: when a list, or a change, showed its version last.
    """

    uid: str
    kind: str
    namespace: str
    name: str
    created: int = BEFORE_ALL
    holds: dict[bytes, list[list[int]]] = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    versions: list[Version] = field(default_factory=list)
    shown: int = BEFORE_ALL
    version: int = -1
    gone: bool = False
    until: int = AFTER_ALL


def service_addresses(spec: Spec, status: Status) -> set[bytes]:
    """The addresses of a Service; `None` (headless) is none."""
    words = [spec.clusterIP, *(spec.clusterIPs or ()), *(spec.externalIPs or ())]
    words += [way.ip for way in (status.loadBalancer.ingress if status.loadBalancer else None) or ()]
    return {ip for ip in map(address16, words) if ip is not None}


def node_addresses(one: ThingTrack, spec: Spec, status: Status, thing: KubeObject) -> set[bytes]:
    """The addresses of a node, the ends of its overlay among them."""
    ranges = tuple(dict.fromkeys([*(spec.podCIDRs or ()), *([spec.podCIDR] if spec.podCIDR else [])]))
    one.ranges = tuple(dict.fromkeys([*one.ranges, *ranges]))
    words = [way.address for way in status.addresses or () if way.type in ("InternalIP", "ExternalIP")]
    meta = thing.metadata
    inner = plugin_addresses.node_addresses((meta.annotations if meta else None) or {}, ranges)
    return {ip for ip in map(address16, words) if ip is not None} | inner


def version_of(thing: KubeObject) -> Version:
    """What a Service or Node says of itself beside its addresses; without times."""
    labels = (thing.metadata.labels if thing.metadata else None) or {}
    if thing.kind == "Node":
        return Version(BEFORE_ALL, zone=labels.get(ZONE, ""), virtual=_is_virtual(labels))
    ports = [(one, (one.protocol or "TCP").lower()) for one in (thing.spec or Spec()).ports or ()]
    return Version(
        BEFORE_ALL,
        ports=tuple(f"{port.port or 0}/{protocol}" for port, protocol in ports),
        node_ports=tuple((port.nodePort, protocol) for port, protocol in ports if port.nodePort),
    )


def add_version(one: ThingTrack, now: Version, seen: Observation, since: int) -> None:
    """Take in what it is told to be. since: from when on it may have been so."""
    at, fresh = seen.received_us or seen.not_before_us, not one.versions
    if fresh:
        one.versions.append(now._replace(since=at if one.created == BEFORE_ALL else one.created))
    elif now != one.versions[-1].told():
        fresh, at = True, max(at, one.versions[-1].since)
        # A list says nothing of when it changed.
        low = one.shown if seen.verb == "LISTED" else max(one.created, since - SHOWN_WITHIN)
        one.versions.append(now._replace(since=at, possible=min(low, at)))
    if fresh or seen.verb == "LISTED":
        one.shown = max(one.shown, at)


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
