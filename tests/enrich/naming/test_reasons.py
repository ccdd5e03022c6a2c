"""Reasons under churn: what they say of times can be, and is so of the answer that they stand beside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.cluster_story import HOUR, Pod, Story, at, flow, live, named, service, us

from bench.churn.asking import ELSEWHERE, flows, history_of
from bench.churn.cases import CASES, Case
from bench.churn.story import play
from enrich import History, Namer, NamingOptions
from enrich.naming.reasons import Times, candidate_reason
from enrich.naming.who import HoldView, who_at
from whowas.timestamps import moment_us, zone_of

MOMENT = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3}"
SPAN = re.compile(rf"(start|end|certain|possible) ({MOMENT}|[a-z ?]+?) \.\. ({MOMENT}|[a-z?]+)")
# Times in words are cut to the millisecond.
CUT = 1_000
EVERY = [
    pytest.param(one, marks=[pytest.mark.long] if one.number else [], id=f"{one.number} {one.name}") for one in CASES
]
Spans = dict[str, tuple[int | None, int | None]]


def read(reason: str) -> Spans:
    """The stretches of time that a sentence tells; None: open or unknown. Each time has its date, or that before it."""
    found: Spans = {}
    date = ""
    for word, *edges in SPAN.findall(reason):
        moments: list[int | None] = []
        for edge in edges:
            if not edge[0].isdigit():
                moments.append(None)
                continue
            date = edge[:11] if edge[4] == "-" else date
            assert date, f"a time without a date in: {reason}"
            moments.append(moment_us(f"{date}{edge[-12:]}Z"))
        assert word not in found
        found[word] = (moments[0], moments[1])
    return found


def check(reason: str, at_us: int | None, skew: int = 0) -> None:
    """What a reason tells can be, and is so at the moment that was asked of."""
    told = read(reason)
    for low, high in told.values():
        assert low is None or high is None or low <= high, reason
    assert ("certain" in reason) == ("certain" in told or "never certain" in reason or "for certain then" in reason), (
        reason
    )
    if at_us is None:
        return
    low = told.get("start", told.get("possible", (None, None)))[0]
    high = told.get("end", told.get("possible", (None, None)))[1]
    if "start" in told:
        assert low is None or low <= at_us + skew + CUT, reason
        assert high is None or at_us - skew <= high + CUT, reason
    if "certain" in told and "start" not in told and "possible" not in told:
        sure, end = told["certain"]
        assert sure is not None
        assert sure <= at_us - skew + CUT, reason
        assert end is None or at_us + skew <= end + CUT, reason


def ordered(one: HoldView) -> None:
    """The bounds of a hold can be: it began before it ended."""
    for low, high in ((one.start_min, one.start_max), (one.end_min, one.end_max), (one.start_min, one.end_max)):
        assert low is None or high is None or low <= high, one
    assert one.start_max is None or one.end_max is None or one.start_max <= one.end_max, one
    assert one.start_min is None or one.end_min is None or one.start_min <= one.end_min, one


def answers(known: History, played: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for cluster in played.worlds:
        questions = [one for one in played.questions if one.cluster == cluster]
        namer = Namer(known, NamingOptions(cluster=cluster, sensor_skew_seconds=played.skew_us / 1e6))
        for counted in (False, True):
            speech = [one.holder is not None for one in questions] if counted else None
            ends = [(ELSEWHERE, one.port, one.ip, one.asked) for one in questions]
            for one, row in zip(questions, namer.name(flows(ends, "dst", speech)).to_pylist(), strict=True):
                yield one.asked, row


@pytest.mark.parametrize("case", EVERY)
def test_no_reason_tells_what_cannot_be(case: Case) -> None:
    played = play(case.play, 11, case.place(vanishing=True), 100)
    known, report = history_of(played.lines)
    assert report.whole()
    told = 0
    for asked, row in answers(known, played):
        check(row["dst_reason"], asked, played.skew_us)
        told += bool(read(row["dst_reason"]))
        for one in row["dst_candidates"] or ():
            check(one["reason"], None)
    assert told > 200


@pytest.mark.parametrize("case", EVERY)
def test_no_hold_ends_before_it_begins(case: Case) -> None:
    played = play(case.play, 12, case.place(vanishing=True), 20)
    known, _ = history_of(played.lines)
    seen = 0
    for cluster in known.clusters.values():
        for row in range(len(cluster.holds)):
            check(candidate_reason(cluster, row), None)
            seen += 1
    for question in played.questions[::11]:
        options = NamingOptions(cluster=question.cluster, sensor_skew_seconds=played.skew_us / 1e6)
        answer = who_at(known, question.ip, question.asked, options)
        check(answer.reason, question.asked, played.skew_us)
        for one in (answer.holder, answer.previous, answer.following, *answer.candidates):
            if one is not None:
                ordered(one)
    assert seen > 20


def test_a_service_that_was_seen_a_week_ago_is_not_near_its_creation() -> None:
    story = Story(since=-60, until=700 * HOUR)
    story.tell(0, "ADDED", service("web", "10.96.0.9", created=-300 * HOUR))
    story.gap(HOUR, 600 * HOUR)
    answer = at(story.history(), "10.96.0.9", 400 * HOUR)
    assert answer.confidence == "service"
    assert "near" not in answer.reason
    check(answer.reason, us(400 * HOUR))


def test_a_span_of_days_tells_its_dates() -> None:
    story = Story(until=72 * HOUR)
    live(story, "web", "10.244.1.5")
    reason = at(story.history(), "10.244.1.5", 50 * HOUR).reason
    low, high = read(reason)["certain"]
    assert low == us(2.5)
    assert high is not None
    assert high > us(70 * HOUR)
    (row,) = named(story.history(), flow("10.244.1.5", "10.9.9.9", 60))
    check(row["src_reason"], us(60))


def test_a_holder_that_was_never_certain_has_no_certain_span() -> None:
    """Told of when it was over already: its first receipt lies behind its end."""
    story = Story()
    pod = Pod("brief", created=10, phase="Succeeded", ips=("10.244.1.7",), started=12, finished=13, sandbox=(False, 14))
    other = Pod("next", created=11, phase="Running", ips=("10.244.1.7",), started=16, sandbox=(True, 15))
    story.tell(20, "ADDED", pod).tell(20, "ADDED", other)
    known = story.history().cluster(None)
    told = [candidate_reason(known, row) for row in range(len(known.holds))]
    assert told
    for one in told:
        check(one, None)


def test_times_are_told_in_the_zone_of_who_asks() -> None:
    times = Times(zone_of("Europe/Berlin"))
    summer, winter = moment_us("2026-10-25T00:30:00Z"), moment_us("2026-10-25T02:30:00Z")
    assert times.between(summer, winter) == "2026-10-25 02:30:00.000 .. 03:30:00.000"
    assert times.zone() == "CEST/CET"
    assert Times().at(moment_us("2026-11-20T23:59:59.999999Z")) == "2026-11-20 23:59:59.999"
    assert Times().at(1 << 62, "open") == "open"
