"""SQL on flows: which files, which types, what is refused, what comes with a history, how it is stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rows as made_up

from sinks.flows.parquet import ParquetSink
from whowas.errors import ConfigError, InputError
from whowas.query import database, parquet_files
from whowas.query.sql import Query, ask
from whowas.schema import COLUMNS, PARTITIONS

HISTORY = Path(__file__).parents[3] / "samples" / "overlay" / "history.jsonl.gz"


def write(folder: Path, rows: int = 30, run: str = "aa", cluster: str = "demo") -> Path:
    sink = ParquetSink(folder, run)
    sink.check()
    sink.write(made_up.batch(rows, 1, (cluster,)))
    sink.close()
    return folder


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("flows"))


def one(sql: str, *where: Any, **told: Any) -> Any:
    (row,) = ask(sql, where, **told).to_pylist()
    return next(iter(row.values())) if len(row) == 1 else row


COUNT = "SELECT count(*) AS n FROM flows"


# Which files


def test_folders_are_joined_and_no_file_counts_twice(flows: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", 7)
    (hour, *_) = sorted(flows.rglob("event_hour=*"))
    assert one(COUNT, flows, other) == 37
    assert one(COUNT, flows, flows, hour, f"{flows}/../{flows.name}") == 30
    link = tmp_path / "link"
    link.symlink_to(flows)
    assert one(COUNT, flows, link) == 30


def test_a_glob_opens_several(flows: Path, tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"day{number}", 5)
    write(tmp_path / "day[1]", 9)
    assert one(COUNT, f"{tmp_path}/day[01]*") == 10
    assert one(COUNT, str(tmp_path / "day[1]")) == 9
    with pytest.raises(InputError, match="nothing is called so"):
        one(COUNT, f"{tmp_path}/week*")


def test_folders_with_and_without_partitions_are_one_table(flows: Path, tmp_path: Path) -> None:
    mixed = Path(shutil.copytree(flows, tmp_path / "mixed"))
    file = next(mixed.rglob("*.parquet"))
    shutil.copy(file, mixed / "bare.parquet")
    (mixed / "cluster=007").mkdir()
    shutil.copy(file, mixed / "cluster=007")
    (mixed / "team=0042").mkdir()
    shutil.copy(file, mixed / "team=0042")
    extra = 3 * pq.read_metadata(file).num_rows
    types = {"c": "VARCHAR", "d": "BIGINT", "h": "BIGINT", "t": "VARCHAR"}
    sql = "SELECT typeof(cluster) AS c, typeof(event_day) AS d, typeof(event_hour) AS h, typeof(team) AS t"
    assert one(f"{sql} FROM flows LIMIT 1", mixed) == types
    assert one(COUNT, mixed) == 30 + extra
    assert one(f"{COUNT} WHERE cluster = '007'", mixed) == extra // 3
    assert one(f"{COUNT} WHERE cluster = 'demo'", mixed) == 30 + 2 * extra // 3
    assert one(f"{COUNT} WHERE team = '0042'", mixed) == extra // 3


@pytest.mark.parametrize("cluster", ["007", "2026-11-20", "arn:aws:eks:eu-1:1:cluster/a", "true", "1e5", "a'b*[c]"])
def test_a_cluster_is_text_whatever_it_is_called(tmp_path: Path, cluster: str) -> None:
    write(tmp_path / "a", 4, cluster=cluster)
    assert one("SELECT DISTINCT cluster FROM flows WHERE cluster LIKE '%'", tmp_path / "a") == cluster


def test_columns_that_files_have_not_are_null(tmp_path: Path) -> None:
    pq.write_table(pa.table({"flow_id": ["a"], "src_ip": ["10.0.0.1"]}), tmp_path / "old.parquet")
    names = ask("FROM flows", tmp_path).column_names
    assert {*(column.name for column in COLUMNS), *PARTITIONS} == set(names)
    assert one("SELECT src_ip, dst_workload FROM flows", tmp_path) == {"src_ip": "10.0.0.1", "dst_workload": None}


def test_a_damaged_file_is_told_and_hides_no_other(flows: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(flows, tmp_path / "some"))
    (folder / "bad.parquet").write_bytes(b"PAR1 this is none PAR1")
    with Query(COUNT, folder) as query:
        assert [batch.to_pylist() for batch in query.batches()] == [[{"n": 30}]]
        ((path, why),) = query.unreadable
    assert path.endswith("bad.parquet")
    assert why
    with pytest.raises(InputError, match=r"bad\.parquet"):
        one(COUNT, folder / "bad.parquet")


def test_a_link_out_of_the_folder_is_left_out(flows: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(flows, tmp_path / "some"))
    outside = Path(shutil.copy(next(flows.rglob("*.parquet")), tmp_path / "outside.parquet"))
    (folder / "in.parquet").symlink_to(outside)
    with Query(COUNT, folder) as query:
        assert [batch.to_pylist() for batch in query.batches()] == [[{"n": 30}]]
        assert "leads out" in query.unreadable[0][1]


# What is refused


@pytest.mark.parametrize(("sql", "text"), [
    ("", "it is empty"), (" ;; ", "it is empty"), ("-- nothing", "it is empty"),
    ("SELECT 1; SELECT 2", "2 statements"), ("SET a = 1; SELECT 1", "--tz ZONE"),
    ("SELECT 1\0", "NUL"), ("SELECT " + "(" * 20_000 + "1" + ")" * 20_000, "cannot run the query"),
    ("SET TimeZone = 'Asia/Tokyo'", "--tz ZONE"), ("RESET TimeZone", "--tz ZONE"),
    ("PIVOT flows ON protocol USING count(*)", "which values become columns"),
    ("SELECT src_workloa FROM flows", "did you mean src_workload"),
    ("SELECT workload FROM flows", "did you mean src_workload or dst_workload"),
    ("SELECT f.sorce FROM flows f", "there is no column 'sorce'"),
    ("SELECT xyzzy FROM flows", "'whowas schema' lists the columns"),
    ("SELECT adres FROM (SELECT src_ip AS adress FROM flows)", "did you mean adress?"),
    ("FROM flow", "there are flows"), ("FROM holds", "needs -H HISTORY"), ("FROM '/etc/passwd'", "there is no table"),
    ("SELECT cuont(*) FROM flows", "there is no function cuont()"),
    ("SELEC 1", "SELEC 1\n  ^"),
    ("SELECT 1 FROM flows WHERE ip_in(src_ip16, '10.0.0.0/99')", "cannot use '10.0.0.0/99' as a range"),
    ("SELECT 1 FROM flows WHERE ip_in(src_ip, '10.0.0.0/9')", "ranges work on src_ip16"),
    ("SELECT ip('10.244.1.999')", "as an address"),
])  # fmt: skip
def test_mistakes_are_explained(flows: Path, sql: str, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)) as caught:
        ask(sql, flows)
    assert "Error:" not in str(caught.value)


def test_what_reads_is_answered(flows: Path) -> None:
    for sql in (
        "DESCRIBE flows", "SUMMARIZE SELECT src_port FROM flows", "SHOW TABLES", "VALUES (1)", "FROM flows",
        "TABLE flows", "EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT count(*) FROM flows",
        "explain (format json) FROM flows",
        "WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t WHERE a < 3) FROM t", "FROM range(3)",
        "SELECT unnest(src_candidates) FROM flows", "FROM (PIVOT flows ON protocol IN ('tcp') USING count(*))",
        "SELECT a.src_ip FROM flows a ASOF JOIN flows b ON a.src_ip = b.src_ip AND a.start_time > b.start_time",
    ):  # fmt: skip
        assert ask(sql, flows).num_columns, sql


# Ranges, zones


def test_ranges_are_of_both_families(tmp_path: Path) -> None:
    octets = [parquet_octets(text) for text in ("10.1.2.3", "11.0.0.1", "fd00::1", "fe80::1")]
    pq.write_table(
        pa.table({"flow_id": list("abcd"), "src_ip16": pa.array(octets, pa.binary(16))}), tmp_path / "a.parquet"
    )

    def found(net: str) -> str:
        text = one(f"SELECT string_agg(flow_id, '' ORDER BY 1) FROM flows WHERE ip_in(src_ip16, '{net}')", tmp_path)
        return str(text or "")

    assert [found(net) for net in ("10.0.0.0/8", "10.9.9.9/8", "0.0.0.0/0", "fd00::/8", "::/0", "11.0.0.1")] == [
        "a", "a", "ab", "c", "abcd", "b",
    ]  # fmt: skip
    assert one("SELECT flow_id FROM flows WHERE src_ip16 = ip('fd00:0::1')", tmp_path) == "c"


def parquet_octets(text: str) -> bytes:
    from whowas.addresses import address16

    found = address16(text)
    assert found
    return found


def test_a_constant_range_reaches_the_files(flows: Path) -> None:
    plan = ask("EXPLAIN SELECT count(*) FROM flows WHERE ip_in(src_ip16, '::/2')", flows).to_pylist()
    assert "_whowas" not in str(plan)
    assert "src_ip16" in str(plan)


def test_days_and_hours_are_those_of_the_zone(flows: Path) -> None:
    sql = "SELECT hour(start_time) - hour(start_time AT TIME ZONE 'UTC') AS h FROM flows LIMIT 1"
    assert one(sql, flows) == 0
    assert one(sql, flows, zone="Asia/Tokyo") == 9
    with pytest.raises(ConfigError, match="no such zone"):
        one(sql, flows, zone="Mars/Olympus")


# The history beside them


def test_holds_and_evidence_are_tables() -> None:
    held = one("SELECT count(*) FROM holds WHERE ip_in(address16, '10.244.0.0/16') AND kind = 'pod'", history=HISTORY)
    assert held > 5
    row = one("FROM evidence WHERE kind = 'Service' AND name = 'api' LIMIT 1", history=HISTORY)
    assert (row["cluster"], row["verb"], row["namespace"]) == ("demo", "ADDED", "shop")
    assert "10.96.12.34" in row["addresses"]
    assert '"kind":"Service"' in row["object"]


def test_a_store_gives_the_same_holds_as_its_files(tmp_path: Path) -> None:
    from whowas.history.import_export import import_files

    store = tmp_path / "cluster.whowas"
    import_files(str(store), [str(HISTORY)])
    sql = "SELECT address, name, uid, start_min, end_max FROM holds ORDER BY ALL"
    assert ask(sql, history=store).equals(ask(sql, history=HISTORY))
    count = "SELECT kind, count(*) FROM evidence WHERE verb IN ('ADDED', 'DELETED') GROUP BY ALL ORDER BY ALL"
    found = dict(zip(*ask(count, history=store).to_pydict().values(), strict=True))
    assert found["Pod"] >= 14
    assert found["Service"] == 3


def test_a_query_that_names_no_history_reads_none(flows: Path) -> None:
    assert one(COUNT, flows, history="/no/such/history") == 30
    with pytest.raises(InputError, match="/no/such/history"):
        one("SELECT count(*) FROM holds", flows, history="/no/such/history")


# Ctrl-C, leftovers


def test_ctrl_c_ends_a_query_that_runs(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    before = Query._begun

    def begin(self: Query, text: str) -> Any:
        begun.set()
        return before(self, text)

    monkeypatch.setattr(Query, "_begun", begin)
    # Whatever an earlier test left there.
    before_it = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=lambda: begun.wait(60) and os.kill(os.getpid(), signal.SIGINT)).start()
    heavy = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range + b.range = 3"
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(heavy, flows)
    finally:
        signal.signal(signal.SIGINT, before_it)


def test_nothing_is_left_behind(flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert one(COUNT, flows) == 30
    with pytest.raises(ConfigError):
        ask("SELEC", flows)
    with pytest.raises(InputError):
        ask(COUNT, "/no/such")
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded(flows: Path) -> None:
    with database.Database(flows) as found:
        (told,) = found.rows(database.Asked("SELECT current_setting('memory_limit')", []))
    number, _, unit = str(told[0]).partition(" ")
    assert float(number) * database.UNITS[unit] <= database.MEMORY_MOST


def test_a_folder_of_keys_that_are_no_names_is_read(flows: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a=b=c" / "1x=2" / "plain"
    shutil.copytree(flows, odd)
    assert one(COUNT, odd) == 30
    assert parquet_files.find(odd).groups.keys() == parquet_files.find(flows).groups.keys()
