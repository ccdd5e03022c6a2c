"""Flows of the past as connections that a policy can speak of, and those that it cannot be made of, each with why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from detect.policy.directions import DENIED
from detect.policy.flow_ends import CERTAIN_POD
from detect.policy.model import PROTOCOLS
from whowas.errors import ConfigError
from whowas.query.parquet_files import find, relation, sql_text, without_damaged
from whowas.timestamps import rfc3339

WORKLOAD, ADDRESS, SERVICE = "workload", "address", "service"
# Names of what the RFCs set apart: no policy speaks of these.
NOWHERE = ("multicast", "broadcast", "loopback", "unspecified", "link-local")
ON_NODE = "host-network pod"  # in the reason of a name: to policies such a pod is its node
SIDES = ("src", "dst")
END = ("confidence", "reason", "kind", "namespace", "workload", "workload_kind", "pod_uid", "service", "node")
# Rows are grouped by these. A port of the source counts only where nothing else says who opened it.
GROUPED = """
SELECT {ends}, dst_port, protocol, policy_verdict, coalesce(policy_ingress, policy_egress) AS policy,
       coalesce(encapsulated, false) AS encapsulated, told, answered, if(told, NULL, src_port) AS src_port,
       any_value(src_ip) AS src_some_ip, any_value(dst_ip) AS dst_some_ip,
       list(DISTINCT tls_sni) FILTER (tls_sni IS NOT NULL) AS names,
       count(*) AS flows, coalesce(min(epoch_us(start_time)), 0) AS first_us,
       coalesce(max(epoch_us(start_time)), 0) AS last_us
FROM (SELECT *, coalesce(initiator_basis IN ('syn', 'record'), false)
                OR coalesce(tcp_flags_out & 18 = 2, false) AS told,
             NOT coalesce(directionality = 'bi' AND packets_in = 0, false)
             AND NOT coalesce(protocol = 'tcp' AND tcp_flags_in & 63 IN (4, 20), false)
             AND NOT coalesce(directionality = 'uni' AND tcp_flags_out & 63 = 2, false) AS answered
      FROM ({flows}))
{where} GROUP BY ALL
"""


class Party(NamedTuple):
    """An end as policies can speak of it. kind: WORKLOAD or ADDRESS; name: a workload's, or an address."""

    kind: str
    namespace: str
    name: str
    workload_kind: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Edge(NamedTuple):
    """Who opens connections to whom."""

    source: Party
    target: Party
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.source} -> {self.target} {self.port}/{self.protocol}"


@dataclass
class Tally:
    """How often something was seen, and what its far end was called."""

    flows: int = 0
    first_us: int = 0
    last_us: int = 0
    names: set[str] = field(default_factory=set)

    def add(self, row: dict[str, Any]) -> None:
        """Count the flows of a group."""
        first, last = row["first_us"], row["last_us"]
        self.first_us = min(first, self.first_us) if self.flows else first
        self.last_us = max(last, self.last_us)
        self.flows += row["flows"]
        self.names.update(row["names"] or ())

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {"flows": self.flows, "first": rfc3339(self.first_us), "last": rfc3339(self.last_us)}


class Left(NamedTuple):
    """What is left out. source, target: in words. why: in words too."""

    source: str
    target: str
    port: int | None
    protocol: str
    why: str


