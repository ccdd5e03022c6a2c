"""A line's time holds for as long as it is meant: a whole second, the minute of a cloud's log, a start and an end."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from support.annotating import annotate
from support.cluster_story import Story, complete, live, receipt, stamp, us

import whowas
from enrich import History

IP = "10.244.1.5"


@pytest.fixture(scope="module")
def known() -> History:
    """`old` certainly holds it until 499.5, perhaps until 500.2; `new` perhaps from 501, certainly from 503.5."""
    story = Story()
    complete(story, live(story, "old", IP), finished=500, told=500.2)
    live(story, "new", IP, born=501)
    return story.history()


def said(known: History, **line: Any) -> str:
    (found,) = annotate(json.dumps({"src_ip": IP, **line}).encode() + b"\n", known).objects()
    told = found["src_ip_whowas"]
    return f"{told['confidence']} {told.get('pod', '')}".strip()


def test_a_whole_second_is_named_by_who_held_the_address_all_through_it(known: History) -> None:
    for second, inside, name in ((499, 499.2, "old"), (503, 503.6, "new")):
        assert said(known, timestamp=receipt(inside)) == f"exact {name}"
        assert said(known, timestamp=stamp(second)) == f"likely {name}"
        assert said(known, timestamp=us(second) // 10**6) == f"likely {name}"
    assert said(known, timestamp=stamp(498)) == "exact old"
    assert said(known, timestamp=us(504) // 10**6) == "exact new"


def test_a_line_of_aws_may_be_a_minute_late(known: History) -> None:
    def line(start: float) -> str:
        row = f"{IP} 8.8.8.8 {us(start) // 10**6} {us(start) // 10**6 + 1}\n"
        data = annotate(b"srcaddr dstaddr start end\n" + row.encode(), known).data.splitlines()[1]
        return data.removeprefix(row.strip().encode()).split()[0].decode()

    assert [line(one) for one in (400, 540, 600)] == ["exact", "ambiguous", "exact"]


def test_a_start_and_an_end_that_are_exchanged_are_one_stretch(known: History) -> None:
    assert said(known, start_time=receipt(450), end_time=receipt(400)) == "exact old"
    assert said(known, start_time=receipt(600), end_time=receipt(400)) == "ambiguous"


@pytest.mark.parametrize("nought", [0, "0", "1970-01-01T00:00:00Z", "0000-00-00 00:00:00"])
def test_a_time_of_nought_is_none_and_another_is_looked_for(known: History, nought: Any) -> None:
    assert said(known, start_time=nought, end_time=nought, timestamp=receipt(450)) == "exact old"
    found = annotate(json.dumps({"src_ip": IP, "timestamp": nought}).encode() + b"\n", known)
    assert dict(found.done.tally.unread) == {"no time": 1}


def test_a_column_of_a_finer_type_is_meant_as_it_stands(known: History) -> None:
    for unit, word in (("s", "likely"), ("us", "exact")):
        times = pa.array([us(499)], pa.timestamp("us", tz="UTC")).cast(pa.timestamp(unit, tz="UTC"))
        frame = pa.table({"src_ip": [IP], "timestamp": times})
        named = whowas.annotate(frame, history=known, ip="src_ip", time="timestamp")
        assert named["src_ip_whowas_confidence"].to_pylist() == [word]
