"""Labels for Alertmanager: few, well-formed, and the same for the same group."""

from __future__ import annotations

import json
import re

from hypothesis import HealthCheck, given, settings
from support.findings import finding, findings

from detect.model import Finding
from detect.views import alertmanager


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(findings())
def test_labels_are_such_as_alertmanager_takes_and_never_many(one: Finding) -> None:
    told = json.loads(json.dumps(alertmanager.view(one)))
    allowed = {"alertname", "severity", "rule_id", "cluster"} | alertmanager.FEW
    assert set(told["labels"]) <= allowed
    for name, value in told["labels"].items():
        assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)
        assert value
        value.encode()
    assert told["annotations"]["finding"] == one.uid


def test_windows_revisions_and_addresses_make_no_new_alert() -> None:
    group = (("src_workload", "web"), ("src_ip", "10.0.0.1"), ("src_pod", "web-1"), ("dst_port", "443"))
    first = alertmanager.view(finding(uid="1" * 32, group=group))
    later = alertmanager.view(
        finding(uid="2" * 32, revision=4, window_start_us=9, group=(group[0], ("src_ip", "10.0.0.2")))
    )
    assert first["labels"] == later["labels"]
    assert first["labels"]["src_workload"] == "web"
    assert first["annotations"]["finding"] != later["annotations"]["finding"]
