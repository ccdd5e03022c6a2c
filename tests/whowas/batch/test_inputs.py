"""Inputs: plain, compressed, cut, damaged, many members; what could be read is always delivered."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.files import Input, find_inputs, open_input
from whowas.errors import BrokenInput, InputError

PACKERS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "xz": lzma.compress,
}


def packed(name: str, data: bytes) -> Input:
    raw = PACKERS[name](data) if name else data
    return Input("made-up", io.BytesIO(raw), len(raw))


def read_all(source: Input, step: int = 1000) -> bytes:
    found = b""
    while part := source.read(step):
        found += part
    return found


@pytest.mark.parametrize("name", ["", *PACKERS])
@given(data=st.binary(max_size=5000), step=st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_what_went_in_comes_out(name: str, data: bytes, step: int) -> None:
    source = packed(name, data)
    # Plain bytes that happen to start like a compressed stream are one; that is what first bytes mean.
    if name or not source.compression:
        assert read_all(source, step) == data
        assert source.offset == len(data)


@pytest.mark.parametrize("name", PACKERS)
def test_members_one_behind_another_are_one_input(name: str) -> None:
    raw = PACKERS[name](b"one ") + PACKERS[name](b"two")
    source = Input("made-up", io.BytesIO(raw), len(raw))
    assert read_all(source) == b"one two"


@pytest.mark.parametrize("name", PACKERS)
def test_a_cut_stream_gives_what_it_holds_and_then_says_so(name: str) -> None:
    data = bytes(range(256)) * 4000
    raw = PACKERS[name](data)
    source = Input("made-up", io.BytesIO(raw[: len(raw) - 20]), 0)
    found = b""
    with pytest.raises(BrokenInput, match=f"{name} stream is cut short") as caught:  # noqa: PT012
        while True:
            found += source.read(4096) or pytest.fail("ended without a word")
    assert data.startswith(found)
    assert caught.value.offset == len(found)


@pytest.mark.parametrize("name", PACKERS)
def test_a_damaged_stream_is_named(name: str) -> None:
    raw = bytearray(PACKERS[name](bytes(i * i % 251 for i in range(200_000))))
    raw[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
    with pytest.raises(BrokenInput, match=f"{name} stream is (damaged|cut short)"):
        read_all(Input("made-up", io.BytesIO(bytes(raw)), 0))


def test_foreign_bytes_behind_a_stream_are_named() -> None:
    raw = gzip.compress(b"data") + b"something else"
    source = Input("made-up", io.BytesIO(raw), len(raw))
    assert source.read(4) == b"data"
    with pytest.raises(BrokenInput, match="14 bytes behind the gzip stream"):
        source.read(4)


def test_a_bomb_is_read_within_bounds() -> None:
    """1 GiB of nothing in 1 MB: one read gives what was asked for and holds little more."""
    raw = gzip.compress(bytes(1 << 26), 9)
    source = Input("made-up", io.BytesIO(raw), len(raw))
    assert len(source.read(1000)) == 1000
    assert len(source._ready) < 1 << 26


@given(st.sampled_from(list(PACKERS)), st.binary(max_size=300), st.binary(min_size=1, max_size=300))
@settings(max_examples=150, deadline=None)
def test_random_bytes_never_crash(name: str, body: bytes, tail: bytes) -> None:
    raw = PACKERS[name](body)[: len(tail) + 8] + tail
    source = Input("made-up", io.BytesIO(raw), len(raw))
    with contextlib.suppress(BrokenInput):
        read_all(source)
    assert source.consumed <= len(raw)


def test_words_become_paths(tmp_path: Path) -> None:
    for name in ("b.pcap", "a.pcap", "sub/c.pcap", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    inside = [str(tmp_path / name) for name in ("a.pcap", "b.pcap", "sub/c.pcap")]
    assert find_inputs([str(tmp_path)]) == inside
    assert find_inputs([str(tmp_path / "*.pcap"), str(tmp_path / "a.pcap")]) == inside[:2]
    assert find_inputs(["-"]) == ["-"]
    with pytest.raises(InputError, match="no such file, folder or match"):
        find_inputs([str(tmp_path / "none*")])


def test_a_missing_or_locked_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_input(str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="Is a directory"):
        open_input(str(tmp_path))
