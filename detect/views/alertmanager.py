"""A finding as an alert of Prometheus Alertmanager, for paging people.

Labels are what an alert is known by there, and each combination is one more thing to keep: they hold the rule and names
of which a cluster has few (workloads, namespaces), never an address, a pod or a time. Two windows of the same group are
one alert. All else is in the annotations.
"""

from __future__ import annotations

from typing import Any

from detect.model import Finding
from detect.views import remediation
from detect.views import text as telling
from detect.views.json_values import text
from whowas.timestamps import rfc3339

# Columns of a group that may be labels.
FEW = frozenset(
    f"{side}_{name}"
    for side in ("src", "dst")
    for name in ("namespace", "workload", "workload_kind", "service", "node", "zone", "kind", "confidence")
) | {"cluster", "direction", "protocol"}  # fmt: skip


def view(finding: Finding, places: remediation.DataLocations = remediation.DEFAULT_LOCATIONS) -> dict[str, Any]:
    """Return labels, annotations and startsAt; when it ends is known to who sends it."""
    rule = finding.rule
    clusters = {one["cluster"] for one in finding.flows if one.get("cluster")}
    told = {
        "alertname": rule.name or rule.id,
        "severity": rule.level,
        "rule_id": rule.id,
        "cluster": min(clusters) if len(clusters) == 1 else None,
    } | {column: value for column, value in finding.group if column in FEW}
    annotations = {
        "summary": telling.headline(finding),
        "description": telling.text(finding, places),
        "finding": finding.uid,
        "revision": str(finding.revision),
    }
    return {
        "labels": {name: _scalar(value) for name, value in told.items() if value and _scalar(value)},
        "annotations": annotations,
        "startsAt": rfc3339(finding.first_us),
    }


def _scalar(value: str) -> str:
    """Text that Alertmanager takes: it refuses what is no UTF-8."""
    return str(text(value)).encode("utf-8", "replace").decode()
