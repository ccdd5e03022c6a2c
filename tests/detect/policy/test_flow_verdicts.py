"""Verdicts of named flows: who the ends may have been, who opened it, what an address stands for."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from support.policies import EPOCH as T
from support.policies import told
from support.policy_flows import candidate, end, named

from detect.policy.flow_verdicts import COLUMNS, FlowJudge, columns_of
from detect.policy.moments import Judge
from detect.policy.timeline import Timeline
from whowas.schema import named_schema

SECOND = 1_000_000
ONLY_WEB = {
    "podSelector": {"matchLabels": {"app": "db"}},
    "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 5432}]}],
}
WEB, DB, BATCH = end("web"), end("db", "10.244.1.9"), end("batch", "10.244.1.6")


@pytest.fixture(name="judge")
def judge_() -> FlowJudge:
    return FlowJudge(Judge(known()))


def known(*more: Any) -> Timeline:
    found = Timeline()
    found.watched = [(T - 10**9, T + 10**9)]
    pods = {"web": "web", "batch": "batch", "db": "db", "lone": "lone"}
    several = [
        told("ADDED", "Pod", name, -900, {"nodeName": f"n-{name}", "containers": [
            {"ports": [{"name": "sql", "containerPort": 5432}] if name == "db" else []}]}, app=label)
        for name, label in pods.items()
    ]  # fmt: skip
    policy = told("ADDED", "NetworkPolicy", "np", -800, ONLY_WEB, "2026-11-20T09:00:00Z")
    for one in (*several, told("ADDED", "Namespace", "shop", -900), policy, *more):
        found.take(one)
    return found


def words(judge: FlowJudge, *rows: dict[str, Any]) -> list[str | None]:
    found: list[str | None] = columns_of(judge.judged(named(*rows)))["policy_verdict"].to_pylist()
    return found


def test_flows_of_pods_and_addresses(judge: FlowJudge) -> None:
    outside = end(address="192.0.2.7", confidence="external")
    rows = [
        {"src": WEB, "dst": DB}, {"src": BATCH, "dst": DB}, {"src": BATCH, "dst": WEB}, {"src": outside, "dst": DB},
        {"src": WEB, "dst": outside}, {"src": WEB, "dst": DB, "dst_port": 22},
    ]  # fmt: skip
    assert words(judge, *rows) == ["allowed", "denied", "open", "denied", "open", "denied"]
    told = {name: column.to_pylist() for name, column in columns_of(judge.judged(named(*rows))).items()}
    assert told["policy_ingress"][:3] == ["shop/np rule 1", "shop/np", None]
    assert told["policy_egress"] == [None] * 6
    assert told["policy_reason"][1] == "ingress: isolated by shop/np, and no rule allows it"


def test_ends_that_nobody_can_name_are_not_judged(judge: FlowJudge) -> None:
    unknown = end(address="10.244.9.9", confidence="unknown")
    rows = [
        {"src": unknown, "dst": DB}, {"src": WEB, "dst": DB, "start_time": None},
        {"src": WEB, "dst": DB, "encapsulated": True},
    ]  # fmt: skip
    assert words(judge, *rows) == [None, None, None]


def test_candidates_are_judged_each(judge: FlowJudge) -> None:
    several = end(address="10.244.1.5", confidence="ambiguous", candidates=[candidate("web"), candidate("batch")])
    alike = end(address="10.244.1.5", confidence="ambiguous", candidates=[candidate("lone"), candidate("batch")])
    rows = [{"src": several, "dst": DB}, {"src": alike, "dst": DB}, {"src": several, "dst": end("lone", "10.244.1.8")}]
    assert words(judge, *rows) == ["indeterminate", "denied", "open"]
    reason = columns_of(judge.judged(named(rows[0])))["policy_reason"][0].as_py()
    assert reason == "who it was is not certain (shop/web, shop/batch), and decides: allowed or denied"


def test_nodes(judge: FlowJudge) -> None:
    def node(name: str, confidence: str = "node") -> dict[str, Any]:
        return end(address="192.0.2.1", confidence=confidence, kind="node", node=name)

    rows = [
        {"src": node("n-db"), "dst": DB},
        {"src": node("n-web"), "dst": DB},
        {"src": node("n-web", "snat"), "dst": DB},
    ]
    assert words(judge, *rows) == ["allowed", "denied", "indeterminate"]


def test_the_opener_is_who_is_judged(judge: FlowJudge) -> None:
    uni = {"directionality": "uni", "initiator_basis": "sender"}
    back = {"src": DB, "dst": WEB, "src_port": 5432, "dst_port": 40_000}
    rows = [
        {"src": WEB, "dst": DB, **uni}, back | uni, back | uni | {"dst": BATCH},
        # Nobody listens on either: a lone SYN tells, without it there is no telling.
        {"src": BATCH, "dst": DB, "dst_port": 22, "tcp_flags_out": 0x02} | uni,
        {"src": DB, "dst": BATCH, "dst_port": 22, "tcp_flags_out": 0x12} | uni,
        {"src": WEB, "dst": BATCH, "dst_port": 22} | uni,
        back | {"initiator_basis": "first_packet"},
    ]  # fmt: skip
    assert words(judge, *rows) == [
        "allowed", "allowed", "denied", "denied", "indeterminate", "open", "allowed",
    ]  # fmt: skip


def test_icmp_and_services(judge: FlowJudge) -> None:
    service = end(address="10.96.0.7", confidence="service", kind="service", namespace="shop", service="db")
    elsewhere = service | {"namespace": "other"}
    ping = {"protocol": "icmp", "src_port": None, "dst_port": None}
    rows = [
        {"src": BATCH, "dst": DB} | ping, {"src": BATCH, "dst": WEB} | ping, {"src": WEB, "dst": service},
        {"src": WEB, "dst": elsewhere},
    ]  # fmt: skip
    assert words(judge, *rows) == ["undefined", "open", "undefined", "open"]


def test_a_record_that_may_be_of_before_a_change() -> None:
    judge = FlowJudge(Judge(known(told("DELETED", "NetworkPolicy", "np", -30, ONLY_WEB))))
    rows = [{"src": BATCH, "dst": DB, "time_before": before} for before in (0, 10 * SECOND, 60 * SECOND, None)]
    assert words(judge, *rows) == ["open", "open", "indeterminate", "indeterminate"]


def test_each_row_alone_is_judged_as_in_a_batch_and_dictionaries_change_nothing(judge: FlowJudge) -> None:
    several = end(address="10.244.1.5", confidence="ambiguous", candidates=[candidate("web"), candidate("batch")])
    outside = end(address="192.0.2.7", confidence="external")
    ends = [WEB, DB, several, outside]
    rows = [
        {"src": one, "dst": other, "dst_port": port, "initiator_basis": basis, "start_time": T + shift}
        for one in ends for other in ends for port in (5432, 22) for basis in ("syn", "sender")
        for shift in (0, 10**9 + 2 * SECOND)
    ]  # fmt: skip
    together = words(judge, *rows)
    assert together == [words(judge, row)[0] for row in rows]
    assert len(set(together)) >= 4
    table = named(*rows)
    for side in ("src", "dst"):
        place = table.schema.get_field_index(f"{side}_candidates")
        kind = named_schema().field(f"{side}_candidates").type
        lists = table.column(place).combine_chunks()
        codes = pa.array(range(len(lists)), pa.int32())
        table = table.set_column(place, f"{side}_candidates", pa.DictionaryArray.from_arrays(codes, lists))
        assert table.column(place).type == kind
    assert columns_of(judge.judged(table))["policy_verdict"].to_pylist() == together


def test_what_is_remembered_of_other_batches_is_what_would_be_judged(judge: FlowJudge) -> None:
    """The same flows again, and then each with one thing changed."""
    row = {"src": WEB, "dst": DB, "initiator_basis": "sender", "src_port": 40_000, "tcp_flags_out": 0x12}
    other = [
        {"src": BATCH}, {"dst": BATCH}, {"dst_port": 22}, {"protocol": "udp"}, {"start_time": T + 2 * 10**9},
        {"time_before": 3 * 10**9}, {"encapsulated": True}, {"initiator_basis": "syn"}, {"src_port": 5432},
        {"dst_port": 22, "tcp_flags_out": 0x02}, {"src": end(address="10.244.1.5", confidence="none")},
        {"src": end("web", confidence="ambiguous", candidates=[candidate("web"), candidate("batch")])},
        {"src": end("web", confidence="ambiguous", candidates=[candidate("web")])},
    ]  # fmt: skip
    for change in ({}, {}, *other):
        assert words(judge, row | change) == words(FlowJudge(Judge(known())), row | change), change


def test_an_empty_batch(judge: FlowJudge) -> None:
    assert words(judge) == []


def restless() -> Timeline:
    """A cluster in which policies, labels, ports and namespaces change around T, and one namespace beside it."""
    npol = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 22}]}]}
    sql = {"nodeName": "n-lone", "containers": [{"ports": [{"name": "sql", "containerPort": 5432}]}]}
    return known(
        told("ADDED", "NetworkPolicy", "late", -40, npol), told("MODIFIED", "Pod", "lone", -20, sql, app="db"),
        told("MODIFIED", "Namespace", "shop", 10, team="x"), told("DELETED", "NetworkPolicy", "late", 20, npol),
        told("MODIFIED", "Pod", "web", 30, {"nodeName": "n-web"}, app="other"),
        told("DELETED", "NetworkPolicy", "np", 45, ONLY_WEB),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_may_be_cut_anywhere(seed: int) -> None:
    """Each flow is judged alone, by a judge that was never asked before; then all, in pieces of any size."""
    rolls = random.Random(seed)
    several = end(address="10.244.1.5", confidence="ambiguous", candidates=[candidate("web"), candidate("lone")])
    service = end(address="10.96.0.7", confidence="service", kind="service", namespace="shop", service="db")
    node = end(address="192.0.2.1", confidence="snat", kind="node", node="n-web")
    ends = [
        WEB,
        DB,
        BATCH,
        end("lone", "10.244.1.8"),
        several,
        service,
        node,
        end(address="192.0.2.7", confidence="external"),
    ]
    changes = (-40, -20, 0, 10, 20, 30, 45)
    near = (-SECOND - 1, -SECOND, -1, 0, 1, 2, SECOND, SECOND + 1, SECOND + 2, 5 * SECOND)
    rows = [
        {"src": rolls.choice(ends), "dst": rolls.choice(ends), "dst_port": rolls.choice((22, 5432, None)),
         "protocol": rolls.choice(("tcp", "tcp", "udp")), "initiator_basis": rolls.choice(("syn", "sender")),
         "time_before": rolls.choice((0, 0, 1, SECOND, 15 * SECOND, None)), "src_port": rolls.choice((5432, 40_000)),
         "start_time": T + rolls.choice(changes) * SECOND + rolls.choice(near),
         "tcp_flags_out": rolls.choice((2, 18, None))}
        for _ in range(400)
    ]  # fmt: skip
    alone = [
        FlowJudge(Judge(restless())).verdict(row) for row in named(*rows).select(COLUMNS).to_pylist() if plain(row)
    ]
    expected = [one and (one.word, one.reason) for one in alone]
    table, judge, place, found = named(*rows), FlowJudge(Judge(restless())), 0, []
    while place < len(rows):
        size = rolls.choice((1, 2, 7, 50, 200))
        columns = columns_of(judge.judged(table.slice(place, size)))
        words, reasons = columns["policy_verdict"].to_pylist(), columns["policy_reason"].to_pylist()
        found += [word and (word, reason) for word, reason in zip(words, reasons, strict=True)]
        place += size
    assert found == expected
    assert {word for word, _ in filter(None, found)} >= {"allowed", "denied", "open", "indeterminate", "undefined"}


@pytest.mark.parametrize("watched", [[(T - 10**9, T + 10**9)], [(T - 10**9, T)]])
def test_without_policies_less_is_asked_and_the_answers_are_the_same(watched: list[tuple[int, int]]) -> None:
    def without() -> Timeline:
        found = Timeline()
        found.watched = list(watched)
        return found

    several = end(address="10.244.1.5", confidence="ambiguous", candidates=[candidate("web"), candidate("lone")])
    lost = end(address="10.244.1.5", confidence="ambiguous", candidates=None)
    node = end(address="192.0.2.1", confidence="snat", kind="node", node="n-web")
    service = end(address="10.96.0.7", confidence="service", kind="service", namespace="shop", service="db")
    ends = [WEB, several, lost, node, service, end(confidence="unknown"), end("web", pod_uid=None)]
    rows = [
        {"src": one, "dst": other, "start_time": at, "encapsulated": inside, "initiator_basis": basis}
        for one in ends for other in ends for at in (T - SECOND, T + 5 * SECOND, None) for inside in (False, True)
        for basis in ("syn", "sender")
    ]  # fmt: skip
    alone = [FlowJudge(Judge(without())).verdict(row) for row in map(plain, named(*rows).select(COLUMNS).to_pylist())]
    judged = FlowJudge(Judge(without())).judged(named(*rows))
    assert [judged.verdicts[one] for one in judged.rows] == alone
    assert {one and one.word for one in alone} == {None, "open", "indeterminate"}


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row's time as a number."""
    if row["start_time"] is not None:
        row["start_time"] = (row["start_time"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return row


def test_what_the_timeline_learns_between_two_batches_counts() -> None:
    timeline = known()
    judge = FlowJudge(Judge(timeline))
    row = {"src": BATCH, "dst": DB, "start_time": T + 100 * SECOND}
    assert words(judge, row) == ["denied"]
    timeline.take(told("DELETED", "NetworkPolicy", "np", 50, ONLY_WEB))
    assert words(judge, row) == ["open"]
