"""Logs inside of wrappings: names come beside addresses, and every byte that was there stays."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import wrapped
from support.annotating import AT, WEB, annotate, unread

from enrich import History
from whowas.annotation.annotator import Choice
from whowas.annotation.run import Form

LINE = json.dumps({"start_time": AT, "downstream_remote_address": "10.244.1.20:40112", "x": "ü}"})
FORMS = {name: made for name, made in wrapped.OBJECTS.items() if name not in wrapped.WHOLE}
SHORT = Choice(columns=("confidence", "pod"))
NAMES = f',"downstream_remote_address_whowas":{{"confidence":"exact","pod":"{WEB}"}}'.encode()
ADDED = re.compile(rb',"downstream_remote_address_whowas":\{[^{}]*\}')


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pieces", [7, 1 << 20])
def test_names_come_into_the_line_and_every_byte_stays(form: str, pieces: int, overlay: History) -> None:
    data = FORMS[form]([LINE] * 3).encode()
    found = annotate(data, overlay, SHORT, pieces=pieces)
    assert found.data.count(NAMES) == 3
    assert found.data.replace(NAMES, b"") == data
    assert found.done.tally.named == 3
    for line in found.data.splitlines():
        if line.startswith(b"{"):
            assert json.loads(line)["downstream_remote_address_whowas"]["pod"] == WEB


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_read_comes_out_as_it_went_in(form: str, overlay: History) -> None:
    made = FORMS[form]
    broken = made(['{"start_time": cut}'])
    data = (made([LINE, LINE]) + broken + "no wrapping\n" + made([LINE])).encode()
    found = annotate(data, overlay, SHORT)
    assert found.data.replace(NAMES, b"") == data
    assert (found.done.tally.named, unread(found)) == (3, {"not a JSON object": 2})


def test_lines_that_the_runtime_cut_are_named_in_their_last_part(overlay: History) -> None:
    data = (wrapped.cut(LINE) + f"{wrapped.STAMP} stdout F {LINE}\n").encode()
    for pieces in (9, 1 << 20):
        found = annotate(data, overlay, SHORT, pieces=pieces)
        assert found.data.replace(NAMES, b"") == data
        assert found.done.tally.named == 2


def test_what_a_program_says_before_its_log_hides_nothing(overlay: History) -> None:
    data = wrapped.BY_LINE["cri"](["starting", "listening on [::]:80", LINE]).encode()
    found = annotate(data, overlay, SHORT)
    assert (found.done.tally.named, unread(found)) == (1, {"not a JSON object": 2})


def test_tables_inside_of_logs_of_containers(overlay: History) -> None:
    rows = ["src_ip,timestamp", f"10.244.1.20,{AT}", f'"10.244.1.20",{AT}']
    data = wrapped.BY_LINE["cri"](rows).encode()
    found = annotate(data, overlay, SHORT)
    told = found.data.decode().splitlines()
    assert told[0] == f"{wrapped.STAMP} stdout F {rows[0]},src_ip_whowas_confidence,src_ip_whowas_pod"
    assert told[1:] == [f"{wrapped.STAMP} stdout F {row},exact,{WEB}" for row in rows[1:]]


def test_zeek_inside_of_a_log_of_a_container(overlay: History) -> None:
    rows = ["#separator \\x09", "#fields\tts\tid.orig_h", "#types\ttime\taddr", "1795250376\t10.244.1.20", "#close"]
    data = wrapped.BY_LINE["kubectl"](rows).encode()
    for pieces in (5, 1 << 20):
        told = annotate(data, overlay, SHORT, pieces=pieces).data.decode().splitlines()
        assert told[3] == f"[pod/gate-1/main] {rows[3]}\texact\t{WEB}"
        assert told[2] == f"[pod/gate-1/main] {rows[2]}\tstring\tstring"
        assert len(told) == 5


def test_a_table_that_begins_with_a_time_is_no_wrapping(overlay: History) -> None:
    data = f"{AT} 10.244.1.20\n{AT} 10.244.1.20\n".encode()
    found = annotate(data, overlay, Choice(("ip",), "t", columns=("pod",)), Form("", " ", ("t", "ip")))
    assert found.data.decode().splitlines() == [f"{AT} 10.244.1.20 {WEB}"] * 2


def test_a_log_with_addresses_of_its_own_is_no_wrapping(overlay: History) -> None:
    outer = {"@timestamp": AT, "source": {"ip": "10.244.1.20"}, "message": LINE}
    (line,) = annotate(json.dumps(outer).encode() + b"\n", overlay).objects()
    assert line["source.ip_whowas"]["pod"] == WEB
    assert "downstream_remote_address_whowas" not in line


def test_names_are_added_once(overlay: History) -> None:
    first = annotate(wrapped.BY_LINE["docker"]([LINE]).encode(), overlay, SHORT)
    again = annotate(first.data, overlay, SHORT)
    assert again.data == first.data
    assert unread(again) == {"names stand there already": 1}


def test_several_records_in_one_line_are_handed_through(overlay: History) -> None:
    data = (wrapped.BY_LINE["firehose"]([LINE]) + wrapped.WHOLE["lambda"]([LINE, LINE]) + "\n").encode()
    found = annotate(data, overlay, SHORT)
    assert found.data.replace(NAMES, b"") == data
    assert found.done.tally.lines == 2


def test_utf16_comes_out_as_utf8(overlay: History) -> None:
    found = annotate(f"{LINE}\r\n".encode("utf-16"), overlay, SHORT)
    assert found.data.replace(NAMES, b"") == f"{LINE}\r\n".encode()
    assert "UTF-16" in found.said[0]


def test_a_list_of_addresses_in_one_text(overlay: History) -> None:
    lists = ["203.0.113.9, 10.244.1.20", "unknown,10.244.1.20", "a,b", "10.244.1.20", ",".join(["10.0.0.1"] * 65)]
    data = b"".join(json.dumps({"x_forwarded_for": one, "timestamp": AT}).encode() + b"\n" for one in lists)
    told = [one.get("x_forwarded_for_whowas") for one in annotate(data, overlay, SHORT).objects()]
    assert [one["confidence"] for one in told[0]] == ["none", "exact"]
    assert told[1] == [None, {"confidence": "exact", "pod": WEB}]
    assert told[2] is told[4] is None
    assert told[3] == {"confidence": "exact", "pod": WEB}
    table = annotate(f'ip,timestamp\n"203.0.113.9,10.244.1.20",{AT}\n'.encode(), overlay, SHORT).data.decode()
    assert table.splitlines()[1] == f'"203.0.113.9,10.244.1.20",{AT},"none,exact",",{WEB}"'


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_changed_lose_no_byte(overlay: History, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(FORMS)))
    raw = bytearray(FORMS[form]([LINE] * 8).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        # More than half of the first lines tell that they are wrapped.
        at = data.draw(st.integers(len(raw) // 4 + 1, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    found = annotate(bytes(raw), overlay, SHORT, pieces=data.draw(st.sampled_from([50, 1 << 20])))
    assert ADDED.sub(b"", found.data) == bytes(raw)
