"""Suggests next steps: commands an analyst may copy, never run by whowas.

Names and labels are written by whoever may create a pod, so nothing of them reaches a command but what is a well-formed
address, Kubernetes name or UID: anything else gets no command, and that is said.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from detect.model import Finding
from detect.views.flow_ends import SURE, End, aimed, suspects
from detect.views.json_values import address, is_label
from whowas.timestamps import rfc3339

QUARANTINE = "whowas-quarantine"
# So many pods, or addresses, get commands; of the rest the number is told.
MOST = 3
# The timeline begins so long before the first flow and ends so long after the last.
AROUND_US = 300_000_000
SHOWN = "SELECT start_time, src_workload, dst_ip, dst_workload, dst_port, bytes_out FROM flows"
# What the commands do not do, and what taking the labels does: told wherever the commands are, a line each.
LABELLED = (
    "it keeps its labels: it stays behind its Services, and other policies may still let it talk",
    "open connections may live on, as the network plugin has it; volumes and its token stay",
)
UNLABELLED = (
    "without labels it leaves its Services and its owner, which starts another pod of that image",
    "a StatefulSet starts another only when this one is deleted; note the labels before they go",
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

    Some have several lines. unlabel: commands that take the pod's own labels, where isolate is not enough. notes: what
    to do where there is no command, and what the commands do not do. pods: whom they isolate.
    """

    look: tuple[str, ...] = ()
    isolate: tuple[str, ...] = ()
    unlabel: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()


def advise(finding: Finding, places: DataLocations = DataLocations()) -> Advice:
    """Return what can be done about a finding: about the ends that its rule is about, never about the other."""
    seen = suspects(finding)
    look = _timelines(finding, seen, places) + _queries(finding, seen, places)
    ends = aimed(finding)
    notes = [] if ends or not seen else ["the rule is about neither end: look, and cut nobody off for this alone"]
    sure: list[End] = []
    for one in ends:
        why = _instead(one)
        if why:
            notes.append(why)
        elif len(sure) < MOST:
            sure.append(one)
        else:
            notes.append(f"more than {MOST} pods: isolate their workload by its owner")
    return _told(look + _quarantines(finding, sure, places), sure, notes + _doubts(finding, sure))


def _told(look: list[str], sure: list[End], notes: list[str]) -> Advice:
    isolate = [command for one in sure for command in _isolation(one)]
    unlabel = [command for one in sure for command in _unlabelling(one)]
    if sure:
        notes = [*notes, *LABELLED, *(UNLABELLED if unlabel else ())]
    pods = [f"{one.namespace}/{one.pod}" for one in sure]
    parts = (look, isolate, unlabel, notes, pods)
    return Advice(*(tuple(dict.fromkeys(part)) for part in parts))


def _doubts(finding: Finding, sure: list[End]) -> list[str]:
    """A record of one direction tells who sent, which may be the answer of whom was asked."""
    if sure and any(flow.get("initiator_basis") == "sender" for flow in finding.flows):
        return ["the records tell who sent, not who opened the conversation: make sure of that first"]
    return []


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
    begin, until = _whole_second(finding.first_us - AROUND_US), _whole_second(finding.last_us + AROUND_US)
    both = f"src_{column} IN ({listed})\nOR dst_{column} IN ({listed})"
    if len(values) == 1:
        both = f"{listed} IN (src_{column}, dst_{column})"
    # Nothing in it means anything to SQL, or to a shell within double quotes: addresses, UIDs and times.
    sql = f"WHERE ({both})\nAND start_time BETWEEN '{begin}' AND '{until}'"
    return [f'whowas query "{SHOWN}\n{sql}" {_command("--flows", places.flows)}']


def _quarantines(finding: Finding, sure: list[End], places: DataLocations) -> list[str]:
    """What the commands that isolate would cut, and what other policies let pass nevertheless: to ask before them."""
    at = ("--at", rfc3339(finding.last_us), "--flows", places.flows, "--history", places.history)
    return [_command("whowas", "policy", "quarantine", f"{one.namespace}/{one.pod}", *at) for one in sure]


def _whole_second(us: int) -> str:
    """Without the fraction: minutes around a finding need none, and the line has to fit."""
    return rfc3339(us).replace(f".{us % 1_000_000:06d}Z", "Z")


def _instead(one: End) -> str:
    """What can be done where no label of a pod cuts this end off; "" when one can."""
    if one.confidence == "ambiguous" or one.candidates:
        return f"{_shown(one)}: several may have held it then: settle who it was before you isolate anyone"
    if one.kind != "pod" or one.confidence not in SURE:
        return f"{_shown(one)}: {_outside_pods(one)}"
    if one.confidence != "exact":
        return f"{_shown(one)}: the pod's name is likely, not certain: settle who it was before you isolate anyone"
    if not (_matches(_NAMESPACE, one.namespace) and _matches(_NAME, one.pod) and _matches(_UID, one.pod_uid)):
        return "the pod's name or UID is missing or none that Kubernetes allows: no command is written with it"
    if str(one.reason or "").startswith(_HOST_NETWORK):
        return f"{one.namespace}/{one.pod} is on the host's network: no NetworkPolicy holds it; look at its node"
    return ""


def _outside_pods(one: End) -> str:
    """What can be done about an end that is no pod, by what is known of it."""
    if one.kind == "external" and one.side == "src":
        return "outside the cluster: block the address or its range where it comes in (firewall, load balancer)"
    if one.kind == "external":
        return "outside the cluster: block the address or its range at the egress (firewall, gateway, NAT)"
    if one.kind == "node" or one.confidence == "snat":
        return "a node, for which no pod's label stands: find the process on it; `kubectl cordon` keeps new pods away"
    if one.kind == "service":
        return "a Service, behind which several pods may stand: find which of them it was, by their own flows"
    if one.confidence == "none":
        return "nobody in the cluster held it then: find the machine by its MAC or switch; block it at the gateway"
    return "not a pod that is known for sure: there is nothing to isolate by a label; ask a history that reaches there"


def _isolation(one: End) -> list[str]:
    """The policy first, so that the label takes hold at once. The pod's own labels stay."""
    namespace = str(one.namespace)
    applied = _command("kubectl", "-n", namespace, "apply", "-f", "-")
    return [f"echo {shlex.quote(POLICY)} | {applied}", _labelled(one, f"{QUARANTINE}=true")]


def _unlabelling(one: End) -> list[str]:
    dropped = [f"{key}-" for key, _ in sorted(one.labels.items()) if is_label(key) and key != QUARANTINE]
    return [_labelled(one, *dropped)] if dropped else []


def _labelled(one: End, *changes: str) -> str:
    """A command that changes a pod's labels, if the pod of that name still is that very pod: a finding may be old."""
    kubectl = ("kubectl", "-n", str(one.namespace))
    asked = _command(*kubectl, "get", "pod", str(one.pod), "-o", "jsonpath={.metadata.uid}")
    label = _command(*kubectl, "label", "--overwrite", "pod", str(one.pod), *changes)
    return f'[ "$({asked})" = {shlex.quote(str(one.pod_uid))} ] && {label}'


def _command(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)


def _shown(one: End) -> str:
    return address(one.ip) or "an end without address"


def _matches(form: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and form.fullmatch(text) is not None
