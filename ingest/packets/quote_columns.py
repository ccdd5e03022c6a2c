"""Columns of ICMP errors: how many a conversation got, and what the first one said."""

from __future__ import annotations

from typing import Any

import numpy as np

from ingest.columns.arrow import distinct, numbers
from ingest.packets import flow_table as t
from whowas.arrays import Words
from whowas.schema import NUMBER

# By type and code, of ICMP and of ICMPv6.
ERRORS = {
    (3, 0): "net_unreachable",
    (3, 1): "host_unreachable",
    (3, 2): "protocol_unreachable",
    (3, 3): "port_unreachable",
    (3, 4): "too_big",
    (3, 9): "prohibited",
    (3, 10): "prohibited",
    (3, 13): "prohibited",
    (4, 0): "source_quench",
    (11, 0): "ttl_exceeded",
    (11, 1): "reassembly_time_exceeded",
    (12, 0): "parameter_problem",
}
ERRORS_6 = {
    (1, 0): "net_unreachable",
    (1, 1): "prohibited",
    (1, 3): "host_unreachable",
    (1, 4): "port_unreachable",
    (2, 0): "too_big",
    (3, 0): "ttl_exceeded",
    (3, 1): "reassembly_time_exceeded",
    (4, 0): "parameter_problem",
}
SIX = 1 << 16


def error_columns(states: Words, six: Any) -> dict[str, Any]:
    """Columns icmp_errors and icmp_error. six: whether a row's addresses are of IPv6."""
    count = (states >> t.ERRORS) & t.ERRORS_MOST
    codes = np.where(six, SIX, 0) | ((states >> t.FIRST_ERROR) & 0xFFFF)
    none = count == 0
    return {
        "icmp_errors": numbers(count, NUMBER, none),
        "icmp_error": distinct(np.where(none, -1, codes), _spell, none),
    }


def _spell(code: int) -> str:
    kind = (code >> 8) & 0xFF, code & 0xFF
    return (ERRORS_6 if code & SIX else ERRORS).get(kind, f"type {kind[0]} code {kind[1]}")
