"""Reads addresses and MACs out of text."""

from __future__ import annotations

import numpy as np

from ingest.columns.byte_reads import Bytes, u8
from ingest.records.kernels.json import TEXT
from ingest.records.kernels.spots import BAD, GOOD, KIND, NOTHING, is_unset, spot_size, spot_start
from whowas.arrays import Words
from whowas.kernels import kernel, lean_kernel


@lean_kernel
def _ipv4(data: Bytes, at: int, end: int, octets: Bytes, row: int, place: int) -> bool:
    """Dotted decimal into octets[row, place:place+4]. Leading zeros are refused: some read them as octal."""
    for part in range(4):
        value, first = 0, at
        while at < end and 48 <= data[at] <= 57 and at - first < 4:
            value = value * 10 + u8(data, at) - 48
            at += 1
        size = at - first
        if size == 0 or size > 3 or value > 255 or (size > 1 and data[first] == 48):
            return False
        octets[row, place + part] = value
        if part < 3:
            if at >= end or data[at] != 46:
                return False
            at += 1
    return at == end


def _digits() -> Words:
    """Value of each hexadecimal digit, -1 for all else."""
    values = np.full(256, -1, dtype=np.int64)
    for place, digit in enumerate("0123456789abcdef"):
        values[[ord(digit), ord(digit.upper())]] = place
    return values


HEX = _digits()


@lean_kernel
def _hex(c: int) -> int:
    return HEX[c]  # type: ignore[no-any-return]


@lean_kernel
def _ipv6(data: Bytes, at: int, end: int, octets: Bytes, row: int) -> bool:
    """Text of RFC 4291 into octets[row]; no zone."""
    place, gap = 0, -1
    if end - at >= 2 and data[at] == 58 and data[at + 1] == 58:
        gap, at = 0, at + 2
    while at < end:
        if place >= 16:
            return False
        value, first = 0, at
        while at < end and at - first < 5 and _hex(data[at]) >= 0:
            value = (value << 4) | _hex(data[at])
            at += 1
        if at < end and data[at] == 46:
            if place > 12 or not _ipv4(data, first, end, octets, row, place):
                return False
            place, at = place + 4, end
            break
        if at == first or at - first > 4:
            return False
        octets[row, place], octets[row, place + 1] = value >> 8, value & 255
        place += 2
        if at == end:
            break
        if data[at] != 58:
            return False
        at += 1
        if at < end and data[at] == 58:
            if gap >= 0:
                return False
            gap, at = place, at + 1
        elif at == end:
            return False
    if gap < 0:
        return place == 16
    if place > 14:
        return False
    for back in range(place - gap):
        octets[row, 15 - back] = octets[row, place - 1 - back]
    for middle in range(gap, 16 - (place - gap)):
        octets[row, middle] = 0
    return True


@lean_kernel
def _mapped(octets: Bytes, row: int) -> bool:
    for place in range(10):
        if octets[row, place] != 0:
            return False
    return bool(octets[row, 10] == 255 and octets[row, 11] == 255)


@kernel
def addresses(data: Bytes, spots: Words, column: int, octets: Bytes, families: Bytes, state: Bytes) -> None:
    """IPv4 and IPv6 texts as 16 bytes and the family. ::ffff:a.b.c.d in a record is IPv4: exporters write it so."""
    for row in range(len(spots)):
        spot = spots[row, column]
        families[row] = 0
        if is_unset(data, spot):
            state[row] = NOTHING
            continue
        at, size = spot_start(spot), spot_size(spot)
        end = at + size
        state[row] = BAD
        if spot & KIND != TEXT or size > 45:
            continue
        if _ipv4(data, at, end, octets, row, 12):
            for place in range(10):
                octets[row, place] = 0
            octets[row, 10], octets[row, 11] = 255, 255
            state[row], families[row] = GOOD, 4
        elif _ipv6(data, at, end, octets, row):
            state[row] = GOOD
            families[row] = 4 if _mapped(octets, row) else 6


@kernel
def macs(data: Bytes, spots: Words, column: int, out: Words, state: Bytes) -> None:
    """Ethernet addresses of six pairs of hex digits, or twelve digits, as 48 bits."""
    for row in range(len(spots)):
        spot = spots[row, column]
        out[row] = -1
        if is_unset(data, spot):
            state[row] = NOTHING
            continue
        at, value, digits = spot_start(spot), 0, 0
        for place in range(at, at + min(spot_size(spot), 18)):
            digit = _hex(data[place])
            if digit >= 0:
                value, digits = (value << 4) | digit, digits + 1
            elif data[place] != 58 and data[place] != 45:
                digits = 99
        good = digits == 12 and (spot_size(spot) == 17 or spot_size(spot) == 12)
        state[row] = GOOD if good else BAD
        if good:
            out[row] = value
