"""Damages bytes as disks, networks and enemies do. The same seed damages them in the same way."""

from __future__ import annotations

import random
from collections.abc import Sequence

# What has broken parsers before: of numbers, texts, nesting, lengths, headers and times.
TOKENS = (
    b"", b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\n", b"\r\n", b"\t", b"{", b"}", b"[" * 300, b'{"a":' * 300, b'"', b"\\", b"\\u0000", b"\\ud800",
    b"null", b"true", b"NaN", b"-1", b"0", b"1e999", b"9223372036854775808", b"18446744073709551616", b"0x10",
    b"99999999999999999999999999", b"1970-01-01T00:00:00Z", b"9999-12-31T23:59:60Z", b"0000-00-00T00:00:00Z",
    b"::ffff:1.2.3.4", b"999.999.999.999", b"fe80::1%eth0", b"#separator \\x\"9\n", b"#separator \\x\n", b"#fields\t\n",
    b"#types\tx\n", b"\x0a\x0d\x0d\x0a", b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"*a", b"&a ", b"!!python/object ",
    b"%", b"\xe2\x80\xae", b"\x1b[2J", b"]]>", b"'", b",,,,", b"=", b"a" * 400, b"\xc3", b"1" * 5000,
)  # fmt: skip


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return the data with one to six damages. others: what pieces are taken from."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        _damage(out, others, chance)
    return bytes(out)


def _damage(out: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(out) + 1)
    size = chance.choice((1, 1, 2, 4, 8, 32, 200))
    kind = chance.randrange(8)
    if kind == 0 and at < len(out):
        out[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < len(out):
        out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    elif kind == 2:
        del out[at : at + size]
    elif kind == 3:
        out[at:at] = chance.randbytes(size)
    elif kind == 4:
        out[at:at] = out[at : at + size] * chance.choice((1, 2, 20))
    elif kind == 5:
        other = chance.choice(others)
        begin = chance.randrange(len(other) + 1)
        out[at : at + size * chance.randrange(2)] = other[begin : begin + size * 8]
    elif kind == 6:
        token = chance.choice(TOKENS)
        out[at : at + len(token) * chance.randrange(2)] = token
    elif len(out) > 1 and chance.random() < 0.3:
        del out[at:]
