"""One row a packet: what the decoder makes of each. For conformance, and for whoever wants to look closer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.columns.arrow import address_octets, address_words, dictionary, distinct, numbers
from ingest.columns.byte_reads import Bytes, bits64, u32
from ingest.files import open_input
from ingest.packets.capture import Block, Capture
from ingest.packets.decode import decode, layer_tables
from ingest.packets.layout import (
    DEPTH,
    DST_HI,
    DST_LO,
    DST_PORT,
    FACTS,
    FAMILY,
    FRAGMENT,
    GRE_KEY,
    HAS_PORTS,
    ICMP,
    IP_BYTES,
    NOTED,
    NOTES,
    OUTER_AT,
    OUTER_FAMILY,
    PORTS_CUT,
    PROTOCOL,
    QUOTES,
    REFUSED,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    TCP_FLAGS,
    TUNNELS,
    VLANS,
    VNI,
)
from ingest.packets.network_layer import MAPPED
from ingest.packets.options import PacketOptions
from ingest.packets.tunnel_columns import spell_tunnels, vlan_lists
from ingest.packets.window import Window
from whowas.arrays import Flags, Words
from whowas.kernels import lean_kernel

# Behind the facts: the reason of a refusal (0 = folded), and the halves of the outer addresses.
REASON = FACTS
OUTER = FACTS + 1
COLUMNS = FACTS + 5


@lean_kernel
def _outer(data: Bytes, row: Words) -> None:
    at = row[OUTER_AT]
    for half in range(4):
        if row[OUTER_FAMILY] == 6:
            row[OUTER + half] = bits64(data, at + 8 + 8 * half)
        elif half & 1:
            row[OUTER + half] = MAPPED | u32(data, at + 10 + 2 * half)
        else:
            row[OUTER + half] = 0


@lean_kernel
def decode_rows(data: Bytes, packets: Words, places: Words, tables: Bytes, rows: Words) -> None:
    """Decode a block's packets. Fills: rows (n, COLUMNS), the facts and what stands behind them."""
    for i in range(len(packets)):
        row = rows[i]
        row[:] = 0
        row[REASON] = decode(data, packets[i, 0], packets[i, 1], packets[i, 2], places[packets[i, 4], 0], row, tables)
        if row[REASON] == 0 and row[DEPTH] > 1:
            _outer(data, row)


def decode_packets(path: str, options: PacketOptions | None = None) -> Iterator[Any]:
    """Yield record batches with one row a packet, in the order of the file.

    Columns: frame (from 1), time (null where the file tells none), observer, captured and original length,
    refused (reason, null for what whowas folds), src_ip, dst_ip, protocol_number, src_port, dst_port, vni,
    vlan, tunnels, outer_src_ip, outer_dst_ip, ip_bytes, tcp_flags, fragment (0 whole, 1 first, 2 later),
    icmp_type, icmp_code, noted (remarks joined by comma).
    Raises: InputError. A file that breaks ends early; CaptureSource tells why.
    """
    told = options or PacketOptions()
    tables = layer_tables(told.vxlan_ports, told.geneve_ports, told.tunnels)
    observers: list[str] = []
    frame = 1
    with open_input(path) as source:
        for block in Capture(source, Window(), observers, path.rpartition("/")[2]).blocks():
            rows = np.zeros((len(block.packets), COLUMNS), dtype=np.int64)
            decode_rows(block.data, block.packets, block.interfaces, tables, rows)
            yield _batch(block, rows, frame, observers)
            frame += len(rows)


def _batch(block: Block, rows: Words, frame: int, observers: list[str]) -> Any:
    bad, notes = rows[:, REASON] != 0, rows[:, NOTES] & ((1 << QUOTES) - 1)
    packets = block.packets
    columns = {
        "frame": pa.array(np.arange(frame, frame + len(rows))),
        "time": pa.array(packets[:, 3], mask=packets[:, 3] < 0).cast(pa.timestamp("us", tz="UTC")),
        "observer": dictionary(block.interfaces[packets[:, 4], 1], pa.array(observers, pa.string())),
        "captured": numbers(packets[:, 1], pa.int64()),
        "original": numbers(packets[:, 2], pa.int64()),
        "refused": distinct(rows[:, REASON], lambda reason: REFUSED.get(reason, ""), ~bad),
        **_innermost(rows, bad),
        "noted": distinct(notes, _spell_notes, bad | (notes == 0)),
    }
    return pa.RecordBatch.from_pydict(columns)


def _innermost(rows: Words, bad: Flags) -> dict[str, Any]:
    family = np.where(rows[:, FAMILY] == 6, 6, 4)
    alone, networks = bad | (rows[:, DEPTH] < 2), rows[:, VNI]
    outer_family = np.where(rows[:, OUTER_FAMILY] == 6, 6, 4)
    # TCP flags that were not captured are not zero.
    no_flags = bad | (rows[:, PROTOCOL] != 6) | (rows[:, FRAGMENT] == 2) | (rows[:, NOTES] >> PORTS_CUT & 1 != 0)
    no_ports, no_icmp = bad | (rows[:, HAS_PORTS] == 0), bad | (rows[:, ICMP] < 0)
    return {
        "src_ip": address_words(address_octets(rows[:, SRC_HI], rows[:, SRC_LO]), family, bad),
        "dst_ip": address_words(address_octets(rows[:, DST_HI], rows[:, DST_LO]), family, bad),
        "protocol_number": numbers(rows[:, PROTOCOL], pa.uint8(), bad),
        "src_port": numbers(rows[:, SRC_PORT], pa.uint16(), no_ports),
        "dst_port": numbers(rows[:, DST_PORT], pa.uint16(), no_ports),
        "vni": numbers(networks, pa.int32(), bad | (networks < 0) | (networks >= GRE_KEY)),
        "vlan": vlan_lists(np.where(bad, 0, rows[:, VLANS])),
        "tunnels": distinct(rows[:, TUNNELS], spell_tunnels, bad | (rows[:, TUNNELS] == 0)),
        "outer_src_ip": address_words(address_octets(rows[:, OUTER], rows[:, OUTER + 1]), outer_family, alone),
        "outer_dst_ip": address_words(address_octets(rows[:, OUTER + 2], rows[:, OUTER + 3]), outer_family, alone),
        "ip_bytes": numbers(rows[:, IP_BYTES], pa.int64(), bad),
        "tcp_flags": numbers(rows[:, TCP_FLAGS], pa.uint16(), no_flags),
        "fragment": numbers(rows[:, FRAGMENT], pa.uint8(), bad),
        "icmp_type": numbers(rows[:, ICMP] >> 8, pa.uint8(), no_icmp),
        "icmp_code": numbers(rows[:, ICMP] & 0xFF, pa.uint8(), no_icmp),
    }


def _spell_notes(bits: int) -> str:
    return ",".join(word for code, word in NOTED.items() if bits >> code & 1)
