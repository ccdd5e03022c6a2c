"""Suggests next steps: commands an analyst may copy, never run by whowas.

Names and labels are written by whoever may create a pod, so nothing of them reaches a command but what is a well-formed
address, Kubernetes name or UID: anything else gets no command, and that is said.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from detect.model import Finding
from detect.views.flow_ends import End, suspects
from detect.views.json_values import address, is_label
from whowas.timestamps import rfc3339

QUARANTINE = "whowas-quarantine"
# So many pods, or addresses, get commands; of the rest the number is told.
MOST = 3
# The timeline begins so long before the first flow and ends so long after the last.
AROUND_US = 300_000_000
SHOWN = "SELECT start_time, src_workload, dst_ip, dst_workload, dst_port, bytes_out FROM flows"
LETTING_GO = (
    "policies add up, so the pod's labels go too: other policies and Services let go of it",
    "its owner then starts another pod; a StatefulSet only when this one is deleted",
    "a policy that selects every pod of the namespace still lets it talk",
)
# What it says of a pod with the label: it talks to nobody. The lines are of a length to be copied.
POLICY = (
    '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy",\n'
    f'"metadata":{{"name":"{QUARANTINE}"}},"spec":{{"policyTypes":["Ingress","Egress"],\n'
    f'"podSelector":{{"matchLabels":{{"{QUARANTINE}":"true"}}}}}}}}'
)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UID = re.compile(r"[0-9A-Za-z]([-0-9A-Za-z]{0,62}[0-9A-Za-z])?")
# How enrich words a name that rests on a host port.
_HOST_NETWORK = "a node's address"


@dataclass(frozen=True)
class DataLocations:
    """Where the analyst finds what whowas kept, as the commands name it."""

    history: str = "cluster.db"
    flows: str = "named"


DEFAULT_LOCATIONS = DataLocations()


@dataclass(frozen=True)
class Advice:
    """look: commands that show what else the suspects did. isolate: commands that cut a pod off, safe to run twice.

    Some have several lines. notes: why there is no command, and what the commands do not do. pods: whom they isolate.
    """

    look: tuple[str, ...] = ()
    isolate: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()


def advise(finding: Finding, places: DataLocations = DataLocations()) -> Advice:
    """Return what can be done about a finding."""
    ends = suspects(finding)
    look = _timelines(finding, ends, places) + _queries(finding, ends, places)
    isolate: list[str] = []
    notes: list[str] = []
    pods: list[str] = []
    for one in ends:
        why = _why_not(one)
        if why:
            notes.append(why)
        elif len(pods) < MOST:
            pods.append(f"{one.namespace}/{one.pod}")
            isolate += _isolation(one)
        else:
            notes.append(f"more than {MOST} pods: isolate their workload by its owner")
    if isolate:
        notes += LETTING_GO
    return Advice(tuple(look), tuple(dict.fromkeys(isolate)), tuple(dict.fromkeys(notes)), tuple(dict.fromkeys(pods)))


def _timelines(finding: Finding, ends: list[End], places: DataLocations) -> list[str]:
    at = rfc3339(finding.first_us)
    found = dict.fromkeys(ip for one in ends if (ip := address(one.ip)))
    return [_command("whowas", "who", ip, "--at", at, "--history", places.history) for ip in list(found)[:MOST]]


def _queries(finding: Finding, ends: list[End], places: DataLocations) -> list[str]:
    """One query: what the suspects talked to around the finding, by pod where the pod is known, else by address."""
    uids = dict.fromkeys(one.pod_uid for one in ends if one.is_pod and _matches(_UID, one.pod_uid))
    ips = dict.fromkeys(ip for one in ends if (ip := address(one.ip)))
    column, values = ("pod_uid", uids) if uids else ("ip", ips)
    if not values:
        return []
    listed = ", ".join(f"'{value}'" for value in list(values)[:MOST])
    begin, until = rfc3339(finding.first_us - AROUND_US), rfc3339(finding.last_us + AROUND_US)
    both = f"src_{column} IN ({listed})\nOR dst_{column} IN ({listed})"
    if len(values) == 1:
        both = f"{listed} IN (src_{column}, dst_{column})"
    # Nothing in it means anything to SQL, or to a shell within double quotes: addresses, UIDs and times.
    sql = f"WHERE ({both})\nAND start_time BETWEEN '{begin}' AND '{until}'"
    return [f'whowas query "{SHOWN}\n{sql}" {_command("--flows", places.flows)}']


def _why_not(one: End) -> str:
    """Why nothing is said about isolating this end; "" when it can be."""
    if one.confidence == "ambiguous" or one.candidates:
        return f"{_shown(one)}: several may have held it then: settle who it was before you isolate anyone"
    if not one.is_pod:
        return f"{_shown(one)}: not a pod that is known for sure: there is nothing to isolate by a label"
    if not (_matches(_NAMESPACE, one.namespace) and _matches(_NAME, one.pod) and _matches(_UID, one.pod_uid)):
        return "the pod's name or UID is missing or none that Kubernetes allows: no command is written with it"
    if str(one.reason or "").startswith(_HOST_NETWORK):
        return f"{one.namespace}/{one.pod} is on the host's network: no NetworkPolicy holds it; look at its node"
    return ""


def _isolation(one: End) -> list[str]:
    """The policy first, so that the label takes hold at once.

    A finding may be old: the pod is labelled only if one of that name still is that very pod.
    """
    namespace, pod, uid = str(one.namespace), str(one.pod), str(one.pod_uid)
    kubectl = ("kubectl", "-n", namespace)
    dropped = [f"{key}-" for key, _ in sorted(one.labels.items()) if is_label(key) and key != QUARANTINE]
    asked = _command(*kubectl, "get", "pod", pod, "-o", "jsonpath={.metadata.uid}")
    label = _command(*kubectl, "label", "--overwrite", "pod", pod, f"{QUARANTINE}=true", *dropped)
    return [
        f"echo {shlex.quote(POLICY)} | {_command(*kubectl, 'apply', '-f', '-')}",
        f'[ "$({asked})" = {shlex.quote(uid)} ] && {label}',
    ]


def _command(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)


def _shown(one: End) -> str:
    return address(one.ip) or "an end without address"


def _matches(form: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and form.fullmatch(text) is not None
