"""Lines and values without an end: refused at a bound, and what stands before and behind them is read."""

from __future__ import annotations

import io

import pytest

from ingest.cluster.evidence import json_stream
from ingest.cluster.evidence.json_stream import lines, values
from ingest.files import Input
from whowas.errors import BrokenInput


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "VALUE_MOST", 100)
    monkeypatch.setattr(json_stream, "CHUNK", 16)


def source(data: bytes) -> Input:
    return Input("made-up", io.BytesIO(data), len(data))


def test_a_line_that_is_too_long_costs_itself() -> None:
    found, data = [], b'{"a":1}\n' + b"x" * 500 + b"\n\n" + b'{"b":2}\n{"c":3}'
    with pytest.raises(BrokenInput, match="does not end, or is too long") as told:
        found.extend(lines(source(data)))
    assert told.value.offset == 8
    assert found == [(0, b'{"a":1}'), (509, b""), (510, b'{"b":2}'), (518, b'{"c":3}')]


def test_a_list_may_be_longer_but_not_than_what_is_stored() -> None:
    data = b'{"kind":"List","items":[' + b"1," * 200 + b"1]}\n"
    assert list(lines(source(data))) == [(0, data[:-1])]


def test_a_value_over_many_lines_is_bounded_too() -> None:
    data = b'{"a":1}\n{\n' + b'  "x": 1,\n' * 50
    given = source(data)
    found = []
    with pytest.raises(BrokenInput, match="a JSON value that does not end") as told:
        found.extend(values(lines(given), "made-up", given))
    assert told.value.offset == 8
    assert found == [(0, b'{"a":1}')]


def test_blank_lines_and_the_last_line_have_their_offsets() -> None:
    assert list(lines(source(b"\n" * 40 + b"a\nb")))[-2:] == [(40, b"a"), (42, b"b")]
    assert list(lines(source(b"a\n"))) == [(0, b"a")]
    assert list(lines(source(b"\xef\xbb\xbfa\n"))) == [(0, b"a")]
