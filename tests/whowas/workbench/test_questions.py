"""Answers of the page are what Python counts over the same flows, from roll-ups as from flows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.workbench import DAY, HOUR, Row, Served, weaker

from whowas.query.database import Asked, Database
from whowas.query.filters import sql_of
from whowas.schema import CONFIDENCES
from whowas.workbench import edges, service_map
from whowas.workbench.filter_text import read

FILTERS = (
    "", "src=shop/web", "src=web", "src=pod/dev/web", "dst=deploy/shop/web:443", "end=data/*", "namespace=shop",
    "label=app=web", "label=app=*", "not label=app=web", "node=node-1", "confidence=exact", "confidence=ambiguous",
    "protocol=tcp", "port=53", "dst=:443", "kind=service", "external=true", "ip=10.1.0.1", "src=10.1.0.0/30",
    "where=tls_sni=a.example", "where=src_workload=web not where=src_confidence=likely", "cluster=demo", "cluster=x",
    "direction=outbound dst=db", "not src=web", "where=src_pod=web-1", "where=src_images=registry.example/a:1",
    "where=dst_service=web",
)  # fmt: skip
RANGES = (
    None,
    (DAY, DAY + 3 * HOUR),
    (DAY + HOUR, DAY + 2 * HOUR),
    (DAY + 1234, DAY + 2 * HOUR + 99),
    (DAY + 7, DAY + 8_000_007),
    (DAY - HOUR, DAY),
    (DAY + 600_000_000, DAY + 1_200_000_000),
    (DAY + 5, DAY + 5),
    (0, 1 << 62),
)


class Matching(dict[str, set[str]]):
    """Flow ids by filter; said shortly where a test fails."""

    def __repr__(self) -> str:
        return "<matching>"


@pytest.fixture(scope="module")
def matching(folder: Path) -> Any:
    """Which flows a filter leaves, by plain SQL over them."""
    with Database(str(folder)) as database:
        database.lock()

        def ids(text: str) -> set[str]:
            where, values = sql_of(read(text).filter)
            return {row[0] for row in database.rows(Asked(f"SELECT flow_id FROM flows WHERE {where}", values))}

        yield Matching((text, ids(text)) for text in FILTERS)


def left(flows: list[Row], ids: set[str], span: tuple[int, int] | None) -> list[Row]:
    """Flows of a range."""
    found = [one for one in flows if one["flow_id"] in ids]
    return [
        one
        for one in found
        if span is None or (one["start_time"] is not None and span[0] <= one["start_time"] < span[1])
    ]


def question(text: str, span: tuple[int, int] | None, **more: Any) -> dict[str, Any]:
    """As the page asks."""
    return {"filter": text, "range": None if span is None else {"since": span[0], "until": span[1]}, **more}


def size(row: Row) -> int:
    """Bytes of a flow."""
    return (row["bytes_out"] or 0) + (row["bytes_in"] or 0)


@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from(FILTERS), span=st.sampled_from(RANGES), bucket=st.sampled_from([60_000_000, 600_000_000, HOUR])
)
def test_histogram_counts_each_flow_once(
    page: Served, flows: list[Row], matching: Any, text: str, span: Any, bucket: int
) -> None:
    there = left(flows, matching[text], span)
    told = page.ask("/api/histogram", question(text, span, bucket=bucket)).json
    timed = [one for one in there if one["start_time"] is not None]
    expected = Counter((one["start_time"] // bucket * bucket, weaker(one)) for one in timed)
    assert dict(zip(zip(told["time"], told["confidence"], strict=True), told["flows"], strict=True)) == expected
    assert told["untimed"] == len(there) - len(timed)
    assert sum(told["bytes"]) == sum(map(size, timed))


@settings(max_examples=30, deadline=None)
@given(text=st.sampled_from(FILTERS), span=st.sampled_from(RANGES))
def test_ends_count_by_side_and_confidence(page: Served, flows: list[Row], matching: Any, text: str, span: Any) -> None:
    there = left(flows, matching[text], span)
    told = page.ask("/api/ends", question(text, span)).json
    expected = Counter((side, one[f"{side}_confidence"]) for one in there for side in ("src", "dst"))
    assert dict(zip(zip(told["side"], told["confidence"], strict=True), told["flows"], strict=True)) == expected


def named(row: Row, side: str) -> tuple[str, ...]:
    """A group of ends as the page names it."""
    kind = row[f"{side}_kind"]
    own = row.get(f"{side}_service") if kind == "service" else row.get(f"{side}_node") if kind == "node" else None
    told = (kind, row.get(f"{side}_namespace"), row.get(f"{side}_workload") or own, row.get(f"{side}_workload_kind"))
    return ("demo", *(one or "" for one in told), row[f"{side}_confidence"])


def key_of(names: list[Any], place: int) -> tuple[str, ...]:
    one = names[place]
    return tuple(one[word] for word in ("cluster", "kind", "namespace", "name", "name_kind", "confidence"))


@settings(max_examples=60, deadline=None)
@given(text=st.sampled_from(FILTERS), span=st.sampled_from(RANGES), by=st.sampled_from(["flows", "bytes"]))
def test_talkers_keep_confidences_apart(
    page: Served, flows: list[Row], matching: Any, text: str, span: Any, by: str
) -> None:
    """A likely name is never added to an exact one, and what is not shown is told."""
    there = left(flows, matching[text], span)
    told = page.ask("/api/talkers", question(text, span, by=by, limit=7)).json
    expected: Counter[Any] = Counter()
    for one in there:
        edge = (named(one, "src"), named(one, "dst"), one["dst_port"], one["protocol"], one["direction"])
        expected[edge] += size(one) if by == "bytes" else 1
    shown = {
        (
            key_of(told["names"], one["src"]),
            key_of(told["names"], one["dst"]),
            one["port"],
            one["protocol"],
            one["direction"],
        ): one[by]
        for one in told["edges"]
    }
    assert all(expected[edge] == count for edge, count in shown.items())
    assert sorted(shown.values(), reverse=True) == sorted(expected.values(), reverse=True)[:7]
    assert told["left_out"] == len(expected) - len(shown)
    assert told["rest"] == sum(expected.values()) - sum(shown.values())


@settings(max_examples=40, deadline=None)
@given(
    text=st.sampled_from(FILTERS),
    span=st.sampled_from(RANGES),
    by=st.sampled_from(["namespace", "workload", "node", "pod", "label"]),
    limit=st.sampled_from([3, 1500]),
)
def test_a_map_says_what_it_leaves_out(
    page: Served, flows: list[Row], matching: Any, text: str, span: Any, by: str, limit: int
) -> None:
    there = left(flows, matching[text], span)
    told = page.ask("/api/map", question(text, span, by=by, label="app", limit=limit)).json
    assert sum(one["flows"] for one in told["edges"]) + told["left_out"][2] == len(there)
    assert all(edge["src"] < len(told["nodes"]) and edge["dst"] < len(told["nodes"]) for edge in told["edges"])
    sure = Counter(one["src_confidence"] for one in there)
    if limit == 1500:
        assert told["left_out"] == [0, 0, 0]
        names = [one["name"] for one in told["nodes"]]
        mine: Counter[str] = Counter()
        for edge in told["edges"]:
            mine[names[edge["src"]]["confidence"]] += edge["flows"]
            worst = max((names[edge[end]]["confidence"] for end in ("src", "dst")), key=CONFIDENCES.index)
            assert edge["worst"] == worst
        assert mine == sure
        assert len({tuple(one.values()) for one in names}) == len(names)
        both = sum(one["flows"] for one in told["nodes"])
        assert both + sum(one["inside"] for one in told["nodes"]) == 2 * len(there)


@pytest.mark.parametrize("by", ["workload", "pod"])
def test_edges_are_painted_by_what_their_flows_tell(page: Served, flows: list[Row], by: str) -> None:
    told = page.ask("/api/map", question("", None, by=by, paint="direction")).json
    painted: Counter[str] = Counter()
    for edge in told["edges"]:
        assert sum(flows for _, flows in edge["painted"]) == edge["flows"]
        painted.update(dict(edge["painted"]))
    assert painted == Counter(one["direction"] for one in flows)
    assert all(one["painted"] == [] for one in page.ask("/api/map", question("", None, by=by)).json["edges"])
    ports = page.ask("/api/map", question("", None, by=by, paint="direction", ports=True)).json
    assert all(sum(flows for _, flows in one["painted"]) == one["flows"] for one in ports["edges"])


def test_what_flows_lack_paints_nothing(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts and encryption are offered where this whowas' flows have them."""
    offered = page.ask("/api/status").json["paints"]
    assert "direction" in offered
    assert set(offered) <= {one["name"] for one in page.ask("/api/status").json["columns"]}
    for wrong in ("dst_port", "'; DROP", "nothing"):
        answer = page.ask("/api/map", question("", None, paint=wrong))
        assert (answer.status, "cannot paint" in answer.json["error"]) == (400, True)
    # A column that roll-ups do not have is read from the flows.
    monkeypatch.setattr(service_map, "PAINTS", ("counter_layer",))
    told = page.ask("/api/map", question("", None, paint="counter_layer")).json
    assert told["about"]["source"] == "flows"
    assert {value for one in told["edges"] for value, _ in one["painted"]} == {""}


