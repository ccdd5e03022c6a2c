"""Answers about more than one address: what a workload held, at a moment or over time, and who is in a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, tzinfo

import numpy as np
import numpy.typing as npt

from enrich.history.history import ClusterHistory, History
from enrich.holds.pod_track import PUBLISHED_WITHIN
from enrich.naming.asked_names import entities_called, nothing_called
from enrich.naming.networks import Net, plain
from enrich.naming.reasons import BLIND
from enrich.naming.verdicts import PLAIN, TOO_FRESH, NamingOptions, looked
from enrich.naming.who import Answer, HoldView, view, who_at
from whowas.addresses import MAPPED, sixteen
from whowas.arrays import Words
from whowas.errors import ConfigError
from whowas.timestamps import EPOCH


def holds_of(history: History, what: str, cluster: str | None = None) -> list[HoldView]:
    """Return every hold of what is called so (enrich.naming.asked_names), oldest first. Raises: ConfigError."""
    found = [view(one, int(row)) for one, rows in _rows_of(history, what, cluster) for row in rows]
    return sorted(found, key=lambda one: (one.start_min or EPOCH, one.full_name(), one.address))


def _rows_of(history: History, what: str, cluster: str | None) -> list[tuple[ClusterHistory, Words]]:
    """Return the rows of holds of what is called so, by cluster. Raises: ConfigError where there is none."""
    several = history.several(cluster)
    found = []
    for one in several:
        entities = np.array(sorted(entities_called(one, what)), dtype=np.int64)
        found.append((one, np.flatnonzero(np.isin(one.entity_of, entities))))
    if not any(len(rows) for _, rows in found):
        raise ConfigError(nothing_called(several, what))
    return found


def held_at(
    history: History, what: str, at_us: int, options: NamingOptions, zone: tzinfo = UTC, limit: int | None = None
) -> tuple[int, list[Answer]]:
    """Say which addresses what is called so may have held at a moment, and how sure that is of each.

    Returns: how many addresses, and an answer for each of the first `limit`. Raises: ConfigError.
    """
    skew_us, total = int(options.sensor_skew_seconds * 1e6), 0
    found: list[Answer] = []
    for one, rows in _rows_of(history, what, options.cluster):
        bounds = one.bounds[rows]
        then = rows[(bounds[:, 0] <= at_us + skew_us) & (at_us - skew_us < bounds[:, 3])]
        addresses = dict.fromkeys(str(plain(one.holds[int(row)].ip)) for row in then)
        total += len(addresses)
        found += _asked(history, one, addresses, at_us, options, zone, _left(limit, found))
    return total, found


def held_within(
    history: History, network: Net, at_us: int, options: NamingOptions, zone: tzinfo = UTC, limit: int | None = None
) -> tuple[int, list[Answer]]:
    """Say who may have held any address of a network at a moment, in the order of addresses. Returns: as held_at."""
    skew_us, total = int(options.sensor_skew_seconds * 1e6), 0
    found: list[Answer] = []
    for one in history.several(options.cluster):
        places = _places(one, network)
        moments = np.full(len(places), at_us, dtype=np.int64)
        counts = one.lookup(one.octets()[places], moments, skew_us=skew_us).counts
        held = places[counts[:, :3].any(axis=1)]
        total += len(held)
        addresses = (str(plain(one.octets()[place].tobytes())) for place in held.tolist())
        found += _asked(history, one, addresses, at_us, options, zone, _left(limit, found))
    return total, found


def why_unknown(history: History, at_us: int, cluster: str | None = None) -> str:
    """Say why what nobody held at a moment may have been held all the same; "" where somebody was looking."""
    moment = np.array([at_us])
    for one in history.several(cluster):
        why = int(looked(one, moment, moment)[0])
        if why == PLAIN and at_us > one.covered[-1][1] - PUBLISHED_WITHIN:
            why = TOO_FRESH
        if why != PLAIN:
            return BLIND[why]
    return ""


def timeline_within(
    history: History, network: Net, cluster: str | None = None, limit: int | None = None
) -> tuple[int, list[HoldView]]:
    """Return every hold on the addresses of a network, address by address: how many, and the first `limit`."""
    total = 0
    found: list[HoldView] = []
    for one in history.several(cluster):
        rows = [
            row for place in _places(one, network).tolist() for row in range(*one.first[place : place + 2].tolist())
        ]
        total += len(rows)
        found += [view(one, row) for row in rows[: _left(limit, found)]]
    return total, found


def _left(limit: int | None, found: list[Answer] | list[HoldView]) -> int | None:
    return None if limit is None else max(0, limit - len(found))


def _asked(
    history: History,
    one: ClusterHistory,
    addresses: Iterable[str],
    at_us: int,
    options: NamingOptions,
    zone: tzinfo,
    limit: int | None,
) -> list[Answer]:
    mine = replace(options, cluster=one.name)
    return [
        who_at(history, address, at_us, mine, zone=zone)
        for place, address in enumerate(addresses)
        if limit is None or place < limit
    ]


def _places(one: ClusterHistory, network: Net) -> Words:
    """Return which of the addresses ever held lie in a network, in their order."""
    octets = one.octets()
    mask = np.frombuffer(network.netmask.packed.rjust(16, b"\xff"), np.uint8)
    base = np.frombuffer(sixteen(network.network_address), np.uint8)
    inside = np.flatnonzero((octets & mask == base).all(axis=1)).astype(np.int64)
    # ::/0 and the like are no networks of IPv4 addresses, which are kept among those of IPv6.
    mapped = (octets[inside, :12] == np.frombuffer(MAPPED, np.uint8)).all(axis=1)
    return _ordered(octets, inside[mapped == base.tobytes().startswith(MAPPED)])


def _ordered(octets: npt.NDArray[np.uint8], places: Words) -> Words:
    found: Words = places[np.lexsort(octets[places].T[::-1])]
    return found
