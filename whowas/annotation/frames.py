"""Names beside the addresses of a frame: pandas, Polars, Arrow, and whatever else speaks Arrow's C interface."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enrich import History, NamingOptions, load_networks
from whowas.annotation.annotator import SUFFIX, USUAL, Annotator, Choice, Named, Tally
from whowas.annotation.delimited import Columns
from whowas.annotation.namer import BatchNamer
from whowas.annotation.times import Clock, Moments
from whowas.annotation.when import Column
from whowas.errors import ConfigError, UnreadableWarning
from whowas.history.evidence_files import Paths
from whowas.history.queries import load_history
from whowas.schema import CANDIDATE, LABELS
from whowas.timestamps import moment_us, zone_of

TYPES = {"labels": LABELS, "images": pa.list_(pa.string()), "candidates": pa.list_(CANDIDATE)}


def annotate(
    frame: Any,
    *,
    history: History | Paths,
    ip: str | Sequence[str] = (),
    time: str = "",
    at: Any = None,
    columns: Sequence[str] = USUAL,
    suffix: str = SUFFIX,
    timezone: str = "",
    time_unit: str | None = None,
    cluster: str | None = None,
    networks: str | None = None,
    naming: NamingOptions | None = None,
) -> Any:
    """Return the frame with further columns that say who held the addresses in it at the time of each row.

    Args: frame: a pandas or Polars DataFrame, a pyarrow Table or RecordBatch, or what has __arrow_c_stream__ (comes
        back as a Table). history: one loaded with load_history, or what that takes. ip: columns of addresses (text,
        ipaddress objects, 4 or 16 bytes). time: the column that tells when: timestamps, text with an offset, numbers
        since 1970. Without ip or time, columns of known logs are found. at: one time for all rows. timezone: of times
        that have none. time_unit: s, ms, us or ns, of numbers; without it by magnitude. naming: takes the place of
        cluster and networks.
    Returns: the same kind of frame. For each address `<column><suffix>_confidence`, `…_pod` and so on; null where
        the address is null or the row could not be read.
    Raises: ConfigError for columns that are not there or cannot be used, WhowasError for the history.
    Warns: UnreadableWarning when addresses or times could not be read, with how many and why.
    """
    addresses = (ip,) if isinstance(ip, str) else tuple(ip)
    choice = Choice(addresses, time, None if at is None else moment_us(at), tuple(columns), suffix)
    clock = Clock(time_unit, zone_of(timezone) if timezone else None)
    options = naming or NamingOptions(cluster, load_networks(networks) if networks else ())
    kind = _Kind(frame)
    known = history if isinstance(history, History) else load_history(history, cluster=cluster)
    beside = Annotator(BatchNamer(known, options), clock, Tally(), texts=False)
    found = Columns(kind.names(), choice, beside, lambda _line: None)
    named = found.named(lambda name: kind.values(name, clock), kind.size())
    added = dict(zip(found.added, _arrays(named, choice), strict=True))
    _warn(beside.tally)
    return kind.with_columns(added)


def _arrays(named: Named, choice: Choice) -> list[Any]:
    """One Arrow array for each column that is added, field by field."""
    made = []
    answers = named.answers.words(named.answers.keys) if named.answers is not None else []
    for own in named.own:
        rows = pa.array(np.maximum(own, 0), mask=own < 0)
        for name in choice.columns:
            words = [answer[name] if name in TYPES else answer[name] or None for answer in answers]
            if name in TYPES:
                made.append(pa.array(words, TYPES[name]).take(rows))
                continue
            encoded = pa.array(words, pa.string()).dictionary_encode()
            made.append(pa.DictionaryArray.from_arrays(encoded.indices.take(rows), encoded.dictionary))
    return made


def _warn(tally: Tally) -> None:
    told = [f"{reason} {count:,}" for reason, count in tally.unread.most_common()]
    if told:
        line = f"rows without names: {', '.join(told)}"
        warnings.warn(line, UnreadableWarning, stacklevel=3)


class _Kind:
    """A frame of whatever kind, seen as columns."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._room = type(frame).__module__.partition(".")[0]
        if self._room == "polars" and hasattr(frame, "collect"):
            raise ConfigError("cannot annotate a lazy frame: its rows are not there yet; collect() it")
        if self._room not in ("pandas", "polars") and not isinstance(frame, (pa.Table, pa.RecordBatch)):
            if not hasattr(frame, "__arrow_c_stream__"):
                what = type(frame).__name__
                raise ConfigError(f"cannot annotate a {what}: no frame; give a pandas, Polars or Arrow one")
            self._frame = pa.table(frame)

    def names(self) -> list[str]:
        """Return the names of the columns. Raises: ConfigError for a name that is there twice."""
        own = self._frame.schema.names if isinstance(self._frame, (pa.Table, pa.RecordBatch)) else self._frame.columns
        names = list(map(str, own))
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice is not None:
            raise ConfigError(f"cannot annotate this frame: it has two columns '{twice}'; rename one")
        return names

    def size(self) -> int:
        """Return the number of rows."""
        return len(self._frame) if self._room in ("pandas", "polars") else int(self._frame.num_rows)

    def values(self, name: str, clock: Clock) -> Column:
        """Return a column as values that addresses and times are read from."""
        column = self._column(name)
        if isinstance(column, list):
            return [None if value != value else value for value in column]
        if pa.types.is_timestamp(column.type):
            return _moments(column, name, clock)
        if pa.types.is_nested(column.type):
            raise ConfigError(f"cannot use column '{name}': it is of type {column.type}; take it apart first")
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        found: list[Any] = column.to_pylist()
        return found

    def _column(self, name: str) -> Any:
        """Return a column in Arrow, or as a list where it holds objects."""
        frame = self._frame
        if self._room == "pandas":
            own = next(one for one in frame.columns if str(one) == name)
            try:
                return _whole(pa.array(frame[own], from_pandas=True))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
                return frame[own].tolist()
        if self._room == "polars":
            series = frame[name]
            return series.to_list() if str(series.dtype) == "Object" else _whole(series.to_arrow())
        return _whole(frame[name])

    def with_columns(self, added: dict[str, Any]) -> Any:
        """Return the frame with further columns."""
        if self._room == "pandas":
            import pandas as pd

            made = pa.table(added).to_pandas(maps_as_pydicts="strict")
            made.index = self._frame.index
            return pd.concat([self._frame, made], axis=1)
        if self._room == "polars":
            return self._frame.hstack(sys.modules["polars"].from_arrow(pa.table(added)).get_columns())
        frame = self._frame
        for name, column in added.items():
            frame = frame.append_column(name, column)
        return frame


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _moments(column: Any, name: str, clock: Clock) -> Column:
    """Timestamps as microseconds. Without a zone they are refused, or read in the one that was told."""
    if column.type.tz is None:
        if clock.zone is None:
            raise ConfigError(
                f"cannot use column '{name}': its times have no zone; say timezone='UTC' or the zone they are in"
            )
        try:
            column = pc.assume_timezone(column, str(clock.zone))
        except (pa.ArrowInvalid, ValueError):
            # Some stand for two moments, or for none: each is looked at by itself.
            naive: list[Any] = column.cast(pa.timestamp("us"), safe=False).to_pylist()
            return naive
    whole = column.type.unit == "s"
    us = column.cast(pa.timestamp("us", tz="UTC"), safe=False).cast(pa.int64())
    there = us.is_valid().to_numpy(zero_copy_only=False)
    return Moments(pc.fill_null(us, 0).to_numpy(), there, whole)
