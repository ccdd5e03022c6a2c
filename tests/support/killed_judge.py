"""A process that judges flows of a log from where it stopped, and writes down what it tells: for tests that kill it.

python killed_judge.py STATE TOLD SEED FLOWS
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from support.flows import Flow, Predicates, batch, correlation, rule

from detect.model import FirstSeen, RuleSet
from whowas.kernels import do_without

LATENESS = 5_000
PREDICATES = (
    lambda one: one["dst_port"] == 22,
    lambda one: one["dst_workload"] == "db",
    lambda one: True,
)
SEEN = FirstSeen(("src_workload", "dst_ip"), 4_000, 1_000)
RULES = RuleSet(
    (
        rule("ssh", window_us=10_000, group_by=("src_workload",)),
        rule("database", silent=True),
        rule("edge", window_us=50_000, group_by=("src_workload",), first_seen=SEEN),
    ),
    (
        correlation(
            "scan",
            "value_count",
            ("database",),
            300,
            window_us=20_000,
            group_by=("src_workload",),
            count=6,
            fields=("dst_ip",),
        ),
        correlation("burst", "event_count", ("ssh",), 400, window_us=20_000, group_by=("dst_ip",), count=3),
        correlation(
            "quiet", "event_count", ("ssh",), 400, window_us=20_000, group_by=("dst_ip",), operator="eq", count=2
        ),
        correlation(
            "moves", "temporal_ordered", ("ssh", "database"), 200, window_us=20_000, group_by=("src_workload",)
        ),
    ),
)


def log(seed: int, flows: int) -> list[Flow]:
    """Return flows in an order in which none is late; the place in the list is the offset."""
    dice = random.Random(seed)
    made = [
        {
            "flow_id": f"{dice.getrandbits(128):032x}",
            "start_time": dice.randrange(flows * 50),
            "src_namespace": "shop",
            "src_workload": dice.choice(["web", "report", "shell"]),
            "dst_workload": dice.choice(["db", "web"]),
            "dst_ip": f"10.0.0.{dice.randrange(12)}",
            "dst_port": dice.choice([22, 80, 443, 5432]),
            "src_labels": None,
        }
        for _ in range(flows)
    ]
    return sorted(made, key=lambda one: one["start_time"] + dice.randrange(LATENESS))


def main(state: str, told: str, seed: int, flows: int) -> None:
    """Judge to the end of the log, then finish."""
    from detect.judge.judge import Judge
    from detect.judge.state import State

    many = log(seed, flows)
    latest = [0]
    for one in many:
        latest.append(max(latest[-1], one["start_time"]))
    judge = Judge(RULES, State(state), LATENESS, matcher=Predicates(RULES, *PREDICATES))
    with open(told, "a", encoding="utf-8") as out:
        # Who was killed may have left half a line.
        out.write("\n")
        while (at := max(judge.judged("log"), 0)) < len(many):
            behind = min(at + 25, len(many))
            judge.judge(batch(many[at:behind]), "log", behind)
            judge.advance(latest[behind])
            if behind // 25 % 3 == 0:
                judge.commit()
            tell(judge, out)
            print(behind, flush=True)
        judge.finish()
        tell(judge, out)
        judge.commit()
    print("done", flush=True)


def tell(judge: Any, out: Any) -> None:
    """Deliver: durable before it is said to be told."""
    found = judge.pending()
    for one in found:
        evidence = [flow["flow_id"] for flow in one.flows]
        fields = [one.uid, one.revision, one.count, one.first_us, one.last_us, evidence, one.values]
        out.write(json.dumps(fields) + "\n")
    out.flush()
    judge.acknowledge(found)


if __name__ == "__main__":
    do_without()
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
