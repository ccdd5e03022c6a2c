"""Kernels: from spots in a buffer to numbers, times, addresses, words. A column at a time.

Every kernel fills `state`: GOOD, NOTHING (the field is absent), BAD (it is there and is not what it should be).
"""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8
from ingest.records.kernels.json import NUMBER, TEXT
from ingest.records.kernels.spots import BAD, GOOD, KIND, LOCAL, NOTHING, is_unset, spot_size, spot_start
from whowas.arrays import Words
from whowas.kernels import kernel, lean_kernel

DAY = 86_400_000_000
# Another digit behind a number up to this still fits into 63 bits.
LAST_TENTH = 922_337_203_685_477_579


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
        if is_unset(data, spot):
            state[row] = NOTHING
        elif kind != NUMBER and kind != TEXT:
            state[row] = BAD
        else:
            value = _scaled(data, spot_start(spot), spot_start(spot) + spot_size(spot), power)
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
        if is_unset(data, spot):
            state[row] = NOTHING
            continue
        at, size = spot_start(spot), spot_size(spot)
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
