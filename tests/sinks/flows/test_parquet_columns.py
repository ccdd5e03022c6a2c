"""What lies in the Parquet files: types that every reader knows, order, encodings, no value changed on the way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rows as made_up

from sinks.flows import parquet_encoding
from sinks.flows.parquet import ParquetSink, encode, split
from sinks.flows.sorting import in_order, some
from whowas.schema import named_schema, plain, table_schema

batch = made_up.batch


def with_column(flows: Any, name: str, values: list[Any]) -> Any:
    place = flows.schema.get_field_index(name)
    kind = flows.schema.field(name)
    column = pa.array(values, pa.int64()).cast(kind.type) if pa.types.is_timestamp(kind.type) else values
    return flows.set_column(place, kind, pa.array(column, kind.type))


def written(path: Path, *batches: Any) -> Any:
    with path.open("wb") as handle:
        encode(handle, in_order(batches))
    return pq.ParquetFile(path)


def rows(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = plain(table).to_pylist()
    return sorted(found, key=lambda row: row["flow_id"])


def test_readers_meet_the_types_of_the_schema(tmp_path: Path) -> None:
    """Dictionaries of maps are a matter of the way there: in files they are maps of text."""
    file = written(tmp_path / "a.parquet", batch(50, 1), batch(50, 2))
    assert file.schema_arrow.remove_metadata().equals(table_schema())
    peer = tmp_path / "peer.parquet"
    pq.write_table(plain(pa.Table.from_batches([batch(3, 1)])), peer)
    ours = [file.metadata.schema.column(place) for place in range(len(file.metadata.schema))]
    theirs = pq.ParquetFile(peer).metadata.schema
    for place, one in enumerate(ours):
        other = theirs.column(place)
        facts = ("path", "physical_type", "logical_type", "max_definition_level", "max_repetition_level")
        assert [str(getattr(one, fact)) for fact in facts] == [str(getattr(other, fact)) for fact in facts]


def test_metadata_of_a_table_is_the_files(tmp_path: Path) -> None:
    table = in_order([batch(5, 1)]).replace_schema_metadata({"whowas.topic": "flows"})
    with (tmp_path / "a.parquet").open("wb") as handle:
        encode(handle, table)
    assert pq.read_schema(tmp_path / "a.parquet").metadata[b"whowas.topic"] == b"flows"


def test_no_value_changes_on_the_way(tmp_path: Path) -> None:
    batches = [batch(80, seed) for seed in range(4)]
    file = written(tmp_path / "a.parquet", *batches)
    wanted = sorted((row for one in batches for row in plain(one).to_pylist()), key=lambda row: row["flow_id"])
    assert rows(file.read()) == wanted


def test_a_table_that_was_read_can_be_written_again(tmp_path: Path) -> None:
    """Plain maps, several chunks, dictionaries of their own: whoever joins files has such tables."""
    first, second = (written(tmp_path / f"{seed}.parquet", batch(70, seed)).read() for seed in (1, 2))
    coded = pa.Table.from_batches([batch(70, seed) for seed in (1, 2)])
    for table in (pa.concat_tables([first, second]).unify_dictionaries(), coded):
        with (tmp_path / "again.parquet").open("wb") as handle:
            encode(handle, table)
        again = pq.ParquetFile(tmp_path / "again.parquet")
        assert rows(again.read()) == rows(pa.concat_tables([first, second]))
        found = [again.metadata.row_group(0).column(place) for place in range(again.metadata.num_columns)]
        labels = [one for one in found if one.path_in_schema.startswith("src_labels")]
        assert all(one.has_dictionary_page for one in labels)


def test_duckdb_reads_what_we_wrote(tmp_path: Path) -> None:
    flows = batch(60, 3)
    written(tmp_path / "a.parquet", flows)
    told = duckdb.sql(
        f"SELECT flow_id, src_labels, dst_images, len(src_candidates), bytes_out, epoch_us(start_time) "
        f"FROM '{tmp_path}/a.parquet' ORDER BY flow_id"
    ).fetchall()
    for found, row in zip(told, rows(flows), strict=True):
        labels = None if row["src_labels"] is None else dict(row["src_labels"])
        candidates = None if row["src_candidates"] is None else len(row["src_candidates"])
        start = flows["start_time"][flows["flow_id"].to_pylist().index(row["flow_id"])].value
        assert found == (row["flow_id"], labels, row["dst_images"], candidates, row["bytes_out"], start)


EXTREMES = [-(2**63), 2**63 - 1, 0, -1, 1, 2**62, -(2**62), 2**63 - 1, -(2**63)]


def test_numbers_of_any_size_survive_their_deltas(tmp_path: Path) -> None:
    """Differences between extremes do not fit in 64 bits; the encoding wraps around, and back."""
    flows = batch(len(EXTREMES), 1)
    for name in ("bytes_out", "packets_in", "end_time"):
        flows = with_column(flows, name, EXTREMES)
    file = written(tmp_path / "a.parquet", flows)
    order = [flows["flow_id"].to_pylist().index(one) for one in file.read(["flow_id"])["flow_id"].to_pylist()]
    for name in ("bytes_out", "packets_in"):
        assert file.read([name])[name].to_pylist() == [EXTREMES[place] for place in order]
        (found,) = duckdb.sql(f"SELECT list({name} ORDER BY flow_id) FROM '{tmp_path}/a.parquet'").fetchall()
        assert found[0] == EXTREMES
    times = file.read(["end_time"])["end_time"].cast(pa.int64()).to_pylist()
    assert times == [EXTREMES[place] for place in order]


@pytest.mark.parametrize("starts", [[5, 3, 3, 3, 9, 5], [1, 2, 3, 4, 5, 6], [7] * 6, EXTREMES[:6]])
def test_order_is_by_time_then_by_id(starts: list[int]) -> None:
    flows = with_column(batch(6, 1), "start_time", starts)
    flows = flows.set_column(0, flows.schema.field(0), pa.array(["f", "b", "a", "c", "d", "e"]))
    table = in_order([flows.slice(0, 4), flows.slice(4)])
    found = list(zip(table["start_time"].cast(pa.int64()).to_pylist(), table["flow_id"].to_pylist(), strict=True))
    assert found == sorted(zip(starts, ["f", "b", "a", "c", "d", "e"], strict=True))
    assert table["src_pod"].to_pylist() == [
        flows["src_pod"][flows["flow_id"].to_pylist().index(one)].as_py() for one in table["flow_id"].to_pylist()
    ]


@pytest.mark.parametrize("same", [0, 16, 29])
def test_rows_of_one_time_are_in_the_order_of_their_ids(same: int) -> None:
    """Ids that begin alike, as those of one topic do, in parts of a larger batch."""
    dice = random.Random(same)
    flows = with_column(batch(400, 2), "start_time", [dice.choice((7, 8, 2_000)) for _ in range(400)])
    ids = ["f" * same + f"{number:032x}"[same:] for number in dice.sample(range(4000), 400)]
    flows = flows.set_column(0, flows.schema.field(0), pa.array(ids))
    table = in_order([flows.slice(100, 120), flows.slice(220, 80)])
    found = list(zip(table["start_time"].cast(pa.int64()).to_pylist(), table["flow_id"].to_pylist(), strict=True))
    told = flows.slice(100, 200)
    times = told["start_time"].cast(pa.int64()).to_pylist()
    assert found == sorted(zip(times, told["flow_id"].to_pylist(), strict=True))


def test_a_part_of_a_batch_has_the_words_that_its_rows_have() -> None:
    flows = batch(200, 4, ("demo", "prod"))
    parts = split(flows)
    assert len({place for place, _ in parts}) == len(parts) == 6
    assert sum(part.num_rows for _, part in parts) == 200
    for (cluster, hour), part in parts:
        assert part.schema.equals(named_schema())
        part.validate(full=True)
        assert set(part["cluster"].to_pylist()) == {cluster}
        assert {int(one) // 3_600_000_000 for one in part["start_time"].cast(pa.int64()).to_pylist()} == {hour}
        for name in ("src_pod", "src_labels", "dst_candidates"):
            assert len(part[name].dictionary) == len(set(part[name].indices.drop_null().to_pylist()))
    assert some(flows, pa.array([3, 1]).to_numpy()).to_pylist() == [flows.to_pylist()[3], flows.to_pylist()[1]]


def data_encodings(column: Any) -> set[str]:
    """Encodings of a column's values. PLAIN is named once for the dictionary itself, whatever the values are in."""
    return {one for one in column.encodings if one not in ("RLE", "PLAIN")} or {"PLAIN"}


