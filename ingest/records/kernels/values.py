"""Kernels: from spots in a buffer to numbers, times, addresses, words. A column at a time.

Every kernel fills `state`: GOOD, NOTHING (the field is absent), BAD (it is there and is not what it should be).
"""

from __future__ import annotations

import numpy as np

from ingest.columns.byte_reads import Bytes, Words, u8
from ingest.records.kernels.json import ABSENT, KIND_BITS, LENGTH_BITS, NUMBER, TEXT
from whowas.kernels import kernel, lean_kernel

GOOD, NOTHING, BAD, LOCAL = 0, 1, 2, 3
LENGTH = (1 << LENGTH_BITS) - 1
KIND = (1 << KIND_BITS) - 1
DAY = 86_400_000_000
# Another digit behind a number up to this still fits into 63 bits.
LAST_TENTH = 922_337_203_685_477_579


@lean_kernel
def _start(spot: int) -> int:
    return spot >> (LENGTH_BITS + KIND_BITS)


@lean_kernel
def _size(spot: int) -> int:
    return (spot >> KIND_BITS) & LENGTH


@lean_kernel
def _is_unset(data: Bytes, spot: int) -> bool:
    """Empty, or a hyphen: how texts say that there is nothing."""
    size = _size(spot)
    return spot & KIND == ABSENT or size == 0 or (size == 1 and data[_start(spot)] == 45)


@lean_kernel
def _scaled(data: Bytes, at: int, end: int, power: int) -> int:
    """Decimal number times 10^power, rounded to the nearest below; -2^62 where it is none or too large."""
    none = -(1 << 62)
    negative = at < end and data[at] == 45
    if negative:
        at += 1
    value, first = 0, at
    while at < end and 48 <= data[at] <= 57:
        if value > LAST_TENTH:
            return none
        value = value * 10 + u8(data, at) - 48
        at += 1
    if at == first:
        return none
    left, rest = power, False
    if at < end and data[at] == 46:
        at += 1
        if at == end:
            return none
        while at < end and 48 <= data[at] <= 57:
            if left > 0:
                if value > LAST_TENTH:
                    return none
                value = value * 10 + u8(data, at) - 48
                left -= 1
            elif data[at] != 48:
                rest = True
            at += 1
    if at != end or (rest and power == 0):
        return none
    while left > 0:
        if value > LAST_TENTH:
            return none
        value *= 10
        left -= 1
    return (-value - 1 if rest else -value) if negative else value


@kernel
def decimals(data: Bytes, spots: Words, column: int, power: int, out: Words, state: Bytes) -> None:
    """Numbers, or texts of numbers, times 10^power. With power 0 a fraction other than zero is BAD."""
    for row in range(len(spots)):
        spot = spots[row, column]
        kind = spot & KIND
        if _is_unset(data, spot):
            state[row] = NOTHING
        elif kind != NUMBER and kind != TEXT:
            state[row] = BAD
        else:
            value = _scaled(data, _start(spot), _start(spot) + _size(spot), power)
            state[row] = BAD if value == -(1 << 62) else GOOD
            out[row] = value


@lean_kernel
def _two(data: Bytes, at: int) -> int:
    """Two digits; -1 else."""
    high, low = u8(data, at) - 48, u8(data, at + 1) - 48
    return high * 10 + low if 0 <= high <= 9 and 0 <= low <= 9 else -1


