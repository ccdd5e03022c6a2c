"""One node's pod addresses, handed out as the usual CNI plugins do."""

from __future__ import annotations

import random

from bench.churn.times import SECOND

WAYS = ("round robin", "block", "cool-down", "random", "lowest")


class Pool:
    """Free addresses of a node.

    way: `round robin` (host-local: the next after the last, no pause), `block` (Calico: a small block, the address
    given back last comes first), `cool-down` (AWS: none within 30 s), `random` (Cilium), `lowest` (whereabouts).
    """

    def __init__(self, addresses: list[str], way: str, dice: random.Random) -> None:
        self.order = {ip: place for place, ip in enumerate(addresses)}
        self.way = way
        self._dice = dice
        self._free = list(reversed(addresses)) if way == "block" else list(addresses)
        self._back: dict[str, int] = {}
        self._kept: dict[str, str] = {}
        self._last = -1

    def keep(self, ip: str, uid: str) -> None:
        """Let nobody but one pod have an address next."""
        self._kept[ip] = uid

    def take(self, now: int, uid: str, wanted: str = "") -> str | None:
        """Hand out an address, the wanted one if one is wanted; None while there is none."""
        able = [ip for ip in self._free if self._kept.get(ip, uid) == uid]
        if self.way == "cool-down":
            able = [ip for ip in able if self._back.get(ip, 0) + 30 * SECOND <= now or ip == wanted]
        if wanted or not able:
            able = [ip for ip in able if ip == wanted]
        if not able:
            return None
        found = self._choose(able)
        self._free.remove(found)
        self._kept.pop(found, None)
        self._last = self.order[found]
        return found

    def _choose(self, able: list[str]) -> str:
        if self.way == "random":
            return self._dice.choice(able)
        if self.way == "lowest":
            return min(able, key=self.order.__getitem__)
        if self.way == "block":
            return able[-1]
        if self.way == "cool-down":
            return able[0]
        size = len(self.order)
        return min(able, key=lambda ip: (self.order[ip] - self._last - 1) % size)

    def give(self, ip: str, now: int) -> None:
        """Take an address back."""
        self._free.append(ip)
        self._back[ip] = now
