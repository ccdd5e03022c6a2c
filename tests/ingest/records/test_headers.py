"""Headers of logs: what they say wrongly costs no more than their lines, and so does their number."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from support.flow_logs import NFDUMP_HEADER, NFDUMP_LINE, PARIS, ZEEK_HEADER, accounted, zeek_line

from ingest.records import Ids, Parsed, RecordOptions, Values, read_safely
from ingest.records.formats.nfdump import NfdumpCsvReader
from ingest.records.formats.zeek import ZeekReader, separator_of
from ingest.records.separated import CHANGES_MOST, TOO_MANY


def read(reader: Any, values: list[bytes]) -> Parsed:
    parsed: Parsed = reader.read(values, Ids("here", np.arange(len(values))))
    accounted(parsed, len(values))
    return parsed


@pytest.mark.parametrize("told", ["\\x", '\\x"9', "\\xzz", "\\x-1", "\\x 9", "\\x0", "\\x090", "", "\\xff", "é"])
def test_a_separator_that_is_none_is_a_tab(told: str) -> None:
    assert separator_of(told) == "\t"
    parsed = read(ZeekReader(RecordOptions()), [f"#separator {told}".encode(), *ZEEK_HEADER[1:], zeek_line()])
    assert parsed.flows.num_rows == 1


def test_a_separator_is_told_in_both_ways() -> None:
    assert (separator_of("\\x2c"), separator_of(","), separator_of("\\x09")) == (",", ",", "\t")


class Counted(ZeekReader):
    """Counts how often lines are read."""

    calls = 0

    def _lines(self, *told: Any) -> Parsed:
        self.calls += 1
        return super()._lines(*told)


def test_logs_one_behind_another_are_read_together() -> None:
    reader = Counted(RecordOptions())
    parsed = read(reader, [*ZEEK_HEADER, zeek_line()] * 300)
    assert parsed.flows.num_rows == 300
    assert Counter(one.reason for one in parsed.skipped) == {"header": 300 * len(ZEEK_HEADER)}
    assert reader.calls == 1
    each = len(ZEEK_HEADER) + 1
    assert parsed.rows.tolist() == list(range(each - 1, 300 * each, each))


def test_headers_that_change_with_each_line_are_refused_beyond_a_bound() -> None:
    one, other = b"#fields\tts\tuid", b"#fields\tts\tid.orig_h"
    reader = Counted(RecordOptions())
    values = [*ZEEK_HEADER, zeek_line(), *[one, b"1\t2", other, b"1\t10.0.0.1"] * 1000, *ZEEK_HEADER, zeek_line()]
    parsed = read(reader, values)
    assert Counter(one.reason for one in parsed.refused)[TOO_MANY] == 2000 + 2 - CHANGES_MOST
    assert parsed.flows.num_rows == 1


def test_summaries_of_nfdump_cost_what_they_are() -> None:
    reader = NfdumpCsvReader(PARIS)
    parsed = read(reader, [NFDUMP_HEADER, NFDUMP_LINE, b"Summary", b"flows,bytes", b"1,2"] * 200)
    assert parsed.flows.num_rows == min(200, CHANGES_MOST // 2)
    assert Counter(one.reason for one in parsed.skipped)["header"] == 400


class Failing:
    """A reader with a fault of its own, at one value."""

    format = "failing"

    def __init__(self, bad: bytes) -> None:
        self._bad = bad
        self._inner = ZeekReader(RecordOptions())

    def read(self, values: Any, ids: Ids, received_us: Any = None) -> Parsed:
        if self._bad in list(values):
            raise ZeroDivisionError
        return self._inner.read(values, ids, received_us)


def test_a_fault_of_a_reader_costs_the_record_at_which_it_fails() -> None:
    values = [*ZEEK_HEADER, *[zeek_line()] * 5, b"the bad one", *[zeek_line()] * 6]
    for given in (values, Values.of(values)):
        parsed = read_safely(Failing(b"the bad one"), given, Ids("here", np.arange(len(values))))
        accounted(parsed, len(values))
        assert parsed.flows.num_rows == 11
        assert [(one.index, one.reason) for one in parsed.refused] == [(values.index(b"the bad one"), "reader_failed")]
