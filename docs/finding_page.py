"""The page on findings: an example, and every field of the views."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from detect.model import Finding, RuleInfo
from detect.views import ecs, ocsf
from detect.views import text as telling
from detect.views.alertmanager import FEW
from detect.views.field_reference import ECS, OCSF, Field
from detect.views.flow_ends import SCORES
from detect.views.mitre_attack import VERSION as ATTACK
from sinks.alerts.http_delivery import ATTEMPTS
from whowas.schema import CONFIDENCES, table_schema

HEAD = """# Findings

Made by `make docs` from `detect/`. A finding is one rule, one group and one window of event time. What comes later of
the same is told under the same uid with a higher revision; live and in a backtest the uid is the same. Delivery is at
least once: of two alerts with one uid, the higher revision is right.

Every view is made of the same finding: OCSF (the canonical one), ECS, text of one screen, and labels for Alertmanager.
"""
SCORE_HEAD = """
## How sure

`confidence_score` says how far the names can be relied on, not how bad it is. It is that of the least sure suspect in
the evidence; the suspect is the source, unless no pod stands there and one stands at the destination.

| confidence | score |
|---|---|
"""
TEXT_HEAD = """
## As text

At most {height} lines of {width} columns. What is no printable character is escaped. Commands are never cut, and
nothing of a name, a label or an address gets into one unless it is well-formed; a pod is cut off only if its name is
sure, and the command looks whether the pod of that name still is that very pod.

```
{text}
```
"""
DELIVERY = """
## Where alerts go

The key is the finding's uid everywhere. A place that is down holds up no other; the findings wait in the state of the
judge, on disk, and what arrived in all places is told to it.

| place | what it is | what it never takes |
|---|---|---|
| JSON lines | one file for any number of processes; may be rotated; a line torn by a kill is cut off | - |
| Kafka | one topic, one a level (`alerts-{level}`), or the rule's own; all replicas have it | what is too large |
| webhook | HTTP POST, one object a request or arrays | what it refuses |
| Alertmanager | `/api/v2/alerts`; an alert ends some time after it was sent last | what it refuses |

What a place never takes is kept in a file of dead letters: the alert, the reason, the time. Over HTTP:

| answer | then |
|---|---|
| 2xx | taken |
| none, 408, 425, 429, 502, 503, 504 | tried again for ever, after Retry-After or a pause that grows to a minute |
| 3xx, 401, 403, 404, 405, 407 | the same: address or secret are wrong, not the alert; secrets are read anew |
| other 4xx | kept in the dead letters at once; of several in one request each is first sent by itself |
| other 5xx | tried {attempts} times, behind all others, then kept in the dead letters |

No redirect is followed. Labels in Alertmanager are `alertname`, `severity`, `rule_id`, `cluster`, and of the group:
{labels}. Addresses, pods and times are never labels. Two windows of one group are one alert there.
"""
TABLE = "\n| field | what stands there |\n|---|---|\n"


def example() -> Finding:
    """A finding with names that anybody may have."""
    at = datetime(2026, 11, 20, 10, 15, 2, tzinfo=UTC)
    first = int(at.timestamp()) * 1_000_000
    row = dict.fromkeys(table_schema().names) | {
        "flow_id": "3f" * 16, "start_time": at, "end_time": at + timedelta(seconds=2), "cluster": "prod",
        "src_ip": "10.244.1.12", "src_port": 41000, "dst_ip": "169.254.169.254", "dst_port": 80, "protocol": "tcp",
        "bytes_out": 600, "bytes_in": 1900, "src_confidence": "exact", "src_kind": "pod", "src_namespace": "shop",
        "src_reason": "one holder, certain 2026-11-20 10:14:56.000 .. on UTC", "src_pod": "web-6c9f7d-abcde",
        "src_node": "worker-1",
        "src_pod_uid": "8e1c2a54-7f0e-4a3c-9d53-0d9c1c7e2b10", "src_workload": "web", "src_zone": "b",
        "src_workload_kind": "Deployment", "src_labels": {"app": "web", "tier": "front"},
        "src_images": ["registry.example/web:4.2"], "dst_confidence": "external", "dst_kind": "external",
        "dst_reason": "outside the cluster",
    }  # fmt: skip
    rule = RuleInfo(
        id="0c5d3d0e-6a63-4b62-9f2e-0a9b5d2f8c11", name="metadata_service", level="high",
        title="A pod asks the cloud's metadata service", attacks=("T1552.005",),
        group_by=("src_namespace", "src_workload"),
        description="Whoever reads it gets the credentials of the node.",
    )  # fmt: skip
    group = (("src_namespace", "shop"), ("src_workload", "web"))
    return Finding("5b" * 16, rule, group, first, first, first + 40_000_000, 12, revision=2, flows=(row,))


def page() -> str:
    """Return the page's text."""
    scores = "".join(f"| {word} | {SCORES[word]} |\n" for word in CONFIDENCES)
    text = TEXT_HEAD.format(height=telling.HEIGHT, width=telling.WIDTH, text=telling.text(example()))
    few = ", ".join(f"`{name}`" for name in sorted(FEW - {"cluster"}))
    delivery = DELIVERY.replace("{attempts}", str(ATTEMPTS)).replace("{labels}", few)
    return (
        HEAD + SCORE_HEAD + scores + text + delivery
        + f"\n## OCSF\n\n{_prose(ocsf.__doc__)}\n\nATT&CK names are of version {ATTACK}.\n" + _table(OCSF)
        + f"\n## ECS\n\n{_prose(ecs.__doc__)}\n" + _table(ECS)
    )  # fmt: skip


def _prose(doc: str | None) -> str:
    return (doc or "").strip()


def _table(fields: Iterable[Field]) -> str:
    return TABLE + "".join(f"| `{one.path}` | {one.meaning} |\n" for one in fields)
