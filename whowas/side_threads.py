"""Work on a second core, in the order of the first: what is read ahead, and what is written behind.

Compiled kernels and Arrow do not hold Python's lock, so that two threads are two cores where they do most of the work.
Each holds one item at most: memory stays what it is. With one core all is done in place.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from queue import Empty, Queue
from typing import NamedTuple, TypeVar

T = TypeVar("T")
# Somebody who gives up does not wait longer than this for a reader that waits for a pipe.
LEAVE_SECONDS = 2.0


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Made(NamedTuple):
    """What a reader hands over: an item, else the end of them, or what went wrong."""

    items: tuple[object, ...] = ()
    error: BaseException | None = None


@contextlib.contextmanager
def closed(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Give an iterator, and end it with the block, also where an error still knows of it."""
    try:
        yield items
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items of an iterator; a thread makes the next one meanwhile. Its errors are raised in their place.

    The iterator is used, and closed, by that thread alone.
    """
    if cores() < 2:
        yield from items
        return
    made: Queue[_Made] = Queue(1)
    left = threading.Event()
    reader = threading.Thread(target=_read, args=(items, made, left), name="whowas-ahead", daemon=True)
    reader.start()
    try:
        while (one := made.get()).items:
            yield one.items[0]  # type: ignore[misc]
        if one.error is not None:
            raise one.error
    finally:
        left.set()
        # Who waits to hand something over finds room for it, and then that nobody wants more.
        with contextlib.suppress(Empty):
            made.get_nowait()
        reader.join(LEAVE_SECONDS)


def _read(items: Iterator[T], made: Queue[_Made], left: threading.Event) -> None:
    last = _Made()
    try:
        with closed(items):
            for one in items:
                made.put(_Made((one,)))
                if left.is_set():
                    return
    except BaseException as error:  # noqa: BLE001 - raised where the items are wanted
        last = _Made(error=error)
    if not left.is_set():
        made.put(last)


class Behind:
    """Does one piece of work after the other on a thread; who brings the next waits for the one before."""

    def __init__(self) -> None:
        self._running: threading.Thread | None = None
        self._error: BaseException | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Begin a piece of work when the one before is done. Raises: what went wrong in that one."""
        self.wait()
        if cores() < 2:
            work()
            return
        self._running = threading.Thread(target=self._do, args=(work,), name="whowas-behind", daemon=True)
        self._running.start()

    def wait(self) -> None:
        """Return when all is done. Raises: what went wrong."""
        self._join()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def give_up(self) -> None:
        """Return when nothing is being done any more, whatever became of it."""
        self._join()
        self._error = None

    def _join(self) -> None:
        if self._running is not None:
            self._running.join()
            self._running = None

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised by who waits for it
            self._error = error
