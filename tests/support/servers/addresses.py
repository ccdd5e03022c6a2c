"""Ranges of pod addresses, one a node, given out again as soon as they are free: the ways CNIs do it."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

POLICIES = ("lowest", "last", "round", "random")


class Range:
    """A node's addresses.

    Args: policy: "lowest" free (whereabouts), "last" given back (Calico's small blocks), "round" robin (host-local),
    "random" (Cilium).
    """

    def __init__(self, first: str, size: int, policy: str, random: Random) -> None:
        assert policy in POLICIES, policy
        start = int(IPv4Address(first))
        self._free = [str(IPv4Address(start + number)) for number in range(size)]
        self._order = {address: number for number, address in enumerate(self._free)}
        self._policy = policy
        self._random = random
        self._latest = -1

    def take(self, wanted: str | None = None) -> str | None:
        """Give an address out, the wanted one if it is free; None when all are held."""
        if not self._free:
            return None
        chosen = wanted if wanted in self._free else self._choose()
        self._free.remove(chosen)
        self._latest = self._order[chosen]
        return chosen

    def _choose(self) -> str:
        if self._policy == "lowest":
            return min(self._free, key=self._order.__getitem__)
        if self._policy == "last":
            return self._free[-1]
        if self._policy == "random":
            return self._random.choice(self._free)
        size = len(self._order)
        return min(self._free, key=lambda address: (self._order[address] - self._latest - 1) % size)

    def give_back(self, address: str) -> None:
        """Make an address free."""
        assert address not in self._free, address
        self._free.append(address)