def test_a_filter_of_pods_and_labels_is_answered_by_roll_ups_where_a_workload_agrees(page: Served) -> None:
    """And read from the flows where it does not: web-1 is one pod of two."""
    source = {text: page.ask("/api/ends", question(text, None)).json["about"]["source"] for text in FILTERS}
    assert source["label=app=web"] == source["src=shop/web"] == source["dst=deploy/shop/web:443"] == "rollups"
    assert source["where=src_pod=web-1"] == source["ip=10.1.0.1"] == "flows"


@pytest.mark.parametrize("text", ["", "src=web", "not label=app=web", "where=tls_sni=a.example"])
@pytest.mark.parametrize(
    ("now", "then"),
    [
        ((DAY + 2 * HOUR, DAY + 3 * HOUR), (DAY, DAY + HOUR)),
        ((DAY + HOUR, DAY + 3 * HOUR), (DAY + 600_000_000, DAY + HOUR + 60_000_000)),
    ],
)
def test_changes_name_what_is_new_and_what_is_gone(
    page: Served, flows: list[Row], matching: Any, text: str, now: tuple[int, int], then: tuple[int, int]
) -> None:
    def edges(span: tuple[int, int]) -> set[Any]:
        there = left(flows, matching[text], span)
        return {(named(one, "src"), named(one, "dst"), one["dst_port"], one["protocol"]) for one in there}

    told = page.ask("/api/changes", question(text, now, baseline={"since": then[0], "until": then[1]}, limit=1000)).json
    for word, expected in (("new", edges(now) - edges(then)), ("gone", edges(then) - edges(now))):
        shown = {
            (key_of(told["names"], one["src"]), key_of(told["names"], one["dst"]), one["port"], one["protocol"])
            for one in told[word]
        }
        assert shown == expected
        assert told[f"{word}_left_out"] == 0


