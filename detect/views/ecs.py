"""A finding as an alert in the Elastic Common Schema 9.4, for those who keep their alerts in Elasticsearch.

ECS holds one Kubernetes object at most, as Beats write it (`kubernetes.*`): here that is the suspect end. Both ends
stand under `whowas.source` and `whowas.destination`, which no field of ECS will ever be called. Of the flows, `source`,
`destination` and `network` are the first; all of them are in `whowas.flows`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from detect.model import LEVELS, Finding
from detect.views import remediation
from detect.views.flow_ends import End, both, score, suspects
from detect.views.json_values import (
    address,
    candidates,
    ethernet,
    filled,
    filled_of,
    images,
    is_label,
    labels,
    plain,
    stamp,
    text,
)
from detect.views.mitre_attack import attacks
from detect.views.text import headline
from whowas.timestamps import rfc3339

VERSION = "9.4.0"
FRAMEWORK = "MITRE ATT&CK"
# Workload kinds for which Beats have a field of their own.
OWNERS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"}
FLOWS_TOLD = 10


def view(finding: Finding, places: remediation.DataLocations = remediation.DEFAULT_LOCATIONS) -> dict[str, Any]:
    """Return the finding as nested ECS fields, which JSON can hold."""
    suspect = next(iter(suspects(finding)), None)
    first = finding.flows[0] if finding.flows else {}
    return filled_of(
        {
            "@timestamp": rfc3339(finding.last_us),
            "ecs": {"version": VERSION},
            "message": headline(finding),
            "tags": [str(text(tag)) for tag in finding.rule.tags],
            "event": _event(finding),
            "rule": _rule(finding),
            "threat": _threat(finding),
            **_flow(first),
            "kubernetes": _kubernetes(suspect) if suspect is not None else None,
            "orchestrator": _orchestrator(suspect, first),
            "related": _related(finding),
            "whowas": _own(finding, places),
        }
    )


def _event(finding: Finding) -> dict[str, Any]:
    level = finding.rule.level
    return filled(
        kind="alert",
        category=["network", "intrusion_detection"],
        type=["info"],
        id=f"{finding.uid}-{finding.revision}",
        module="whowas",
        dataset="whowas.findings",
        provider="whowas",
        code=text(finding.rule.name),
        start=rfc3339(finding.first_us),
        end=rfc3339(finding.last_us),
        duration=max(0, finding.last_us - finding.first_us) * 1000,
        sequence=finding.revision,
        severity=LEVELS.index(level) + 1 if level in LEVELS else 0,
        reason=headline(finding),
    )


def _rule(finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    return filled(
        id=rule.name or None,
        uuid=rule.id or None,
        name=rule.title or None,
        description=rule.description or None,
        author=[rule.author] if rule.author else None,
        reference=rule.references[0] if rule.references else None,
        ruleset=rule.path or None,
        category="Sigma",
    )


def _threat(finding: Finding) -> dict[str, Any]:
    told = attacks(finding.rule)
    tactics = list(dict.fromkeys(tactic for tactic, _ in told if tactic))
    techniques = list(dict.fromkeys(one for _, one in told if one))
    top = list(dict.fromkeys(one.parent or one for one in techniques))
    below = [one for one in techniques if one.parent]
    if not told:
        return {}
    return {"framework": FRAMEWORK} | filled(
        tactic=_named(tactics), technique=_named(top) | ({"subtechnique": _named(below)} if below else {})
    )


def _named(things: list[Any]) -> dict[str, Any]:
    """id, name and reference, as lists side by side; a technique that is not in the table gets its id as name."""
    if not things:
        return {}
    return {
        "id": [str(text(one.uid)) for one in things],
        "name": [one.name or str(text(one.uid)) for one in things],
        "reference": [str(text(one.url)) for one in things],
    }


def _flow(flow: Mapping[str, Any]) -> dict[str, Any]:
    """source, destination, network and the protocols of one flow."""
    if not flow:
        return {}
    source, destination = both(flow)
    tags = flow.get("vlan") or []
    return {
        "source": _side(source, flow.get("bytes_out"), flow.get("packets_out")),
        "destination": _side(destination, flow.get("bytes_in"), flow.get("packets_in")),
        "network": filled(
            transport=text(flow.get("protocol")),
            iana_number=None if flow.get("protocol_number") is None else str(flow["protocol_number"]),
            type=_family(source, destination),
            direction=text(flow.get("direction")),
            community_id=text(flow.get("community_id")),
            protocol=text(flow.get("app_protocol")),
            bytes=_sum(flow, "bytes"),
            packets=_sum(flow, "packets"),
            vlan={"id": str(tags[-1])} if tags else None,
        ),
        "tls": filled(client=filled(server_name=text(flow.get("tls_sni"))), version=text(flow.get("tls_version"))),
        "dns": filled(question=filled(name=text(flow.get("dns_name")))),
        "observer": filled(name=text(flow.get("observer")), product="whowas", type="flow"),
    }


def _side(one: End, size: int | None, packets: int | None) -> dict[str, Any]:
    nat = filled(ip=address(one.nat_ip), port=one.nat_port)
    name = text(one.label) if one.label not in ("?", one.ip) else None
    return filled(
        ip=address(one.ip), address=name or text(one.ip), port=one.port, bytes=size, packets=packets, nat=nat,
        mac=None if (mac := ethernet(one.mac)) is None else mac.upper().replace(":", "-"),
    )  # fmt: skip


def _family(*ends: End) -> str | None:
    known = next((found for one in ends if (found := address(one.ip))), None)
    return None if known is None else f"ipv{ipaddress.ip_address(known).version}"


def _sum(flow: Mapping[str, Any], what: str) -> int | None:
    told = [count for way in ("out", "in") if (count := flow.get(f"{what}_{way}")) is not None]
    return sum(told) if told else None


def _kubernetes(one: End) -> dict[str, Any]:
    """As Beats write it; dots in label keys become underscores there, because Elasticsearch would nest them.

    Of a key that Kubernetes would not take, nothing is made a field: Elasticsearch may refuse the document for it.
    """
    owner = str(one.workload_kind or "")
    found = filled(
        pod=filled(name=text(one.pod), uid=text(one.pod_uid), ip=address(one.ip) if one.pod else None),
        namespace=text(one.namespace),
        node=filled(name=text(one.node)),
        service=filled(name=text(one.service)),
        labels={key.replace(".", "_"): value for key, value in labels(one.labels).items() if is_label(key)},
    )
    return found | ({owner.lower(): {"name": text(one.workload)}} if owner in OWNERS and one.workload else {})


def _orchestrator(one: End | None, flow: Mapping[str, Any]) -> dict[str, Any]:
    cluster = filled(name=text(flow.get("cluster")))
    if one is None or not one.pod:
        return filled(cluster=cluster) and {"type": "kubernetes", "cluster": cluster}
    return filled(
        type="kubernetes",
        cluster=cluster,
        namespace=text(one.namespace),
        resource=filled(
            type="pod", name=text(one.pod), id=text(one.pod_uid), parent=filled(type=text(one.workload_kind)),
            label=[f"{key}:{value}" for key, value in labels(one.labels).items()],
        ),
    )  # fmt: skip


def _related(finding: Finding) -> dict[str, Any]:
    ends = [one for flow in finding.flows for one in both(flow)]
    hosts = [name for one in ends for name in (one.pod, one.node) if name]
    hosts += [flow[name] for flow in finding.flows for name in ("tls_sni", "dns_name") if flow.get(name)]
    return filled(
        ip=list(dict.fromkeys(found for one in ends if (found := address(one.ip)))),
        hosts=list(dict.fromkeys(str(text(name)) for name in hosts)),
    )


def _own(finding: Finding, places: remediation.DataLocations) -> dict[str, Any]:
    """What ECS has no field for."""
    told = remediation.advise(finding, places)
    first = finding.flows[0] if finding.flows else {}
    ends = dict(zip(("source", "destination"), map(_named_end, both(first)), strict=True)) if first else {}
    return filled(
        finding=filled(
            uid=finding.uid, revision=finding.revision, count=finding.count, values=finding.values,
            confidence_score=score(finding), level=finding.rule.level,
            group=[f"{text(column)}={'-' if value is None else text(value)}" for column, value in finding.group],
        ),
        false_positives=list(finding.rule.false_positives),
        advice=filled(
            look=list(told.look), isolate=list(told.isolate), unlabel=list(told.unlabel), notes=list(told.notes)
        ),
        flows=[_row(flow) for flow in finding.flows[:FLOWS_TOLD]],
        **ends,
    )  # fmt: skip


def _named_end(one: End) -> dict[str, Any]:
    names = ("confidence", "reason", "kind", "namespace", "pod", "pod_uid", "workload", "workload_kind", "service",
             "node", "zone", "service_account", "spiffe_id", "dns_identity")  # fmt: skip
    found = filled_of({name: text(getattr(one, name)) for name in names})
    # As `key=value`: a mapping with a field a label would grow without end.
    shown = [f"{key}={value}" for key, value in labels(one.labels).items()]
    return found | filled(labels=shown, images=images(one.images), candidates=candidates(one.candidates))


def _row(flow: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "flow_id", "src_ip", "src_port", "src_namespace", "src_workload", "src_pod", "src_confidence", "dst_ip",
        "dst_port", "dst_namespace", "dst_workload", "dst_pod", "dst_confidence", "protocol", "bytes_out", "bytes_in",
    )  # fmt: skip
    return filled(start_time=stamp(flow.get("start_time"))) | filled_of({name: plain(flow.get(name)) for name in names})
