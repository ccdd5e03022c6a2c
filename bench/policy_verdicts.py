"""What verdicts cost a flow: python bench/policy_verdicts.py [--flows 10000000] [--pods 5000] [--policies 1000]

A cluster of 50 namespaces whose policies change a few times a day, and named flows of 20,000 pairs in batches of
131,072, as a replay has them. Timed is what the verdict columns add to naming: CPU seconds of this process, and again
over the same flows, when every question was asked before. Beside it the same questions a flow at a time, by our own
plain function and by cyclonus' matcher (`make servers` builds it; without it that line is left out). Both are given
the policies of that moment and who the ends are; of cyclonus what reading the questions takes is taken off.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests")]

import msgspec  # noqa: E402 - beside what stands in the folder above
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from cluster_day import DAY_START_US, DAY_US  # noqa: E402
from support.servers.build_cyclonus import missing, program  # noqa: E402

from detect.policy.model import NAME_LABEL, Connection, End, Moment  # noqa: E402
from detect.policy.timeline import Timeline  # noqa: E402
from detect.policy.verdicts import decide  # noqa: E402
from whowas.addresses import address16, spelled  # noqa: E402
from whowas.observation import KubeObject, Observation  # noqa: E402
from whowas.policy.flow_columns import PolicyNamer  # noqa: E402
from whowas.schema import named_schema  # noqa: E402

BATCH = 1 << 17
NAMESPACES, APPS, PAIRS, PORTS = 50, 20, 20_000, (80, 443, 5432, 6379, 8080)
CHANGES = 8


def octets(text: str) -> bytes:
    found = address16(text)
    assert found is not None
    return found


class Cluster:
    """Pods, policies and what they were over a day. timeline: as a history would tell it."""

    def __init__(self, pods: int, policies: int) -> None:
        self.rolls = random.Random(17)
        self.timeline = Timeline()
        self.pods = [(f"ns-{one % NAMESPACES}", f"pod-{one}", f"app-{one % APPS}") for one in range(pods)]
        self.addresses = [octets(f"10.{64 + one // 65536}.{one // 256 % 256}.{one % 256}") for one in range(pods)]
        for one in range(NAMESPACES):
            self._see("Namespace", "", f"ns-{one}", {}, team=f"team-{one % 7}")
        for namespace, name, app in self.pods:
            self._see("Pod", namespace, name, {"nodeName": f"node-{len(name)}", "containers": []}, app=app)
        self.policies = [self._policy(one) for one in range(policies)]
        for told in self.policies:
            self._see("NetworkPolicy", told["metadata"]["namespace"], told["metadata"]["name"], told["spec"])
        for change in range(CHANGES if policies else 0):
            # Each change takes one rule away, so that what was asked before has another answer after.
            told = self.policies[change * policies // CHANGES]
            at = DAY_START_US + (change + 1) * DAY_US // (CHANGES + 1)
            spec = told["spec"] | {"ingress": told["spec"]["ingress"][:-1]}
            self._see("NetworkPolicy", told["metadata"]["namespace"], told["metadata"]["name"], spec, at)
        self.timeline.now_watched([(DAY_START_US - DAY_US, DAY_START_US + 2 * DAY_US)], {})

    def _see(
        self, kind: str, namespace: str, name: str, spec: Any, at: int = DAY_START_US - 10**9, **labels: str
    ) -> None:
        made = "2020-01-01T00:00:00Z"
        meta = {"namespace": namespace, "name": name, "uid": name, "labels": labels, "creationTimestamp": made}
        raw = msgspec.json.encode({"kind": kind, "metadata": meta, "spec": spec})
        thing = msgspec.json.decode(raw, type=KubeObject)
        self.timeline.take(Observation("ADDED", thing, at, at, None, "bench"))

    def _policy(self, place: int) -> dict[str, Any]:
        """Isolates one app of a namespace and lets some others in, by label, namespace or network."""
        rolls = self.rolls

        def peer() -> dict[str, Any]:
            own = {"podSelector": {"matchLabels": {"app": f"app-{rolls.randrange(APPS)}"}}}
            if rolls.random() < 0.2:
                return {"ipBlock": {"cidr": "10.64.0.0/16", "except": ["10.64.3.0/24"]}}
            wide = {"namespaceSelector": {"matchLabels": {"team": f"team-{rolls.randrange(7)}"}}}
            return own | wide if rolls.random() < 0.7 else own

        rules = [
            {"from": [peer() for _ in range(rolls.randint(1, 4))],
             "ports": [{"port": port, "protocol": "TCP"} for port in rolls.sample(PORTS, 2)]}
            for _ in range(rolls.randint(1, 3))
        ]  # fmt: skip
        spec = {
            "podSelector": {"matchLabels": {"app": f"app-{place // NAMESPACES % APPS}"}}, "policyTypes": ["Ingress"],
            "ingress": rules,
        }  # fmt: skip
        return {"metadata": {"name": f"np-{place}", "namespace": f"ns-{place % NAMESPACES}"}, "spec": spec}


class Flows:
    """Named flows of some pairs over a day, batch by batch, in order of time."""

    def __init__(self, cluster: Cluster, count: int) -> None:
        rolls = np.random.default_rng(17)
        self.cluster, self.count = cluster, count
        # One end in twenty is outside, under one of 500 addresses.
        self.outside = [octets(f"192.0.{one // 250}.{one % 250 + 1}") for one in range(500)]
        ends = len(cluster.pods)
        self.source = rolls.integers(0, ends, PAIRS)
        self.target = np.where(
            rolls.random(PAIRS) < 0.05, ends + rolls.integers(0, 500, PAIRS), rolls.integers(0, ends, PAIRS)
        )
        self.port = np.array(PORTS)[rolls.integers(0, len(PORTS), PAIRS)]

    def batches(self) -> Iterator[Any]:
        rolls = np.random.default_rng(18)
        for begin in range(0, self.count, BATCH):
            rows = min(BATCH, self.count - begin)
            pair = rolls.integers(0, PAIRS, rows)
            times = DAY_START_US + (begin + np.arange(rows)) * (DAY_US // self.count)
            yield self._named(pair, times, rolls)

    def _named(self, pair: Any, times: Any, rolls: Any) -> Any:
        rows = len(pair)
        told = {
            "start_time": pa.array(times).cast(pa.timestamp("us", "UTC")), "time_before": pa.array(np.full(rows, 500)),
            "src_port": pa.array(rolls.integers(32768, 61000, rows).astype(np.int32)),
            "dst_port": pa.array(self.port[pair].astype(np.int32)),
            "encapsulated": pa.array(np.zeros(rows, dtype=bool)),
        }  # fmt: skip
        for name, word in (("protocol", "tcp"), ("directionality", "bi"), ("initiator_basis", "syn")):
            told[name] = _words([word], np.zeros(rows, dtype=np.int32))
        for side, ends in (("src", self.source[pair]), ("dst", self.target[pair])):
            told |= {f"{side}_{name}": column for name, column in self._end(ends).items()}
        columns = [told.get(one.name, pa.nulls(rows, one.type)) for one in named_schema()]
        return pa.RecordBatch.from_arrays(columns, schema=named_schema())

    def _end(self, ends: Any) -> dict[str, Any]:
        """Columns of one end, each with a dictionary of the words of this batch, as naming makes them."""
        used, own = np.unique(ends, return_inverse=True)
        pods, inside = self.cluster.pods, used < len(self.cluster.pods)
        known = [pods[one] if one < len(pods) else None for one in used.tolist()]
        addresses = [
            self.cluster.addresses[one] if one < len(pods) else self.outside[one - len(pods)] for one in used.tolist()
        ]
        found = {
            "confidence": _words(["exact", "external"], np.where(inside, 0, 1)[own]),
            "kind": _words(["pod"], np.where(inside, 0, -1)[own]),
            "ip16": pa.array(addresses, pa.binary(16)).take(pa.array(own)),
        }
        for name, place in (("namespace", 0), ("pod", 1), ("pod_uid", 1)):
            words = list(dict.fromkeys(one[place] for one in known if one))
            number = {word: at for at, word in enumerate(words)}
            found[name] = _words(words, np.array([number[one[place]] if one else -1 for one in known])[own])
        return found


def _words(words: list[str], rows: Any) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(rows.astype(np.int32), mask=rows < 0), pa.array(words, pa.string()))


class Given:
    """A namer that has named already."""

    def name(self, flows: Any) -> Any:
        return flows


def by_join(cluster: Cluster, flows: Flows, times: int = 1) -> list[float]:
    """Return CPU microseconds a flow, for each time that all flows are judged."""
    namer, found = PolicyNamer(Given(), cluster.timeline), []
    for _ in range(times):
        took = 0.0
        for batch in flows.batches():
            began = time.process_time()
            namer.name(batch)
            took += time.process_time() - began
        found.append(took / flows.count * 1e6)
    return found


def asked(flows: Flows, count: int) -> list[tuple[int, int, int]]:
    pair = np.random.default_rng(19).integers(0, PAIRS, count)
    rows = zip(flows.source[pair].tolist(), flows.target[pair].tolist(), flows.port[pair].tolist(), strict=True)
    return [one for one in rows if one[0] != one[1]]


def one_by_one(cluster: Cluster, flows: Flows, count: int) -> tuple[float, list[bool]]:
    """Return CPU microseconds a flow of our plain function, and which flows pass, by the policies as they came."""
    at = DAY_START_US
    policies = [line.within(at, at)[0] for line in cluster.timeline.policies.values()]
    labels = {f"ns-{one}": {NAME_LABEL: f"ns-{one}", "team": f"team-{one % 7}"} for one in range(NAMESPACES)}
    pods = [cluster.timeline.pods[name].last() for _, name, _ in cluster.pods]

    def end(place: int) -> End:
        return (
            End(pods[place], cluster.addresses[place])
            if place < len(pods)
            else End(None, flows.outside[place - len(pods)])
        )

    questions = [Connection(end(source), end(target), port, "tcp") for source, target, port in asked(flows, count)]
    began = time.process_time()
    found = [decide(Moment(tuple(one for one in policies if one), labels), one).passes() for one in questions]
    return (time.process_time() - began) / len(questions) * 1e6, found


def by_cyclonus(cluster: Cluster, flows: Flows, count: int) -> tuple[float, list[bool]]:
    """As one_by_one, of cyclonus' matcher. Wall time of a process that does nothing else."""

    def end(place: int) -> dict[str, Any]:
        if place >= len(cluster.pods):
            return {"ip": spelled(flows.outside[place - len(cluster.pods)])}
        namespace, _, app = cluster.pods[place]
        labels = {NAME_LABEL: namespace, "team": f"team-{int(namespace[3:]) % 7}"}
        return {
            "ip": spelled(cluster.addresses[place]), "namespace": namespace, "namespaceLabels": labels,
            "labels": {"app": app},
        }  # fmt: skip

    asks = [
        {"from": end(source), "to": end(target), "port": port, "portName": "", "protocol": "TCP"}
        for source, target, port in asked(flows, count)
    ]
    took, answers = [], []
    for policies, questions in ((cluster.policies, asks), (cluster.policies, asks[:1]), ([], asks), ([], asks[:1])):
        began = time.perf_counter()
        line = json.dumps({"policies": policies, "asks": questions})
        ran = subprocess.run([program()], input=line, capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - began)
        answers.append(json.loads(ran.stdout))
    return (took[0] - took[1] - took[2] + took[3]) / len(asks) * 1e6, answers[0]


