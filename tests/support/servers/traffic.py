"""Who talks to whom on the real nodes, and what that makes true of every flow that a capture shows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from support.servers.kubelet import Clockwork
from support.servers.real_node import Container, RealNode

Row = dict[str, Any]
BRIDGE, WIRE = "node1-bridge", "node1-underlay"
VIRTUAL = "10.96.12.34"
SERVICE = ("service", "shop", "api")  # what its address is to be named
INSIDE_US = (
    3_000_000  # bounds are cut to seconds, and an address is given back up to 1.5 s after its last container ended
)
EDGE_US = 300_000  # what the kubelet's own notes of a hold may differ from the kernel's doing


@dataclass(frozen=True)
class Talk:
    """A connection that a process was asked to open. at: seconds since the epoch."""

    token: str
    client: Container
    to: str
    port: int
    protocol: str
    at: float


class Traffic:
    """Everybody talks to everybody, most of all when somebody has just started."""

    def __init__(self, nodes: list[RealNode], clock: Clockwork, seconds: float, seed: int) -> None:
        self.talks: list[Talk] = []
        self.until = time.monotonic() + seconds
        self._nodes = nodes
        self._clock = clock
        self._random = Random(seed)
        for node in nodes:
            node.on_start = self.greet

    def running(self) -> list[Container]:
        """Everybody who can talk now."""
        return [one for node in self._nodes for one in node.running]

    def greet(self, new: Container) -> None:
        """What starts calls others at once, and others call it."""
        if time.monotonic() > self.until:
            return
        if new.host.number == 1:  # on the backend's own node, replies would not be translated back
            self.say(new, VIRTUAL, port=80)
        others = [one for one in self.running() if one is not new]
        for other in self._random.sample(others, min(2, len(others))):
            self.say(new, other.address)
            self.say(other, new.address)

    def go_on(self) -> None:
        """One more connection between any two, to the Service, or to an address that was somebody's just now."""
        if time.monotonic() > self.until:
            return
        self._clock.after(0.07, self.go_on)
        everybody = self.running()
        if len(everybody) < 2:
            return
        client, target = self._random.sample(everybody, 2)
        kind = self._random.random()
        if kind < 0.15:
            self.say(client, target.address, messages=20, pause=0.25)
        elif kind < 0.35 and client.host.number == 1:
            self.say(client, VIRTUAL, port=80)
        elif kind < 0.4:
            past = [one for node in self._nodes for one in node.containers if one.ended]
            self.say(client, self._random.choice(past[-5:]).address if past else target.address)
        else:
            self.say(client, target.address)

    def say(self, client: Container, to: str, port: int = 8080, messages: int = 2, pause: float = 0.02) -> None:
        """Let somebody open one connection."""
        protocol = "udp" if port == 8080 and messages == 2 and self._random.random() < 0.25 else "tcp"
        port = 9000 if protocol == "udp" else port
        token = f"talk-{len(self.talks):05}"
        self.talks.append(Talk(token, client, to, port, protocol, time.time()))
        asked = {"token": token, "to": to, "port": port, "protocol": protocol, "from": client.address}
        client.talker.tell(do="talk", messages=messages, size=200, pause=pause, **asked)


