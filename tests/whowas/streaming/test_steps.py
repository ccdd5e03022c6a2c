"""The steps of a delivery, one by one, where a real broker cannot be made to fail at the right moment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support import rows as made_up
from support.streaming.flow_records import record

from sinks.flows.dead_letters import DeadLetterFiles, Letter
from sinks.flows.offset_ranges import RangeFiles
from whowas.kafka import BrokerError, Partition, Piece
from whowas.schema import named_schema, plain
from whowas.settings import HistorySettings, Input, KafkaOutput, Naming
from whowas.streaming.delivery import Delivery, Outputs
from whowas.streaming.history_follower import HistoryFollower
from whowas.streaming.messages import ARROW_BYTES, messages
from whowas.streaming.parsing import RecordParser
from whowas.streaming.partition_queue import Chunk, Named, PartitionBatch
from whowas.streaming.retries import Retries
from whowas.streaming.revisions import changed

PART = Partition("flows", 0)


class Steps:
    """A producer and a consumer that write down what is asked of them, and fail where they are told to.

    fail: the step that fails, once. after: whether it fails after it was done, as a lost answer does.
    """

    def __init__(self, fail: str = "", after: bool = False, passing: bool = True) -> None:
        self.said: list[str] = []
        self.transactions: list[list[bytes]] = []
        self.open: list[bytes] = []
        self.offsets: dict[Partition, int] = {}
        self._fail, self._after, self._passing = fail, after, passing

    def _step(self, name: str) -> None:
        self.said.append(name)
        if name == self._fail:
            self._fail = ""
            raise BrokerError(f"cannot {name}", self._passing)

    def send(self, topic: str, made: Iterable[tuple[bytes | None, bytes]]) -> None:
        self.open += [value for _, value in made]
        self._step(f"send to {topic}")

    def flush(self, seconds: float) -> bool:
        self._step("acknowledged")
        return True

    def begin(self) -> None:
        self.open = []
        self._step("begin")

    def commit(self, offsets: dict[Partition, int], membership: Any = None) -> bool:
        if not self._after:
            self._step("commit")
        if membership is not None:
            self.transactions.append(self.open)
        self.offsets |= offsets
        if self._after:
            self._step("commit")
        return True

    def abort(self) -> None:
        self._step("abort")

    def committed(self, partitions: list[Partition]) -> dict[Partition, int]:
        self._step("committed")
        return {one: self.offsets[one] for one in partitions if one in self.offsets}

    def membership(self) -> str:
        return "member 1"

    def close(self) -> None:
        self._step("close")


def lot(first: int, last: int, letters: tuple[int, ...] = ()) -> PartitionBatch:
    flows = made_up.batch(100, seed=2).slice(first, last - first + 1)
    dead = [Letter(PART, offset, "no record", b"x") for offset in letters]
    offsets = np.arange(first, last + 1)
    chunk = Chunk(first, last, flows, offsets, dead, last - first + 1, 0, 0.0)
    return PartitionBatch(PART, [Named(chunk, flows)])


def outputs(tmp_path: Path, steps: Steps, delivery: str = "at-least-once") -> Outputs:
    files = RangeFiles(tmp_path / "named", "g")
    assert files.claim(PART)
    topic = KafkaOutput("out", delivery=delivery)  # type: ignore[arg-type]
    return Outputs(files, topic, DeadLetterFiles(tmp_path / "letters"), None, lambda _: steps, "id")  # type: ignore[arg-type,return-value]


def test_offsets_come_last(tmp_path: Path) -> None:
    steps = Steps()
    to = outputs(tmp_path, steps)
    to.send(made_up.batch(3, seed=1), None)
    delivery = Delivery(to, [lot(0, 9, letters=(4,))])
    assert delivery.write()
    assert to.written(PART) == 10
    assert [path.name for path in (tmp_path / "letters").iterdir()]
    assert steps.said == ["send to out", "acknowledged"]
    assert delivery.commit(steps)  # type: ignore[arg-type]
    assert steps.offsets == {PART: 10}


def test_what_the_mark_covers_is_left_out(tmp_path: Path) -> None:
    to = outputs(tmp_path, Steps())
    assert Delivery(to, [lot(0, 9)]).write()
    again = Delivery(to, [lot(4, 19, letters=(5, 15))])
    assert again.write()
    assert again.repeated["flows"] == 6
    assert to.written(PART) == 20
    assert [path.name[-11:] for path in (tmp_path / "letters").iterdir()] == ["00015.jsonl"]


@pytest.mark.parametrize("after", [False, True])
def test_a_failed_transaction_is_made_again_only_if_it_was_not_committed(tmp_path: Path, after: bool) -> None:
    """The answer to a commit may be lost: then its offsets, which went with it, tell that it came through."""
    steps = Steps("commit", after)
    delivery = Delivery(outputs(tmp_path, steps, "transactions"), [lot(0, 9)])
    assert delivery.write()
    with pytest.raises(BrokerError):
        delivery.commit(steps)  # type: ignore[arg-type]
    assert delivery.commit(steps)  # type: ignore[arg-type]
    assert [len(one) for one in steps.transactions] == [10]
    assert steps.offsets == {PART: 10}


def test_a_lost_partition_is_neither_sent_nor_committed(tmp_path: Path) -> None:
    steps = Steps("begin")
    delivery = Delivery(outputs(tmp_path, steps, "transactions"), [lot(0, 9)])
    with pytest.raises(BrokerError):
        delivery.commit(steps)  # type: ignore[arg-type]
    assert delivery.forget(PART) is not None
    assert delivery.commit(steps)  # type: ignore[arg-type]
    assert not steps.transactions
    assert not steps.offsets


def test_what_cannot_pass_is_no_trouble_to_wait_for() -> None:
    troubles = Retries()
    with troubles.attempt("output"):
        raise BrokerError("away")
    assert troubles.first() == ("output", "away")
    assert not troubles.allowed("output")
    with pytest.raises(BrokerError, match="refused"), troubles.attempt("output"):
        raise BrokerError("refused", passing=False)
    with troubles.attempt("output"):
        pass
    assert troubles.first() is None
    assert troubles.allowed("output")


def test_a_large_batch_becomes_several_messages() -> None:
    flows = made_up.batch(60, seed=3)
    wide = pa.array(["x" * 40_000 + str(row) for row in range(60)]).dictionary_encode()
    flows = flows.set_column(flows.schema.get_field_index("dns_name"), flows.schema.field("dns_name"), wide)
    made = list(messages(flows, "arrow", None))
    assert len(made) > 2
    assert all(len(value) <= ARROW_BYTES for _, value in made)
    tables = [pa.ipc.open_stream(value).read_all() for _, value in made]
    assert pa.concat_tables(tables)["flow_id"].to_pylist() == flows["flow_id"].to_pylist()
    assert len({key for key, _ in made}) == len(made)


def test_only_rows_whose_names_differ_are_news() -> None:
    before = plain(made_up.batch(50, seed=4))
    names = before["src_pod"].to_pylist()
    names[3], names[7] = "another", None if names[7] else "one"
    labels = before["dst_labels"].to_pylist()
    labels[9] = [("only", "here")]
    after = before
    for name, values in (("src_pod", names), ("dst_labels", labels)):
        place, field = after.schema.get_field_index(name), after.schema.field(name)
        after = after.set_column(place, field, pa.array(values, type=field.type))
    ids = before["flow_id"].to_pylist()
    assert changed(before, after)["flow_id"].to_pylist() == [ids[3], ids[7], ids[9]]
    assert changed(before, before).num_rows == 0


def test_chunks_without_flows_are_named_too(history: Path) -> None:
    known = HistoryFollower(HistorySettings(str(history)), Naming())
    parts = RecordParser(Input(topics=("t",), format="goflow2"), 30).parse(
        [
            Piece(Partition("t", 0), [b"poison"], [7], [1]),
            Piece(Partition("t", 1), [record(1), b"poison", record(2)], [0, 1, 5], [1, 1, 1]),
        ]
    )
    assert [(one.first, one.last, one.offsets.tolist(), len(one.letters)) for one in parts] == [
        (7, 7, [], 1),
        (0, 5, [0, 5], 1),
    ]
    for several in ([parts[0]], [parts[0], parts[0]], parts, parts[::-1]):
        named = known.name([one.flows for one in several])
        assert [one.num_rows for one in named] == [one.flows.num_rows for one in several]
        assert all(one.schema.equals(named_schema()) for one in named)
    known.close()


def test_a_record_has_one_id_whatever_comes_beside_it() -> None:
    pieces = [Piece(Partition("t", number), [record(number), record(9)], [3, 4], [1, 1]) for number in range(3)]
    together = RecordParser(Input(topics=("t",)), 30).parse(pieces)
    ids = [one for chunk in together for one in chunk.flows["flow_id"].to_pylist()]
    alone = [RecordParser(Input(topics=("t",)), 30).parse([one])[0].flows["flow_id"].to_pylist() for one in pieces]
    assert ids == [one for several in alone for one in several]
    assert len(set(ids)) == 6
