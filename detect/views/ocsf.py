"""A finding as OCSF Detection Finding (class 2004), the canonical view of an alert.

OCSF 1.8.0 with the profile `container`, which gives each endpoint its container. What OCSF has no attribute for stands
in `enrichments` (names), `evidences[].data` (the flow's other columns) and `unmapped` (the rule and its group).
Times are milliseconds since 1970, as OCSF has them; exact ones stand in `evidences[].data`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from detect.model import Finding
from detect.views import ocsf_evidence, remediation
from detect.views.flow_ends import End, score, suspects
from detect.views.json_values import address, filled, labels, text
from detect.views.mitre_attack import VERSION as ATTACK_VERSION
from detect.views.mitre_attack import Tactic, Technique, attacks
from detect.views.text import headline

OCSF = "1.8.0"
PROFILES = ["container"]
CREATE, UPDATE = 1, 2
SEVERITIES = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
# Bytes of one alert as JSON: half of what a broker takes by default. Evidence beyond it is left out, and that is said.
LARGEST = 512 * 1024


def view(finding: Finding, places: remediation.DataLocations = remediation.DEFAULT_LOCATIONS) -> dict[str, Any]:
    """Return the finding as a dict that JSON can hold and the schema takes."""
    kept = finding
    while True:
        told = _view(kept, len(finding.flows), places)
        if len(json.dumps(told)) <= LARGEST or not kept.flows:
            return told
        kept = replace(kept, flows=kept.flows[: len(kept.flows) // 2])


def _view(finding: Finding, evidence: int, places: remediation.DataLocations) -> dict[str, Any]:
    activity = CREATE if finding.revision <= 1 else UPDATE
    severity, sure = SEVERITIES.get(finding.rule.level, 0), score(finding)
    return filled(
        activity_id=activity,
        activity_name="Create" if activity == CREATE else "Update",
        category_uid=2,
        category_name="Findings",
        class_uid=2004,
        class_name="Detection Finding",
        type_uid=200400 + activity,
        type_name=f"Detection Finding: {'Create' if activity == CREATE else 'Update'}",
        time=_milliseconds(finding.last_us),
        start_time=_milliseconds(finding.first_us),
        end_time=_milliseconds(finding.last_us),
        count=finding.count,
        severity_id=severity,
        severity=finding.rule.level.capitalize() if severity else "Unknown",
        confidence_id=_confidence(sure),
        confidence=("Unknown", "Low", "Medium", "High")[_confidence(sure)],
        confidence_score=sure,
        status_id=1,
        status="New",
        is_alert=True,
        message=headline(finding),
        metadata=_metadata(finding, evidence),
        finding_info=_finding_info(finding),
        evidences=[ocsf_evidence.evidence(one) for one in finding.flows],
        enrichments=ocsf_evidence.enrichments(finding.flows),
        observables=ocsf_evidence.observables(finding.flows),
        resources=_distinct(_resource(one) for one in suspects(finding) if one.is_pod),
        remediation=_remediation(finding, places),
        unmapped=_unmapped(finding, evidence),
    )


def _milliseconds(us: int) -> int:
    return us // 1000


def _confidence(sure: int) -> int:
    return 3 if sure >= 80 else 2 if sure >= 40 else 1


@cache
def _release() -> str:
    try:
        return version("whowas")
    except PackageNotFoundError:
        return "unknown"


def _metadata(finding: Finding, evidence: int) -> dict[str, Any]:
    return filled(
        version=OCSF,
        profiles=PROFILES,
        product={"name": "whowas", "vendor_name": "whowas", "version": _release()},
        uid=f"{finding.uid}-{finding.revision}",
        correlation_uid=finding.uid,
        sequence=finding.revision,
        event_code=text(finding.rule.name),
        is_truncated=True if len(finding.flows) < evidence else None,
    )


def _finding_info(finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    return filled(
        uid=finding.uid,
        title=text(rule.title),
        desc=rule.description or None,
        first_seen_time=_milliseconds(finding.first_us),
        last_seen_time=_milliseconds(finding.last_us),
        related_events_count=finding.count,
        analytic=filled(
            type_id=1, type="Rule", uid=rule.id, name=text(rule.title), desc=rule.description or None, category="Sigma"
        ),
        attacks=[_attack(*one) for one in attacks(rule)],
        data_sources=sorted({str(text(one["source_format"])) for one in finding.flows if one.get("source_format")}),
        tags=[{"name": str(text(tag)).partition(".")[0], "value": str(text(tag))} for tag in rule.tags],
        src_url=text(rule.references[0]) if rule.references else None,
        types=["Network"],
    )


def _attack(tactic: Tactic | None, technique: Technique | None) -> dict[str, Any]:
    found: dict[str, Any] = {"version": ATTACK_VERSION}
    if tactic is not None:
        found["tactic"] = {"uid": tactic.uid, "name": tactic.name, "src_url": tactic.url}
    if technique is not None:
        top = technique.parent or technique
        found["technique"] = _technique(top)
        if technique.parent is not None:
            found["sub_technique"] = _technique(technique)
    return found


def _technique(one: Technique) -> dict[str, Any]:
    return filled(uid=text(one.uid), name=one.name, src_url=text(one.url))


def _resource(one: End) -> dict[str, Any]:
    return filled(
        type="Pod",
        name=text(one.pod),
        uid=text(one.pod_uid),
        namespace=text(one.namespace),
        hostname=text(one.node),
        ip=address(one.ip),
        labels=[f"{key}={value}" for key, value in labels(one.labels).items()],
        data=filled(workload=text(one.workload), workload_kind=text(one.workload_kind)),
    )


def _remediation(finding: Finding, places: remediation.DataLocations) -> dict[str, Any]:
    told = remediation.advise(finding, places)
    lines = ["Look closer:", *told.look] if told.look else []
    if told.isolate:
        lines += [f"Cut off {', '.join(told.pods)}, if you decide so (whowas runs none of this):", *told.isolate]
    if told.unlabel:
        lines += ["Where other policies still let it talk, take its labels too (see the notes first):", *told.unlabel]
    lines += [f"Note: {note}." for note in told.notes]
    references = [str(text(one)) for one in finding.rule.references]
    return filled(desc="\n".join(lines) or "Nothing can be advised: no end is known.", references=references)


def _unmapped(finding: Finding, evidence: int) -> dict[str, Any]:
    rule = finding.rule
    return {
        "rule": filled(
            path=rule.path or None,
            line=rule.line or None,
            status=rule.status or None,
            author=rule.author or None,
            false_positives=list(rule.false_positives),
        ),
        "group": {str(text(column)): text(value) for column, value in finding.group},
        "window": filled(start_us=finding.window_start_us, length_us=rule.window_us),
        "revision": finding.revision,
        "evidence_flows": evidence,
        **filled(values=finding.values),
    }


def _distinct(objects: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(one, sort_keys=True): one for one in objects}.values())