def test_without_a_baseline_nothing_is_called_new(page: Served) -> None:
    told = page.ask("/api/changes", question("", (DAY, DAY + HOUR))).json
    assert (told["new"], told["gone"], told["baseline_ready"]) == ([], [], 0)
    assert "nothing" in told["about"]["partial"] or "no flows" in told["about"]["partial"]


@settings(max_examples=30, deadline=None)
@given(text=st.sampled_from(FILTERS), span=st.sampled_from(RANGES), by=st.sampled_from(["flows", "bytes"]))
def test_the_overview_is_all_of_its_parts(page: Served, text: str, span: Any, by: str) -> None:
    asked = question(text, span)
    told = page.ask("/api/overview", asked | {"by": by, "limit": 5, "bucket": 600_000_000}).json
    parts = {
        "histogram": page.ask("/api/histogram", asked | {"bucket": 600_000_000}).json,
        "ends": page.ask("/api/ends", asked).json,
        "talkers": page.ask("/api/talkers", asked | {"by": by, "limit": 5}).json,
        "changes": page.ask("/api/changes", asked | {"by": by, "limit": 5}).json,
    }
    for one in [*told.values(), *parts.values()]:
        one["about"].pop("milliseconds")
    assert told == parts


def test_the_overview_reads_flows_once(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that roll-ups cannot answer: no pane reads again what another has read."""
    read: list[Any] = []
    real = edges._flows

    def counted(asking: Any, hours: Any, span: Any) -> Any:
        read.extend((one.id, span) for one in hours)
        return real(asking, hours, span)

    monkeypatch.setattr(edges, "_flows", counted)
    told = page.ask("/api/overview", question("where=tls_sni=a.example", (DAY + HOUR, DAY + 3 * HOUR))).json
    assert told["talkers"]["about"]["source"] == told["histogram"]["about"]["source"] == "flows"
    assert len(read) == len(set(read)) == 3