@dataclass
class SeenFlows:
    """What some folders of flows hold. labels: by workload, each set of labels that a pod of it had.

    on_service: who asked the address of a Service; serves: workloads behind each. held: addresses of pods and Services.
    """

    cluster: str = ""
    flows: int = 0
    edges: dict[Edge, Tally] = field(default_factory=lambda: defaultdict(Tally))
    left: dict[Left, Tally] = field(default_factory=lambda: defaultdict(Tally))
    labels: dict[Party, set[frozenset[tuple[str, str]]]] = field(default_factory=lambda: defaultdict(set))
    addresses: dict[Party, str] = field(default_factory=dict)
    called: dict[Party, set[str]] = field(default_factory=lambda: defaultdict(set))
    serves: dict[str, set[Party]] = field(default_factory=lambda: defaultdict(set))
    on_service: dict[tuple[Party, str, int, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    held: set[str] = field(default_factory=set)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def leave(self, *told: Any) -> Tally:
        """Return where to count what is left out. Args: as Left has them."""
        return self.left[Left(str(told[0]), str(told[1]), *told[2:])]


def seen_flows(
    folders: Sequence[str], cluster: str | None, listens: Any, on_node: Any, *, likely: bool = False
) -> SeenFlows:  # fmt: skip
    """Read every flow below some folders. Raises: InputError; ConfigError where flows are of several clusters.

    Args: listens: (pod's UID, port, protocol) -> whether its containers declare it. on_node: UID -> whether the pod
    is on its node's network. likely: names that are no more than likely count too.
    """
    files = without_damaged(find(folders))
    found = SeenFlows(unreadable=list(files.unreadable))
    rows = list(_rows(files, cluster, found))
    untold, taking = _Openers(rows, listens), _Taking(found, CERTAIN_POD if likely else CERTAIN_POD[:1], on_node)
    for row in rows:
        taking.take(row, untold.opened_by(row))
    taking.services()
    return found


def _rows(files: Any, cluster: str | None, found: SeenFlows) -> Iterator[dict[str, Any]]:
    import duckdb

    if not files.groups:
        return
    with duckdb.connect() as link:
        flows = relation(link, files)
        told = link.sql(f"SELECT DISTINCT cluster FROM ({flows})").fetchall()  # noqa: S608
        several = sorted(name for (name,) in told if name)
        if cluster is None and len(several) > 1:
            raise ConfigError(
                f"cannot propose for {len(several)} clusters at once: {', '.join(several)}; say --cluster"
            )
        found.cluster = cluster or "".join(several)
        where = f"WHERE cluster = {sql_text(cluster)}" if cluster else ""
        ends = ", ".join(
            [f"{side}_{name}" for side in SIDES for name in (*END, "labels")]
            + [f"if({side}_kind = 'pod', NULL, {side}_ip) AS {side}_ip" for side in SIDES]
        )
        asked = GROUPED.format(ends=ends, flows=flows, where=where)
        for batch in link.sql(asked).to_arrow_reader(1 << 14):
            yield from batch.to_pylist()


def _key(row: dict[str, Any], side: str) -> tuple[Any, ...]:
    return row[f"{side}_namespace"], row[f"{side}_workload"], row[f"{side}_service"], row[f"{side}_ip"]


class _Openers:
    """Who opened what no record says so of: who listens on its port, or is asked there by more than one."""

    def __init__(self, rows: Iterable[dict[str, Any]], listens: Any) -> None:
        self._listens = listens
        self._asked: dict[Any, set[Any]] = defaultdict(set)
        self._known: set[Any] = set()
        for row in rows:
            ends = [(_key(row, side), row[f"{side}_port"], row["protocol"]) for side in SIDES]
            if row["told"]:
                self._known.add(ends[1])
            else:
                self._asked[ends[0]].add(ends[1])
                self._asked[ends[1]].add(ends[0])

    def opened_by(self, row: dict[str, Any]) -> str:
        """Return src or dst, "" where nothing tells."""
        if row["told"] or row["protocol"] not in PROTOCOLS:
            return "src"
        listening = [self._is_asked(row, side) for side in SIDES]
        if listening[0] == listening[1]:
            asked = [len(self._asked[_key(row, one), row[f"{one}_port"], row["protocol"]]) for one in SIDES]
            listening = [asked[0] > asked[1], asked[1] > asked[0]]
        return "" if listening[0] == listening[1] else "dst" if listening[0] else "src"

    def _is_asked(self, row: dict[str, Any], side: str) -> bool:
        port, protocol = row[f"{side}_port"], row["protocol"]
        if row[f"{side}_kind"] == "service" or (_key(row, side), port, protocol) in self._known:
            return True
        uid = row[f"{side}_pod_uid"]
        return bool(uid and port is not None and self._listens(uid, port, protocol))


class _Taking:
    """Takes groups of flows in. certain: the words of confidence in a pod that count."""

    def __init__(self, found: SeenFlows, certain: tuple[str, ...], on_node: Any) -> None:
        self._found = found
        self._certain = certain
        self._on_node = on_node

    def take(self, row: dict[str, Any], opener: str) -> None:
        """Count a group of flows as a connection, or say why it is none."""
        self._found.flows += row["flows"]
        for side in SIDES:
            self._know(row, side)
        if not any(row[f"{side}_kind"] == "pod" or _is_doubtful(row, side) for side in SIDES):
            return
        ends = SIDES if opener != "dst" else SIDES[::-1]
        port = row["dst_port"] if opener != "dst" else row["src_port"]
        why = self._why_not(row, opener, port)
        source, target = (self._party(row, side) for side in ends)
        if why or source is None or target is None or port is None:
            names = (_called(row, side) for side in ends)
            self._found.leave(*names, port, row["protocol"] or "", why or "an end has no name").add(row)
        elif source.kind == SERVICE:
            self._found.leave(source, target, port, row["protocol"], "a Service's address opened it").add(row)
        elif target.kind == SERVICE:
            self._found.on_service[source, str(target), port, row["protocol"]].add(row)
        elif source.kind == WORKLOAD or target.kind == WORKLOAD:
            self._found.edges[Edge(source, target, port, row["protocol"])].add(row)

    def _know(self, row: dict[str, Any], side: str) -> None:
        """Remember what a flow says of an end, whether a policy is made of it or not."""
        if row[f"{side}_kind"] in ("pod", "service") and row[f"{side}_some_ip"]:
            self._found.held.add(row[f"{side}_some_ip"])
        party = self._party(row, side)
        if party is None or party.kind == SERVICE:
            return
        if party.kind == ADDRESS:
            if row[f"{side}_workload"] or row[f"{side}_node"]:
                self._found.called[party].add(row[f"{side}_workload"] or f"node {row[f'{side}_node']}")
            return
        self._found.labels[party].add(frozenset((name, value or "") for name, value in row[f"{side}_labels"] or ()))
        self._found.addresses.setdefault(party, row[f"{side}_some_ip"])
        for service in filter(None, (one.strip() for one in (row[f"{side}_service"] or "").split(","))):
            self._found.serves[f"{party.namespace}/{service}"].add(party)

    def _party(self, row: dict[str, Any], side: str) -> Party | None:
        kind, address = row[f"{side}_kind"], row[f"{side}_some_ip"]
        if kind == "service":
            return Party(SERVICE, row[f"{side}_namespace"] or "", row[f"{side}_service"] or "")
        if kind != "pod":
            return Party(ADDRESS, "", address) if address else None
        if row[f"{side}_confidence"] not in self._certain:
            return None
        if self._on_node(row[f"{side}_pod_uid"]) or ON_NODE in (row[f"{side}_reason"] or ""):
            return Party(ADDRESS, "", address)
        if not row[f"{side}_workload"]:
            return None
        return Party(WORKLOAD, row[f"{side}_namespace"], row[f"{side}_workload"], row[f"{side}_workload_kind"] or "")

    def _why_not(self, row: dict[str, Any], opener: str, port: int | None) -> str:
        """Say why no policy is made of a group, "" where one is."""
        for side, name in zip(SIDES, ("source", "destination"), strict=True):
            sure = row[f"{side}_confidence"]
            if _is_doubtful(row, side) or (row[f"{side}_kind"] == "pod" and sure not in self._certain):
                return f"who its {name} was is not certain ({sure or 'not named'})"
            if row[f"{side}_kind"] == "external" and row[f"{side}_workload"] in NOWHERE:
                return f"no policy speaks of {row[f'{side}_workload']}"
        if row["encapsulated"]:
            return "a tunnel's outer addresses"
        if row["protocol"] not in PROTOCOLS or port is None:
            return f"no NetworkPolicy speaks of {row['protocol'] or 'it'}"
        if row["policy_verdict"] == DENIED:
            return f"{row['policy'] or 'a policy'} denied it"
        if _own_node(row):
            return "a pod and its own node always reach each other"
        if not opener:
            return "who opened it is not known"
        return "" if row["answered"] else "nobody answered"

    def services(self) -> None:
        """Of what asked a Service's address, tell what was not seen behind it."""
        for (source, service, port, protocol), tally in self._found.on_service.items():
            behind = self._found.serves.get(service, set())
            asked = {edge.target for edge in self._found.edges if edge.source == source and edge.protocol == protocol}
            if not behind & asked:
                why = "a Service's address, and who answered behind it was not seen"
                self._found.left[Left(str(source), service, port, protocol, why)] = tally


def _is_doubtful(row: dict[str, Any], side: str) -> bool:
    return row[f"{side}_confidence"] in (None, "unknown", "ambiguous", "snat")


def _own_node(row: dict[str, Any]) -> bool:
    return {row["src_kind"], row["dst_kind"]} == {"pod", "node"} and row["src_node"] == row["dst_node"] is not None


def _called(row: dict[str, Any], side: str) -> str:
    parts = (row[f"{side}_namespace"], row[f"{side}_workload"] or row[f"{side}_service"])
    return "/".join(one for one in parts if one) or row[f"{side}_node"] or row[f"{side}_some_ip"] or "?"
