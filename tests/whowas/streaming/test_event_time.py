"""Up to when flows have come: a partition that is behind holds time back, an idle one does not."""

from __future__ import annotations

from whowas.kafka import Partition
from whowas.streaming.rules import EventTime

ONE, OTHER = Partition("flows", 0), Partition("flows", 1)


def test_it_follows_the_slowest_of_those_that_are_behind() -> None:
    time = EventTime()
    time.saw(ONE, 100)
    time.saw(OTHER, 50)
    assert time.until([ONE, OTHER]) == 50
    assert time.until([ONE]) == 100


def test_where_nobody_is_behind_it_is_the_newest_flow() -> None:
    time = EventTime()
    time.saw(ONE, 100)
    time.saw(ONE, 90)
    time.saw(OTHER, 50)
    assert time.until([]) == 100


def test_a_partition_of_which_nothing_was_seen_yet_holds_it() -> None:
    time = EventTime()
    time.saw(ONE, 100)
    assert time.until([ONE, OTHER]) == 0
    time.saw(OTHER, 70)
    assert time.until([ONE, OTHER]) == 70


def test_it_never_goes_back() -> None:
    time = EventTime()
    time.saw(ONE, 100)
    assert time.until([]) == 100
    time.saw(OTHER, 10)
    assert time.until([ONE, OTHER]) == 100


def test_a_partition_that_went_is_forgotten() -> None:
    time = EventTime()
    time.saw(ONE, 100)
    time.saw(OTHER, 10)
    time.forget(OTHER)
    assert time.until([ONE]) == 100
