"""pandas, Polars and Arrow say the same, and what the command line and `who` say."""

from __future__ import annotations

import csv
import io
import ipaddress
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from support.annotating import AT, AT_S, WEB, annotate
from support.cluster_story import Story, live, us

import whowas
from enrich import History
from whowas.annotation.annotator import COLUMNS, USUAL, Choice
from whowas.errors import ConfigError, UnreadableWarning

FIREWALL = Path("samples") / "annotate" / "firewall.csv"


def plain(value: Any) -> Any:
    """A cell as one value: null is None, a map is a dict, a list is a list, however the frame keeps it."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)) or type(value).__name__ in ("ndarray", "Series"):
        several = [plain(one) for one in value]
        return dict(several) if several and all(isinstance(one, list) and len(one) == 2 for one in several) else several
    return None if value is None or value != value else value


def rows(frame: Any) -> list[dict[str, Any]]:
    if isinstance(frame, pd.DataFrame):
        found = frame.astype(object).to_dict("records")
    else:
        found = frame.to_dicts() if isinstance(frame, pl.DataFrame) else frame.to_pylist()
    return [{name: plain(value) for name, value in row.items()} for row in found]


def frames(table: pa.Table) -> dict[str, Any]:
    return {"arrow": table, "pandas": table.to_pandas(), "polars": pl.from_arrow(table)}


def test_all_kinds_of_frame_and_the_command_line_agree(overlay: History, root: Path) -> None:
    # Times as text: the command line reads text.
    options = pa_csv.ConvertOptions(column_types={"timestamp": pa.string()})
    table = pa_csv.read_csv(root / FIREWALL, convert_options=options)
    told = {name: whowas.annotate(one, history=overlay, columns=COLUMNS) for name, one in frames(table).items()}
    assert {name: type(one) for name, one in told.items()} == {
        "arrow": pa.Table, "pandas": pd.DataFrame, "polars": pl.DataFrame,
    }  # fmt: skip
    arrow = rows(told["arrow"])
    assert rows(told["pandas"]) == arrow
    assert rows(told["polars"]) == arrow
    lines = annotate(
        (root / FIREWALL).read_bytes(), overlay, Choice(columns=("confidence", "reason", "pod"))
    ).data.decode()
    for mine, theirs in zip(arrow, csv.DictReader(io.StringIO(lines)), strict=True):
        for name, value in theirs.items():
            assert (mine[name] or "") == value
    for one in arrow:
        answer = whowas.who(one["src_ip"], one["timestamp"], history=overlay)
        assert (one["src_ip_whowas_confidence"], one["src_ip_whowas_reason"]) == (answer.confidence, answer.reason)
        if answer.holder is not None and answer.holder.kind == "pod":
            assert one["src_ip_whowas_pod_uid"] == answer.holder.uid
            assert one["src_ip_whowas_labels"] == answer.holder.labels


TIMES = {
    "text": ([AT, AT], {}),
    "aware": ([datetime(2026, 11, 21, 8, 39, 36, tzinfo=UTC)] * 2, {}),
    "seconds": ([AT_S, AT_S + 1], {}),
    "floats": ([AT_S + 0.5, AT_S + 0.25], {}),
    "milliseconds": ([AT_S * 1000, AT_S * 1000], {"time_unit": "ms"}),
    "naive": ([datetime(2026, 11, 21, 9, 39, 36)] * 2, {"timezone": "Europe/Berlin"}),
    "naive text": (["2026-11-21 09:39:36.5", "2026-11-21 09:39:36.5"], {"timezone": "Europe/Berlin"}),
    "days": ([datetime(2026, 11, 21, 8, 39, 36, tzinfo=UTC), None], {}),
}


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars"])
@pytest.mark.parametrize("times", TIMES)
def test_times_of_every_type_are_read(overlay: History, kind: str, times: str) -> None:
    values, more = TIMES[times]
    table = pa.table({"when": pa.array(values), "address": ["10.244.1.20", None]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = whowas.annotate(frames(table)[kind], history=overlay, ip="address", time="when", **more)
    assert [row["address_whowas_pod"] for row in rows(told)] == [WEB, None]
    assert [row["address_whowas_confidence"] for row in rows(told)] == ["exact", None]


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars"])
def test_times_without_a_zone_are_refused_with_advice(overlay: History, kind: str) -> None:
    frame = frames(pa.table({"ts": [datetime(2026, 11, 21)], "src": ["10.0.0.1"]}))[kind]
    with pytest.raises(ConfigError, match="its times have no zone; say timezone='UTC'"):
        whowas.annotate(frame, history=overlay)


def test_an_hour_that_came_twice_costs_its_rows_only(overlay: History) -> None:
    frame = pd.DataFrame(
        {"ts": pd.to_datetime(["2026-10-25 02:30:00", "2026-11-21 09:39:36"]), "src": ["10.244.1.20"] * 2}
    )
    with pytest.warns(UnreadableWarning, match="local time that the clock showed twice, or never 1"):
        told = whowas.annotate(frame, history=overlay, timezone="Europe/Berlin")
    assert rows(told)[0]["src_whowas_confidence"] is None
    assert rows(told)[1]["src_whowas_pod"] == WEB


ADDRESSES = [
    ["10.244.1.20", "fd00:10:244:1::20", None],
    [ipaddress.ip_address("10.244.1.20"), ipaddress.ip_address("fd00:10:244:1::20"), None],
    [ipaddress.ip_address(one).packed for one in ("10.244.1.20", "fd00:10:244:1::20")] + [None],
]


@pytest.mark.parametrize("addresses", ADDRESSES, ids=["text", "ipaddress", "bytes"])
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_addresses_of_every_type_are_read(overlay: History, make: Any, addresses: list[Any]) -> None:
    told = whowas.annotate(make({"ip": addresses, "n": [1, 2, 3]}), history=overlay, at=AT)
    assert [row["ip_whowas_pod"] for row in rows(told)] == [WEB, WEB, None]


def test_the_index_and_all_columns_of_pandas_stay(overlay: History) -> None:
    frame = pd.DataFrame({"src_ip": pd.Categorical(["10.244.1.20", "8.8.8.8"]), "ts": [AT, AT]}, index=["a", "b"])
    told = whowas.annotate(frame, history=overlay)
    pd.testing.assert_frame_equal(told[["src_ip", "ts"]], frame)
    assert list(told.index) == ["a", "b"]
    assert len(told.columns) == 2 + len(USUAL)
    assert told.loc["b", "src_ip_whowas_confidence"] == "external"


def test_batches_slices_and_foreign_frames(overlay: History) -> None:
    table = pa.table({"src_ip": ["x", "10.244.1.20", "10.244.1.20"], "ts": [AT, AT, None]}).slice(1)
    with pytest.warns(UnreadableWarning, match="no time 1"):
        told = whowas.annotate(table.to_batches()[0], history=overlay)
    assert isinstance(told, pa.RecordBatch)
    assert told["src_ip_whowas_pod"].to_pylist() == [WEB, None]
    chunked = pa.concat_tables([table, table])
    with pytest.warns(UnreadableWarning):
        assert whowas.annotate(chunked, history=overlay)["src_ip_whowas_pod"].to_pylist() == [WEB, None] * 2

    class Foreign:
        def __arrow_c_stream__(self, requested: object = None) -> object:
            return table.__arrow_c_stream__(requested)

    with pytest.warns(UnreadableWarning):
        assert whowas.annotate(Foreign(), history=overlay).num_rows == 2


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_without_rows_gets_its_columns(overlay: History, make: Any) -> None:
    told = whowas.annotate(make({"src_ip": [], "ts": []}), history=overlay)
    assert len(told) == 0
    assert "src_ip_whowas_pod" in (told.column_names if isinstance(told, pa.Table) else list(told.columns))


def test_what_cannot_be_used_is_refused(overlay: History) -> None:
    good = pd.DataFrame({"src_ip": ["10.244.1.20"], "ts": [AT]})
    for frame, more, message in [
        (good, {"ip": "dst_ip"}, "cannot find column 'dst_ip'"),
        (good.rename(columns={"ts": "src_ip"}), {}, "two columns 'src_ip'"),
        (whowas.annotate(good, history=overlay), {}, "there is one already"),
        (pl.DataFrame(good.to_dict("list")).lazy(), {}, "collect"),
        ([1, 2], {}, "cannot annotate a list"),
        (pa.table({"src_ip": [["10.0.0.1"]], "ts": [AT]}), {}, "of type list"),
        (good, {"time": "ts", "at": AT}, "exclude each other"),
        (good, {"columns": ()}, "no column is left"),
    ]:
        with pytest.raises(ConfigError, match=message):
            whowas.annotate(frame, history=overlay, **more)


def test_a_history_on_disk_networks_and_labels(tmp_path: Path) -> None:
    story = Story()
    live(story, "a", "10.244.1.9", labels={"app": "a"})
    (tmp_path / "evidence.jsonl").write_text("".join(f"{line}\n" for line in story.lines()))
    (tmp_path / "networks.toml").write_text('[networks]\nbank = "203.0.113.0/24"\n')
    frame = pd.DataFrame({"src": ["10.244.1.9", "203.0.113.7"], "ts": [us(10), us(10)]})
    told = whowas.annotate(
        frame,
        history=tmp_path / "evidence.jsonl",
        networks=str(tmp_path / "networks.toml"),
        columns=("labels", "workload"),
    )
    assert rows(told[["src_whowas_labels", "src_whowas_workload"]]) == [
        {"src_whowas_labels": {"app": "a"}, "src_whowas_workload": "a"},
        {"src_whowas_labels": None, "src_whowas_workload": "bank"},
    ]
