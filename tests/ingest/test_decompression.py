"""What is compressed is expanded as it is asked for, whatever it holds."""

from __future__ import annotations

import gzip
import io
import lzma
import random

import lz4.frame
import pytest
import zstandard
from support.bombs import BOMBS, MIB

from ingest.decompression import AT_ONCE, BLOCKS_AT_ONCE, Unpacker, compression_of
from ingest.files import Input
from whowas.errors import BrokenInput

PACK = {
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": lambda data: zstandard.ZstdCompressor(3, write_checksum=True).compress(data),
    "lz4": lz4.frame.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
}
KINDS = sorted(PACK)


def sized(size: int) -> bytes:
    return random.Random(size).randbytes(size // 2) + b"\0" * (size - size // 2)


@pytest.mark.parametrize("ending", sorted(BOMBS))
def test_no_step_gives_more_than_is_asked_for(ending: str) -> None:
    data = BOMBS[ending](b"begins", b"A", 64 * MIB)
    unpacker = Unpacker(compression_of(data))
    unpacker.feed(data)
    largest = total = 0
    while out := unpacker.take(1000):
        largest, total = max(largest, len(out)), total + len(out)
    assert total == 64 * MIB + len("begins")
    assert unpacker.fault is None
    assert largest <= 1000 + (BLOCKS_AT_ONCE + 1 << 17 if ending == "zst" else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [1, 7, 4096, 1 << 18])
def test_pieces_of_any_size_and_members_of_any_size(kind: str, piece: int) -> None:
    parts = [b"", b"a", sized(3000), sized(200_000)] if piece > 7 else [b"", b"a", sized(3000)]
    stored = b"".join(map(PACK[kind], parts))
    unpacker, found = Unpacker(kind), bytearray()
    for at in range(0, len(stored), piece):
        unpacker.feed(stored[at : at + piece])
        while out := unpacker.take():
            found += out
    unpacker.feed(b"")
    assert (unpacker.take(), unpacker.fault, bytes(found)) == (b"", None, b"".join(parts))


@pytest.mark.parametrize("kind", KINDS)
def test_frames_with_every_header(kind: str) -> None:
    """Sizes told and not told, with and without checksum, windows small and large."""
    data = sized(700_000)
    if kind == "zstd":
        for size in (True, False):
            for check in (True, False):
                for one in (b"x", data[:300], data[:70_000], data):
                    packer = zstandard.ZstdCompressor(1, write_checksum=check, write_content_size=size)
                    assert Input("x", io.BytesIO(packer.compress(one)), 0).read(len(one) + 1) == one
    for one in (b"x", data[:300], data):
        assert Input("x", io.BytesIO(PACK[kind](one)), 0).read(len(one) + 1) == one


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_or_followed_by_something_else_is_told_after_all_that_could_be_read(kind: str) -> None:
    data = sized(300_000)
    stored = PACK[kind](data)
    for bad, why, least in (
        (stored[:-3], "is cut short", 100_000),
        (stored + b"what", "are not part of it", 300_000),
        (stored + stored[:1], "are not part of it", 300_000),
    ):
        source = Input("x", io.BytesIO(bad), len(bad))
        found = source.read(1 << 20)
        assert len(found) >= least
        assert data.startswith(found)
        with pytest.raises(BrokenInput, match=why) as told:
            source.read(1)
        assert told.value.offset == len(found)
    assert Input("x", io.BytesIO(stored + bytes(1000)), 0).read(1 << 20) == data


def test_windows_beyond_reason_are_refused() -> None:
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([20 << 3]) + b"\x01\x00\x00"
    with pytest.raises(BrokenInput, match="damaged"):
        Input("x", io.BytesIO(frame), 0).read(1)


def test_a_disk_that_fails_gives_what_came_before() -> None:
    class Failing(io.RawIOBase):
        def __init__(self) -> None:
            self.left = [b"plain" + bytes(95), b"more"]

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            if not self.left:
                raise OSError(5, "Input/output error")
            data = self.left.pop(0)[: len(buffer)]
            buffer[: len(data)] = data
            return len(data)

    source = Input("x", Failing(), 0)  # type: ignore[arg-type]
    found = source.read(AT_ONCE)
    assert found.startswith(b"plain")
    with pytest.raises(BrokenInput, match="Input/output error") as told:
        source.read(1)
    assert told.value.offset == len(found)
