"""However flows are cut, mixed up and interrupted: the findings of one sorted pass by plain Python."""

from __future__ import annotations

import random
from typing import Any
from unittest.mock import patch

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.flows import Flow, Predicates, as_plain, batch, correlation, plainly, rule

from detect.judge import first_seen
from detect.judge.judge import Judge
from detect.judge.limits import Limits
from detect.judge.state import State
from detect.model import Correlation, FirstSeen, RuleSet

LATENESS = 60
WINDOW = 100
PREDICATES = (
    lambda one: one["dst_port"] != 1,
    lambda one: one["dst_port"] in (2, 3),
    lambda one: one["dst_workload"] == "db",
    lambda one: True,
)
NAMES = ("talks", "probes", "databases", "edges")

words = st.sampled_from(["web", "db", "büro"])
flows = st.lists(
    st.builds(
        dict,
        start_time=st.integers(-200, 500),
        src_namespace=st.sampled_from(["a", "b", None]),
        src_workload=words,
        dst_workload=words,
        dst_ip=st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", None]),
        dst_port=st.sampled_from([1, 2, 3, None]),
        src_labels=st.sampled_from([None, {}, {"app": "x"}, {"app": "y", "t": "1"}]),
        delay=st.integers(0, LATENESS),
    ),
    max_size=40,
)
operators = st.sampled_from(["gte", "gt", "lt", "lte", "eq", "neq"])
spans = st.sampled_from([1, 10, 60, 250])


@st.composite
def correlations(draw: Any) -> list[Correlation]:
    """One of each kind."""
    keys = [("src_namespace",), (), ("src_workload", "src_labels.app")]
    common = {"window_us": WINDOW}
    counted = [
        correlation(
            kind,
            kind,
            draw(st.sampled_from([("talks",), ("probes", "databases")])),
            draw(spans),
            group_by=draw(st.sampled_from(keys)),
            operator=draw(operators),
            count=draw(st.integers(1, 5)),
            fields=draw(st.sampled_from([("dst_ip",), ("dst_ip", "dst_port")])) if kind == "value_count" else (),
            **common,
        )
        for kind in ("event_count", "value_count")
    ]
    rules = draw(st.permutations(["talks", "probes", "databases"]))[: draw(st.integers(2, 3))]
    aliases = {"who": {one: draw(st.sampled_from(["src_workload", "dst_workload"])) for one in rules}}
    together = [
        correlation(kind, kind, tuple(rules), draw(spans), group_by=("who",), aliases=aliases, **common)
        for kind in ("temporal", "temporal_ordered")
    ]
    return [*counted, *together]


@st.composite
def rulesets(draw: Any) -> RuleSet:
    """Flow rules, first_seen, and one correlation of each kind."""
    seen = FirstSeen(("src_workload", "dst_workload"), draw(st.sampled_from([5, 50, 300])), draw(st.integers(0, 200)))
    grouped = [
        rule(
            "talks", window_us=WINDOW, group_by=draw(st.sampled_from([(), ("src_namespace",), ("dst_port", "dst_ip")]))
        ),
        rule("probes", window_us=7, group_by=("src_labels.app",)),
        rule("databases", silent=True),
        rule("edges", window_us=WINDOW, group_by=("src_workload",), first_seen=seen),
    ]
    return RuleSet(tuple(grouped), tuple(draw(correlations())))


def arrivals(many: list[Flow], seed: int) -> list[Flow]:
    """Flows in an order in which none is late, with ids."""
    dice = random.Random(seed)
    for one in many:
        one["flow_id"] = f"{dice.getrandbits(128):032x}"
    return sorted(many, key=lambda one: one["start_time"] + one["delay"])


class Feed:
    """Gives flows to a judge in batches, and ends the judge now and then as kill -9 does: by forgetting it."""

    def __init__(self, ruleset: RuleSet, many: list[Flow], seed: int) -> None:
        self.ruleset, self.flows, self.dice = ruleset, many, random.Random(seed)
        self.state = State()
        self.told: dict[str, Any] = {}
        self.judge = self.begin()

    def begin(self) -> Judge:
        # What was told and not committed may come again, and with a smaller count first.
        self.counted: dict[str, int] = {}
        limits = Limits(held_rows=self.dice.choice([1, 10, 1000]), keep_us=10**12)
        return Judge(self.ruleset, self.state, LATENESS, limits=limits, matcher=Predicates(self.ruleset, *PREDICATES))

    def tell(self) -> None:
        found = self.judge.pending()
        for one in found:
            assert one.count > self.counted.get(one.uid, 0)
            self.counted[one.uid] = one.count
            self.told[one.uid] = as_plain(one)
        self.judge.acknowledge(found)

    def run(self) -> dict[str, Any]:
        kills = self.dice.randrange(4)
        while (at := max(self.judge.judged("flows"), 0)) < len(self.flows):
            self.one(at)
            if kills and self.dice.random() < 0.2:
                kills -= 1
                self.judge = self.begin()
        self.judge.finish()
        self.tell()
        self.judge.commit()
        assert not self.judge.pending()
        return self.told

    def one(self, at: int) -> None:
        behind = min(len(self.flows), at + self.dice.randrange(1, 12))
        self.judge.judge(batch(self.flows[at:behind]), "flows", behind)
        if self.dice.random() < 0.5:
            last = self.flows[behind - 1]
            self.judge.advance(last["start_time"] + last["delay"])
        for step in self.dice.sample((self.tell, self.judge.commit), 2):
            if self.dice.random() < 0.6:
                step()


# Shrinking takes minutes, and what it finds is no shorter to read than the seed.
@settings(max_examples=300, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(rulesets(), flows, st.integers(0, 2**32), st.booleans())
def test_findings_are_those_of_one_sorted_pass(ruleset: RuleSet, many: list[Flow], seed: int, often: bool) -> None:
    many = arrivals(many, seed)
    # What first_seen remembers is written anew after thousands of events: here, in half of the cases, after a few.
    with patch.object(first_seen, "SNAPSHOT_AFTER", 0.003 if often else first_seen.SNAPSHOT_AFTER):
        feed = Feed(ruleset, many, seed)
        told = feed.run()
    assert told == plainly(ruleset, PREDICATES, many)
    assert feed.judge.counts["late"] == 0
    assert feed.judge.counts["flows"] >= len(many)
