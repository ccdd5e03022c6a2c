"""Work on a second core: the same items in the same order, errors in their place, nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from whowas import side_threads
from whowas.errors import OutputError
from whowas.side_threads import Behind, ahead, closed


@pytest.fixture(params=[1, 2], ids=["one core", "two cores"], autouse=True)
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    number: int = request.param
    monkeypatch.setattr(side_threads, "cores", lambda: number)
    return number


def running() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("whowas-")]


class Counted:
    """Numbers from 0 on; knows how many were asked for, on which threads, and whether it was closed."""

    def __init__(self, error_at: int = -1, ends_at: int = 1 << 30) -> None:
        self.asked, self.closed = 0, False
        self.threads: set[int] = set()
        self._error_at, self._ends_at = error_at, ends_at

    def numbers(self) -> Iterator[int]:
        try:
            while self.asked < self._ends_at:
                self.threads.add(threading.get_ident())
                if self.asked == self._error_at:
                    raise OutputError("cannot read on")
                self.asked += 1
                yield self.asked - 1
        finally:
            self.closed = True


def test_every_item_comes_once_and_in_order(cores: int) -> None:
    source = Counted(ends_at=500)
    assert list(ahead(source.numbers())) == list(range(500))
    assert source.closed
    assert (threading.get_ident() in source.threads) == (cores == 1)
    assert running() == []


def test_nothing_is_an_end_too() -> None:
    assert list(ahead(iter(()))) == []
    assert list(ahead(iter([None, False, 0]))) == [None, False, 0]


def test_an_error_is_raised_behind_what_came_before_it() -> None:
    source, seen = Counted(error_at=7), list[int]()
    with pytest.raises(OutputError, match="cannot read on"):
        seen.extend(ahead(source.numbers()))
    assert seen == list(range(7))
    assert source.closed
    assert running() == []


def test_no_more_than_three_are_made_for_one_that_is_used() -> None:
    """One in use, one that waits, one that is being handed over: memory is that of three items."""
    source = Counted()
    items = ahead(source.numbers())
    for one in range(100):
        assert next(items) == one
        assert source.asked <= one + 3
    items.close()  # type: ignore[attr-defined]
    assert source.closed
    assert running() == []


def test_who_gives_up_ends_the_reader() -> None:
    source = Counted()

    def use() -> None:
        with closed(ahead(source.numbers())) as items:
            for one in items:
                if one == 5:
                    raise ValueError("no more")

    with pytest.raises(ValueError, match="no more") as told:
        use()
    # Its error still knows of the iterator.
    assert told.traceback
    assert source.closed
    assert running() == []


def test_a_reader_that_waits_for_a_pipe_holds_nobody_up(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if cores == 1:
        pytest.skip("there is no reader to wait for")
    monkeypatch.setattr(side_threads, "LEAVE_SECONDS", 0.01)
    more = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        more.wait()
        yield 2

    items = ahead(slow())
    assert next(items) == 1
    items.close()  # type: ignore[attr-defined]
    left = [one for one in threading.enumerate() if one.name == "whowas-ahead"]
    more.set()
    for one in left:
        one.join(30)
    assert running() == []


def test_work_is_done_in_the_order_in_which_it_came(cores: int) -> None:
    behind, done, threads = Behind(), [], set()

    def work(number: int) -> None:
        threads.add(threading.get_ident())
        done.append(number)

    for number in range(50):
        behind.do(lambda number=number: work(number))  # type: ignore[misc]
        # The one before was finished first.
        assert done[:number] == list(range(number))
    behind.wait()
    assert done == list(range(50))
    assert (threading.get_ident() in threads) == (cores == 1)
    assert running() == []


def broken() -> None:
    raise OutputError("cannot write: the disk is full")


@pytest.mark.parametrize("then", ["do", "wait"])
def test_an_error_of_work_is_raised_where_the_next_comes(then: str) -> None:
    behind, done = Behind(), list[Any]()

    def use() -> None:
        behind.do(broken)
        behind.do(lambda: done.append(1)) if then == "do" else behind.wait()

    with pytest.raises(OutputError, match="disk is full"):
        use()
    assert done == []
    behind.give_up()
    behind.do(lambda: done.append(2))
    behind.wait()
    assert done == [2]


def test_who_gives_up_waits_for_the_work_and_forgets_its_error(cores: int) -> None:
    behind, begun, go, ended = Behind(), threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(30)
        ended.set()
        broken()

    if cores == 1:
        go.set()
        with pytest.raises(OutputError):
            behind.do(work)
    else:
        behind.do(work)
        begun.wait(30)
        threading.Timer(0.05, go.set).start()
    behind.give_up()
    assert ended.is_set()
    assert running() == []
    behind.wait()
