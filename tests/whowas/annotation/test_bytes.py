"""Every byte that came in goes out, in its place; names are only ever put in between."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.annotating import AT, AT_S, WEB, annotate

from enrich import History
from ingest.decompression import MAGICS
from whowas.annotation.annotator import USUAL
from whowas.errors import WhowasError

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ADDRESSES = st.sampled_from(["10.244.1.20", "10.96.0.10", "8.8.8.8", "::1", "-", "", "nobody", "10.244.1.22:80"]) | ANY
TIMES = st.sampled_from([AT, "2026-11-21T08:39:36+0000", AT_S, AT_S * 1000, "yesterday", None]) | ANY
KNOWN = st.fixed_dictionaries(
    {}, optional={"src_ip": ADDRESSES, "dest_ip": ADDRESSES, "timestamp": TIMES, "source": ANY, "src_ip_whowas": ANY}
)
RECORD = st.tuples(KNOWN, st.dictionaries(st.text(max_size=6), ANY, max_size=3)).map(lambda two: two[1] | two[0])


@st.composite
def json_line(draw: Any) -> bytes:
    """An object as some program may have written it: other blanks, ASCII or not."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))
    text = json.dumps(draw(RECORD), separators=separators, ensure_ascii=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"", b" ", b"\r", b"\t "]))


LINE = (
    json_line()
    | st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b""))
    | st.sampled_from([b"{}", b"", b"{}{}"])
)
PIECES = st.sampled_from([1, 7, 50, 1000])
LOOSE = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_line(before: bytes, after: bytes) -> None:
    """`after` is `before` with members put in before its last brace, or `before` itself."""
    if after == before:
        return
    at = before.rindex(b"}")
    tail = before[at:]
    assert after.startswith(before[:at])
    assert after.endswith(tail)
    added = json.loads(b"{" + after[at : len(after) - len(tail)].removeprefix(b",") + b"}")
    assert added
    assert all(name.endswith("_whowas") for name in added)
    whole = json.loads(after)
    assert {name: value for name, value in whole.items() if name not in added} == json.loads(before)


@LOOSE
@given(st.lists(LINE, max_size=12), st.booleans(), PIECES)
def test_json_lines_keep_every_byte(overlay: History, lines: list[bytes], ended: bool, pieces: int) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    first = b'{"src_ip":"10.244.1.20","dest_ip":"10.96.0.10","timestamp":"2026-11-21T08:39:36Z"}\n'
    found = annotate(first + data, overlay, pieces=pieces).data.split(b"\n")
    before = (first + data).split(b"\n")
    assert len(found) == len(before)
    for one, other in zip(before, found, strict=True):
        check_line(one, other)


@LOOSE
@given(st.lists(LINE, max_size=12), PIECES)
def test_names_do_not_depend_on_how_the_bytes_arrive(overlay: History, lines: list[bytes], pieces: int) -> None:
    first = [b'{"src_ip":"10.244.1.20","dest_ip":"10.96.0.10","timestamp":"2026-11-21T08:39:36Z"}'] * 3
    data = b"\n".join(first + lines) + b"\n"
    assert annotate(data, overlay, pieces=pieces).data == annotate(data, overlay).data


# csv leaves a lone carriage return bare, which is no CSV any more.
CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"), max_size=8)
ROW = st.tuples(
    TIMES.map(str).map(lambda text: text.replace("\r", "")),
    ADDRESSES.map(str).map(lambda text: text.replace("\r", "")),
    CELL,
    CELL,
)


@LOOSE
@given(
    st.lists(ROW, max_size=8),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    PIECES,
)
def test_csv_keeps_every_cell_and_every_byte(
    overlay: History, rows: list[tuple[str, ...]], delimiter: str, end: str, quoting: Any, pieces: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("timestamp", "src_ip", "note", "more"), *rows])
    data = text.getvalue().encode()
    found = annotate(data, overlay, pieces=pieces).data
    assert found == annotate(data, overlay).data
    before = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))
    after = list(csv.reader(io.StringIO(found.decode(), newline=""), delimiter=delimiter))
    assert [row[:4] for row in after] == before
    assert {len(row) for row in after if row} == {4 + len(USUAL)}
    check_order(data, found)


def check_order(before: bytes, after: bytes) -> None:
    """Every byte of `before` stands in `after`, in its order."""
    at = 0
    for byte in before:
        at = after.index(bytes([byte]), at) + 1


@LOOSE
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"a,src_ip,timestamp\n", b"#fields\tts\tid.orig_h\n#types\ttime\taddr\n"]),
)
def test_whatever_bytes_come_none_is_lost(overlay: History, data: bytes, head: bytes) -> None:
    assume(not (head + data).startswith(tuple(magic for magic, _ in MAGICS)))
    try:
        found = annotate(head + data, overlay, pieces=7)
    except WhowasError:
        return
    check_order(head + data, found.data)


def test_blank_lines_marks_and_line_ends_stay(overlay: History) -> None:
    line = b'{"src_ip": "10.244.1.20", "dest_ip": "10.96.0.10", "timestamp": "2026-11-21T08:39:36Z"}'
    data = b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line + b"\t\n" + line
    found = annotate(data, overlay)
    assert found.done.tally.named == 3
    for one, other in zip(data.split(b"\n"), found.data.split(b"\n"), strict=True):
        check_line(one.removeprefix(b"\xef\xbb\xbf"), other.removeprefix(b"\xef\xbb\xbf"))
    assert found.data.startswith(b"\xef\xbb\xbf{")
    assert found.data.count(b"\r\n") == 2


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_zeek_log_keeps_its_header_and_its_end(overlay: History, root: Any, end: bytes) -> None:
    data = (root / "samples" / "annotate" / "conn.log").read_bytes().replace(b"\n", end)
    found = annotate(data, overlay)
    lines = found.data.split(end)
    assert [line.split(b"\t")[:11] if b"\t" in line else line for line in lines] == [
        line.split(b"\t")[:11] if b"\t" in line else line for line in data.split(end)
    ]
    fields, kinds = (
        next(line for line in lines if line.startswith(word)).split(b"\t") for word in (b"#fields", b"#types")
    )
    assert len(fields) == len(kinds) == 12 + 2 * len(USUAL)
    assert {len(line.split(b"\t")) for line in lines if line and not line.startswith(b"#")} == {len(fields) - 1}
    assert lines[-2].startswith(b"#close")


@pytest.mark.parametrize("told", ["\\x", '\\x"9', "\\xzz", "\\N{BULLET}", "\\u2022", "\\n", "\\", ""])
def test_a_separator_of_zeek_that_is_none_is_a_tab(overlay: History, told: str) -> None:
    head = "#separator {}\n#fields\tts\tid.orig_h\n#types\ttime\taddr\n"
    row = f"{AT_S}\t10.244.1.20\n"
    found = annotate((head.format(told) + row).encode(), overlay).data.decode()
    assert found == annotate((head.format("\\x09") + row).encode(), overlay).data.decode().replace("\\x09", told)
    assert WEB in found
