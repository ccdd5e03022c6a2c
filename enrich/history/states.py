"""What every holder was told to be at each time: state is told as of then, by one lookup.

A holder has versions of its own; a pod's zone is that of its node, which has versions too. A state is a number: how
many of both had come by then. Of one holder equal numbers are equal states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from enrich.history.lookup import states_at
from enrich.holds.pod_tables import STATE, chunk, read_labels
from enrich.holds.service_node_track import ThingTrack
from enrich.holds.versions import Version
from whowas.arrays import Indices, Words
from whowas.timestamps import BEFORE_ALL

NOTHING = Version(BEFORE_ALL)


class Lines(NamedTuple):
    """Times of versions, line by line. first: (n + 1,) where each line begins. since: us, oldest first in a line."""

    first: Words
    since: Words


class Zones:
    """The zones of nodes, by name: one name may be several nodes, one after the other.

    Args: names: of nodes; equal to their numbers in States.homes.
    """

    def __init__(self, names: Sequence[str], things: Sequence[ThingTrack]) -> None:
        told: dict[str, list[tuple[int, str]]] = {}
        for one in things:
            if one.kind == "Node":
                told.setdefault(one.name, []).extend((version.since, version.zone) for version in one.versions)
        several = [_changes(told.get(name) or [(BEFORE_ALL, "")]) for name in names]
        self.lines = lines_of([[since for since, _ in one] for one in several])
        self.words = [zone for one in several for _, zone in one]


def _changes(told: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return what was told in the order of its times, without what was no change."""
    ordered = sorted(told, key=lambda one: one[0])
    return [one for place, one in enumerate(ordered) if place == 0 or one[1] != ordered[place - 1][1]]


def lines_of(times: Sequence[Sequence[int]]) -> Lines:
    """Return several lines as arrays."""
    first = np.append(0, np.cumsum([len(one) for one in times])).astype(np.int64)
    return Lines(first, np.array([since for one in times for since in one], dtype=np.int64))


class Versions:
    """All versions but for zones: of pods from columns, then those of Services and Nodes.

    Args: table: enrich.holds.pod_tables.VERSIONS. since: of all of them, where that was made before.
    """

    def __init__(self, table: Any, things: Sequence[Version], since: Words | None = None) -> None:
        self._size, self._things = table.num_rows, things
        if since is None:
            since = np.append(table["since"].to_numpy(), np.array([one.since for one in things], dtype=np.int64))
        self.since = since
        self.table = table
        # Words are made when somebody asks: of a million pods each may have labels of its own.
        self._labels, self._services, self._images, self._ports = (chunk(table, name) for name in STATE)

    def __getitem__(self, row: int) -> Version:
        if row >= self._size:
            version: Version = self._things[row - self._size]
            return version
        labels, services, images, ports = (
            one[row].as_py() for one in (self._labels, self._services, self._images, self._ports)
        )
        since = int(self.since[row])
        return Version(
            since, read_labels(labels), services, tuple(images.split("\n")) if images else (), tuple(ports.split()),
            possible=since,
        )  # fmt: skip


class States:
    """States of holders by time.

    Args: batch: pods and their versions. things: Services and Nodes, whose rows follow those of the pods. homes: number
    of the node of each holder. names: of these nodes. own: the lines of all versions, where they were made before.
    """

    def __init__(
        self,
        batch: Any,
        things: Sequence[ThingTrack],
        homes: npt.NDArray[np.int32],
        names: Sequence[str],
        own: Lines | None = None,
    ) -> None:
        several = [one.versions or [NOTHING] for one in things]
        every = [version for versions in several for version in versions]
        self.versions = Versions(batch.versions, every, None if own is None else own.since)
        if own is None:
            sizes = np.array([len(one) for one in several], dtype=np.int64)
            counts = np.append(batch.pods["versions"].to_numpy(), sizes)
            own = Lines(np.append(0, np.cumsum(counts)).astype(np.int64), self.versions.since)
        self.own, self.homes, self.zones = own, homes, Zones(names, things)

    def at(self, holders: Indices, times: Words) -> Indices:
        """Return the number of the state of each holder at each time; -1 for holder -1."""
        states = np.empty(len(holders), dtype=np.int32)
        states_at(holders, times, self.homes, *self.own, *self.zones.lines, states)
        return states

    def version(self, holder: int, state: int) -> Version:
        """Return what a holder was told to be in one of its states."""
        low, high = self.own.first[holder : holder + 2].tolist()
        zones = self.zones.lines
        begin, end = zones.first[self.homes[holder] : self.homes[holder] + 2].tolist()
        if end == begin + 1:
            own, zone = low + state, begin
        else:
            own, zone = self._places(self.own.since[low + 1 : high], zones.since[begin + 1 : end], state)
            own, zone = low + own, begin + zone
        return self.versions[own]._replace(zone=self.zones.words[zone])

    @staticmethod
    def _places(own: Words, zones: Words, state: int) -> tuple[int, int]:
        """Return how many changes of each of two lines had come when so many of both had."""
        if state == 0:
            return 0, 0
        time = np.sort(np.concatenate([own, zones]))[state - 1]
        return int(np.searchsorted(own, time, side="right")), int(np.searchsorted(zones, time, side="right"))

    def line(self, holder: int) -> list[Version]:
        """Return the versions of a holder, oldest first, without zones."""
        return [self.versions[row] for row in range(*self.own.first[holder : holder + 2].tolist())]

    def then(self, holder: int, time: int) -> Version:
        """Return what one holder was told to be at one time."""
        return self.version(holder, int(self.at(np.array([holder], dtype=np.int32), np.array([time]))[0]))
