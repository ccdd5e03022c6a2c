"""Rows of a query as JSON lines, CSV and tables: every value safe where it is shown."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from whowas.cli import terminal
from whowas.cli.terminal import clean, console, plural, print_json
from whowas.safe_text import in_words

UTC_NAMES = ("UTC", "Etc/UTC", "Z")


def plain(value: Any, kind: Any) -> Any:
    """Return one value of a column as JSON has it.

    Times are RFC 3339 in the query's zone, bytes are hex, labels are objects, whole numbers of any size are numbers.
    """
    if value is None:
        return None
    if pa.types.is_dictionary(kind):
        return plain(value, kind.value_type)
    if pa.types.is_map(kind):
        return {str(plain(key, kind.key_type)): plain(one, kind.item_type) for key, one in dict(value).items()}
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    if isinstance(value, list):
        return [plain(one, kind.value_type) for one in value]
    if isinstance(value, datetime):
        return _time(value, str(kind.tz))
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, pa.MonthDayNano):
        return _interval(value)
    return str(value)


def _time(value: datetime, zone: str) -> str:
    # One without a zone stays without: to give it one would be to guess.
    if value.tzinfo is None:
        return value.isoformat(timespec="microseconds")
    if zone in UTC_NAMES:
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat(timespec="microseconds")


def _interval(value: Any) -> str:
    parts = [plural(count, noun) for count, noun in ((value.months, "month"), (value.days, "day")) if count]
    if value.nanoseconds or not parts:
        parts.append(str(timedelta(microseconds=value.nanoseconds // 1000)))
    return " ".join(parts)


def values(batches: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield rows as lists of plain values."""
    for batch in batches:
        columns = [[plain(one, field.type) for one in _listed(column)] for field, column in _fields(batch)]
        yield from map(list, zip(*columns, strict=True))


def _fields(batch: Any) -> Iterator[tuple[Any, Any]]:
    return zip(batch.schema, batch.columns, strict=True)


def _listed(column: Any) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        # Years that Python does not know, and 'infinity': as their number.
        return [str(one) for one in column.cast(pa.int64()).to_pylist()]


def names_once(names: Sequence[str]) -> list[str]:
    """Return names of which no two are the same: an object has each key once."""
    found: list[str] = []
    for name in names:
        number, fresh = 1, name
        while fresh in found:
            number += 1
            fresh = f"{name}_{number}"
        found.append(fresh)
    return found


def print_json_lines(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print an object a row."""
    keys = names_once(names)
    for row in rows:
        print_json(dict(zip(keys, row, strict=True)), line=True)


def print_csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print CSV in which no cell starts a formula; on a terminal, nor moves its cursor."""
    terminal.print_csv([names])
    terminal.print_csv([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if numeric else in_words(value)


def print_table(names: Sequence[str], rows: Iterator[Sequence[Any]], numeric: Sequence[bool], limit: int) -> None:
    """Print the first rows as a table, upright where it is too wide, and how many more there are."""
    screen = console()
    shown = [[clean(in_words(value)) for value in row] for _, row in zip(range(limit), rows, strict=False)]
    more = sum(1 for _ in rows)
    heads = [clean(name) for name in names]
    wide = [max([len(head), *(len(row[at]) for row in shown)]) for at, head in enumerate(heads)]
    room = screen.width if sys.stdout.isatty() else 400
    if len(names) > 1 and sum(wide) + 2 * len(names) > room:
        _print_upright(shown, heads, screen)
    else:
        _print_flat(shown, heads, [f"{'>' if right else '<'}{one}" for right, one in zip(numeric, wide, strict=True)])
        screen.print(f"({plural(len(shown) + more, 'row')})")
    if more:
        screen.print(f"… {plural(more, 'row')} more; --limit shows them, --json and --csv print all")


def _print_flat(rows: Iterable[Sequence[str]], heads: Sequence[str], forms: Sequence[str]) -> None:
    """One line a row, numbers to the right."""
    from rich.text import Text

    screen = console()
    lines = ("  ".join(f"{cell:{form}}" for cell, form in zip(row, forms, strict=True)).rstrip() for row in rows)
    head = "  ".join(f"{cell:{form}}" for cell, form in zip(heads, forms, strict=True)).rstrip()
    screen.print(Text(head, style="bold"), soft_wrap=True)
    for line in lines:
        screen.print(line, soft_wrap=True)


def _print_upright(rows: Iterable[Sequence[str]], heads: Sequence[str], screen: Any) -> None:
    """One line a value, empty ones left out: what does not fit the screen's width."""
    from rich.text import Text

    wide = max(map(len, heads))
    for number, row in enumerate(rows, 1):
        screen.print(Text(f"row {number}", style="bold"))
        for head, cell in zip(heads, row, strict=True):
            if cell:
                screen.print(f"  {head:<{wide}}  {cell}", soft_wrap=True)
