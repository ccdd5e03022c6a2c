"""Recognises the format of records: by name, or by their content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ingest.records.formats.aws_gcp import AwsReader, GcpReader
from ingest.records.formats.azure import AzureReader
from ingest.records.formats.goflow2 import Goflow1Reader, Goflow2Reader
from ingest.records.formats.hubble import HubbleReader
from ingest.records.formats.netobserv import NetObservReader
from ingest.records.formats.nfdump import NfdumpCsvReader, NfdumpJsonReader
from ingest.records.formats.pmacct import PmacctReader
from ingest.records.formats.protobuf import Goflow2ProtobufReader, NetObservProtobufReader
from ingest.records.formats.sample import Sample
from ingest.records.formats.suricata import SuricataReader
from ingest.records.formats.wrapped import Format, forced, unwrapping
from ingest.records.formats.zeek import ZeekJsonReader, ZeekReader
from ingest.records.reader import RecordOptions, RecordReader
from whowas.errors import InputError

READERS: tuple[Format, ...] = (
    Goflow2Reader,
    Goflow2ProtobufReader,
    Goflow1Reader,
    NetObservReader,
    NetObservProtobufReader,
    ZeekReader,
    ZeekJsonReader,
    SuricataReader,
    HubbleReader,
    AwsReader,
    GcpReader,
    AzureReader,
    PmacctReader,
    NfdumpJsonReader,
    NfdumpCsvReader,
)
FORMATS = tuple(one.format for one in READERS)
"""The words by which formats can be asked for."""


def reader_for(
    format: str | None, values: Sequence[bytes], options: RecordOptions | None = None, *, as_told: bool = False
) -> RecordReader:
    """Return a reader of the format; with None, of the one that the values are recognised as, in wrappings or not.

    Args: values: the first ones of the input. as_told: a format that is told is that of the values themselves, and no
        wrapping is taken off.
    Raises: InputError naming the known words.
    """
    told = options or RecordOptions()
    words = ", ".join(FORMATS)
    if format is not None:
        for one in READERS:
            if one.format == format:
                return one(told) if as_told else forced(one, values, told)
        raise InputError(f"cannot read format '{format}': unknown word; say one of {words}")
    return unwrapping(READERS, values, told) or _plain(values, told) or _unknown(words)


def _plain(values: Sequence[bytes], options: RecordOptions) -> RecordReader | None:
    sample = Sample(values)
    return next((one(options) for one in READERS if one.knows(sample)), None)


def _unknown(words: str) -> NoReturn:
    raise InputError(f"cannot recognise the format of these records: no known one; say which: {words}")
