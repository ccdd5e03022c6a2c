"""What is a wrapping, what is none, and what somebody made to look like one."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import wrapped

from ingest.wrappings import Chain, Joiner, chains, objects, opened
from ingest.wrappings.chain import LINES_MOST, WRAPPINGS, joined
from ingest.wrappings.cloudwatch import UNPACKED_MOST, Console

CRI = WRAPPINGS[0]


def deepest(lines: list[str]) -> Chain | None:
    return ([chain for chain, _ in chains([one.encode() for one in lines])] or [None])[-1]


@pytest.mark.parametrize("form", wrapped.OBJECTS)
def test_what_is_inside_comes_out(form: str) -> None:
    texts = ['{"a": 1}', '{"b": "x, \\"y\\""}']
    sample = wrapped.OBJECTS[form](texts)
    values = [sample.encode()] if form in wrapped.WHOLE and form != "console" else sample.encode().splitlines()
    if form.startswith("subscription"):
        values = objects(values[0])
    *_, (chain, inner) = chains(values)
    assert [one.decode() for one in inner] == texts
    assert [one.decode() for value in values for one in chain.opened(value) or ()] == texts


@pytest.mark.parametrize("line", [
    '{"timestamp": "2026-11-20T09:05:00Z", "src_ip": "10.0.0.1"}', "10.0.0.1 - - [20/Nov/2026:09:05:00 +0000]",
    "ts,src,dst", "[pod] x", "[1, 2]", '[{"a": 1}]', "2026-11-20 09:05:00 stdout F x", "", "{", "stdout F {}",
    '{"log": "x"}', '{"log": {"a": 1}, "stream": "stdout"}', '{"message": "text", "level": "info"}', '{"line": "x"}',
    '{"data": "x y z"}', '{"events": 7}', '{"logEvents": null}', "Nov 20 2026", "2 123 eni-0a 10.0.0.1 10.0.0.2",
    '{"kind": "Event", "message": "Back-off", "involvedObject": {}}', "apiVersion: v1", "a{", "#fields\ta\tb",
])  # fmt: skip
def test_what_is_no_wrapping(line: str) -> None:
    assert deepest([line] * 3) is None


def test_few_wrapped_lines_among_others_are_no_wrapping() -> None:
    lines = wrapped.BY_LINE["cri"](["a"] * 3).splitlines()
    assert deepest([*lines, *["plain"] * 3]) is None
    assert deepest([*lines, *["plain"] * 2]) is not None


def test_data_that_unfolds_for_ever_is_left_as_it_is() -> None:
    bomb = base64.b64encode(gzip.compress(b"0" * (UNPACKED_MOST + 1))).decode()
    assert opened(json.dumps({"awslogs": {"data": bomb}}).encode()) is None
    for data in ("####", "H4sI", base64.b64encode(b"\x1f\x8bno").decode(), "é"):
        assert opened(json.dumps({"awslogs": {"data": data}}).encode()) is None
    records = [{"data": base64.b64encode(b"{}").decode()}, {"data": "!"}]
    assert opened(json.dumps({"records": records}).encode()) == [json.dumps(one).encode() for one in records]


def test_parts_that_never_end_are_given_up() -> None:
    joiner = Joiner(CRI)
    part = f"{wrapped.STAMP} stdout P x".encode()
    ends = [joiner.ends(part) for _ in range(LINES_MOST)]
    assert (sum(ends), ends[-1]) == (1, True)
    group = b"\n".join([part, b"garbage", f"{wrapped.STAMP} stderr F y".encode(), part])
    assert CRI.opened(group) == [b"garbage", b"y", b"xx"]


def test_quotes_of_a_table_reach_over_lines() -> None:
    lines = [b"@timestamp,@message", b'1,"{""a"":', b' 1}"', b"2,x"]
    table = Console.of(lines[0])
    assert table is not None
    assert [table.opened(one) for one in joined(lines, table)] == [[], [b'{"a":\n 1}'], [b"x"]]
    assert table.opened(b"1,2,3") is None


@given(st.lists(st.binary(max_size=80) | st.text(max_size=60).map(lambda one: one.encode("utf-8", "replace"))))
@settings(max_examples=300, deadline=None)
def test_any_lines_are_borne(lines: list[bytes]) -> None:
    for chain, inner in chains(lines):
        assert inner is not None
        for line in lines:
            assert chain.opened(line) is None or chain.opened(line) is not None
    for line in lines:
        found = opened(line)
        assert found is None or all(isinstance(one, bytes) for one in found)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "log",
                    "stream",
                    "message",
                    "@timestamp",
                    "events",
                    "logEvents",
                    "records",
                    "Records",
                    "data",
                    "awslogs",
                ]
                + [
                    "kinesis",
                    "line",
                    "labels",
                    "values",
                    "streams",
                    "result",
                    "_source",
                    "hits",
                    "json",
                    "event",
                    "properties",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSONS)
@settings(max_examples=400, deadline=None)
def test_any_json_with_the_words_of_wrappings_is_borne(told: object) -> None:
    raw = json.dumps(told).encode()
    for one in opened(raw) or ():
        opened(one)
    assert all(isinstance(chain.name, str) for chain, _ in chains([raw] * 3))
