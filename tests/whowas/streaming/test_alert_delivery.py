"""Several places at once: none waits for another, none misses a finding."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from support.findings import RULE, finding

from detect.model import Finding
from whowas.errors import OutputError
from whowas.stages import Alert
from whowas.streaming import alert_delivery
from whowas.streaming.alert_delivery import Alerts, Outlet


class Place:
    """A sink in memory that can be down, slow to confirm, or broken."""

    def __init__(self) -> None:
        self.trouble, self.refused = "", 0
        self.got: list[tuple[str, int]] = []
        self.up = threading.Event()
        self.up.set()
        self.fails = 0
        self.closed = False

    def check(self) -> None:
        """Nothing to refuse."""

    def send(self, alerts: Sequence[Alert]) -> None:
        if self.fails:
            self.fails -= 1
            raise OutputError("cannot send: it is broken; mend it")
        self.got += [(one.key, one.body["revision"]) for one in alerts]

    def flush(self, seconds: float) -> bool:
        return self.up.wait(min(seconds, 0.02))

    def close(self) -> None:
        self.closed = True


def view(one: Finding) -> dict[str, int]:
    return {"revision": one.revision}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_delivery, "FIRST_PAUSE", 0.01)


@contextmanager
def sending(*places: Place, most_open: int = 1000, **least: str) -> Iterator[Alerts]:
    outlets = [Outlet(str(n), place, view, **least) for n, place in enumerate(places)]
    alerts = Alerts(outlets, most_open)
    alerts.check()
    try:
        yield alerts
    finally:
        for place in places:
            place.up.set()
        alerts.close()
    assert all(place.closed for place in places)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


def told(findings: Sequence[Finding]) -> list[tuple[str, int]]:
    return [(one.uid, one.revision) for one in findings]


def test_what_arrived_everywhere_is_returned_once() -> None:
    first, second = Place(), Place()
    with sending(first, second) as alerts:
        one = finding(uid="a")
        found = alerts.send([one]) + alerts.flush(20)
        assert told(found) == [("a", 1)]
        assert alerts.send([]) == []
        assert alerts.open == 0
    assert first.got == second.got == [("a", 1)]


def test_one_place_that_is_down_holds_up_no_other_and_misses_nothing() -> None:
    good, down = Place(), Place()
    down.up.clear()
    with sending(good, down) as alerts:
        offers = [finding(uid=str(n)) for n in range(50)]
        assert alerts.send(offers) == []
        until(lambda: len(good.got) == 50)
        for _ in range(5):
            assert alerts.send(offers) == [], "nothing is delivered before it is everywhere"
        assert alerts.flush(0.05) == []
        assert alerts.open == 50
        down.up.set()
        assert len(alerts.flush(20)) == 50
    assert len(good.got) == 50, "what was offered again was not sent again"
    assert {uid for uid, _ in down.got} == {str(n) for n in range(50)}


def test_a_place_that_fails_gets_it_again_and_its_trouble_is_told() -> None:
    place = Place()
    place.fails = 3
    with sending(place) as alerts:
        alerts.send([finding(uid="a")])
        until(lambda: alerts.counts["0"]["failures"])
        assert alerts.troubles() == {"0": "cannot send: it is broken; mend it"} or not place.fails
        assert told(alerts.flush(20)) == [("a", 1)]
        assert alerts.troubles() == {}
        assert alerts.counts["0"] == {"failures": 3, "delivered": 1}


def test_a_newer_revision_takes_the_place_of_one_that_waits() -> None:
    place = Place()
    place.up.clear()
    with sending(place) as alerts:
        alerts.send([finding(uid="a", revision=1)])
        until(lambda: place.got)
        for revision in (2, 3, 4):
            alerts.send([finding(uid="a", revision=revision)])
        place.up.set()
        found = alerts.flush(20)
        assert told(found)[-1] == ("a", 4)
    assert place.got == [("a", 1), ("a", 4)]


def test_what_arrived_in_part_is_told_by_its_own_revision() -> None:
    quick, slow = Place(), Place()
    slow.up.clear()
    with sending(quick, slow) as alerts:
        alerts.send([finding(uid="a", revision=1)])
        until(lambda: slow.got and quick.got)
        alerts.send([finding(uid="a", revision=2)])
        until(lambda: len(quick.got) == 2)
        slow.up.set()
        assert told(alerts.flush(20))[-1] == ("a", 2)


def test_levels_below_a_places_own_pass_it_by() -> None:
    place = Place()
    with sending(place, least="critical") as alerts:
        assert told(alerts.send([finding(uid="a")])) == [("a", 1)], "there is nothing to wait for"
        assert alerts.counts[""] == {"unwanted": 1}
        assert alerts.open == 0
    assert place.got == []
    assert RULE.level == "high"


def test_too_many_open_stay_with_the_judge() -> None:
    place = Place()
    place.up.clear()
    with sending(place, most_open=10) as alerts:
        offers = [finding(uid=f"{n:02}") for n in range(25)]
        alerts.send(offers)
        assert (alerts.open, alerts.counts[""]["deferred"]) == (10, 15)
        place.up.set()
        left = {one.uid: one for one in offers}
        while left:
            for one in alerts.send(list(left.values())) + alerts.flush(5):
                del left[one.uid]
    assert sorted({uid for uid, _ in place.got}) == [one.uid for one in offers]


def test_a_mistake_in_a_view_is_seen_and_ends_nothing() -> None:
    place, wrong = Place(), [True]

    def view(one: Finding) -> dict[str, int]:
        if wrong:
            raise KeyError("oops")
        return {"revision": one.revision}

    alerts = Alerts([Outlet("mine", place, view)])
    alerts.send([finding()])
    until(lambda: "KeyError: 'oops'; report this" in alerts.troubles().get("mine", ""))
    wrong.clear()
    assert len(alerts.flush(20)) == 1
    alerts.close()


def test_any_order_of_offers_failures_and_revisions_ends_with_the_newest_everywhere() -> None:
    """What a judge does: offer everything that is not told, again and again, while places fail."""
    chance = random.Random(7)
    places = [Place(), Place(), Place()]
    newest: dict[str, int] = {}
    settled: dict[str, int] = {}
    with sending(*places, most_open=5) as alerts:
        for _ in range(300):
            if chance.random() < 0.5:
                uid = str(chance.randrange(12))
                newest[uid] = newest.get(uid, 0) + 1
            if chance.random() < 0.1:
                chance.choice(places).fails = 1
            offers = [finding(uid=uid, revision=n) for uid, n in newest.items() if settled.get(uid, 0) < n]
            for one in alerts.send(offers):
                assert settled.get(one.uid, 0) < one.revision
                settled[one.uid] = one.revision
        while any(settled.get(uid, 0) < n for uid, n in newest.items()):
            offers = [finding(uid=uid, revision=n) for uid, n in newest.items() if settled.get(uid, 0) < n]
            for one in alerts.send(offers) + alerts.flush(0.5):
                settled[one.uid] = one.revision
    for place in places:
        assert {uid: max(n for other, n in place.got if other == uid) for uid in newest} == newest
