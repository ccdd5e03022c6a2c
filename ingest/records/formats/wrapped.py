"""Reads records that stand in a wrapping: takes them out, and gives them to the reader of their format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ingest.records.formats.sample import Sample
from ingest.records.reader import Ids, Parsed, RecordOptions, RecordReader, Refusal, Values
from ingest.wrappings import Chain, chains
from whowas.arrays import Words

NO_RECORD = "no_record"


class Format(Protocol):
    """A reader's class."""

    format: str

    def __call__(self, options: RecordOptions) -> RecordReader: ...

    def knows(self, sample: Sample) -> bool: ...


class WrappedReader:
    """Reads one format in its wrappings. A value that is not wrapped is read as it is."""

    def __init__(self, reader: RecordReader, chain: Chain) -> None:
        self.format = reader.format
        self.chain = chain
        self._reader = reader

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """See RecordReader."""
        inner: list[bytes] = []
        owners: list[int] = []
        skipped: list[Refusal] = []
        for row, value in enumerate(values):
            found = self._records(value)
            inner += found
            owners += [row] * len(found)
            if not found:
                skipped.append(Refusal(row, NO_RECORD))
        rows = np.array(owners, dtype=np.int64)
        told = None if received_us is None else received_us[rows]
        parsed = self._reader.read(Values.of(inner), Ids(ids.origin, _numbers(ids.numbers, rows)), told)
        alone = np.bincount(rows, minlength=len(values)) == 1

        def outer(one: Refusal) -> Refusal:
            row = owners[one.index]
            return Refusal(row, one.reason, None if alone[row] else inner[one.index])

        # Readers keep the order of what they give flows of.
        refused, passed = [outer(one) for one in parsed.refused], [outer(one) for one in parsed.skipped]
        return Parsed(parsed.flows, rows[parsed.rows], refused, [*skipped, *passed])

    def _records(self, value: bytes) -> list[bytes]:
        found = self.chain.opened(value)
        if found is None:
            return [value]
        # Text may hold several lines; JSON may be spread over lines.
        return [one for text in found for one in ([text] if text[:1] == b"{" else text.split(b"\n"))]


def _numbers(numbers: Words, rows: Words) -> Words:
    """A place for each record: that of its value for the first one, a mixture with its place within for the others."""
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    with np.errstate(over="ignore"):
        mixed = (numbers[rows].astype(np.uint64) << np.uint64(20)) ^ place.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.where(place == 0, numbers[rows], mixed.astype(np.int64))


def unwrapping(formats: Sequence[Format], sample: Sequence[bytes], options: RecordOptions) -> WrappedReader | None:
    """Return a reader for what stands in wrappings, None where no known format does.

    A JSON object that is a known record is no wrapping, whatever lies in it.
    """
    for chain, inner in chains(sample):
        told = Sample(inner)
        # Protobuf is no text: nothing wraps it.
        found = next((one for one in formats if "protobuf" not in one.format and one.knows(told)), None)
        if found is not None:
            outer = Sample(_objects(chain, sample))
            return None if any(one.knows(outer) for one in formats) else WrappedReader(found(options), chain)
    return None


def forced(form: Format, sample: Sequence[bytes], options: RecordOptions) -> RecordReader:
    """Return a reader of a format that was asked for; of what is wrapped, even where its records are not known."""
    reader = form(options)
    found = None if "protobuf" in form.format else unwrapping([form], sample, options)
    if found is not None or "protobuf" in form.format or form.knows(Sample(sample)):
        return found or reader
    deepest = [chain for chain, _ in chains(sample)][-1:]
    return WrappedReader(reader, deepest[0]) if deepest else reader


def _objects(chain: Chain, sample: Sequence[bytes]) -> list[bytes]:
    """The wrapped ones among values that are JSON objects."""
    values = [one for one in sample if one and one.lstrip()[:1] == b"{"]
    return [one for one in values if chain.layers[0].opened(one) is not None]
