"""The policy that findings tell of, on a real apiserver."""

from __future__ import annotations

import json
import shlex

from support.findings import finding
from support.servers.control_plane import ControlPlane

from detect.views import remediation


def test_an_apiserver_takes_the_policy_of_a_finding(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
    made = api.create(path, json.loads(remediation.POLICY))
    assert made["spec"]["podSelector"] == {"matchLabels": {remediation.QUARANTINE: "true"}}
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not made["spec"].get("ingress")
    label = shlex.split(remediation.advise(finding()).isolate[1])
    assert f"{remediation.QUARANTINE}=true" in label
