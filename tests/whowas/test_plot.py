"""Charts of named flows: valid, with the sums of the flows in them, and every name with its confidence."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from typing import Any

import polars
import pyarrow as pa
import pytest
from support.needs import need
from support.workbench import HOSTILE, batch, rows, weaker

from whowas import plot
from whowas.errors import ConfigError, MissingExtra


@pytest.fixture(autouse=True)
def drawn() -> None:
    """What draws."""
    need(find_spec("altair") is not None, "altair is not installed: make setup")


def values(chart: Any) -> list[dict[str, Any]]:
    """The data of a chart, which Altair finds valid."""
    told: list[dict[str, Any]] = chart.to_dict(validate=True)["data"]["values"]
    return told


def size(row: dict[str, Any]) -> int:
    return (row["bytes_out"] or 0) + (row["bytes_in"] or 0)


def test_a_timeline_counts_every_flow_by_its_weaker_end() -> None:
    flows = rows(300)
    found: Counter[str] = Counter()
    for one in values(plot.timeline(batch(flows))):
        found[one["confidence"]] += one["flows"]
    assert found == Counter(weaker(one) for one in flows)


def test_flows_without_a_start_stand_in_no_time() -> None:
    flows = rows(10)
    flows[0]["start_time"] = None
    assert sum(one["flows"] for one in values(plot.timeline(batch(flows)))) == 9
    assert values(plot.timeline(batch([]))) == []


def test_traffic_holds_every_byte_and_folds_the_light_edges() -> None:
    flows = rows(300)
    told = values(plot.traffic(batch(flows), top=3))
    assert sum(one["bytes"] for one in told) == sum(map(size, flows))
    edges = {one["edge"] for one in told}
    assert len(edges) == 4
    assert any(one.startswith("all others (") for one in edges)


def test_a_map_keeps_names_of_two_confidences_apart() -> None:
    flows = rows(300)
    told = values(plot.service_map(batch(flows)))
    assert sum(one["flows"] for one in told) == len(flows)
    assert {"shop/web (exact)", "shop/web (likely)"} <= {one["from"] for one in told}
    few = plot.service_map(batch(flows), top=3).to_dict()
    assert "more names are not shown" in few["title"]


@pytest.mark.parametrize("frame", ["table", "pandas", "polars"])
def test_frames_of_all_kinds_are_drawn_alike(frame: str) -> None:
    made = batch(rows(100))
    names = [name for name in made.schema.names if not pa.types.is_nested(_inner(made.schema.field(name).type))]
    table = pa.Table.from_batches([made]).select(names)
    other = {"table": table, "pandas": table.to_pandas(), "polars": polars.from_arrow(table)}[frame]
    for draw in (plot.timeline, plot.traffic, plot.service_map):
        assert values(draw(other)) == values(draw(made))


def _inner(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def test_names_of_strangers_are_cut_and_show_what_they_are() -> None:
    flows = rows(20)
    for place, one in enumerate(flows):
        one |= {"src_namespace": HOSTILE[place % len(HOSTILE)], "src_workload": HOSTILE[place % len(HOSTILE)]}
    for one in values(plot.service_map(batch(flows))):
        assert one["from"].isprintable()
        assert len(one["from"]) < 100


def test_what_lacks_a_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="it has no column start_time"):
        plot.timeline(pa.table({"a": [1]}))


def test_without_altair_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "altair", None)
    with pytest.raises(MissingExtra, match="plot"):
        plot.timeline(batch(rows(1)))
