"""What really happened: every connection, how each capture sees it, and who held which address when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.cluster import Pod
from lab.network import OUTSIDE_HOST, VNI, Network, Node
from lab.objects import micros

Row = dict[str, Any]
BRIDGE, UNDERLAY, ANY = "node1-bridge", "node1-underlay", "node1-any"


@dataclass(frozen=True)
class Party:
    """One end as the truth names it: a pod, a node, a service or the outside."""

    kind: str
    name: str
    uid: str = ""
    node: Node | None = None
    on_pod_network: bool = False

    @staticmethod
    def of(pod: Pod) -> Party:
        return Party("pod", pod.name, pod.object.uid, pod.node, not pod.object.host_network)


OUTSIDE = Party("external", OUTSIDE_HOST)


@dataclass(frozen=True)
class Pair:
    """Addresses and ports of a conversation at one point of its way."""

    src_ip: str
    src_port: int | None
    dst_ip: str
    dst_port: int | None


@dataclass(frozen=True)
class Talk:
    """A talk that was asked for: who, to whom, and behind a Service to which pod."""

    token: str
    protocol: str
    client: Party
    target: Party
    asked: Party
    to: str
    port: int | None


def connection(talk: Talk, done: Row, accepted: Row | None, network: Network) -> Row:
    """One row: the client's word, the accepting side's word, and what each capture of node 1 sees.

    Without the accepting side's word (refused, ICMP) addresses are as the client has them.
    """
    first = Pair(done["local"][0], done["local"][1], talk.to, talk.port)
    arrived = first
    if accepted is not None:
        arrived = Pair(*_plain(accepted["peer"]), *_plain(accepted["local"]))
    return {
        "row": "connection",
        "id": talk.token,
        "protocol": talk.protocol,
        "src": talk.client.name,
        "src_kind": talk.client.kind,
        "src_uid": talk.client.uid,
        "dst": talk.asked.name,
        "dst_kind": talk.asked.kind,
        "dst_uid": talk.asked.uid,
        "backend": talk.target.name if talk.target is not talk.asked else None,
        "src_ip": first.src_ip,
        "src_port": first.src_port,
        "dst_ip": first.dst_ip,
        "dst_port": first.dst_port,
        "start": micros(done["start"]),
        "end": micros(done["end"]),
        "payload_out": done["sent"],
        "payload_in": done["got"],
        "result": done["result"],
        "views": _views(talk, first, arrived, network),
    }


def _plain(pair: list[Any]) -> tuple[str, int]:
    return str(pair[0]).removeprefix("::ffff:"), int(pair[1])


def _views(talk: Talk, first: Pair, arrived: Pair, network: Network) -> list[Row]:
    """Follow the packets through node 1: bridge before translation, wire after it.

    Links of the `any` capture see both, and between them the translated packet outside its tunnel.
    """
    here = network.nodes[0]
    client, target = talk.client, talk.target
    translated = client if arrived.src_ip == first.src_ip else Party("snat", client.node.name if client.node else "")
    crosses = client.node is not target.node and here in (client.node, target.node)
    tunnel = VNI if client.node and target.on_pod_network and translated is client else None
    views = []
    if client.node is here and client.on_pod_network:
        views += [_view(place, first, client, talk.asked, None) for place in (BRIDGE, ANY)]
    elif target.node is here and target.on_pod_network:
        views += [_view(place, arrived, translated, target, None) for place in (BRIDGE, ANY)]
    if crosses:
        views += [_view(place, arrived, translated, target, tunnel) for place in (UNDERLAY, ANY)]
        if tunnel is not None and arrived != first:
            views.append(_view(ANY, arrived, client, target, None))
    return views


def _view(place: str, pair: Pair, src: Party, dst: Party, vni: int | None) -> Row:
    return {
        "capture": place,
        "vni": vni,
        "src_ip": pair.src_ip,
        "src_port": pair.src_port,
        "dst_ip": pair.dst_ip,
        "dst_port": pair.dst_port,
        "src": src.name,
        "src_kind": src.kind,
        "src_uid": src.uid,
        "dst": dst.name,
        "dst_kind": dst.kind,
        "dst_uid": dst.uid,
    }


def holders(pods: list[Pod]) -> list[Row]:
    """Who held which address; null end: still held when the lab was taken down."""
    return [
        {
            "row": "holder",
            "ip": address,
            "pod": pod.name,
            "uid": pod.object.uid,
            "node": pod.node.name,
            "host_network": pod.object.host_network,
            "start": micros(pod.start),
            "end": None if pod.end is None else micros(pod.end),
        }
        for pod in pods
        for address in pod.addresses
    ]