def test_a_column_without_a_dictionary_to_look_in_has_a_bloom_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = written(tmp_path / "a.parquet", batch(500, 1)).metadata.row_group(0)
    for place in range(found.num_columns):
        if found.column(place).path_in_schema in (*parquet_encoding.SEARCHED, *parquet_encoding.SEARCHED_BYTES):
            assert found.column(place).has_dictionary_page
            assert "PLAIN" not in data_encodings(found.column(place))
    told = parquet_encoding.writer_options(parquet_encoding.spread(in_order([batch(500, 1)])))["bloom_filter_options"]
    assert told == {}
    monkeypatch.setattr(parquet_encoding, "DICTIONARY_BYTES", 100)
    told = parquet_encoding.writer_options(parquet_encoding.spread(in_order([batch(500, 1)])))["bloom_filter_options"]
    assert told.keys() >= {"src_ip", "dst_ip", "src_pod_uid"}
    assert len(written(tmp_path / "b.parquet", batch(500, 1)).read()) == 500


def test_an_hour_with_no_rows_and_a_sink_with_none_write_nothing(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path, "aa")
    sink.check()
    sink.write(batch(0, 1))
    sink.close()
    assert sink.files == []


def with_words(flows: Any, name: str, words: list[str]) -> Any:
    """The rows have the words of this dictionary, one after the other; the last row has none."""
    place = flows.schema.get_field_index(name)
    numbers = pa.array([*(row % len(words) for row in range(flows.num_rows - 1)), None], pa.int32())
    column = pa.DictionaryArray.from_arrays(numbers, pa.array(words))
    return flows.set_column(place, flows.schema.field(place), column)


def test_words_that_a_dictionary_has_twice_are_written_once() -> None:
    """Of those that it has twice pyarrow 26.0 fills up the page with what lay in memory: one table, two files."""
    flows = with_words(batch(40, 1), "observer", ["one.pcap", "two.pcap", "one.pcap", "one.pcap"])
    table = in_order([flows])
    column = parquet_encoding.spread(table)["observer"]
    assert [chunk.dictionary.to_pylist() for chunk in column.chunks] == [["one.pcap", "two.pcap"]]
    assert column.to_pylist() == table["observer"].to_pylist()
    assert column.null_count == 1
