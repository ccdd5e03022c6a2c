"""A real kube-apiserver's own audit log, beside a watch of the same run: the same pods, addresses, bounds."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.cluster.played_pods import play
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.dumb_watcher import ALL, dumb_watcher, settled
from support.servers.fixtures import servers_built  # noqa: F401 - a fixture

from enrich.history.history import History
from enrich.holds.pod_tables import POD
from ingest.cluster import EvidenceReport, read_observations
from whowas.history.queries import load_history
from whowas.observation import Observation

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "evidence.md"
SLACK_US = 1_000_000


@dataclass
class Run:
    """What a watch and the audit log say of one run."""

    watched: Path
    audited: Path


def policy(page: str) -> dict[str, Any]:
    """The audit policy that the page tells people to use."""
    found = next(one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "audit.k8s.io/v1" in one)
    made: dict[str, Any] = yaml.safe_load(found)
    return made


# As in the documentation's sample: pods/status at level Metadata.
SAMPLE = {
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["pods"]}]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["pods/log", "pods/status"]}]},
        {"level": "Request", "resources": [{"group": ""}, {"group": "extensions"}]},
        {"level": "Metadata"},
    ],
}


def recorded(folder: Path, audit: Any) -> Run:
    """Play pods on an apiserver with this audit policy, under a watch."""
    with ControlPlane(audit=audit) as cluster, dumb_watcher(cluster.kubeconfig(), folder / "w.jsonl", ALL) as out:
        play(cluster.api())
        settled(cluster.api(), out)
        wait_until(lambda: b"settled-" in cluster.audit_log.read_bytes(), 10)
        (folder / "audit.log").write_bytes(cluster.audit_log.read_bytes())
    return Run(out, folder / "audit.log")


@pytest.fixture(scope="module")
def full(servers_built: None, tmp_path_factory: pytest.TempPathFactory) -> Run:  # noqa: F811
    """A run with everything in the log."""
    return recorded(tmp_path_factory.mktemp("full"), "RequestResponse")


def observed(*paths: Path) -> tuple[list[Observation], EvidenceReport]:
    report = EvidenceReport()
    return list(read_observations([str(one) for one in paths], None, report)), report


Bounds = tuple[int, int, int, int]


def holds(known: History) -> dict[tuple[str, bytes], list[Bounds]]:
    """Bounds of every pod's hold by pod and address."""
    found: dict[tuple[str, bytes], list[Bounds]] = {}
    one = known.cluster(None)
    for row in np.flatnonzero(one.kinds == POD).tolist():
        key = (one.entities[int(one.entity_of[row])].uid, one.holds[row].ip)
        found.setdefault(key, []).append(one.bounds[row].tolist())
    return found


def overlap(one: Bounds, other: Bounds) -> bool:
    """Both start intervals have a moment in common, and both end intervals, but for the way of an event."""
    lows = max(one[0], other[0]) <= min(one[1], other[1]) + SLACK_US
    return lows and max(one[2], other[2]) <= min(one[3], other[3]) + SLACK_US


def agree(audit: History, watch: History) -> None:
    mine, theirs = holds(audit), holds(watch)
    assert mine.keys() == theirs.keys()
    assert len(mine) >= 20
    for key, several in mine.items():
        assert len(several) == len(theirs[key]), key
        for one, other in zip(sorted(several), sorted(theirs[key]), strict=True):
            assert overlap(one, other), key


def test_the_audit_log_says_what_a_watch_says(full: Run) -> None:
    _, report = observed(full.audited)
    assert report.whole()
    assert not report.refused
    agree(load_history(str(full.audited)), load_history(str(full.watched)))


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stripped(event: dict[str, Any]) -> dict[str, Any]:
    """The event at level Request, but for creations."""
    keep = event["verb"] == "create" and "subresource" not in event.get("objectRef", {})
    return {name: value for name, value in event.items() if keep or name != "responseObject"}


def last_sights(found: list[Observation]) -> Iterator[tuple[Any, ...]]:
    """Of every sight what inference reads, but the version, which requests do not have."""
    for one in found:
        thing = one.object
        if thing.metadata is None or thing.kind != "Pod":
            continue
        status = thing.status
        assert status is not None
        conditions = {(it.type, it.status) for it in status.conditions or () if it.type != "DisruptionTarget"}
        ips = [it.ip for it in status.podIPs or ()]
        labels = sorted((thing.metadata.labels or {}).items())
        yield (
            one.verb, thing.metadata.uid, labels, status.phase, status.podIP, ips, conditions, status.startTime,
            status.containerStatuses, thing.metadata.deletionGracePeriodSeconds, thing.spec and thing.spec.nodeName,
        )  # fmt: skip


def test_requests_applied_make_what_the_apiserver_made(full: Run, tmp_path: Path) -> None:
    asked = tmp_path / "asked.log"
    asked.write_text("".join(json.dumps(stripped(one)) + "\n" for one in events(full.audited)))
    whole, mine = (list(last_sights(observed(path)[0])) for path in (full.audited, asked))
    # A status that the apiserver itself changes at a binding or an eviction shows with the next answer only.
    assert mine == whole
    agree(load_history(str(asked)), load_history(str(full.watched)))


def test_three_logs_shuffled_within_seconds(full: Run, tmp_path: Path) -> None:
    chance = random.Random(3)
    logs: list[list[dict[str, Any]]] = [[], [], []]
    for one in events(full.audited):
        chance.choice(logs).append(one)
    for number, log in enumerate(logs):
        log.sort(key=lambda one: (one["stageTimestamp"][:19], chance.random()))
        (tmp_path / f"{number}.log").write_text("".join(json.dumps(one) + "\n" for one in log))
    paths = [str(tmp_path / f"{number}.log") for number in range(3)]
    agree(load_history(paths), load_history(str(full.watched)))


@pytest.mark.long
def test_the_policy_of_the_manual_suffices(servers_built: None, tmp_path: Path) -> None:  # noqa: F811
    run = recorded(tmp_path, policy(PAGE.read_text()))
    _, report = observed(run.audited)
    assert report.whole()
    assert not report.refused
    agree(load_history(str(run.audited)), load_history(str(run.watched)))


@pytest.mark.long
def test_the_sample_policy_of_the_documentation_hides_addresses(servers_built: None, tmp_path: Path) -> None:  # noqa: F811
    run = recorded(tmp_path, SAMPLE)
    _, report = observed(run.audited)
    assert len(report.files[0].unreadable) == 1
    assert "put this rule before all others" in report.files[0].unreadable[0].reason
    rule = yaml.safe_load(report.files[0].unreadable[0].reason.split("policy: ")[1])
    cured = SAMPLE | {"rules": [*rule, *SAMPLE["rules"]]}
    (tmp_path / "again").mkdir()
    again = recorded(tmp_path / "again", cured)
    assert observed(again.audited)[1].whole()
    agree(load_history(str(again.audited)), load_history(str(again.watched)))
