"""The queue between watches and writer: order, back-pressure, and nothing forgotten at the end."""

from __future__ import annotations

import threading
import time

from whowas.observation import KubeObject, Meta, Observation
from whowas.recorder.mailbox import Mailbox


def sight(name: str, kind: str = "Pod", verb: str = "MODIFIED") -> Observation:
    return Observation(verb, KubeObject(kind=kind, metadata=Meta(name=name)), 1, 1, "c", "test")


def names(batch: list[Observation]) -> list[str]:
    return [one.object.metadata.name for one in batch if one.object.metadata]


def test_batches_come_out_whole_and_in_order() -> None:
    box = Mailbox(100)
    for first in (0, 3, 6):
        box.put([sight(str(first + i)) for i in range(3)])
    assert names(box.take(7, 0, 0)) == list("012345")
    assert names(box.take(7, 0, 0)) == list("678")
    assert box.take(7, 0, 0) == []
    assert box.received == {("c", "Pod", "MODIFIED"): 9}


def test_a_full_one_makes_the_sender_wait_until_somebody_takes() -> None:
    box = Mailbox(4)
    box.put([sight("0"), sight("1"), sight("2")])
    sent = threading.Event()

    def send() -> None:
        box.put([sight("3"), sight("4")])
        sent.set()

    threading.Thread(target=send, daemon=True).start()
    assert not sent.wait(0.2)
    assert len(box) == 3
    assert names(box.take(10, 0, 0)) == ["0", "1", "2"]
    assert sent.wait(2)
    assert names(box.take(10, 0, 0)) == ["3", "4"]


def test_a_batch_larger_than_all_room_is_taken_alone() -> None:
    box = Mailbox(2)
    box.put([sight(str(i)) for i in range(5)])
    assert len(box.take(3, 0, 0)) == 5


def test_what_waits_is_given_after_the_time_for_others_to_join() -> None:
    box = Mailbox(100)
    began = time.monotonic()
    threading.Timer(0.1, box.put, ([sight("0")],)).start()
    threading.Timer(0.2, box.put, ([sight("1")],)).start()
    assert names(box.take(100, 0.3, 5)) == ["0", "1"]
    assert 0.3 <= time.monotonic() - began < 1.0


def test_closing_lets_senders_go_and_keeps_what_was_taken_in() -> None:
    box = Mailbox(1)
    box.put([sight("0")])
    gone = threading.Event()

    def send() -> None:
        box.put([sight("1")])
        gone.set()

    threading.Thread(target=send, daemon=True).start()
    assert not gone.wait(0.1)
    box.close()
    assert gone.wait(2)
    assert names(box.take(10, 5, 5)) == ["0"]
    assert box.received.total() == 1, "what was not taken in counts as never received: no cursor moves for it"


def test_many_senders_lose_nothing_and_keep_each_kinds_order() -> None:
    box, kinds, each = Mailbox(20), ("Pod", "Node", "Service", "Job"), 300

    def send(kind: str) -> None:
        for i in range(each):
            box.put([sight(str(i), kind)])

    senders = [threading.Thread(target=send, args=(kind,)) for kind in kinds]
    for one in senders:
        one.start()
    found: dict[str, list[str]] = {kind: [] for kind in kinds}
    while sum(map(len, found.values())) < each * len(kinds):
        batch = box.take(7, 0.001, 2)
        assert batch, "nothing came any more"
        for one in batch:
            found[one.object.kind] += names([one])
    assert all(seen == [str(i) for i in range(each)] for seen in found.values())