@lean_kernel
def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 in the Gregorian calendar; years begin in March, so that leap days come last."""
    y = year - 1 if month <= 2 else year
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@lean_kernel
def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


@lean_kernel
def _clock(data: Bytes, at: int) -> int:
    """us since 1970 of YYYY-MM-DD?hh:mm:ss; -1 where it is none (nothing before 1970 is a flow)."""
    century, year = _two(data, at), _two(data, at + 2)
    month, day = _two(data, at + 5), _two(data, at + 8)
    hour, minute, second = _two(data, at + 11), _two(data, at + 14), _two(data, at + 17)
    if min(century, year, month, day, hour, minute, second) < 0:
        return -1
    year += 100 * century
    if data[at + 4] != 45 or data[at + 7] != 45 or data[at + 13] != 58 or data[at + 16] != 58:
        return -1
    if data[at + 10] != 84 and data[at + 10] != 116 and data[at + 10] != 32:
        return -1
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= _month_days(year, month):
        return -1
    # 60 is a leap second; it counts as the first of the next minute.
    if hour > 23 or minute > 59 or second > 60:
        return -1
    return _days(year, month, day) * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000


@lean_kernel
def _offset(data: Bytes, at: int, end: int) -> int:
    """Seconds east of UTC of Z, +hh:mm, +hhmm or ` UTC`; 2^20 where there is none, 2^21 where it is no offset."""
    if at == end:
        return 1 << 20
    c = data[at]
    if (c == 90 or c == 122) and at + 1 == end:
        return 0
    if c == 32 and at + 4 == end and data[at + 1] == 85 and data[at + 2] == 84 and data[at + 3] == 67:
        return 0
    if (c != 43 and c != 45) or end - at < 5 or end - at > 6:
        return 1 << 21
    if end - at == 6 and data[at + 3] != 58:
        return 1 << 21
    hours, minutes = _two(data, at + 1), _two(data, end - 2)
    if not 0 <= hours <= 23 or not 0 <= minutes <= 59:
        return 1 << 21
    seconds = (hours * 60 + minutes) * 60
    return -seconds if c == 45 else seconds


@kernel
def timestamps(data: Bytes, spots: Words, column: int, out: Words, state: Bytes) -> None:
    """RFC 3339 texts (also with a space for the T, +0000 for the offset) as us UTC. LOCAL: no offset was told."""
    for row in range(len(spots)):
        spot = spots[row, column]
        if _is_unset(data, spot):
            state[row] = NOTHING
            continue
        at, size = _start(spot), _size(spot)
        end = at + size
        state[row] = BAD
        if spot & KIND != TEXT or size < 19:
            continue
        us = _clock(data, at)
        at += 19
        if us < 0:
            continue
        if at < end and (data[at] == 46 or data[at] == 44):
            at += 1
            unit = 100_000
            while at < end and 48 <= data[at] <= 57:
                us += (u8(data, at) - 48) * unit
                unit //= 10
                at += 1
        east = _offset(data, at, end)
        if east == 1 << 21:
            continue
        state[row] = LOCAL if east == 1 << 20 else GOOD
        out[row] = us if east == 1 << 20 else us - east * 1_000_000


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
        if _is_unset(data, spot):
            state[row] = NOTHING
            continue
        at, size = _start(spot), _size(spot)
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
        if _is_unset(data, spot):
            state[row] = NOTHING
            continue
        at, value, digits = _start(spot), 0, 0
        for place in range(at, at + min(_size(spot), 18)):
            digit = _hex(data[place])
            if digit >= 0:
                value, digits = (value << 4) | digit, digits + 1
            elif data[place] != 58 and data[place] != 45:
                digits = 99
        good = digits == 12 and (_size(spot) == 17 or _size(spot) == 12)
        state[row] = GOOD if good else BAD
        if good:
            out[row] = value


@kernel
def distinct_spans(
    data: Bytes, spots: Words, column: int, secret: int, table: Words, numbers: Words, firsts: Words
) -> int:
    """Number each row's bytes: equal bytes, equal number, -1 where absent. Returns: how many there are.

    Args: table: a power of two, at least twice the rows. firsts: filled with the first row of each.
    """
    mask, count = len(table) - 1, 0
    table[:] = -1
    for row in range(len(spots)):
        spot = spots[row, column]
        if spot & KIND == ABSENT:
            numbers[row] = -1
            continue
        at, size = _start(spot), _size(spot)
        if row > 0 and numbers[row - 1] >= 0 and _equal(data, spots[row - 1, column], at, size):
            numbers[row] = numbers[row - 1]
            continue
        mixed = secret
        for place in range(at, at + size):
            mixed = (mixed ^ u8(data, place)) * 0x2127599BF4325C37
            mixed ^= mixed >> 29
        slot = (mixed ^ (mixed >> 32)) & mask
        while table[slot] >= 0 and not _equal(data, spots[firsts[table[slot]], column], at, size):
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot], firsts[count] = count, row
            count += 1
        numbers[row] = table[slot]
    return count


@lean_kernel
def _equal(data: Bytes, spot: int, at: int, size: int) -> bool:
    if _size(spot) != size:
        return False
    first = _start(spot)
    for place in range(size):  # noqa: SIM110 - a kernel has no generators
        if data[first + place] != data[at + place]:
            return False
    return True


@kernel
def distinct_pairs(first: Words, second: Words, secret: int, table: Words, numbers: Words, firsts: Words) -> int:
    """Number each row's pair of numbers: equal pairs, equal number. firsts: first row of each. Returns: the count."""
    mask, count = len(table) - 1, 0
    table[:] = -1
    for row in range(len(first)):
        mixed = (first[row] ^ secret) * 0x2127599BF4325C37
        mixed = (mixed ^ (mixed >> 31) ^ second[row]) * 0x1B03738712FAD5C9
        slot = (mixed ^ (mixed >> 32)) & mask
        while table[slot] >= 0:
            other = firsts[table[slot]]
            if first[other] == first[row] and second[other] == second[row]:
                break
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = count
            firsts[count] = row
            count += 1
        numbers[row] = table[slot]
    return count
