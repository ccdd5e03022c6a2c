"""Who can hold an address, row by row from columns: objects are made when somebody asks, and kept for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from enrich.holds.derive import NODE, SERVICE, Clock, Hold, Table
from enrich.holds.pod_tables import HOST_POD, POD, chunk, codes, values
from enrich.holds.service_node_track import ThingTrack
from enrich.holds.time_bounds import SECOND

KEPT = 1 << 17
KIND_WORDS = {POD: "pod", HOST_POD: "pod", SERVICE: "service", NODE: "node"}


class Entity(NamedTuple):
    """Who can hold an address: what of it never changes. `note` says what is doubtful about the workload."""

    kind: int
    namespace: str
    name: str
    uid: str
    node: str = ""
    workload: str = ""
    workload_kind: str = ""
    note: str = ""
    service_account: str = ""

    def full_name(self) -> str:
        """namespace/name, or the name of what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Entities(Sequence[Entity]):
    """All entities: pods first, then Services and Nodes.

    Args: pods: table of enrich.holds.pod_tables.PODS. clocks: what nodes' clocks are off.
    """

    COLUMNS = (
        "kind", "namespace", "name", "uid", "node", "workload", "workload_kind", "note", "service_account",
    )  # fmt: skip

    def __init__(self, pods: Any, things: Sequence[ThingTrack], clocks: dict[str, Clock]) -> None:
        self.pods, self.things, self.clocks = pods.select(self.COLUMNS), things, clocks
        self._columns = [chunk(pods, name) for name in self.COLUMNS]
        self._kept: dict[int, Entity] = {}

    def __len__(self) -> int:
        return int(self.pods.num_rows) + len(self.things)

    @overload
    def __getitem__(self, row: int) -> Entity: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Entity]: ...
    def __getitem__(self, row: int | slice) -> Entity | Sequence[Entity]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        row = int(row)
        if row < 0 or row >= len(self):
            raise IndexError(row)
        if row not in self._kept:
            self.fetch([row])
        return self._kept[row]

    def __iter__(self) -> Iterator[Entity]:
        for low in range(0, len(self), 4096):
            rows = range(low, min(low + 4096, len(self)))
            self.fetch(rows)
            yield from [self._kept[row] for row in rows]

    def fetch(self, rows: Iterable[int]) -> None:
        """Make several at once: far cheaper than one by one."""
        if len(self._kept) > KEPT:
            self._kept.clear()
        size = self.pods.num_rows
        wanted = [row for row in dict.fromkeys(rows) if row not in self._kept]
        for row in wanted:
            if row >= size:
                self._kept[row] = _thing(self.things[row - size])
        pods = [row for row in wanted if row < size]
        if pods:
            rows = np.array(pods, dtype=np.int64)
            for row, told in zip(pods, zip(*(values(one, rows) for one in self._columns), strict=True), strict=True):
                self._kept[row] = self._pod(*told)

    def _pod(
        self,
        kind: int,
        namespace: str,
        name: str,
        uid: str,
        node: str,
        workload: str,
        workload_kind: str,
        note: str,
        account: str,
    ) -> Entity:
        clock = self.clocks.get(node)
        if clock is not None:
            off = f"the clock of its node is off by {max(clock) / SECOND:.1f} s, bounds are widened by that"
            note = f"{note}; {off}" if note else off
        return Entity(kind, namespace, name, uid, node, workload, workload_kind, note, account)

    def nodes(self) -> tuple[npt.NDArray[np.int32], list[str]]:
        """Return a number for the node of each entity, and the names that the numbers mean; "" is no node."""
        code, words = codes(chunk(self.pods, "node"))
        known = {word: number for number, word in enumerate(words)}
        things = [known.setdefault(one.name if one.kind == "Node" else "", len(known)) for one in self.things]
        return np.append(code, np.array(things, dtype=np.int64)).astype(np.int32), list(known)

    def uids(self) -> list[str]:
        """Return the UIDs of all entities."""
        found: list[str] = self.pods["uid"].to_pylist()
        return found + [one.uid for one in self.things]

    def named(self, namespace: str, begins: str) -> list[int]:
        """Return rows of pods of a namespace whose names begin so."""
        code, words = codes(chunk(self.pods, "namespace"))
        if namespace not in words:
            return []
        rows = np.flatnonzero(code == words.index(namespace))
        names = values(chunk(self.pods, "name"), rows)
        return [int(row) for row, name in zip(rows, names, strict=True) if name.startswith(begins)]


def _thing(thing: ThingTrack) -> Entity:
    if thing.kind == "Service":
        return Entity(SERVICE, thing.namespace, thing.name, thing.uid)
    return Entity(NODE, "", thing.name, thing.uid, node=thing.name)


class Holds(Sequence[Hold]):
    """All holds, address by address, oldest first.

    Args: table: their columns. first: where each address begins. halves: (addresses, 2) of the addresses.
    """

    def __init__(self, table: Table, first: npt.NDArray[np.int64], halves: npt.NDArray[np.int64]) -> None:
        self._bounds, self._kind, self._entity = table.bounds, table.kind, table.entity
        self._conflict, self.source = table.conflict, table.source
        self._first, self._halves = first, halves

    def __len__(self) -> int:
        return int(self._kind.size)

    @overload
    def __getitem__(self, row: int) -> Hold: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Hold]: ...
    def __getitem__(self, row: int | slice) -> Hold | Sequence[Hold]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if row < 0 or row >= len(self):
            raise IndexError(row)
        low, sure, end, high = self._bounds[row].tolist()
        source = "" if self.source is None else self.source[int(row)].as_py()
        address = np.searchsorted(self._first, row, side="right") - 1
        ip = self._halves[address].astype(">i8").tobytes()
        return Hold(
            ip, int(self._kind[row]), int(self._entity[row]), low, sure, end, high, bool(self._conflict[row]), source
        )
