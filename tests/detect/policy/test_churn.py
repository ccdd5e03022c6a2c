"""Policies, labels and namespaces change under flows: nothing that is called certain may be wrong about its moment."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from support.policies import EPOCH
from support.policy_churn import Ask, Churn
from support.policy_flows import end, named

from detect.policy.flow_verdicts import FlowJudge, columns_of
from detect.policy.moments import Judge
from detect.policy.timeline import Timeline

CERTAIN = ("allowed", "denied", "open")
WORLDS = int(os.environ.get("WHOWAS_POLICY_CHURN", "12"))
EACH = 250


def timeline(churn: Churn) -> Timeline:
    found = Timeline()
    for one in churn.told():
        found.take(one)
    found.now_watched(churn.watched(), found.late)
    return found


def verdicts(churn: Churn, asks: list[Ask]) -> list[str | None]:
    """As flows of batches of two sizes, so that what is remembered between batches counts too."""
    judge = FlowJudge(Judge(timeline(churn)))
    rows = [
        {
            "src": _end(churn, ask.source), "dst": _end(churn, ask.target), "dst_port": ask.port,
            "start_time": EPOCH + ask.at,
        }
        for ask in asks
    ]  # fmt: skip
    found: list[str | None] = []
    for low, high in ((0, 3 * len(rows) // 4), (3 * len(rows) // 4, len(rows))):
        found += columns_of(judge.judged(named(*rows[low:high])))["policy_verdict"].to_pylist()
    return found


def _end(churn: Churn, uid: str) -> dict[str, object]:
    pod, address = churn.pods[uid]
    return end(uid, address, namespace=pod.namespace, pod=pod.name)


def wrong(churn: Churn, asks: list[Ask], found: list[str | None]) -> list[tuple[Ask, str | None, str]]:
    told = [(ask, word, churn.truth(ask)) for ask, word in zip(asks, found, strict=True) if word in CERTAIN]
    return [one for one in told if one[1] != one[2]]


@pytest.mark.long
def test_nothing_certain_is_wrong() -> None:
    words: Counter[str | None] = Counter()
    for seed in range(WORLDS):
        churn = Churn(seed)
        asks = churn.asks(EACH)
        found = verdicts(churn, asks)
        words.update(found)
        assert not wrong(churn, asks, found), seed
    # It is no virtue never to say anything.
    assert set(words) == {*CERTAIN, "indeterminate"}
    assert sum(words[one] for one in CERTAIN) > 0.4 * words.total()


def test_a_small_world() -> None:
    churn = Churn(10_000)
    asks = churn.asks(60)
    found = verdicts(churn, asks)
    assert not wrong(churn, asks, found)
    assert set(found) & set(CERTAIN)


def test_the_truth_is_not_ours() -> None:
    """Events that take longer than a second make wrong what is called certain: so the truth is told apart."""
    mistakes = 0
    for seed in range(4):
        churn = Churn(seed, latency=6_000_000)
        asks = churn.asks(120)
        mistakes += len(wrong(churn, asks, verdicts(churn, asks)))
    assert mistakes > 3
