"""Finished conversations to a record batch of whowas.schema.flow_schema."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.columns.arrow import (
    address_octets,
    address_words,
    dictionary,
    distinct,
    fixed,
    numbers,
    spell_mac,
    spell_protocol,
    strings,
    times,
)
from ingest.columns.community_id import community_ids
from ingest.columns.sha1 import hex_ids
from ingest.packets import flow_table as t
from ingest.packets.layout import GRE_KEY
from ingest.packets.names_seen import NamesSeen
from ingest.packets.observation_column import by_observer, fixed_points, networks_of, observations, observer_column
from ingest.packets.observations import Sights, picked
from ingest.packets.quote_columns import error_columns
from ingest.packets.tunnel_columns import spell_tunnels, vlan_lists
from whowas.arrays import Flags, Octets, Words
from whowas.schema import END_REASONS, INITIATOR_BASES, NUMBER, TIME, flow_schema


@dataclass(frozen=True)
class Ends:
    """Both ends, src first. Each pair holds columns of equal length."""

    octets: tuple[Octets, Octets]
    ports: tuple[Words, Words]
    has_ports: Flags
    family: Words
    protocol: Words


def to_batch(
    rows: Words,
    cold: Words,
    observers: list[str],
    formats: list[str],
    sights: Sights | None = None,
    names: NamesSeen | None = None,
) -> Any:
    """Turn rows of the table into flows, by start, then by the order in which they began.

    Args: rows (n, ROW) and cold (n, COLD) as in table.py. observers, formats: text by observer number.
        sights: of these rows; None where there is one point of observation.
        names: what the conversations told of themselves.
    """
    order = np.lexsort((cold[:, t.SEQUENCE], rows[:, t.FIRST]))
    rows, cold = rows[order], cold[order]
    sights = picked(sights, order) if sights is not None else None
    is_b = rows[:, t.STATE] & t.SRC_IS_B != 0
    ends, nought = _ends(rows, is_b), pa.array(np.zeros(len(rows), dtype=np.int64))
    columns = {
        "flow_id": _flow_ids(rows, cold, observers),
        "start_time": times(rows[:, t.FIRST]),
        "end_time": times(rows[:, t.LAST]),
        "time_before": nought,
        "time_after": nought,
        "community_id": community_ids(
            *ends.octets, ends.family, ends.protocol, (*ends.ports, ends.has_ports), cold[:, t.ICMP_FIRST]
        ),
        **_end_columns(ends, cold, is_b),
        **_counts(rows, ends, is_b),
        **_network(rows, cold, is_b),
        **_spoke(rows, cold, is_b),
        **_words(rows, cold, observers, formats),
        **_same(len(rows)),
        "encapsulated": pa.array(rows[:, t.STATE] & t.OUTER_ENDS != 0),
        **error_columns(rows[:, t.STATE], ends.family == 6),
        "observations": observations(sights, rows, observers),
        **(names.columns(rows, cold, is_b) if names else {}),
    }  # fmt: skip
    schema = flow_schema()
    arrays = [columns[one.name] if one.name in columns else pa.nulls(len(rows), one.type) for one in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _pick(is_b: Flags, values: Words, a: int, b: int) -> tuple[Words, Words]:
    """Columns a and b as (of src, of dst)."""
    return np.where(is_b, values[:, b], values[:, a]), np.where(is_b, values[:, a], values[:, b])


def _ends(rows: Words, is_b: Flags) -> Ends:
    high, low = _pick(is_b, rows, t.A_HI, t.B_HI), _pick(is_b, rows, t.A_LO, t.B_LO)
    packed = rows[:, t.ENDS]
    port_a, port_b = packed >> 40, (packed >> 24) & 0xFFFF
    return Ends(
        octets=(address_octets(high[0], low[0]), address_octets(high[1], low[1])),
        ports=(np.where(is_b, port_b, port_a), np.where(is_b, port_a, port_b)),
        has_ports=packed & 1 != 0,
        family=np.where(packed & 2 != 0, 6, 4),
        protocol=(packed >> 8) & 0xFF,
    )


def _end_columns(ends: Ends, cold: Words, is_b: Flags) -> dict[str, Any]:
    """Addresses, ports and Ethernet addresses of both ends; the texts of addresses are shared."""
    number = len(is_b)
    words = address_words(np.concatenate(ends.octets), np.concatenate([ends.family, ends.family]))
    macs = _pick(is_b, cold, t.MAC_A, t.MAC_B)
    columns: dict[str, Any] = {}
    for place, side in enumerate(("src", "dst")):
        columns[f"{side}_ip"] = words.slice(place * number, number)
        columns[f"{side}_ip16"] = fixed(ends.octets[place])
        columns[f"{side}_port"] = numbers(ends.ports[place], NUMBER, ~ends.has_ports)
        columns[f"{side}_mac"] = distinct(macs[place], spell_mac, macs[place] < 0)
    return columns


def _counts(rows: Words, ends: Ends, is_b: Flags) -> dict[str, Any]:
    packets, octets = _pick(is_b, rows, t.PACKETS_A, t.PACKETS_B), _pick(is_b, rows, t.BYTES_A, t.BYTES_B)
    state = rows[:, t.STATE]
    flags_a, flags_b = state & 0xFFF, (state >> t.B_FLAGS) & 0xFFF
    not_tcp = ends.protocol != 6
    return {
        "protocol": distinct(ends.protocol, spell_protocol),
        "protocol_number": numbers(ends.protocol, NUMBER),
        "bytes_out": numbers(octets[0], pa.int64()),
        "bytes_in": numbers(octets[1], pa.int64()),
        "packets_out": numbers(packets[0], pa.int64()),
        "packets_in": numbers(packets[1], pa.int64()),
        "tcp_flags": numbers(flags_a | flags_b, NUMBER, not_tcp),
        "tcp_flags_out": numbers(np.where(is_b, flags_b, flags_a), NUMBER, not_tcp),
        "tcp_flags_in": numbers(np.where(is_b, flags_a, flags_b), NUMBER, not_tcp),
    }


def _spoke(rows: Words, cold: Words, is_b: Flags) -> dict[str, Any]:
    """When each end first sent a packet of its own."""
    state = rows[:, t.STATE]
    when = _pick(is_b, cold, t.SPOKE_TIME_A, t.SPOKE_TIME_B)
    spoke = state & t.SPOKE_A != 0, state & (t.SPOKE_A << 1) != 0
    columns = {}
    for side, at, mine, others in zip(("src", "dst"), when, spoke, reversed(spoke), strict=True):
        silent = ~np.where(is_b, others, mine)
        columns[f"{side}_spoke_time"] = numbers(np.where(silent, 0, at), pa.int64(), silent).cast(TIME)
    return columns


def _network(rows: Words, cold: Words, is_b: Flags) -> dict[str, Any]:
    high = _pick(is_b, cold, t.OUTER_A_HI, t.OUTER_B_HI)
    low = _pick(is_b, cold, t.OUTER_A_LO, t.OUTER_B_LO)
    family, chains, networks = cold[:, t.OUTER] & 15, cold[:, t.OUTER] >> 4, networks_of(rows)
    outer = [_outer(high[place], low[place], family, family == 0) for place in (0, 1)]
    return {
        "vni": numbers(networks - 1, pa.int32(), (networks == 0) | (networks > GRE_KEY)),
        "vlan": vlan_lists(rows[:, t.TAGS]),
        "tunnels": distinct(chains, spell_tunnels, chains == 0),
        "outer_src_ip": outer[0],
        "outer_dst_ip": outer[1],
    }


def _outer(high: Words, low: Words, family: Words, plain: Flags) -> Any:
    """Outer addresses as text. Rows without hold nothing that was written: blank them first."""
    octets = address_octets(np.where(plain, 0, high), np.where(plain, 0, low))
    return address_words(octets, family, plain)


def _words(rows: Words, cold: Words, observers: list[str], formats: list[str]) -> dict[str, Any]:
    bases = np.where(
        rows[:, t.STATE] & t.BY_SYN != 0, INITIATOR_BASES.index("syn"), INITIATOR_BASES.index("first_packet")
    )
    return {
        "initiator_basis": dictionary(bases, pa.array(INITIATOR_BASES)),
        "end_reason": dictionary(cold[:, t.REASON], pa.array(END_REASONS)),
        "observer": observer_column(rows, cold, observers),
        "source_format": by_observer(cold[:, t.PLACE], formats),
    }  # fmt: skip


def _same(number: int) -> dict[str, Any]:
    """What is the same for every conversation of a capture."""
    words = {"directionality": "bi", "counter_layer": "L3", "time_basis": "packet"}
    zeros = np.zeros(number, dtype=np.int32)
    return {
        **{name: dictionary(zeros, pa.array([word])) for name, word in words.items()},
        "sampling_rate": numbers(np.ones(number, dtype=np.int64), pa.int64()),
    }


def _flow_ids(rows: Words, cold: Words, observers: list[str]) -> Any:
    """128 bits of SHA-1 over key, start, observer and the ordinal of the first packet in its file.

    Cryptographic, because whoever can choose addresses could else easily make two flows of one id.
    """
    names = np.array([int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") for name in observers])
    words = np.empty((len(rows), 10), dtype=np.int64)
    words[:, :7] = rows[:, : t.HASH]
    words[:, t.NETWORK] = fixed_points(rows[:, t.NETWORK])
    words[:, 7], words[:, 8], words[:, 9] = rows[:, t.FIRST], names[cold[:, t.PLACE]], cold[:, t.ORDINAL]
    return strings(hex_ids(words))
