"""What the times of flow records mean: how far from them packets may lie, by format and kind of record. One table.

Readers write it into the columns time_basis, time_before and time_after; naming asks for a holder of all of that time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Of 1970 and before are zeros, counters from zero, and the least times of other clocks (1754): none is a time.
FIRST_US = 31_536_000_000_000
NO_MOMENT = re.compile(r"(0\d\d\d|1[0-8]\d\d|19[0-6]\d)[-/]\d\d[-/]\d\d([T ]|$)")
MILLISECOND_US, SECOND_US = 999, 999_999
"""A time that was cut stands for all up to the next one."""


@dataclass(frozen=True)
class TimeBounds:
    """Packets lie from `before_us` before a record's start to `after_us` after its end.

    basis: word of time_basis, "" where nothing is told. before_us: None = as long as [naming] export_seconds says.
    """

    basis: str
    before_us: int | None
    after_us: int
    why: str


# A sample of sFlow leaves within a second; whole seconds of a NetFlow header are up to a second behind its uptime.
SAMPLED = TimeBounds("receive", 2_000_000, 0, "a sample is sent within a second, and has the time of its receipt")
EXPORTED = TimeBounds("export", None, SECOND_US, "the time of export: the flow was before it")
UPTIME = TimeBounds("uptime", 1_000, 1_000 + SECOND_US, "uptime in ms, beside a clock in whole seconds")
EXACT = TimeBounds("packet", 0, 0, "microseconds or finer")
MILLISECONDS = TimeBounds("packet", 0, MILLISECOND_US, "cut to milliseconds")

GOFLOW2 = {
    "sFlow": SAMPLED,
    "NetFlow": UPTIME,
    "IPFIX": MILLISECONDS,
    "start and end are one whole second": EXPORTED,
}
FLOW_TIMES: dict[str, dict[str, TimeBounds]] = {
    "captures": {"": TimeBounds("packet", 0, 0, "packets have their own times")},
    "goflow2": GOFLOW2,
    "goflow2-protobuf": GOFLOW2,
    "goflow2-v1": {
        "sFlow": TimeBounds("receive", 2_000_000, SECOND_US, "as of version 2, cut to seconds"),
        "NetFlow": TimeBounds("uptime", 1_000, 1_000 + 2 * SECOND_US, "as of version 2, cut to seconds"),
        "IPFIX": TimeBounds("packet", 0, SECOND_US, "cut to seconds"),
        "start and end are one whole second": EXPORTED,
    },
    "netobserv": {"": MILLISECONDS},
    "netobserv-protobuf": {"": EXACT},
    "zeek": {"": EXACT},
    "zeek-json": {"": EXACT},
    "suricata": {"": EXACT},
    "hubble": {"": EXACT},
    "aws": {
        "": TimeBounds("window", 60_000_000, SECOND_US, "start and end lie up to 60 s after the packet, cut to seconds")
    },
    "gcp": {"": EXACT},
    "azure": {
        "C, v4": TimeBounds("window", 300_000_000, MILLISECOND_US, "counts since the last update, five minutes"),
        "E, v4": TimeBounds("window", 1_800_000_000, MILLISECOND_US, "counts up to the flow's timeout, 30 minutes"),
        "others, v4": TimeBounds("window", 0, MILLISECOND_US, "cut to milliseconds"),
        "C, v1 and v2": TimeBounds("window", 300_000_000, SECOND_US, "as of v4, cut to seconds"),
        "E, v1 and v2": TimeBounds("window", 1_800_000_000, SECOND_US, "as of v4, cut to seconds"),
        "others, v1 and v2": TimeBounds("window", 0, SECOND_US, "cut to seconds"),
    },
    "pmacct": {
        "": TimeBounds("", 1_000, 1_000 + SECOND_US, "whole seconds, or NetFlow's uptime: records do not tell which"),
        "`stamp_*` alone": TimeBounds("window", 0, SECOND_US, "counted between two purges, cut to seconds"),
    },
    "nfdump-json": {
        "": TimeBounds("", 1_000, 1_000 + SECOND_US, "milliseconds, or NetFlow's uptime: records do not tell which")
    },
    "nfdump-csv": {
        "whole seconds": TimeBounds("", 1_000, 1_000 + 2 * SECOND_US, "as in JSON, cut to seconds"),
        "milliseconds": TimeBounds("", 1_000, 1_000 + SECOND_US, "as in JSON"),
    },
}

NO_START = TimeBounds("export", None, 0, "no start: the end is the one time")
NO_TIME = TimeBounds("export", None, SECOND_US, "no time of its own: the receipt is the one time")
EXCHANGED = TimeBounds("window", None, 0, "the end before the start: exchanged, their order is not trusted")
