"""Bytes that somebody made: no reader raises, no value goes unaccounted for, no number comes out that was not there."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.flow_logs import (
    EXAMPLES,
    ZEEK_HEADER,
    accounted,
    goflow2,
    line,
    netobserv,
    read,
    suricata,
    zeek,
    zeek_line,
)

from ingest.records import FORMATS, RecordOptions, Values
from ingest.records.fields import Plan, read_json
from whowas.schema import check, flow_schema

UTC_TOLD = RecordOptions(timezone="UTC")
QUICK = settings(max_examples=60, deadline=None)
COUNTS = ("bytes_out", "bytes_in", "packets_out", "packets_in", "sampling_rate")


def sound(parsed: Any, count: int) -> None:
    """Accounted for, valid, and nothing negative."""
    accounted(parsed, count)
    check(parsed.flows, flow_schema())
    parsed.flows.validate(full=True)
    for name in COUNTS:
        assert all(value is None or value >= 0 for value in parsed.flows[name].to_pylist())
    assert parsed.flows["src_ip"].null_count == parsed.flows["dst_ip"].null_count == 0


@pytest.mark.parametrize("format", FORMATS)
@given(values=st.lists(st.binary(max_size=200), max_size=8))
@QUICK
def test_random_bytes_are_refused_or_passed_over(format: str, values: list[bytes]) -> None:
    sound(read(values, format, UTC_TOLD), len(values))


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.data())
@QUICK
def test_records_with_bytes_changed_cost_themselves_at_most(format: str, data: st.DataObject) -> None:
    example = EXAMPLES[format]
    good = example.values[-1]
    broken = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    values = [*example.values[:-1], bytes(broken), good]
    parsed = read(values, format, UTC_TOLD)
    sound(parsed, len(values))
    assert parsed.rows.tolist()[-1] == len(values) - 1


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("-"), st.just(""),
    st.just("9" * 400), st.just("::ffff:1.2.3.4"), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def _changed(told: Any, key: str, value: Any) -> Any:
    """A record with another value under one of its keys, at any depth."""
    if not isinstance(told, dict):
        return told
    return {name: value if name == key else _changed(inner, key, value) for name, inner in told.items()}


def _keys(told: Any) -> list[str]:
    return [name for key, value in told.items() for name in (key, *_keys(value))] if isinstance(told, dict) else []


JSONS = [name for name in FORMATS if EXAMPLES[name].values[-1][:1] == b"{"]


@pytest.mark.parametrize("format", JSONS)
@given(data=st.data())
@QUICK
def test_every_field_can_hold_anything(format: str, data: st.DataObject) -> None:
    example = EXAMPLES[format]
    told = json.loads(example.values[-1])
    values = []
    for key in data.draw(st.lists(st.sampled_from(_keys(told)), min_size=1, max_size=6)):
        values.append(json.dumps(_changed(told, key, data.draw(LEAVES))).encode())
    values.append(example.values[-1])
    parsed = read(values, format, UTC_TOLD)
    sound(parsed, len(values))
    assert parsed.rows.tolist()[-1] == len(values) - 1


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=12,
    ),
    st.binary(max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_the_kernel_takes_no_text_for_json_that_a_decoder_refuses(told: Any, noise: bytes) -> None:
    """The kernel says FINE or asks; whatever it calls fine is an object to msgspec too."""
    text = json.dumps({"a": told, "bytes": 5}).encode()
    for value in (text, text + noise, noise + text, text[: len(text) // 2] + noise + text[len(text) // 2 :]):
        fields = read_json(Values.of([value]), Plan({"bytes": ("bytes",)}))
        try:
            decoded = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            assert fields.reasons[0] > 0
            continue
        assert (fields.reasons[0] == 0) == isinstance(decoded, dict)
        if isinstance(decoded, dict) and type(decoded.get("bytes")) is int and abs(decoded["bytes"]) < 4 * 10**17:
            assert fields.numbers("bytes").values[0] == decoded["bytes"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"bytes": 10**30}, "bad_bytes_out"), ({"bytes": -1}, "bad_bytes_out"), ({"bytes": 1.5}, "bad_bytes_out"),
        ({"bytes": float("nan")}, "not_json"), ({"bytes": "many"}, "bad_bytes_out"),
        ({"src_port": 65536}, "bad_src_port"),
        ({"src_addr": "10.0.0.256"}, "bad_src_address"), ({"src_addr": "010.0.0.1"}, "bad_src_address"),
        ({"src_addr": "fe80::1%eth0"}, "bad_src_address"), ({"src_addr": ""}, "no_src_address"),
        ({"dst_addr": None}, "no_dst_address"), ({"proto": "no such"}, "no_protocol"), ({"proto": ""}, "no_protocol"),
        ({"time_flow_start_ns": "yesterday"}, "bad_start_time"), ({"time_flow_start_ns": 2**63}, "bad_start_time"),
        ({"src_addr": {"a": [1]}}, "bad_src_address"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(more: dict[str, Any], reason: str) -> None:
    parsed = read([line(goflow2(**more)), line(goflow2())])
    assert [(one.index, one.reason) for one in parsed.refused] == [(0, reason)]
    assert parsed.flows.num_rows == 1


def test_mapped_addresses_escapes_duplicates_and_other_alphabets_are_read() -> None:
    text = line(goflow2())
    values = [
        line(goflow2(src_addr="::ffff:10.1.0.5")),
        text.replace(b'"10.1.0.5"', b'"10.1.0.\\u0035"'),
        text.replace(b'"bytes":4200', b'"bytes":1,"bytes":4200'),
        line(goflow2(note="naïve \u2028 \U0001f600")),
        json.dumps(goflow2(), indent=2).encode(),
        line(goflow2(deep=json.loads("[" * 60 + "]" * 60))),
        text.replace(b'"src_addr"', b'"src\\u005faddr"'),
    ]
    parsed = read(values)
    assert not parsed.refused
    assert set(parsed.flows["src_ip"].to_pylist()) == {"10.1.0.5"}
    assert set(parsed.flows["bytes_out"].to_pylist()) == {4200}


def test_deep_nesting_long_lines_and_no_utf8_cost_themselves() -> None:
    values = [
        b'{"a":' * 100_000, b"[" * 1_000_000, b'{"src_addr":"' + b"1" * (1 << 20) + b'"}',
        line(goflow2()).replace(b'"IPFIX"', b'"\xff\xfe"'), b'{"bytes":' + b"9" * 100_000 + b"}", line(goflow2()),
    ]  # fmt: skip
    parsed = read(values, "goflow2")
    sound(parsed, len(values))
    assert parsed.rows.tolist() == [5]


def test_hyphens_stand_for_nothing() -> None:
    parsed = read(
        [
            *ZEEK_HEADER,
            zeek_line(**{name: "-" for name in zeek() if name not in ("ts", "id.orig_h", "id.resp_h", "proto")}),
        ]
    )
    (row,) = parsed.flows.to_pylist()
    assert [row[name] for name in ("bytes_out", "packets_in", "src_port", "app_protocol", "counter_layer")] == [
        None
    ] * 5
    assert row["start_time"] == row["end_time"]


MOMENTS = st.integers(365 * 86_400 * 10**6, 7_000_000_000 * 10**6)


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


@given(MOMENTS, st.integers(0, 10**9), st.sampled_from(["Z", "+0000", "+00:00", "+0530", "-11:00"]))
@settings(max_examples=200, deadline=None)
def test_times_keep_their_microseconds_in_every_unit(start: int, length: int, offset: str) -> None:
    from datetime import timezone

    end = start + length
    sign, hours, minutes = (offset[0], offset[1:3], offset[-2:]) if offset != "Z" else ("+", "00", "00")
    zone = timezone((1 if sign == "+" else -1) * timedelta(hours=int(hours), minutes=int(minutes)))
    spelt = [_moment(one).astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S.%f") + offset for one in (start, end)]
    flow = suricata()["flow"] | {"start": spelt[0], "end": spelt[1]}
    late = {"time_received_ns": end * 1000}
    told = [
        (line(goflow2(time_flow_start_ns=start * 1000 + 999, time_flow_end_ns=end * 1000, **late)), 1),
        (line(netobserv(TimeFlowStartMs=start // 1000, TimeFlowEndMs=end // 1000, TimeReceived=end // 10**6)), 1000),
        (line(zeek()).replace(b'"ts":1760000000.25', f'"ts":{start // 10**6}.{start % 10**6:06d}'.encode()), 1),
        (line(suricata(flow=flow, timestamp=spelt[1])), 1),
    ]
    for (value, unit), format in zip(told, ("goflow2", "netobserv", "zeek-json", "suricata"), strict=True):
        parsed = read([value], format)
        assert not parsed.refused, format
        found = parsed.flows["start_time"].cast("int64")[0].as_py()
        assert found == start // unit * unit, format


@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_addresses_are_those_that_python_reads(hosts: list[Any]) -> None:
    spellings = [text for host in hosts for text in {str(host), host.exploded, str(host).upper()}]
    parsed = read([line(goflow2(src_addr=text)) for text in spellings], "goflow2")
    assert not parsed.refused
    for text, raw, word in zip(
        spellings, parsed.flows["src_ip16"].to_pylist(), parsed.flows["src_ip"].to_pylist(), strict=True
    ):
        host = ipaddress.ip_address(text)
        mapped = getattr(host, "ipv4_mapped", None)
        plain = mapped or host
        assert raw == (bytes(10) + b"\xff\xff" + plain.packed if plain.version == 4 else plain.packed)
        assert ipaddress.ip_address(word) == plain


@given(st.text(alphabet="0123456789abcdef:.%", max_size=24))
@settings(max_examples=400, deadline=None)
def test_no_text_is_an_address_that_python_refuses(text: str) -> None:
    parsed = read([line(goflow2(src_addr=text))], "goflow2")
    try:
        known = ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        known = None
    assert (parsed.flows.num_rows == 1) == (known is not None)


@given(st.integers(0, 10**15), st.integers(0, 10**12), st.sampled_from(["goflow2", "netobserv", "suricata", "gcp"]))
@settings(max_examples=100, deadline=None)
def test_counts_come_out_as_they_went_in(octets: int, packets: int, format: str) -> None:
    names = {"goflow2": ("bytes", "packets"), "netobserv": ("Bytes", "Packets"),
             "suricata": ("bytes_toserver", "pkts_toserver"), "gcp": ("bytes_sent", "packets_sent")}  # fmt: skip
    told = json.loads(EXAMPLES[format].values[-1])
    for name, count in zip(names[format], (octets, packets), strict=True):
        told = _changed(told, name, str(count) if format == "gcp" else count)
    (row,) = read([line(told)]).flows.to_pylist()
    assert (row["bytes_out"], row["packets_out"]) == (octets, packets)


def test_batches_of_many_rows_are_those_of_one_by_one() -> None:
    dice = np.random.default_rng(5)
    told = [goflow2(src_addr=f"10.0.{dice.integers(4)}.{dice.integers(256)}", bytes=int(dice.integers(10**6)))
            for _ in range(2000)]  # fmt: skip
    values = [line(one) for one in told]
    values[::97] = [b"broken"] * len(values[::97])
    parsed = read(values, "goflow2")
    good = [one for place, one in enumerate(told) if place % 97]
    assert parsed.flows["src_ip"].to_pylist() == [one["src_addr"] for one in good]
    assert parsed.flows["bytes_out"].to_pylist() == [one["bytes"] for one in good]
    assert parsed.flows["community_id"].to_pylist()[:3] == [
        read([line(one)]).flows["community_id"][0].as_py() for one in good[:3]
    ]
