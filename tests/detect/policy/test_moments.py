"""Verdicts as of a time: near a change, in a gap, and where nobody told what somebody was."""

from __future__ import annotations

import pytest
from support.policies import EPOCH as T
from support.policies import told

from detect.policy.moments import Asked, Holder, Judge
from detect.policy.timeline import Timeline
from whowas.addresses import address16
from whowas.observation import Observation

SECOND = 1_000_000
WEB, DB = Holder("web", address16("10.244.1.5")), Holder("db", address16("10.244.1.9"))
DENY = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"]}
ALLOW = DENY | {"ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]}]}


def timeline(*several: Observation, watched: tuple[int, int] | None = (-1000, 1000)) -> Timeline:
    found = Timeline()
    found.watched = [(T + watched[0] * SECOND, T + watched[1] * SECOND)] if watched else []
    for one in (*PODS, *several):
        found.take(one)
    return found


PODS = (
    told("ADDED", "Pod", "web", -900, {"containers": []}, app="web"),
    told("ADDED", "Pod", "db", -900, {"containers": [{"ports": [{"name": "sql", "containerPort": 5432}]}]}, app="db"),
    told("ADDED", "Namespace", "shop", -900, team="red"),
)


def word(known: Timeline, at: float, port: int = 5432, until: float | None = None) -> str:
    low, high = (T + int(one * SECOND) for one in (at, at if until is None else until))
    return Judge(known).verdict(Asked(WEB, DB, port, "tcp", low, high)).word


@pytest.mark.parametrize(
    ("at", "want"),
    [(-500, "open"), (-1.1, "open"), (-0.9, "indeterminate"), (0, "indeterminate"), (1.9, "indeterminate"),
     (2.1, "denied"), (98.9, "denied"), (99.5, "indeterminate"), (101.1, "allowed"), (198.9, "allowed"),
     (200.5, "indeterminate"), (201.1, "open")],
)  # fmt: skip
def test_policies_of_the_moment(at: float, want: str) -> None:
    known = timeline(
        told("ADDED", "NetworkPolicy", "np", 1, DENY, "2026-11-20T10:00:00Z"),
        told("MODIFIED", "NetworkPolicy", "np", 100, ALLOW),
        told("DELETED", "NetworkPolicy", "np", 200, ALLOW),
    )
    assert word(known, at) == want


def test_both_answers_are_told() -> None:
    known = timeline(told("ADDED", "NetworkPolicy", "np", 0, DENY), told("MODIFIED", "NetworkPolicy", "np", 9, ALLOW))
    verdict = Judge(known).verdict(Asked(WEB, DB, 5432, "tcp", T + 9 * SECOND, T + 9 * SECOND))
    assert verdict.word == "indeterminate"
    assert verdict.reason == "within a second of a change of NetworkPolicy shop/np: allowed or denied"


def test_a_change_that_decides_nothing_leaves_the_verdict() -> None:
    other = told("MODIFIED", "NetworkPolicy", "np", 50, DENY | {"ingress": [{"ports": [{"port": 1}]}]})
    known = timeline(told("ADDED", "NetworkPolicy", "np", 0, DENY), other)
    assert word(known, 50) == "denied"
    assert word(known, 50, port=1) == "indeterminate"


def test_labels_of_pods_and_namespaces_are_of_the_moment() -> None:
    known = timeline(
        told("ADDED", "NetworkPolicy", "np", -800, ALLOW, "2026-11-20T09:40:00Z"),
        told("MODIFIED", "Namespace", "shop", 10, team="blue"),
        told("MODIFIED", "Pod", "db", 20, {"containers": []}, app="other"),
    )
    assert [word(known, at) for at in (0, 10, 15, 20, 30)] == [
        "allowed", "indeterminate", "denied", "indeterminate", "open",
    ]  # fmt: skip


def test_a_flow_over_a_change_is_not_decided() -> None:
    known = timeline(told("ADDED", "NetworkPolicy", "np", 0, DENY), told("DELETED", "NetworkPolicy", "np", 50, DENY))
    assert word(known, 20, until=80) == "indeterminate"
    assert word(known, 60, until=80) == "open"


def test_a_list_says_only_that_it_was_otherwise_before() -> None:
    known = timeline(
        told("LISTED", "NetworkPolicy", "np", 0, DENY, "2026-11-20T09:00:00Z"),
        told("LISTED", "NetworkPolicy", "np", 100, ALLOW),
        told("VANISHED", "NetworkPolicy", "np", 300),
    )
    assert [word(known, at) for at in (-5, 50, 102, 200, 302)] == [
        "denied", "indeterminate", "indeterminate", "indeterminate", "open",
    ]  # fmt: skip


def test_in_a_gap_nothing_is_decided_and_what_was_seen_is_told() -> None:
    known = timeline(told("ADDED", "NetworkPolicy", "np", 0, DENY), watched=(0, 100))
    verdict = Judge(known).verdict(Asked(WEB, DB, 5432, "tcp", T + 200 * SECOND, T + 200 * SECOND))
    assert (verdict.word, verdict.reason) == (
        "indeterminate", "nobody watched policies then; by those that were seen it is denied",
    )  # fmt: skip
    assert word(known, 90) == "denied"
    assert not Timeline().knows()


def test_a_list_is_known_at_its_own_time() -> None:
    known = timeline(told("LISTED", "NetworkPolicy", "np", 0, DENY, "2026-11-20T09:00:00Z"), watched=None)
    assert [word(known, at) for at in (-2, 0, 2)] == ["indeterminate", "denied", "indeterminate"]


def test_what_was_written_during_a_silence_may_be_of_any_time_in_it() -> None:
    known = timeline(told("ADDED", "NetworkPolicy", "np", 0, DENY))
    known.late["NetworkPolicy"] = [(T + 50 * SECOND, T + 100 * SECOND)]
    known.take(told("DELETED", "NetworkPolicy", "np", 101, DENY))
    assert [word(known, at) for at in (40, 70, 103)] == ["denied", "indeterminate", "open"]


def test_an_older_version_is_no_news() -> None:
    known = Timeline()
    for version, spec in (("7", ALLOW), ("5", DENY)):
        one = told("MODIFIED", "NetworkPolicy", "np", 5, spec)
        assert one.object.metadata is not None
        one.object.metadata.resourceVersion = version
        known.take(one)
    assert len(known.policies["np"].values) == 1


def test_a_pod_that_nobody_told_of_is_not_judged() -> None:
    asked = Asked(Holder("ghost", None, "", "shop/ghost"), DB, 5432, "tcp", T, T)
    verdict = Judge(timeline(told("ADDED", "NetworkPolicy", "np", 0, DENY))).verdict(asked)
    assert (verdict.word, "shop/ghost" in verdict.reason) == ("indeterminate", True)


def test_too_many_changes_at_once_are_not_tried() -> None:
    several = [told("MODIFIED", "NetworkPolicy", f"np{n}", 0, ALLOW) for n in range(9)]
    before = [told("ADDED", "NetworkPolicy", f"np{n}", -50, DENY) for n in range(9)]
    assert word(timeline(*before, *several), 0) == "indeterminate"


def test_kinds_that_the_engine_does_not_know_are_passed_over() -> None:
    known = timeline(told("ADDED", "Service", "db", 0), told("BOOKMARK", "NetworkPolicy", "x", 5))
    assert (known.policies, known.heard) == ({}, {"NetworkPolicy"})