class Truth:
    """What really happened, told by sockets and by the nodes' own notes."""

    def __init__(self, nodes: list[RealNode], talks: list[Talk]) -> None:
        self.nodes = nodes
        self.talks = talks
        self.containers = [one for node in nodes for one in node.containers]
        self.holds: list[Row] = [json.loads(line) for node in nodes for line in node.holds]
        self.gone = {uid: moment for node in nodes for uid, moment in node.gone.items()}
        self.published = set[tuple[str, str]]().union(*(node.published for node in nodes))
        self.accepted = {token: (one, told) for one in self.containers for token, told in one.talker.accepted.items()}
        self.by_key: dict[tuple[Any, ...], list[Talk]] = {}
        for talk in talks:
            for key in self.keys(talk):
                self.by_key.setdefault(key, []).append(talk)

    def keys(self, talk: Talk) -> list[tuple[Any, ...]]:
        """How each capture of node 1 sees a connection: the bridge before a Service's translation, the wire after."""
        if talk.token not in talk.client.talker.calling:
            return []
        local = talk.client.talker.calling[talk.token]["local"]
        host, keys = talk.client.host.number, []
        server, told = self.accepted.get(talk.token, (None, {}))
        if host == 1 or (server and server.host.number == 1):
            keys.append((BRIDGE, talk.protocol, *local, talk.to, talk.port))
        if server and host != server.host.number:
            keys.append((WIRE, talk.protocol, *local, *told["local"]))
        return keys

    def talk_of(self, row: Row) -> Talk | None:
        """The connection that a flow is."""
        found = self.by_key.get(key_of(row), [])
        return min(found, key=lambda talk: abs(talk.at - row["start_time"].timestamp()), default=None)

    def holders(self, row: Row, side: str) -> set[str]:
        """Who may have had an end's address during a flow by the nodes' notes, where no socket of ours accepted it."""
        low, high = us(row["start_time"]) - EDGE_US, us(row["end_time"]) + EDGE_US
        return {
            one["uid"]
            for one in self.holds
            if one["ip"] == row[f"{side}_ip"] and one["start_us"] <= high and one["end_us"] >= low
        }

    def is_free(self, row: Row, side: str, later: set[str]) -> bool:
        """Say whether nobody whom a status showed had the address yet when a flow began; `later` answered it."""
        address, start = row[f"{side}_ip"], us(row["start_time"])
        for one in self.holds:
            edge = EDGE_US if one["uid"] in later else 0
            shown = edge or (one["uid"], address) in self.published
            if one["ip"] == address and shown and one["start_us"] - edge <= start <= one["end_us"] + edge:
                return False
        return True

    def last_holder(self, row: Row, side: str) -> str:
        """Who had an end's address before the flow."""
        before = [
            one for one in self.holds if one["ip"] == row[f"{side}_ip"] and one["end_us"] <= us(row["start_time"])
        ]
        return max(before, key=lambda one: one["end_us"], default={"uid": ""})["uid"]

    def next_holder(self, row: Row, side: str) -> str:
        """Who had an end's address after the flow, if its node already knew of it: since that second it may hold it."""
        start = us(row["start_time"])
        after = [
            one
            for one in self.holds
            if one["ip"] == row[f"{side}_ip"] and one["taken_up_us"] // 10**6 * 10**6 <= start < one["start_us"]
        ]
        return min(after, key=lambda one: one["start_us"], default={"uid": ""})["uid"]

    def at_end(self, row: Row, side: str) -> set[str]:
        """Who was at this end of a flow: one, by the sockets; else all that the notes leave possible."""
        talk = self.talk_of(row)
        if talk and side == "src":
            return {talk.client.uid}
        if talk and talk.token in self.accepted:
            return {self.accepted[talk.token][0].uid}
        return self.holders(row, side)

    def is_inside(self, row: Row, side: str) -> bool:
        """Say whether an end is known to be one pod, which held its address long before the flow and long after."""
        address, uids = row[f"{side}_ip"], self.at_end(row, side)
        low, high = us(row["start_time"]) - INSIDE_US, us(row["end_time"]) + INSIDE_US
        return len(uids) == 1 and any(
            one["uid"] in uids and one["ip"] == address and one["start_us"] <= low and high <= one["end_us"]
            for one in self.holds
        )

    def changes(self) -> Iterator[tuple[Row, Row]]:
        """Two holds of an address, one right behind the other."""
        ordered = sorted(self.holds, key=lambda one: (one["ip"], one["start_us"]))
        return ((before, after) for before, after in pairwise(ordered) if before["ip"] == after["ip"])

    def stood(self, before: Row, after: Row) -> bool:
        """Say whether a pod's object was still there, its address in the status, when its successor had the address."""
        known = (before["uid"], before["ip"]) in self.published
        return known and self.gone[before["uid"]] * 1e6 > after["start_us"] + EDGE_US

    def talked(self) -> dict[tuple[str, str], list[float]]:
        """When a pod opened connections from an address."""
        moments: dict[tuple[str, str], list[float]] = {}
        for talk in self.talks:
            if talk.token in talk.client.talker.calling:
                moments.setdefault((talk.client.uid, talk.client.address), []).append(talk.at)
        return moments

    def wrong(self, row: Row, side: str, live: bool = False) -> str:
        """Say what is wrong with an answer; empty when it is right, or honest about what it does not know.

        live: the recorder is not done, and may not have heard of everybody yet.
        """
        address, confidence = row[f"{side}_ip"], row[f"{side}_confidence"]
        told = f"{row['start_time']} {side} of {key_of(row)}, {confidence} {row[f'{side}_pod']}"
        if address == VIRTUAL:
            named = (confidence, row[f"{side}_namespace"], row[f"{side}_service"])
            return "" if named == SERVICE else f"{told}: is the Service, named {named}"
        if not of_a_pod(address):
            return ""
        truth = self.at_end(row, side)
        unseen = not any((uid, address) in self.published for uid in truth)
        free = self.is_free(row, side, truth)
        certain = row[f"{side}_pod_uid"] in truth
        listed = any(one["uid"] in truth for one in row[f"{side}_candidates"] or [])
        honest = {
            "exact": certain,
            # Where no status ever showed the address with who had it, only its neighbours in time can be thought of:
            # the one before until its release is published, the one after since its node took it up.
            "likely": certain
            or (
                (free or unseen)
                and row[f"{side}_pod_uid"] in (self.last_holder(row, side), self.next_holder(row, side))
            ),
            "ambiguous": listed or unseen or free,
            "none": unseen or free,  # nobody can know of an address that no status ever showed
            "unknown": live or unseen or free,
        }
        if honest.get(confidence):
            return ""
        held = [one for one in self.holds if one["uid"] in truth]
        return f"{told}: is {held}{', never published' if unseen else ''}; {row[f'{side}_reason']}"


def of_a_pod(address: str) -> bool:
    """Say whether a pod may have the address: the first two of each node are the node's."""
    return address.startswith("10.244.") and int(address.rpartition(".")[2]) > 1


def us(moment: Any) -> int:
    """Microseconds since the epoch."""
    return round(moment.timestamp() * 1e6)


def key_of(row: Row) -> tuple[Any, ...]:
    """What a flow is known by: where it was seen, and by whom to whom."""
    ends = (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"])
    return (Path(row["observer"]).stem, row["protocol"], *ends)
