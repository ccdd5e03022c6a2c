"""The flows of a finding in OCSF's words: evidences, the names of their ends, and what can be searched for."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from detect.views.flow_ends import End, both
from detect.views.json_values import address, candidates, ethernet, filled, filled_of, images, labels, plain, text

LATERAL, INBOUND, OUTBOUND, OTHER = 3, 1, 2, 99
DIRECTIONS = {
    "internal": (LATERAL, "Lateral"),
    "inbound": (INBOUND, "Inbound"),
    "outbound": (OUTBOUND, "Outbound"),
    "external": (OTHER, "external"),
}
BOUNDARIES = {"internal": (2, "Internal"), "inbound": (3, "External"), "outbound": (3, "External")}
SCOPES = {"pod": (1, "Internal"), "service": (1, "Internal"), "node": (1, "Internal"), "external": (2, "External")}
IP_ADDRESS, HOSTNAME, RESOURCE_UID = 2, 1, 10
TRAFFIC = ("bytes_out", "bytes_in", "packets_out", "packets_in")
# Columns that have a place of their own in the view; the others stand in evidences[].data.
PLACED = frozenset(
    [*TRAFFIC, "flow_id", "protocol", "protocol_number", "tcp_flags", "community_id", "direction", "dns_name", "vlan"]
)
# What naming says of an end beyond the endpoint object.
NAMED = (
    "confidence", "reason", "kind", "namespace", "pod", "pod_uid", "workload", "workload_kind", "service", "node",
    "zone", "service_account", "spiffe_id", "dns_identity", "nat_ip", "nat_port",
)  # fmt: skip

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def evidence(flow: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flow as an evidence."""
    source, destination = both(flow)
    sides = ("src_", "dst_")
    rest = {name: plain(value) for name, value in flow.items() if name not in PLACED and not name.startswith(sides)}
    sni, tls_version = text(rest.get("tls_sni")), text(rest.get("tls_version"))
    if tls_version is not None:
        rest |= {"tls_sni": None, "tls_version": None}
    return filled(
        uid=text(flow.get("flow_id")),
        src_endpoint=_endpoint(source, flow),
        dst_endpoint=_endpoint(destination, flow),
        connection_info=_connection(flow),
        tls=filled(version=tls_version, sni=sni) if tls_version is not None else None,
        query=filled(hostname=text(flow.get("dns_name"))),
        # OCSF has no place for counters in an evidence: they stand under the name of its object for them.
        data=filled_of(rest | {"traffic": filled_of({name: flow.get(name) for name in TRAFFIC})}),
    )


def enrichments(flows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each address was named, every name once; `name` says in which endpoint it stands."""
    found: dict[str, dict[str, Any]] = {}
    for one in _ends(flows):
        data = filled_of({name: plain(getattr(one, name)) for name in NAMED})
        data |= filled(images=images(one.images), candidates=candidates(one.candidates))
        if data:
            told = {"name": f"evidences[].{one.side}_endpoint.ip", "value": text(one.ip) or "unknown",
                    "type": "whowas", "provider": "whowas", "data": data}  # fmt: skip
            found[json.dumps(told, sort_keys=True)] = told
    return list(found.values())


def observables(flows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return addresses, pods, nodes and server names, each place and value once."""
    flows = list(flows)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in _ends(flows):
        place = f"evidences[].{one.side}_endpoint"
        _observe(found, f"{place}.ip", IP_ADDRESS, "IP Address", address(one.ip))
        _observe(found, f"{place}.uid", RESOURCE_UID, "Resource UID", text(one.pod_uid))
        _observe(found, f"{place}.hostname", HOSTNAME, "Hostname", text(one.node))
    for flow in flows:
        _observe(found, "evidences[].query.hostname", HOSTNAME, "Hostname", text(flow.get("dns_name")))
    return list(found.values())


def _observe(found: dict[tuple[str, str], dict[str, Any]], name: str, uid: int, kind: str, value: str | None) -> None:
    if value:
        found[name, value] = {"name": name, "type_id": uid, "type": kind, "value": value}


def _ends(flows: Iterable[Mapping[str, Any]]) -> Iterator[End]:
    for flow in flows:
        yield from both(flow)


def _endpoint(one: End, flow: Mapping[str, Any]) -> dict[str, Any] | None:
    """OCSF wants one of ip, name, uid or the like; where nothing is known there is no endpoint."""
    scope, scope_name = SCOPES.get(one.kind, (0, "Unknown"))
    tags = flow.get("vlan") or []
    known = filled(
        ip=address(one.ip),
        name=text(one.pod or one.service or one.workload or one.node),
        uid=text(one.pod_uid),
        hostname=text(one.node),
        svc_name=text(one.service),
    )
    if not known:
        return None
    return known | filled(
        port=one.port,
        mac=ethernet(one.mac),
        type_id=99 if one.kind else 0,
        type=text(one.kind) or "Unknown",
        network_scope_id=scope,
        network_scope=scope_name,
        vlan_uid=str(tags[-1]) if tags else None,
        container=_container(one),
    )


def _container(one: End) -> dict[str, Any] | None:
    """The pod as OCSF's container: it has one image, of which there may be more (see the enrichment)."""
    if not one.pod:
        return None
    first = images(one.images)[:1]
    return filled(
        name=text(one.pod),
        pod_uuid=one.pod_uid if isinstance(one.pod_uid, str) and _UUID.fullmatch(one.pod_uid) else None,
        orchestrator="Kubernetes",
        image={"uid": first[0], "name": first[0]} if first else None,
        labels=[f"{key}={value}" for key, value in labels(one.labels).items()],
    )


def _connection(flow: Mapping[str, Any]) -> dict[str, Any]:
    direction, direction_name = DIRECTIONS.get(flow.get("direction") or "", (0, "Unknown"))
    boundary, boundary_name = BOUNDARIES.get(flow.get("direction") or "", (0, "Unknown"))
    ip = address(flow.get("src_ip")) or address(flow.get("dst_ip"))
    family = None if ip is None else ipaddress.ip_address(ip).version
    return filled(
        uid=text(flow.get("flow_id")),
        direction_id=direction,
        direction=direction_name,
        boundary_id=boundary,
        boundary=boundary_name,
        protocol_name=text(flow.get("protocol")),
        protocol_num=flow.get("protocol_number"),
        protocol_ver_id=family,
        protocol_ver=None if family is None else f"Internet Protocol version {family} (IPv{family})",
        tcp_flags=flow.get("tcp_flags"),
        community_uid=text(flow.get("community_id")),
    )
