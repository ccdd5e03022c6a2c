"""The column that tells where else a conversation was seen, and the text of an observer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ingest.columns.arrow import address_octets, address_words, dictionary, distinct, numbers
from ingest.packets import flow_table as t
from ingest.packets.layout import GRE_KEY
from ingest.packets.observations import Sights
from ingest.packets.points import B_LEAVES, INDEX_BITS, INTERFACE, NAMED, WAY_TOLD
from ingest.packets.tunnel_columns import spell_tunnels
from whowas.arrays import Flags, Words
from whowas.schema import NUMBER, flow_schema

COOKED_INDEX = 1 << INDEX_BITS


def networks_of(rows: Words) -> Words:
    """VNI + 1, or that of a GRE key; 0 where there is none."""
    return rows[:, t.NETWORK] & t.NETWORK_MASK


def fixed_points(networks: Words) -> Words:
    """Networks and points without what another set of files could change: the number of a name. The name is hashed."""
    named = (networks >> INTERFACE) & NAMED != 0
    return np.where(named, networks & ((1 << INTERFACE) - 1), networks)


def observer_column(rows: Words, cold: Words, observers: list[str]) -> Any:
    """Text of each row's observer. A Linux cooked capture (v2) tells the interface's index, not its name."""
    points = rows[:, t.NETWORK] >> INTERFACE
    index = np.where((points & NAMED) != 0, 0, points & (COOKED_INDEX - 1)) * (rows[:, t.NETWORK] & WAY_TOLD != 0)
    if not index.any():
        return by_observer(cold[:, t.PLACE], observers)
    words, own = _once(observers)
    return distinct(own[cold[:, t.PLACE]] * COOKED_INDEX + index, lambda code: _spell(int(code), words))


def by_observer(place: Words, words: list[str]) -> Any:
    """Words by number of observer."""
    known, own = _once(words)
    return dictionary(own[place], pa.array(known, pa.string()))


def _once(words: list[str]) -> tuple[list[str], Words]:
    """Each word once, and which one each was: pages of words that stand there twice end in chance bytes (Arrow)."""
    known = {word: number for number, word in enumerate(dict.fromkeys(words))}
    return list(known), np.array([known[word] for word in words], dtype=np.int64)


def _spell(code: int, observers: list[str]) -> str:
    place, index = divmod(code, COOKED_INDEX)
    return f"{observers[place]}:#{index}" if index else observers[place]


def observations(sights: Sights | None, owners: Words, observers: list[str]) -> Any:
    """A list of all observations for each of the rows `owners`, null where there was one."""
    kind = flow_schema().field("observations").type
    if sights is None or not len(sights.rows):
        return pa.nulls(len(owners), kind)
    rows, cold = sights.rows, sights.cold
    owner = np.repeat(owners, sights.counts, axis=0)
    other = (rows[:, : t.ENDS + 1] != owner[:, : t.ENDS + 1]).any(axis=1)
    # Before its destination was translated a conversation had other ends, in an order of their own.
    turned = np.where(other, rows[:, t.STATE], owner[:, t.STATE]) & t.SRC_IS_B != 0
    networks, chains = networks_of(rows), cold[:, t.OUTER] >> 4
    struct = pa.StructArray.from_arrays(
        [
            _plain(observer_column(rows, cold, observers)),
            _ways(rows[:, t.NETWORK], turned),
            _plain(distinct(chains, spell_tunnels, chains == 0)),
            numbers(networks - 1, NUMBER, (networks == 0) | (networks > GRE_KEY)),
            *(_count(rows, turned, one) for one in (t.PACKETS_A, t.BYTES_A)),
            *(_count(rows, ~turned, one) for one in (t.PACKETS_A, t.BYTES_A)),
            *_destinations(rows, turned, other),
        ],
        fields=list(kind.value_type),
    )
    offsets = np.zeros(len(owners) + 1, dtype=np.int32)
    np.cumsum(sights.counts, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), struct, type=kind, mask=pa.array(sights.counts == 0))


def _destinations(rows: Words, turned: Flags, other: Flags) -> tuple[Any, Any]:
    """Address and port that the client used where they were translated further on, else null."""
    high, low = (np.where(turned, rows[:, a], rows[:, b]) for a, b in ((t.A_HI, t.B_HI), (t.A_LO, t.B_LO)))
    family = np.where(rows[:, t.ENDS] & 2 != 0, 6, 4)
    ports = np.where(turned, rows[:, t.ENDS] >> 40, (rows[:, t.ENDS] >> 24) & 0xFFFF)
    return _plain(address_words(address_octets(high, low), family, ~other)), numbers(ports, NUMBER, ~other)


def _plain(column: Any) -> Any:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _ways(points: Words, turned: Flags) -> Any:
    """Which way src's packets went through the interface: in, out; null where the capture does not tell."""
    leaves = ((points & B_LEAVES) != 0) == turned
    return pa.array(np.where(leaves, "out", "in"), pa.string(), mask=points & WAY_TOLD == 0)


def _count(rows: Words, turned: Flags, first: int) -> Any:
    return numbers(np.where(turned, rows[:, first + 1], rows[:, first]), pa.int64())
