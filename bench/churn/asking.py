"""Put questions to whowas, through its public front: evidence files in, flows in, named flows out."""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

import whowas
from bench.churn.questions import Question
from enrich import History, Namer, NamingOptions
from ingest.cluster import EvidenceReport
from whowas.schema import flow_schema

ELSEWHERE = "198.51.100.7"


class Answer(NamedTuple):
    """What was said: a word of whowas.schema.CONFIDENCES, and the names that go with it."""

    word: str
    uid: str | None = None
    name: str | None = None
    workload: str | None = None
    service: str | None = None
    labels: dict[str, str] | None = None
    candidates: tuple[str, ...] = ()
    candidates_cut: bool = False
    near_an_edge: bool = False


def history_of(lines: Iterable[str], cluster: str | None = None) -> tuple[History, EvidenceReport]:
    """Derive a history from evidence lines. cluster: its name where the lines say none."""
    report = EvidenceReport()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines))
        return whowas.load_history(path, cluster=cluster, report=report), report


def packed(ip: str) -> bytes:
    """An address in 16 bytes, IPv4 mapped."""
    one = ipaddress.ip_address(ip)
    return one.packed if one.version == 6 else bytes(10) + b"\xff\xff" + one.packed


def flows(ends: Sequence[tuple[str, int, str, int]], side: str = "dst", speech: Sequence[bool] | None = None) -> Any:
    """A batch of flows that last no time: (source, port, destination, us); port is the destination's, 0 = none.

    speech: whether the end at `side` sent a packet of its own, where packets were counted; None where they were not.
    """
    size = len(ends)
    given: dict[str, Any] = {
        "src_ip": [one[0] for one in ends], "dst_ip": [one[2] for one in ends],
        "src_ip16": [packed(one[0]) for one in ends], "dst_ip16": [packed(one[2]) for one in ends],
        "dst_port": [one[1] or None for one in ends], "protocol": ["tcp"] * size,
    }  # fmt: skip
    for name in ("start_time", "end_time"):
        given[name] = [one[3] for one in ends]
    if speech is not None:
        given |= {"directionality": ["bi"] * size, "sampling_rate": [1] * size, "time_basis": ["packet"] * size}
        given[f"{side}_spoke_time"] = [one[3] if spoke else None for one, spoke in zip(ends, speech, strict=True)]
        own, other = ("packets_in", "packets_out") if side == "dst" else ("packets_out", "packets_in")
        given |= {own: [int(spoke) for spoke in speech], other: [1] * size}
    arrays = []
    for field in flow_schema():
        values = given.get(field.name, [None] * size)
        plain = pa.string() if pa.types.is_dictionary(field.type) else field.type
        made = pa.array(values, type=plain)
        arrays.append(made.dictionary_encode() if plain != field.type else made)
    return pa.RecordBatch.from_arrays(arrays, schema=flow_schema())


def ask(history: History, questions: Sequence[Question], skew_us: int = 0, *, counted: bool = False) -> list[Answer]:
    """Name the asked ends, cluster by cluster; the answers stand in the order of the questions.

    counted: the flows are of captures, which show who sent packets: pods in which a container ran.
    """
    found: list[Answer | None] = [None] * len(questions)
    for cluster in sorted({one.cluster for one in questions}):
        rows = [row for row, one in enumerate(questions) if one.cluster == cluster]
        namer = Namer(history, NamingOptions(cluster=cluster, sensor_skew_seconds=skew_us / 1e6))
        for side in ("src", "dst"):
            mine = [row for row in rows if questions[row].side == side]
            if mine:
                for row, answer in zip(
                    mine, _named(namer, [questions[row] for row in mine], side, counted), strict=True
                ):
                    found[row] = answer
    return [one for one in found if one is not None]


def _named(namer: Namer, questions: list[Question], side: str, counted: bool) -> list[Answer]:
    ends = [(one.ip, one.port, one.other or ELSEWHERE, one.asked) if side == "src" else
            (one.other or ELSEWHERE, one.port, one.ip, one.asked) for one in questions]  # fmt: skip
    speech = [one.holder is not None and one.holder.speaks(one.time) for one in questions] if counted else None
    named = namer.name(flows(ends, side, speech))
    column = {name: named[f"{side}_{name}"].to_pylist() for name in
              ("confidence", "pod_uid", "pod", "node", "service", "workload", "labels", "candidates", "kind",
               "reason")}  # fmt: skip
    return [_answer({name: values[row] for name, values in column.items()}) for row in range(len(questions))]


def _answer(one: dict[str, Any]) -> Answer:
    several = tuple(each["uid"] for each in one["candidates"] or ())
    name = {"node": one["node"], "service": one["service"]}.get(one["kind"] or "", one["pod"])
    return Answer(
        one["confidence"], one["pod_uid"], name, one["workload"], one["service"], dict(one["labels"] or ()), several,
        len(several) >= 8, "not for certain then" in (one["reason"] or ""),
    )  # fmt: skip