def main() -> None:
    """Run it and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("flows", 10_000_000), ("pods", 5_000), ("policies", 1_000), ("alone", 5_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, help="write the table there as JSON")
    told = parser.parse_args()
    cluster, bare = Cluster(told.pods, told.policies), Cluster(told.pods, 0)
    flows = Flows(cluster, told.flows)
    first, again = by_join(cluster, flows, 2)
    alone, ours = one_by_one(cluster, flows, told.alone)
    table = {
        "flows": told.flows, "pods": told.pods, "policies": told.policies, "pairs": PAIRS, "changes": CHANGES,
        "us_a_flow": round(first, 3), "us_a_flow_asked_before": round(again, 3),
        "us_a_flow_watched_without_policies": round(by_join(bare, flows)[0], 3),
        "us_a_flow_plain_function": round(alone, 1),
    }  # fmt: skip
    if missing():
        print(f"cyclonus left out: {missing()}", file=sys.stderr)
    else:
        theirs_us, theirs = by_cyclonus(cluster, flows, told.alone)
        table |= {"us_a_flow_cyclonus": round(theirs_us, 1), "cyclonus_times_ours": round(theirs_us / first)}
        table["answers_that_differ"] = sum(one != other for one, other in zip(ours, theirs, strict=True))
    text = json.dumps(table, indent=1)
    print(text)
    if told.out:
        told.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
